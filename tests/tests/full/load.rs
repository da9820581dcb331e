//! Strangers that hold on to connections: they are shown out in time, and others hardly notice.
//! What it costs is printed; how fast this machine is, is no test's business.

use std::time::{Duration, Instant};

use fileyard_tests::{raw::Raw, server::Server, yard::Yard};
use futures::{StreamExt, future::join_all, stream};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::time::{sleep, timeout};

const EACH: usize = 1000;

/// The connections' other ends are files of this process.
fn raise_files() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    setrlimit(Resource::Nofile, raised).expect("a process may raise its own limit");
}

async fn raws(count: usize, host: &str, bytes: &[u8]) -> Vec<Raw> {
    let opened = stream::iter(0..count).map(|_| async {
        let mut raw = Raw::connect(host).await;
        raw.send(bytes).await;
        raw
    });
    opened.buffer_unordered(50).collect().await
}

/// Asks for a job's status, one after the other, until `until` is over: how long each took.
async fn asks(server: &Server, job: &str, until: impl Future<Output = ()>) -> Vec<Duration> {
    let mut until = std::pin::pin!(until);
    let mut took = Vec::new();
    loop {
        let from = Instant::now();
        server.get(&format!("/status/{job}")).await.expect(200);
        took.push(from.elapsed());
        let pause = sleep(Duration::from_millis(2));
        tokio::select! {
            biased;
            () = &mut until => break,
            () = pause => {}
        }
    }
    took.sort();
    took
}

/// At the 50th and the 99th hundredth.
fn percentiles(sorted: &[Duration]) -> (Duration, Duration) {
    (sorted[sorted.len() / 2], sorted[sorted.len() * 99 / 100])
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_who_only_hold_on_are_closed_in_time_and_others_hardly_notice() {
    raise_files();
    let yard = Yard::new().processors();
    let server = yard.start().await;
    let large = server.accepted("drill/large.bin", vec![7; 32 << 20]).await;
    let quiet = asks(&server, &large, sleep(Duration::from_secs(3))).await;
    let before = server.process().memory();

    let host = server.host();
    let (silent, trickle, senders, readers) = tokio::join!(
        raws(EACH, host, b""),
        raws(EACH, host, b"GET / HTTP/1.1\r\nX: "),
        raws(EACH, host, b"PUT /upload/drill/slow HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\nx"),
        async {
            let ask = format!("GET /jobs/{large}/input HTTP/1.1\r\nHost: localhost\r\n\r\n");
            raws(EACH, host, ask.as_bytes()).await
        }
    );
    let open = server.process().memory();
    let from = Instant::now();
    let within = async |what: &str, seconds, closed: Vec<bool>| {
        assert!(closed.iter().all(|closed| *closed), "some of the {what} are still there");
        let took = from.elapsed().as_secs();
        println!("{EACH} {what}: all closed after {took} s");
        assert!(took < seconds, "{took} s for {what}");
    };
    let all_closed = async {
        tokio::join!(
            async {
                let ends = silent
                    .into_iter()
                    .map(|mut raw| async move { raw.read_to_end().await.is_empty() });
                within("who say nothing", 30, join_all(ends).await).await;
            },
            async {
                // A byte of a header now and then.
                let ends = trickle.into_iter().map(|mut raw| async move {
                    while raw.send(b"x").await {
                        sleep(Duration::from_secs(1)).await;
                    }
                    raw.read_to_end().await;
                    true
                });
                within("who never end their headers", 40, join_all(ends).await).await;
            },
            async {
                let ends = senders.into_iter().map(|mut raw| async move {
                    raw.read_to_end().await.starts_with(b"HTTP/1.1 408 ")
                });
                within("who stop within their file", 60, join_all(ends).await).await;
            },
            async {
                let ends = readers.into_iter().map(|mut raw| async move {
                    raw.reset().await;
                    raw.read_to_end().await.len() < 32 << 20
                });
                within("who do not read their answer", 75, join_all(ends).await).await;
            },
        );
    };
    let mut most = open;
    let loaded = timeout(Duration::from_secs(120), async {
        asks(&server, &large, async {
            tokio::select! {
                () = async { all_closed.await; } => {}
                () = async {
                    loop {
                        most = most.max(server.process().memory());
                        sleep(Duration::from_millis(200)).await;
                    }
                } => {}
            }
        })
        .await
    });
    let loaded = loaded.await.expect("all are closed");
    let ((quiet_50, quiet_99), (loaded_50, loaded_99)) =
        (percentiles(&quiet), percentiles(&loaded));
    println!(
        "/status alone: p50 {quiet_50:?}, p99 {quiet_99:?} of {}; beside {} others: p50 {loaded_50:?}, \
         p99 {loaded_99:?} of {} ({:.1} times)",
        quiet.len(),
        4 * EACH,
        loaded.len(),
        loaded_99.as_secs_f64() / quiet_99.as_secs_f64(),
    );
    println!(
        "memory: {:.1} MiB before, {:.1} with all of them, {:.1} at most",
        mib(before),
        mib(open),
        mib(most)
    );
    assert!(loaded_99 < 10 * quiet_99.max(Duration::from_millis(20)), "{loaded_99:?}");
    assert!(most < before + (256 << 20), "{most} bytes");
    server.get("/healthz").await.expect(200);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_idle_connections_cost_next_to_nothing() {
    raise_files();
    let yard = Yard::new().processors();
    let server = yard.start().await;
    let before = server.process().memory();
    let count = 5000;
    let ask = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let mut raws = raws(count, server.host(), ask).await;
    for raw in &mut raws {
        assert!(raw.read_some().await.starts_with(b"HTTP/1.1 200 "));
    }
    let after = server.process().memory();
    let each = after.saturating_sub(before) / count as u64;
    println!(
        "{count} idle connections: {:.1} MiB before, {:.1} after, {each} bytes each",
        mib(before),
        mib(after)
    );
    assert!(each < 16 << 10, "{each} bytes for an idle connection");
    // They are still there: each is asked once more.
    for raw in &mut raws {
        assert!(raw.send(ask).await);
        assert!(raw.read_some().await.starts_with(b"HTTP/1.1 200 "));
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_files_to_open_connections_wait_and_are_served_later() {
    let yard = Yard::new().processors();
    let server = yard.start().await;
    let pid = rustix::process::Pid::from_raw(server.process().pid().cast_signed());
    let open = std::fs::read_dir(format!("/proc/{}/fd", server.process().pid())).unwrap().count();
    let limit = getrlimit(Resource::Nofile);
    let few = Rlimit { current: Some(open as u64 + 4), maximum: limit.maximum };
    let full = rustix::process::prlimit(pid, Resource::Nofile, few).unwrap();
    let host = server.host();
    // More than fit, each busy with a body that does not come.
    let busy = raws(
        20,
        host,
        b"PUT /upload/drill/slow HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n",
    )
    .await;
    fileyard_tests::until("it says so", Duration::from_secs(30), async || {
        server.process().said().contains("nothing can be accepted").then_some(())
    })
    .await;
    rustix::process::prlimit(pid, Resource::Nofile, full).unwrap();
    server.get("/healthz").await.expect(200);
    drop(busy);
    let said = server.stop().await;
    assert_eq!(said.matches("nothing can be accepted").count(), 1, "{said}");
}

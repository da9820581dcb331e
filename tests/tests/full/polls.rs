//! Ten thousand who wait for one job: all are answered when it ends, and it costs little.

use std::time::{Duration, Instant};

use fileyard_tests::{raw::Raw, until, yard::Yard};
use rustix::process::{Resource, getrlimit, setrlimit};

const MANY: usize = 10_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_long_polls_are_answered_when_the_job_ends() {
    // The server has as many as this process, which starts it.
    let mut files = getrlimit(Resource::Nofile);
    files.current = files.maximum;
    setrlimit(Resource::Nofile, files).unwrap();
    let enough = files.current.is_none_or(|files| files > MANY as u64 + 1000);
    assert!(enough, "at most {files:?} files are allowed here");

    let yard = Yard::new().processors();
    let server = yard.start().await;
    let job = server.accepted("drill/a.txt", "say a").await;
    let before = server.process().peak_memory();
    let mut polls = Vec::with_capacity(MANY);
    for _ in 0..MANY {
        let mut raw = Raw::connect(server.host()).await;
        let head = format!(
            "GET /status/{job}?wait=60 HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
            server.host()
        );
        assert!(raw.send(head.as_bytes()).await);
        polls.push(tokio::spawn(async move {
            let answer = raw.read_to_end().await;
            (Instant::now(), answer)
        }));
    }
    let open = format!("/proc/{}/fd", server.process().pid());
    until("all of them are connected", Duration::from_secs(120), async || {
        (std::fs::read_dir(&open).unwrap().count() > MANY).then_some(())
    })
    .await;
    assert!(polls.iter().all(|poll| !poll.is_finished()), "nobody is answered yet");
    let spent = cpu(server.process().pid());
    server.cancel(&job).await.expect(200);
    let ended = Instant::now();
    let mut took = Vec::with_capacity(MANY);
    for poll in polls {
        let (at, answer) = poll.await.unwrap();
        let text = String::from_utf8_lossy(&answer);
        assert!(text.starts_with("HTTP/1.1 200") && text.contains("\"cancelled\""), "{text}");
        took.push(at.saturating_duration_since(ended));
    }
    let spent = cpu(server.process().pid()) - spent;
    took.sort();
    let (middle, last) = (took[MANY / 2], took[MANY - 1]);
    let (each, peak) = (took[MANY * 99 / 100], server.process().peak_memory());
    println!(
        "{MANY} long polls: after the change half were answered within {middle:?}, 99 of 100 within \
         {each:?}, all within {last:?}, for {spent:?} of the server's CPU; its memory went from {} to {} MiB",
        before >> 20,
        peak >> 20
    );
    server.stop().await;
    yard.nothing_left().await;
}

/// How much of the CPU a process has had, in user and system.
fn cpu(pid: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let (_, fields) = stat.rsplit_once(')').unwrap();
    let fields: Vec<_> = fields.split_whitespace().collect();
    let ticks = |at: usize| fields[at].parse::<u64>().unwrap();
    // proc(5): utime and stime, in hundredths of a second.
    Duration::from_millis((ticks(11) + ticks(12)) * 10)
}

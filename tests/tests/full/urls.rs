//! The `urls` contract in real containers: what passes, what is refused, and what a server's death
//! leaves good.

use std::time::Duration;

use fileyard_tests::{
    LONG, thorough, until,
    yard::{On, Yard},
};
use futures::{StreamExt, stream};
use serde_json::{Value, json};

const DRILL: &str = "image = \"fileyard/drill:latest\"\npull = \"never\"\ngrace = \"1s\"";

on_both_stores! {
    the_sample_gives_the_same_by_addresses_as_by_directories
    an_output_is_the_jobs_wherever_the_server_died
}

/// A yard with `drill` by `urls` under its own name, `files` as it was, and more lines for it.
async fn yard(on: On, lines: &str) -> Yard {
    Yard::with_engine(on.open().await)
        .section("urls", &urls_section())
        .processor("drill", &format!("{DRILL}\ncontract = \"urls\"\n{lines}"))
        .processor(
            "stream",
            "image = \"fileyard/sample:latest\"\npull = \"never\"\ncontract = \"urls\"",
        )
}

/// A port of this story's own: others serve networks of theirs at the same time.
fn urls_section() -> String {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    format!("port = {free}")
}

async fn the_sample_gives_the_same_by_addresses_as_by_directories(on: On) {
    let yard = yard(on, "").await;
    let server = yard.start().await;
    let table = "name,price\na,1\nb,2.5\n".repeat(1000);
    let by_urls = server.accepted("stream/a%20table.csv", table.clone()).await;
    let by_files = server.accepted("sample/a%20table.csv", table).await;
    let (by_urls, by_files) =
        (server.ended(&by_urls, LONG).await, server.ended(&by_files, LONG).await);
    assert_eq!(by_urls["state"], "succeeded", "{by_urls:#}");
    assert_eq!(by_urls["result"], by_files["result"]);
    assert_eq!(names(&by_urls), names(&by_files));
    for (one, other) in outputs(&by_urls).iter().zip(outputs(&by_files)) {
        assert_eq!((&one["sha256"], &one["type"]), (&other["sha256"], &other["type"]));
        let bytes = server.get(one["url"].as_str().unwrap()).await.expect(200).body.clone();
        assert_eq!(bytes.len() as u64, one["size"]);
    }
    assert_eq!(by_urls["progress"]["fraction"], 1.0);
    yard.nothing_left().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_part_of_the_input_and_nothing_of_anybody_elses() {
    let yard = yard(On::Local, "").await;
    let server = yard.start().await;
    let one = server.accepted("drill/a.txt", "say here\nwait").await;
    server.job_until(&one, "it runs", |job| job["phase"] == "running").await;
    let address = address(&yard, "FILEYARD_INPUT_URL").await;
    let steps = format!(
        "get bytes=0-2\nget bytes=9999-\nrequest GET {address}\nrequest GET {}\nwrite a/b.txt mine",
        address.replace("/input", "/../../jobs")
    );
    let two = server.accepted("drill/b.txt", steps).await;
    let ended = server.ended(&two, LONG).await;
    assert_eq!(ended["state"], "succeeded", "{ended:#}");
    assert_eq!(names(&ended), ["a/b.txt"]);
    assert_eq!(server.output(&two, "a/b.txt").await, "mine");
    let said = server.log(&two).await;
    // "get", three bytes of it.
    assert!(said.contains("drill: get: 206, 3 bytes, sha256 "), "{said}");
    assert!(said.contains("drill: get: 416, "), "{said}");
    // Its own network has no way to the other's gateway; where nothing closes it, its own listener
    // is not the other's either.
    let other: Vec<_> = said.lines().filter(|line| line.starts_with("drill: request: ")).collect();
    assert_eq!(other.len(), 2, "{said}");
    assert!(other.iter().all(|line| !line.contains("request: 2")), "{said}");
    server.cancel(&one).await.expect(200);
    yard.nothing_left().await;
    let token = address.split('/').nth(4).unwrap();
    assert!(!server.process().said().contains(token), "no token is ever logged");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_its_limits_it_is_stopped_and_what_it_sent_goes() {
    let yard = yard(On::Local, "max_output_size = \"1MiB\"").await;
    let server = yard.start().await;
    // It is stopped as soon as it is over, perhaps before it has read the answer: it has its grace
    // to say what that was.
    let steps = "put a 600KiB 0s\nput b 600KiB 0s\nstubborn";
    let job = server.accepted("drill/a.txt", steps).await;
    let ended = server.ended(&job, LONG).await;
    assert_eq!(ended["reason"]["code"], "output_limit", "{ended:#}");
    let said = server.log(&job).await;
    assert!(said.contains("put a: 201") && said.contains("put b: 413"), "{said}");
    let job = server.accepted("drill/a.txt", "write a kept\nresult {\nexit 0").await;
    let ended = server.ended(&job, LONG).await;
    assert_eq!(ended["reason"]["code"], "exit", "the drill takes a refusal for a failure");
    let job = server.accepted("drill/a.txt", "write a kept\nexit 3").await;
    assert_eq!(server.ended(&job, LONG).await["reason"]["exit_code"], 3);
    yard.nothing_left().await;
}

/// Twenty containers stream while their server is killed and started again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_containers_outlive_their_server_and_their_addresses_with_them() {
    const CONTAINERS: usize = 20;
    let yard = yard(On::Local, "cpus = 0.2\nmemory = \"32MiB\"\ntmp = \"1MiB\"")
        .await
        .env("FILEYARD_CONCURRENCY", "20");
    let server = yard.start().await;
    let steps = "write before x\nsay started\nsleep 20s\nget all\nwrite after y\nresult {\"a\": 1}";
    let mut jobs = Vec::new();
    for n in 0..CONTAINERS {
        jobs.push(server.accepted(&format!("drill/{n}.txt"), steps).await);
    }
    for job in &jobs {
        until("it says so", Duration::from_secs(180), async || {
            (server.log(job).await == "started\n").then_some(())
        })
        .await;
    }
    server.kill().await;
    let containers = yard.containers().await;
    assert_eq!(containers.iter().filter(|it| it.state == "running").count(), CONTAINERS);
    let server = yard.start().await;
    let ended: Vec<_> =
        stream::iter(&jobs).then(|job| server.ended(job, Duration::from_secs(180))).collect().await;
    for (job, ended) in jobs.iter().zip(&ended) {
        assert_eq!(
            (&ended["state"], &ended["attempt"], &ended["result"]),
            (&"succeeded".into(), &1.into(), &json!({"a": 1})),
            "{ended:#}"
        );
        assert_eq!(names(ended), ["after", "before"]);
        assert_eq!(server.output(job, "before").await, "x");
        assert!(ended["events"].to_string().contains("adopted"), "{ended:#}");
        assert_eq!(server.log(job).await.matches("started").count(), 1);
    }
    yard.nothing_left().await;
}

/// Where an output's row and its bytes can part: a server dies there, and the container, which runs
/// on, sends again what it got no answer to.
async fn an_output_is_the_jobs_wherever_the_server_died(on: On) {
    for step in ["listening", "put-begun", "put-stored", "put-recorded"] {
        let yard = yard(on, "").await;
        let server = yard.start_failing_at(step).await;
        let steps = "write a text\nwrite b more\nresult {\"a\": 1}";
        let job = server.accepted("drill/a.txt", steps).await;
        server.killed_by_failpoint().await;
        let server = yard.start().await;
        let ended = server.ended(&job, LONG).await;
        assert_eq!(
            (&ended["state"], &ended["attempt"], &ended["result"]),
            (&"succeeded".into(), &1.into(), &json!({"a": 1})),
            "{step}: {ended:#}"
        );
        assert_eq!(names(&ended), ["a", "b"], "{step}");
        assert_eq!(server.output(&job, "a").await, "text", "{step}");
        yard.nothing_left().await;
        server.stop().await;
    }
}

/// The control: of a job whose program failed, none of what it sent stays; and the same look finds
/// what a job that succeeded keeps.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_that_fails_after_a_restart_is_run_again() {
    let yard = yard(On::Local, "").await;
    let server = yard.start().await;
    let job = server.accepted("drill/a.txt", "write a x\nsay started\nsleep 3s\nexit 1").await;
    until("it says so", LONG, async || (server.log(&job).await == "started\n").then_some(())).await;
    server.kill().await;
    let server = yard.start().await;
    let ended = server.ended(&job, LONG).await;
    assert_eq!((&ended["reason"]["code"], &ended["attempt"]), (&"exit".into(), &2.into()));
    assert!(ended["events"].to_string().contains("the server was away"), "{ended:#}");
    yard.nothing_left().await;
}

/// A file that fits neither into its container's memory nor on any disk of its.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_file_streams_through_a_small_container() {
    let size: u64 = if thorough() { 5 << 30 } else { 1 << 30 };
    let lines = "memory = \"64MiB\"\ntmp = \"1MiB\"\nmax_output_size = \"6GiB\"\n\
                 timeout = \"1h\"\nentrypoint = [\"/drill\"]\ncommand = [\"pipe\", \"copy\"]";
    let yard = yard(On::Local, lines).await;
    let server = yard.start().await;
    server.process().forget_peak();
    let piece = bytes::Bytes::from(vec![b'x'; 1 << 20]);
    let body = stream::iter((0..size >> 20).map(move |_| Ok::<_, std::io::Error>(piece.clone())));
    let request = server
        .request(reqwest::Method::PUT, "/upload/drill/large.bin")
        .timeout(Duration::from_secs(3600))
        .body(reqwest::Body::wrap_stream(body));
    let answer = server.must(request).await;
    let job = fileyard_tests::client::id(&answer.expect(202).json());
    let ended = server.ended(&job, Duration::from_secs(3600)).await;
    assert_eq!(ended["state"], "succeeded", "{ended:#}");
    let output = &outputs(&ended)[0];
    assert_eq!((&output["size"], &output["sha256"]), (&size.into(), &ended["input"]["sha256"]));
    println!(
        "{size} bytes through 64 MiB; the server's peak was {} KiB",
        server.process().peak_memory() >> 10
    );
    yard.nothing_left().await;
}

fn outputs(job: &Value) -> &[Value] {
    job["outputs"].as_array().map(Vec::as_slice).unwrap_or_default()
}

fn names(job: &Value) -> Vec<&str> {
    outputs(job).iter().map(|output| output["name"].as_str().unwrap()).collect()
}

/// A variable in the environment of the yard's one container.
async fn address(yard: &Yard, name: &str) -> String {
    let containers = yard.containers().await;
    yard.variable(&containers[0], name).await
}

//! Without an engine: uploads are taken, jobs wait, and everybody is told why.

use fileyard_tests::{client::id, yard::Yard};

#[tokio::test]
async fn jobs_wait_for_an_engine_and_say_so() {
    let yard = Yard::new().processors();
    let server = yard.start().await;
    let job = server.accepted("sample/a.txt", "some text").await;
    let waiting = server.job_until(&job, "it waits", |job| job["waiting_for"] == "engine").await;
    assert_eq!(waiting["state"], "queued");
    assert_eq!(waiting["attempt"], serde_json::Value::Null);

    let ready = server.get("/readyz").await;
    let ready = ready.expect(200).json();
    assert_eq!(ready["store"]["ok"], true);
    assert_eq!(ready["database"]["ok"], true);
    assert_eq!(ready["engine"]["ok"], false);
    let why = ready["engine"]["message"].as_str().unwrap();
    assert!(why.contains("no-engine.sock"), "it says which: {why}");

    let page = server.page("/").await.text();
    assert!(page.contains("no-engine.sock"), "the page says so: {page}");
    let page = server.page(&format!("/status/{job}")).await.text();
    assert!(page.contains("engine"), "the job's page says so: {page}");

    let cancelled = server.cancel(&job).await;
    assert_eq!(cancelled.expect(200).json()["state"], "cancelled");
    server.cancel(&job).await.problem(409, "conflict");
    server.stop().await;
    assert!(yard.violations().await.is_empty(), "{:?}", yard.violations().await);
}

#[tokio::test]
async fn without_a_processor_page_and_log_show_what_to_paste() {
    let yard = Yard::new();
    let server = yard.start().await;
    assert!(server.process().said().contains("[processors."), "{}", server.process().said());
    let page = server.page("/").await;
    assert!(page.expect(200).text().contains("[processors."), "{}", page.text());
    server.put("a.txt", "a").await.problem(404, "unknown_processor");
    server.stop().await;
}

#[tokio::test]
async fn a_restart_keeps_every_waiting_job_and_its_answer_to_the_byte() {
    let yard = Yard::new().processors();
    let server = yard.start().await;
    let mut jobs = Vec::new();
    for n in 0..5 {
        jobs.push(server.accepted(&format!("drill/{n}.txt"), format!("say {n}")).await);
    }
    for job in &jobs {
        server.cancel(job).await.expect(200);
    }
    let before = server.get(&format!("/status/{}", jobs[0])).await.text();
    let waiting = server.accepted("drill/last.txt", "say last").await;
    server.kill().await;

    let server = yard.start().await;
    assert_eq!(server.get(&format!("/status/{}", jobs[0])).await.text(), before);
    assert_eq!(server.job(&waiting).await["state"], "queued");
    let listed: Vec<_> = server.jobs().await.iter().map(id).collect();
    jobs.push(waiting);
    jobs.reverse();
    assert_eq!(listed, jobs, "newest first");
}

//! Uploads that are refused, cut off or strangely named; nothing of the refused ones is left.

use std::time::{Duration, Instant};

use bytes::Bytes;
use fileyard_tests::{
    client::{Part, encode, id},
    raw::{Raw, cut_form, cut_put},
    until,
    yard::Yard,
};
use serde_json::Value;

/// Waits until only what so many waiting jobs have is there.
async fn only_jobs_left(yard: &Yard, jobs: usize) {
    let from = Instant::now();
    loop {
        let mut wrong = yard.violations().await;
        // They wait, for there is no engine.
        wrong.retain(|what| !what.ends_with("is queued"));
        if wrong.is_empty() {
            break;
        }
        assert!(from.elapsed() < Duration::from_secs(30), "{wrong:?}");
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    assert_eq!(yard.rows().jobs.len(), jobs);
}

#[tokio::test]
async fn a_form_with_several_files_is_several_jobs_in_its_order() {
    let yard = Yard::new().processors();
    let server = yard.start().await;
    let parts = [
        Part::file("first.txt", "say 1"),
        Part::field("ignored", "whatever"),
        Part::file("", ""),
        Part::file("empty.txt", ""),
        Part::field("processor", "drill"),
        Part::file("last.txt", "say 3"),
    ];
    let answer = server.form(&parts).await;
    let body = answer.expect(202).json();
    let names: Vec<_> =
        body["jobs"].as_array().unwrap().iter().map(|job| &job["input"]["name"]).collect();
    assert_eq!(names, ["first.txt", "empty.txt", "last.txt"]);
    let batch = body["batch_id"].as_str().unwrap();
    assert_eq!(answer.header("location"), format!("/jobs?batch={batch}"));
    let listed = server.get(answer.header("location")).await.json();
    assert_eq!(listed["jobs"].as_array().unwrap().len(), 3);

    let one = server.form(&parts[..1]).await;
    let body = one.expect(202).json();
    assert_eq!(body["batch_id"], Value::Null);
    assert_eq!(one.header("location"), format!("/status/{}", id(&body["jobs"][0])));
    only_jobs_left(&yard, 4).await;
}

#[tokio::test]
async fn a_form_is_taken_as_a_whole_or_not_at_all() {
    let yard = Yard::new()
        .processors()
        .processor("text", "image = \"x\"\naccepts = [\"text/*\"]")
        .section("uploads", "max_size = \"1MiB\"\nmax_files = 4");
    let server = yard.start().await;
    let good = Part::file("a.txt", "good");
    let to = |name: &str| Part::field("processor", name);
    let png = Part::file("a.txt", &b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"[..]);

    let refused = server.form(&[good.clone(), to("nothing")]).await;
    let why = refused.problem(404, "unknown_processor");
    assert!(why.contains("nothing"), "{why}");
    assert_eq!(refused.json()["known"], serde_json::json!(["drill", "sample", "text"]));
    server.form(&[to("text"), good.clone(), png]).await.problem(415, "unsupported_type");
    let large = Part::file("b.txt", vec![b'x'; (1 << 20) + 1]);
    server.form(&[good.clone(), large]).await.problem(413, "too_large");
    server.form(&vec![good.clone(); 5]).await.problem(413, "too_large");
    server.form(&[Part::field("processor", "drill")]).await.problem(400, "no_file");
    server.form(&[Part::file("", "")]).await.problem(400, "no_file");
    let param = server.form(&[good.clone(), Part::field("param.none", "1")]).await;
    param.problem(422, "bad_param");

    let post = || server.request(reqwest::Method::POST, "/upload");
    let garbage = post().header("content-type", "multipart/form-data; boundary=x").body("garbage");
    server.must(garbage).await.problem(400, "bad_multipart");
    let (kind, body) = encode(std::slice::from_ref(&good));
    let short = post().header("content-type", kind).body(body[..body.len() - 20].to_vec());
    server.must(short).await.problem(400, "bad_multipart");
    server.must(post().body("no form")).await.problem(400, "bad_multipart");
    only_jobs_left(&yard, 0).await;
    server.form(&vec![good; 4]).await.expect(202);
    only_jobs_left(&yard, 4).await;
}

#[tokio::test]
async fn a_name_is_data_whatever_it_is() {
    let yard = Yard::new().processors();
    let server = yard.start().await;
    let long = "x".repeat(64 << 10);
    let names: [(&[u8], &str); 7] = [
        (b"../../etc/passwd", "../../etc/passwd"),
        (b"/etc/passwd", "/etc/passwd"),
        (b"C:\\a\\b.txt", "C:\\a\\b.txt"),
        (b"a\0b.txt", "a\u{fffd}b.txt"),
        (b"caf\xe9.txt", "caf\u{fffd}.txt"),
        ("größe \u{202e}.txt".as_bytes(), "größe \u{202e}.txt"),
        (b"<script>alert(1)</script>", "<script>alert(1)</script>"),
    ];
    for (sent, kept) in names {
        let answer = server.form(&[Part::file_named(sent, "say x")]).await;
        let job = answer.expect(202).json()["jobs"][0].clone();
        assert_eq!(job["input"]["name"], *kept);
        let page = server.page(&format!("/status/{}", id(&job))).await.text();
        assert!(!page.contains("<script>alert"), "escaped on the page");
        let input = server.get(job["input"]["url"].as_str().unwrap()).await;
        assert_eq!(input.expect(200).text(), "say x");
    }
    let jobs = names.len();
    let refused = server.form(&[Part::file(&long, "say x")]).await;
    refused.problem(400, "bad_multipart");
    // In a path a name comes percent-encoded; CR and LF too, which stay out of every header.
    let answer = server.put("drill/a%0d%0aX-Injected:%20yes", "say x").await;
    let job = answer.expect(202).json();
    assert_eq!(job["input"]["name"], "a\r\nX-Injected: yes");
    let input = server.get(job["input"]["url"].as_str().unwrap()).await;
    assert_eq!(input.header("x-injected"), "");
    let named = "inline; filename=\"a__X-Injected: yes\"";
    assert!(input.header("content-disposition").starts_with(named), "{input:?}");
    only_jobs_left(&yard, jobs + 1).await;
}

#[tokio::test]
async fn what_is_cut_off_leaves_nothing() {
    let yard = Yard::new().processors();
    let server = yard.start().await;
    let body = Bytes::from(vec![b'\n'; 300_000]);
    let (kind, form) = encode(&[Part::file("a.txt", "say a"), Part::file("b.txt", body.clone())]);
    for cut in [0, 1, 1000, 70_000, 299_999] {
        cut_put(server.host(), "/upload/drill/cut.txt", &body, cut).await;
        cut_form(server.host(), &kind, &form, cut).await;
    }
    // Cut within the last boundary: the files are whole, the form is not.
    cut_form(server.host(), &kind, &form, form.len() - 3).await;
    let seen = until("the uploads came", Duration::from_secs(30), async || {
        Some(yard.rows().uploads.len()).filter(|uploads| *uploads >= 13)
    })
    .await;
    assert!(seen <= 19, "{seen} uploads");
    only_jobs_left(&yard, 0).await;

    // The last byte is there, the client is not: its job is.
    let uploads = yard.rows().uploads.len();
    let mut raw = Raw::connect(server.host()).await;
    raw.put(server.host(), "/upload/drill/whole.txt", 5).await;
    raw.send(b"say ").await;
    until("the upload has begun", Duration::from_secs(30), async || {
        (yard.rows().uploads.len() > uploads).then_some(())
    })
    .await;
    raw.send(b"a").await;
    drop(raw);
    until("the job is there", Duration::from_secs(30), async || server.jobs().await.pop()).await;
    only_jobs_left(&yard, 1).await;
    server.stop().await;
    only_jobs_left(&yard, 1).await;
}

#[tokio::test]
async fn what_is_not_there_is_said_in_one_way() {
    let yard = Yard::new().processors();
    let server = yard.start().await;
    let none = "0199aaaa-bbbb-7ccc-8ddd-eeeeffff0000";
    for path in ["/status/x", "/jobs/x", "/status/%ff", &format!("/jobs/{none}/logs")] {
        server.get(path).await.problem(404, "unknown_job");
    }
    server.get("/nothing/here").await.problem(404, "not_found");
    server
        .must(server.request(reqwest::Method::DELETE, "/upload"))
        .await
        .problem(405, "method_not_allowed");
    server.cancel(none).await.problem(404, "unknown_job");
    server.put("nothing/a.txt", "a").await.problem(404, "unknown_processor");
    server.get("/jobs?state=done").await.problem(422, "bad_param");
}

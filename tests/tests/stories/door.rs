//! Who may ask the real program: with and without a key, by a strange name, from a page elsewhere.

use std::process::{Output, Stdio};

use fileyard_tests::{
    answer::Answer,
    server::Server,
    yard::{Yard, program},
};
use reqwest::Method;

const KEY: &str = "the-key-of-this-story";
/// What it takes to show that a key is shown.
const MIDDLE: &str = "key-of-this";

fn locked(listen: &str) -> Yard {
    let http = format!("listen = \"{listen}\"\napi_key = \"{KEY}\"");
    Yard::new().processors().section("http", &http)
}

async fn with(server: &Server, method: Method, path: &str, header: (&str, &str)) -> Answer {
    server.must(server.request(method, path).header(header.0, header.1).body("x")).await
}

/// Exit status, standard output and standard error of a client command.
fn client(yard: &Yard, server: &Server, args: &[&str], key: Option<&str>) -> (i32, String, String) {
    let mut command = program(yard.path());
    command.args(args).args(["--server", server.base()]).stdin(Stdio::null());
    if let Some(key) = key {
        command.env("FILEYARD_API_KEY", key);
    }
    let Output { status, stdout, stderr } = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

#[tokio::test(flavor = "multi_thread")]
async fn others_reach_it_only_with_the_key() {
    let yard = locked("0.0.0.0:0");
    let server = yard.start().await;
    server.get("/healthz").await.expect(200);
    server.get("/jobs").await.problem(401, "unauthorized");
    // Far more than any buffer between the two holds: the refusal arrives all the same.
    let large = server.put("drill/a", vec![b'x'; 32 << 20]).await;
    large.problem(401, "unauthorized");
    let bearer = format!("Bearer {KEY}");
    let ours = ("authorization", bearer.as_str());
    with(&server, Method::PUT, "/upload/drill/a", ours).await.expect(202);
    let list = with(&server, Method::GET, "/jobs", ours).await;
    assert_eq!(list.expect(200).json()["jobs"].as_array().unwrap().len(), 1);
    let said = server.stop().await;
    assert!(!said.contains(MIDDLE) && !said.contains("auth is"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_that_was_waived_is_said_loudly() {
    let yard = Yard::new().processors().section("http", "listen = \"0.0.0.0:0\"\nauth = \"none\"");
    let server = yard.start().await;
    server.put("drill/a", "x").await.expect(202);
    let said = server.stop().await;
    assert!(said.contains("WARN") && said.contains("http.auth is \"none\""), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn strange_names_and_strange_pages_are_refused() {
    let yard = Yard::new().processors();
    let server = yard.start().await;
    let rebound = with(&server, Method::GET, "/jobs", ("host", "evil.example")).await;
    rebound.problem(421, "forbidden_host");
    for origin in ["https://evil.example", "null"] {
        let answer = with(&server, Method::PUT, "/upload/drill/a", ("origin", origin)).await;
        answer.problem(403, "forbidden_origin");
    }
    let fetched = ("sec-fetch-site", "cross-site");
    let answer = with(&server, Method::PUT, "/upload/drill/a", fetched).await;
    answer.problem(403, "forbidden_origin");
    assert!(server.jobs().await.is_empty());
    let own = ("origin", server.base());
    with(&server, Method::PUT, "/upload/drill/a", own).await.expect(202);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_commands_say_that_they_need_a_key_and_take_one() {
    let yard = locked("127.0.0.1:0");
    let server = yard.start().await;
    std::fs::write(yard.path().join("a.txt"), "say a").unwrap();
    for command in [&["jobs"][..], &["submit", "a.txt"], &["status", "x"], &["cancel", "x"]] {
        let (status, out, err) = client(&yard, &server, command, None);
        assert_eq!((status, out.as_str()), (4, ""), "{command:?}: {err}");
        assert!(err.contains("--key") && err.contains("FILEYARD_API_KEY"), "{command:?}: {err}");
        let (status, _, err) = client(&yard, &server, command, Some("another-key-than-its"));
        assert_eq!(status, 4, "{command:?}: {err}");
        assert!(err.contains("not its key") && !err.contains("another-key"), "{command:?}: {err}");
    }
    let (status, id, err) = client(&yard, &server, &["submit", "a.txt", "-q"], Some(KEY));
    assert_eq!(status, 0, "{err}");
    let (status, shown, err) = client(&yard, &server, &["status", id.trim(), "--key", KEY], None);
    assert_eq!(status, 0, "{err}");
    assert!(shown.contains("queued") && !shown.contains(MIDDLE), "{shown}");
}

#[test]
fn check_says_who_may_ask_and_not_how() {
    for (http, who, warned) in [
        ("", "everybody on this machine, without a key", false),
        ("api_key = \"the-key-of-this-story\"", "whoever has the API key", false),
        ("listen = \"0.0.0.0:0\"\nauth = \"none\"", "everybody who reaches 0.0.0.0:0", true),
    ] {
        let yard = Yard::new().section("http", http);
        let file = yard.path().join("fileyard.toml");
        std::fs::write(&file, yard.config()).unwrap();
        let mut command = program(yard.path());
        let shown = command.args(["check", "--config"]).arg(&file).output().unwrap();
        let shown = String::from_utf8(shown.stdout).unwrap();
        assert!(shown.contains(who) && !shown.contains(MIDDLE), "{http}: {shown}");
        assert_eq!(shown.contains("http.auth is \"none\""), warned, "{http}: {shown}");
    }
}

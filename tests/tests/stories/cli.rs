//! The command line: what it refuses, and how it ends.

use std::{
    io::Write as _,
    path::Path,
    process::{Command, Output, Stdio},
};

use fileyard_tests::{
    client::id,
    yard::{Yard, program},
};
use serde_json::{Value, json};

fn run(mut command: Command) -> (i32, String, String) {
    let Output { status, stdout, stderr } = command.stdin(Stdio::null()).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (status.code().expect("an exit status"), text(stdout), text(stderr))
}

fn fileyard(dir: &Path, args: &[&str]) -> (i32, String, String) {
    let mut command = program(dir);
    command.args(args);
    run(command)
}

#[test]
fn wrong_usage_ends_2_and_says_what_is_right() {
    let dir = tempfile::tempdir().unwrap();
    for (args, said) in [
        (&["serv"][..], "serve"),
        (&["submit"], "<FILE>"),
        (&["status"], "<JOB>"),
        (&["jobs", "--limit"], "--limit"),
        (&["serve", "--no-such-option"], "--no-such-option"),
    ] {
        let (status, out, err) = fileyard(dir.path(), args);
        assert_eq!((status, out.as_str()), (2, ""), "{args:?}: {err}");
        assert!(err.contains(said), "{args:?} must name {said}: {err}");
    }
    let (status, out, _) = fileyard(dir.path(), &["--help"]);
    assert_eq!(status, 0);
    for command in ["serve", "check", "submit", "status", "logs", "jobs", "cancel", "retry"] {
        assert!(out.contains(command), "{command} is missing:\n{out}");
    }
}

#[test]
fn a_server_that_is_not_there_is_3_and_a_file_that_is_not_is_2() {
    let dir = tempfile::tempdir().unwrap();
    let nowhere = ["--server", "http://127.0.0.1:1"];
    for command in
        [&["jobs"][..], &["status", "x"], &["logs", "x"], &["cancel", "x"], &["retry", "x"]]
    {
        let (status, out, err) = fileyard(dir.path(), &[command, &nowhere].concat());
        assert_eq!((status, out.as_str()), (3, ""), "{command:?}: {err}");
        assert!(err.contains("http://127.0.0.1:1"), "it names the server: {err}");
    }
    let (status, _, err) = fileyard(dir.path(), &[&["submit", "none.txt"][..], &nowhere].concat());
    assert_eq!(status, 2, "{err}");
    assert!(err.contains("none.txt"), "it names the file: {err}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_commands_do_what_the_api_does() {
    let yard = Yard::new().processors();
    let server = yard.start().await;
    let at = |args: &[&str]| fileyard(yard.path(), &[args, &["--server", server.base()]].concat());
    std::fs::write(yard.path().join("one.txt"), "say one").unwrap();
    std::fs::write(yard.path().join("two.txt"), "say two").unwrap();

    let (status, out, err) = at(&["submit", "one.txt", "two.txt", "-q"]);
    assert_eq!((status, err.as_str()), (0, ""));
    let ids: Vec<_> = out.lines().collect();
    assert_eq!(ids.len(), 2, "the bare ids: {out}");
    assert_eq!(server.job(ids[0]).await["input"]["name"], "one.txt");

    let (status, out, _) = at(&["status", ids[0], "--json"]);
    assert_eq!(status, 0);
    let shown: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(shown["job_id"], ids[0]);
    assert_eq!(shown["state"], "queued");

    let (status, out, _) = at(&["jobs"]);
    assert_eq!(status, 0);
    assert!(ids.iter().all(|id| out.contains(id)), "{out}");

    let (status, _, err) = at(&["cancel", ids[1]]);
    assert_eq!(status, 0, "{err}");
    assert_eq!(server.job(ids[1]).await["state"], "cancelled");
    let (status, _, err) = at(&["cancel", ids[1]]);
    assert_eq!(status, 4, "the server refuses a second time: {err}");
    let (status, out, err) = at(&["retry", ids[1]]);
    assert_eq!(status, 0, "{err}");
    assert_eq!(server.job(out.trim()).await["retry_of"], ids[1]);
    let (status, _, err) = at(&["retry", ids[0]]);
    assert_eq!(status, 4, "it has not ended: {err}");
    let (status, _, err) = at(&["status", "nobody"]);
    assert_eq!(status, 4, "{err}");
    let (status, _, err) = at(&["submit", "one.txt", "-p", "nothing"]);
    assert_eq!(status, 4, "{err}");
    assert!(err.contains("drill") && err.contains("sample"), "it names the known ones: {err}");
}

#[tokio::test(flavor = "multi_thread")]
async fn standard_input_is_a_file_too_and_waiting_tells_by_its_status() {
    let yard = Yard::new().processors();
    let server = yard.start().await;
    let mut command = program(yard.path());
    command.args(["submit", "-", "--wait", "-q", "--server", server.base()]);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"say from a pipe").unwrap();
    let job = fileyard_tests::until("the job is there", fileyard_tests::LONG, async || {
        server.jobs().await.pop()
    })
    .await;
    server.cancel(&id(&job)).await.expect(200);
    let ended = tokio::task::spawn_blocking(move || child.wait_with_output().unwrap());
    let ended = ended.await.unwrap();
    assert_eq!(ended.status.code(), Some(1), "a cancelled job is no success");
    let input = server.get(&format!("/jobs/{}/input", id(&job))).await;
    assert_eq!(input.text(), "say from a pipe");
}

#[test]
fn check_says_what_is_missing_and_changes_nothing() {
    let yard = Yard::new().processors();
    let file = yard.path().join("fileyard.toml");
    std::fs::write(&file, yard.config()).unwrap();
    let mut command = program(yard.path());
    command.args(["check", "--json", "--config"]).arg(&file);
    let (status, out, err) = run(command);
    assert_eq!(status, 2, "there is no engine: {out}{err}");
    assert!(serde_json::from_str::<Value>(&out).is_ok_and(|shown| shown != json!(null)), "{out}");
    assert!(out.contains("no-engine.sock"), "it names the engine it looked for: {out}");
}

//! The client commands as a person runs them: the real program, against a server that answers what
//! a story needs. What a real server answers is told in the end-to-end stories.
#![allow(clippy::unwrap_used)]

mod images;
mod server;

use std::{
    io::{Read, Write},
    net::TcpListener,
    path::Path,
    process::{Command, Output, Stdio},
    thread,
};

use serde_json::{Value, json};

use self::server::{Reply, Server, send};

const JOB: &str = "01990000-0000-7000-8000-000000000001";

fn job(changes: &Value) -> Value {
    let mut job = json!({
        "job_id": JOB, "state": "succeeded", "phase": null, "processor": "sample", "params": {},
        "batch_id": null, "retry_of": null, "waiting_for": null, "attempt": 1,
        "created_at": "2026-01-02T03:04:05.678Z", "started_at": null, "finished_at": null,
        "progress": null, "reason": null,
        "input": {"name": "a.csv", "type": "text/csv", "size": 3, "sha256": "", "url": ""},
        "result": {"rows": 1}, "outputs": [], "events": [], "links": {}
    });
    job.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    job
}

fn output(name: &str, content: &str, sha256: &str) -> Value {
    json!({"name": name, "type": "text/plain", "size": content.len(), "sha256": sha256, "url": "/x"})
}

/// Of `hello`.
const HELLO: &str = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

fn fileyard(dir: &Path, server: &str, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fileyard"));
    command.args(args).current_dir(dir).env_clear().env("FILEYARD_SERVER", server);
    command.stdin(Stdio::null());
    command
}

/// Exit status, standard output, standard error.
fn told(command: &mut Command) -> (i32, String, String) {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

fn scratch() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("a ü#?.csv"), "a,b").unwrap();
    std::fs::write(dir.path().join("b.txt"), "hello").unwrap();
    dir
}

#[test]
fn nobody_there_is_3_and_wrong_usage_is_2() {
    let dir = scratch();
    // Bound and dropped: nobody listens there.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let nobody = format!("http://127.0.0.1:{port}");
    let run = |args: &[&str]| told(&mut fileyard(dir.path(), &nobody, args));
    for args in [
        &["status", "x"][..],
        &["status", "x", "--wait"],
        &["logs", "x"],
        &["logs", "x", "-f"],
        &["jobs"],
        &["cancel", "x"],
        &["submit", "b.txt"],
    ] {
        let (status, out, err) = run(args);
        assert_eq!((status, out.as_str()), (3, ""), "{args:?}");
        assert!(err.contains("could not be reached") && err.contains("fileyard serve"), "{err}");
    }
    let (status, _, err) = run(&["status", "x", "--json"]);
    assert_eq!(status, 3);
    assert_eq!(serde_json::from_str::<Value>(&err).unwrap()["code"], "unreachable");
    for (args, words) in [
        (&["submit"][..], "required"),
        (&["submit", "nowhere.txt"], "nowhere.txt: No such file"),
        (&["submit", "."], "is a directory"),
        (&["submit", "b.txt", "--param", "height"], "NAME=VALUE"),
        (&["submit", "b.txt", "--param", "a=1", "--param", "a=2"], "given twice"),
        (&["submit", "-", "-"], "once"),
        (&["submit", "b.txt", "-p", ".."], "cannot be part of an address"),
        (&["status"], "required"),
        (&["status", ""], "cannot be part of an address"),
        (&["status", "x", "--server", "127.0.0.1:8787"], "is not a server's address"),
        (&["jobs", "--limit", "0"], "0 is not in"),
        (&["frobnicate"], "unrecognized subcommand"),
    ] {
        let (status, out, err) = run(args);
        assert_eq!((status, out.as_str()), (2, ""), "{args:?}: {err}");
        assert!(err.contains(words), "{args:?}: {err}");
    }
}

#[test]
fn a_file_is_sent_as_it_is_and_its_job_is_the_only_output() {
    let dir = scratch();
    let server = Server::start(|_, _| Reply::Json(202, job(&json!({"state": "queued"}))));
    let args = ["submit", "a ü#?.csv", "-p", "sample", "--param", "height=720", "--key", "secret"];
    let ran = told(&mut fileyard(dir.path(), &server.url, &args));
    assert_eq!(ran, (0, format!("{JOB}\n"), String::new()));
    let [request] = server.requests().try_into().unwrap();
    assert_eq!(request.line, "PUT /upload/sample/a%20%C3%BC%23%3F.csv?param.height=720");
    assert_eq!(request.body, b"a,b");
    assert!(request.headers.contains("content-length: 3"));
    assert!(request.headers.contains("authorization: bearer secret"));
}

#[test]
fn standard_input_and_several_files_go_in_order() {
    let dir = scratch();
    let server = Server::start(|count, _| {
        let id = format!("01990000-0000-7000-8000-00000000000{count}");
        Reply::Json(202, job(&json!({"state": "queued", "job_id": id})))
    });
    let mut command = fileyard(
        dir.path(),
        &format!("{}/below/", server.url),
        &["submit", "b.txt", "-", "--json"],
    );
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the program is built");
    let sent = vec![b'x'; 3_000_000];
    child.stdin.take().unwrap().write_all(&sent).unwrap();
    let out = child.wait_with_output().unwrap();
    assert!(out.status.success());
    let out = String::from_utf8(out.stdout).unwrap();
    let ids =
        out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["job_id"].clone());
    let ends: Vec<String> = ids.map(|id| id.as_str().unwrap()[35..].to_owned()).collect();
    assert_eq!(ends, ["0", "1"]);
    assert_eq!(server.lines(), ["PUT /below/upload/b.txt", "PUT /below/upload/stdin"]);
    assert!(server.requests()[1].body == sent);
    assert!(server.requests()[1].headers.contains("transfer-encoding: chunked"));
}

#[test]
fn one_file_that_is_not_there_and_none_is_sent() {
    let dir = scratch();
    let server = Server::start(|_, _| Reply::Json(202, job(&json!({}))));
    let ran = told(&mut fileyard(dir.path(), &server.url, &["submit", "b.txt", "nowhere"]));
    assert_eq!((ran.0, ran.1.as_str()), (2, ""));
    assert!(server.requests().is_empty());
}

#[test]
fn a_refusal_is_4_with_its_title_and_detail() {
    let dir = scratch();
    let server = Server::start(|_, _| {
        Reply::Json(
            404,
            json!({"type": "about:blank", "title": "No such processor", "status": 404,
                   "detail": "there is no processor \"x\"", "code": "unknown_processor"}),
        )
    });
    let args = ["submit", "b.txt", "-p", "x"];
    let ran = told(&mut fileyard(dir.path(), &server.url, &args));
    let words = "No such processor: there is no processor \"x\"\n";
    assert_eq!(ran, (4, String::new(), words.to_owned()));
    let ran = told(&mut fileyard(dir.path(), &server.url, &["cancel", "x", "--json"]));
    assert_eq!(ran.0, 4);
    assert_eq!(serde_json::from_str::<Value>(&ran.2).unwrap()["code"], "unknown_processor");
}

#[test]
fn a_refusal_in_the_middle_of_an_upload_is_heard() {
    let dir = scratch();
    std::fs::File::create(dir.path().join("large")).unwrap().set_len(64 << 20).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.read_exact(&mut [0; 100_000]).unwrap();
        send(&mut stream, Reply::Json(413, json!({"title": "Too large", "status": 413})));
        // As a server does that wants its answer to arrive.
        let _ = std::io::copy(&mut stream, &mut std::io::sink());
    });
    let ran = told(&mut fileyard(dir.path(), &url, &["submit", "large"]));
    assert_eq!(ran, (4, String::new(), "Too large\n".to_owned()));
}

#[test]
fn another_program_on_that_port_is_said_to_be_one() {
    let dir = scratch();
    let server = Server::start(|_, _| Reply::Bytes(b"<html>".to_vec()));
    let (status, _, err) = told(&mut fileyard(dir.path(), &server.url, &["status", "x"]));
    assert_eq!(status, 4);
    assert!(err.contains("did not answer as fileyard does"), "{err}");
}

#[test]
fn waiting_lasts_until_the_end_and_through_a_restart() {
    let dir = scratch();
    let server = Server::start(|count, _| match count {
        0 => Reply::Json(202, job(&json!({"state": "queued"}))),
        1 => Reply::Json(200, job(&json!({"state": "running", "phase": "running"}))),
        2 => Reply::HangUp,
        3 => Reply::Json(503, json!({"title": "Not available right now", "status": 503})),
        _ => Reply::Json(
            200,
            job(&json!({"state": "failed", "result": null,
                        "reason": {"code": "exit", "exit_code": 3, "message": "it exited with 3"}})),
        ),
    });
    let ran = told(&mut fileyard(dir.path(), &server.url, &["submit", "b.txt", "--wait"]));
    assert_eq!((ran.0, ran.1), (1, format!("{JOB}\n")));
    assert!(ran.2.contains("failed (exit): it exited with 3"), "{}", ran.2);
    assert_eq!(server.requests().len(), 5);
    let ran = told(&mut fileyard(dir.path(), &server.url, &["status", JOB]));
    assert_eq!(ran.0, 0, "looking at a failed job is no failure");
}

#[test]
fn outputs_are_written_whole_and_below_the_directory() {
    let dir = scratch();
    let server = Server::start(|_, request| match request.line.as_str() {
        line if line.ends_with("/outputs/sub/a%20b.txt") => Reply::Bytes(b"hello".to_vec()),
        _ => Reply::Json(200, job(&json!({"outputs": [output("sub/a b.txt", "hello", HELLO)]}))),
    });
    let args = ["submit", "b.txt", "-q", "-o", "out"];
    let ran = told(&mut fileyard(dir.path(), &server.url, &args));
    assert_eq!(ran, (0, format!("{JOB}\n"), String::new()));
    let below = dir.path().join("out/sub");
    assert_eq!(std::fs::read_to_string(below.join("a b.txt")).unwrap(), "hello");
    assert_eq!(std::fs::read_dir(below).unwrap().count(), 1, "no temporary file is left");
}

#[test]
fn an_output_that_would_be_elsewhere_or_is_not_the_jobs_is_not_written() {
    for (name, content, status) in [
        ("../x", b"hello".to_vec(), 2),
        ("/tmp/fileyard-x", b"hello".to_vec(), 2),
        ("x", b"hellO".to_vec(), 3),
        ("x", b"hell".to_vec(), 3),
    ] {
        let dir = scratch();
        let server = Server::start(move |_, request| match request.line.contains("/outputs/") {
            true => Reply::Bytes(content.clone()),
            false => Reply::Json(200, job(&json!({"outputs": [output(name, "hello", HELLO)]}))),
        });
        let args = ["submit", "b.txt", "-q", "-o", "out"];
        let ran = told(&mut fileyard(dir.path(), &server.url, &args));
        assert_eq!(ran.0, status, "{name}: {}", ran.2);
        assert_eq!(std::fs::read_dir(dir.path().join("out")).unwrap().count(), 0, "{name}");
        assert!(!dir.path().join("x").exists() && !Path::new("/tmp/fileyard-x").exists());
    }
}

#[test]
fn jobs_are_a_table_or_what_came() {
    let dir = scratch();
    let page = json!({"jobs": [job(&json!({}))], "next": "abc"});
    let reply = page.clone();
    let server = Server::start(move |_, _| Reply::Json(200, reply.clone()));
    let args = ["jobs", "--state", "failed", "-n", "2"];
    let (status, out, err) = told(&mut fileyard(dir.path(), &server.url, &args));
    assert_eq!(status, 0);
    assert_eq!(out.lines().count(), 2);
    assert!(out.contains(JOB) && err.contains("--cursor abc"));
    assert_eq!(server.lines(), ["GET /jobs?state=failed&limit=2"]);
    let (_, out, _) = told(&mut fileyard(dir.path(), &server.url, &["jobs", "--json"]));
    assert_eq!(serde_json::from_str::<Value>(&out).unwrap(), page);
}

#[test]
fn a_log_is_followed_through_attempts_and_interruptions() {
    let dir = scratch();
    let server = Server::start(|count, _| match count {
        0 => Reply::Json(200, job(&json!({"state": "running", "attempt": 1}))),
        // Cut off in the middle, and told again from its begin.
        1 => Reply::CutShort(b"one\ntw".to_vec()),
        2 => Reply::Bytes(b"one\ntwo\n".to_vec()),
        3 => Reply::Json(200, job(&json!({"state": "running", "attempt": 2}))),
        4 => Reply::Bytes(b"three\n".to_vec()),
        _ => Reply::Json(200, job(&json!({"attempt": 2}))),
    });
    let ran = told(&mut fileyard(dir.path(), &server.url, &["logs", JOB, "-f"]));
    assert_eq!((ran.0, ran.1.as_str()), (0, "one\ntwo\nthree\n"), "{}", ran.2);
    assert_eq!(ran.2, "--- attempt 2 ---\n");
    let follow = |attempt| format!("GET /jobs/{JOB}/logs?attempt={attempt}&follow=1");
    let followed: Vec<String> =
        server.lines().into_iter().filter(|line| line.contains("/logs")).collect();
    assert_eq!(followed, [follow(1), follow(1), follow(2)]);
}

#[test]
fn whoever_reads_the_output_may_have_enough() {
    let dir = scratch();
    let server = Server::start(|_, _| Reply::Bytes(b"line\n".repeat(100_000)));
    let mut command = fileyard(dir.path(), &server.url, &["logs", JOB]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let out = child.wait_with_output().unwrap();
    assert_eq!(out.status.code(), Some(0));
    assert!(out.stderr.is_empty(), "{}", String::from_utf8_lossy(&out.stderr));
}

#[test]
fn check_names_the_place_of_what_is_wrong_and_makes_nothing() {
    let dir = scratch();
    std::fs::write(dir.path().join("fileyard.toml"), "[http]\nlisen = ''").unwrap();
    let ran = told(&mut fileyard(dir.path(), "", &["check"]));
    let words =
        "fileyard.toml:2: http.lisen: is not a key of the config; did you mean http.listen?\n";
    assert_eq!(ran, (2, String::new(), words.to_owned()));
    // No engine is there; all else would do.
    std::fs::write(
        dir.path().join("fileyard.toml"),
        "[http]\nlisten = '127.0.0.1:0'\n[engine]\nkind = 'docker'\ndocker_host = 'unix:///nowhere/docker.sock'",
    )
    .unwrap();
    let (status, out, _) = told(&mut fileyard(dir.path(), "", &["check", "--json"]));
    assert_eq!(status, 2);
    let report: Value = serde_json::from_str(&out).unwrap();
    let parts = report["parts"].as_array().unwrap().iter();
    let wrong: Vec<&Value> = parts.filter(|part| part["ok"] == false).collect();
    assert_eq!(wrong.len(), 1, "{report}");
    assert_eq!(wrong[0]["part"], "engine");
    assert!(wrong[0]["message"].as_str().unwrap().contains("engine.docker_host"), "{report}");
    assert!(!dir.path().join("fileyard-data").exists());
}

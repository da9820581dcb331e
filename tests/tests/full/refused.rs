//! Refusals that come while the client still sends far more than any buffer holds: curl and a
//! browser show the answer, not a broken connection.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::Stdio,
};

use fileyard_tests::{browser::Browser, server::Server, yard::Yard};
use serde_json::Value;
use tokio::process::Command;

/// More than is ever read on of a refused body.
const LARGE: u64 = 200 << 20;

async fn yard() -> (Yard, Server, PathBuf) {
    let yard = Yard::new()
        .processors()
        .processor("text", "image = \"x\"\naccepts = [\"text/*\"]")
        .processor("any", "image = \"x\"")
        .section("uploads", "max_size = \"100MiB\"");
    let server = yard.start().await;
    let file = yard.path().join("large.bin");
    // Zeros, of which there are none on the disk.
    File::create(&file).unwrap().set_len(LARGE).unwrap();
    (yard, server, file)
}

/// What curl makes of it: its exit status, the answer's status and its code.
async fn curl(server: &Server, arguments: &[&str], path: &str) -> (i32, u16, String) {
    let mut command = Command::new("curl");
    command.args(["-s", "--max-time", "60", "-w", "\n%{http_code}"]).args(arguments);
    command.arg(format!("{}{path}", server.base()));
    let out = command.output().await.expect("curl is there");
    let text = String::from_utf8_lossy(&out.stdout);
    let (body, status) = text.rsplit_once('\n').expect("a status");
    let body: Value = serde_json::from_str(body).unwrap_or_default();
    let code = body["code"].as_str().unwrap_or("no answer").to_owned();
    (out.status.code().unwrap(), status.parse().unwrap(), code)
}

async fn nothing_is_left(yard: &Yard, server: Server) {
    assert_eq!(server.jobs().await.len(), 0);
    server.stop().await;
    assert!(yard.violations().await.is_empty(), "{:?}", yard.violations().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn curl_shows_why_its_file_is_not_taken() {
    let (yard, server, file) = yard().await;
    let (raw, form) = (file.display().to_string(), format!("file=@{}", file.display()));
    let small = yard.path().join("small.bin");
    File::create(&small).unwrap().set_len(90 << 20).unwrap();
    let (raw_type, form_type) = (small.display().to_string(), format!("file=@{}", small.display()));
    for (arguments, path, status, code) in [
        (["-T", &raw], "/upload/any/a", 413, "too_large"),
        (["-F", &form], "/upload?processor=any", 413, "too_large"),
        (["-T", &raw_type], "/upload/text/a", 415, "unsupported_type"),
        (["-F", &form_type], "/upload?processor=text", 415, "unsupported_type"),
        (["-T", &raw], "/upload/nope/a", 404, "unknown_processor"),
        (["-F", &form], "/upload?processor=nope", 404, "unknown_processor"),
        (["-T", &raw], "/nothing/is/here", 404, "not_found"),
        (["-F", &form], "/nothing/is/here", 404, "not_found"),
        (["-T", &raw], "/jobs", 405, "method_not_allowed"),
    ] {
        for more in [
            // Waits to be told to go on.
            &["-H", "Expect: 100-continue", "--expect100-timeout", "30"][..],
            &["-H", "Expect:"],
            // Without a length.
            &["-H", "Expect:", "-H", "Transfer-Encoding: chunked"],
        ] {
            let arguments = [&arguments[..], more].concat();
            let shown = curl(&server, &arguments, path).await;
            assert_eq!(shown, (0, status, code.to_owned()), "curl {arguments:?} {path}");
        }
    }
    nothing_is_left(&yard, server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pipe_without_an_end_is_refused_as_well() {
    let (yard, server, _) = yard().await;
    for (path, status) in [("/upload/any/a", 413), ("/upload/text/a", 415), ("/nothing", 404)] {
        let mut zeros = std::process::Command::new("head");
        zeros.args(["-c", "10G", "/dev/zero"]).stdout(Stdio::piped());
        let mut zeros = zeros.spawn().unwrap();
        let mut command = Command::new("curl");
        command.args(["-s", "-T", "-", "-o", "/dev/null", "-w", "%{http_code}"]);
        command.arg(format!("{}{path}", server.base())).stdin(zeros.stdout.take().unwrap());
        let out = command.output().await.unwrap();
        zeros.kill().unwrap();
        zeros.wait().unwrap();
        assert_eq!(String::from_utf8_lossy(&out.stdout), status.to_string(), "{path}");
    }
    nothing_is_left(&yard, server).await;
}

/// Sends `file` by the form of `processor`, and waits for a page or a line that says `why`.
async fn refused(browser: &mut Browser, server: &Server, processor: &str, file: &Path, why: &str) {
    browser.go(&format!("{}/?processor={processor}", server.base())).await;
    browser.choose("input[type=file]", &[file]).await;
    browser.click("button[type=submit]").await;
    let why = format!("document.body.innerText.toLowerCase().includes({why:?})");
    browser.wait_for(&why).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browser_shows_why_its_file_is_not_taken() {
    let (yard, server, large) = yard().await;
    let wrong = yard.path().join("wrong.bin");
    File::create(&wrong).unwrap().set_len(90 << 20).unwrap();
    for scripts in [false, true] {
        let mut browser = Browser::start().await;
        browser.scripts(scripts).await;
        refused(&mut browser, &server, "any", &large, "104857600 bytes").await;
        refused(&mut browser, &server, "text", &wrong, "application/octet-stream").await;
    }
    nothing_is_left(&yard, server).await;
}

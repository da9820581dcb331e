//! The whole way, with curl: a file in, its result out.

use std::{path::Path, process::Command};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use fileyard_tests::{
    LONG,
    client::id,
    server::Server,
    shell::curl,
    yard::{On, Yard},
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

on_both_stores! {
    a_form_with_three_files_by_curl
    a_file_by_curl_as_it_is
    params_reach_the_program
}

const TEXT: &str = "the quick brown fox\njumps over the lazy dog\n";
const CSV: &str = "name,price\napple,1\npear,2.5\nplum,4\n";
const PNG: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn write_samples(dir: &Path) {
    std::fs::write(dir.join("words.txt"), TEXT).unwrap();
    std::fs::write(dir.join("prices.csv"), CSV).unwrap();
    std::fs::write(dir.join("dot.png"), BASE64_STANDARD.decode(PNG).unwrap()).unwrap();
}

/// What a job says of its input and outputs is what is read back.
async fn files_are_right(server: &Server, job: &Value) {
    let outputs = job["outputs"].as_array().unwrap();
    for file in outputs.iter().chain([&job["input"]]) {
        let read = server.get(file["url"].as_str().unwrap()).await;
        assert_eq!(read.expect(200).body.len(), file["size"], "{file}");
        assert_eq!(digest(&read.body), file["sha256"], "{file}");
    }
}

async fn a_form_with_three_files_by_curl(on: On) {
    let yard = Yard::with_engine(on.open().await);
    let server = yard.start().await;
    write_samples(yard.path());
    let url = format!("{}/upload", server.base());
    let answer = curl(
        yard.path(),
        &[
            "-F",
            "file=@words.txt",
            "-F",
            "file=@prices.csv",
            "-F",
            "processor=sample",
            "-F",
            "file=@dot.png",
            &url,
        ],
    );
    let answer: Value = serde_json::from_str(&answer).unwrap();
    let mut jobs = Vec::new();
    for job in answer["jobs"].as_array().unwrap() {
        let job = server.ended(&id(job), LONG).await;
        assert_eq!(job["state"], "succeeded", "{job:#}");
        assert_eq!((&job["attempt"], &job["batch_id"]), (&json!(1), &answer["batch_id"]));
        files_are_right(&server, &job).await;
        let said = server.log(&id(&job)).await;
        assert!(said.starts_with("sample-go-processor: start"), "{said}");
        jobs.push(job);
    }
    let [text, table, image] = &jobs[..] else { panic!("{} jobs", jobs.len()) };
    assert_eq!(text["result"]["text"]["words"], 9);
    assert_eq!(text["result"]["digests"]["sha256"], digest(TEXT.as_bytes()));
    assert_eq!(table["result"]["table"]["rows"], 3);
    assert_eq!(table["result"]["table"]["columns"][1]["max"], 4);
    assert_eq!(image["result"]["image"]["width"], 1);
    let thumbnail = server.output(&id(image), "thumbnail.png").await;
    assert!(thumbnail.starts_with(b"\x89PNG"));
    let page = server.page(&format!("/status/{}", id(image))).await;
    assert!(page.expect(200).text().contains("thumbnail.png"));
    yard.nothing_left().await;
    server.stop().await;
    yard.nothing_left().await;
}

async fn a_file_by_curl_as_it_is(on: On) {
    let yard = Yard::with_engine(on.open().await);
    let server = yard.start().await;
    write_samples(yard.path());
    let to = format!("{}/upload/sample/", server.base());
    let answer: Value =
        serde_json::from_str(&curl(yard.path(), &["-T", "prices.csv", &to])).unwrap();
    let job = server.ended(&id(&answer), LONG).await;
    assert_eq!(job["result"]["kind"], "table", "{job:#}");

    // From a pipe curl sends it in chunks, of a length that nobody knows.
    let chunked = ["-T", ".", "-H", "Expect:"];
    let to = format!("{to}piped.bin");
    let mut command = Command::new("curl");
    command.args(["-sS", "--fail-with-body", "--noproxy", "*"]).args(chunked).arg(to);
    let large: Vec<u8> = (0..3_000_000_u32).flat_map(u32::to_be_bytes).collect();
    std::fs::write(yard.path().join("large.bin"), &large).unwrap();
    command.stdin(std::fs::File::open(yard.path().join("large.bin")).unwrap());
    let done = command.output().unwrap();
    assert!(done.status.success(), "{done:?}");
    let answer: Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(answer["input"]["sha256"], digest(&large));
    let job = server.ended(&id(&answer), LONG).await;
    assert_eq!(job["result"]["digests"]["sha256"], digest(&large), "{job:#}");
    files_are_right(&server, &job).await;
    yard.nothing_left().await;
}

async fn params_reach_the_program(on: On) {
    let processor = "image = \"fileyard/drill:latest\"\npull = \"never\"\n\
         command = [\"say\", \"{param.word} {stem} {input} {out}\", \"probe\"]\nenv = { HOME = \"/out\" }\n\
         params.word = { type = \"string\", enum = [\"good\", \"bad\"], default = \"good\" }\n\
         params.times = { type = \"integer\", min = 1, max = 9, default = 2 }";
    let yard = Yard::with_engine(on.open().await).processor("echo", processor);
    let server = yard.start().await;
    let job = server.accepted("echo/my%20notes.txt?param.word=bad&param.times=7", "x").await;
    let job = server.ended(&job, LONG).await;
    assert_eq!(job["state"], "succeeded", "{job:#}");
    assert_eq!(job["params"], json!({"word": "bad", "times": 7}));
    let said = server.log(&id(&job)).await;
    let (line, _) = said.split_once('\n').unwrap();
    let input = line.split(' ').nth(2).unwrap();
    assert!(
        input.starts_with("/in/") && line.starts_with("bad ") && line.ends_with(" /out"),
        "{line}"
    );
    let probe = job["result"].to_string();
    for wanted in ["FILEYARD_PARAM_TIMES=7", "FILEYARD_INPUT_NAME=my notes.txt", "HOME=/out"] {
        let pair = wanted.replacen('=', "\":\"", 1);
        assert!(probe.contains(wanted) || probe.contains(&pair), "{wanted} in {probe}");
    }
    let refused = server.put("echo/a.txt?param.times=10", "x").await;
    let why = refused.problem(422, "bad_param");
    assert!(why.contains("times"), "{why}");
    yard.nothing_left().await;
}

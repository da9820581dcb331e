//! The stock tools of `examples/`, by their own configs and images: by the form, by curl, and by
//! the command line; with names and params that are made to be misread.

mod film;
mod picture;
mod text;

use std::time::Duration;

use bytes::Bytes;
use fileyard_tests::{
    client::{Part, id},
    server::Server,
    shell::{curl, fileyard},
    yard::Yard,
};
use serde_json::Value;

/// An encoder beside many other stories takes its time.
const LONG: Duration = Duration::from_secs(240);

/// Names that some program, shell or header would take for something else.
const NAMES: [&str; 9] = [
    "-rf",
    "--help",
    "; rm -rf *",
    "$(touch x)",
    "`id`|id>&2",
    "@list\nsecond line",
    "a\" b'",
    "ünï 日本",
    "concat:a%d*?[b]",
];

/// Texts that some program or shell would take for more than a value.
const TEXTS: [&str; 8] = [
    "-delete",
    "--output=/out/other",
    "@/etc/passwd",
    ";id",
    "$(id)",
    "`id`",
    "+RTS -h -RTS",
    "' | id > /out/x; '\"",
];

/// A job of one example, by each of the three ways.
struct Ways {
    /// A form, sent by curl.
    form: Value,
    /// The file as it is, sent by curl.
    put: Value,
    /// `fileyard submit --wait -o`, and what it wrote.
    submit: Value,
    written: Vec<(String, Vec<u8>)>,
}

/// One file, each way with its own params, to jobs that must succeed.
async fn three_ways(
    yard: &Yard,
    server: &Server,
    processor: &str,
    file: &str,
    params: [&[(&str, &str)]; 3],
) -> Ways {
    let (dir, base) = (yard.path(), server.base());
    let [form, put, submit] = params;
    let (upload, from) = (format!("{base}/upload"), format!("file=@{file}"));
    let fields: Vec<String> = form.iter().map(|(k, v)| format!("param.{k}={v}")).collect();
    let mut args = vec!["-F", &from];
    args.extend(fields.iter().flat_map(|field| ["--form-string", field]));
    args.push(&upload);
    let answer: Value = serde_json::from_str(&curl(dir, &args)).unwrap();
    let form = succeeded(server, &id(&answer["jobs"][0])).await;

    let to = format!("{base}/upload/{processor}/{file}{}", query(put));
    let answer: Value = serde_json::from_str(&curl(dir, &["-T", file, &to])).unwrap();
    let put = succeeded(server, &id(&answer)).await;

    let given: Vec<String> = submit.iter().map(|(k, v)| format!("{k}={v}")).collect();
    let mut args = vec!["submit", file, "-p", processor, "--wait", "-q", "-o", "results"];
    args.extend(given.iter().flat_map(|param| ["--param", param]));
    args.extend(["--server", base]);
    let said = fileyard(dir, &args);
    let submit = succeeded(server, said.trim()).await;
    let mut written: Vec<_> = std::fs::read_dir(dir.join("results")).unwrap().flatten().collect();
    written.sort_by_key(std::fs::DirEntry::file_name);
    let read = |entry: &std::fs::DirEntry| {
        (entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).unwrap())
    };
    Ways { form, put, submit, written: written.iter().map(read).collect() }
}

async fn succeeded(server: &Server, job: &str) -> Value {
    let job = server.ended(job, LONG).await;
    assert_eq!(job["state"], "succeeded", "{job:#}\n{}", server.log(&id(&job)).await);
    job
}

/// The one output of a job: its name, and its bytes.
async fn output(server: &Server, job: &Value) -> (String, Bytes) {
    let outputs = job["outputs"].as_array().unwrap();
    let [output] = &outputs[..] else { panic!("one output, not {outputs:?}") };
    let name = output["name"].as_str().unwrap().to_owned();
    let bytes = server.output(&id(job), &name).await;
    (name, bytes)
}

/// Every byte of it in percents, so that nothing of it means anything to a URL.
fn percent(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

fn query(params: &[(&str, &str)]) -> String {
    let pairs: Vec<String> =
        params.iter().map(|(name, value)| format!("param.{name}={}", percent(value))).collect();
    if pairs.is_empty() { String::new() } else { format!("?{}", pairs.join("&")) }
}

/// A file under each of the names that are made to be misread, with `ending` after it: each is
/// processed as any other, and gives its one output.
async fn names_are_data(server: &Server, processor: &str, ending: &str, body: &[u8]) {
    let mut jobs = Vec::new();
    for name in NAMES {
        let name = format!("{name}{ending}");
        let body = Bytes::copy_from_slice(body);
        jobs.push((server.accepted(&format!("{processor}/{}", percent(&name)), body).await, name));
    }
    for (job, name) in jobs {
        let job = succeeded(server, &job).await;
        assert_eq!(job["input"]["name"], name);
        assert!(!output(server, &job).await.1.is_empty(), "{job:#}");
    }
}

/// Each of these is refused with 422 by its name, by the form and by PUT, and leaves no job.
async fn are_refused(server: &Server, to: &str, body: &[u8], params: &[(&str, &str)]) {
    let before = server.jobs().await.len();
    for (name, value) in params {
        let to = format!("{to}{}", query(&[(name, value)]));
        let told = server.put(&to, Bytes::copy_from_slice(body)).await.problem(422, "bad_param");
        assert!(told.contains(&format!("param.{name}")), "{value:?}: {told}");
        let file = Part::file("a.bin", Bytes::copy_from_slice(body));
        let form = [Part::field(&format!("param.{name}"), value), file];
        server.form(&form).await.problem(422, "bad_param");
    }
    assert_eq!(server.jobs().await.len(), before);
}

/// The form has these controls, as they stand in its HTML.
async fn form_has(server: &Server, controls: &[&str]) {
    let page = server.page("/").await.expect(200).text();
    for control in controls {
        assert!(page.contains(control), "{control} in {page}");
    }
}

//! One crash: a server dies at a named step, another starts on its data, and what it makes of it
//! is held against the promise.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::{
    client::id,
    raw::Raw,
    server::Server,
    until,
    yard::{On, Store, Yard},
};

/// A step that a server dies at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// One of the program's own failpoints, or `name:N` for the N-th time it is reached.
    Failpoint(&'static str),
    /// Some parts of an upload are in the store, and more is to come.
    Parts,
    /// The container runs.
    Running,
}

/// The steps at which an upload is not yet a job.
pub const UPLOAD: [Step; 3] =
    [Step::Failpoint("upload-row"), Step::Failpoint("mid-body:3"), Step::Failpoint("blob-stored")];

/// The steps of a job, in its order.
pub const JOB: [Step; 9] = [
    Step::Failpoint("committed"),
    Step::Failpoint("claimed"),
    Step::Failpoint("created"),
    Step::Failpoint("started"),
    Step::Running,
    Step::Failpoint("exited"),
    Step::Failpoint("mid-collect"),
    Step::Failpoint("before-commit"),
    Step::Failpoint("before-remove"),
];

/// Dies at `step` and recovers; how long that took, from the second start until nothing was left
/// to do. `broken` names a rule that the second server has switched off.
///
/// # Errors
/// Everything in which the promise was not kept.
pub async fn crash(step: Step, on: On, broken: Option<&str>) -> Result<Duration, Vec<String>> {
    let yard = Yard::with_engine(on.open().await);
    let acknowledged = die(&yard, step).await;
    let from = Instant::now();
    let server = match broken {
        Some(rule) => yard.start_with(&[("FILEYARD_BROKEN_RULE", rule)]).await,
        None => yard.start().await,
    };
    yard.settled(Duration::from_secs(if broken.is_some() { 20 } else { 60 })).await?;
    let took = from.elapsed();
    let mut wrong = kept(&server, step, acknowledged.as_deref()).await;
    // Nothing of it may come back either.
    server.stop().await;
    wrong.extend(yard.violations().await);
    if wrong.is_empty() { Ok(took) } else { Err(wrong) }
}

/// Starts a server, uploads, and returns when the server is dead: the job it acknowledged, if so.
async fn die(yard: &Yard, step: Step) -> Option<String> {
    match step {
        Step::Failpoint(name) => {
            let server = yard.start_failing_at(name).await;
            let answer = server.send(upload(&server)).await;
            server.killed_by_failpoint().await;
            let answer = answer.ok()?;
            answer.expect(202);
            Some(id(&answer.json()))
        }
        Step::Parts => {
            let server = yard.start().await;
            let mut raw = Raw::connect(server.host()).await;
            raw.put(server.host(), "/upload/drill/steps.txt", 40 << 20).await;
            raw.send(&vec![b'\n'; 12 << 20]).await;
            let Store::MinIo(minio) = yard.store() else { panic!("parts are on MinIO only") };
            until("a part is on MinIO's disk", crate::LONG, async || {
                minio.parts().iter().any(|file| file.contains("part.")).then_some(())
            })
            .await;
            server.kill().await;
            None
        }
        Step::Running => {
            let server = yard.start().await;
            let answer = server.must(upload(&server)).await;
            let job = id(&answer.expect(202).json());
            server.job_until(&job, "it runs", |job| job["phase"] == "running").await;
            until("it says so", crate::LONG, async || {
                server.log(&job).await.contains("started").then_some(())
            })
            .await;
            server.kill().await;
            Some(job)
        }
    }
}

fn upload(server: &Server) -> reqwest::RequestBuilder {
    // Comments, so that it comes in many pieces and, on S3, as several parts.
    let mut steps = b"say started\nsleep 2s\nwrite a.txt some text\nresult {\"a\": 1}\n".to_vec();
    steps.resize(11 << 20, b'\n');
    server.request(reqwest::Method::PUT, "/upload/drill/steps.txt").body(steps)
}

/// In what the promise was not kept.
async fn kept(server: &Server, step: Step, acknowledged: Option<&str>) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut must = |kept: bool, what: String| {
        if !kept {
            wrong.push(what);
        }
    };
    let jobs = server.jobs().await;
    let is_upload = UPLOAD.contains(&step) || step == Step::Parts;
    must(jobs.len() == usize::from(!is_upload), format!("{} jobs after {step:?}", jobs.len()));
    must(!is_upload || acknowledged.is_none(), format!("acknowledged before {step:?}"));
    if let Some(acknowledged) = acknowledged {
        let there = jobs.iter().any(|job| job["job_id"] == acknowledged);
        must(there, format!("{acknowledged} was acknowledged and is gone"));
    }
    for job in &jobs {
        let (name, said) = (id(job), server.log(&id(job)).await);
        must(job["state"] == "succeeded", format!("{name} is {}: {}", job["state"], job["reason"]));
        must(job["attempt"] == 1, format!("attempt {} of {name}", job["attempt"]));
        must(job["result"] == json!({"a": 1}), format!("{name} resulted in {}", job["result"]));
        let starts = said.matches("started").count();
        must(starts == 1, format!("{name} started {starts} times: {said}"));
        must(output(server, job).await == b"some text", format!("{name}'s output is another"));
    }
    wrong
}

async fn output(server: &Server, job: &Value) -> Vec<u8> {
    match job["outputs"].as_array().map(Vec::as_slice) {
        Some([one]) => server.get(one["url"].as_str().unwrap_or_default()).await.body.to_vec(),
        other => format!("{other:?}").into_bytes(),
    }
}

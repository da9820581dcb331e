//! Every way in which a container ends, each with its own reason; and nothing is left of any.

use std::time::Duration;

use fileyard_tests::{
    client::id,
    yard::{On, Yard},
};
use futures::future::join_all;
use serde_json::Value;

on_both_stores! { each_ending_has_its_reason }

/// What becomes of a job: its processor, what it is told to do, how it must end.
struct Ending {
    processor: &'static str,
    steps: &'static str,
    reason: &'static str,
    attempts: u32,
    also: fn(&Value, &str) -> bool,
}

const fn ending(processor: &'static str, steps: &'static str, reason: &'static str) -> Ending {
    Ending { processor, steps, reason, attempts: 1, also: |_, _| true }
}

impl Ending {
    const fn attempts(self, attempts: u32) -> Self {
        Self { attempts, ..self }
    }

    const fn also(self, also: fn(&Value, &str) -> bool) -> Self {
        Self { also, ..self }
    }
}

fn message(job: &Value) -> String {
    job["reason"]["message"].as_str().unwrap_or_default().to_owned()
}

fn all() -> Vec<Ending> {
    vec![
        ending("small", "say fine\nwrite sub/a.txt hello", "")
            .also(|job, _| job["outputs"][0]["name"] == "sub/a.txt" && job["result"].is_null()),
        ending("small", "flaky 2\nwrite a.txt done", "").attempts(2),
        ending("small", "oomchild 512MiB\nsay after", "").also(|_, said| said.contains("after")),
        ending("small", "say before\nwrite lost.txt x\nexit 3", "exit").also(|job, said| {
            job["reason"]["exit_code"] == 3
                && said == "before\n"
                && job["outputs"] == Value::Array(vec![])
        }),
        ending("small", "exit 75", "exit")
            .attempts(2)
            .also(|job, _| job["reason"]["exit_code"] == 75),
        ending("small", "signal 11", "signal").also(|job, _| message(job).contains("11")),
        // Unexplained, it may have been the host: once it is tried again, on nobody's account.
        ending("small", "signal 15", "signal").attempts(2),
        ending("small", "eat 512MiB", "out_of_memory"),
        ending("short", "say in\nstubborn", "timed_out").also(|_, said| said == "in\n"),
        ending("short", "wait", "timed_out").also(|_, said| said.contains("stopped by SIGTERM")),
        ending("small", "symlink a /etc/passwd", "bad_output")
            .also(|job, _| message(job).contains('a')),
        ending("small", "symlink result.json /etc/passwd", "bad_output"),
        ending("small", "symlink d /etc\nwrite d/x y", "exit"),
        ending("small", "hardlink a b", "bad_output"),
        ending("small", "fifo a", "bad_output"),
        ending("small", "socket a", "bad_output"),
        ending("small", "badname", "bad_output"),
        ending("small", "deep 40", "bad_output"),
        ending("small", "result {\"a\":", "bad_output"),
        ending("small", "write a.txt x\nchmod a.txt 0", "")
            .also(|job, _| job["outputs"][0]["size"] == 1),
        ending("small", "files 21", "output_limit"),
        ending("small", "fill big 2MiB", "output_limit"),
        ending("small", "fill a 600KiB\nfill b 600KiB", "output_limit"),
        ending("small", "sparse big 10GiB", "output_limit"),
        // Stopped while they run: by itself, none of these would end.
        ending("small", "files 21\nwait", "output_limit")
            .also(|_, said| said.contains("stopped by SIGTERM")),
        ending("small", "fill a 600KiB\nfill b 600KiB\nstubborn", "output_limit"),
        ending("small", "fork 0", "exit")
            .also(|job, said| job["reason"]["exit_code"] == 3 && said.contains("drill: forked")),
        ending("small", "no such verb", "exit").also(|job, _| job["reason"]["exit_code"] == 64),
        ending("imageless", "", "start_failed")
            .also(|job, _| message(job).contains("fileyard/none")),
        ending("commandless", "", "start_failed").also(|job, _| message(job).contains("/no/such")),
    ]
}

async fn each_ending_has_its_reason(on: On) {
    let small = "image = \"fileyard/drill:latest\"\npull = \"never\"\nmemory = \"64MiB\"\npids = 64\n\
                 retries = 1\nmax_outputs = 20\nmax_output_size = \"1MiB\"\ngrace = \"1s\"";
    let yard = Yard::with_engine(on.open().await)
        .processor("small", small)
        .processor("short", &format!("{small}\ntimeout = \"2s\""))
        .processor("imageless", "image = \"fileyard/none:latest\"\npull = \"never\"")
        .processor(
            "commandless",
            "image = \"fileyard/drill:latest\"\npull = \"never\"\nentrypoint = [\"/no/such\"]",
        );
    let server = yard.start().await;
    let endings = all();
    let mut jobs = Vec::new();
    for ending in &endings {
        jobs.push(server.accepted(&format!("{}/steps.txt", ending.processor), ending.steps).await);
    }
    let ended = join_all(jobs.iter().map(|job| server.ended(job, Duration::from_secs(180)))).await;
    let mut wrong = Vec::new();
    for (ending, job) in endings.iter().zip(&ended) {
        let said = server.log(&id(job)).await;
        let reason = job["reason"]["code"].as_str().unwrap_or_default();
        let state = if ending.reason.is_empty() { "succeeded" } else { "failed" };
        if reason != ending.reason
            || job["state"] != state
            || job["attempt"] != ending.attempts
            || !(ending.also)(job, &said)
        {
            wrong.push(format!(
                "{:?} should end as {:?}:\n{job:#}\n{said}",
                ending.steps, ending.reason
            ));
        }
        let page = server.page(&format!("/status/{}", id(job))).await;
        if !page.status.is_success() || !page.text().contains(reason) {
            wrong.push(format!("{:?}: its page does not say {reason:?}", ending.steps));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), endings.len(), wrong.join("\n\n"));
    yard.nothing_left().await;
    server.stop().await;
    yard.nothing_left().await;
}

//! The whole grid of a job's states and events, as one text to read and to compare.

#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::fmt::Write;

use super::{Budget, Change, Gone, Job, JobEvent, JobState, OwnerEvent, Phase, ReasonCode};
use crate::{
    attempt::{AttemptChange, AttemptEvent},
    clock::Timestamp,
    conformance::sample::{
        T0, adopt, claim, exited, fail, heartbeat, job, retry, stop, succeed, t,
    },
    id::Fence,
    job::{StopCause, WaitingFor},
};

/// Every cell is at this time: leases of the samples hold until 30 s.
const NOW: Timestamp = Timestamp(T0.0 + 10_000);

#[test]
fn the_whole_grid() {
    let mut grid = String::new();
    for from in states() {
        let from_name = name(&from);
        for (event_name, event) in events(from.fence) {
            let outcome = match from.apply(&event, NOW) {
                Ok(change) => format!("-> {}", describe(&from, &change)),
                Err(refusal) => format!("refused: {refusal}"),
            };
            writeln!(grid, "{from_name} + {event_name} {outcome}").unwrap();
        }
        grid.push('\n');
    }
    insta::assert_snapshot!(grid);
}

/// A job that went through `events`, one each millisecond.
fn after(events: &[JobEvent]) -> Job {
    (0..).zip(events).fold(job(), |job, (at, event)| job.apply(event, t(at)).unwrap().job)
}

fn states() -> Vec<Job> {
    let own = |event| JobEvent::Own(Fence(1), event);
    let (started, infra) = (own(OwnerEvent::Started), Budget::Infrastructure);
    vec![
        after(&[]),
        after(&[claim(), own(retry(infra, t(20_000)))]),
        after(&[claim()]),
        after(&[claim(), started.clone()]),
        after(&[claim(), started.clone(), own(stop())]),
        after(&[claim(), started.clone(), own(exited(0))]),
        after(&[claim(), started.clone(), own(exited(3))]),
        after(&[claim(), started.clone(), own(stop()), own(exited(0))]),
        after(&[claim(), started, own(exited(0)), own(succeed())]),
        after(&[claim(), own(fail(ReasonCode::StartFailed))]),
        after(&[claim(), JobEvent::Cancel]),
    ]
}

fn events(fence: Fence) -> Vec<(&'static str, JobEvent)> {
    let stale = Fence(fence.0 + 1);
    let own = |event| JobEvent::Own(fence, event);
    let other = StopCause::OutputLimit;
    vec![
        ("claim", claim()),
        ("adopt (lease expired)", adopt(fence, Gone::LeaseExpired)),
        ("adopt (lock held)", adopt(fence, Gone::LockHeld)),
        ("adopt from another", adopt(stale, Gone::LockHeld)),
        ("wait", JobEvent::Wait { on: Some(WaitingFor::Slot) }),
        ("cancel", JobEvent::Cancel),
        ("expire", JobEvent::Expire),
        ("heartbeat", own(heartbeat())),
        ("heartbeat of another", JobEvent::Own(stale, heartbeat())),
        ("leave", own(OwnerEvent::Leave)),
        ("started", own(OwnerEvent::Started)),
        ("stop", own(OwnerEvent::Stop { cause: other })),
        ("exited", own(exited(0))),
        ("succeed", own(succeed())),
        ("succeed of another", JobEvent::Own(stale, succeed())),
        ("fail (bad_output)", own(fail(ReasonCode::BadOutput))),
        ("fail (infrastructure)", own(fail(ReasonCode::Infrastructure))),
        ("retry (processor)", own(retry(Budget::Processor, t(20_000)))),
        ("retry (infrastructure)", own(retry(Budget::Infrastructure, t(900_000)))),
    ]
}

fn name(job: &Job) -> String {
    match &job.state {
        JobState::Queued { not_before: None, .. } => "queued".into(),
        JobState::Queued { not_before: Some(until), .. } => {
            format!("queued(not before +{} s)", until.since(t(0)).as_secs())
        }
        JobState::Running { phase, .. } => match phase {
            Phase::Starting => "starting".into(),
            Phase::Running => "running".into(),
            Phase::Stopping { cause } => format!("stopping({cause:?})"),
            Phase::Collecting { exit, cause: None } => format!("collecting(exit {})", exit.code),
            Phase::Collecting { exit, cause: Some(cause) } => {
                format!("collecting(exit {}, {cause:?})", exit.code)
            }
        },
        JobState::Succeeded { outputs, .. } => format!("succeeded({} outputs)", outputs.len()),
        JobState::Failed { reason } => format!("failed({})", reason.code.as_str()),
        JobState::Cancelled => "cancelled".into(),
    }
}

/// The state it is in then, and everything else that the change changes.
fn describe(from: &Job, change: &Change) -> String {
    let to = &change.job;
    let mut text = name(to);
    let counts = |job: &Job| {
        [
            ("fence", job.fence.0),
            ("attempt", job.attempt.map_or(0, |no| u64::from(no.0))),
            ("retries", u64::from(job.retries)),
            ("infrastructure", u64::from(job.infrastructure)),
            ("crashes", u64::from(job.crashes)),
        ]
    };
    for ((what, before), (_, now)) in counts(from).into_iter().zip(counts(to)) {
        if before != now {
            write!(text, "; {what} {before} -> {now}").unwrap();
        }
    }
    if from.started_at != to.started_at {
        text.push_str("; started_at");
    }
    if from.finished_at != to.finished_at {
        text.push_str("; finished_at");
    }
    if from.progress != to.progress {
        text.push_str("; progress");
    }
    for event in &to.events[from.events.len()..] {
        write!(text, "; says {:?}", event.kind).unwrap();
    }
    match &change.attempt {
        None => {}
        Some(AttemptChange::Begin(attempt)) => {
            write!(text, "; begins attempt {}", attempt.no).unwrap();
        }
        Some(AttemptChange::Apply(no, event)) => {
            let event = match event {
                AttemptEvent::Adopt { fence } => format!("is adopted by {fence}"),
                AttemptEvent::Exit { exit } => format!("exits with {}", exit.code),
                AttemptEvent::End { outcome } => format!("ends as {outcome:?}"),
                other => panic!("no job does this to its attempt: {other:?}"),
            };
            write!(text, "; attempt {no} {event}").unwrap();
        }
    }
    text
}

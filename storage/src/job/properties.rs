//! Random lives of a job, beside a model that knows no more than a few numbers.
//!
//! The model is written from the design's words, not from `apply`: where the two differ, one of them
//! is wrong.

#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{
    Budget, EventKind, Gone, Job, JobEvent, JobState, MAX_EVENTS, OwnerEvent, Phase, ReasonCode,
    StateName,
};
use crate::{
    attempt::{Attempt, AttemptChange, AttemptState, Contract},
    clock::Timestamp,
    conformance::sample::{exited, fail, heartbeat, job, retry, stop, succeed, t},
    id::{AttemptNo, Fence},
};

/// What somebody tries. A fence is so many behind the current one: 0 is the owner's.
#[derive(Debug, Clone)]
enum Try {
    Claim,
    Adopt { behind: u64, lock: bool },
    Wait,
    Cancel,
    Expire,
    Own { behind: u64, what: Own },
}

#[derive(Debug, Clone)]
enum Own {
    Heartbeat,
    Leave,
    Started,
    Stop,
    Exited(i64),
    Succeed,
    Fail(ReasonCode),
    Retry { infrastructure: bool, pause: i64 },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Queued,
    Starting,
    Running,
    Stopping,
    Collecting,
    Over,
}

/// The plain model.
#[derive(Debug)]
struct Plain {
    place: Place,
    not_before: i64,
    lease_until: i64,
    exit: i64,
    stopped: bool,
    fence: u64,
    attempt: u32,
    retries: (u32, u32),
    crashes: u32,
}

const LEASE: i64 = 30_000;
const LONGEST_PAUSE: i64 = 60_000;

impl Plain {
    /// Whether it may be, and if so, makes it so.
    fn attempt(&mut self, what: &Try, now: i64) -> bool {
        use Place::{Collecting, Over, Queued, Running, Starting, Stopping};
        let runs = matches!(self.place, Starting | Running | Stopping | Collecting);
        let is_current = |behind: u64| behind.min(self.fence) == 0;
        match what {
            Try::Claim => {
                if self.place != Queued || now < self.not_before {
                    return false;
                }
                (self.place, self.stopped) = (Starting, false);
                (self.fence, self.attempt) = (self.fence + 1, self.attempt + 1);
                self.lease_until = now + LEASE;
            }
            Try::Adopt { behind, lock } => {
                if !runs || !is_current(*behind) || !(*lock || now >= self.lease_until) {
                    return false;
                }
                // Whoever had it died with nothing running that could be taken over.
                self.crashes += u32::from(matches!(self.place, Starting | Collecting));
                self.fence += 1;
                self.lease_until = now + LEASE;
            }
            Try::Wait => return self.place == Queued,
            Try::Cancel => {
                if self.place == Over {
                    return false;
                }
                (self.place, self.fence) = (Over, self.fence + 1);
            }
            Try::Expire => {
                if self.place != Queued {
                    return false;
                }
                self.place = Over;
            }
            Try::Own { behind, .. } if !runs || !is_current(*behind) => return false,
            Try::Own { what, .. } => return self.own(what, now),
        }
        true
    }

    fn own(&mut self, what: &Own, now: i64) -> bool {
        use Place::{Collecting, Over, Queued, Running, Starting, Stopping};
        match (what, self.place) {
            (Own::Heartbeat, _) => self.lease_until = now + LEASE,
            (Own::Leave, _) => (self.lease_until, self.crashes) = (now, 0),
            (Own::Started, Starting) => (self.place, self.crashes) = (Running, 0),
            (Own::Stop, Running) => (self.place, self.stopped) = (Stopping, true),
            (Own::Exited(code), Starting | Running | Stopping) => {
                (self.place, self.exit) = (Collecting, *code);
            }
            (Own::Succeed, Collecting) if self.exit == 0 && !self.stopped => self.place = Over,
            (Own::Fail(_), Starting | Collecting)
            | (Own::Fail(ReasonCode::Infrastructure), Running | Stopping) => self.place = Over,
            (Own::Retry { infrastructure, pause }, _) => {
                (self.place, self.crashes) = (Queued, 0);
                self.not_before = now + (*pause).min(LONGEST_PAUSE);
                let (processors, infrastructures) = &mut self.retries;
                *if *infrastructure { infrastructures } else { processors } += 1;
            }
            _ => return false,
        }
        true
    }
}

fn event(what: &Try, job: &Job, now: Timestamp) -> JobEvent {
    let lease_until = Timestamp(now.0 + LEASE);
    let fence = |behind: u64| Fence(job.fence.0.saturating_sub(behind));
    match what {
        Try::Claim => JobEvent::Claim {
            engine: "fake".into(),
            contract: Contract::Files,
            image: None,
            lease_until,
        },
        Try::Adopt { behind, lock } => {
            let gone = if *lock { Gone::LockHeld } else { Gone::LeaseExpired };
            JobEvent::Adopt { from: fence(*behind), gone, lease_until }
        }
        Try::Wait => JobEvent::Wait { on: None },
        Try::Cancel => JobEvent::Cancel,
        Try::Expire => JobEvent::Expire,
        Try::Own { behind, what } => {
            let event = match what {
                Own::Heartbeat => match heartbeat() {
                    OwnerEvent::Heartbeat { elapsed, progress, .. } => {
                        OwnerEvent::Heartbeat { lease_until, elapsed, progress }
                    }
                    other => other,
                },
                Own::Leave => OwnerEvent::Leave,
                Own::Started => OwnerEvent::Started,
                Own::Stop => stop(),
                Own::Exited(code) => exited(*code),
                Own::Succeed => succeed(),
                Own::Fail(code) => fail(*code),
                Own::Retry { infrastructure, pause } => {
                    let budget =
                        if *infrastructure { Budget::Infrastructure } else { Budget::Processor };
                    retry(budget, Timestamp(now.0 + pause))
                }
            };
            JobEvent::Own(fence(*behind), event)
        }
    }
}

fn place(job: &Job) -> Place {
    match (job.state.name(), job.phase()) {
        (StateName::Queued, _) => Place::Queued,
        (_, Some(Phase::Starting)) => Place::Starting,
        (_, Some(Phase::Running)) => Place::Running,
        (_, Some(Phase::Stopping { .. })) => Place::Stopping,
        (_, Some(Phase::Collecting { .. })) => Place::Collecting,
        _ => Place::Over,
    }
}

fn any_try() -> impl Strategy<Value = Try> {
    let code = prop_oneof![Just(ReasonCode::BadOutput), Just(ReasonCode::Infrastructure)];
    let own = prop_oneof![
        3 => Just(Own::Heartbeat),
        1 => Just(Own::Leave),
        6 => Just(Own::Started),
        2 => Just(Own::Stop),
        6 => prop_oneof![3 => Just(0), 1 => Just(3_i64)].prop_map(Own::Exited),
        1 => Just(Own::Succeed),
        1 => code.prop_map(Own::Fail),
        4 => (any::<bool>(), 0..90_000_i64)
            .prop_map(|(infrastructure, pause)| Own::Retry { infrastructure, pause }),
    ];
    let behind = || prop_oneof![5 => Just(0_u64), 1 => 1..4_u64];
    prop_oneof![
        40 => Just(Try::Claim),
        20 => (behind(), any::<bool>()).prop_map(|(behind, lock)| Try::Adopt { behind, lock }),
        5 => Just(Try::Wait),
        1 => Just(Try::Cancel),
        1 => Just(Try::Expire),
        120 => (behind(), own).prop_map(|(behind, what)| Try::Own { behind, what }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_life_is_as_the_plain_model_has_it(
        tries in prop::collection::vec((any_try(), 0..20_000_i64), 0..120),
    ) {
        let mut plain = Plain {
            place: Place::Queued, not_before: i64::MIN, lease_until: 0, exit: 0, stopped: false,
            fence: 0, attempt: 0, retries: (0, 0), crashes: 0,
        };
        let (mut job, mut now) = (job(), t(0));
        let mut attempts = BTreeMap::<AttemptNo, Attempt>::new();
        for (what, later) in &tries {
            now = Timestamp(now.0 + later);
            let before = job.clone();
            let permitted = plain.attempt(what, now.0);
            match job.apply(&event(what, &job, now), now) {
                Err(refusal) => prop_assert!(!permitted, "{before:?} {what:?}: {refusal}"),
                Ok(change) => {
                    prop_assert!(permitted, "{before:?} permitted {what:?}");
                    follow(&mut attempts, change.attempt)?;
                    job = change.job;
                }
            }
            prop_assert_eq!(place(&job), plain.place);
            prop_assert_eq!(job.fence, Fence(plain.fence));
            prop_assert_eq!(job.attempt.map_or(0, |no| no.0), plain.attempt);
            prop_assert_eq!((job.retries, job.infrastructure), plain.retries);
            prop_assert_eq!(job.crashes, plain.crashes);
            holds(&before, &job, &attempts)?;
        }
    }
}

/// What holds between any job and the one before it.
fn holds(
    before: &Job,
    job: &Job,
    attempts: &BTreeMap<AttemptNo, Attempt>,
) -> Result<(), TestCaseError> {
    prop_assert_eq!(&job.asked, &before.asked);
    prop_assert!(job.fence >= before.fence && job.attempt >= before.attempt);
    let said = |job: &Job, kinds: &[EventKind]| {
        job.events.iter().filter(|event| kinds.contains(&event.kind)).count()
    };
    let ends = [EventKind::Succeeded, EventKind::Failed, EventKind::Cancelled];
    if before.state.is_terminal() {
        prop_assert_eq!(job, before);
    }
    prop_assert_eq!(said(job, &ends), usize::from(job.state.is_terminal()));
    prop_assert_eq!(job.finished_at.is_some(), job.state.is_terminal());
    prop_assert!(job.events.len() <= MAX_EVENTS);
    prop_assert!(job.events.is_sorted_by_key(|event| (event.at, event.fence)));
    if before.fence != job.fence {
        let raisers = [EventKind::Claimed, EventKind::Adopted, EventKind::Cancelled];
        let last = job.events.last().map(|event| event.kind);
        prop_assert!(last.is_some_and(|last| raisers.contains(&last)));
    }
    if before.attempt != job.attempt {
        prop_assert_eq!(job.events.last().map(|event| event.kind), Some(EventKind::Claimed));
    }
    if let JobState::Succeeded { .. } = job.state {
        prop_assert!(said(job, &[EventKind::Exited]) > 0, "no success without an exit");
    }
    // Its attempts go with it: the current one is live exactly while the job runs.
    let live: Vec<_> = attempts
        .values()
        .filter(|attempt| attempt.state == AttemptState::Live)
        .map(|attempt| (Some(attempt.no), attempt.fence))
        .collect();
    let runs = job.state.name() == StateName::Running;
    prop_assert_eq!(live, if runs { vec![(job.attempt, job.fence)] } else { Vec::new() });
    Ok(())
}

fn follow(
    attempts: &mut BTreeMap<AttemptNo, Attempt>,
    change: Option<AttemptChange>,
) -> Result<(), TestCaseError> {
    match change {
        None => {}
        Some(AttemptChange::Begin(attempt)) => {
            let there = attempts.insert(attempt.no, *attempt);
            prop_assert_eq!(there, None);
        }
        Some(AttemptChange::Apply(no, event)) => {
            let next = attempts[&no].apply(&event);
            prop_assert!(next.is_ok(), "{event:?}: {next:?}");
            attempts.extend(next.map(|next| (no, next)));
        }
    }
    Ok(())
}

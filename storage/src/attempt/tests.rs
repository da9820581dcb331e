//! The whole grid of an attempt's states and events, and what holds for any sequence of them.

#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::fmt::Write;

use proptest::prelude::*;

use super::{
    Attempt, AttemptEvent, AttemptState, Contract, Gift, GivenOutput, GivenResult, Outcome,
    PendingMultipart, Stored, StoredLog,
};
use crate::{
    blob::{BlobKey, Digest},
    conformance::sample::{FIRST, T0, exit, job, multipart},
    id::Fence,
    job::Place,
};

fn live() -> Attempt {
    let mut job = job();
    job.fence = Fence(5);
    Attempt::new(&job, FIRST, "fake", Contract::Files, T0)
}

fn log(fence: u64) -> AttemptEvent {
    let log = StoredLog { fence: Fence(fence), size: 2, text_size: 1, dropped: Some(0) };
    AttemptEvent::StoreLog { log }
}

fn begin(id: &str) -> AttemptEvent {
    let pending = PendingMultipart { key: BlobKey::Probe, multipart: multipart(id) };
    AttemptEvent::BeginMultipart { pending }
}

fn give(fence: u64, gift: Gift) -> AttemptEvent {
    AttemptEvent::Give { fence: Fence(fence), gift }
}

fn begin_output(fence: u64, name: &str) -> AttemptEvent {
    give(fence, Gift::Begin { name: name.into() })
}

fn store(fence: u64, index: u32) -> AttemptEvent {
    let stored =
        Stored { content_type: "text/plain".into(), size: 3, sha256: Digest([index as u8; 32]) };
    give(fence, Gift::Store { index, stored })
}

fn result(words: &str) -> AttemptEvent {
    give(5, Gift::Result { result: GivenResult::Invalid { words: words.into() } })
}

fn end(outcome: Outcome) -> AttemptEvent {
    AttemptEvent::End { outcome }
}

#[test]
fn the_whole_grid() {
    let after = |events: &[AttemptEvent]| {
        events.iter().fold(live(), |attempt, event| attempt.apply(event).unwrap())
    };
    let states = [
        after(&[]),
        after(&[begin_output(5, "a"), store(5, 0), begin_output(5, "a"), begin_output(5, "b")]),
        after(&[begin_output(5, "a"), begin("m1"), AttemptEvent::Exit { exit: exit(0) }]),
        after(&[begin("m1"), end(Outcome::Retried)]),
        after(&[begin("m1"), end(Outcome::Cancelled), AttemptEvent::Remove]),
    ];
    let events = [
        ("adopt by 6", AttemptEvent::Adopt { fence: Fence(6) }),
        ("exit 3", AttemptEvent::Exit { exit: exit(3) }),
        ("end as failed", end(Outcome::Failed)),
        ("begin multipart m2", begin("m2")),
        ("begin a by 5", begin_output(5, "a")),
        ("begin a by 4", begin_output(4, "a")),
        ("store 1 by 5", store(5, 1)),
        ("store 1 by 6", store(6, 1)),
        ("drop 1", give(5, Gift::Drop { index: 1 })),
        ("result", result("no JSON")),
        ("over", give(5, Gift::Over { words: "too much".into() })),
        ("log of 4", log(4)),
        ("log of 5", log(5)),
        ("log of 6", log(6)),
        ("remove", AttemptEvent::Remove),
    ];
    let mut grid = String::new();
    for from in states {
        for (name, event) in &events {
            let outcome = match from.apply(event) {
                Ok(to) => format!("-> {}", describe(&to)),
                Err(refusal) => format!("refused: {refusal}"),
            };
            let only_with_its_job = from.apply_alone(event).is_err() && from.apply(event).is_ok();
            let mark = if only_with_its_job { " (only with its job)" } else { "" };
            writeln!(grid, "{} + {name} {outcome}{mark}", describe(&from)).unwrap();
        }
        grid.push('\n');
    }
    insta::assert_snapshot!(grid);
}

#[test]
fn the_log_of_who_cleaned_up_stays() {
    let cleaned = live().apply(&end(Outcome::Cancelled)).unwrap().apply(&log(6)).unwrap();
    assert!(cleaned.apply(&log(5)).is_err(), "its owner's, which comes late");
    assert_eq!(cleaned.apply(&log(6)).unwrap(), cleaned, "the same again");
}

#[test]
fn of_two_outputs_with_one_name_the_last_to_begin_stays_whichever_is_stored_first() {
    let begun = [begin_output(5, "a"), begin_output(5, "a"), begin_output(5, "b")];
    for [first, second] in [[0, 1], [1, 0]] {
        let stores = [store(5, first), store(5, second)];
        let events = begun.iter().chain(&stores);
        let attempt = events.fold(live(), |attempt, event| attempt.apply(event).unwrap());
        let has = [0, 1, 2].map(|index| attempt.given.has(Place { fence: Fence(5), index }));
        assert_eq!(has, [false, true, false], "{first} first");
    }
}

fn describe(attempt: &Attempt) -> String {
    let state = match attempt.state {
        AttemptState::Live => "live".into(),
        AttemptState::Ended { outcome } => format!("ended({outcome:?})"),
        AttemptState::Removed { outcome } => format!("removed({outcome:?})"),
    };
    let mut text = format!("{state} fence {}", attempt.fence);
    if let Some(exit) = &attempt.exit {
        write!(text, " exit {}", exit.code).unwrap();
    }
    if let Some(log) = &attempt.log {
        write!(text, " log of {}", log.fence).unwrap();
    }
    for GivenOutput { place, name, stored } in &attempt.given.outputs {
        let stored = if stored.is_some() { "" } else { "..." };
        write!(text, " {}-{}:{name}{stored}", place.fence, place.index).unwrap();
    }
    if attempt.given.result.is_some() {
        text.push_str(" result");
    }
    if attempt.given.over.is_some() {
        text.push_str(" over");
    }
    for pending in &attempt.multiparts {
        write!(text, " {}", pending.multipart.id).unwrap();
    }
    text
}

fn any_event() -> impl Strategy<Value = AttemptEvent> {
    let outcome = prop_oneof![Just(Outcome::Succeeded), Just(Outcome::Cancelled)];
    prop_oneof![
        (6..9_u64).prop_map(|fence| AttemptEvent::Adopt { fence: Fence(fence) }),
        (0..3_i64).prop_map(|code| AttemptEvent::Exit { exit: exit(code) }),
        outcome.prop_map(end),
        "m[0-9]".prop_map(|id| begin(&id)),
        (4..10_u64).prop_map(log),
        (5..7_u64, "[ab]").prop_map(|(fence, name)| begin_output(fence, &name)),
        (5..7_u64, 0..6_u32).prop_map(|(fence, index)| store(fence, index)),
        (0..6_u32).prop_map(|index| give(5, Gift::Drop { index })),
        Just(AttemptEvent::Remove),
    ]
}

proptest! {
    #[test]
    fn an_attempt_ends_before_it_is_removed_and_names_all_that_is_open(
        events in prop::collection::vec(any_event(), 0..40),
    ) {
        let mut attempt = live();
        let mut open = Vec::new();
        for event in &events {
            let before = attempt.clone();
            let Ok(next) = attempt.apply(event) else { continue };
            attempt = next;
            let removed = matches!(before.state, AttemptState::Removed { .. });
            prop_assert!(!removed, "removed is final");
            match event {
                AttemptEvent::BeginMultipart { pending } => open.push(pending.clone()),
                AttemptEvent::Remove => {
                    let ended = matches!(before.state, AttemptState::Ended { .. });
                    prop_assert!(ended);
                    open.clear();
                }
                AttemptEvent::StoreLog { log } => prop_assert!(log.fence >= before.fence),
                AttemptEvent::Give { fence, .. } => {
                    prop_assert!(before.takes());
                    prop_assert_eq!(*fence, before.fence);
                }
                AttemptEvent::End { .. } | AttemptEvent::Adopt { .. } | AttemptEvent::Exit { .. } => {
                    prop_assert_eq!(before.state, AttemptState::Live);
                }
            }
            prop_assert_eq!(&attempt.multiparts, &open);
            // A place is taken once, and a name has one output.
            let mut places: Vec<_> = attempt.given.outputs.iter().map(|it| it.place.index).collect();
            places.dedup();
            prop_assert_eq!(places.len(), attempt.given.outputs.len());
            prop_assert!(places.iter().all(|index| *index < attempt.given.begun));
            let manifest = attempt.given.manifest();
            prop_assert!(manifest.windows(2).all(|two| two[0].name < two[1].name));
            prop_assert_eq!((attempt.job, attempt.no), (before.job, before.no));
        }
    }
}

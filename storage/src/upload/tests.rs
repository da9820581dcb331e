//! The whole grid of an upload's states and events, and what holds for any sequence of them.

#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::fmt::Write;

use proptest::prelude::*;

use super::{Upload, UploadEvent, UploadState};
use crate::{
    blob::Digest,
    conformance::sample::{multipart, t, upload},
};

fn complete(size: u64) -> UploadEvent {
    let (sha256, content_type) = (Digest([1; 32]), "text/plain".into());
    UploadEvent::Complete { size, sha256, content_type }
}

fn begin(id: &str) -> UploadEvent {
    UploadEvent::BeginMultipart { multipart: multipart(id) }
}

fn advance(offset: u64) -> UploadEvent {
    UploadEvent::Advance { offset, lease_until: t(40_000) }
}

#[test]
fn the_whole_grid() {
    let after = |events: &[UploadEvent]| {
        events.iter().fold(upload(), |upload, event| upload.apply(event, t(1)).unwrap())
    };
    let states = [
        after(&[]),
        after(&[begin("m1"), advance(5)]),
        after(&[begin("m1"), complete(7)]),
        after(&[UploadEvent::Abandon]),
        after(&[begin("m1"), UploadEvent::Abandon]),
    ];
    let events = [
        ("begin multipart m1", begin("m1")),
        ("begin multipart m2", begin("m2")),
        ("advance to 9", advance(9)),
        ("advance to 3", advance(3)),
        ("complete", complete(9)),
        ("abandon", UploadEvent::Abandon),
    ];
    let mut grid = String::new();
    for from in states {
        for (name, event) in &events {
            let describe = |outcome| match outcome {
                Ok(to) => format!("-> {}", describe(&to)),
                Err(refusal) => format!("refused: {refusal}"),
            };
            let outcome = describe(from.apply(event, t(2)));
            write!(grid, "{} + {name} {outcome}", self::describe(&from)).unwrap();
            let alone = describe(from.apply_alone(event, t(2)));
            let differs = if alone == outcome { "" } else { "; alone " };
            writeln!(grid, "{differs}{}", if differs.is_empty() { "" } else { &alone }).unwrap();
        }
        grid.push('\n');
    }
    insta::assert_snapshot!(grid);
}

fn describe(upload: &Upload) -> String {
    let named = |multipart: &Option<super::Multipart>| match multipart {
        Some(multipart) => format!(", {}", multipart.id),
        None => String::new(),
    };
    match &upload.state {
        UploadState::Receiving { lease_until, offset, multipart } => {
            let lease = lease_until.since(t(0)).as_secs();
            format!("receiving({offset} bytes, lease {lease} s{})", named(multipart))
        }
        UploadState::Complete { size, .. } => format!("complete({size} bytes)"),
        UploadState::Abandoned { at, multipart } => {
            format!("abandoned(at {} ms{})", at.since(t(0)).as_millis(), named(multipart))
        }
    }
}

fn any_event() -> impl Strategy<Value = UploadEvent> {
    prop_oneof![
        2 => "m[12]".prop_map(|id| begin(&id)),
        5 => (0..100_u64).prop_map(advance),
        1 => (0..100_u64).prop_map(complete),
        1 => Just(UploadEvent::Abandon),
    ]
}

proptest! {
    #[test]
    fn an_upload_ends_once_and_forgets_no_multipart(
        events in prop::collection::vec(any_event(), 0..40),
    ) {
        let mut upload = upload();
        let identity = Upload { state: upload.state.clone(), ..upload.clone() };
        let (mut ended, mut begun, mut furthest) = (false, None, 0);
        for (at, event) in (0..).zip(&events) {
            let before = upload.clone();
            match upload.apply(event, t(at)) {
                Err(_) => {
                    let second = matches!(event, UploadEvent::BeginMultipart { multipart }
                        if begun.as_ref().is_some_and(|there| there != multipart));
                    prop_assert!(ended || second, "{before:?} refused {event:?}");
                }
                Ok(next) => {
                    prop_assert!(!ended, "{before:?} is final and took {event:?}");
                    upload = next;
                }
            }
            // The plain model: three facts.
            if !ended {
                match event {
                    UploadEvent::BeginMultipart { multipart } => {
                        begun.get_or_insert_with(|| multipart.clone());
                    }
                    UploadEvent::Advance { offset, .. } => furthest = furthest.max(*offset),
                    UploadEvent::Complete { .. } | UploadEvent::Abandon => ended = true,
                }
            }
            match &upload.state {
                UploadState::Receiving { offset, multipart, .. } => {
                    prop_assert_eq!((offset, multipart), (&furthest, &begun));
                    prop_assert!(!ended);
                }
                UploadState::Complete { .. } => prop_assert!(ended),
                UploadState::Abandoned { multipart, .. } => {
                    prop_assert!(ended);
                    prop_assert_eq!(multipart, &begun);
                }
            }
            let state = identity.state.clone();
            prop_assert_eq!(&Upload { state, ..upload.clone() }, &identity);
        }
    }
}

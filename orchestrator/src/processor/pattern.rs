//! What the texts that a pattern admits may begin with. It never matches anything, and where it can
//! not know (`\b`, a flag, a loop) it takes what could be for what is: too strict, never too lax.

use regex_syntax::hir::{Class, Hir, HirKind};

/// Whether a text that `hir` admits may begin with one of these ASCII characters.
pub(super) fn may_begin_with(hir: &Hir, with: &[u8]) -> bool {
    let any = |admits: &dyn Fn(u8) -> bool| with.iter().any(|byte| admits(*byte));
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => false,
        HirKind::Literal(literal) => any(&|byte| literal.0.first() == Some(&byte)),
        HirKind::Class(Class::Unicode(class)) => any(&|byte| {
            let c = char::from(byte);
            class.iter().any(|range| (range.start()..=range.end()).contains(&c))
        }),
        HirKind::Class(Class::Bytes(class)) => {
            any(&|byte| class.iter().any(|range| (range.start()..=range.end()).contains(&byte)))
        }
        HirKind::Repetition(repetition) => may_begin_with(&repetition.sub, with),
        HirKind::Capture(capture) => may_begin_with(&capture.sub, with),
        HirKind::Alternation(ways) => ways.iter().any(|way| may_begin_with(way, with)),
        HirKind::Concat(parts) => {
            let reached = parts.iter().position(|part| !may_be_empty(part));
            let last = reached.map_or(parts.len(), |at| at + 1);
            parts[..last].iter().any(|part| may_begin_with(part, with))
        }
    }
}

/// Whether it admits the empty text.
pub(super) fn may_be_empty(hir: &Hir) -> bool {
    hir.properties().minimum_len() == Some(0)
}

#[cfg(test)]
mod tests {
    //! Against the regex crate itself, which has the last word on what matches.
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;
    use crate::processor::ParamKind;

    fn parsed(pattern: &str) -> Hir {
        regex_syntax::parse(pattern).unwrap()
    }

    #[test]
    fn a_pattern_is_known_by_what_its_texts_begin_with() {
        for (pattern, expected) in [
            ("[a-z]+", false),
            (".*", true),
            ("[^\\x00-\\x1f]{0,80}", true),
            ("[A-Za-z][A-Za-z -]*", false),
            ("a?-", true),
            ("(?:a|b-)?c", false),
            ("(?:a|-b)c", true),
            ("a{0,3}(?:)(-x)?", true),
            ("\\b-", true),
            ("(?i)K-", false),
            ("\\d*[+-]", true),
            ("#[0-9a-f]{6}", false),
            ("", false),
            ("\\p{L}-|\\P{L}", true),
        ] {
            assert_eq!(may_begin_with(&parsed(pattern), b"-"), expected, "{pattern}");
        }
        assert!(may_be_empty(&parsed("a*|b")) && !may_be_empty(&parsed("a+")));
    }

    proptest! {
        /// The one error that would matter: a text that is admitted and begins so, unforeseen.
        #[test]
        fn no_text_that_is_admitted_begins_unforeseen(
            pattern in "([-a.]|\\[-b\\]|\\[\\^a\\]|a\\?|-\\?|\\(a\\||\\(-\\|\\)|\\)|\\*|\\{0,2\\}|\\\\b|\\^|\\$){1,8}",
            text in "-[-ab]{0,4}",
        ) {
            let Ok(kind) = ParamKind::text(&pattern) else { return Ok(()) };
            if kind.admits(&text.as_str().into()) {
                prop_assert!(kind.may_begin_with(b"-"), "{pattern} admits {text:?}");
            }
        }
    }
}

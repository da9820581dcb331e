//! What led to an error, in words.

use std::{error::Error, iter::successors};

/// The error itself, what caused it, and so on to the innermost.
pub(crate) fn causes<'a>(
    error: &'a (dyn Error + 'static),
) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    successors(Some(error), |&error| error.source())
}

/// An error with everything that led to it, each cause once.
#[must_use]
pub fn in_words(error: &(dyn Error + 'static)) -> String {
    causes(error).map(ToString::to_string).fold(String::new(), |text, words| match text {
        text if text.is_empty() => words,
        text if text.contains(&words) => text,
        text => format!("{text}: {words}"),
    })
}

//! How long a client would wait for an answer: `?wait=30`, or `Prefer: wait=30`.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::error::{Code, Problem};

/// The longest wait, in seconds.
const LONGEST: u64 = 60;

const PREFER: HeaderName = HeaderName::from_static("prefer");
const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");

/// A wait that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wait {
    seconds: u64,
    /// By the header, which wants to be told that it was heeded.
    preferred: bool,
}

impl Wait {
    /// What a request asks for, if it does. The query is an order, and refused where it can not be
    /// carried out; the header is a wish (RFC 7240), cut to what can be had.
    ///
    /// # Errors
    /// A [`Problem`] with the query's value.
    pub(crate) fn asked(
        query: &[(String, String)],
        headers: &HeaderMap,
    ) -> Result<Option<Self>, Problem> {
        let asked = query.iter().find(|(name, value)| name == "wait" && !value.is_empty());
        if let Some((_, value)) = asked {
            let seconds = value.parse().ok().filter(|seconds| *seconds <= LONGEST);
            let seconds = seconds.ok_or_else(|| {
                let value: String = value.chars().take(80).collect();
                let must = format!("must be whole seconds, at most {LONGEST}");
                Problem::new(Code::BadParam, format!("`wait={value}`: {must}"))
            })?;
            return Ok(Some(Self { seconds, preferred: false }));
        }
        let preferences = headers.get_all(PREFER).iter().filter_map(|value| value.to_str().ok());
        // The first of a name counts, and what is not understood is no preference.
        let wait = preferences.flat_map(|value| value.split(',')).find_map(|preference| {
            let preference = preference.split(';').next().unwrap_or_default();
            let (name, value) = preference.split_once('=')?;
            name.trim().eq_ignore_ascii_case("wait").then(|| value.trim().trim_matches('"'))
        });
        let seconds = wait.and_then(|value| value.parse::<u64>().ok());
        Ok(seconds.map(|seconds| Self { seconds: seconds.min(LONGEST), preferred: true }))
    }

    /// How long.
    #[must_use]
    pub(crate) fn duration(self) -> Duration {
        Duration::from_secs(self.seconds)
    }

    /// Tells in an answer that the wish was heeded, where it was one.
    pub(crate) fn told_in(self, headers: &mut HeaderMap) {
        if self.preferred {
            let applied = HeaderValue::try_from(format!("wait={}", self.seconds));
            headers.insert(PREFERENCE_APPLIED, applied.expect("digits are a header's value"));
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn asked(query: &str, prefer: &[&str]) -> Result<Option<(u64, bool)>, Problem> {
        let query: Vec<_> = query
            .split_once('=')
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let mut headers = HeaderMap::new();
        for value in prefer {
            headers.append(PREFER, value.parse().unwrap());
        }
        let wait = Wait::asked(&query, &headers)?;
        Ok(wait.map(|wait| (wait.seconds, wait.preferred)))
    }

    #[test]
    fn a_query_is_an_order() {
        assert_eq!(asked("wait=30", &["wait=5"]).unwrap(), Some((30, false)));
        assert_eq!(asked("wait=0", &[]).unwrap(), Some((0, false)));
        assert_eq!(asked("wait=", &[]).unwrap(), None);
        for wrong in ["wait=61", "wait=-1", "wait=1.5", "wait=soon", "wait=99999999999999999999"] {
            assert_eq!(asked(wrong, &[]).unwrap_err().status().as_u16(), 422, "{wrong}");
        }
    }

    #[test]
    fn a_preference_is_a_wish() {
        for (prefer, wait) in [
            (&["wait=30"][..], Some(30)),
            (&["respond-async, WAIT = \"10\"; of=it"], Some(10)),
            (&["respond-async", "wait=7"], Some(7)),
            (&["wait=3, wait=4"], Some(3)),
            (&["wait=600"], Some(60)),
            (&["wait"], None),
            (&["wait=soon"], None),
            (&["waiting=3"], None),
        ] {
            let wait = wait.map(|seconds| (seconds, true));
            assert_eq!(asked("", prefer).unwrap(), wait, "{prefer:?}");
        }
    }
}

//! Params: what a processor declares, and what a sender's text becomes by it.
//!
//! Nothing is coerced: a value is what its declaration says, or it is refused by name.

use std::collections::BTreeMap;

use fileyard_storage::job::Params;
use serde_json::Value;

use super::pattern;

/// The longest value of a param, in bytes: it stands in the row, in the environment, in arguments.
pub const MAX_PARAM: usize = 4096;

/// What a param may be.
#[derive(Debug, Clone)]
pub struct ParamSpec {
    /// Its type and bounds.
    pub kind: ParamKind,
    /// Where the job does not say. Without a default the param is required.
    pub default: Option<Value>,
}

/// A param's type, with its bounds.
#[derive(Debug, Clone)]
pub enum ParamKind {
    /// One of a few words.
    Choice(Vec<String>),
    /// Text that a pattern matches as a whole; the regex is anchored already.
    Text(regex::Regex),
    /// A whole number.
    Integer {
        /// At least.
        min: Option<i64>,
        /// At most.
        max: Option<i64>,
    },
    /// A number.
    Number {
        /// At least.
        min: Option<f64>,
        /// At most.
        max: Option<f64>,
    },
    /// Yes or no.
    Boolean,
}

/// Which param was refused, and what it may be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("param.{name} {message}")]
pub struct BadParam {
    /// Its name as it was sent, cut to a sensible length.
    pub name: String,
    /// Goes on from the name: `must be a whole number`.
    pub message: String,
}

impl ParamKind {
    /// Text of which the whole must match `pattern`.
    ///
    /// # Errors
    /// The regex library's own words.
    pub fn text(pattern: &str) -> Result<Self, String> {
        // Alone first: `a)|(b` is balanced only inside the group that anchors it.
        regex::Regex::new(pattern).map_err(|error| error.to_string())?;
        regex::Regex::new(&format!(r"\A(?:{pattern})\z"))
            .map(Self::Text)
            .map_err(|error| error.to_string())
    }

    /// The value that `text` stands for.
    ///
    /// # Errors
    /// What it must be instead, going on from the param's name.
    pub fn parse(&self, text: &str) -> Result<Value, String> {
        if text.len() > MAX_PARAM {
            return Err(format!("must be at most {MAX_PARAM} bytes"));
        }
        if text.contains('\0') {
            return Err("must not hold a NUL".into());
        }
        let value = match self {
            Self::Choice(_) | Self::Text(_) => Value::from(text),
            Self::Integer { .. } => match text.trim().parse::<i64>() {
                Ok(n) => n.into(),
                Err(_) => return Err(self.must_be()),
            },
            Self::Number { .. } => match text.trim().parse::<f64>() {
                Ok(n) if n.is_finite() => n.into(),
                _ => return Err(self.must_be()),
            },
            Self::Boolean => match text.trim() {
                "true" => true.into(),
                "false" => false.into(),
                _ => return Err(self.must_be()),
            },
        };
        self.admits(&value).then_some(value).ok_or_else(|| self.must_be())
    }

    /// Whether a value is of this type and within its bounds.
    #[must_use]
    pub fn admits(&self, value: &Value) -> bool {
        fn within<T: PartialOrd + Copy>(n: T, min: &Option<T>, max: &Option<T>) -> bool {
            min.as_ref().is_none_or(|min| n >= *min) && max.as_ref().is_none_or(|max| n <= *max)
        }
        match self {
            Self::Choice(words) => value.as_str().is_some_and(|s| words.iter().any(|w| w == s)),
            Self::Text(pattern) => value.as_str().is_some_and(|s| pattern.is_match(s)),
            Self::Integer { min, max } => value.as_i64().is_some_and(|n| within(n, min, max)),
            Self::Number { min, max } => value.as_f64().is_some_and(|n| within(n, min, max)),
            Self::Boolean => value.is_boolean(),
        }
    }

    /// Whether a sender can choose a value that begins with one of these ASCII characters. Only
    /// text can be chosen so: other types have their own spelling, and words are the config's.
    #[must_use]
    pub fn may_begin_with(&self, with: &[u8]) -> bool {
        self.hir().is_some_and(|hir| pattern::may_begin_with(&hir, with))
    }

    /// Whether a value may be the empty text.
    #[must_use]
    pub fn may_be_empty(&self) -> bool {
        self.hir().is_some_and(|hir| pattern::may_be_empty(&hir))
    }

    fn hir(&self) -> Option<regex_syntax::hir::Hir> {
        let Self::Text(pattern) = self else { return None };
        Some(regex_syntax::parse(pattern.as_str()).expect("a regex is made of what it can parse"))
    }

    /// What a value must be, going on from the param's name: `must be one of fast, slow`.
    #[must_use]
    pub fn must_be(&self) -> String {
        fn range<T: std::fmt::Display>(what: &str, min: &Option<T>, max: &Option<T>) -> String {
            match (min, max) {
                (Some(min), Some(max)) => format!("must be {what} from {min} to {max}"),
                (Some(min), None) => format!("must be {what}, at least {min}"),
                (None, Some(max)) => format!("must be {what}, at most {max}"),
                (None, None) => format!("must be {what}"),
            }
        }
        match self {
            Self::Choice(words) => format!("must be one of {}", words.join(", ")),
            Self::Text(pattern) => {
                let whole = pattern.as_str();
                let bare = whole.strip_prefix(r"\A(?:").and_then(|p| p.strip_suffix(r")\z"));
                format!("must match {} as a whole", bare.unwrap_or(whole))
            }
            Self::Integer { min, max } => range("a whole number", min, max),
            Self::Number { min, max } => range("a number", min, max),
            Self::Boolean => "must be true or false".into(),
        }
    }
}

/// See [`super::Processor::check_params`].
pub(super) fn check(
    declared: &BTreeMap<String, ParamSpec>,
    sent: &BTreeMap<String, String>,
) -> Result<Params, BadParam> {
    if let Some(name) = sent.keys().find(|name| !declared.contains_key(*name)) {
        let known: Vec<&str> = declared.keys().map(String::as_str).collect();
        let message = match known.as_slice() {
            [] => "is not declared: this processor has no params".to_owned(),
            known => format!("is not declared; this processor has {}", known.join(", ")),
        };
        return Err(BadParam { name: name.chars().take(80).collect(), message });
    }
    declared.iter().map(|(name, spec)| Ok((name.clone(), value(name, spec, sent)?))).collect()
}

/// See [`super::Processor::recheck_params`].
pub(super) fn recheck(
    declared: &BTreeMap<String, ParamSpec>,
    stored: &Params,
) -> Result<Params, BadParam> {
    let bad = |name: &String, message| BadParam { name: name.clone(), message };
    if let Some(name) = stored.keys().find(|name| !declared.contains_key(*name)) {
        return Err(bad(name, "is no longer declared; send the file again without it".into()));
    }
    let each = declared.iter().map(|(name, spec)| match (stored.get(name), &spec.default) {
        (Some(value), _) if spec.kind.admits(value) => Ok((name.clone(), value.clone())),
        (Some(value), _) => Err(bad(name, format!("was {value}, and now {}", spec.kind.must_be()))),
        (None, Some(default)) => Ok((name.clone(), default.clone())),
        (None, None) => Err(bad(name, format!("is missing; it {}", spec.kind.must_be()))),
    });
    each.collect()
}

fn value(name: &str, spec: &ParamSpec, sent: &BTreeMap<String, String>) -> Result<Value, BadParam> {
    let bad = |message| BadParam { name: name.to_owned(), message };
    let untouched =
        |text: &&String| text.is_empty() && !spec.kind.admits(&Value::from(text.as_str()));
    match (sent.get(name).filter(|text| !untouched(text)), &spec.default) {
        (Some(text), _) => spec.kind.parse(text).map_err(bad),
        (None, Some(default)) => Ok(default.clone()),
        (None, None) => Err(bad(format!("is missing; it {}", spec.kind.must_be()))),
    }
}

#[cfg(test)]
mod tests {
    //! What a sender's text becomes.
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;

    fn spec(kind: ParamKind, default: Option<Value>) -> ParamSpec {
        ParamSpec { kind, default }
    }

    fn declared() -> BTreeMap<String, ParamSpec> {
        let height = ParamKind::Integer { min: Some(144), max: Some(2160) };
        let choice = ParamKind::Choice(vec!["fast".into(), "slow".into()]);
        let number = ParamKind::Number { min: Some(0.0), max: None };
        [
            ("height", spec(height, Some(json!(720)))),
            ("preset", spec(choice, Some(json!("fast")))),
            ("gain", spec(number, Some(json!(1.0)))),
            ("mute", spec(ParamKind::Boolean, Some(json!(false)))),
            ("lang", spec(ParamKind::text("[a-z]{2}|x").unwrap(), None)),
        ]
        .map(|(name, spec)| (name.to_owned(), spec))
        .into()
    }

    fn sent(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    fn refusal(pairs: &[(&str, &str)]) -> String {
        check(&declared(), &sent(pairs)).unwrap_err().to_string()
    }

    #[test]
    fn what_is_not_sent_or_sent_empty_has_its_default() {
        let whole =
            json!({"gain": 1.0, "height": 720, "lang": "de", "mute": false, "preset": "fast"});
        let bare = check(&declared(), &sent(&[("lang", "de")])).unwrap();
        assert_eq!(json!(bare), whole);
        let empty = sent(&[("lang", "de"), ("height", ""), ("mute", ""), ("preset", "")]);
        assert_eq!(json!(check(&declared(), &empty).unwrap()), whole);
    }

    #[test]
    fn what_is_sent_has_its_declared_type() {
        let pairs =
            [("height", "144"), ("preset", "slow"), ("gain", "2"), ("mute", "true"), ("lang", "x")];
        assert_eq!(
            json!(check(&declared(), &sent(&pairs)).unwrap()),
            json!({"gain": 2.0, "height": 144, "lang": "x", "mute": true, "preset": "slow"})
        );
    }

    #[test]
    fn what_is_not_of_its_type_or_out_of_its_bounds_is_refused_by_name() {
        let with = |name, text| refusal(&[("lang", "de"), (name, text)]);
        assert_eq!(with("height", "143"), "param.height must be a whole number from 144 to 2160");
        assert_eq!(with("height", "720.5"), "param.height must be a whole number from 144 to 2160");
        assert_eq!(with("gain", "NaN"), "param.gain must be a number, at least 0");
        assert_eq!(with("gain", "-0.1"), "param.gain must be a number, at least 0");
        assert_eq!(with("mute", "yes"), "param.mute must be true or false");
        assert_eq!(with("preset", "Fast"), "param.preset must be one of fast, slow");
        assert_eq!(with("lang", "deu"), "param.lang must match [a-z]{2}|x as a whole");
        assert_eq!(with("lang", "de\n"), "param.lang must match [a-z]{2}|x as a whole");
        assert_eq!(with("lang", "d\0"), "param.lang must not hold a NUL");
        let long = "x".repeat(5000);
        assert_eq!(refusal(&[("lang", &long)]), "param.lang must be at most 4096 bytes");
        assert_eq!(refusal(&[]), "param.lang is missing; it must match [a-z]{2}|x as a whole");
        assert_eq!(
            with("heigth", "1"),
            "param.heigth is not declared; this processor has gain, height, lang, mute, preset"
        );
        let none = check(&BTreeMap::new(), &sent(&[("a", "1")])).unwrap_err();
        assert_eq!(none.to_string(), "param.a is not declared: this processor has no params");
    }

    #[test]
    fn what_an_older_job_has_is_checked_against_todays_declarations() {
        let stored = |json: Value| -> Params { serde_json::from_value(json).unwrap() };
        let now = recheck(&declared(), &stored(json!({"lang": "x", "height": 144, "gain": 2})));
        let whole = json!({"gain": 2, "height": 144, "lang": "x", "mute": false, "preset": "fast"});
        assert_eq!(json!(now.unwrap()), whole, "what is new has its default");
        for (params, said) in [
            (json!({"lang": "x", "height": 9}), "param.height was 9, and now must be a whole"),
            (json!({"lang": "x", "mute": "yes"}), "param.mute was \"yes\", and now must be true"),
            (json!({"lang": "x", "old": 1}), "param.old is no longer declared"),
            (json!({}), "param.lang is missing; it must match"),
        ] {
            let refused = recheck(&declared(), &stored(params)).unwrap_err().to_string();
            assert!(refused.starts_with(said), "{refused}");
        }
    }

    #[test]
    fn a_pattern_is_whole_or_refused() {
        assert!(ParamKind::text("a)|(b").is_err());
        assert!(ParamKind::text("(").is_err());
        let either = ParamKind::text("a|b").unwrap();
        assert!(either.admits(&json!("a")) && !either.admits(&json!("ab")));
    }
}

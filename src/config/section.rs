//! Reads one section of the config key by key, collecting what is wrong instead of stopping at it.
//!
//! A key exists because it is read here: that is how an unknown one is noticed, and how a test
//! knows that the reference documents every key with its default.

use std::{cell::RefCell, time::Duration};

use super::{
    Problem,
    tree::{Node, Table, Value, bare_list},
    units,
};

/// What was found while reading: problems, and every key with its default as TOML.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) problems: Vec<Problem>,
    pub(super) keys: Vec<(String, String)>,
}

/// One section.
pub(super) struct Section<'a> {
    /// `processors.mp4`; empty for the root.
    path: String,
    /// Where the section itself was written.
    place: String,
    table: Option<&'a Table>,
    read: RefCell<Vec<String>>,
    findings: &'a RefCell<Findings>,
}

impl<'a> Section<'a> {
    /// The root.
    pub(super) fn root(table: &'a Table, place: &str, findings: &'a RefCell<Findings>) -> Self {
        let place = place.to_owned();
        Self { path: String::new(), place, table: Some(table), read: RefCell::default(), findings }
    }

    /// A section in this one; empty where nobody wrote it.
    pub(super) fn section(&self, key: &str) -> Section<'a> {
        self.read.borrow_mut().push(key.to_owned());
        let node = self.table.and_then(|table| table.get(key));
        let table = node.and_then(|node| match &node.value {
            Value::Table(table) => Some(table),
            other => {
                let message = format!("is a section, not {}", other.shown());
                self.refuse_at(&node.place, key, message);
                None
            }
        });
        Section {
            path: self.name(key),
            place: node.map_or_else(|| self.place.clone(), |node| node.place.clone()),
            table,
            read: RefCell::default(),
            findings: self.findings,
        }
    }

    /// The names that are written in this section.
    pub(super) fn names(&self) -> Vec<String> {
        self.table.into_iter().flat_map(Table::keys).cloned().collect()
    }

    /// Where a key was written, if it was.
    pub(super) fn is_set(&self, key: &str) -> bool {
        self.table.is_some_and(|table| table.contains_key(key))
    }

    /// Whether a key was written, and not as an empty text.
    pub(super) fn is_filled(&self, key: &str) -> bool {
        let node = self.table.and_then(|table| table.get(key));
        node.is_some_and(
            |node| !matches!(&node.value, Value::Text(text) | Value::Bare(text) if text.is_empty()),
        )
    }

    /// Text.
    pub(super) fn text(&self, key: &str, default: &str) -> String {
        self.documented(key, &format!("{default:?}"));
        self.read_text(key).unwrap_or_else(|| default.to_owned())
    }

    /// Text that nobody may see, whatever is wrong with it.
    pub(super) fn secret(&self, key: &str) -> String {
        self.documented(key, "\"\"");
        match self.node(key).map(|node| &node.value) {
            None => String::new(),
            Some(Value::Text(text) | Value::Bare(text)) => text.clone(),
            Some(_) => {
                self.refuse(key, "must be text in quotes".into());
                String::new()
            }
        }
    }

    /// Text without which the section is nothing.
    pub(super) fn required_text(&self, key: &str, example: &str) -> String {
        self.documented(key, "required");
        match self.read_text(key) {
            Some(text) if !text.trim().is_empty() => text,
            Some(_) => {
                self.refuse(key, format!("must not be empty; for instance {example:?}"));
                String::new()
            }
            None if self.is_set(key) => String::new(),
            None => {
                self.refuse(key, format!("is missing; for instance {key} = {example:?}"));
                String::new()
            }
        }
    }

    /// One of a few words.
    pub(super) fn word(&self, key: &str, default: &str, words: &[&str]) -> String {
        let word = self.text(key, default);
        if words.contains(&word.as_str()) {
            return word;
        }
        let meant = nearest(&word, words.iter().copied());
        let meant = meant.map(|near| format!("; did you mean {near:?}?")).unwrap_or_default();
        let all: Vec<String> = words.iter().map(|word| format!("{word:?}")).collect();
        self.refuse(key, format!("must be one of {}, not {word:?}{meant}", all.join(", ")));
        default.to_owned()
    }

    /// Bytes, at least `least`.
    pub(super) fn size(&self, key: &str, default: &str, least: &str) -> u64 {
        let (bytes, least_bytes) = (units::size(default), units::size(least));
        let text = self.text(key, default);
        match units::size(&text) {
            Ok(bytes) if Ok(bytes) >= least_bytes => bytes,
            Ok(_) => {
                self.refuse(key, format!("must be at least {least:?}, not {text:?}"));
                bytes.unwrap_or_default()
            }
            Err(message) => {
                self.refuse(key, message);
                bytes.unwrap_or_default()
            }
        }
    }

    /// A time.
    pub(super) fn duration(&self, key: &str, default: &str) -> Duration {
        let text = self.text(key, default);
        units::duration(&text).unwrap_or_else(|message| {
            self.refuse(key, message);
            Duration::ZERO
        })
    }

    /// A time, or none where it is empty.
    pub(super) fn optional_duration(&self, key: &str) -> Option<Duration> {
        let text = self.text(key, "");
        let text = (!text.is_empty()).then_some(text)?;
        units::duration(&text).map_err(|message| self.refuse(key, message)).ok()
    }

    /// A whole number in a range.
    pub(super) fn integer(&self, key: &str, default: u32, least: u32, most: u32) -> u32 {
        self.documented(key, &default.to_string());
        let Some(node) = self.node(key) else { return default };
        let number = match &node.value {
            Value::Integer(n) => Some(*n),
            Value::Bare(text) => text.trim().parse().ok(),
            _ => None,
        };
        match number.and_then(|n| u32::try_from(n).ok()) {
            Some(n) if (least..=most).contains(&n) => n,
            _ => {
                let range = match most {
                    u32::MAX => format!("at least {least}"),
                    most => format!("from {least} to {most}"),
                };
                let shown = node.value.shown();
                self.refuse(key, format!("must be a whole number, {range}, not {shown}"));
                default
            }
        }
    }

    /// A number above zero.
    pub(super) fn positive(&self, key: &str, default: f64) -> f64 {
        self.documented(key, &format!("{default:?}"));
        match self.read_number(key) {
            Some(n) if n > 0.0 && n.is_finite() => n,
            None if !self.is_set(key) => default,
            other => {
                if other.is_some() {
                    self.refuse(key, "must be more than 0".into());
                }
                default
            }
        }
    }

    /// A number, where one is written.
    pub(super) fn read_number(&self, key: &str) -> Option<f64> {
        let node = self.node(key)?;
        let number = match &node.value {
            #[expect(clippy::cast_precision_loss, reason = "bounds are small numbers")]
            Value::Integer(n) => Some(*n as f64),
            Value::Float(n) => Some(*n),
            Value::Bare(text) => text.trim().parse().ok(),
            _ => None,
        };
        if number.is_none() {
            self.refuse(key, format!("must be a number, not {}", node.value.shown()));
        }
        number
    }

    /// True or false.
    pub(super) fn boolean(&self, key: &str, default: bool) -> bool {
        self.documented(key, &default.to_string());
        let Some(node) = self.node(key) else { return default };
        match &node.value {
            Value::Boolean(yes) => *yes,
            Value::Bare(text) if text == "true" => true,
            Value::Bare(text) if text == "false" => false,
            other => {
                self.refuse(key, format!("must be true or false, not {}", other.shown()));
                default
            }
        }
    }

    /// A list of texts.
    pub(super) fn list(&self, key: &str) -> Vec<String> {
        self.documented(key, "[]");
        let Some(node) = self.node(key) else { return vec![] };
        let items = match &node.value {
            Value::Array(items) => Some(items.clone()),
            Value::Bare(text) => bare_list(text, &node.place),
            _ => None,
        };
        let texts = items.and_then(|items| {
            let texts = items.into_iter().map(|item| match item.value {
                Value::Text(text) => Some(text),
                _ => None,
            });
            texts.collect::<Option<Vec<String>>>()
        });
        texts.unwrap_or_else(|| {
            let shown = node.value.shown();
            self.refuse(key, format!("must be a list such as [\"a\", \"b\"], not {shown}"));
            vec![]
        })
    }

    /// Names with texts.
    pub(super) fn map(&self, key: &str) -> Vec<(String, String)> {
        self.documented(key, "{}");
        let inner = self.section(key);
        let names = inner.names().into_iter();
        names.filter_map(|name| inner.read_text(&name).map(|text| (name, text))).collect()
    }

    /// A value of any kind, where one is written; noted as a key that has no default of its own.
    pub(super) fn optional(&self, key: &str) -> Option<&'a Node> {
        self.documented(key, "none");
        self.node(key)
    }

    /// Text that is there to be read later, in a version that has what it asks for.
    pub(super) fn later(&self, key: &str, default: &str, why: &str) {
        if self.text(key, default) != default {
            self.refuse(key, why.to_owned());
        }
    }

    /// Notes that something is wrong with a key.
    pub(super) fn refuse(&self, key: &str, message: String) {
        let node = self.table.and_then(|table| table.get(key));
        self.refuse_at(node.map_or(&self.place, |node| &node.place), key, message);
    }

    fn refuse_at(&self, place: &str, key: &str, message: String) {
        let problem = Problem::new(place, &self.name(key), message);
        self.findings.borrow_mut().problems.push(problem);
    }

    /// Refuses every key that nobody read.
    pub(super) fn finish(self) {
        let read = self.read.borrow();
        for (key, node) in self.table.into_iter().flatten() {
            if !read.contains(key) {
                let near = nearest(key, read.iter().map(String::as_str));
                let meant = near.map(|near| format!("; did you mean {}?", self.name(near)));
                let message = format!("is not a key of the config{}", meant.unwrap_or_default());
                self.refuse_at(&node.place, key, message);
            }
        }
    }

    fn name(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    fn documented(&self, key: &str, default: &str) {
        self.findings.borrow_mut().keys.push((self.name(key), default.to_owned()));
    }

    fn node(&self, key: &str) -> Option<&'a Node> {
        self.read.borrow_mut().push(key.to_owned());
        self.table.and_then(|table| table.get(key))
    }

    fn read_text(&self, key: &str) -> Option<String> {
        let node = self.node(key)?;
        match &node.value {
            Value::Text(text) | Value::Bare(text) if text.contains('\0') => {
                self.refuse(key, "must not hold a NUL".into());
                None
            }
            Value::Text(text) | Value::Bare(text) => Some(text.clone()),
            other => {
                self.refuse(key, format!("must be text in quotes, not {}", other.shown()));
                None
            }
        }
    }
}

/// The candidate that `word` was most likely meant to be.
pub(super) fn nearest<'a>(word: &str, of: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    of.map(|candidate| (strsim::normalized_damerau_levenshtein(word, candidate), candidate))
        .filter(|(likeness, _)| *likeness >= 0.6)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

//! The config before anybody reads it: one tree of values from the file, the environment and the
//! command line, each with the place it came from.
//!
//! It knows which environment names can be overrides at all; what a key means is not known here.

use std::{collections::BTreeMap, ops::Range};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::Problem;

/// The sections of the config: an environment name whose first part is one of them is an override.
pub(super) const SECTIONS: [&str; 8] =
    ["http", "store", "database", "uploads", "retention", "engine", "urls", "processors"];
/// The keys outside any section: each is an environment name of its own.
pub(super) const TOP_LEVEL: [&str; 5] =
    ["data", "concurrency", "min_free", "default_processor", "queue_timeout"];

/// A section's entries.
pub(super) type Table = BTreeMap<String, Node>;

/// A value and where it was written.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) value: Value,
    /// `fileyard.toml:12`, `FILEYARD_DATA`, `--listen`.
    pub(super) place: String,
}

/// A value.
#[derive(Debug, Clone)]
pub(super) enum Value {
    Table(Table),
    Array(Vec<Node>),
    Text(String),
    Integer(i64),
    Float(f64),
    Boolean(bool),
    /// Text from outside TOML: what it is depends on who reads it.
    Bare(String),
    /// A TOML type that no key has, by its name.
    Other(&'static str),
}

/// The tree of a TOML file, which `name` names in messages.
pub(super) fn from_toml(name: &str, text: &str) -> Result<Table, Problem> {
    let lines = Lines::new(name, text);
    let root = DeTable::parse(text).map_err(|error| {
        let place = lines.place(error.span().unwrap_or_default());
        // The library's message may go on over several lines; ours are one each.
        Problem::new(place, "", error.message().replace('\n', "; "))
    })?;
    Ok(table(root.get_ref(), &lines))
}

/// Lays one override from the environment over the tree. Names that are not ours are left alone.
pub(super) fn lay_environment(root: &mut Table, name: &str, text: &str) -> Result<(), Problem> {
    let Some(rest) = name.strip_prefix("FILEYARD_") else { return Ok(()) };
    let mut path: Vec<String> = rest.split("__").map(str::to_lowercase).collect();
    let ours = match path.as_slice() {
        [key] => TOP_LEVEL.contains(&key.as_str()),
        [section, ..] => SECTIONS.contains(&section.as_str()),
        [] => false,
    };
    if !ours {
        return Ok(());
    }
    if path[0] == "processors" && path.len() > 3 && path[2] == "env" {
        // The names in a processor's `env` are the only ones whose case matters.
        let kept: Vec<&str> = rest.split("__").skip(3).collect();
        path.truncate(3);
        path.push(kept.join("__"));
    }
    lay(root, &path, Value::Bare(text.to_owned()), name)
}

/// Puts a value at a path, in place of what was there.
pub(super) fn lay(
    root: &mut Table,
    path: &[String],
    value: Value,
    place: &str,
) -> Result<(), Problem> {
    let Some((last, sections)) = path.split_last() else { return Ok(()) };
    let mut here = root;
    for section in sections {
        let node = here
            .entry(section.clone())
            .or_insert_with(|| Node { value: Value::Table(Table::new()), place: place.to_owned() });
        let Value::Table(inner) = &mut node.value else {
            let message = format!("cannot be set: {} is not a section ({section})", node.place);
            return Err(Problem::new(place, &path.join("."), message));
        };
        here = inner;
    }
    here.insert(last.clone(), Node { value, place: place.to_owned() });
    Ok(())
}

/// A list written in TOML, such as an environment variable can hold.
pub(super) fn bare_list(text: &str, place: &str) -> Option<Vec<Node>> {
    let parsed = DeValue::parse(text).ok()?;
    match value(parsed.get_ref(), &Lines { name: place, starts: vec![] }) {
        Value::Array(items) => Some(items),
        _ => None,
    }
}

struct Lines<'a> {
    name: &'a str,
    /// Where each line begins; empty where lines mean nothing.
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    fn new(name: &'a str, text: &str) -> Self {
        let ends = text.match_indices('\n').map(|(at, _)| at + 1);
        Self { name, starts: std::iter::once(0).chain(ends).collect() }
    }

    fn place(&self, span: Range<usize>) -> String {
        match self.starts.partition_point(|start| *start <= span.start) {
            0 => self.name.to_owned(),
            line => format!("{}:{line}", self.name),
        }
    }
}

fn table(entries: &DeTable<'_>, lines: &Lines<'_>) -> Table {
    entries
        .iter()
        .map(|(key, node)| {
            let place = lines.place(key.span());
            (key.get_ref().to_string(), Node { value: value(node.get_ref(), lines), place })
        })
        .collect()
}

fn value(parsed: &DeValue<'_>, lines: &Lines<'_>) -> Value {
    match parsed {
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Integer(n) => match i64::from_str_radix(n.as_str(), n.radix()) {
            Ok(n) => Value::Integer(n),
            Err(_) => Value::Other("a number beyond 64 bits"),
        },
        DeValue::Float(n) => n.as_str().parse().map_or(Value::Other("a number"), Value::Float),
        DeValue::Boolean(yes) => Value::Boolean(*yes),
        DeValue::Datetime(_) => Value::Other("a date"),
        DeValue::Array(items) => Value::Array(
            items
                .iter()
                .map(|item: &Spanned<DeValue<'_>>| Node {
                    value: value(item.get_ref(), lines),
                    place: lines.place(item.span()),
                })
                .collect(),
        ),
        DeValue::Table(entries) => Value::Table(table(entries, lines)),
    }
}

impl Value {
    /// As a message shows it.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Table(_) => "a section".into(),
            Self::Array(_) => "a list".into(),
            Self::Text(text) | Self::Bare(text) => {
                let cut: String = text.chars().take(60).collect();
                format!("{cut:?}")
            }
            Self::Integer(n) => n.to_string(),
            Self::Float(n) => n.to_string(),
            Self::Boolean(yes) => yes.to_string(),
            Self::Other(what) => (*what).to_owned(),
        }
    }
}

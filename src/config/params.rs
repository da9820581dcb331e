//! A processor's params: what kind each is, and a default that its own bounds admit.

use std::collections::BTreeMap;

use fileyard_orchestrator::processor::{ParamKind, ParamSpec};
use serde_json::Value as Json;

use super::{
    section::{Section, nearest},
    tree::{Node, Value},
};

/// What a job may be asked for, by name.
pub(super) fn read(section: &Section<'_>) -> BTreeMap<String, ParamSpec> {
    let sections = section.section("params");
    let mut all = BTreeMap::new();
    for name in sections.names() {
        let first = name.bytes().next().is_some_and(|b| b.is_ascii_lowercase());
        let rest = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
        if !first || name.len() > 32 || !name.bytes().all(rest) {
            let message = "a param's name has lower-case letters, digits and underscores, at most \
                           32, and begins with a letter";
            sections.refuse(&name, message.into());
        }
        if let Some(spec) = param(sections.section(&name)) {
            all.insert(name, spec);
        }
    }
    all
}

fn param(section: Section<'_>) -> Option<ParamSpec> {
    let word = section.required_text("type", "integer");
    let types = ["string", "integer", "number", "boolean"];
    let kind = match word.as_str() {
        "string" => string(&section),
        "integer" => integer(&section),
        "number" => number(&section),
        "boolean" => Some(ParamKind::Boolean),
        "" => None,
        other => {
            let near = nearest(other, types.into_iter());
            let meant = near.map(|near| format!("; did you mean {near:?}?")).unwrap_or_default();
            let all = types.join(", ");
            section.refuse("type", format!("must be one of {all}, not {other:?}{meant}"));
            None
        }
    };
    let stray: &[&str] = match word.as_str() {
        "string" => &["min", "max"],
        "integer" | "number" => &["enum", "pattern"],
        "boolean" => &["min", "max", "enum", "pattern"],
        _ => &[],
    };
    for key in stray.iter().filter(|key| section.optional(key).is_some()) {
        section.refuse(key, format!("means nothing for a param of type {word:?}"));
    }
    let default = section.optional("default");
    if kind.is_none() {
        // What is wrong with the type was said; its bounds cannot be judged.
        for key in ["min", "max", "enum", "pattern"] {
            section.optional(key);
        }
    }
    let spec = kind.map(|kind| {
        let default = default.and_then(|node| default_value(&section, &kind, node));
        ParamSpec { kind, default }
    });
    section.finish();
    spec
}

fn string(section: &Section<'_>) -> Option<ParamKind> {
    let words = section.optional("enum").map(|_| section.list("enum"));
    let pattern = section.optional("pattern").map(|_| section.text("pattern", ""));
    match (words, pattern) {
        (Some(words), None) if !words.is_empty() => {
            if words.iter().any(|word| word.is_empty() || word.contains('\0')) {
                section.refuse("enum", "must not hold an empty word or a NUL".into());
            }
            Some(ParamKind::Choice(words))
        }
        (Some(_), None) => {
            section.refuse("enum", "must hold at least one word".into());
            None
        }
        (None, Some(pattern)) => ParamKind::text(&pattern)
            .map_err(|error| {
                let error = error.lines().last().unwrap_or_default().to_owned();
                section.refuse("pattern", format!("{pattern:?} is not a pattern: {error}"));
            })
            .ok(),
        (None, None) => {
            let message = "a string needs an enum or a pattern, which matches the whole value";
            section.refuse("type", message.into());
            None
        }
        (Some(_), Some(_)) => {
            section.refuse("pattern", "a string has an enum or a pattern, not both".into());
            None
        }
    }
}

fn integer(section: &Section<'_>) -> Option<ParamKind> {
    let bound = |key: &str| match &section.optional(key)?.value {
        Value::Integer(n) => Some(*n),
        Value::Bare(text) if text.trim().parse::<i64>().is_ok() => text.trim().parse().ok(),
        other => {
            section.refuse(key, format!("must be a whole number, not {}", other.shown()));
            None
        }
    };
    let (min, max) = (bound("min"), bound("max"));
    ordered(section, min, max)?;
    Some(ParamKind::Integer { min, max })
}

fn number(section: &Section<'_>) -> Option<ParamKind> {
    let bound = |key: &str| section.optional(key).and_then(|_| section.read_number(key));
    let (min, max) = (bound("min"), bound("max"));
    ordered(section, min, max)?;
    Some(ParamKind::Number { min, max })
}

fn ordered<T: PartialOrd + Copy>(
    section: &Section<'_>,
    min: Option<T>,
    max: Option<T>,
) -> Option<()> {
    // Not a number is neither more nor less than anything, and would admit nothing.
    let no_bound = |n: T| n.partial_cmp(&n).is_none();
    if min.is_some_and(no_bound) || max.is_some_and(no_bound) {
        section.refuse("min", "must be a number, and so must max".into());
        return None;
    }
    if min.zip(max).is_some_and(|(min, max)| min > max) {
        section.refuse("min", "must not be more than max".into());
        return None;
    }
    Some(())
}

/// The default as a value of its param, which its own bounds must admit.
fn default_value(section: &Section<'_>, kind: &ParamKind, node: &Node) -> Option<Json> {
    let value = match (&node.value, kind) {
        (Value::Bare(text), kind) => kind.parse(text).ok(),
        (Value::Text(text), _) => Some(Json::from(text.as_str())),
        #[expect(clippy::cast_precision_loss, reason = "it was asked for as a number")]
        (Value::Integer(n), ParamKind::Number { .. }) => Some(Json::from(*n as f64)),
        (Value::Integer(n), _) => Some(Json::from(*n)),
        (Value::Float(n), _) => Some(Json::from(*n)),
        (Value::Boolean(yes), _) => Some(Json::from(*yes)),
        _ => None,
    };
    let value = value.filter(|value| kind.admits(value));
    if value.is_none() {
        section.refuse("default", format!("{}, not {}", kind.must_be(), node.value.shown()));
    }
    value
}

//! A processor's params as fields of a form.

use fileyard_orchestrator::processor::{ParamKind, ParamSpec};
use serde_json::Value;

/// One param's field.
pub(super) struct Field<'a> {
    pub(super) name: &'a str,
    pub(super) label: String,
    pub(super) required: bool,
    pub(super) control: Control<'a>,
    /// Its bounds, in words.
    pub(super) hint: String,
}

/// How it is asked for.
pub(super) enum Control<'a> {
    /// A list: its words, and which is chosen.
    Choice { words: &'a [String], chosen: String },
    /// A line.
    Text { pattern: &'a str, value: String },
    /// A number.
    Number { min: String, max: String, step: &'static str, value: String },
    /// A box to tick.
    Boolean { ticked: bool },
}

impl<'a> Field<'a> {
    pub(super) fn new(name: &'a str, spec: &'a ParamSpec) -> Self {
        let default = spec.default.as_ref().map(plain).unwrap_or_default();
        let (control, hint) = match &spec.kind {
            ParamKind::Choice(words) => (Control::Choice { words, chosen: default }, String::new()),
            ParamKind::Text(pattern) => {
                let pattern = bare(pattern.as_str());
                (Control::Text { pattern, value: default }, format!("must match {pattern}"))
            }
            ParamKind::Integer { min, max } => {
                number(min.map(|n| n.to_string()), max.map(|n| n.to_string()), "1", default)
            }
            ParamKind::Number { min, max } => {
                number(min.map(|n| n.to_string()), max.map(|n| n.to_string()), "any", default)
            }
            ParamKind::Boolean => (Control::Boolean { ticked: default == "true" }, String::new()),
        };
        let label = name.replace('_', " ");
        Self { name, label, required: spec.default.is_none(), control, hint }
    }
}

fn number<'a>(
    min: Option<String>,
    max: Option<String>,
    step: &'static str,
    value: String,
) -> (Control<'a>, String) {
    let hint = match (&min, &max) {
        (Some(min), Some(max)) => format!("{min} to {max}"),
        (Some(min), None) => format!("at least {min}"),
        (None, Some(max)) => format!("at most {max}"),
        (None, None) => String::new(),
    };
    let (min, max) = (min.unwrap_or_default(), max.unwrap_or_default());
    (Control::Number { min, max, step, value }, hint)
}

/// A pattern as it was written: the config anchors it, because it is to match the whole value.
pub(crate) fn bare(pattern: &str) -> &str {
    let inner = pattern.strip_prefix(r"\A(?:").and_then(|inner| inner.strip_suffix(r")\z"));
    inner.unwrap_or(pattern)
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

//! Placeholders in a processor's command: `{input}`, `{out}`, `{stem}`, `{param.NAME}`.
//!
//! Each argument is filled by itself, after the config has split them: a value never becomes a
//! second argument, and what it holds is never looked at again. `{{` stands for one `{`; a `}` that
//! closes nothing is itself. There is no shell anywhere.

mod stranger;

use std::fmt::Write as _;

use serde_json::Value;

pub use self::stranger::{check_scripts, check_start};

/// What the placeholders stand for.
#[derive(Debug, Clone, Copy)]
pub struct Values<'a, P> {
    /// The path of the file in `/in`.
    pub input: &'a str,
    /// The directory that takes the outputs.
    pub out: &'a str,
    /// The input's safe name without its extension.
    pub stem: &'a str,
    /// A param's value by its name. One that has none is filled in as nothing.
    pub param: P,
}

/// Whether every placeholder in `arg` is one that we know and every param one that is declared.
///
/// # Errors
/// What is wrong, for whoever wrote the config.
pub fn check<'a>(arg: &str, params: impl IntoIterator<Item = &'a str>) -> Result<(), String> {
    let declared: Vec<&str> = params.into_iter().collect();
    for piece in pieces(arg) {
        let Piece::Placeholder(name) = piece? else { continue };
        match (name, name.strip_prefix("param.")) {
            ("input" | "out" | "stem", _) => {}
            (_, Some(param)) if declared.contains(&param) => {}
            (_, Some(param)) => {
                return Err(format!(
                    "`{{{name}}}` names a param that is not declared: add [processors.<name>.params.{param}]"
                ));
            }
            _ => {
                return Err(format!(
                    "`{{{name}}}` is no placeholder: there are {{input}}, {{out}}, {{stem}} and \
                     {{param.NAME}}; a bare `{{` is written `{{{{`"
                ));
            }
        }
    }
    Ok(())
}

/// The first placeholder in `arg` that stands for a path in the container, which only the `files`
/// contract has.
#[must_use]
pub fn path_in(arg: &str) -> Option<&str> {
    pieces(arg).find_map(|piece| match piece {
        Ok(Piece::Placeholder(name @ ("input" | "out"))) => Some(name),
        _ => None,
    })
}

/// `arg` with its placeholders replaced. One that [`check`] would refuse stays as it is written.
#[must_use]
pub fn fill<'v, P>(arg: &str, values: &Values<'_, P>) -> String
where
    P: Fn(&str) -> Option<&'v Value>,
{
    let mut filled = String::with_capacity(arg.len());
    for piece in pieces(arg) {
        match piece {
            Ok(Piece::Text(text)) => filled.push_str(text),
            Ok(Piece::Placeholder("input")) => filled.push_str(values.input),
            Ok(Piece::Placeholder("out")) => filled.push_str(values.out),
            Ok(Piece::Placeholder("stem")) => filled.push_str(values.stem),
            Ok(Piece::Placeholder(name)) => match name.strip_prefix("param.") {
                Some(param) => {
                    filled.push_str(&(values.param)(param).map_or_else(String::new, text));
                }
                None => {
                    let _ = write!(filled, "{{{name}}}");
                }
            },
            Err(_) => return arg.to_owned(),
        }
    }
    filled
}

/// A param's value as it stands in an argument and in the environment: text without quotes.
#[must_use]
pub fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

enum Piece<'a> {
    Text(&'a str),
    Placeholder(&'a str),
}

fn pieces(arg: &str) -> impl Iterator<Item = Result<Piece<'_>, String>> {
    let mut rest = arg;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (piece, after) = match (rest.find('{'), rest.strip_prefix('{')) {
            (_, Some(inner)) if inner.starts_with('{') => (Ok(Piece::Text("{")), &inner[1..]),
            (_, Some(inner)) => match inner.find('}') {
                Some(end) => (Ok(Piece::Placeholder(&inner[..end])), &inner[end + 1..]),
                None => (
                    Err(format!("`{rest}` has no closing `}}`; a bare `{{` is written `{{{{`")),
                    "",
                ),
            },
            (Some(start), None) => (Ok(Piece::Text(&rest[..start])), &rest[start..]),
            (None, None) => (Ok(Piece::Text(rest)), ""),
        };
        rest = after;
        Some(piece)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn filled(arg: &str, height: &Value) -> String {
        let param = |name: &str| (name == "height").then_some(height);
        fill(arg, &Values { input: "/in/a.mkv", out: "/out", stem: "a", param })
    }

    #[test]
    fn placeholders_are_filled_inside_an_argument() {
        for (arg, expected) in [
            ("{input}", "/in/a.mkv"),
            ("{out}/{stem}.mp4", "/out/a.mp4"),
            ("scale=-2:{param.height}", "scale=-2:720"),
            ("{{input}", "{input}"),
            ("{{\"a\": {{}}", "{\"a\": {}}"),
            ("a}b", "a}b"),
            ("", ""),
            ("ü{stem}ü", "üaü"),
        ] {
            assert_eq!(filled(arg, &json!(720)), expected, "{arg}");
            assert_eq!(check(arg, ["height"]), Ok(()), "{arg}");
        }
    }

    #[test]
    fn paths_are_told_from_the_other_placeholders() {
        assert_eq!(path_in("-i {stem} {param.x} {{input}"), None);
        assert_eq!(path_in("{stem}/{out}/{input}"), Some("out"));
    }

    #[test]
    fn a_value_is_never_read_as_a_template() {
        assert_eq!(filled("{param.height}", &json!("{out} {{")), "{out} {{");
    }

    #[test]
    fn what_is_not_a_placeholder_is_refused_in_words_that_help() {
        for (arg, part) in [
            ("{inptu}", "`{inptu}` is no placeholder"),
            ("{}", "`{}` is no placeholder"),
            ("{param.width}", "add [processors.<name>.params.width]"),
            ("a{input", "`{input` has no closing `}`"),
            ("{ input }", "is no placeholder"),
        ] {
            let error = check(arg, ["height"]).expect_err(arg);
            assert!(error.contains(part), "{arg}: {error}");
        }
    }

    proptest! {
        #[test]
        fn text_whose_braces_are_doubled_comes_out_as_it_was(text in ".{0,40}") {
            let escaped = text.replace('{', "{{");
            prop_assert_eq!(check(&escaped, []), Ok(()));
            prop_assert_eq!(filled(&escaped, &Value::Null), text);
        }

        #[test]
        fn a_param_stands_where_it_was_asked_for(before in "[^{]{0,9}", value in ".{0,40}", after in "[^{]{0,9}") {
            let arg = format!("{before}{{param.height}}{after}");
            prop_assert_eq!(filled(&arg, &json!(value)), format!("{before}{value}{after}"));
        }

        #[test]
        fn nothing_makes_it_panic(arg in "[{}a-z.]{0,20}") {
            let _ = check(&arg, ["height"]);
            let _ = filled(&arg, &Value::Null);
        }
    }
}

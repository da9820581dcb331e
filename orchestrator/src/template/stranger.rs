//! A stranger's text in a command: it never becomes an option, the name of a file of options, or a
//! word of a shell.
//!
//! Only a string with a `pattern` is a stranger's text. Numbers and booleans are written by
//! fileyard, the words of an `enum` by whoever wrote the config, and the input's name is reduced to
//! one that nothing misreads. What a program makes of text in the middle of an argument stays its
//! own, and the pattern is what bounds it.

use std::collections::BTreeMap;

use super::{Piece, pieces};
use crate::processor::{ParamKind, ParamSpec};

/// What an argument must not begin with, where a stranger chose it: an option (`-o`, and `+o` of
/// ImageMagick and some shells), a file to be read instead (`@file`), a command (`|command`).
const MARKS: &[u8] = b"-+@|";

/// The programs whose `-c` takes a script.
const SHELLS: [&str; 8] = ["sh", "ash", "bash", "dash", "ksh", "mksh", "zsh", "fish"];

type Params = BTreeMap<String, ParamSpec>;

/// Whether no job can make an option out of `arg`.
///
/// # Errors
/// Which param could, and what to do about it, for whoever wrote the config.
pub fn check_start(arg: &str, params: &Params) -> Result<(), String> {
    for piece in pieces(arg).flatten() {
        // Whatever else there is begins with what the config or fileyard wrote.
        let Some((name, kind)) = text_param(&piece, params) else { return Ok(()) };
        if kind.may_begin_with(MARKS) {
            return Err(format!(
                "`{{param.{name}}}` begins {arg:?}, and its pattern admits a value that begins with \
                 -, +, @ or |, which a program may take for an option or a file to read: put \
                 something before it, as in \"--{name}={{param.{name}}}\", or let its pattern begin \
                 with what is harmless, as in [A-Za-z0-9]"
            ));
        }
        if !kind.may_be_empty() {
            return Ok(());
        }
    }
    Ok(())
}

/// Whether no job can write a word of the script in `sh -c SCRIPT`, if these arguments are one.
///
/// # Errors
/// Which param could, and what to do about it, for whoever wrote the config.
pub fn check_scripts(args: &[&str], params: &Params) -> Result<(), String> {
    for (at, _) in args.iter().enumerate().filter(|(_, arg)| is_shell(arg)) {
        let Some(script) = script(&args[at + 1..]) else { continue };
        for piece in pieces(script).flatten() {
            if let Some((name, _)) = text_param(&piece, params) {
                return Err(format!(
                    "`{{param.{name}}}` stands in the script of {:?}, where its value would be read \
                     as shell: put it after the script, as an argument of its own, and write \"$1\" \
                     for it",
                    args[at],
                ));
            }
        }
    }
    Ok(())
}

fn text_param<'a>(piece: &Piece<'a>, params: &'a Params) -> Option<(&'a str, &'a ParamKind)> {
    let Piece::Placeholder(placeholder) = piece else { return None };
    let name = placeholder.strip_prefix("param.")?;
    let kind = &params.get(name)?.kind;
    matches!(kind, ParamKind::Text(_)).then_some((name, kind))
}

fn is_shell(arg: &str) -> bool {
    SHELLS.contains(&arg.rsplit('/').next().unwrap_or_default())
}

/// What a shell with these arguments takes for its script, if one of its options is `-c`. Several
/// may stand together, as in `-ec`, and `-o` has a word after it.
fn script<'a>(args: &[&'a str]) -> Option<&'a str> {
    let (mut given, mut words) = (false, args.iter());
    while let Some(word) = words.next() {
        match word.strip_prefix(['-', '+']) {
            Some(letters) if !letters.starts_with('-') => {
                given |= letters.contains('c');
                if letters.contains('o') {
                    words.next();
                }
            }
            Some(_) => {}
            None => return given.then_some(word),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn params() -> Params {
        let text = |pattern| ParamKind::text(pattern).unwrap();
        [
            ("any", text(".*")),
            ("word", text("[a-z]+")),
            ("maybe", text("[a-z]*")),
            ("at", text("[@a-z]+")),
            ("n", ParamKind::Integer { min: None, max: None }),
            ("choice", ParamKind::Choice(vec!["-fast".into()])),
            ("yes", ParamKind::Boolean),
        ]
        .map(|(name, kind)| (name.to_owned(), ParamSpec { kind, default: None }))
        .into()
    }

    #[test]
    fn no_strangers_text_begins_an_argument_as_an_option_would() {
        for arg in [
            "{param.word}",
            "{param.maybe}x",
            "--title={param.any}",
            "title={param.any}",
            "{param.n}",
            "{param.n}{param.any}",
            "{param.choice}",
            "{param.yes}",
            "{input}{param.any}",
            "{{{param.any}",
            "{param.word}{param.any}",
            "",
        ] {
            assert_eq!(check_start(arg, &params()), Ok(()), "{arg}");
        }
        for (arg, param) in [
            ("{param.any}", "any"),
            ("{param.any}.png", "any"),
            ("{param.at}", "at"),
            ("{param.maybe}{param.any}", "any"),
        ] {
            let told = check_start(arg, &params()).unwrap_err();
            assert!(told.contains(&format!("\"--{param}={{param.{param}}}\"")), "{arg}: {told}");
        }
    }

    #[test]
    fn no_strangers_text_stands_in_a_shells_script() {
        for args in [
            &["sh", "-c", "echo \"$1\"", "sh", "{param.word}"][..],
            &["sh", "-c", "echo {param.n} {param.choice} {input}"],
            &["sh", "{param.word}"],
            &["convert", "-c", "{param.word}"],
            &["sh", "-e", "/run.sh", "-c", "x{param.any}"],
            &["sh", "-c"],
            &[],
        ] {
            assert_eq!(check_scripts(args, &params()), Ok(()), "{args:?}");
        }
        for args in [
            &["sh", "-c", "echo {param.word}"][..],
            &["/bin/bash", "-o", "pipefail", "-ec", "echo '{param.word}'"],
            &["env", "A=b", "busybox", "sh", "-c", "-e", "echo {param.word}"],
        ] {
            let told = check_scripts(args, &params()).unwrap_err();
            assert!(told.contains("`{param.word}`") && told.contains("\"$1\""), "{args:?}: {told}");
        }
    }
}

//! What a person types: curl, and the program's own commands.

use std::{
    path::Path,
    process::{Command, Output, Stdio},
};

use serde_json::Value;

use crate::yard::program;

/// What curl prints, which must have gone well.
///
/// # Panics
/// When it has not.
#[must_use]
pub fn curl(dir: &Path, args: &[&str]) -> String {
    let mut command = Command::new("curl");
    command.current_dir(dir).args(["-sS", "--fail-with-body", "--noproxy", "*"]).args(args);
    said(&mut command, args)
}

/// What `fileyard ARGS` prints, which must have gone well.
///
/// # Panics
/// When it has not.
#[must_use]
pub fn fileyard(dir: &Path, args: &[&str]) -> String {
    said(program(dir).args(args), args)
}

/// What `fileyard check`, run so, says of one part.
///
/// # Panics
/// When it says nothing of it.
#[must_use]
pub fn checked(mut check: Command, part: &str) -> Value {
    let output = check.arg("--json").output().expect("it runs");
    let report: Value = serde_json::from_slice(&output.stdout).expect("its report is JSON");
    let mut parts = report["parts"].as_array().expect("it has parts").iter();
    parts.find(|it| it["part"] == part).expect("it speaks of this one").clone()
}

/// The same command, run by another one: `setpriv`, `unshare`.
///
/// # Panics
/// When there is no other one.
#[must_use]
pub fn through(words: &[&str], command: &Command) -> Command {
    let mut outer = Command::new(words[0]);
    outer.args(&words[1..]).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => outer.env(name, value),
            None => outer.env_remove(name),
        };
    }
    if let Some(dir) = command.get_current_dir() {
        outer.current_dir(dir);
    }
    outer
}

fn said(command: &mut Command, args: &[&str]) -> String {
    let Output { status, stdout, stderr } =
        command.stdin(Stdio::null()).output().expect("the program is there");
    let text = String::from_utf8_lossy(&stdout).into_owned();
    assert!(status.success(), "{args:?}: {text}{}", String::from_utf8_lossy(&stderr));
    text
}

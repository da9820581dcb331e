//! How a command ends: its exit status, and what it says on standard error.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use serde::{Deserialize, Serialize};

use crate::{command::show::plain, config::ConfigError};

/// For `--help`.
pub(crate) const EXIT_STATUS: &str = "\
Exit status:
  0  done
  1  the job failed or was cancelled (with --wait), or the service could not run
  2  wrong usage or config, or a file that cannot be read or written
  3  the server, or an image's registry, could not be reached
  4  the server refused";

/// Why a command did not do what it was asked.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The job that was waited for did not succeed; that was shown already.
    Job,
    /// What is wrong with the config or the machine; that was shown already.
    Shown,
    /// The service ended, or could not begin.
    Service(anyhow::Error),
    /// The command line, the config or a local file is wrong.
    Usage(String),
    /// Nobody answered.
    Unreachable(String),
    /// The server answered that it would not.
    Refused(Problem),
    /// Whoever read our standard output has enough.
    Deaf,
}

/// A `application/problem+json`, as far as a person needs it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Problem {
    pub(crate) title: String,
    pub(crate) status: u16,
    pub(crate) detail: String,
    pub(crate) code: String,
}

/// Says what is to be said, and ends the process's story.
pub(crate) fn report(result: Result<(), Failure>, json: bool) -> ExitCode {
    let Err(failure) = result else { return ExitCode::SUCCESS };
    // There is nobody left to tell when standard error is closed too.
    let _ = match failure.said() {
        Some(problem) if json => serde_json::to_string(&problem)
            .map_err(io::Error::from)
            .and_then(|text| writeln!(io::stderr(), "{text}")),
        Some(problem) => writeln!(io::stderr(), "{}", problem.for_a_person()),
        None => Ok(()),
    };
    ExitCode::from(failure.status())
}

impl Failure {
    fn status(&self) -> u8 {
        match self {
            Self::Deaf => 0,
            Self::Job | Self::Service(_) => 1,
            Self::Shown | Self::Usage(_) => 2,
            Self::Unreachable(_) => 3,
            Self::Refused(_) => 4,
        }
    }

    fn said(&self) -> Option<Problem> {
        let ours = |title: &str, code: &str, detail: String| Problem {
            title: title.into(),
            status: 0,
            detail,
            code: code.into(),
        };
        match self {
            Self::Job | Self::Shown | Self::Deaf => None,
            Self::Service(error) => Some(ours("", "service", format!("{error:#}"))),
            Self::Usage(detail) => Some(ours("", "usage", detail.clone())),
            Self::Unreachable(detail) => Some(ours("", "unreachable", detail.clone())),
            Self::Refused(problem) => Some(problem.clone()),
        }
    }
}

impl Problem {
    fn for_a_person(&self) -> String {
        let lines = |text: &str| text.lines().map(plain).collect::<Vec<_>>().join("\n");
        match (self.title.as_str(), self.detail.as_str()) {
            ("", detail) => lines(detail),
            (title, "") => plain(title),
            (title, detail) => format!("{}: {}", plain(title), lines(detail)),
        }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::Usage(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_its_title_and_detail_without_a_terminals_commands() {
        let problem = Problem {
            title: "No such processor".into(),
            status: 404,
            detail: "there is no processor \"\u{1b}[2Jx\"".into(),
            code: "unknown_processor".into(),
        };
        assert_eq!(
            problem.for_a_person(),
            "No such processor: there is no processor \"\\u{1b}[2Jx\""
        );
        assert_eq!(Failure::Refused(problem).status(), 4);
    }
}

//! What an exit means: pure functions from facts to a verdict.
//!
//! A non-zero exit is judged before the outputs are looked at. Infrastructure failures have their
//! own budget and are never blamed on the processor.

use std::time::Duration;

use fileyard_storage::job::{Budget, EventKind, ExitFacts, Job, Reason, ReasonCode, StopCause};
use rand::Rng;

use crate::processor::Processor;

/// Attempts that may be lost to the infrastructure before the job fails.
pub(crate) const INFRASTRUCTURE_RETRIES: u32 = 10;
/// The least time before what met trouble of the infrastructure is tried again.
pub(crate) const PAUSE: Duration = Duration::from_secs(1);
/// Owners that may die in a row while a job is starting or collecting.
pub(crate) const MAX_CRASHES: u32 = 5;
/// "Again later", from sysexits.h.
const EX_TEMPFAIL: i64 = 75;
const SIGXFSZ: i64 = 25;
const SIGKILL: i64 = 9;
const SIGTERM: i64 = 15;

/// What becomes of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Its outputs are to be collected.
    Good,
    /// It failed.
    Bad(Reason),
    /// It is to be tried again.
    Again {
        /// Whose budget this spends.
        budget: Budget,
        /// Why.
        detail: String,
        /// After how long.
        after: Duration,
    },
}

/// What an exit means for a job.
#[must_use]
pub(crate) fn judge(
    job: &Job,
    processor: &Processor,
    exit: &ExitFacts,
    stopped: Option<StopCause>,
) -> Verdict {
    match reason(exit, stopped) {
        None => Verdict::Good,
        Some(reason) => {
            // A signal that we did not send and the kernel did not count: the host may have, or a
            // Docker daemon that was restarted, which ends what it runs by SIGTERM.
            let unexplained =
                reason.code == ReasonCode::Signal && matches!(exit.code - 128, SIGKILL | SIGTERM);
            if unexplained && job.infrastructure == 0 {
                return Verdict::Again {
                    budget: Budget::Infrastructure,
                    detail: reason.message,
                    after: backoff(0),
                };
            }
            failed(job, processor, reason, exit.code == EX_TEMPFAIL)
        }
    }
}

/// What a failure means, where the exit was good or there was none.
#[must_use]
pub(crate) fn failed(job: &Job, processor: &Processor, reason: Reason, asked: bool) -> Verdict {
    let retried = asked || processor.retry_on.contains(&reason.code);
    if retried && job.retries < processor.retries {
        return Verdict::Again {
            budget: Budget::Processor,
            detail: reason.to_string(),
            after: backoff(job.retries),
        };
    }
    Verdict::Bad(reason)
}

/// What a failure of the infrastructure means.
#[must_use]
pub(crate) fn infrastructure(job: &Job, detail: &str) -> Verdict {
    if job.infrastructure >= INFRASTRUCTURE_RETRIES {
        let message = format!("{detail}; tried {} times", job.infrastructure + 1);
        return Verdict::Bad(Reason::new(ReasonCode::Infrastructure, message));
    }
    Verdict::Again {
        budget: Budget::Infrastructure,
        detail: detail.to_owned(),
        after: backoff(job.infrastructure),
    }
}

/// By `urls` a program stands on us while it runs: where we failed it, or were away for a time, an
/// exit that is not good is not blamed on it.
#[must_use]
pub(crate) fn cut_off(
    job: &Job,
    exit: &ExitFacts,
    stopped: Option<StopCause>,
    trouble: Option<&str>,
) -> Option<Verdict> {
    let by_itself = stopped.is_none() && !exit.out_of_memory && !exit.never_ran();
    if !by_itself || !(1..=128).contains(&exit.code) {
        return None;
    }
    let then = format!("and then it exited with code {}", exit.code);
    if let Some(trouble) = trouble {
        return Some(infrastructure(job, &format!("its program was told: {trouble}; {then}")));
    }
    let adopted = job
        .events
        .iter()
        .filter(|event| event.attempt == job.attempt)
        .take_while(|event| event.kind != EventKind::Exited)
        .any(|event| event.kind == EventKind::Adopted);
    adopted.then(|| infrastructure(job, &format!("the server was away while it ran, {then}")))
}

/// Why an exit is a failure, if it is one.
fn reason(exit: &ExitFacts, stopped: Option<StopCause>) -> Option<Reason> {
    let code = match stopped {
        Some(StopCause::TimedOut) => Some(ReasonCode::TimedOut),
        Some(StopCause::OutputLimit) => Some(ReasonCode::OutputLimit),
        Some(StopCause::DiskFull) => Some(ReasonCode::DiskFull),
        None => None,
    };
    if let (Some(code), Some(cause)) = (code, stopped) {
        return Some(Reason::new(code, cause.words()));
    }
    if exit.code == 0 {
        return None;
    }
    if exit.out_of_memory {
        return Some(Reason::new(ReasonCode::OutOfMemory, "it used more memory than its limit"));
    }
    if exit.never_ran() {
        let words = exit.message.clone().unwrap_or_default();
        return Some(Reason::new(ReasonCode::StartFailed, words));
    }
    let said = exit.message.as_deref().map(|words| format!(": {words}")).unwrap_or_default();
    Some(match exit.code - 128 {
        SIGXFSZ => Reason::new(ReasonCode::OutputLimit, "it wrote a file over its size limit"),
        signal @ 1..=64 => {
            Reason::new(ReasonCode::Signal, format!("it was ended by signal {signal}{said}"))
        }
        _ => Reason {
            code: ReasonCode::Exit,
            exit_code: Some(exit.code),
            message: format!("it exited with code {}{said}", exit.code),
        },
    })
}

/// Full jitter: anything from nothing to a bound that doubles from 1 s to 60 s. (Brooker,
/// "Exponential Backoff And Jitter", 2015.)
#[must_use]
pub(crate) fn backoff(failures: u32) -> Duration {
    const LONGEST_MS: u64 = 60_000;
    let bound = LONGEST_MS.min(1000 << failures.min(6));
    Duration::from_millis(rand::rng().random_range(0..=bound))
}

#[cfg(test)]
mod tests;

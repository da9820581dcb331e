//! Named steps at which a test may kill the process, and rules that a test may switch off.
//!
//! Both are compiled in only with the cargo feature `failpoints`; without it `hit` is nothing and
//! `broken` is `false`. The crash suite proves the promise with the first and proves itself with
//! the second: a suite that stays green with a rule switched off would prove nothing.

/// Ends this process by SIGKILL where `FILEYARD_FAILPOINT` names this step.
///
/// The variable is `name` or `name:N`: the N-th time the step is reached, counted from 1.
#[cfg(feature = "failpoints")]
pub fn hit(name: &str) {
    use std::sync::atomic::{AtomicU32, Ordering};
    static SEEN: AtomicU32 = AtomicU32::new(0);
    let Ok(wanted) = std::env::var("FILEYARD_FAILPOINT") else { return };
    let (step, nth) = wanted.split_once(':').unwrap_or((&wanted, "1"));
    let nth = nth.parse().unwrap_or(1);
    if step == name && SEEN.fetch_add(1, Ordering::SeqCst) + 1 == nth {
        tracing::warn!(step = name, "killed here because a test asked for it");
        let _ =
            rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
        // The signal is on its way; nothing after this step may happen before it lands.
        loop {
            std::thread::park();
        }
    }
}

/// Whether a test switched the rule `name` off (`FILEYARD_BROKEN_RULE`).
#[cfg(feature = "failpoints")]
#[must_use]
pub fn broken(name: &str) -> bool {
    std::env::var("FILEYARD_BROKEN_RULE").is_ok_and(|rule| rule == name)
}

/// Nothing: this build has no failpoints.
#[cfg(not(feature = "failpoints"))]
#[inline]
pub fn hit(_name: &str) {}

/// Always false: this build cannot switch a rule off.
#[cfg(not(feature = "failpoints"))]
#[inline]
#[must_use]
pub fn broken(_name: &str) -> bool {
    false
}

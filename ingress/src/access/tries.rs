//! How often a key may be tried by the login form: ten times a second by everybody together, each
//! in its turn.
//!
//! No table of who tried: there is one turn to wait for, and one number to keep. Somebody who only
//! guesses is as slow as everybody else, and a person who knows the key waits a moment at worst.

use std::{sync::Mutex, time::Duration};

use tokio::time::{Instant, sleep_until};

/// From one try to the next.
const APART: Duration = Duration::from_millis(100);
/// The longest that anybody waits.
const QUEUE: Duration = Duration::from_secs(5);

/// Whose turn it is.
#[derive(Debug, Default)]
pub(super) struct Tries {
    /// When the next one may be.
    next: Mutex<Option<Instant>>,
}

/// Too many wait already.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooMany;

impl Tries {
    /// Waits for a turn.
    pub(super) async fn turn(&self) -> Result<(), TooMany> {
        sleep_until(self.take(Instant::now())?).await;
        Ok(())
    }

    /// When the turn of somebody who comes now is.
    fn take(&self, now: Instant) -> Result<Instant, TooMany> {
        let mut next = self.next.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let turn = next.map_or(now, |next| next.max(now));
        if turn > now + QUEUE {
            return Err(TooMany);
        }
        *next = Some(turn + APART);
        Ok(turn)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn tries_come_one_after_another_and_a_crowd_is_sent_away() {
        let (tries, now) = (Tries::default(), Instant::now());
        let turns: Vec<_> = (0..200).map_while(|_| tries.take(now).ok()).collect();
        assert_eq!(turns.len(), 51, "as many as there are turns in five seconds");
        assert_eq!(turns[0], now, "the first one need not wait");
        assert!(turns.windows(2).all(|pair| pair[1] - pair[0] == APART));
        // A moment later one more has room; long after, nobody waits.
        tries.take(now + APART).unwrap();
        tries.take(now + APART).unwrap_err();
        let later = now + 3 * QUEUE;
        assert_eq!(tries.take(later).unwrap(), later);
    }
}

//! How long one goes on asking for what may work the next time.

use std::time::Duration;

use tokio::time::sleep;

use super::PullOptions;
use crate::image::{Fault, ImageError};

/// What is left of it.
pub(super) struct Patience {
    again: u32,
    pause: Duration,
}

impl Patience {
    pub(super) fn of(options: &PullOptions) -> Self {
        Self { again: options.again, pause: options.pause }
    }

    /// Waits before the next try, and says why. What will not work the next time either is an error at
    /// once, and so is everything once patience is at its end.
    pub(super) async fn bear(
        &mut self,
        error: ImageError,
        say: &(dyn Fn(String) + Send + Sync),
    ) -> Result<(), ImageError> {
        if error.kind() != Fault::Passing || self.again == 0 {
            return Err(error);
        }
        say(format!("{error}; asking again"));
        self.again -= 1;
        sleep(self.pause).await;
        self.pause *= 2;
        Ok(())
    }
}

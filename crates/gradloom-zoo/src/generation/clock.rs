//! [`Clock`]: how long something took, where the system tells.

use std::time::{Duration, Instant};

/// Runs from its start on; stands still on wasm32, where `std` has no clock.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock(Option<Instant>);

impl Clock {
    pub(super) fn start() -> Clock {
        Clock((!cfg!(target_family = "wasm")).then(Instant::now))
    }

    pub(super) fn elapsed(self) -> Duration {
        self.0.map_or(Duration::ZERO, |start| start.elapsed())
    }
}

//! [`Clock`]: how long something took, where the system tells.

use std::time::{Duration, Instant};

/// Runs from its start on; stands still on wasm32, where `std` has no clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock(Option<Instant>);

impl Clock {
    pub(crate) fn start() -> Self {
        Clock((!cfg!(target_family = "wasm")).then(Instant::now))
    }

    pub(crate) fn elapsed(self) -> Duration {
        self.0.map_or(Duration::ZERO, |start| start.elapsed())
    }
}

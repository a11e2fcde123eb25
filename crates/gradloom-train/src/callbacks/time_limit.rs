//! [`TimeLimit`]: ends a run after a time.

use std::time::Duration;

use crate::clock::Clock;
use crate::{Callback, Result, Run};

/// Ends a run at the first step after a time, counted from its beginning or from where it goes on. A checkpoint
/// is then written, so the next run can go on.
#[derive(Clone, Debug)]
pub struct TimeLimit {
    limit: Duration,
    start: Clock,
}

impl TimeLimit {
    /// Of this length.
    pub fn new(limit: Duration) -> Self {
        TimeLimit { limit, start: Clock::start() }
    }
}

impl<M> Callback<M> for TimeLimit {
    fn name(&self) -> String {
        "time limit".into()
    }

    fn on_fit_begin(&mut self, _run: &mut Run<M>) -> Result<()> {
        self.start = Clock::start();
        Ok(())
    }

    fn on_batch_end(&mut self, run: &mut Run<M>) -> Result<()> {
        if self.start.elapsed() >= self.limit {
            run.stop(format!("time limit: {:?} have passed", self.limit));
        }
        Ok(())
    }
}

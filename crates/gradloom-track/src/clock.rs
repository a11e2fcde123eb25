//! The time of day, as logs want it.

use std::time::{SystemTime, UNIX_EPOCH};

/// Seconds since 1970; 0 where the clock stands before.
pub(crate) fn seconds() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |time| time.as_secs_f64())
}

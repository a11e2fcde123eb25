//! The time of day, as logs want it.

use std::time::{SystemTime, UNIX_EPOCH};

/// Seconds since 1970; 0 where the clock stands before, and on wasm32, where `std` has none.
pub(crate) fn seconds() -> f64 {
    if cfg!(target_family = "wasm") {
        return 0.0;
    }
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |time| time.as_secs_f64())
}

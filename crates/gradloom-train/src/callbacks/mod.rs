//! Callbacks: early stopping, unfreezing, a limit of time, looking at samples, and telling trackers.

mod early_stopping;
mod samples;
mod time_limit;
#[cfg(feature = "track")]
mod tracking;
mod unfreezing;

pub use early_stopping::EarlyStopping;
pub use samples::EachEpoch;
pub use time_limit::TimeLimit;
#[cfg(feature = "track")]
pub use tracking::Tracking;
pub use unfreezing::Unfreezing;

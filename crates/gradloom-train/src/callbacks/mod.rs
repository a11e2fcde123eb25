//! Callbacks: early stopping, unfreezing, a limit of time, and looking at samples.

mod early_stopping;
mod samples;
mod time_limit;
mod unfreezing;

pub use early_stopping::EarlyStopping;
pub use samples::EachEpoch;
pub use time_limit::TimeLimit;
pub use unfreezing::Unfreezing;

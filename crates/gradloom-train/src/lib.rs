//! The training kit: a trainer in few lines whose parts are a loop's own.
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod clock;
mod error;
mod exact;

mod batches;
mod task;

mod precision;
mod scaler;
mod accumulation;
mod average;
mod hunt;
mod step;
mod advance;

mod metric;
pub mod metrics;
mod evaluate;

mod history;
#[cfg(feature = "track")]
mod charts;
mod monitor;
mod bar;
mod progress;
mod callback;
pub mod callbacks;

pub mod checkpoint;
mod interrupt;

mod plateau;
mod trainer;
mod settings;
mod saving;
mod session;
mod fit;
mod rate_finder;

pub use average::{Ema, Swa};
pub use batches::{Batches, SupervisedBatch};
pub use callback::{Callback, CallbackState, Run};
pub use callbacks::EarlyStopping;
pub use checkpoint::Checkpoints;
pub use error::{Error, Result};
pub use evaluate::evaluate;
pub use fit::Fit;
pub use history::{History, Record};
pub use metric::{Metric, Metrics};
pub use monitor::{Mode, Monitor};
pub use precision::Precision;
pub use progress::{Progress, Reporter};
pub use rate_finder::{RateCurve, RateFinder};
pub use scaler::LossScaler;
pub use step::{StepReport, TrainStep};
pub use task::{Outcome, Setting, Supervised, Task};
pub use trainer::Trainer;

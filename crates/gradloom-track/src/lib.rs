//! What a training run leaves behind: curves, pictures, settings, a summary of the model, a report.
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod tracker;
mod picture;
mod clock;

pub mod event;
mod model_graph;
mod event_writer;
mod hyper_parameters;
mod json_lines;
#[cfg(feature = "mlflow")]
mod http;
#[cfg(feature = "mlflow")]
mod mlflow;
mod summary;
pub mod html;
mod chart;
mod report;

pub use chart::Curve;
pub use event_writer::EventWriter;
pub use gradloom_tensor::{Error, ErrorKind, Result};
pub use json_lines::{JsonLines, read_json_lines};
#[cfg(feature = "mlflow")]
pub use mlflow::Mlflow;
pub use picture::Picture;
pub use report::{Mistake, Report};
pub use summary::{LayerSummary, Summary, summary};
pub use tracker::{Setting, Settings, Tracker};

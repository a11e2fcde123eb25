//! Metrics that are counted on the device with the step itself. Whatever needs all outputs at once, such as
//! areas under curves, is a [`Metric`](crate::Metric) that reads them.

mod accuracy;
mod mean;
mod multilabel_f1;

pub use accuracy::Accuracy;
pub use mean::Mean;
pub use multilabel_f1::{F1Average, MultilabelF1};

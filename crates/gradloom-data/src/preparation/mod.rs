//! Columns made fit for a model: holes filled, outliers clipped, categories made numbers, numbers scaled.
//!
//! What is learnt from data (means, categories, ranges) is learnt from the training part by `fit`, and
//! applied to any part by `transform`, so that nothing of the test leaks into the training. A
//! [`FittedPreparation`] is saved beside the model. The values are those of scikit-learn.
//! Dimension reduction and feature selection are absent on purpose.

mod clipper;
mod encoder;
mod imputer;
mod label_encoder;
mod saved;
mod scaler;
pub mod statistics;
mod steps;
mod target_encoder;

pub use clipper::{Clipper, FittedClipper};
pub use encoder::{Encoder, FittedEncoder, Unknown};
pub use imputer::{FittedImputer, Imputer};
pub use label_encoder::LabelEncoder;
pub use scaler::{FittedScaler, Scaler};
pub use steps::{FittedPreparation, Preparation};
pub use target_encoder::{FittedTargetEncoder, TargetEncoder};

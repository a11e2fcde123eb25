//! Figures of scores and probabilities, before a class is chosen.

mod steps;
mod roc;
mod precision_recall;
mod binary;
mod multi_class;
mod losses;
mod calibration;

pub use binary::{BinaryScores, average_precision, roc_auc};
pub use calibration::{Calibration, CalibrationBin, expected_calibration_error};
pub use losses::{Brier, LogLoss, brier, brier_of_classes, log_loss};
pub use multi_class::{ClassAverage, ClassScores};
pub use precision_recall::PrecisionRecallCurve;
pub use roc::RocCurve;

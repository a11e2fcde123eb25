//! Figures of predicted classes: all follow from counts.

mod averages;
mod confusion;
mod agreement;
mod overlap;
mod label_counts;
mod multi_label;
mod top_k;

pub use agreement::{KappaWeights, balanced_accuracy, cohen_kappa, matthews};
pub use averages::{Average, ClassReport, ZeroDivision};
pub use confusion::{ConfusionMatrix, accuracy, precision_recall_f};
pub use label_counts::LabelCounts;
pub use multi_label::MultiLabel;
pub use overlap::{dice, iou};
pub use top_k::{TopK, top_k_accuracy};

//! Metrics of a run: some that are counted on the device with the step itself, and any figure of
//! `gradloom-metrics`, which reads outputs and targets.

mod accuracy;
mod mean;
mod multilabel_f1;

mod of;
mod figures;

pub use accuracy::Accuracy;
pub use figures::{
    demographic_parity_difference, equalised_odds_difference, f1, mean_absolute_error, precision,
    r2, recall, roc_auc, top_k_accuracy,
};
pub use gradloom_metrics::Average;
pub use mean::Mean;
pub use multilabel_f1::MultilabelF1;
pub use of::Of;

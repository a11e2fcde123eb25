//! Whether an explanation, or a model, is worth trust.

mod infidelity;
mod sensitivity;
mod randomization;
mod curves;
mod adversarial;

pub use adversarial::{Fgsm, Norm, Pgd};
pub use curves::{CurveOrder, RemovalCurve, removal_curve};
pub use infidelity::{Infidelity, Perturbed};
pub use randomization::{Randomized, randomization_check};
pub use sensitivity::SensitivityMax;

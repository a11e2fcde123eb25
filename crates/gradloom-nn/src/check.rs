//! [`check_finite`]: stops a run whose loss is no number, and says at which step.

use crate::{Result, error};

/// The loss unchanged, or an error that names the step if it is NaN or infinite.
///
/// ```
/// # use gradloom_nn::check_finite;
/// assert_eq!(check_finite(0.5, 311).unwrap(), 0.5);
/// let error = check_finite(f64::NAN, 312).unwrap_err();
/// assert!(error.to_string().starts_with("loss is NaN at step 312: lower the learning rate"));
/// ```
///
/// # Errors
/// If the loss is not finite.
pub fn check_finite(loss: f64, step: u64) -> Result<f64> {
    if loss.is_finite() { Ok(loss) } else { Err(error::not_finite(loss, step)) }
}

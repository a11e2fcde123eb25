//! Which features take part in each run of LIME and KernelSHAP.

use gradloom_tensor::{Error, Result};

use super::game::Coalition;

/// Checks coalitions of the caller's own.
///
/// # Errors
/// If there are none, or one is not about the features.
pub(crate) fn checked(op: &str, coalitions: &[Coalition], count: usize) -> Result<Vec<Coalition>> {
    let wrong = coalitions.iter().find(|coalition| coalition.len() != count);
    if let Some(wrong) = wrong {
        let len = wrong.len();
        return Err(Error::invalid(format!(
            "{op}: a coalition of {len} features; there are {count}"
        )));
    }
    if coalitions.is_empty() {
        return Err(Error::invalid(format!("{op}: no coalitions; one is the fewest")));
    }
    Ok(coalitions.to_vec())
}

/// As numbers of a linear model.
pub(crate) fn numbers(coalitions: &[Coalition]) -> Vec<Vec<f64>> {
    let row = |coalition: &Coalition| coalition.iter().map(|&on| f64::from(u8::from(on))).collect();
    coalitions.iter().map(row).collect()
}

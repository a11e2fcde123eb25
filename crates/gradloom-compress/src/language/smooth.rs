//! SmoothQuant: large inputs are made smaller and their columns larger, so that both can be rounded.
//!
//! Xiao et al., "SmoothQuant: accurate and efficient post-training quantization for large language models", 2022.

use super::{InputStatistics, Matrix};
use gradloom_tensor::{Error, Result};

/// Nothing smaller is divided by.
const SMALLEST: f32 = 1e-5;

/// What columns are multiplied by, and inputs divided, for weights that read one input:
/// `max |x|^alpha / max |w|^(1 - alpha)`, with alpha mostly 0.5.
///
/// # Errors
/// If there are no weights, the statistics do not fit, or alpha is not from 0 to 1.
pub fn scales(weights: &[&Matrix], inputs: &InputStatistics, alpha: f32) -> Result<Vec<f32>> {
    if !(0.0..=1.0).contains(&alpha) || weights.is_empty() || inputs.count() == 0 {
        return Err(Error::invalid(format!(
            "smooth: alpha {alpha} (0 to 1), {} weights, {} vectors",
            weights.len(),
            inputs.count()
        )));
    }
    let mut columns = vec![SMALLEST; inputs.inputs()];
    for weight in weights {
        if weight.inputs() != columns.len() {
            let (found, size) = (columns.len(), weight.inputs());
            return Err(Error::shape(format!(
                "smooth: statistics of {found} inputs for a weight of {size}"
            )));
        }
        for row in weight.rows() {
            columns
                .iter_mut()
                .zip(row)
                .for_each(|(largest, weight)| *largest = largest.max(weight.abs()));
        }
    }
    let pairs = inputs.largest().iter().zip(&columns);
    let scale =
        |(x, w): (&f32, &f32)| (x.max(SMALLEST).powf(alpha) / w.powf(1.0 - alpha)).max(SMALLEST);
    Ok(pairs.map(scale).collect())
}

//! Weights that make rare classes count as much as frequent ones.

use crate::{Error, Result};

/// The weight of each class, `samples / (classes * samples of the class)`: what losses take, f32 `[K]`.
///
/// Classes are 0 up to the largest label. scikit-learn:
/// `compute_class_weight("balanced", classes, labels)`.
///
/// ```
/// use gradloom_data::split::class_weights;
///
/// assert_eq!(class_weights(&[0, 0, 0, 1])?, [4.0 / 6.0, 2.0]);
/// # Ok::<(), gradloom_data::Error>(())
/// ```
///
/// # Errors
/// If there are no labels, one is negative, or a class below the largest has no samples.
pub fn class_weights(labels: &[i32]) -> Result<Vec<f32>> {
    let largest = labels.iter().max().copied();
    let Some(largest) = largest else {
        return Err(Error::invalid("class weights: there are no labels"));
    };
    if let Some(place) = labels.iter().position(|&label| label < 0) {
        return Err(Error::invalid(format!("class weights: label {place} is {}", labels[place])));
    }
    let mut counts = std::collections::BTreeMap::<i32, usize>::new();
    labels.iter().for_each(|&label| *counts.entry(label).or_default() += 1);
    // Before a table of all classes is made: one wrong label may be as large as a number can be.
    let gap = (0..=largest).zip(counts.keys()).find(|(class, label)| class != *label);
    if let Some((class, _)) = gap {
        return Err(Error::invalid(format!(
            "class weights: class {class} has no samples, but there are labels up to {largest}"
        )));
    }
    let scale = labels.len() as f64 / counts.len() as f64;
    Ok(counts.values().map(|&count| (scale / count as f64) as f32).collect())
}

/// The weight of each sample: that of its class. scikit-learn: `compute_sample_weight("balanced", labels)`.
///
/// # Errors
/// As [`class_weights`].
pub fn sample_weights(labels: &[i32]) -> Result<Vec<f32>> {
    let weights = class_weights(labels)?;
    Ok(labels.iter().map(|&label| weights[label as usize]).collect())
}

#[cfg(test)]
mod tests {
    use super::{class_weights, sample_weights};

    #[test]
    fn labels_that_are_no_classes_are_refused() {
        assert!(class_weights(&[]).is_err());
        assert!(class_weights(&[0, -1]).unwrap_err().to_string().contains("label 1 is -1"));
        let message = class_weights(&[0, i32::MAX]).unwrap_err().to_string();
        assert!(message.contains("class 1 has no samples"), "{message}");
        assert_eq!(sample_weights(&[1, 0, 0, 0]).unwrap(), [2.0, 4.0 / 6.0, 4.0 / 6.0, 4.0 / 6.0]);
    }
}

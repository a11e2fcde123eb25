//! [`inception_score`]: whether made samples are each of one class, and all together of many.

use gradloom_error::{Error, Result};

use crate::inputs::{distributions, not_empty};

/// The score over parts of the samples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct InceptionScore {
    /// Mean over the parts: from 1 to the number of classes.
    pub mean: f64,
    /// Deviation over the parts.
    pub standard_deviation: f64,
}

/// `exp(mean KL(p(class | sample) || p(class)))` of probabilities of classes, row by row, in `parts` parts of the samples
/// one after the other; papers have ten. The network whose probabilities they are is named with the figure: the
/// published one is an Inception v3 of ImageNet.
///
/// Salimans et al., "Improved techniques for training GANs", 2016.
///
/// # Errors
/// If the numbers are no rows of probabilities that sum to 1, or there are no parts or more than samples.
///
/// ```
/// let sure = [1.0, 0.0, 0.0, 1.0];
/// let score = gradloom_metrics::inception_score(&sure, 2, 1).unwrap();
/// assert!((score.mean - 2.0).abs() < 1e-12);
/// ```
pub fn inception_score<S: Copy + Into<f64>>(
    probabilities: &[S],
    classes: usize,
    parts: usize,
) -> Result<InceptionScore> {
    const METRIC: &str = "inception score";
    if classes == 0 || !probabilities.len().is_multiple_of(classes) {
        let message = format!("{METRIC}: {} numbers are no rows of {classes}", probabilities.len());
        return Err(Error::invalid(message));
    }
    let samples = probabilities.len() / classes;
    not_empty(METRIC, samples)?;
    if parts == 0 || parts > samples {
        return Err(Error::invalid(format!("{METRIC}: {parts} parts of {samples} samples")));
    }
    let probabilities = distributions(METRIC, probabilities, classes)?;
    let scores: Vec<f64> = (0..parts)
        .map(|part| {
            let [from, to] = [part, part + 1].map(|end| end * samples / parts * classes);
            score(&probabilities[from..to], classes)
        })
        .collect();
    let mean = scores.iter().sum::<f64>() / parts as f64;
    let squares: f64 = scores.iter().map(|score| (score - mean).powi(2)).sum();
    Ok(InceptionScore { mean, standard_deviation: (squares / parts as f64).sqrt() })
}

fn score(rows: &[f64], classes: usize) -> f64 {
    let count = (rows.len() / classes) as f64;
    let mut shares = vec![0.0; classes];
    for row in rows.chunks_exact(classes) {
        shares.iter_mut().zip(row).for_each(|(share, p)| *share += p / count);
    }
    let each = rows.chunks_exact(classes).flat_map(|row| row.iter().zip(&shares));
    let divergence = each.filter(|(p, _)| **p > 0.0).map(|(p, share)| p * (p / share).ln());
    (divergence.sum::<f64>() / count).exp()
}

//! Non-maximum suppression: of boxes that overlap, those with the best scores.

use crate::boxes::grid::Grid;
use crate::{Error, Result};

/// Indices of the boxes that are kept, by falling score: each that overlaps none that is kept already by more than
/// `threshold`. Equal scores keep their order.
///
/// torchvision: `nms`, with the same numbers of f32.
///
/// ```
/// use gradloom_vision::boxes::nms;
///
/// # fn main() -> gradloom_tensor::Result<()> {
/// let boxes = [[0.0, 0.0, 10.0, 10.0], [1.0, 0.0, 11.0, 10.0], [50.0, 50.0, 60.0, 60.0]];
/// assert_eq!(nms(&boxes, &[0.8, 0.9, 0.3], 0.5)?, [1, 2]);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// If there are not as many scores as boxes, a number is not finite, or the threshold is not within `0..=1`.
pub fn nms(boxes: &[[f32; 4]], scores: &[f32], threshold: f64) -> Result<Vec<usize>> {
    check("nms", boxes, scores, threshold)?;
    Ok(suppress(boxes, &by_score(scores), threshold))
}

/// [`nms`] of each class alone: boxes of different classes never suppress each other.
///
/// torchvision: `batched_nms`, which moves classes apart and rounds boxes a little by that; here they stay where
/// they are.
///
/// # Errors
/// As [`nms`], and if there are not as many classes as boxes.
pub fn batched_nms(
    boxes: &[[f32; 4]],
    scores: &[f32],
    classes: &[usize],
    threshold: f64,
) -> Result<Vec<usize>> {
    const OP: &str = "batched_nms";
    check(OP, boxes, scores, threshold)?;
    if classes.len() != boxes.len() {
        let message = format!("{OP}: {} classes for {} boxes", classes.len(), boxes.len());
        return Err(Error::invalid(message));
    }
    let mut of_class = std::collections::BTreeMap::<usize, Vec<usize>>::new();
    for index in by_score(scores) {
        of_class.entry(classes[index]).or_default().push(index);
    }
    let mut kept = Vec::new();
    for order in of_class.values() {
        kept.extend(suppress(boxes, order, threshold));
    }
    // By index among equal scores, as one sort of all has them.
    kept.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]).then(a.cmp(&b)));
    Ok(kept)
}

/// How the scores of overlapping boxes fall in [`soft_nms`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum SoftSuppression {
    /// By `1 - iou` above this overlap.
    Linear(f64),
    /// By `exp(-iou^2 / sigma)`.
    Gaussian(f64),
}

/// Boxes by falling score, where each that is taken lowers the scores of those that overlap it, until the scores
/// fall below `score_min`: indices and the scores that they had when they were taken.
///
/// Bodla et al., "Soft-NMS: improving object detection with one line of code", 2017. Of many boxes the time grows
/// with the square of their number.
///
/// # Errors
/// As [`nms`], and if sigma is not above zero.
pub fn soft_nms(
    boxes: &[[f32; 4]],
    scores: &[f32],
    suppression: SoftSuppression,
    score_min: f32,
) -> Result<Vec<(usize, f32)>> {
    const OP: &str = "soft_nms";
    let threshold = match suppression {
        SoftSuppression::Linear(threshold) => threshold,
        SoftSuppression::Gaussian(sigma) if sigma > 0.0 && sigma.is_finite() => 0.0,
        SoftSuppression::Gaussian(sigma) => {
            return Err(Error::invalid(format!("{OP}: sigma is {sigma}; give one above zero")));
        }
    };
    check(OP, boxes, scores, threshold)?;
    let mut waiting: Vec<(usize, f32)> = scores.iter().copied().enumerate().collect();
    let mut taken = Vec::new();
    loop {
        waiting.retain(|&(_, score)| score >= score_min);
        // The first of equal scores.
        let best = (0..waiting.len())
            .reduce(|best, place| if waiting[place].1 > waiting[best].1 { place } else { best });
        let Some(best) = best else { return Ok(taken) };
        let (index, score) = waiting.remove(best);
        taken.push((index, score));
        for (other, score) in &mut waiting {
            let overlap = f64::from(overlap(&boxes[index], &boxes[*other]));
            let factor = match suppression {
                SoftSuppression::Linear(threshold) if overlap > threshold => 1.0 - overlap,
                SoftSuppression::Gaussian(sigma) if overlap > 0.0 => {
                    (-overlap * overlap / sigma).exp()
                }
                _ => 1.0,
            };
            *score = (f64::from(*score) * factor) as f32;
        }
    }
}

fn check(op: &str, boxes: &[[f32; 4]], scores: &[f32], threshold: f64) -> Result<()> {
    let failed = |message: String| Err(Error::invalid(format!("{op}: {message}")));
    if scores.len() != boxes.len() {
        return failed(format!("{} scores for {} boxes", scores.len(), boxes.len()));
    }
    if !(0.0..=1.0).contains(&threshold) {
        return failed(format!("the threshold is {threshold}; give one in 0..=1"));
    }
    if u32::try_from(boxes.len()).is_err() {
        return failed(format!("{} boxes are too many", boxes.len()));
    }
    let wrong = boxes.iter().position(|bounds| bounds.iter().any(|value| !value.is_finite()));
    if let Some(index) = wrong {
        return failed(format!("box {index} is {:?}, which is not finite", boxes[index]));
    }
    match scores.iter().position(|score| score.is_nan()) {
        Some(index) => failed(format!("score {index} is NaN")),
        None => Ok(()),
    }
}

fn by_score(scores: &[f32]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| scores[b].partial_cmp(&scores[a]).unwrap_or(std::cmp::Ordering::Equal));
    order
}

/// Those of `order` that are kept, in this order.
fn suppress(boxes: &[[f32; 4]], order: &[usize], threshold: f64) -> Vec<usize> {
    let mut grid = Grid::new(boxes);
    let mut kept = Vec::new();
    for &index in order {
        let bounds = &boxes[index];
        let meets = |other: u32| f64::from(overlap(&boxes[other as usize], bounds)) > threshold;
        if !grid.any(bounds, meets) {
            grid.insert(index as u32, bounds);
            kept.push(index);
        }
    }
    kept
}

fn overlap(a: &[f32; 4], b: &[f32; 4]) -> f32 {
    let area = |bounds: &[f32; 4]| (bounds[2] - bounds[0]) * (bounds[3] - bounds[1]);
    let width = (a[2].min(b[2]) - a[0].max(b[0])).max(0.0);
    let height = (a[3].min(b[3]) - a[1].max(b[1])).max(0.0);
    let intersection = width * height;
    intersection / (area(a) + area(b) - intersection)
}

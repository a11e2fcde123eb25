//! Boxes of objects, and which detection meets which object.

use serde::{Deserialize, Serialize};

/// Detections of one image and class that count, at most.
const DETECTIONS_MAX: usize = 100;

/// A box that a model found.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Detection {
    /// What it is.
    pub class: usize,
    /// How sure the model is.
    pub score: f64,
    /// Left, top, width, height.
    pub bounds: [f64; 4],
}

/// A box that is there.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct GroundTruth {
    /// What it is.
    pub class: usize,
    /// Left, top, width, height.
    pub bounds: [f64; 4],
    /// Pixels of the object, by which small, medium and large are told apart: of its mask, or of its box.
    pub area: f64,
    /// A box around several objects: detections in it count neither as right nor as wrong.
    pub crowd: bool,
}

impl GroundTruth {
    /// One object, as large as its box.
    pub fn new(class: usize, bounds: [f64; 4]) -> Self {
        GroundTruth { class, bounds, area: bounds[2] * bounds[3], crowd: false }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Image {
    pub(crate) detections: Vec<Detection>,
    pub(crate) truths: Vec<GroundTruth>,
}

/// Intersection over union of two boxes of left, top, width and height; 0 if they do not meet.
pub fn box_iou(a: [f64; 4], b: [f64; 4]) -> f64 {
    overlap(a, b, false)
}

/// With a crowd, by the detection's area alone.
fn overlap(detection: [f64; 4], truth: [f64; 4], crowd: bool) -> f64 {
    let side = |at: usize| {
        let end = (detection[at] + detection[at + 2]).min(truth[at] + truth[at + 2]);
        end - detection[at].max(truth[at])
    };
    let (width, height) = (side(0), side(1));
    if width <= 0.0 || height <= 0.0 {
        return 0.0;
    }
    let both = width * height;
    let own = detection[2] * detection[3];
    let whole = if crowd { own } else { own + truth[2] * truth[3] - both };
    both / whole
}

/// What became of one detection at one overlap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Right,
    Wrong,
    Ignored,
}

/// Detections of one class in one image, sure ones first, with a verdict for each overlap.
pub(crate) struct Matched {
    pub(crate) scores: Vec<f64>,
    /// By overlap, then by detection.
    pub(crate) verdicts: Vec<Vec<Verdict>>,
    /// Objects that must be found.
    pub(crate) wanted: usize,
}

/// Matches of one class in one image, where only objects of some areas count. `None` without either.
pub(crate) fn matched(
    image: &Image,
    class: usize,
    areas: (f64, f64),
    thresholds: &[f64],
) -> Option<Matched> {
    let outside = |area: f64| area < areas.0 || area > areas.1;
    let of_class = image.truths.iter().filter(|truth| truth.class == class);
    // Objects that count come first, so that a detection prefers them.
    let mut truths: Vec<(bool, &GroundTruth)> =
        of_class.map(|truth| (truth.crowd || outside(truth.area), truth)).collect();
    truths.sort_by_key(|(ignored, _)| *ignored);
    let mut detections: Vec<&Detection> =
        image.detections.iter().filter(|detection| detection.class == class).collect();
    if truths.is_empty() && detections.is_empty() {
        return None;
    }
    detections.sort_by(|a, b| (b.score + 0.0).total_cmp(&(a.score + 0.0)));
    detections.truncate(DETECTIONS_MAX);
    let overlaps: Vec<Vec<f64>> = detections
        .iter()
        .map(|own| truths.iter().map(|(_, t)| overlap(own.bounds, t.bounds, t.crowd)).collect())
        .collect();
    let verdicts = thresholds.iter().map(|&threshold| {
        let mut taken = vec![false; truths.len()];
        let verdicts = detections.iter().zip(&overlaps).map(|(detection, overlaps)| {
            match best(&truths, &taken, overlaps, threshold) {
                Some(found) => {
                    taken[found] = true;
                    if truths[found].0 { Verdict::Ignored } else { Verdict::Right }
                }
                None if outside(detection.bounds[2] * detection.bounds[3]) => Verdict::Ignored,
                None => Verdict::Wrong,
            }
        });
        verdicts.collect()
    });
    Some(Matched {
        verdicts: verdicts.collect(),
        scores: detections.iter().map(|detection| detection.score).collect(),
        wanted: truths.iter().filter(|(ignored, _)| !ignored).count(),
    })
}

/// The object that a detection meets best, of equal overlaps the last; one that counts before any that does
/// not.
fn best(
    truths: &[(bool, &GroundTruth)],
    taken: &[bool],
    overlaps: &[f64],
    threshold: f64,
) -> Option<usize> {
    let (mut least, mut best) = (threshold.min(1.0 - 1e-10), None);
    for (index, (ignored, truth)) in truths.iter().enumerate() {
        if taken[index] && !truth.crowd {
            continue;
        }
        if *ignored && best.is_some_and(|best: usize| !truths[best].0) {
            break;
        }
        if overlaps[index] >= least {
            least = overlaps[index];
            best = Some(index);
        }
    }
    best
}

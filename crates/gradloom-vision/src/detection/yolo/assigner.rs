//! [`TaskAlignedAssigner`]: which points learn which object.

use std::f64::consts::PI;

/// Chooses for each object the points that say both its class and its box best.
///
/// The alignment of a point within an object's box is `score^alpha overlap^beta`, with the score that it gives to the
/// object's class and the complete IoU of its box, zero at least. The best `candidates` points of an object learn it; a
/// point that several want learns the one that it overlaps most. What a point shall say of the class is its alignment,
/// scaled so that the best of an object is at the largest overlap among its points.
///
/// Feng et al., "TOOD: Task-aligned one-stage object detection", 2021; Zheng et al., "Distance-IoU loss", 2020.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TaskAlignedAssigner {
    /// Points of an object at most; 10 unless set.
    pub candidates: usize,
    /// Power of the score; 0.5 unless set.
    pub alpha: f64,
    /// Power of the overlap; 6 unless set.
    pub beta: f64,
}

impl Default for TaskAlignedAssigner {
    fn default() -> Self {
        TaskAlignedAssigner { candidates: 10, alpha: 0.5, beta: 6.0 }
    }
}

/// A point that learns an object.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Assignment {
    /// Number of the point.
    pub point: usize,
    /// Number of the object.
    pub object: usize,
    /// What the point shall say of the object's class, in 0..=1.
    pub score: f64,
}

/// A point that may learn an object.
#[derive(Clone, Copy)]
struct Pair {
    point: usize,
    object: usize,
    alignment: f64,
    overlap: f64,
}

impl TaskAlignedAssigner {
    /// Which points learn which objects of one picture, by the number of the point.
    ///
    /// `centres` are the places of the points, `boxes` what they say, `score` what a point says of a class, `objects`
    /// the true boxes and `classes` theirs.
    pub fn assign(
        &self,
        centres: &[[f64; 2]],
        boxes: &[[f64; 4]],
        score: impl Fn(usize, usize) -> f64,
        objects: &[[f64; 4]],
        classes: &[usize],
    ) -> Vec<Assignment> {
        // Of each point the pair that it overlaps most; an earlier object wins a draw.
        let mut of_point: Vec<Option<Pair>> = vec![None; centres.len().min(boxes.len())];
        for (object, (bounds, &class)) in objects.iter().zip(classes).enumerate() {
            let inside = (0..of_point.len()).filter(|&point| contains(bounds, centres[point]));
            let mut pairs: Vec<Pair> = inside
                .map(|point| {
                    // Zero for a box without area, whose angle is no number.
                    let overlap = complete_iou(&boxes[point], bounds).max(0.0);
                    let score = score(point, class).max(0.0);
                    let alignment = score.powf(self.alpha) * overlap.powf(self.beta);
                    Pair { point, object, alignment, overlap }
                })
                .collect();
            // Stable: of equal points the first ones.
            pairs.sort_by(|one, other| other.alignment.total_cmp(&one.alignment));
            for pair in pairs.into_iter().take(self.candidates) {
                let held = &mut of_point[pair.point];
                if held.is_none_or(|held| held.overlap < pair.overlap) {
                    *held = Some(pair);
                }
            }
        }
        let mut best = vec![[0.0f64; 2]; objects.len()];
        for pair in of_point.iter().flatten() {
            let [alignment, overlap] = &mut best[pair.object];
            *alignment = alignment.max(pair.alignment);
            *overlap = overlap.max(pair.overlap);
        }
        let assigned = of_point.iter().flatten().map(|pair| {
            let [alignment, overlap] = best[pair.object];
            let score = pair.alignment * overlap / (alignment + 1e-9);
            Assignment { point: pair.point, object: pair.object, score }
        });
        assigned.collect()
    }
}

fn contains([left, top, right, bottom]: &[f64; 4], [x, y]: [f64; 2]) -> bool {
    x > *left && x < *right && y > *top && y < *bottom
}

/// As [`boxes::complete_iou`](crate::boxes::complete_iou) of two boxes, on the host.
fn complete_iou(a: &[f64; 4], b: &[f64; 4]) -> f64 {
    const EPSILON: f64 = 1e-7;
    let size = |sides: &[f64; 4]| [sides[2] - sides[0], sides[3] - sides[1]];
    let shared = [0, 1].map(|axis| (a[2 + axis].min(b[2 + axis]) - a[axis].max(b[axis])).max(0.0));
    let hull = [0, 1].map(|axis| a[2 + axis].max(b[2 + axis]) - a[axis].min(b[axis]));
    let apart = [0, 1].map(|axis| (a[axis] + a[2 + axis] - b[axis] - b[2 + axis]) / 2.0);
    let [size_a, size_b] = [size(a), size(b)];
    let intersection = shared[0] * shared[1];
    let union = size_a[0] * size_a[1] + size_b[0] * size_b[1] - intersection;
    let iou = intersection / (union + EPSILON);
    let distance =
        (apart[0].powi(2) + apart[1].powi(2)) / (hull[0].powi(2) + hull[1].powi(2) + EPSILON);
    let angle = |[width, height]: [f64; 2]| (width / height).atan();
    let v = 4.0 / (PI * PI) * (angle(size_b) - angle(size_a)).powi(2);
    iou - distance - v * v / (1.0 - iou + v + EPSILON)
}

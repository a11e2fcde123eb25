//! Losses of points that say distances as distributions.

use crate::Result;
use crate::boxes::complete_iou_loss;
use crate::detection::ObjectBoxes;
use crate::detection::yolo::assigner::TaskAlignedAssigner;
use crate::detection::yolo::distribution_head::{BINS, Points};
use crate::detection::yolo::objects::{tensor, values};
use gradloom_nn::losses::{BceOptions, LossReduction, bce_with_logits};
use gradloom_tensor::{Tensor, eval};

/// Losses of a network of the kind of YOLOv8: scalars, each a sum over points divided by the sum of the scores that the
/// points shall say, one at least.
#[derive(Clone, Debug)]
pub struct YoloV8Losses {
    /// `1 - ` the complete IoU of the boxes of points that learn an object, weighted by their scores.
    pub boxes: Tensor,
    /// Binary cross-entropy of all classes at all points.
    pub classes: Tensor,
    /// Cross-entropy of each distance for the two whole ones around it, the mean of the four sides, weighted as
    /// `boxes`. Li et al., "Generalized focal loss", 2020.
    pub distances: Tensor,
}

impl YoloV8Losses {
    /// `7.5 boxes + 0.5 classes + 1.5 distances`
    pub fn total(&self) -> Tensor {
        &self.boxes * 7.5 + &self.classes * 0.5 + &self.distances * 1.5
    }
}

/// What the points shall say, of all pictures.
struct Goals {
    /// The score of the object that a point learns, zero elsewhere: `[N * A]`.
    weights: Vec<f64>,
    /// `[N * A, C]`
    scores: Vec<f64>,
    /// In pixels, `[N * A, 4]`; some box where there is no object.
    boxes: Vec<f64>,
    /// Distances in strides, `[N * A, 4]`.
    distances: Vec<f64>,
}

/// Where points are and what they say, on the host.
struct Said {
    centres: Vec<[f64; 2]>,
    strides: Vec<f64>,
    /// Of all pictures.
    boxes: Vec<[f64; 4]>,
    scores: Vec<f64>,
    classes: usize,
}

impl Points {
    /// The losses for the objects of each picture. Evaluates what the points say, to choose who learns what.
    pub(crate) fn losses(
        &self,
        targets: &[ObjectBoxes],
        assigner: &TaskAlignedAssigner,
    ) -> Result<YoloV8Losses> {
        let (boxes, logits) = (self.boxes(), self.logits.wide());
        let scores = logits.sigmoid();
        eval([&boxes, &scores, &self.centres, &self.strides])?;
        let said = Said {
            centres: pairs(&values(&self.centres)?),
            strides: values(&self.strides)?,
            boxes: fours(&values(&boxes)?),
            scores: values(&scores)?,
            classes: logits.size(2),
        };
        let goals = said.goals(targets, assigner);
        let (dtype, device) = (boxes.dtype(), boxes.device());
        let [pictures, points, classes] = [logits.size(0), logits.size(1), logits.size(2)];
        let sum = goals.weights.iter().sum::<f64>().max(1.0);
        let constant = |values: Vec<f64>, shape: &[usize]| tensor(values, shape, dtype, device);
        let weights = constant(goals.weights, &[pictures * points])?;
        let wanted = constant(goals.scores, &[pictures, points, classes])?;
        let goal_boxes = constant(goals.boxes, &[pictures * points, 4])?;
        let goal_distances = constant(goals.distances, &[pictures, points, 4, 1])?;

        // Where nothing is to be learnt, not even the gradient of a box without area may be seen.
        let learns = weights.gt(0.0).unsqueeze(1);
        let boxes = learns.select(boxes.flatten(0, 1), &goal_boxes);
        let of_boxes = (complete_iou_loss(&boxes, &goal_boxes) * &weights).sum(..) / sum;

        let options = BceOptions { reduction: LossReduction::Sum, ..BceOptions::default() };
        let of_classes = bce_with_logits(&logits, &wanted, &options) / sum;

        // The share of the distance 2.3 is 0.7 at two and 0.3 at three.
        let bins = Tensor::arange(BINS, device).cast(dtype);
        let shares = ((bins - goal_distances).abs() * -1.0 + 1.0).relu();
        let entropy = (self.distances.wide().log_softmax(-1) * shares).sum(-1) * -1.0;
        let of_distances = (entropy.mean(-1).flatten(0, 1) * weights).sum(..) / sum;
        Ok(YoloV8Losses { boxes: of_boxes, classes: of_classes, distances: of_distances })
    }
}

impl Said {
    fn goals(&self, targets: &[ObjectBoxes], assigner: &TaskAlignedAssigner) -> Goals {
        let (points, classes) = (self.centres.len(), self.classes);
        let count = targets.len() * points;
        let mut goals = Goals {
            weights: vec![0.0; count],
            scores: vec![0.0; count * classes],
            boxes: [0.0, 0.0, 1.0, 1.0].repeat(count),
            distances: vec![0.0; 4 * count],
        };
        for (picture, target) in targets.iter().enumerate() {
            let first = picture * points;
            let objects: Vec<[f64; 4]> =
                target.boxes.iter().map(|bounds| bounds.map(f64::from)).collect();
            let score = |point: usize, class: usize| self.scores[(first + point) * classes + class];
            let boxes = &self.boxes[first..first + points];
            let assigned = assigner.assign(&self.centres, boxes, score, &objects, &target.labels);
            for assignment in assigned {
                let row = first + assignment.point;
                let class = target.labels[assignment.object];
                let bounds = objects[assignment.object];
                goals.weights[row] = assignment.score;
                goals.scores[row * classes + class] = assignment.score;
                goals.boxes[4 * row..4 * row + 4].copy_from_slice(&bounds);
                let [x, y] = self.centres[assignment.point];
                let distances = [x - bounds[0], y - bounds[1], bounds[2] - x, bounds[3] - y];
                for (side, distance) in distances.into_iter().enumerate() {
                    let strides = distance / self.strides[assignment.point];
                    goals.distances[4 * row + side] = strides.clamp(0.0, BINS as f64 - 1.01);
                }
            }
        }
        goals
    }
}

fn pairs(values: &[f64]) -> Vec<[f64; 2]> {
    values.chunks_exact(2).map(|pair| [pair[0], pair[1]]).collect()
}

fn fours(values: &[f64]) -> Vec<[f64; 4]> {
    values.chunks_exact(4).map(|four| [four[0], four[1], four[2], four[3]]).collect()
}

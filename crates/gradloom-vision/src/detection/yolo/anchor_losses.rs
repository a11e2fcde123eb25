//! Losses of changes of priors.

use crate::Result;
use crate::detection::ObjectBoxes;
use crate::detection::yolo::anchor_head::{Prior, SIDES};
use crate::detection::yolo::objects::tensor;
use gradloom_nn::losses::{BceOptions, LossReduction, bce_with_logits};
use gradloom_tensor::Tensor;

/// Priors that overlap an object by more than this, and are not its best, are neither right nor wrong.
const IGNORED_ABOVE: f64 = 0.5;

/// Losses of YOLOv3: scalars, each a sum over priors divided by the number of pictures.
///
/// Redmon and Farhadi, "YOLOv3: an incremental improvement", 2018.
#[derive(Clone, Debug)]
pub struct YoloV3Losses {
    /// Squared errors of the four numbers of a box, of priors that learn an object.
    pub boxes: Tensor,
    /// Binary cross-entropy of whether there is an object, of all priors but those that are ignored.
    pub objectness: Tensor,
    /// Binary cross-entropy of all classes, of priors that learn an object.
    pub classes: Tensor,
}

impl YoloV3Losses {
    /// Their sum.
    pub fn total(&self) -> Tensor {
        &self.boxes + &self.objectness + &self.classes
    }
}

/// What priors shall say, of all pictures.
struct Goals {
    /// One for those that learn an object: `[N * A, 1]`.
    learns: Vec<f64>,
    /// One for those whose objectness counts: `[N * A]`.
    counts: Vec<f64>,
    /// `[N * A, 4]`: place in the cell, logarithm of the change of size.
    sides: Vec<f64>,
    /// `[N * A, C]`
    classes: Vec<f64>,
}

/// The losses of `maps [N, A, 5 + C]` for the objects of each picture.
pub(crate) fn anchor_losses(
    maps: &Tensor,
    priors: &[Prior],
    targets: &[ObjectBoxes],
) -> Result<YoloV3Losses> {
    let maps = maps.wide();
    let (dtype, device) = (maps.dtype(), maps.device());
    let classes = maps.size(2) - SIDES;
    let goals = goals(priors, targets, classes);
    let rows = targets.len() * priors.len();
    let constant = |values: Vec<f64>, shape: &[usize]| tensor(values, shape, dtype, device);
    let objects = constant(goals.learns.clone(), &[rows, 1])?;
    let learns = constant(goals.learns, &[rows, 1])?;
    let counts = constant(goals.counts, &[rows, 1])?;
    let wanted = constant(goals.sides, &[rows, 4])?;
    let wanted_classes = constant(goals.classes, &[rows, classes])?;
    let pictures = targets.len() as f64;

    let said = maps.flatten(0, 1);
    let sides = Tensor::concat(&[said.narrow(1, 0, 2).sigmoid(), said.narrow(1, 2, 2)], 1);
    let boxes = ((sides - wanted).square() * &learns).sum(..) / pictures;
    let entropy = |logits: &Tensor, wanted: &Tensor, weight: &Tensor| {
        let weight = weight.broadcast_to(*logits.shape());
        let reduction = LossReduction::Sum;
        let options = BceOptions { weight: Some(weight), reduction, ..BceOptions::default() };
        bce_with_logits(logits, wanted, &options) / pictures
    };
    let objectness = entropy(&said.narrow(1, 4, 1), &objects, &counts);
    let classes = entropy(&said.narrow(1, SIDES, classes), &wanted_classes, &learns);
    Ok(YoloV3Losses { boxes, objectness, classes })
}

fn goals(priors: &[Prior], targets: &[ObjectBoxes], classes: usize) -> Goals {
    let rows = targets.len() * priors.len();
    let mut goals = Goals {
        learns: vec![0.0; rows],
        counts: vec![1.0; rows],
        sides: vec![0.0; 4 * rows],
        classes: vec![0.0; classes * rows],
    };
    for (picture, target) in targets.iter().enumerate() {
        let first = picture * priors.len();
        // Of each prior how well its object fits; the first of equal ones keeps it.
        let mut held: Vec<Option<f64>> = vec![None; priors.len()];
        for (bounds, &class) in target.boxes.iter().zip(&target.labels) {
            let object = Centred::of(&bounds.map(f64::from));
            for (index, prior) in priors.iter().enumerate() {
                if overlap(&prior.centred(), &object) > IGNORED_ABOVE {
                    goals.counts[first + index] = 0.0;
                }
            }
            let Some((best, fits)) = best_prior(priors, &object) else { continue };
            if held[best].is_some_and(|other| other >= fits) {
                continue;
            }
            held[best] = Some(fits);
            let (row, prior) = (first + best, &priors[best]);
            for axis in 0..2 {
                let place = object.centre[axis] / prior.stride - prior.cell[axis];
                goals.sides[4 * row + axis] = place;
                goals.sides[4 * row + 2 + axis] = (object.size[axis] / prior.size[axis]).ln();
            }
            let own = &mut goals.classes[classes * row..classes * (row + 1)];
            own.fill(0.0);
            own[class] = 1.0;
        }
        for (index, _) in held.iter().enumerate().filter(|(_, held)| held.is_some()) {
            goals.learns[first + index] = 1.0;
            goals.counts[first + index] = 1.0;
        }
    }
    goals
}

/// The prior whose cell holds the object's middle and whose size overlaps the object's most, and by how much. None for
/// an object whose middle is outside the picture.
fn best_prior(priors: &[Prior], object: &Centred) -> Option<(usize, f64)> {
    let mut best: Option<(usize, f64)> = None;
    for (index, prior) in priors.iter().enumerate() {
        let holds =
            (0..2).all(|axis| (object.centre[axis] / prior.stride).floor() == prior.cell[axis]);
        if !holds {
            continue;
        }
        let here = Centred { centre: object.centre, size: prior.size };
        let fits = overlap(&here, object);
        if best.is_none_or(|(_, other)| fits > other) {
            best = Some((index, fits));
        }
    }
    best
}

/// A box by its middle.
struct Centred {
    centre: [f64; 2],
    size: [f64; 2],
}

impl Centred {
    fn of([left, top, right, bottom]: &[f64; 4]) -> Centred {
        let centre = [(left + right) / 2.0, (top + bottom) / 2.0];
        Centred { centre, size: [right - left, bottom - top] }
    }
}

impl Prior {
    /// Around the middle of its cell.
    fn centred(&self) -> Centred {
        Centred { centre: self.cell.map(|index| (index + 0.5) * self.stride), size: self.size }
    }
}

fn overlap(a: &Centred, b: &Centred) -> f64 {
    let shared = [0, 1].map(|axis| {
        let reach = |x: &Centred, side: f64| x.centre[axis] + side * x.size[axis] / 2.0;
        (reach(a, 1.0).min(reach(b, 1.0)) - reach(a, -1.0).max(reach(b, -1.0))).max(0.0)
    });
    let intersection = shared[0] * shared[1];
    let area = |x: &Centred| x.size[0] * x.size[1];
    intersection / (area(a) + area(b) - intersection)
}

//! [`AnchorTargets`]: what every anchor of a batch is to say.
//!
//! They are of all anchors, those that are not asked with a weight of zero. So shapes are the same at every step,
//! whatever was matched, and each step is run by one plan.

use crate::Result;
use crate::detection::host::{box_tensor, floats};
use gradloom_tensor::{Tensor, demand};

/// Of each anchor of each picture the box that it is to find, with a weight, and its class, with a weight.
pub(crate) struct AnchorTargets<'a> {
    anchors: &'a [[f32; 4]],
    boxes: Vec<[f32; 4]>,
    box_weights: Vec<f64>,
    classes: Vec<i32>,
    class_weights: Vec<f64>,
}

/// As tensors, for pictures N and anchors A.
pub(crate) struct TargetTensors {
    /// `[1, A, 4]`
    pub(crate) references: Tensor,
    /// `[N, A, 4]`, the reference where there is no object.
    pub(crate) boxes: Tensor,
    /// `[N, A, 1]`
    pub(crate) box_weights: Tensor,
    /// `[N, A]` of i32.
    pub(crate) classes: Tensor,
    /// `[N, A, 1]`
    pub(crate) class_weights: Tensor,
}

impl<'a> AnchorTargets<'a> {
    /// For pictures that share these anchors.
    pub(crate) fn new(anchors: &'a [[f32; 4]]) -> Self {
        let (box_weights, class_weights) = (Vec::new(), Vec::new());
        AnchorTargets {
            anchors,
            boxes: Vec::new(),
            box_weights,
            classes: Vec::new(),
            class_weights,
        }
    }

    /// Adds a picture: all anchors say this class, and nobody asks.
    pub(crate) fn push_picture(&mut self, class: i32) {
        let count = self.anchors.len();
        self.boxes.extend_from_slice(self.anchors);
        self.box_weights.resize(self.box_weights.len() + count, 0.0);
        self.classes.resize(self.classes.len() + count, class);
        self.class_weights.resize(self.class_weights.len() + count, 0.0);
    }

    /// Index of an anchor of the last picture.
    pub(crate) fn last(&self, anchor: usize) -> usize {
        self.classes.len() - self.anchors.len() + anchor
    }

    /// An anchor is to find a box.
    pub(crate) fn find(&mut self, index: usize, bounds: [f32; 4], weight: f64) {
        (self.boxes[index], self.box_weights[index]) = (bounds, weight);
    }

    /// An anchor is to say a class.
    pub(crate) fn say(&mut self, index: usize, class: i32) {
        self.classes[index] = class;
    }

    /// An anchor is asked for its class.
    pub(crate) fn ask(&mut self, index: usize, weight: f64) {
        self.class_weights[index] = weight;
    }

    /// On the device and in the dtype of codes `[N, A, 4]`.
    #[track_caller]
    pub(crate) fn tensors(&self, codes: &Tensor) -> Result<TargetTensors> {
        let (pictures, anchors) = (codes.size(0), self.anchors.len());
        demand!(
            pictures * anchors == self.classes.len() && codes.size(1) == anchors,
            "anchor_targets: {} anchors for codes {}",
            self.classes.len(),
            codes.shape()
        );
        let (dtype, device) = (codes.dtype(), codes.device());
        let weights = |weights: &[f64]| floats(weights, &[pictures, anchors, 1], dtype, device);
        Ok(TargetTensors {
            references: box_tensor(self.anchors, dtype, device)?.unsqueeze(0),
            boxes: box_tensor(&self.boxes, dtype, device)?.reshape([pictures, anchors, 4]),
            box_weights: weights(&self.box_weights)?,
            classes: Tensor::from_slice(&self.classes, [pictures, anchors], device)?,
            class_weights: weights(&self.class_weights)?,
        })
    }
}

impl TargetTensors {
    /// References at every anchor of every picture, as codes are made beside them.
    pub(crate) fn all_references(&self) -> Tensor {
        self.references.broadcast_to(*self.boxes.shape())
    }
}

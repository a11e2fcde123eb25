//! [`RoiHeads`]: what the proposals are, and where exactly.

use crate::blocks::normal_linear;
use crate::boxes::BoxCoder;
use crate::detection::host::{as_boxes, box_tensor, floats, read};
use crate::detection::selection::Candidates;
use crate::detection::{
    BalancedSampler, Detections, Match, Matcher, ObjectBoxes, PictureBatch, Rescue,
};
use crate::roi::RoiAlign;
use crate::{Error, Result};
use gradloom_nn::layers::Linear;
use gradloom_nn::losses::smooth_l1;
use gradloom_nn::{Context, Init, Layer, Module};
use gradloom_tensor::ops::loss::LossReduction;
use gradloom_tensor::{DType, Tensor};

/// Sizes and thresholds of the second stage.
#[derive(Clone, Debug, PartialEq)]
pub struct RoiConfig {
    /// Cells along a side of a region.
    pub cells: usize,
    /// Samples along a side of a cell.
    pub samples: usize,
    /// The side of a box in pixels that is looked at in the level `canonical_level`, counted so that level `l` has
    /// strides of `2^l`.
    pub canonical_side: f64,
    /// See `canonical_side`.
    pub canonical_level: f64,
    /// Features of the two hidden layers.
    pub hidden: usize,
    /// Which proposals learn of which objects.
    pub matcher: Matcher,
    /// How many of them.
    pub sampler: BalancedSampler,
    /// Least score of a detection.
    pub score_min: f32,
    /// Overlap above which the better of two detections of a class is kept.
    pub overlap_max: f64,
    /// Detections of a picture.
    pub detections_max: usize,
}

impl RoiConfig {
    /// Faster R-CNN's.
    pub fn new() -> Self {
        RoiConfig {
            cells: 7,
            samples: 2,
            canonical_side: 224.0,
            canonical_level: 4.0,
            hidden: 1024,
            matcher: Matcher { object_min: 0.5, background_max: 0.5, rescue: Rescue::Never },
            sampler: BalancedSampler { count: 512, object_share: 0.25 },
            score_min: 0.05,
            overlap_max: 0.5,
            detections_max: 100,
        }
    }
}

impl Default for RoiConfig {
    fn default() -> Self {
        RoiConfig::new()
    }
}

/// Two hidden layers on the features of a region. torchvision: `TwoMLPHead`.
#[derive(Module, Clone, Debug)]
struct BoxHead {
    fc6: Linear,
    fc7: Linear,
}

/// Logits of classes, and codes of a box for each. torchvision: `FastRCNNPredictor`.
#[derive(Module, Clone, Debug)]
struct BoxPredictor {
    cls_score: Linear,
    bbox_pred: Linear,
}

/// Classes and boxes of proposals, of which class 0 is the background.
///
/// torchvision: `models.detection.roi_heads.RoIHeads`. Girshick, "Fast R-CNN", 2015; Lin et al., "Feature pyramid
/// networks for object detection", 2017.
#[derive(Module, Clone, Debug)]
pub struct RoiHeads {
    box_head: BoxHead,
    box_predictor: BoxPredictor,
    classes: usize,
    #[module(skip)]
    config: RoiConfig,
}

fn coder() -> BoxCoder {
    BoxCoder::new([10.0, 10.0, 5.0, 5.0])
}

fn predictor(hidden: usize, classes: usize, init: &mut Init) -> BoxPredictor {
    let cls_score = normal_linear(hidden, classes, 0.01, init);
    BoxPredictor { cls_score, bbox_pred: normal_linear(hidden, 4 * classes, 0.001, init) }
}

impl RoiHeads {
    /// For levels of so many channels.
    pub fn new(config: &RoiConfig, channels: usize, classes: usize, init: &mut Init) -> Self {
        let inputs = channels * config.cells * config.cells;
        let fc6 = Linear::new(inputs, config.hidden, init);
        let box_head = BoxHead { fc6, fc7: Linear::new(config.hidden, config.hidden, init) };
        let box_predictor = predictor(config.hidden, classes, init);
        RoiHeads { box_head, box_predictor, classes, config: config.clone() }
    }

    pub(crate) fn replace(&mut self, classes: usize, init: &mut Init) {
        self.box_predictor = predictor(self.config.hidden, classes, init);
        self.classes = classes;
    }

    /// Which of so many levels, of strides 4, 8, 16.., a box is looked at in.
    fn level(&self, bounds: &[f32; 4], levels: usize) -> usize {
        let side = (f64::from(bounds[2] - bounds[0]) * f64::from(bounds[3] - bounds[1])).sqrt();
        let level =
            (self.config.canonical_level + (side / self.config.canonical_side).log2() + 1e-6)
                .floor();
        // An empty box is at minus infinity.
        (level - 2.0).clamp(0.0, levels as f64 - 1.0) as usize
    }

    /// Features of boxes, picture by picture: `[R, C, P, P]`. Levels have strides of 4, 8, 16 and so on.
    fn regions(&self, levels: &[Tensor], boxes: &[Vec<[f32; 4]>]) -> Result<Tensor> {
        let scaled = levels.iter().enumerate();
        let scaled: Vec<(&Tensor, f64)> =
            scaled.map(|(index, level)| (level, 0.25 / (1 << index) as f64)).collect();
        let align = RoiAlign::new([self.config.cells; 2], 1.0).samples(self.config.samples);
        align.forward_levels(&scaled, boxes, |bounds| self.level(bounds, levels.len()))
    }

    /// Logits `[R, classes]` and codes `[R, classes, 4]`.
    fn run(
        &self,
        levels: &[Tensor],
        boxes: &[Vec<[f32; 4]>],
        ctx: &mut Context,
    ) -> Result<[Tensor; 2]> {
        let x = self.regions(levels, boxes)?.flatten(1, -1);
        let x = self.box_head.fc6.forward(&x, ctx).relu();
        let x = self.box_head.fc7.forward(&x, ctx).relu();
        let logits = self.box_predictor.cls_score.forward(&x, ctx);
        let codes = self.box_predictor.bbox_pred.forward(&x, ctx);
        let count = codes.size(0);
        Ok([logits, codes.reshape([count, self.classes, 4])])
    }

    /// `loss_classifier` and `loss_box_reg`, of proposals and objects in the batch.
    pub(crate) fn losses(
        &self,
        levels: &[Tensor],
        proposals: &[Vec<[f32; 4]>],
        objects: &[ObjectBoxes],
        ctx: &mut Context,
    ) -> Result<[Tensor; 2]> {
        let (mut of_pictures, mut labels) = (Vec::new(), Vec::new());
        let (mut boxes, mut weights) = (Vec::new(), Vec::new());
        for (proposals, objects) in proposals.iter().zip(objects) {
            // The objects themselves are proposals, so that there is something to learn from the first step on.
            let proposals = [&proposals[..], &objects.boxes].concat();
            let matches = self.config.matcher.matches(&objects.boxes, &proposals);
            let sampled = self.config.sampler.sample(&matches, ctx.key()).all();
            for &place in &sampled {
                let found = match matches[place] {
                    Match::Object(object) => Some(object),
                    _ => None,
                };
                let label = found.map_or(0, |object| objects.labels[object]);
                labels.push(label as i32);
                boxes.push(found.map_or(proposals[place], |object| objects.boxes[object]));
                // Of each proposal only the box of its own class is asked for, and none of the background.
                let asked = |class: usize| found.is_some() && class == label;
                weights.extend((0..self.classes).map(|class| f64::from(u8::from(asked(class)))));
            }
            of_pictures.push(sampled.into_iter().map(|place| proposals[place]).collect());
        }
        let [logits, codes] = self.run(levels, &of_pictures, ctx)?;
        let (dtype, device, count) = (codes.dtype(), codes.device(), labels.len());
        if count == 0 {
            // A batch of background that has no proposals says nothing.
            return Ok([logits.sum(..), codes.sum(..)]);
        }
        let classifier = logits.cross_entropy(&Tensor::from_vec(labels, [count], device)?);
        let references = box_tensor(&of_pictures.concat(), dtype, device)?;
        let wanted = coder().encode(&box_tensor(&boxes, dtype, device)?, &references);
        let wanted = wanted.unsqueeze(1).broadcast_to(*codes.shape());
        let weights = floats(&weights, &[count, self.classes, 1], dtype, device)?;
        let boxes = smooth_l1(&codes, &wanted, 1.0 / 9.0, LossReduction::None) * weights;
        Ok([classifier, boxes.sum(..) * (1.0 / count as f64)])
    }

    /// The detections of each picture.
    pub(crate) fn detect(
        &self,
        family: &str,
        batch: &PictureBatch,
        levels: &[Tensor],
        proposals: &[Vec<[f32; 4]>],
    ) -> Result<Vec<Detections>> {
        let [logits, codes] = self.run(levels, proposals, &mut Context::eval())?;
        if logits.dtype() == DType::F16 {
            let message = "f16 does not hold the places of large pictures; use f32 or bf16";
            return Err(Error::invalid(format!("{family}: {message}")));
        }
        let references = box_tensor(&proposals.concat(), codes.dtype(), codes.device())?;
        let decoded = coder().decode(&codes, &references.unsqueeze(1));
        let [scores, boxes] = read(family, [&logits.softmax(-1), &decoded])?;
        let boxes = as_boxes(&boxes);
        let mut first = 0;
        let found = proposals.iter().enumerate().map(|(picture, proposals)| {
            let mut candidates = Candidates::default();
            for place in first * self.classes..(first + proposals.len()) * self.classes {
                let label = place % self.classes;
                if label > 0 && scores[place] > self.config.score_min {
                    candidates.push(boxes[place], scores[place], label, batch.sizes[picture], 1e-2);
                }
            }
            first += proposals.len();
            let (overlap, count) = (self.config.overlap_max, self.config.detections_max);
            candidates.detections(overlap, count, batch, picture)
        });
        found.collect()
    }
}

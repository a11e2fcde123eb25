//! [`RegionProposals`]: where objects may be, whatever they are.

use crate::boxes::{AnchorGenerator, BoxCoder};
use crate::detection::anchor_targets::AnchorTargets;
use crate::detection::heads::{conv_of, of_anchors, sizes_of};
use crate::detection::host::{as_boxes, box_tensor, read};
use crate::detection::selection::{Candidates, largest};
use crate::detection::{BalancedSampler, Match, Matcher, ObjectBoxes, PictureBatch, Rescue, Tower};
use crate::{Result, error};
use gradloom_nn::layers::Conv2d;
use gradloom_nn::losses::{BceOptions, bce_with_logits, smooth_l1};
use gradloom_nn::{Context, Init, Layer, Module};
use gradloom_tensor::Tensor;
use gradloom_tensor::ops::loss::LossReduction;

/// How proposals are made.
#[derive(Clone, Debug, PartialEq)]
pub struct ProposalConfig {
    /// Sizes of anchors in pixels, for each level.
    pub anchor_sizes: Vec<Vec<f32>>,
    /// Ratios of height to width of anchors, the same for all levels.
    pub anchor_ratios: Vec<f32>,
    /// Blocks before the outputs.
    pub depth: usize,
    /// Which anchors learn of which objects.
    pub matcher: Matcher,
    /// How many of them.
    pub sampler: BalancedSampler,
    /// The best of each level that are looked at, in training and outside of it.
    pub candidates_max: [usize; 2],
    /// Proposals of a picture, in training and outside of it.
    pub proposals_max: [usize; 2],
    /// Overlap above which the better of two proposals of a level is kept.
    pub overlap_max: f64,
}

impl ProposalConfig {
    /// Faster R-CNN's on a pyramid of five levels.
    pub fn new() -> Self {
        ProposalConfig {
            anchor_sizes: [32.0, 64.0, 128.0, 256.0, 512.0].map(|size| vec![size]).to_vec(),
            anchor_ratios: vec![0.5, 1.0, 2.0],
            depth: 1,
            matcher: Matcher { object_min: 0.7, background_max: 0.3, rescue: Rescue::Anchors },
            sampler: BalancedSampler { count: 256, object_share: 0.5 },
            candidates_max: [2000, 1000],
            proposals_max: [2000, 1000],
            overlap_max: 0.7,
        }
    }
}

impl Default for ProposalConfig {
    fn default() -> Self {
        ProposalConfig::new()
    }
}

/// The outputs of every anchor: one logit and the codes of a box.
#[derive(Module, Clone, Debug)]
struct ProposalHead {
    conv: Tower,
    cls_logits: Conv2d,
    bbox_pred: Conv2d,
}

/// Boxes of levels `[N, C, H, W]` that may hold objects.
///
/// torchvision: `models.detection.rpn.RegionProposalNetwork`. Ren et al., "Faster R-CNN", 2015.
#[derive(Module, Clone, Debug)]
pub struct RegionProposals {
    head: ProposalHead,
    #[module(skip)]
    anchors: AnchorGenerator,
    #[module(skip)]
    config: ProposalConfig,
}

/// What the network says of the anchors of a batch.
pub(crate) struct Proposed {
    /// `[N, A, 1]`
    logits: Tensor,
    /// `[N, A, 4]`
    codes: Tensor,
    anchors: Vec<[f32; 4]>,
    /// Of each picture, in the batch, the best first.
    pub(crate) boxes: Vec<Vec<[f32; 4]>>,
}

fn coder() -> BoxCoder {
    BoxCoder::new([1.0; 4])
}

impl RegionProposals {
    /// For levels of so many channels.
    ///
    /// # Errors
    /// If the anchors are wrong or not as many for all levels.
    pub fn new(
        family: &'static str,
        config: &ProposalConfig,
        channels: usize,
        init: &mut Init,
    ) -> Result<Self> {
        let ratios = vec![config.anchor_ratios.clone(); config.anchor_sizes.len()];
        let anchors = AnchorGenerator::new(&config.anchor_sizes, &ratios)?;
        let per_place = anchors.per_place();
        let count = per_place.first().copied().unwrap_or(0);
        if count == 0 || per_place.iter().any(|&other| other != count) {
            let message =
                format!("{per_place:?} anchors at the places of levels; one head serves all");
            return Err(error::config(family, message));
        }
        let head = ProposalHead {
            conv: Tower::new(channels, config.depth, 0, init),
            cls_logits: conv_of([channels, count], 1, 1, 0.01, init),
            bbox_pred: conv_of([channels, 4 * count], 1, 1, 0.01, init),
        };
        Ok(RegionProposals { head, anchors, config: config.clone() })
    }

    /// Anchors, what is said of them, and the proposals of each picture, which have no gradients.
    pub(crate) fn run(
        &self,
        family: &str,
        batch: &PictureBatch,
        levels: &[Tensor],
        ctx: &mut Context,
    ) -> Result<Proposed> {
        let (mut logits, mut codes, mut of_levels) = (Vec::new(), Vec::new(), Vec::new());
        for level in levels {
            let y = self.head.conv.forward(level, ctx);
            logits.push(of_anchors(&self.head.cls_logits.forward(&y, ctx), 1));
            codes.push(of_anchors(&self.head.bbox_pred.forward(&y, ctx), 4));
            of_levels.push(logits[logits.len() - 1].size(1));
        }
        let (logits, codes) = (Tensor::concat(&logits, 1), Tensor::concat(&codes, 1));
        let anchors = self.anchors.boxes(batch.size(), &sizes_of(levels))?;
        let references = box_tensor(&anchors, codes.dtype(), codes.device())?.unsqueeze(0);
        let decoded = coder().decode(&codes.detach(), &references);
        let [scores, boxes] = read(family, [&logits, &decoded])?;
        let boxes = as_boxes(&boxes);
        let mode = if ctx.is_training() { 0 } else { 1 };
        let of_each = batch.sizes.iter().enumerate().map(|(picture, &size)| {
            let mut candidates = Candidates::default();
            let mut first = picture * anchors.len();
            for (level, &count) in of_levels.iter().enumerate() {
                let scores = &scores[first..first + count];
                for place in largest(scores, self.config.candidates_max[mode], |_| true) {
                    // Sides of a thousandth of a pixel are none.
                    candidates.push(boxes[first + place], scores[place], level, size, 1e-3);
                }
                first += count;
            }
            let count = self.config.proposals_max[mode];
            Ok(candidates.suppressed(self.config.overlap_max, count)?.boxes)
        });
        let boxes = of_each.collect::<Result<_>>()?;
        Ok(Proposed { logits, codes, anchors, boxes })
    }

    /// `loss_objectness` and `loss_rpn_box_reg`, of objects in the batch.
    pub(crate) fn losses(
        &self,
        proposed: &Proposed,
        objects: &[ObjectBoxes],
        ctx: &mut Context,
    ) -> Result<[Tensor; 2]> {
        let Proposed { logits, codes, anchors, .. } = proposed;
        let mut targets = AnchorTargets::new(anchors);
        let mut sampled = Vec::new();
        for own in objects {
            let matches = self.config.matcher.matches(&own.boxes, anchors);
            let sample = self.config.sampler.sample(&matches, ctx.key());
            targets.push_picture(0);
            for anchor in sample.all() {
                let index = targets.last(anchor);
                let object = match matches[anchor] {
                    Match::Object(object) => Some(own.boxes[object]),
                    _ => None,
                };
                sampled.push((index, object));
            }
        }
        // Of no anchors there is nothing to learn, and no mean.
        let weight = 1.0 / sampled.len().max(1) as f64;
        for (index, object) in sampled {
            targets.ask(index, weight);
            if let Some(bounds) = object {
                targets.say(index, 1);
                targets.find(index, bounds, weight);
            }
        }
        let targets = targets.tensors(codes)?;
        let each = BceOptions { reduction: LossReduction::None, ..BceOptions::default() };
        let says = targets.classes.unsqueeze(2).cast(logits.dtype());
        let objectness = (bce_with_logits(logits, &says, &each) * &targets.class_weights).sum(..);
        let wanted = coder().encode(&targets.boxes, &targets.all_references());
        let boxes = smooth_l1(codes, &wanted, 1.0 / 9.0, LossReduction::None);
        let boxes = (boxes * &targets.box_weights).sum(..);
        Ok([objectness, boxes])
    }
}

//! [`RetinaNet`]: one stage, dense anchors, focal loss, as torchvision has it.

use crate::boxes::{AnchorGenerator, BoxCoder, generalized_iou_loss};
use crate::detection::anchor_targets::AnchorTargets;
use crate::detection::heads::{conv_of, of_anchors, renamed_block, sizes_of};
use crate::detection::host::{as_boxes, box_tensor, read};
use crate::detection::pyramid::renamed;
use crate::detection::selection::{Candidates, largest};
use crate::detection::{
    BackboneConfig, DetectionLosses, Detections, Detector, ExtraLevels, Match, Matcher,
    ObjectBoxes, PictureBatch, PictureSize, PictureTransform, PyramidBackbone, Rescue, Tower,
};
use crate::losses::sigmoid_focal_loss;
use crate::{Result, error};
use gradloom_nn::layers::Conv2d;
use gradloom_nn::{Context, Init, Layer, Module};
use gradloom_tensor::Tensor;

/// Sizes and thresholds of a RetinaNet.
#[derive(Clone, Debug, PartialEq)]
pub struct RetinaNetConfig {
    /// What it stands on.
    pub backbone: BackboneConfig,
    /// How pictures become a batch.
    pub transform: PictureTransform,
    /// Sizes of anchors in pixels, for each level.
    pub anchor_sizes: Vec<Vec<f32>>,
    /// Ratios of height to width of anchors, the same for all levels.
    pub anchor_ratios: Vec<f32>,
    /// Blocks of each head.
    pub head_depth: usize,
    /// Groups of the norms in the heads; 0 for none.
    pub head_groups: usize,
    /// Boxes learn by their generalized overlap instead of the distance of their codes.
    pub overlap_loss: bool,
    /// Number of classes, labels `0..classes`. COCO's published weights have 91.
    pub classes: usize,
    /// Least score of a detection.
    pub score_min: f32,
    /// Overlap above which the better of two detections of a class is kept.
    pub overlap_max: f64,
    /// Candidates of each level.
    pub candidates_max: usize,
    /// Detections of a picture.
    pub detections_max: usize,
}

impl RetinaNetConfig {
    fn of(extra: ExtraLevels) -> Self {
        let third = 2f32.powf(1.0 / 3.0);
        let sizes = [32.0f32, 64.0, 128.0, 256.0, 512.0];
        // Whole pixels, as published weights were trained with.
        let sizes =
            sizes.map(|size| vec![size, (size * third).floor(), (size * third * third).floor()]);
        RetinaNetConfig {
            backbone: BackboneConfig::resnet50(1, extra),
            transform: PictureTransform::new(PictureSize::Within { shorter: 800, longer: 1333 }),
            anchor_sizes: sizes.to_vec(),
            anchor_ratios: vec![0.5, 1.0, 2.0],
            head_depth: 4,
            head_groups: 0,
            overlap_loss: false,
            classes: 91,
            score_min: 0.05,
            overlap_max: 0.5,
            candidates_max: 1000,
            detections_max: 300,
        }
    }

    /// On ResNet-50. torchvision: `retinanet_resnet50_fpn`.
    pub fn resnet50_fpn() -> Self {
        RetinaNetConfig::of(ExtraLevels::P6P7)
    }

    /// On ResNet-50, with norms of groups in the heads and a loss of overlaps; norms of the backbone learn.
    /// torchvision: `retinanet_resnet50_fpn_v2`.
    pub fn resnet50_fpn_v2() -> Self {
        let mut config = RetinaNetConfig::of(ExtraLevels::P6P7OfStage);
        (config.backbone.body.frozen_norms, config.backbone.body.norm_epsilon) = (false, 1e-5);
        (config.head_groups, config.overlap_loss) = (32, true);
        config
    }

    /// Sets the number of classes.
    #[must_use]
    pub fn classes(mut self, classes: usize) -> Self {
        self.classes = classes;
        self
    }

    /// Sets the sizes that pictures are brought to: the shorter side, and the longer one at most.
    #[must_use]
    pub fn size(mut self, shorter: usize, longer: usize) -> Self {
        self.transform.size = PictureSize::Within { shorter, longer };
        self
    }
}

/// Logits of classes of every anchor.
#[derive(Module, Clone, Debug)]
struct ClassHead {
    conv: Tower,
    cls_logits: Conv2d,
}

/// Codes of the box of every anchor.
#[derive(Module, Clone, Debug)]
struct BoxHead {
    conv: Tower,
    bbox_reg: Conv2d,
}

/// Both heads of a RetinaNet.
#[derive(Module, Clone, Debug)]
pub struct RetinaNetHead {
    classification_head: ClassHead,
    regression_head: BoxHead,
    classes: usize,
}

impl RetinaNetHead {
    fn new(config: &RetinaNetConfig, anchors: usize, init: &mut Init) -> Self {
        let channels = config.backbone.channels;
        let mut tower = || Tower::new(channels, config.head_depth, config.head_groups, init);
        let (classes, boxes) = (tower(), tower());
        let cls_logits = class_layer(channels, anchors * config.classes, init);
        let classification_head = ClassHead { conv: classes, cls_logits };
        let bbox_reg = conv_of([channels, anchors * 4], 3, 1, 0.01, init);
        let regression_head = BoxHead { conv: boxes, bbox_reg };
        RetinaNetHead { classification_head, regression_head, classes: config.classes }
    }

    /// Logits `[N, A, classes]` and codes `[N, A, 4]` of all levels, the finest first.
    #[track_caller]
    pub fn forward(&self, levels: &[Tensor], ctx: &mut Context) -> [Tensor; 2] {
        let (mut logits, mut codes) = (Vec::new(), Vec::new());
        for level in levels {
            let ClassHead { conv, cls_logits } = &self.classification_head;
            let y = cls_logits.forward(&conv.forward(level, ctx), ctx);
            logits.push(of_anchors(&y, self.classes));
            let BoxHead { conv, bbox_reg } = &self.regression_head;
            codes.push(of_anchors(&bbox_reg.forward(&conv.forward(level, ctx), ctx), 4));
        }
        [Tensor::concat(&logits, 1), Tensor::concat(&codes, 1)]
    }
}

/// The last layer of classes, which begins with a hundredth for each, as almost all is background.
fn class_layer(inputs: usize, outputs: usize, init: &mut Init) -> Conv2d {
    let mut conv = conv_of([inputs, outputs], 3, 1, 0.01, init);
    conv.bias = Some(init.full(outputs, -(99.0f64.ln())));
    conv
}

/// RetinaNet: boxes and classes of every anchor at once. Losses: `classification`, `bbox_regression`.
///
/// torchvision: `models.detection.RetinaNet`. Lin et al., "Focal loss for dense object detection", 2017.
#[derive(Module, Clone, Debug)]
pub struct RetinaNet {
    /// A residual network and a pyramid.
    pub backbone: PyramidBackbone,
    /// Both heads.
    pub head: RetinaNetHead,
    #[module(skip)]
    anchors: AnchorGenerator,
    #[module(skip)]
    config: RetinaNetConfig,
}

/// What the network says of a batch.
struct Said {
    logits: Tensor,
    codes: Tensor,
    anchors: Vec<[f32; 4]>,
    /// Anchors of each level.
    of_levels: Vec<usize>,
}

impl RetinaNet {
    const MATCHER: Matcher =
        Matcher { object_min: 0.5, background_max: 0.4, rescue: Rescue::Anchors };

    fn coder() -> BoxCoder {
        BoxCoder::new([1.0; 4])
    }

    fn run(&self, batch: &PictureBatch, ctx: &mut Context) -> Result<Said> {
        let levels = self.backbone.forward(&batch.pictures, ctx);
        let [logits, codes] = ctx.within("head", |ctx| self.head.forward(&levels, ctx));
        let maps = sizes_of(&levels);
        let anchors = self.anchors.boxes(batch.size(), &maps)?;
        let per_place = self.anchors.per_place();
        let of_levels = maps.iter().zip(per_place).map(|([h, w], count)| h * w * count);
        Ok(Said { logits, codes, anchors, of_levels: of_levels.collect() })
    }
}

impl Detector for RetinaNet {
    type Config = RetinaNetConfig;
    const FAMILY: &'static str = "retinanet";

    fn new(config: &RetinaNetConfig, init: &mut Init) -> Result<Self> {
        if config.classes == 0 {
            return Err(error::config(Self::FAMILY, "there are no classes; give at least one"));
        }
        let levels = config.backbone.levels();
        if config.anchor_sizes.len() != levels {
            let sizes = config.anchor_sizes.len();
            let message = format!("anchors of {sizes} levels for a pyramid of {levels}");
            return Err(error::config(Self::FAMILY, message));
        }
        let ratios = vec![config.anchor_ratios.clone(); levels];
        let anchors = AnchorGenerator::new(&config.anchor_sizes, &ratios)?;
        let per_place = anchors.per_place();
        let count = per_place.first().copied().unwrap_or(0);
        if count == 0 || per_place.iter().any(|&other| other != count) {
            let message =
                format!("{per_place:?} anchors at the places of levels; one head serves all");
            return Err(error::config(Self::FAMILY, message));
        }
        let groups = config.head_groups;
        if groups > 0 && !config.backbone.channels.is_multiple_of(groups) {
            let channels = config.backbone.channels;
            let message = format!("{groups} groups do not divide {channels} channels");
            return Err(error::config(Self::FAMILY, message));
        }
        let backbone = PyramidBackbone::new(Self::FAMILY, &config.backbone, init)?;
        let head = RetinaNetHead::new(config, count, init);
        Ok(RetinaNet { backbone, head, anchors, config: config.clone() })
    }

    fn rename(name: &str) -> Option<String> {
        if name.ends_with("num_batches_tracked") {
            return None;
        }
        let towers = ["head.classification_head.conv.", "head.regression_head.conv."];
        let old = towers.iter().find_map(|prefix| renamed_block(name, prefix, 2));
        Some(old.unwrap_or_else(|| renamed(name)))
    }

    fn losses(
        &self,
        pictures: &[Tensor],
        objects: &[ObjectBoxes],
        ctx: &mut Context,
    ) -> Result<DetectionLosses> {
        let batch = self.config.transform.batch(Self::FAMILY, pictures)?;
        let objects = batch.objects(Self::FAMILY, objects, 0..self.config.classes)?;
        let Said { logits, codes, anchors, .. } = self.run(&batch, ctx)?;
        let mut targets = AnchorTargets::new(&anchors);
        for own in &objects {
            let matches = Self::MATCHER.matches(&own.boxes, &anchors);
            let found = matches.iter().filter(|found| matches!(found, Match::Object(_))).count();
            // The mean over pictures of sums over what was found in each.
            let weight = 1.0 / (found.max(1) * objects.len()) as f64;
            targets.push_picture(-1);
            for (anchor, found) in matches.iter().enumerate() {
                let index = targets.last(anchor);
                if let Match::Object(object) = *found {
                    targets.find(index, own.boxes[object], weight);
                    targets.say(index, own.labels[object] as i32);
                }
                if *found != Match::Between {
                    targets.ask(index, weight);
                }
            }
        }
        let targets = targets.tensors(&codes)?;
        let classes = targets.classes.unsqueeze(2).broadcast_to(*logits.shape());
        let hits = Tensor::iota(*logits.shape(), 2, logits.device()).eq(classes);
        let hits = hits.cast(logits.dtype());
        let classes = sigmoid_focal_loss(&logits, &hits, Some(0.25), 2.0) * &targets.class_weights;
        let boxes = if self.config.overlap_loss {
            let decoded = Self::coder().decode(&codes, &targets.references);
            generalized_iou_loss(&decoded, &targets.boxes) * targets.box_weights.squeeze(2)
        } else {
            let wanted = Self::coder().encode(&targets.boxes, &targets.all_references());
            (codes - wanted).abs() * &targets.box_weights
        };
        let parts = [("classification", classes.sum(..)), ("bbox_regression", boxes.sum(..))];
        Ok(DetectionLosses::new(parts))
    }

    fn detect(&self, pictures: &[Tensor]) -> Result<Vec<Detections>> {
        let batch = self.config.transform.batch(Self::FAMILY, pictures)?;
        let Said { logits, codes, anchors, of_levels } = self.run(&batch, &mut Context::eval())?;
        let (dtype, device, classes) = (logits.dtype(), logits.device(), self.config.classes);
        let references = box_tensor(&anchors, dtype, device)?.unsqueeze(0);
        let boxes = Self::coder().decode(&codes, &references);
        let [scores, boxes] = read(Self::FAMILY, [&logits.sigmoid(), &boxes])?;
        let boxes = as_boxes(&boxes);
        let found = (0..pictures.len()).map(|picture| {
            let mut candidates = Candidates::default();
            let mut first = picture * anchors.len();
            for &count in &of_levels {
                let scores = &scores[first * classes..(first + count) * classes];
                let wanted = |score: f32| score > self.config.score_min;
                for place in largest(scores, self.config.candidates_max, wanted) {
                    let (anchor, label) = (place / classes, place % classes);
                    let (bounds, score) = (boxes[first + anchor], scores[place]);
                    candidates.push(bounds, score, label, batch.sizes[picture], 0.0);
                }
                first += count;
            }
            let (overlap, count) = (self.config.overlap_max, self.config.detections_max);
            candidates.detections(overlap, count, &batch, picture)
        });
        found.collect()
    }

    fn replace_head(&mut self, classes: usize, init: &mut Init) -> Result<()> {
        self.config.classes = classes;
        let anchors = self.anchors.per_place().first().copied().unwrap_or(0);
        if classes == 0 {
            return Err(error::config(Self::FAMILY, "there are no classes; give at least one"));
        }
        self.head.classes = classes;
        let channels = self.config.backbone.channels;
        self.head.classification_head.cls_logits = class_layer(channels, anchors * classes, init);
        Ok(())
    }
}

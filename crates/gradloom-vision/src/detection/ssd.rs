//! [`Ssd`]: one stage on feature maps of six sizes, as torchvision has it.

use crate::boxes::BoxCoder;
use crate::detection::anchor_targets::AnchorTargets;
use crate::detection::detector::check_with_background;
use crate::detection::heads::{of_anchors, sizes_of};
use crate::detection::host::{as_boxes, box_tensor, read};
use crate::detection::selection::{Candidates, largest};
use crate::detection::ssd_features::SsdFeatures;
use crate::detection::{
    DefaultBoxes, DetectionLosses, Detections, Detector, Match, Matcher, ObjectBoxes, PictureBatch,
    PictureSize, PictureTransform, Rescue,
};
use crate::{Result, error};
use gradloom_nn::layers::Conv2d;
use gradloom_nn::losses::smooth_l1;
use gradloom_nn::{Context, Init, Layer, Module};
use gradloom_tensor::Tensor;
use gradloom_tensor::ops::convolution::Conv2dOptions;
use gradloom_tensor::ops::loss::{CrossEntropyOptions, LossReduction};

/// Sizes and thresholds of an SSD.
#[derive(Clone, Debug, PartialEq)]
pub struct SsdConfig {
    /// Channels of the convolutions of each of VGG's five stages. The last of the fourth stage are the first feature
    /// map.
    pub stages: [Vec<usize>; 5],
    /// How pictures become a batch.
    pub transform: PictureTransform,
    /// Reference boxes.
    pub anchors: DefaultBoxes,
    /// Number of classes with the background, which is 0. COCO's published weights have 91.
    pub classes: usize,
    /// Overlap from which an anchor has an object.
    pub object_min: f64,
    /// Background that is learnt from, for each anchor that has an object: the worst of it.
    pub background_ratio: f64,
    /// Least score of a detection.
    pub score_min: f32,
    /// Overlap above which the better of two detections of a class is kept.
    pub overlap_max: f64,
    /// Candidates of each class.
    pub candidates_max: usize,
    /// Detections of a picture.
    pub detections_max: usize,
}

impl SsdConfig {
    /// Of 300 x 300 pixels on VGG-16. torchvision: `ssd300_vgg16`.
    pub fn ssd300_vgg16() -> Self {
        let stage = |channels, depth| vec![channels; depth];
        let size = PictureSize::Exactly([300, 300]);
        SsdConfig {
            stages: [stage(64, 2), stage(128, 2), stage(256, 3), stage(512, 3), stage(512, 3)],
            transform: PictureTransform {
                mean: [0.48235, 0.45882, 0.40784],
                deviation: [1.0 / 255.0; 3],
                multiple: 1,
                ..PictureTransform::new(size)
            },
            anchors: DefaultBoxes::ssd300(),
            classes: 91,
            object_min: 0.5,
            background_ratio: 3.0,
            score_min: 0.01,
            overlap_max: 0.45,
            candidates_max: 400,
            detections_max: 200,
        }
    }

    /// Sets the number of classes, the background among them.
    #[must_use]
    pub fn classes(mut self, classes: usize) -> Self {
        self.classes = classes;
        self
    }
}

/// A convolution for each feature map.
#[derive(Module, Clone, Debug)]
struct MapHead {
    module_list: Vec<Conv2d>,
}

impl MapHead {
    fn new(channels: &[usize], anchors: &[usize], numbers: usize, init: &mut Init) -> Self {
        let convs = channels.iter().zip(anchors).map(|(&inputs, &count)| {
            let options = Conv2dOptions::default().padding(1);
            let mut conv = Conv2d::new(inputs, count * numbers, 3, options, init);
            let fans = (9 * (inputs + count * numbers)) as f64;
            conv.weight = init.uniform(*conv.weight.shape(), (6.0 / fans).sqrt());
            conv.bias = Some(init.zeros(count * numbers));
            conv
        });
        MapHead { module_list: convs.collect() }
    }

    fn forward(&self, maps: &[Tensor], numbers: usize, ctx: &mut Context) -> Tensor {
        let outputs = self.module_list.iter().zip(maps).map(|(conv, map)| {
            let y = conv.forward(map, ctx);
            of_anchors(&y, numbers)
        });
        Tensor::concat(&outputs.collect::<Vec<Tensor>>(), 1)
    }
}

/// Both heads of an SSD.
#[derive(Module, Clone, Debug)]
struct SsdHead {
    classification_head: MapHead,
    regression_head: MapHead,
}

/// SSD. Losses: `bbox_regression`, `classification`.
///
/// torchvision: `models.detection.SSD`. Liu et al., "SSD: single shot multibox detector", 2016.
#[derive(Module, Clone, Debug)]
pub struct Ssd {
    /// VGG and further convolutions.
    backbone: SsdFeatures,
    head: SsdHead,
    #[module(skip)]
    config: SsdConfig,
}

fn coder() -> BoxCoder {
    BoxCoder::new([10.0, 10.0, 5.0, 5.0])
}

impl Ssd {
    /// Logits `[N, A, classes]`, codes `[N, A, 4]`, and anchors.
    fn run(
        &self,
        batch: &PictureBatch,
        ctx: &mut Context,
    ) -> Result<(Tensor, Tensor, Vec<[f32; 4]>)> {
        let maps = ctx.within("backbone", |ctx| self.backbone.maps(&batch.pictures, ctx))?;
        let (logits, codes) = ctx.within("head", |ctx| {
            let logits = self.head.classification_head.forward(&maps, self.config.classes, ctx);
            (logits, self.head.regression_head.forward(&maps, 4, ctx))
        });
        Ok((logits, codes, self.config.anchors.boxes(batch.size(), &sizes_of(&maps))))
    }

    /// Of one picture's losses of anchors as background the places of the worst; anchors of objects do not count.
    fn worst(&self, losses: &[f32], matches: &[Match]) -> Vec<usize> {
        let is_object = |place: usize| matches!(matches[place], Match::Object(_));
        let objects = (0..matches.len()).filter(|&place| is_object(place)).count();
        let losses: Vec<f32> = losses
            .iter()
            .enumerate()
            .map(|(place, loss)| if is_object(place) { f32::NEG_INFINITY } else { *loss })
            .collect();
        let count = (objects as f64 * self.config.background_ratio) as usize;
        largest(&losses, count, |loss| loss > f32::NEG_INFINITY)
    }
}

impl Detector for Ssd {
    type Config = SsdConfig;
    const FAMILY: &'static str = "ssd";

    fn new(config: &SsdConfig, init: &mut Init) -> Result<Self> {
        check_with_background(Self::FAMILY, config.classes)?;
        config.anchors.check()?;
        if config.anchors.ratios.len() != SsdFeatures::MAPS {
            let (maps, own) = (config.anchors.ratios.len(), SsdFeatures::MAPS);
            let message = format!("anchors of {maps} feature maps for {own}");
            return Err(error::config(Self::FAMILY, message));
        }
        let backbone = SsdFeatures::new(&config.stages, init)?;
        let (channels, anchors) = (backbone.channels(), config.anchors.per_place());
        let classification_head = MapHead::new(&channels, &anchors, config.classes, init);
        let regression_head = MapHead::new(&channels, &anchors, 4, init);
        let head = SsdHead { classification_head, regression_head };
        Ok(Ssd { backbone, head, config: config.clone() })
    }

    fn rename(name: &str) -> Option<String> {
        Some(name.to_owned())
    }

    fn losses(
        &self,
        pictures: &[Tensor],
        objects: &[ObjectBoxes],
        ctx: &mut Context,
    ) -> Result<DetectionLosses> {
        let batch = self.config.transform.batch(Self::FAMILY, pictures)?;
        let objects = batch.objects(Self::FAMILY, objects, 1..self.config.classes)?;
        let (logits, codes, anchors) = self.run(&batch, ctx)?;
        let matcher = Matcher {
            object_min: self.config.object_min,
            background_max: self.config.object_min,
            rescue: Rescue::Object,
        };
        let matches = objects.iter().map(|own| matcher.matches(&own.boxes, &anchors));
        let matches: Vec<Vec<Match>> = matches.collect();
        let is_object = |found: &&Match| matches!(found, Match::Object(_));
        let count = matches.iter().flatten().filter(is_object).count();
        let weight = 1.0 / count.max(1) as f64;
        let mut targets = AnchorTargets::new(&anchors);
        for (own, matches) in objects.iter().zip(&matches) {
            targets.push_picture(0);
            for (anchor, found) in matches.iter().enumerate() {
                if let Match::Object(object) = *found {
                    let index = targets.last(anchor);
                    targets.find(index, own.boxes[object], weight);
                    targets.say(index, own.labels[object] as i32);
                    targets.ask(index, weight);
                }
            }
        }
        let each = CrossEntropyOptions::default().reduction(LossReduction::None);
        let losses = logits.cross_entropy_with(&targets.tensors(&codes)?.classes, &each);
        let [values] = read(Self::FAMILY, [&losses])?;
        for (picture, matches) in matches.iter().enumerate() {
            let first = picture * anchors.len();
            for place in self.worst(&values[first..first + anchors.len()], matches) {
                targets.ask(first + place, weight);
            }
        }
        let targets = targets.tensors(&codes)?;
        let classes = (losses * targets.class_weights.squeeze(2)).sum(..);
        let wanted = coder().encode(&targets.boxes, &targets.all_references());
        let boxes = smooth_l1(&codes, &wanted, 1.0, LossReduction::None) * &targets.box_weights;
        Ok(DetectionLosses::new([("bbox_regression", boxes.sum(..)), ("classification", classes)]))
    }

    fn detect(&self, pictures: &[Tensor]) -> Result<Vec<Detections>> {
        let batch = self.config.transform.batch(Self::FAMILY, pictures)?;
        let (logits, codes, anchors) = self.run(&batch, &mut Context::eval())?;
        let references = box_tensor(&anchors, codes.dtype(), codes.device())?.unsqueeze(0);
        let boxes = coder().decode(&codes, &references);
        // Classes first, so that each is a list.
        let scores = logits.softmax(-1).transpose(1, 2);
        let [scores, boxes] = read(Self::FAMILY, [&scores, &boxes])?;
        let (boxes, classes) = (as_boxes(&boxes), self.config.classes);
        let found = (0..pictures.len()).map(|picture| {
            let mut candidates = Candidates::default();
            let own = &boxes[picture * anchors.len()..];
            for label in 1..classes {
                let first = (picture * classes + label) * anchors.len();
                let scores = &scores[first..first + anchors.len()];
                let wanted = |score: f32| score > self.config.score_min;
                for place in largest(scores, self.config.candidates_max, wanted) {
                    candidates.push(own[place], scores[place], label, batch.sizes[picture], 0.0);
                }
            }
            let (overlap, count) = (self.config.overlap_max, self.config.detections_max);
            candidates.detections(overlap, count, &batch, picture)
        });
        found.collect()
    }

    fn replace_head(&mut self, classes: usize, init: &mut Init) -> Result<()> {
        check_with_background(Self::FAMILY, classes)?;
        self.config.classes = classes;
        let (channels, anchors) = (self.backbone.channels(), self.config.anchors.per_place());
        self.head.classification_head = MapHead::new(&channels, &anchors, classes, init);
        Ok(())
    }
}

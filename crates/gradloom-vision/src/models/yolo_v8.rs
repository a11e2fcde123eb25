//! [`YoloV8`]: cross-stage parts, a pyramid up and down, and points that say distances as distributions.

use crate::boxes::{BoxForm, convert_boxes};
use crate::classifier::{check_classes, check_pictures};
use crate::detection::yolo::distribution_head::{DistributionHead, Points, STRIDES};
use crate::detection::yolo::trunk::{Trunk, TrunkBuilder};
use crate::detection::yolo::{
    DetectOptions, TaskAlignedAssigner, YoloV8Losses, check_targets, fits, in_pictures, kept,
};
use crate::detection::{Detections, ObjectBoxes};
use crate::{Classifier, Result, error};
use gradloom_data::Image;
use gradloom_nn::{Activation, Context, Init, Layer, Module};
use gradloom_tensor::Tensor;

const ACTIVATION: Activation = Activation::Silu;
/// The parts whose outputs the head reads.
const LEVELS: [usize; 3] = [15, 18, 21];
/// The smallest size that is a whole number of the coarsest cells.
const MULTIPLE: usize = STRIDES[2];

/// Sizes of a network of the kind of YOLOv8.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct YoloV8Config {
    /// Share of the bottlenecks of each part: 1 is three and six of them.
    pub depth: f64,
    /// Share of the channels: 1 is 64 after the first convolution.
    pub width: f64,
    /// Channels at most, before the share is taken.
    pub channels_max: usize,
    /// Number of classes.
    pub classes: usize,
}

impl YoloV8Config {
    fn of(depth: f64, width: f64, channels_max: usize) -> Self {
        YoloV8Config { depth, width, channels_max, classes: 80 }
    }

    /// The smallest of the published sizes, of 3.2 million weights, for COCO's 80 classes.
    pub fn yolov8n() -> Self {
        YoloV8Config::of(0.33, 0.25, 1024)
    }

    /// Of 11.2 million weights.
    pub fn yolov8s() -> Self {
        YoloV8Config::of(0.33, 0.5, 1024)
    }

    /// Of 25.9 million weights.
    pub fn yolov8m() -> Self {
        YoloV8Config::of(0.67, 0.75, 768)
    }

    /// Of 43.7 million weights.
    pub fn yolov8l() -> Self {
        YoloV8Config::of(1.0, 1.0, 512)
    }

    /// Of 68.2 million weights.
    pub fn yolov8x() -> Self {
        YoloV8Config::of(1.0, 1.25, 512)
    }

    /// Sets the number of classes.
    #[must_use]
    pub fn classes(self, classes: usize) -> Self {
        YoloV8Config { classes, ..self }
    }

    fn channels(&self, full: usize) -> usize {
        ((full.min(self.channels_max) as f64 * self.width / 8.0).ceil() as usize).max(1) * 8
    }

    fn repeats(&self, full: usize) -> usize {
        ((full as f64 * self.depth).round() as usize).max(1)
    }
}

/// A detector without anchors: pictures `[N, 3, H, W]` of values in 0..=1, sizes multiples of 32.
///
/// [`detect`](YoloV8::detect) finds objects in framed pictures, [`find`](YoloV8::find) in any pictures, and
/// [`losses`](YoloV8::losses) are what it learns by. As a layer it gives `[N, 4 + classes, A]`: middle, width and height in
/// pixels and the probability of each class at all points of the levels of strides 8, 16 and 32, which is also the output of
/// Ultralytics' exported networks.
///
/// Names of weights are those of Ultralytics' state dicts of `yolov8n.yaml` to `yolov8x.yaml`, whose structure it has; its
/// own code is written after the papers: Wang et al., "CSPNet", 2020; Li et al., "Generalized focal loss", 2020; Feng et
/// al., "TOOD", 2021; Zheng et al., "Distance-IoU loss", 2020.
///
/// ```
/// use gradloom_nn::{Context, Init, gradients};
/// use gradloom_tensor::{DType, Key, Tensor};
/// use gradloom_vision::detection::ObjectBoxes;
/// use gradloom_vision::detection::yolo::DetectOptions;
/// use gradloom_vision::{Classifier, YoloV8, YoloV8Config};
///
/// # fn main() -> gradloom_tensor::Result<()> {
/// # let device = gradloom_cpu::device();
/// let config = YoloV8Config::yolov8n().classes(2);
/// let model = YoloV8::new(&config, &mut Init::new(Key::new(0), &device))?;
/// let pictures = Tensor::uniform(Key::new(1), [1, 3, 64, 64], 0.0, 1.0, &device);
/// let objects = ObjectBoxes { boxes: vec![[10.0, 12.0, 40.0, 50.0]], labels: vec![1] };
/// let losses = model.losses(&pictures, &[objects], &mut Context::train(Key::new(2)))?;
/// assert!(gradients(&losses.total(), &model).len() > 100);
/// let found = model.detect(&pictures, &DetectOptions::default())?;
/// assert_eq!(found.len(), 1);
/// # Ok(())
/// # }
/// ```
#[derive(Module, Clone, Debug)]
pub struct YoloV8 {
    #[module(flatten)]
    trunk: Trunk,
    #[module(rename = "model.22")]
    head: DistributionHead,
    #[module(skip)]
    assigner: TaskAlignedAssigner,
}

impl YoloV8 {
    /// Sets how the points are chosen that learn an object.
    #[must_use]
    pub fn assigner(mut self, assigner: TaskAlignedAssigner) -> Self {
        self.assigner = assigner;
        self
    }

    #[track_caller]
    fn points(&self, pictures: &Tensor, ctx: &mut Context) -> Points {
        let outputs = self.trunk.run(pictures, ctx);
        let levels = LEVELS.map(|part| &outputs[part]);
        ctx.within("model.22", |ctx| self.head.points(levels, ctx))
    }

    /// The losses of framed pictures for their objects. It evaluates the network to choose the points that learn; what was
    /// computed is kept for the gradients.
    ///
    /// # Errors
    /// If the pictures are no `[N, 3, H, W]` of floats with sizes of multiples of 32, the targets are not as many, have
    /// boxes without area or unknown classes, or the device fails.
    pub fn losses(
        &self,
        pictures: &Tensor,
        targets: &[ObjectBoxes],
        ctx: &mut Context,
    ) -> Result<YoloV8Losses> {
        fits(Self::FAMILY, pictures, MULTIPLE)?;
        check_targets(Self::FAMILY, targets, pictures, self.head.sizes().0)?;
        self.points(pictures, ctx).losses(targets, &self.assigner)
    }

    /// What is in framed pictures: of each point its best class, suppressed class by class.
    ///
    /// # Errors
    /// If the pictures are no `[N, 3, H, W]` of floats with sizes of multiples of 32, the options are wrong, the device
    /// fails, or the network says what is not finite.
    pub fn detect(&self, pictures: &Tensor, options: &DetectOptions) -> Result<Vec<Detections>> {
        fits(Self::FAMILY, pictures, MULTIPLE)?;
        let points = self.points(pictures, &mut Context::eval());
        let logits = points.logits.wide();
        kept(&points.boxes(), &logits.max(-1).sigmoid(), &logits.argmax(-1), options)
    }

    /// What is in any pictures of three channels, framed as squares of this side: boxes are in their own pixels.
    ///
    /// # Errors
    /// As [`detect`](YoloV8::detect), and if a picture has other channels or no pixels.
    pub fn find(
        &self,
        images: &[Image],
        side: usize,
        options: &DetectOptions,
    ) -> Result<Vec<Detections>> {
        in_pictures(images, side, self.head.device(), |pictures| self.detect(pictures, options))
    }
}

impl Classifier for YoloV8 {
    type Config = YoloV8Config;
    const FAMILY: &'static str = "yolo_v8";

    fn new(config: &YoloV8Config, init: &mut Init) -> Result<Self> {
        check_classes(Self::FAMILY, config.classes)?;
        let &YoloV8Config { depth, width, channels_max, classes } = config;
        let sane = |share: f64| share > 0.0 && share <= 16.0;
        if !sane(depth) || !sane(width) || !(8..=8192).contains(&channels_max) {
            let message = format!("depth {depth}, width {width}, {channels_max} channels at most");
            return Err(error::config(Self::FAMILY, message));
        }
        let channels = |full| config.channels(full);
        let (three, six) = (config.repeats(3), config.repeats(6));
        let mut trunk = TrunkBuilder::new(ACTIVATION, init);
        trunk.conv(channels(64), 3, 2);
        trunk.conv(channels(128), 3, 2);
        trunk.c2f(channels(128), three, true);
        trunk.conv(channels(256), 3, 2);
        trunk.c2f(channels(256), six, true);
        trunk.conv(channels(512), 3, 2);
        trunk.c2f(channels(512), six, true);
        trunk.conv(channels(1024), 3, 2);
        trunk.c2f(channels(1024), three, true);
        trunk.sppf();
        // Up, to strides of 16 and 8.
        for (beside, full) in [(6, 512), (4, 256)] {
            trunk.upsample();
            trunk.concat(beside);
            trunk.c2f(channels(full), three, false);
        }
        // And down again.
        for (beside, full, next) in [(12, 256, 512), (9, 512, 1024)] {
            trunk.conv(channels(full), 3, 2);
            trunk.concat(beside);
            trunk.c2f(channels(next), three, false);
        }
        let levels = LEVELS.map(|part| trunk.channels_of(part));
        let trunk = trunk.finish();
        let head = DistributionHead::new(levels, classes, ACTIVATION, init);
        Ok(YoloV8 { trunk, head, assigner: TaskAlignedAssigner::default() })
    }

    /// The numbers of the bins stand in a checkpoint as weights of a convolution; they are none.
    fn rename(_config: &YoloV8Config, name: &str) -> Option<String> {
        (name != "model.22.dfl.conv.weight").then(|| name.to_owned())
    }

    fn replace_head(&mut self, classes: usize, init: &mut Init) -> Result<()> {
        check_classes(Self::FAMILY, classes)?;
        let (_, levels) = self.head.sizes();
        self.head.set_classes(levels, classes, ACTIVATION, init);
        Ok(())
    }
}

impl Layer for YoloV8 {
    #[track_caller]
    fn forward(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
        check_pictures(Self::FAMILY, x, 3);
        if let Err(error) = fits(Self::FAMILY, x, MULTIPLE) {
            panic!("{error}");
        }
        let points = self.points(x, ctx);
        let boxes = convert_boxes(&points.boxes(), BoxForm::Corners, BoxForm::CentreSize);
        let probabilities = points.logits.wide().sigmoid();
        Tensor::concat(&[boxes, probabilities], -1).transpose(1, 2).cast(x.dtype())
    }
}

//! [`YoloV3Tiny`]: convolutions and poolings, and two levels of cells with three priors each.

use crate::boxes::{BoxForm, convert_boxes};
use crate::classifier::{check_classes, check_pictures};
use crate::detection::yolo::anchor_head::{AnchorHead, PRIORS, SIDES, prior_tensors, priors};
use crate::detection::yolo::anchor_losses::anchor_losses;
use crate::detection::yolo::trunk::{Trunk, TrunkBuilder};
use crate::detection::yolo::{DetectOptions, YoloV3Losses, check_targets, fits, in_pictures, kept};
use crate::detection::{Detections, ObjectBoxes};
use crate::{Classifier, Result, error};
use gradloom_data::Image;
use gradloom_nn::{Activation, Context, Init, Layer, Module};
use gradloom_tensor::Tensor;

/// The parts whose outputs the head reads.
const LEVELS: [usize; 2] = [19, 15];
const MULTIPLE: usize = 32;

/// Sizes of a tiny YOLOv3.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct YoloV3TinyConfig {
    /// Widths and heights of the priors in pixels, of strides 16 and 32.
    pub anchors: [[[f64; 2]; PRIORS]; 2],
    /// Behind each norm: a leaky ReLU of slope 0.1 in Darknet, SiLU in Ultralytics' later releases.
    pub activation: Activation,
    /// Share of the channels: 1 is 16 after the first convolution and 1024 at most.
    pub width: f64,
    /// Number of classes.
    pub classes: usize,
}

impl YoloV3TinyConfig {
    /// The published network for COCO's 80 classes.
    pub fn new() -> Self {
        YoloV3TinyConfig {
            anchors: [
                [[10.0, 14.0], [23.0, 27.0], [37.0, 58.0]],
                [[81.0, 82.0], [135.0, 169.0], [344.0, 319.0]],
            ],
            activation: Activation::LeakyRelu(0.1),
            width: 1.0,
            classes: 80,
        }
    }

    /// Sets the number of classes.
    #[must_use]
    pub fn classes(self, classes: usize) -> Self {
        YoloV3TinyConfig { classes, ..self }
    }

    /// Sets the sizes of the priors.
    #[must_use]
    pub fn anchors(self, anchors: [[[f64; 2]; PRIORS]; 2]) -> Self {
        YoloV3TinyConfig { anchors, ..self }
    }
}

impl Default for YoloV3TinyConfig {
    fn default() -> Self {
        YoloV3TinyConfig::new()
    }
}

/// A small detector with anchors: pictures `[N, 3, H, W]` of values in 0..=1, sizes multiples of 32.
///
/// [`detect`](YoloV3Tiny::detect) finds objects in framed pictures, [`find`](YoloV3Tiny::find) in any pictures, and
/// [`losses`](YoloV3Tiny::losses) are the paper's. As a layer it gives `[N, A, 5 + classes]`: middle, width and height in
/// pixels, the probability that there is an object, and those of the classes, at all priors of strides 16 and 32.
///
/// A box is `sigmoid(t)` cells from the corner of its cell and `exp(t)` times as large as its prior. Names of weights are
/// those of Ultralytics' state dicts of `yolov3-tiny.yaml` with anchors; their releases since 2021 decode boxes in another
/// way, so weights of those find other boxes here.
/// Redmon and Farhadi, "YOLOv3: an incremental improvement", 2018.
///
/// ```
/// use gradloom_nn::{Context, Init, gradients};
/// use gradloom_tensor::{Key, Tensor};
/// use gradloom_vision::detection::ObjectBoxes;
/// use gradloom_vision::detection::yolo::DetectOptions;
/// use gradloom_vision::{Classifier, YoloV3Tiny, YoloV3TinyConfig};
///
/// # fn main() -> gradloom_tensor::Result<()> {
/// # let device = gradloom_cpu::device();
/// let config = YoloV3TinyConfig { width: 0.25, ..YoloV3TinyConfig::new().classes(2) };
/// let model = YoloV3Tiny::new(&config, &mut Init::new(Key::new(0), &device))?;
/// let pictures = Tensor::uniform(Key::new(1), [2, 3, 64, 64], 0.0, 1.0, &device);
/// let object = ObjectBoxes { boxes: vec![[10.0, 12.0, 40.0, 50.0]], labels: vec![1] };
/// let targets = [object, ObjectBoxes::default()];
/// let losses = model.losses(&pictures, &targets, &mut Context::train(Key::new(2)))?;
/// assert!(gradients(&losses.total(), &model).len() > 20);
/// let found = model.detect(&pictures, &DetectOptions::default())?;
/// assert_eq!(found.len(), 2);
/// # Ok(())
/// # }
/// ```
#[derive(Module, Clone, Debug)]
pub struct YoloV3Tiny {
    #[module(flatten)]
    trunk: Trunk,
    #[module(rename = "model.20")]
    head: AnchorHead,
    #[module(skip)]
    anchors: [[[f64; 2]; PRIORS]; 2],
}

impl YoloV3Tiny {
    #[track_caller]
    fn maps(&self, pictures: &Tensor, ctx: &mut Context) -> Tensor {
        let outputs = self.trunk.run(pictures, ctx);
        let levels = LEVELS.map(|part| &outputs[part]);
        ctx.within("model.20", |ctx| self.head.maps(levels, ctx))
    }

    /// Middles and sizes in pixels, `[N, A, 4]`, of what is said at the priors of pictures of this size.
    #[track_caller]
    fn boxes(&self, maps: &Tensor, size: [usize; 2]) -> Tensor {
        let [places, sizes, strides] =
            prior_tensors(size, &self.anchors, maps.dtype(), maps.device());
        let middle = maps.narrow(2, 0, 2).sigmoid() * strides + places;
        Tensor::concat(&[middle, maps.narrow(2, 2, 2).exp() * sizes], 2)
    }

    /// The losses of framed pictures for their objects.
    ///
    /// The prior whose cell holds an object's middle, and whose size overlaps it most, learns the object; other priors
    /// that overlap one by more than half are ignored; all others shall say that there is none. Of several objects that
    /// want one prior the one that fits best gets it.
    ///
    /// # Errors
    /// If the pictures are no `[N, 3, H, W]` of floats with sizes of multiples of 32, the targets are not as many, have
    /// boxes without area or unknown classes, or the device fails.
    pub fn losses(
        &self,
        pictures: &Tensor,
        targets: &[ObjectBoxes],
        ctx: &mut Context,
    ) -> Result<YoloV3Losses> {
        fits(Self::FAMILY, pictures, MULTIPLE)?;
        check_targets(Self::FAMILY, targets, pictures, self.head.classes())?;
        let maps = self.maps(pictures, ctx);
        let size = [pictures.size(2), pictures.size(3)];
        anchor_losses(&maps, &priors(size, &self.anchors), targets)
    }

    /// What is in framed pictures: of each prior its best class, suppressed class by class. A score is the probability of
    /// an object times that of its class.
    ///
    /// # Errors
    /// If the pictures are no `[N, 3, H, W]` of floats with sizes of multiples of 32, the options are wrong, the device
    /// fails, or the network says what is not finite.
    pub fn detect(&self, pictures: &Tensor, options: &DetectOptions) -> Result<Vec<Detections>> {
        fits(Self::FAMILY, pictures, MULTIPLE)?;
        let maps = self.maps(pictures, &mut Context::eval()).wide();
        let boxes = self.boxes(&maps, [pictures.size(2), pictures.size(3)]);
        let boxes = convert_boxes(&boxes, BoxForm::CentreSize, BoxForm::Corners);
        let logits = maps.narrow(2, SIDES, self.head.classes());
        let scores = maps.narrow(2, 4, 1).squeeze(2).sigmoid() * logits.max(-1).sigmoid();
        kept(&boxes, &scores, &logits.argmax(-1), options)
    }

    /// What is in any pictures of three channels, framed as squares of this side: boxes are in their own pixels.
    ///
    /// # Errors
    /// As [`detect`](YoloV3Tiny::detect), and if a picture has other channels or no pixels.
    pub fn find(
        &self,
        images: &[Image],
        side: usize,
        options: &DetectOptions,
    ) -> Result<Vec<Detections>> {
        in_pictures(images, side, self.head.device(), |pictures| self.detect(pictures, options))
    }
}

impl Classifier for YoloV3Tiny {
    type Config = YoloV3TinyConfig;
    const FAMILY: &'static str = "yolo_v3_tiny";

    fn new(config: &YoloV3TinyConfig, init: &mut Init) -> Result<Self> {
        check_classes(Self::FAMILY, config.classes)?;
        let &YoloV3TinyConfig { anchors, activation, width, classes } = config;
        let sides = anchors.as_flattened().as_flattened();
        if !sides.iter().all(|&side| side > 0.0 && side.is_finite()) {
            let message = format!("the sizes of the priors are {anchors:?}");
            return Err(error::config(Self::FAMILY, message));
        }
        if !(width > 0.0 && width <= 16.0) {
            return Err(error::config(Self::FAMILY, format!("width {width}")));
        }
        let channels = |full: usize| ((full as f64 * width / 8.0).ceil() as usize).max(1) * 8;
        let mut trunk = TrunkBuilder::new(activation, init);
        for full in [16, 32, 64, 128, 256] {
            trunk.conv(channels(full), 3, 1);
            trunk.pool(2);
        }
        trunk.conv(channels(512), 3, 1);
        // A pooling of stride one that keeps the size.
        trunk.extend();
        trunk.pool(1);
        trunk.conv(channels(1024), 3, 1);
        trunk.conv(channels(256), 1, 1);
        trunk.conv(channels(512), 3, 1);
        trunk.after(14);
        trunk.conv(channels(128), 1, 1);
        trunk.upsample();
        trunk.concat(8);
        trunk.conv(channels(256), 3, 1);
        let levels = LEVELS.map(|part| trunk.channels_of(part));
        let trunk = trunk.finish();
        Ok(YoloV3Tiny { trunk, head: AnchorHead::new(levels, classes, init), anchors })
    }

    /// The sizes of the priors stand in a checkpoint as buffers; here they are part of the configuration.
    fn rename(_config: &YoloV3TinyConfig, name: &str) -> Option<String> {
        let buffer = ["model.20.anchors", "model.20.anchor_grid"].contains(&name);
        (!buffer).then(|| name.to_owned())
    }

    fn replace_head(&mut self, classes: usize, init: &mut Init) -> Result<()> {
        check_classes(Self::FAMILY, classes)?;
        self.head = AnchorHead::new(self.head.inputs(), classes, init);
        Ok(())
    }
}

impl Layer for YoloV3Tiny {
    #[track_caller]
    fn forward(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
        check_pictures(Self::FAMILY, x, 3);
        if let Err(error) = fits(Self::FAMILY, x, MULTIPLE) {
            panic!("{error}");
        }
        let maps = self.maps(x, ctx).wide();
        let boxes = self.boxes(&maps, [x.size(2), x.size(3)]);
        let probabilities = maps.narrow(2, 4, 1 + self.head.classes()).sigmoid();
        Tensor::concat(&[boxes, probabilities], 2).cast(x.dtype())
    }
}

//! [`SsdFaceDetector`]: faces by MobileNet v1 and boxes at six sizes.

use gradloom_data::Image;
use gradloom_nn::{Activation, Context, Init, Layer, Module, Parameter};
use gradloom_tensor::Tensor;
use gradloom_tensor::ops::convolution::Conv2dOptions;

use crate::blocks::{ConvNormActivation, NormOptions, SameConv, strided};
use crate::boxes::{BoxCoder, nms};
use crate::classifier::check_pictures;
use crate::faces::{FaceDetection, Frame};
use crate::stack::{Stack, run};
use crate::tensorflow::{Layout, torch_name};
use crate::{Pretrained, Result};

/// Height and width of the pictures.
const SIZE: usize = 512;
/// Outputs and strides of MobileNet v1's thirteen pairs of layers.
const PAIRS: [(usize, usize); 13] = [
    (64, 1),
    (128, 2),
    (128, 1),
    (256, 2),
    (256, 1),
    (512, 2),
    (512, 1),
    (512, 1),
    (512, 1),
    (512, 1),
    (512, 1),
    (1024, 2),
    (1024, 1),
];
/// Outputs, kernels and strides of what follows them.
const FURTHER: [(usize, usize, usize); 8] = [
    (256, 1, 1),
    (512, 3, 2),
    (128, 1, 1),
    (256, 3, 2),
    (128, 1, 1),
    (256, 3, 2),
    (64, 1, 1),
    (128, 3, 2),
];
/// Channels that are looked at, and anchors of each place.
const PREDICTORS: [(usize, usize); 6] =
    [(512, 3), (1024, 6), (512, 6), (256, 6), (256, 6), (128, 6)];
/// Anchors of a picture of this size.
const ANCHORS: usize = 5118;
/// Faces that overlap more are one.
const OVERLAP_MAX: f64 = 0.5;
/// The most faces of a picture.
const FACES_MAX: usize = 100;

/// Where faces are: `[N, 3, 512, 512]` of levels -> `[N, 5118, 5]`: top, left, bottom and right as parts of the side,
/// and the score. [`detect`](Self::detect) makes faces of them.
///
/// face-api: `SsdMobilenetv1`, `ssd_mobilenetv1_model`. Liu et al., "SSD: single shot multibox detector", 2016;
/// Howard et al., "MobileNets", 2017.
#[derive(Module, Clone, Debug)]
pub struct SsdFaceDetector {
    trunk: Stack,
    further: Stack,
    predictors: Stack,
    /// `[1, 5118, 4]`, top, left, bottom and right: part of the weights.
    anchors: Parameter,
}

/// A convolution and ReLU6; the norm is in its weights.
#[derive(Module, Clone, Debug)]
struct Pointwise {
    #[module(flatten)]
    conv: SameConv,
}

impl Layer for Pointwise {
    #[track_caller]
    fn forward(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
        self.conv.forward(x, ctx).relu6()
    }
}

#[derive(Module, Clone, Debug)]
struct Predictor {
    boxes: SameConv,
    classes: SameConv,
}

impl Predictor {
    /// Codes and the score of each anchor, `[N, anchors, 5]`.
    #[track_caller]
    fn predict(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
        let mut rows = |layer: &SameConv, length: usize| {
            let y = layer.forward(x, ctx).permute(&[0, 2, 3, 1]);
            let anchors = y.count() / (y.size(0) * length).max(1);
            y.reshape([y.size(0), anchors, length])
        };
        let codes = rows(&self.boxes, 4);
        // Nothing, a face, and one class more that is of no use.
        let scores = rows(&self.classes, 3).narrow(-1, 1, 1);
        Tensor::concat(&[codes, scores], -1)
    }
}

impl Layer for Predictor {
    #[track_caller]
    fn forward(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
        self.predict(x, ctx)
    }
}

impl Pretrained for SsdFaceDetector {
    type Config = ();
    const FAMILY: &'static str = "ssd_face_detector";

    fn new(_: &(), init: &mut Init) -> Result<Self> {
        let pointwise = |channels, kernel, stride, init: &mut Init| Pointwise {
            conv: SameConv::new(channels, kernel, strided(kernel, stride), init),
        };
        let mut trunk = Stack::new();
        trunk.insert("0", pointwise([3, 32], 3, 2, init));
        let mut inputs = 32;
        for (index, (outputs, stride)) in PAIRS.into_iter().enumerate() {
            let options = strided(3, stride).groups(inputs);
            let (norm, relu6) = (NormOptions::SLOW, Activation::Relu6);
            let depthwise =
                ConvNormActivation::new([inputs; 2], 3, options, norm, relu6, init).same(true);
            trunk.insert(format!("{}_depthwise", index + 1), depthwise);
            let layer = pointwise([inputs, outputs], 1, 1, init);
            trunk.insert(format!("{}_pointwise", index + 1), layer);
            inputs = outputs;
        }
        let (mut further, mut predictors) = (Stack::new(), Stack::new());
        for (outputs, kernel, stride) in FURTHER {
            further.push(pointwise([inputs, outputs], kernel, stride, init));
            inputs = outputs;
        }
        for (channels, anchors) in PREDICTORS {
            let mut layer =
                |each| SameConv::new([channels, each * anchors], 1, Conv2dOptions::default(), init);
            predictors.push(Predictor { boxes: layer(4), classes: layer(3) });
        }
        let anchors = init.zeros([1, ANCHORS, 4]);
        Ok(SsdFaceDetector { trunk, further, predictors, anchors })
    }

    fn rename(_: &(), name: &str) -> Option<String> {
        if name == "Output/extra_dim" {
            return Some("anchors".to_owned());
        }
        // The numbers of the graph's nodes are constants of the architecture.
        let (layer, own) = layer_name(name)?;
        let part = match torch_name(name.strip_prefix(layer)?) {
            part if part.ends_with(".convolution_bn_offset") => ".bias".to_owned(),
            part => part.replace(".BatchNorm.", ".1."),
        };
        let part = match own.ends_with("_depthwise") && part == ".weight" {
            true => ".0.weight",
            false => &part,
        };
        Some(format!("{own}{part}"))
    }

    fn layout(_: &()) -> Layout {
        Layout::TensorFlow
    }
}

/// The beginning of a name that says which layer it is of, and this crate's name of that.
fn layer_name(name: &str) -> Option<(&str, String)> {
    let head = |parts: usize| {
        let end = name.match_indices('/').nth(parts - 1)?.0;
        Some((&name[..end], name[..end].rsplit('/').next()?))
    };
    if let Some(rest) = name.strip_prefix("Prediction/BoxPredictor_") {
        let (layer, kind) = head(3)?;
        let own = match kind {
            "BoxEncodingPredictor" => "boxes",
            "ClassPredictor" => "classes",
            _ => return None,
        };
        return Some((layer, format!("predictors.{}.{own}", rest.split('/').next()?)));
    }
    let (layer, node) = head(2)?;
    let node = node.strip_prefix("Conv2d_")?;
    if name.starts_with("Prediction/") {
        return Some((layer, format!("further.{}", node.strip_suffix("_pointwise")?)));
    }
    let own = if node == "0_pointwise" { "0" } else { node };
    name.starts_with("MobilenetV1/").then(|| (layer, format!("trunk.{own}")))
}

impl SsdFaceDetector {
    /// Faces of a score above `score_min`, best first, no more than a hundred; 0.5 is usual.
    ///
    /// # Errors
    /// If the picture has no pixels, or the device fails.
    pub fn detect(&self, image: &Image, score_min: f32) -> Result<Vec<FaceDetection>> {
        let frame = Frame::new(image, SIZE, false, self.anchors.device())?;
        let output = self.forward(&frame.pixels, &mut Context::eval()).to_vec::<f32>()?;
        let (mut bounds, mut scores) = (Vec::new(), Vec::new());
        for &[top, left, bottom, right, score] in output.as_chunks().0 {
            if score > score_min {
                bounds.push([left, top, right, bottom]);
                scores.push(score);
            }
        }
        let kept = nms(&bounds, &scores, OVERLAP_MAX)?;
        let faces = kept.into_iter().take(FACES_MAX).map(|index| {
            // The square ends where it ends.
            let [left, top, right, bottom] = bounds[index];
            let first = frame.place([left.max(0.0), top.max(0.0)]);
            let second = frame.place([right.min(1.0), bottom.min(1.0)]);
            let bounds = [first[0], first[1], second[0], second[1]];
            FaceDetection { bounds, score: scores[index] }
        });
        Ok(faces.collect())
    }
}

impl Layer for SsdFaceDetector {
    /// # Panics
    /// If these are not pictures of 512 x 512: the anchors are for them.
    #[track_caller]
    fn forward(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
        check_pictures(Self::FAMILY, x, 3);
        let shape = x.shape();
        assert!(
            shape[2..] == [SIZE, SIZE],
            "{}: needs pictures of {SIZE} x {SIZE}, got {shape}",
            Self::FAMILY
        );
        let mut x = x / 127.5 - 1.0;
        let mut looked_at = Vec::new();
        let pairs = (1..=PAIRS.len())
            .flat_map(|pair| ["depthwise", "pointwise"].map(|kind| format!("{pair}_{kind}")));
        for name in std::iter::once("0".to_owned()).chain(pairs) {
            if let Some(layer) = self.trunk.get(&name) {
                x = ctx.within("trunk", |ctx| run(&name, layer, &x, ctx));
            }
            if name == "11_pointwise" {
                looked_at.push(x.clone());
            }
        }
        looked_at.push(x.clone());
        for index in 0..FURTHER.len() {
            let name = index.to_string();
            if let Some(layer) = self.further.get(&name) {
                x = ctx.within("further", |ctx| run(&name, layer, &x, ctx));
            }
            if index % 2 == 1 {
                looked_at.push(x.clone());
            }
        }
        let rows = looked_at.iter().enumerate().map(|(index, x)| {
            let name = index.to_string();
            let layer = self.predictors.get(&name);
            ctx.within("predictors", |ctx| layer.map(|layer| run(&name, layer, x, ctx)))
        });
        let rows: Vec<Tensor> = rows.flatten().collect();
        let rows = Tensor::concat(&rows, 1);
        // The coder's axes are whatever comes first and second: here y and x.
        let anchors = self.anchors.broadcast_to([rows.size(0), ANCHORS, 4]);
        let boxes = BoxCoder::new([10.0, 10.0, 5.0, 5.0]).decode(&rows.narrow(-1, 0, 4), &anchors);
        Tensor::concat(&[boxes, rows.narrow(-1, 4, 1).sigmoid()], -1)
    }
}

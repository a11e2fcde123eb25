//! [`TinyFaceDetector`]: faces by a small network in the shape of Tiny YOLO v2.

use gradloom_data::Image;
use gradloom_nn::layers::Conv2d;
use gradloom_nn::{Context, Init, Layer, Module};
use gradloom_tensor::Tensor;
use gradloom_tensor::ops::convolution::Conv2dOptions;
use gradloom_tensor::ops::per_axis::Padding;
use gradloom_tensor::ops::pooling::PoolOptions;

use crate::blocks::{SeparableConv, conv};
use crate::boxes::nms;
use crate::classifier::check_pictures;
use crate::faces::{FaceDetection, Frame, normalised};
use crate::stack::{Stack, run};
use crate::tensorflow::{Layout, torch_name};
use crate::{Error, Pretrained, Result};

/// Width and height of the anchors, in cells.
const ANCHORS: [[f32; 2]; 5] = [
    [1.603_231, 2.094_468],
    [6.041_143, 7.080_126],
    [2.882_459, 3.518_061],
    [4.266_906, 5.178_857],
    [9.041_765, 10.663_08],
];
const MEANS: [f64; 3] = [117.001, 114.697, 97.404];
const CHANNELS: [usize; 6] = [16, 32, 64, 128, 256, 512];
/// Faces that overlap more are one.
const OVERLAP_MAX: f64 = 0.4;
/// Pixels of a cell.
const CELL: usize = 32;

/// Where faces are: `[N, 3, S, S]` of levels -> `[N, 25, S / 32, S / 32]`, of five anchors each shifts, sizes and score.
/// [`detect`](Self::detect) makes boxes of them.
///
/// face-api: `TinyFaceDetector`, `tiny_face_detector_model`. Redmon and Farhadi, "YOLO9000: better, faster,
/// stronger", 2017.
#[derive(Module, Clone, Debug)]
pub struct TinyFaceDetector {
    #[module(flatten)]
    layers: Stack,
    conv8: Conv2d,
}

fn biased(channels: [usize; 2], kernel: usize, init: &mut Init) -> Conv2d {
    let mut layer = conv(channels, kernel, Conv2dOptions::default(), init);
    layer.bias = Some(init.zeros(channels[1]));
    layer
}

impl Pretrained for TinyFaceDetector {
    type Config = ();
    const FAMILY: &'static str = "tiny_face_detector";

    fn new(_: &(), init: &mut Init) -> Result<Self> {
        let mut layers = Stack::new();
        // Without padding, as the original.
        layers.insert("conv0", biased([3, CHANNELS[0]], 3, init));
        for (index, channels) in CHANNELS.windows(2).enumerate() {
            let layer = SeparableConv::new([channels[0], channels[1]], 3, 1, init);
            layers.insert(format!("conv{}", index + 1), layer);
        }
        let conv8 = biased([CHANNELS[5], 5 * ANCHORS.len()], 1, init);
        Ok(TinyFaceDetector { layers, conv8 })
    }

    fn rename(_: &(), name: &str) -> Option<String> {
        Some(torch_name(name))
    }

    fn layout(_: &()) -> Layout {
        Layout::TensorFlow
    }
}

impl TinyFaceDetector {
    /// Faces of a score above `score_min`, best first. The picture is put into a square of `size`, a multiple of 32:
    /// larger ones find smaller faces and take longer; usual are 416, and 160 to 608.
    ///
    /// # Errors
    /// If the size is no such multiple, the picture has no pixels, or the device fails.
    pub fn detect(&self, image: &Image, size: usize, score_min: f32) -> Result<Vec<FaceDetection>> {
        if size == 0 || !size.is_multiple_of(CELL) {
            let message = format!("{}: {size} is no multiple of {CELL}", Self::FAMILY);
            return Err(Error::invalid(message));
        }
        let frame = Frame::new(image, size, false, self.conv8.weight.device())?;
        let output = self.forward(&frame.pixels, &mut Context::eval()).to_vec::<f32>()?;
        let cells = size / CELL;
        let at = |channel: usize, place: usize| output[channel * cells * cells + place];
        let sigmoid = |x: f32| 1.0 / (1.0 + (-x).exp());
        let mut found = Vec::new();
        for place in 0..cells * cells {
            let cell = [(place % cells) as f32, (place / cells) as f32];
            for (anchor, sizes) in ANCHORS.iter().enumerate() {
                let code = |number: usize| at(5 * anchor + number, place);
                let score = sigmoid(code(4));
                if score.is_nan() || score <= score_min {
                    continue;
                }
                let part = 1.0 / cells as f32;
                let middle = [0, 1].map(|axis| (cell[axis] + sigmoid(code(axis))) * part);
                let half = [0, 1].map(|axis| code(2 + axis).exp() * sizes[axis] * part / 2.0);
                let first = frame.place([middle[0] - half[0], middle[1] - half[1]]);
                let second = frame.place([middle[0] + half[0], middle[1] + half[1]]);
                let bounds = [first[0], first[1], second[0], second[1]];
                found.push(FaceDetection { bounds, score });
            }
        }
        let (bounds, scores): (Vec<_>, Vec<_>) =
            found.iter().map(|face| (face.bounds, face.score)).unzip();
        let kept = nms(&bounds, &scores, OVERLAP_MAX)?;
        Ok(kept.into_iter().map(|index| found[index]).collect())
    }
}

impl Layer for TinyFaceDetector {
    #[track_caller]
    fn forward(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
        check_pictures(Self::FAMILY, x, 3);
        let mut x = normalised(x, MEANS);
        for index in 0..CHANNELS.len() {
            let name = format!("conv{index}");
            if let Some(layer) = self.layers.get(&name) {
                x = run(&name, layer, &x, ctx).leaky_relu(0.1);
            }
            // TensorFlow's padding: the last windows may reach over the edge; the last pooling keeps the size.
            x = match index + 1 < CHANNELS.len() {
                true => x.max_pool2d(&PoolOptions::new(2).ceil_mode(true)),
                false => {
                    let padding = Padding([[0, 1]; 2]);
                    x.max_pool2d(&PoolOptions::new(2).stride(1).padding(padding))
                }
            };
        }
        run("conv8", &self.conv8, &x, ctx)
    }
}

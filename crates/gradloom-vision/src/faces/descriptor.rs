//! [`FaceDescriptor`]: faces as 128 numbers that are near each other for one person.

use gradloom_data::Image;
use gradloom_nn::layers::{Conv2d, Linear};
use gradloom_nn::{Context, Init, Layer, Module, Parameter};
use gradloom_tensor::Tensor;
use gradloom_tensor::ops::convolution::Conv2dOptions;
use gradloom_tensor::ops::pooling::PoolOptions;

use crate::blocks::{conv, strided};
use crate::classifier::check_pictures;
use crate::faces::{Frame, MEANS, normalised};
use crate::stack::{Stack, run};
use crate::tensorflow::{Layout, torch_name};
use crate::{Pretrained, Result};

/// Faces `[N, 3, 150, 150]` of levels -> `[N, 128]`. Two of one person are less than
/// [`SAME_PERSON`](Self::SAME_PERSON) apart.
///
/// A residual network of 29 convolutions in the shape of ResNet-34 with fewer layers and half the filters, that of
/// dlib's face recognition (99.38 % on Labeled Faces in the Wild, by its author) as face-api has it:
/// `face_recognition_model`. Its norms are scales and shifts.
///
/// ```no_run
/// use gradloom_data::Image;
/// use gradloom_vision::Pretrained;
/// use gradloom_vision::faces::FaceDescriptor;
///
/// # fn main() -> gradloom_tensor::Result<()> {
/// # let device = gradloom_testkit::reference::device();
/// # let [one, other] = [(); 2].map(|()| Image::new(vec![0; 3 * 9], [3, 3, 3]).expect("a picture"));
/// let weights = "assets/face-api/model/face_recognition_model-weights_manifest.json";
/// let model = FaceDescriptor::from_file(&(), weights, &device)?;
/// let distance = FaceDescriptor::distance(&model.describe(&one)?, &model.describe(&other)?);
/// println!("the same person: {}", distance < FaceDescriptor::SAME_PERSON);
/// # Ok(())
/// # }
/// ```
#[derive(Module, Clone, Debug)]
pub struct FaceDescriptor {
    conv32_down: Scaled,
    #[module(flatten)]
    blocks: Stack,
    fc: Linear,
}

/// A convolution with a scale and a shift of each channel.
#[derive(Module, Clone, Debug)]
struct Scaled {
    conv: Conv2d,
    scale: Scale,
}

#[derive(Module, Clone, Debug)]
struct Scale {
    weight: Parameter,
    bias: Parameter,
}

/// `relu(conv2(relu(conv1(x))) + x)`; where it halves the picture, with the means of two by two pixels of `x`.
#[derive(Module, Clone, Debug)]
struct Residual {
    conv1: Scaled,
    conv2: Scaled,
    halves: bool,
}

impl Scaled {
    fn new(channels: [usize; 2], kernel: usize, options: Conv2dOptions, init: &mut Init) -> Self {
        let mut conv = conv(channels, kernel, options, init);
        conv.bias = Some(init.zeros(channels[1]));
        let scale = Scale { weight: init.ones(channels[1]), bias: init.zeros(channels[1]) };
        Scaled { conv, scale }
    }
}

impl Layer for Scaled {
    #[track_caller]
    fn forward(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
        let Scale { weight, bias } = &self.scale;
        let [weight, bias] = [weight, bias].map(|each| each.reshape([1, each.size(0), 1, 1]));
        self.conv.forward(x, ctx) * weight + bias
    }
}

impl Layer for Residual {
    #[track_caller]
    fn forward(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
        let y = self.conv1.forward(x, ctx).relu();
        let y = self.conv2.forward(&y, ctx);
        if !self.halves {
            return (y + x).relu();
        }
        let x = x.avg_pool2d(&PoolOptions::new(2));
        // The convolution has no padding, so it may be one short; new channels are zero in `x`.
        let short = [2, 3].map(|axis| (0, x.size(axis) - y.size(axis).min(x.size(axis))));
        let channels = (0, y.size(1) - x.size(1));
        let y = y.pad(&[(0, 0), (0, 0), short[0], short[1]]);
        (y + x.pad(&[(0, 0), channels, (0, 0), (0, 0)])).relu()
    }
}

/// Names of the blocks, the channels that go in and out, and whether they halve the picture.
const BLOCKS: [(&str, [usize; 2], bool); 14] = [
    ("conv32_1", [32, 32], false),
    ("conv32_2", [32, 32], false),
    ("conv32_3", [32, 32], false),
    ("conv64_down", [32, 64], true),
    ("conv64_1", [64, 64], false),
    ("conv64_2", [64, 64], false),
    ("conv64_3", [64, 64], false),
    ("conv128_down", [64, 128], true),
    ("conv128_1", [128, 128], false),
    ("conv128_2", [128, 128], false),
    ("conv256_down", [128, 256], true),
    ("conv256_1", [256, 256], false),
    ("conv256_2", [256, 256], false),
    ("conv256_down_out", [256, 256], true),
];

impl Pretrained for FaceDescriptor {
    type Config = ();
    const FAMILY: &'static str = "face_descriptor";

    fn new(_: &(), init: &mut Init) -> Result<Self> {
        let halving = Conv2dOptions::default().stride(2);
        let conv32_down = Scaled::new([3, 32], 7, halving, init);
        let mut blocks = Stack::new();
        for (name, channels, halves) in BLOCKS {
            let options = if halves { halving } else { strided(3, 1) };
            let conv1 = Scaled::new(channels, 3, options, init);
            let conv2 = Scaled::new([channels[1]; 2], 3, strided(3, 1), init);
            blocks.insert(name, Residual { conv1, conv2, halves });
        }
        let fc = Linear::new(256, 128, init).without_bias();
        Ok(FaceDescriptor { conv32_down, blocks, fc })
    }

    fn rename(_: &(), name: &str) -> Option<String> {
        Some(if name == "fc" { "fc.weight".to_owned() } else { torch_name(name) })
    }

    fn layout(_: &()) -> Layout {
        Layout::TensorFlow
    }
}

impl FaceDescriptor {
    /// Descriptors of two pictures that are nearer than this, by [`distance`](Self::distance), are of one person.
    pub const SAME_PERSON: f32 = 0.6;

    /// The descriptor of one face, in a picture that is cut to it.
    ///
    /// # Errors
    /// If the picture has no pixels, or the device fails.
    pub fn describe(&self, face: &Image) -> Result<Vec<f32>> {
        let frame = Frame::new(face, 150, true, self.fc.weight.device())?;
        self.forward(&frame.pixels, &mut Context::eval()).to_vec()
    }

    /// How far two descriptors are apart: the length of their difference.
    pub fn distance(a: &[f32], b: &[f32]) -> f32 {
        a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum::<f32>().sqrt()
    }
}

impl Layer for FaceDescriptor {
    #[track_caller]
    fn forward(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
        check_pictures(Self::FAMILY, x, 3);
        let x = run("conv32_down", &self.conv32_down, &normalised(x, MEANS), ctx).relu();
        let x = x.max_pool2d(&PoolOptions::new(3).stride(2));
        let x = self.blocks.forward(&x, ctx).global_avg_pool2d();
        self.fc.forward(&x, ctx)
    }
}

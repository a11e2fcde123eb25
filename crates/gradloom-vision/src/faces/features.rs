//! [`FaceLandmarks`] and [`FaceExpressions`]: small networks of blocks whose layers are summed.

use gradloom_data::Image;
use gradloom_nn::layers::Linear;
use gradloom_nn::{Context, Init, Layer, Module};
use gradloom_tensor::Tensor;

use crate::blocks::{SameConv, SeparableConv, strided};
use crate::classifier::check_pictures;
use crate::faces::{Frame, MEANS, normalised};
use crate::stack::{Stack, run};
use crate::tensorflow::{Layout, torch_name};
use crate::{Pretrained, Result};

/// Height and width of the faces that both networks take.
const SIZE: usize = 112;

/// Which of the two networks of landmarks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FaceLandmarksConfig {
    /// Blocks, of which each halves the picture and doubles the channels from 32 on.
    pub blocks: usize,
    /// Layers of a block.
    pub layers: usize,
}

impl FaceLandmarksConfig {
    /// face-api's `face_landmark_68_model`.
    pub fn full() -> Self {
        FaceLandmarksConfig { blocks: 4, layers: 4 }
    }

    /// face-api's `face_landmark_68_tiny_model`.
    pub fn tiny() -> Self {
        FaceLandmarksConfig { blocks: 3, layers: 3 }
    }
}

/// A block: the first layer halves the picture; each further one takes the sum of those before it.
#[derive(Module, Clone, Debug)]
struct Dense {
    #[module(flatten)]
    layers: Stack,
}

impl Layer for Dense {
    #[track_caller]
    fn forward(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
        let first = self.layers.get("conv0").map_or_else(|| x.clone(), |l| run("conv0", l, x, ctx));
        let mut sum = first.relu();
        for index in 1..self.layers.len() {
            let name = format!("conv{index}");
            if let Some(layer) = self.layers.get(&name) {
                let taken = if index == 1 { sum.clone() } else { sum.relu() };
                sum = sum + run(&name, layer, &taken, ctx);
            }
        }
        sum.relu()
    }
}

/// Blocks, and a matrix at the end.
fn parts(
    FaceLandmarksConfig { blocks, layers }: FaceLandmarksConfig,
    outputs: usize,
    init: &mut Init,
) -> Result<(Stack, Linear)> {
    if !(1..=8).contains(&blocks) || !(2..=64).contains(&layers) {
        let message = format!("{blocks} blocks of {layers} layers");
        return Err(crate::error::config("face_features", message));
    }
    let (mut stack, mut inputs) = (Stack::new(), 3);
    for block in 0..blocks {
        let channels = 32 << block;
        let mut within = Stack::new();
        match block {
            0 => within.insert("conv0", SameConv::new([inputs, channels], 3, strided(3, 2), init)),
            _ => within.insert("conv0", SeparableConv::new([inputs, channels], 3, 2, init)),
        }
        for layer in 1..layers {
            let name = format!("conv{layer}");
            within.insert(name, SeparableConv::new([channels; 2], 3, 1, init));
        }
        stack.insert(format!("dense{block}"), Dense { layers: within });
        inputs = channels;
    }
    Ok((stack, Linear::new(inputs, outputs, init)))
}

#[track_caller]
fn features(blocks: &Stack, fc: &Linear, x: &Tensor, ctx: &mut Context) -> Tensor {
    let x = blocks.forward(&normalised(x, MEANS), ctx).global_avg_pool2d();
    fc.forward(&x, ctx)
}

/// 68 points of faces: `[N, 3, 112, 112]` of levels -> `[N, 136]`, x and y by turns as parts of the side. The points
/// are those of the 300-W annotations: jaw, brows, nose, eyes, mouth.
///
/// face-api: `FaceLandmark68Net`, `FaceLandmark68TinyNet`.
#[derive(Module, Clone, Debug)]
pub struct FaceLandmarks {
    #[module(flatten)]
    blocks: Stack,
    fc: Linear,
}

impl Pretrained for FaceLandmarks {
    type Config = FaceLandmarksConfig;
    const FAMILY: &'static str = "face_landmarks";

    fn new(config: &FaceLandmarksConfig, init: &mut Init) -> Result<Self> {
        let (blocks, fc) = parts(*config, 136, init)?;
        Ok(FaceLandmarks { blocks, fc })
    }

    fn rename(_: &FaceLandmarksConfig, name: &str) -> Option<String> {
        Some(torch_name(name))
    }

    fn layout(_: &FaceLandmarksConfig) -> Layout {
        Layout::TensorFlow
    }
}

impl FaceLandmarks {
    /// The points of one face, in pixels of the picture that is cut to it.
    ///
    /// # Errors
    /// If the picture has no pixels, or the device fails.
    pub fn points(&self, face: &Image) -> Result<Vec<[f32; 2]>> {
        let frame = Frame::new(face, SIZE, true, self.fc.weight.device())?;
        let numbers = self.forward(&frame.pixels, &mut Context::eval()).to_vec::<f32>()?;
        Ok(numbers.as_chunks().0.iter().map(|&point| frame.place(point)).collect())
    }
}

impl Layer for FaceLandmarks {
    #[track_caller]
    fn forward(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
        check_pictures(Self::FAMILY, x, 3);
        features(&self.blocks, &self.fc, x, ctx)
    }
}

/// What a face may express.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Expression {
    Neutral,
    Happy,
    Sad,
    Angry,
    Fearful,
    Disgusted,
    Surprised,
}

impl Expression {
    /// In the order of the network's outputs.
    pub const ALL: [Expression; 7] = [
        Expression::Neutral,
        Expression::Happy,
        Expression::Sad,
        Expression::Angry,
        Expression::Fearful,
        Expression::Disgusted,
        Expression::Surprised,
    ];
}

/// What faces express: `[N, 3, 112, 112]` of levels -> logits `[N, 7]`, in the order of [`Expression::ALL`].
///
/// face-api: `FaceExpressionNet`, `face_expression_model`.
#[derive(Module, Clone, Debug)]
pub struct FaceExpressions {
    #[module(flatten)]
    blocks: Stack,
    fc: Linear,
}

impl Pretrained for FaceExpressions {
    type Config = ();
    const FAMILY: &'static str = "face_expressions";

    fn new(_: &(), init: &mut Init) -> Result<Self> {
        let (blocks, fc) = parts(FaceLandmarksConfig::full(), Expression::ALL.len(), init)?;
        Ok(FaceExpressions { blocks, fc })
    }

    fn rename(_: &(), name: &str) -> Option<String> {
        Some(torch_name(name))
    }

    fn layout(_: &()) -> Layout {
        Layout::TensorFlow
    }
}

impl FaceExpressions {
    /// The probability of each expression in one face, in a picture that is cut to it.
    ///
    /// # Errors
    /// If the picture has no pixels, or the device fails.
    pub fn probabilities(&self, face: &Image) -> Result<[(Expression, f32); 7]> {
        let frame = Frame::new(face, SIZE, true, self.fc.weight.device())?;
        let logits = self.forward(&frame.pixels, &mut Context::eval());
        let probabilities = logits.softmax(-1).to_vec::<f32>()?;
        Ok(std::array::from_fn(|index| (Expression::ALL[index], probabilities[index])))
    }
}

impl Layer for FaceExpressions {
    #[track_caller]
    fn forward(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
        check_pictures(Self::FAMILY, x, 3);
        features(&self.blocks, &self.fc, x, ctx)
    }
}

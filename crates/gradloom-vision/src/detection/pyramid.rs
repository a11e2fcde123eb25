//! [`FeaturePyramid`]: features of several sizes that all know what the coarsest ones know.

use crate::detection::heads::{conv_of, renamed_block};
use gradloom_nn::layers::{Conv2d, MaxPool2d};
use gradloom_nn::{Context, Init, Layer, Module};
use gradloom_tensor::Tensor;
use gradloom_tensor::ops::interpolation::{InterpolateOptions, Interpolation};
use gradloom_tensor::ops::pooling::PoolOptions;

/// Levels above the coarsest stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExtraLevels {
    /// None.
    None,
    /// Every second place of the coarsest level. torchvision: `LastLevelMaxPool`.
    Pool,
    /// Two convolutions of stride two, on the coarsest level. torchvision: `LastLevelP6P7` of as many channels.
    P6P7,
    /// Two convolutions of stride two, on the coarsest stage itself. torchvision: `LastLevelP6P7` of other channels.
    P6P7OfStage,
}

/// A convolution under the number 0.
#[derive(Module, Clone, Debug)]
struct Numbered {
    #[module(rename = "0")]
    conv: Conv2d,
}

/// Two convolutions of stride two.
#[derive(Module, Clone, Debug)]
struct Coarser {
    p6: Conv2d,
    p7: Conv2d,
}

/// Stages `[N, C_i, H_i, W_i]`, the finest first -> levels `[N, C, H_i, W_i]`, and coarser ones.
///
/// torchvision: `ops.FeaturePyramidNetwork`. Lin et al., "Feature pyramid networks for object detection", 2017.
#[derive(Module, Clone, Debug)]
pub struct FeaturePyramid {
    inner_blocks: Vec<Numbered>,
    layer_blocks: Vec<Numbered>,
    extra_blocks: Option<Coarser>,
    #[module(skip)]
    extra: ExtraLevels,
}

impl FeaturePyramid {
    /// Of stages of these channels.
    pub fn new(stages: &[usize], channels: usize, extra: ExtraLevels, init: &mut Init) -> Self {
        let last = stages.last().copied().unwrap_or(channels);
        // PyTorch's kaiming_uniform of a = 1: a bound of sqrt(3 / fan-in).
        let uniform = |channels: [usize; 2], kernel: usize, stride: usize, init: &mut Init| {
            let mut conv = conv_of(channels, kernel, stride, 0.0, init);
            let fan_in = channels[0] * kernel * kernel;
            conv.weight = init.uniform(*conv.weight.shape(), (3.0 / fan_in as f64).sqrt());
            conv
        };
        let blocks = |of: &dyn Fn(usize) -> usize, kernel: usize, init: &mut Init| {
            let convs = stages
                .iter()
                .map(|&inputs| Numbered { conv: uniform([of(inputs), channels], kernel, 1, init) });
            convs.collect::<Vec<Numbered>>()
        };
        let inner_blocks = blocks(&|inputs| inputs, 1, init);
        let layer_blocks = blocks(&|_| channels, 3, init);
        let inputs = match extra {
            ExtraLevels::None | ExtraLevels::Pool => None,
            ExtraLevels::P6P7 => Some(channels),
            ExtraLevels::P6P7OfStage => Some(last),
        };
        let extra_blocks = inputs.map(|inputs| Coarser {
            p6: uniform([inputs, channels], 3, 2, init),
            p7: uniform([channels, channels], 3, 2, init),
        });
        FeaturePyramid { inner_blocks, layer_blocks, extra_blocks, extra }
    }

    /// The levels, the finest first.
    ///
    /// # Panics
    /// If there are not as many stages as the pyramid was made for.
    #[track_caller]
    pub fn forward(&self, stages: &[Tensor], ctx: &mut Context) -> Vec<Tensor> {
        assert!(
            stages.len() == self.inner_blocks.len() && !stages.is_empty(),
            "feature_pyramid: {} stages for {}",
            stages.len(),
            self.inner_blocks.len()
        );
        let mut above: Option<Tensor> = None;
        let mut levels = Vec::new();
        for (index, stage) in stages.iter().enumerate().rev() {
            let inner = self.inner_blocks[index].conv.forward(stage, ctx);
            let inner = match above {
                Some(above) => {
                    let nearest = InterpolateOptions::new(Interpolation::Nearest);
                    &inner + above.interpolate(&[inner.size(2), inner.size(3)], &nearest)
                }
                None => inner,
            };
            levels.insert(0, self.layer_blocks[index].conv.forward(&inner, ctx));
            above = Some(inner);
        }
        let last = &levels[levels.len() - 1];
        if let Some(Coarser { p6, p7 }) = &self.extra_blocks {
            let of_stage = self.extra == ExtraLevels::P6P7OfStage;
            let first = p6.forward(if of_stage { &stages[stages.len() - 1] } else { last }, ctx);
            let second = p7.forward(&first.relu(), ctx);
            levels.extend([first, second]);
        } else if self.extra == ExtraLevels::Pool {
            let every_second = PoolOptions::new(1).stride(2);
            let coarser = MaxPool2d::with_options(every_second).forward(last, ctx);
            levels.push(coarser);
        }
        levels
    }
}

/// A name of older files, `fpn.inner_blocks.0.weight`, as it is now, `fpn.inner_blocks.0.0.weight`.
pub(crate) fn renamed(name: &str) -> String {
    let blocks = ["backbone.fpn.inner_blocks.", "backbone.fpn.layer_blocks."];
    let old = blocks.iter().find_map(|prefix| renamed_block(name, prefix, 1));
    old.unwrap_or_else(|| name.to_owned())
}

//! What the heads of detectors are built of: convolutions over all levels, and their outputs as a list of anchors.

use gradloom_nn::layers::{Conv2d, GroupNorm};
use gradloom_nn::{Context, Init, Layer, Module};
use gradloom_tensor::Tensor;
use gradloom_tensor::ops::convolution::Conv2dOptions;

/// A convolution that leaves sizes as they are at stride one; normal weights of this deviation, biases zero.
pub(crate) fn conv_of(
    [inputs, outputs]: [usize; 2],
    kernel: usize,
    stride: usize,
    deviation: f64,
    init: &mut Init,
) -> Conv2d {
    let options = Conv2dOptions::default().stride(stride).padding(kernel / 2);
    let mut conv = Conv2d::new(inputs, outputs, kernel, options, init);
    conv.weight = init.normal(*conv.weight.shape(), deviation);
    conv.bias = Some(init.zeros(outputs));
    conv
}

/// A convolution of three by three, a norm of groups where there is one, and ReLU.
#[derive(Module, Clone, Debug)]
pub struct TowerBlock {
    #[module(rename = "0")]
    conv: Conv2d,
    #[module(rename = "1")]
    norm: Option<GroupNorm>,
}

/// Blocks one after another, the same for each level.
#[derive(Module, Clone, Debug)]
pub struct Tower {
    #[module(flatten)]
    blocks: Vec<TowerBlock>,
}

impl Tower {
    /// So many blocks of so many channels; `groups` of their norms, 0 for none.
    pub fn new(channels: usize, depth: usize, groups: usize, init: &mut Init) -> Self {
        let blocks = (0..depth).map(|_| {
            let mut conv = conv_of([channels; 2], 3, 1, 0.01, init);
            let norm = (groups > 0).then(|| GroupNorm::new(groups, channels, init));
            if norm.is_some() {
                conv = conv.without_bias();
            }
            TowerBlock { conv, norm }
        });
        Tower { blocks: blocks.collect() }
    }
}

impl Layer for Tower {
    #[track_caller]
    fn forward(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
        self.blocks.iter().fold(x.clone(), |x, block| {
            let y = block.conv.forward(&x, ctx);
            match &block.norm {
                Some(norm) => norm.forward(&y, ctx).relu(),
                None => y.relu(),
            }
        })
    }
}

/// Outputs `[N, A K, H, W]` as rows of anchors, place by place: `[N, H W A, K]`.
pub(crate) fn of_anchors(y: &Tensor, numbers: usize) -> Tensor {
    let [pictures, channels, height, width] = [0, 1, 2, 3].map(|axis| y.size(axis));
    let anchors = channels / numbers;
    y.reshape([pictures, anchors, numbers, height, width]).permute(&[0, 3, 4, 1, 2]).reshape([
        pictures,
        height * width * anchors,
        numbers,
    ])
}

/// Height and width of each level.
pub(crate) fn sizes_of(levels: &[Tensor]) -> Vec<[usize; 2]> {
    levels.iter().map(|level| [level.size(2), level.size(3)]).collect()
}

/// The old name of a block's convolution, `conv.2.weight`, as it is now, `conv.1.0.weight`: a convolution and a ReLU
/// were two numbers. `prefix` ends with `conv.`; the numbers there are divided by `step`.
pub(crate) fn renamed_block(name: &str, prefix: &str, step: usize) -> Option<String> {
    let (number, parameter) = name.strip_prefix(prefix)?.split_once('.')?;
    let number: usize = number.parse().ok()?;
    matches!(parameter, "weight" | "bias")
        .then(|| format!("{prefix}{}.0.{parameter}", number / step))
}

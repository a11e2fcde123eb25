//! Blocks of the YOLO networks, under the names of Ultralytics' state dicts.

use crate::blocks::{NormOptions, conv, strided};
use gradloom_nn::layers::{BatchNorm, Conv2d};
use gradloom_nn::{Activation, Context, Init, Layer, Module};
use gradloom_tensor::Tensor;
use gradloom_tensor::ops::pooling::PoolOptions;

const NORM: NormOptions = NormOptions { epsilon: 1e-3, momentum: 0.03 };

/// `activation(bn(conv(x)))` with padding that keeps the size at stride one.
#[derive(Module, Clone, Debug)]
pub(crate) struct ConvBlock {
    conv: Conv2d,
    bn: BatchNorm,
    activation: Activation,
}

impl ConvBlock {
    pub(crate) fn new(
        channels: [usize; 2],
        kernel: usize,
        stride: usize,
        activation: Activation,
        init: &mut Init,
    ) -> Self {
        let conv = conv(channels, kernel, strided(kernel, stride), init);
        ConvBlock { conv, bn: NORM.norm(channels[1], init), activation }
    }

    /// Channels of what it reads.
    pub(crate) fn inputs(&self) -> usize {
        self.conv.weight.size(1)
    }
}

impl Layer for ConvBlock {
    #[track_caller]
    fn forward(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
        let y = self.conv.forward(x, ctx);
        self.activation.apply(&self.bn.forward(&y, ctx))
    }
}

/// Two convolutions of three by three, with the input added or not.
#[derive(Module, Clone, Debug)]
struct Bottleneck {
    cv1: ConvBlock,
    cv2: ConvBlock,
    shortcut: bool,
}

impl Layer for Bottleneck {
    #[track_caller]
    fn forward(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
        let y = self.cv1.forward(x, ctx);
        let y = self.cv2.forward(&y, ctx);
        if self.shortcut { x + y } else { y }
    }
}

/// A cross-stage part: two halves, of which one goes through bottlenecks, and all that comes out between is joined.
///
/// After Wang et al., "CSPNet", 2020.
#[derive(Module, Clone, Debug)]
pub(crate) struct C2f {
    cv1: ConvBlock,
    cv2: ConvBlock,
    m: Vec<Bottleneck>,
    half: usize,
}

impl C2f {
    pub(crate) fn new(
        [inputs, outputs]: [usize; 2],
        repeats: usize,
        shortcut: bool,
        activation: Activation,
        init: &mut Init,
    ) -> Self {
        let half = outputs / 2;
        let mut block =
            |channels, kernel| ConvBlock::new(channels, kernel, 1, activation, &mut *init);
        let cv1 = block([inputs, 2 * half], 1);
        let cv2 = block([(2 + repeats) * half, outputs], 1);
        let bottleneck = |_| {
            let [cv1, cv2] = [block([half, half], 3), block([half, half], 3)];
            Bottleneck { cv1, cv2, shortcut }
        };
        C2f { cv1, cv2, m: (0..repeats).map(bottleneck).collect(), half }
    }
}

impl Layer for C2f {
    #[track_caller]
    fn forward(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
        let y = self.cv1.forward(x, ctx);
        let mut last = y.narrow(1, self.half, self.half);
        let mut parts = vec![y];
        for bottleneck in &self.m {
            last = bottleneck.forward(&last, ctx);
            parts.push(last.clone());
        }
        self.cv2.forward(&Tensor::concat(&parts, 1), ctx)
    }
}

/// Maxima of five by five once, twice and three times beside the input: pyramid pooling.
///
/// After He et al., "Spatial pyramid pooling", 2015.
#[derive(Module, Clone, Debug)]
pub(crate) struct Sppf {
    cv1: ConvBlock,
    cv2: ConvBlock,
}

impl Sppf {
    pub(crate) fn new(channels: usize, activation: Activation, init: &mut Init) -> Self {
        let half = channels / 2;
        Sppf {
            cv1: ConvBlock::new([channels, half], 1, 1, activation, init),
            cv2: ConvBlock::new([4 * half, channels], 1, 1, activation, init),
        }
    }
}

impl Layer for Sppf {
    #[track_caller]
    fn forward(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
        let options = PoolOptions::new(5).stride(1).padding(2);
        let once = self.cv1.forward(x, ctx);
        let twice = once.max_pool2d(&options);
        let thrice = twice.max_pool2d(&options);
        let last = thrice.max_pool2d(&options);
        self.cv2.forward(&Tensor::concat(&[once, twice, thrice, last], 1), ctx)
    }
}

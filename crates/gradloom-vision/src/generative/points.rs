//! Convolutions from a single point and to one, written as the products that they are.

use gradloom_nn::layers::{Conv2d, ConvTranspose2d};
use gradloom_nn::{Context, Layer, Module};
use gradloom_tensor::Tensor;

/// A transposed convolution of one point: `[N, C, 1, 1] -> [N, O, K, K]`.
#[derive(Module, Clone, Debug)]
pub(super) struct FromPoint {
    /// Without a bias, a stride or padding.
    #[module(flatten)]
    pub(super) conv: ConvTranspose2d,
}

impl Layer for FromPoint {
    #[track_caller]
    fn forward(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
        let _layer = ctx.enter("ConvTranspose2d", self);
        let weight = &self.conv.weight;
        let [outputs, height, width] = [1, 2, 3].map(|axis| weight.size(axis));
        let y = ctx.compute().multiply(weight, [x, weight], |[x, weight]| {
            x.flatten(1, -1).matmul(&weight.flatten(1, -1))
        });
        let y = y.reshape([x.size(0), outputs, height, width]);
        ctx.ran("ConvTranspose2d", self, &y);
        y
    }
}

/// A convolution whose window is the whole input: `[N, C, K, K] -> [N, O, 1, 1]`.
#[derive(Module, Clone, Debug)]
pub(super) struct ToPoint {
    /// Without a bias or padding.
    #[module(flatten)]
    pub(super) conv: Conv2d,
}

impl Layer for ToPoint {
    #[track_caller]
    fn forward(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
        let _layer = ctx.enter("Conv2d", self);
        let weight = &self.conv.weight;
        let y = ctx.compute().multiply(weight, [x, weight], |[x, weight]| {
            x.flatten(1, -1).matmul(&weight.flatten(1, -1).t())
        });
        let y = y.reshape([x.size(0), weight.size(0), 1, 1]);
        ctx.ran("Conv2d", self, &y);
        y
    }
}

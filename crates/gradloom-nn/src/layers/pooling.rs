//! Pooling as layers: [`MaxPool2d`], [`AvgPool2d`] and [`GlobalAvgPool2d`].

use crate::layers::Layer;
use crate::{Context, Module};
use gradloom_tensor::Tensor;
use gradloom_tensor::ops::pooling::PoolOptions;

/// Maximum of each window: `[N, C, H, W] -> [N, C, OH, OW]`. PyTorch: `torch.nn.MaxPool2d`.
#[derive(Module, Clone, Debug)]
pub struct MaxPool2d(#[module(skip)] pub PoolOptions);

impl MaxPool2d {
    /// Square windows of `size` side by side.
    pub fn new(size: usize) -> Self {
        MaxPool2d(PoolOptions::new([size, size]))
    }
}

impl Layer for MaxPool2d {
    #[track_caller]
    fn forward(&self, x: &Tensor, _ctx: &mut Context) -> Tensor {
        x.max_pool2d(&self.0)
    }
}

/// Mean of each window: `[N, C, H, W] -> [N, C, OH, OW]`. PyTorch: `torch.nn.AvgPool2d`.
#[derive(Module, Clone, Debug)]
pub struct AvgPool2d(#[module(skip)] pub PoolOptions);

impl AvgPool2d {
    /// Square windows of `size` side by side.
    pub fn new(size: usize) -> Self {
        AvgPool2d(PoolOptions::new([size, size]))
    }
}

impl Layer for AvgPool2d {
    #[track_caller]
    fn forward(&self, x: &Tensor, _ctx: &mut Context) -> Tensor {
        x.avg_pool2d(&self.0)
    }
}

/// Mean of each channel: `[N, C, H, W] -> [N, C]`. PyTorch: `torch.nn.AdaptiveAvgPool2d(1)` and
/// `torch.nn.Flatten`.
#[derive(Module, Clone, Copy, Debug, Default)]
pub struct GlobalAvgPool2d;

impl Layer for GlobalAvgPool2d {
    #[track_caller]
    fn forward(&self, x: &Tensor, _ctx: &mut Context) -> Tensor {
        x.global_avg_pool2d()
    }
}

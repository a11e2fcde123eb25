//! [`Activation`]: activation functions as layers.

use crate::layers::Layer;
use crate::{Context, Module};
use gradloom_tensor::Tensor;

/// An activation function as a layer. The formulas stand with the methods of the same names on
/// [`Tensor`].
#[derive(Module, Clone, Copy, Debug, PartialEq)]
pub enum Activation {
    /// The input itself. PyTorch: `torch.nn.Identity`.
    Identity,
    /// [`Tensor::relu`]. PyTorch: `torch.nn.ReLU`.
    Relu,
    /// [`Tensor::relu6`]. PyTorch: `torch.nn.ReLU6`.
    Relu6,
    /// [`Tensor::leaky_relu`] with this slope. PyTorch: `torch.nn.LeakyReLU`.
    LeakyRelu(f64),
    /// [`Tensor::elu`] with this alpha. PyTorch: `torch.nn.ELU`.
    Elu(f64),
    /// [`Tensor::gelu`]. PyTorch: `torch.nn.GELU`.
    Gelu,
    /// [`Tensor::gelu_tanh`]. PyTorch: `torch.nn.GELU(approximate="tanh")`.
    GeluTanh,
    /// [`Tensor::silu`]. PyTorch: `torch.nn.SiLU`.
    Silu,
    /// [`Tensor::mish`]. PyTorch: `torch.nn.Mish`.
    Mish,
    /// [`Tensor::sigmoid`]. PyTorch: `torch.nn.Sigmoid`.
    Sigmoid,
    /// [`Tensor::tanh`]. PyTorch: `torch.nn.Tanh`.
    Tanh,
    /// [`Tensor::softplus`]. PyTorch: `torch.nn.Softplus`.
    Softplus,
    /// [`Tensor::hardsigmoid`]. PyTorch: `torch.nn.Hardsigmoid`.
    Hardsigmoid,
    /// [`Tensor::hardswish`]. PyTorch: `torch.nn.Hardswish`.
    Hardswish,
    /// [`Tensor::selu`]. PyTorch: `torch.nn.SELU`.
    Selu,
    /// [`Tensor::celu`] with this alpha. PyTorch: `torch.nn.CELU`.
    Celu(f64),
    /// [`Tensor::hardtanh`]. PyTorch: `torch.nn.Hardtanh`.
    Hardtanh,
    /// [`Tensor::softsign`]. PyTorch: `torch.nn.Softsign`.
    Softsign,
    /// `x - tanh(x)`. PyTorch: `torch.nn.Tanhshrink`.
    Tanhshrink,
    /// [`Tensor::hardshrink`] with this bound. PyTorch: `torch.nn.Hardshrink`.
    Hardshrink(f64),
    /// [`Tensor::softshrink`] with this bound. PyTorch: `torch.nn.Softshrink`.
    Softshrink(f64),
    /// [`Tensor::threshold`] with this threshold and value. PyTorch: `torch.nn.Threshold`.
    Threshold(f64, f64),
    /// [`Tensor::log_sigmoid`]. PyTorch: `torch.nn.LogSigmoid`.
    LogSigmoid,
    /// [`Tensor::glu`] of the last axis, which becomes half as long. PyTorch: `torch.nn.GLU(-1)`.
    Glu,
    /// [`Tensor::softmax`] along the last axis. PyTorch: `torch.nn.Softmax(-1)`.
    Softmax,
    /// [`Tensor::log_softmax`] along the last axis. PyTorch: `torch.nn.LogSoftmax(-1)`.
    LogSoftmax,
}

impl Activation {
    /// The function of a tensor.
    #[track_caller]
    #[must_use]
    pub fn apply(self, x: &Tensor) -> Tensor {
        match self {
            Activation::Identity => x.clone(),
            Activation::Relu => x.relu(),
            Activation::Relu6 => x.relu6(),
            Activation::LeakyRelu(slope) => x.leaky_relu(slope),
            Activation::Elu(alpha) => x.elu(alpha),
            Activation::Gelu => x.gelu(),
            Activation::GeluTanh => x.gelu_tanh(),
            Activation::Silu => x.silu(),
            Activation::Mish => x.mish(),
            Activation::Sigmoid => x.sigmoid(),
            Activation::Tanh => x.tanh(),
            Activation::Softplus => x.softplus(),
            Activation::Hardsigmoid => x.hardsigmoid(),
            Activation::Hardswish => x.hardswish(),
            Activation::Selu => x.selu(),
            Activation::Celu(alpha) => x.celu(alpha),
            Activation::Hardtanh => x.hardtanh(),
            Activation::Softsign => x.softsign(),
            Activation::Tanhshrink => x - x.tanh(),
            Activation::Hardshrink(bound) => x.hardshrink(bound),
            Activation::Softshrink(bound) => x.softshrink(bound),
            Activation::Threshold(threshold, value) => x.threshold(threshold, value),
            Activation::LogSigmoid => x.log_sigmoid(),
            Activation::Glu => x.glu(-1),
            Activation::Softmax => x.softmax(-1),
            Activation::LogSoftmax => x.log_softmax(-1),
        }
    }
}

impl Layer for Activation {
    #[track_caller]
    fn forward(&self, x: &Tensor, _ctx: &mut Context) -> Tensor {
        self.apply(x)
    }
}

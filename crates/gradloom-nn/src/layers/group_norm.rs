//! [`GroupNorm`]: mean zero and variance one over groups of channels.

use crate::layers::Layer;
use crate::{Context, Init, Module, Parameter};
use gradloom_tensor::Tensor;

/// `y = (x - mean) / sqrt(variance + epsilon) * weight + bias` of `[N, C, ..]` over each group of
/// channels. With one group per channel it is instance norm.
///
/// PyTorch: `torch.nn.GroupNorm`. Wu, He, "Group normalization", 2018.
#[derive(Module, Clone, Debug)]
pub struct GroupNorm {
    /// `[C]`
    pub weight: Parameter,
    /// `[C]`
    pub bias: Parameter,
    groups: usize,
    epsilon: f64,
}

impl GroupNorm {
    /// `channels` in `groups` groups; epsilon is 1e-5.
    ///
    /// # Panics
    /// If the groups do not divide the channels.
    #[track_caller]
    pub fn new(groups: usize, channels: usize, init: &mut Init) -> Self {
        assert!(
            groups > 0 && channels.is_multiple_of(groups),
            "group_norm: {groups} groups do not divide {channels} channels"
        );
        let (weight, bias) = (init.ones(channels), init.zeros(channels));
        GroupNorm { weight, bias, groups, epsilon: 1e-5 }
    }

    /// Sets what keeps the root from zero.
    #[must_use]
    pub fn epsilon(mut self, epsilon: f64) -> Self {
        self.epsilon = epsilon;
        self
    }
}

impl Layer for GroupNorm {
    #[track_caller]
    fn forward(&self, x: &Tensor, _ctx: &mut Context) -> Tensor {
        x.group_norm(self.groups, Some(&self.weight), Some(&self.bias), self.epsilon)
    }
}

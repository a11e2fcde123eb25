//! [`GroupNorm`]: mean zero and variance one over groups of channels.

use crate::layers::Layer;
use crate::{Context, Init, Module, Parameter};
use gradloom_tensor::Tensor;

/// `y = (x - mean) / sqrt(variance + epsilon) * weight + bias` of `[N, C, ..]` over each group of
/// channels.
///
/// PyTorch: `torch.nn.GroupNorm`. Wu, He, "Group normalization", 2018.
#[derive(Module, Clone, Debug)]
pub struct GroupNorm {
    /// `[C]`
    pub weight: Option<Parameter>,
    /// `[C]`
    pub bias: Option<Parameter>,
    groups: usize,
    /// What stays where whole groups are pruned.
    group_size: usize,
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
        let (weight, bias) = (Some(init.ones(channels)), Some(init.zeros(channels)));
        let group_size = channels / groups;
        GroupNorm { weight, bias, groups, group_size, epsilon: 1e-5 }
    }

    /// Number of groups: that of the weights, where there are any.
    pub fn groups(&self) -> usize {
        let vector = self.weight.as_ref().or(self.bias.as_ref());
        vector.map_or(self.groups, |vector| vector.count() / self.group_size.max(1))
    }

    /// Sets what keeps the root from zero.
    #[must_use]
    pub fn epsilon(mut self, epsilon: f64) -> Self {
        self.epsilon = epsilon;
        self
    }

    /// The same layer without weight and bias. PyTorch: `affine=False`.
    #[must_use]
    pub fn without_affine(mut self) -> Self {
        (self.weight, self.bias) = (None, None);
        self
    }
}

impl Layer for GroupNorm {
    #[track_caller]
    fn forward(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
        let _layer = ctx.enter("GroupNorm", self);
        let y =
            x.group_norm(self.groups(), self.weight.as_deref(), self.bias.as_deref(), self.epsilon);
        ctx.ran("GroupNorm", self, &y);
        y
    }
}

//! [`Denoiser`]: a network that says what is noise in a picture; and [`Prediction`], in which form it says so.

use gradloom_nn::{Context, Module};
use gradloom_tensor::Tensor;

/// What a diffusion's network is.
pub trait Denoiser: Module {
    /// What the network predicts of spoilt pictures `[N, C, H, W]` after steps `[N]` (i32): `[N, C, H, W]`. Labels
    /// `[N]` are given where there are classes.
    fn denoise(
        &self,
        x: &Tensor,
        steps: &Tensor,
        labels: Option<&Tensor>,
        ctx: &mut Context,
    ) -> Tensor;

    /// The label that says that there is no label, for networks that learnt both: what guidance compares with.
    fn no_label(&self) -> Option<i32> {
        None
    }
}

/// What a network of a diffusion predicts, of `x = sqrt(a) picture + sqrt(1 - a) noise` with `a` the `alpha_bar` of
/// the step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Prediction {
    /// The noise. Ho, Jain, Abbeel, 2020. diffusers: `epsilon`.
    #[default]
    Noise,
    /// `sqrt(a) noise - sqrt(1 - a) picture`. Salimans, Ho, "Progressive distillation for fast sampling of diffusion
    /// models", 2022. diffusers: `v_prediction`.
    Velocity,
    /// The picture. diffusers: `sample`.
    Picture,
}

impl Prediction {
    /// What the network is held to, of pictures, noise, and `a` as a number of each that broadcasts.
    pub(super) fn target(self, picture: &Tensor, noise: &Tensor, a: &Tensor) -> Tensor {
        match self {
            Prediction::Noise => noise.clone(),
            Prediction::Velocity => a.sqrt() * noise - (a.neg() + 1.0).sqrt() * picture,
            Prediction::Picture => picture.clone(),
        }
    }

    /// The picture that a prediction means.
    pub(super) fn picture(self, x: &Tensor, predicted: &Tensor, a: f64) -> Tensor {
        match self {
            Prediction::Noise => (x - predicted * (1.0 - a).sqrt()) * (1.0 / a.sqrt()),
            Prediction::Velocity => x * a.sqrt() - predicted * (1.0 - a).sqrt(),
            Prediction::Picture => predicted.clone(),
        }
    }
}

//! [`Dropout`] and its kin: elements or channels left out at random while learning.

use crate::functional;
use crate::layers::Layer;
use crate::{Context, Module};
use gradloom_tensor::Tensor;

/// A layer that does something with a probability in training, and nothing otherwise.
macro_rules! layer {
    ($(#[$documentation:meta])* $name:ident: $apply:path) => {
        $(#[$documentation])*
        #[derive(Module, Clone, Copy, Debug)]
        pub struct $name {
            p: f64,
        }

        impl $name {
            /// With probability `p`.
            ///
            /// # Panics
            /// If it is not within `0..=1`.
            #[track_caller]
            pub fn new(p: f64) -> Self {
                assert!((0.0..=1.0).contains(&p), "dropout: {p} is no probability; give one in 0..=1");
                $name { p }
            }

            /// The probability.
            pub fn probability(&self) -> f64 {
                self.p
            }
        }

        impl Layer for $name {
            #[track_caller]
            fn forward(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
                if !ctx.is_training() || self.p == 0.0 {
                    return x.clone();
                }
                $apply(x, self.p, Some(ctx.key()))
            }
        }
    };
}

layer! {
    /// In training, each element is zero with probability `p`, else divided by `1 - p`; otherwise the
    /// input itself.
    ///
    /// PyTorch: `torch.nn.Dropout`. Srivastava et al., "Dropout", 2014.
    Dropout: functional::dropout
}

layer! {
    /// [`Dropout`] of whole channels of `[N, C, ..]`, whose neighbours are too much alike for elements alone.
    ///
    /// PyTorch: `torch.nn.Dropout1d` to `Dropout3d`. Tompson et al., "Efficient object localization using
    /// convolutional networks", 2015.
    DropoutChannels: functional::dropout_channels
}

layer! {
    /// In training, elements become the floor of SELU with probability `p`, and all are scaled and shifted so that
    /// mean and variance stay; otherwise the input itself.
    ///
    /// PyTorch: `torch.nn.AlphaDropout`. Klambauer et al., "Self-normalizing neural networks", 2017.
    AlphaDropout: functional::alpha_dropout
}

layer! {
    /// [`AlphaDropout`] of whole channels of `[N, C, ..]`.
    ///
    /// PyTorch: `torch.nn.FeatureAlphaDropout`.
    FeatureAlphaDropout: functional::feature_alpha_dropout
}

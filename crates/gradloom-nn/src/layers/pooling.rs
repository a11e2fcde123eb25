//! Pooling as layers: maxima, means and norms of windows over one to three axes, the same for a given
//! number of windows, and unpooling.

use crate::layers::Layer;
use crate::layers::names::names;
use crate::{Context, Module};
use gradloom_tensor::Tensor;
use gradloom_tensor::ops::per_axis::PerAxis;
use gradloom_tensor::ops::pooling::PoolOptions;

/// A layer of windows over `N` axes, with a name for each number of axes.
macro_rules! pool {
    ($(#[$doc:meta])* $layer:ident: $one:ident, $two:ident, $three:ident) => {
        $(#[$doc])*
        #[derive(Module, Clone, Debug)]
        pub struct $layer<const N: usize>(#[module(skip)] pub PoolOptions<N>);

        names!($layer: $one, $two, $three);

        impl<const N: usize> $layer<N> {
            /// Windows of `size` side by side.
            pub fn new(size: impl PerAxis<N>) -> Self {
                $layer(PoolOptions::new(size))
            }

            /// Windows that lie as the options say.
            pub fn with_options(options: PoolOptions<N>) -> Self {
                $layer(options)
            }
        }
    };
}

/// A layer's forward function for one number of axes.
macro_rules! forward {
    ($layer:ty, $self:ident, $x:ident => $body:expr) => {
        impl Layer for $layer {
            #[track_caller]
            fn forward(&self, $x: &Tensor, _ctx: &mut Context) -> Tensor {
                let $self = self;
                $body
            }
        }
    };
}

pool!(
    /// Maximum of each window. PyTorch: `torch.nn.MaxPool1d`, `MaxPool2d` and `MaxPool3d`.
    MaxPool: MaxPool1d, MaxPool2d, MaxPool3d
);
pool!(
    /// Mean of each window. PyTorch: `torch.nn.AvgPool1d`, `AvgPool2d` and `AvgPool3d`.
    AvgPool: AvgPool1d, AvgPool2d, AvgPool3d
);
pool!(
    /// Values put back where maxima were, with the options of the pooling; takes the indices beside the
    /// values, so it is no [`Layer`]. PyTorch: `torch.nn.MaxUnpool1d`, `MaxUnpool2d` and `MaxUnpool3d`.
    MaxUnpool: MaxUnpool1d, MaxUnpool2d, MaxUnpool3d
);

forward!(MaxPool1d, layer, x => x.max_pool1d(&layer.0));
forward!(MaxPool2d, layer, x => x.max_pool2d(&layer.0));
forward!(MaxPool3d, layer, x => x.max_pool3d(&layer.0));
forward!(AvgPool1d, layer, x => x.avg_pool1d(&layer.0));
forward!(AvgPool2d, layer, x => x.avg_pool2d(&layer.0));
forward!(AvgPool3d, layer, x => x.avg_pool3d(&layer.0));

macro_rules! with_indices {
    ($axes:literal, $pool:ident, $unpool:ident) => {
        impl MaxPool<$axes> {
            /// The maxima and where in its plane each is (`i32`), for [`MaxUnpool`]. PyTorch:
            /// `return_indices=True`.
            ///
            /// # Panics
            /// If no window fits.
            #[track_caller]
            pub fn forward_with_indices(&self, x: &Tensor) -> (Tensor, Tensor) {
                x.$pool(&self.0)
            }
        }

        impl MaxUnpool<$axes> {
            /// The values at their indices, zeros elsewhere; the sizes of what was pooled where the usual
            /// ones are not meant.
            ///
            /// # Panics
            /// If shapes do not fit.
            #[track_caller]
            pub fn forward(
                &self,
                values: &Tensor,
                indices: &Tensor,
                output: Option<[usize; $axes]>,
            ) -> Tensor {
                values.$unpool(indices, &self.0, output)
            }
        }
    };
}

with_indices!(1, max_pool1d_with_indices, max_unpool1d);
with_indices!(2, max_pool2d_with_indices, max_unpool2d);
with_indices!(3, max_pool3d_with_indices, max_unpool3d);

/// Norm of each window, `(sum of x^power)^(1 / power)`. PyTorch: `torch.nn.LPPool1d`, `LPPool2d` and
/// `LPPool3d`.
#[derive(Module, Clone, Debug)]
pub struct LpPool<const N: usize> {
    /// The power.
    pub power: f64,
    /// Where windows lie.
    #[module(skip)]
    pub options: PoolOptions<N>,
}

names!(LpPool: LpPool1d, LpPool2d, LpPool3d);

impl<const N: usize> LpPool<N> {
    /// Windows that lie as the options say.
    pub fn new(power: f64, options: PoolOptions<N>) -> Self {
        LpPool { power, options }
    }
}

forward!(LpPool1d, layer, x => x.lp_pool1d(layer.power, &layer.options));
forward!(LpPool2d, layer, x => x.lp_pool2d(layer.power, &layer.options));
forward!(LpPool3d, layer, x => x.lp_pool3d(layer.power, &layer.options));

/// A layer of so many windows along each axis, with a name for each number of axes.
macro_rules! adaptive {
    ($(#[$doc:meta])* $layer:ident: $one:ident, $two:ident, $three:ident;
     $of_one:ident, $of_two:ident, $of_three:ident) => {
        $(#[$doc])*
        #[derive(Module, Clone, Debug)]
        pub struct $layer<const N: usize>(#[module(skip)] pub [usize; N]);

        names!($layer: $one, $two, $three);

        impl<const N: usize> $layer<N> {
            /// So many windows along each axis.
            pub fn new(output: impl PerAxis<N>) -> Self {
                $layer(output.per_axis())
            }
        }

        forward!($one, layer, x => x.$of_one(layer.0));
        forward!($two, layer, x => x.$of_two(layer.0));
        forward!($three, layer, x => x.$of_three(layer.0));
    };
}

adaptive!(
    /// Means of a given number of windows. PyTorch: `torch.nn.AdaptiveAvgPool1d`, `AdaptiveAvgPool2d` and
    /// `AdaptiveAvgPool3d`.
    AdaptiveAvgPool: AdaptiveAvgPool1d, AdaptiveAvgPool2d, AdaptiveAvgPool3d;
    adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d
);
adaptive!(
    /// Maxima of a given number of windows. PyTorch: `torch.nn.AdaptiveMaxPool1d`, `AdaptiveMaxPool2d` and
    /// `AdaptiveMaxPool3d`.
    AdaptiveMaxPool: AdaptiveMaxPool1d, AdaptiveMaxPool2d, AdaptiveMaxPool3d;
    adaptive_max_pool1d, adaptive_max_pool2d, adaptive_max_pool3d
);

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

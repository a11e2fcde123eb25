//! [`ResidualDense`]: pictures in a multiple of their size, under the names of ISR's residual dense networks.

use gradloom_data::Image;
use gradloom_nn::{Context, Init, Layer, Module, ModuleExt};
use gradloom_tensor::Tensor;
use gradloom_tensor::ops::interpolation::{InterpolateOptions, Interpolation};

use crate::blocks::{SameConv, strided};
use crate::classifier::check_pictures;
use crate::stack::{Stack, run};
use crate::tensorflow::{Layout, Levels, torch_name};
use crate::{Pretrained, Result, error};

/// Sizes of a residual dense network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResidualDenseConfig {
    /// How many times as high and wide pictures become.
    pub scale: usize,
    /// Channels between the blocks.
    pub channels: usize,
    /// Blocks.
    pub blocks: usize,
    /// Convolutions of a block, each of which sees all before it.
    pub layers: usize,
    /// Channels that each of them adds.
    pub growth: usize,
}

impl ResidualDenseConfig {
    /// `esrgan-slim` of UpscalerJS, published for 2, 3, 4 and 8 times.
    pub fn slim(scale: usize) -> Self {
        ResidualDenseConfig { scale, channels: 64, blocks: 2, layers: 1, growth: 4 }
    }
}

/// Super-resolution: levels `[N, 3, H, W]` of `0..=255` -> levels `[N, 3, scale H, scale W]`, which may leave that range
/// a little.
///
/// Zhang et al., "Residual dense network for image super-resolution", 2018, with an enlargement by repeated pixels
/// between two of the last convolutions; the names of the Keras package ISR, which UpscalerJS publishes for
/// TensorFlow.js.
///
/// ```no_run
/// use gradloom_data::Image;
/// use gradloom_vision::{Pretrained, ResidualDense, ResidualDenseConfig};
///
/// # fn main() -> gradloom_tensor::Result<()> {
/// # let device = gradloom_testkit::reference::device();
/// # let photo = Image::new(vec![0; 3 * 9], [3, 3, 3])?;
/// let weights = "assets/esrgan-slim/x2/model.json"; // cargo xtask assets esrgan-slim
/// let config = ResidualDenseConfig::slim(2);
/// let larger = ResidualDense::from_file(&config, weights, &device)?.enlarge(&photo)?;
/// # Ok(())
/// # }
/// ```
#[derive(Module, Clone, Debug)]
pub struct ResidualDense {
    #[module(flatten)]
    layers: Stack,
    #[module(skip)]
    config: ResidualDenseConfig,
}

impl Pretrained for ResidualDense {
    type Config = ResidualDenseConfig;
    const FAMILY: &'static str = "residual_dense";

    fn new(config: &ResidualDenseConfig, init: &mut Init) -> Result<Self> {
        let ResidualDenseConfig { scale, channels, blocks, layers, growth } = *config;
        if [scale, channels, blocks, layers, growth].contains(&0) || scale > 16 {
            return Err(error::config(Self::FAMILY, format!("{config:?}")));
        }
        let mut stack = Stack::new();
        let mut conv = |name: String, channels: [usize; 2], kernel: usize| {
            stack.insert(name, SameConv::new(channels, kernel, strided(kernel, 1), init));
        };
        conv("F_m1".into(), [3, channels], 3);
        conv("F_0".into(), [channels; 2], 3);
        for block in 1..=blocks {
            for layer in 1..=layers {
                let inputs = channels + (layer - 1) * growth;
                conv(format!("F_{block}_{layer}"), [inputs, growth], 3);
            }
            conv(format!("LFF_{block}"), [channels + layers * growth, channels], 1);
        }
        conv("GFF_1".into(), [blocks * channels, channels], 1);
        conv("GFF_2".into(), [channels; 2], 3);
        conv("UPN1".into(), [channels, 64], 5);
        conv("UPN2".into(), [64, 32], 3);
        let enlarged = 3 * scale * scale;
        conv("UPN3".into(), [32, enlarged], 3);
        conv("SR".into(), [enlarged, 3], 3);
        Ok(ResidualDense { layers: stack, config: *config })
    }

    fn rename(_: &ResidualDenseConfig, name: &str) -> Option<String> {
        Some(torch_name(name))
    }

    fn layout(_: &ResidualDenseConfig) -> Layout {
        Layout::TensorFlow
    }
}

impl ResidualDense {
    /// A picture in a multiple of its size. A grey one becomes one of three channels; of an alpha channel nothing is
    /// left.
    ///
    /// # Errors
    /// If the picture has no pixels, or the device fails.
    pub fn enlarge(&self, image: &Image) -> Result<Image> {
        let levels = Levels::of(image)?;
        let size = levels.size.map(|length| length * self.config.scale);
        let Some((_, weight)) = self.parameters().into_iter().next() else {
            return Err(error::config(Self::FAMILY, "no layers"));
        };
        let x = levels.tensor(weight.device())?;
        let levels = self.forward(&x, &mut Context::eval()).to_vec::<f32>()?;
        let pixels = levels.iter().map(|level| level.round().clamp(0.0, 255.0) as u8).collect();
        Image::new(pixels, [3, size[0], size[1]])
    }

    #[track_caller]
    fn layer(&self, name: &str, x: &Tensor, ctx: &mut Context) -> Tensor {
        self.layers.get(name).map_or_else(|| x.clone(), |layer| run(name, layer, x, ctx))
    }
}

impl Layer for ResidualDense {
    #[track_caller]
    fn forward(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
        check_pictures(Self::FAMILY, x, 3);
        let ResidualDenseConfig { scale, blocks, layers, .. } = self.config;
        let shallow = self.layer("F_m1", x, ctx);
        let mut x = self.layer("F_0", &shallow, ctx);
        let mut outputs = Vec::with_capacity(blocks);
        for block in 1..=blocks {
            let mut seen = x.clone();
            for layer in 1..=layers {
                let new = self.layer(&format!("F_{block}_{layer}"), &seen, ctx).relu();
                seen = Tensor::concat(&[seen, new], 1);
            }
            x = self.layer(&format!("LFF_{block}"), &seen, ctx) + x;
            outputs.push(x.clone());
        }
        let y = self.layer("GFF_1", &Tensor::concat(&outputs, 1), ctx);
        let y = self.layer("GFF_2", &y, ctx) + shallow;
        let y = self.layer("UPN1", &y, ctx).relu();
        let y = self.layer("UPN2", &y, ctx).relu();
        let y = self.layer("UPN3", &y, ctx);
        let sizes = [2, 3].map(|axis| y.size(axis) * scale);
        let y = y.interpolate(&sizes, &InterpolateOptions::new(Interpolation::Nearest));
        self.layer("SR", &y, ctx)
    }
}

//! [`Craft`]: text detection by a VGG-16 trunk and a decoder in the shape of a U, under the names of the original.

use crate::blocks::{conv, strided};
use crate::classifier::{check_classes, check_pictures};
use crate::stack::{Stack, run};
use crate::{Classifier, Result};
use gradloom_nn::layers::{BatchNorm, Conv2d, MaxPool2d};
use gradloom_nn::{Activation, Context, Init, Layer, Module};
use gradloom_tensor::Tensor;
use gradloom_tensor::ops::convolution::Conv2dOptions;
use gradloom_tensor::ops::interpolation::{InterpolateOptions, Interpolation};
use gradloom_tensor::ops::pooling::PoolOptions;

/// Number of maps of CRAFT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CraftConfig {
    /// Two: where characters are, and where they belong together.
    pub maps: usize,
}

impl Default for CraftConfig {
    fn default() -> Self {
        CraftConfig { maps: 2 }
    }
}

/// CRAFT: pictures `[N, 3, H, W]` -> scores `[N, maps, H / 2, W / 2]`, first of characters, then of the gaps within
/// words.
///
/// Baek et al., "Character region awareness for text detection", 2019; its files `craft_mlt_25k.pth` are read, also
/// with the prefix `module.`.
#[derive(Module, Clone, Debug)]
pub struct Craft {
    basenet: Trunk,
    upconv1: Decoder,
    upconv2: Decoder,
    upconv3: Decoder,
    upconv4: Decoder,
    conv_cls: Stack,
}

/// VGG-16 with batch norms, cut before the ReLUs that follow its stages.
#[derive(Module, Clone, Debug)]
struct Trunk {
    slice1: Stack,
    slice2: Stack,
    slice3: Stack,
    slice4: Stack,
    slice5: Stack,
}

/// Two convolutions.
#[derive(Module, Clone, Debug)]
struct Decoder {
    conv: Stack,
}

/// One part of the trunk: layers under their numbers in VGG-16, of which 0 is a pooling and -1 a ReLU.
fn slice(first: usize, plan: &[isize], inputs: &mut usize, init: &mut Init) -> Stack {
    let (mut layers, mut place) = (Stack::new(), first);
    for &entry in plan {
        let mut add = |layer: Box<dyn Layer>| {
            layers.insert_boxed(place.to_string(), layer);
            place += 1;
        };
        match entry {
            0 => add(Box::new(MaxPool2d::new(2))),
            -1 => add(Box::new(Activation::Relu)),
            channels => {
                let outputs = channels.unsigned_abs();
                add(Box::new(biased([*inputs, outputs], 3, strided(3, 1), init)));
                add(Box::new(BatchNorm::new(outputs, init)));
                *inputs = outputs;
            }
        }
    }
    layers
}

fn biased(channels: [usize; 2], kernel: usize, options: Conv2dOptions, init: &mut Init) -> Conv2d {
    let mut layer = conv(channels, kernel, options, init);
    layer.bias = Some(init.zeros(channels[1]));
    layer
}

impl Trunk {
    fn new(init: &mut Init) -> Self {
        let inputs = &mut 3;
        let slice1 = slice(0, &[64, -1, 64, -1, 0, 128, -1, 128], inputs, init);
        let slice2 = slice(12, &[-1, 0, 256, -1, 256], inputs, init);
        let slice3 = slice(19, &[-1, 256, -1, 0, 512, -1, 512], inputs, init);
        let slice4 = slice(29, &[-1, 512, -1, 0, 512, -1, 512], inputs, init);
        let wide = Conv2dOptions::default().padding(6).dilation(6);
        let mut slice5 = Stack::new();
        slice5.push(MaxPool2d::with_options(PoolOptions::new(3).stride(1).padding(1)));
        slice5.push(biased([512, 1024], 3, wide, init));
        slice5.push(biased([1024, 1024], 1, strided(1, 1), init));
        Trunk { slice1, slice2, slice3, slice4, slice5 }
    }
}

impl Decoder {
    fn new(inputs: usize, middle: usize, outputs: usize, init: &mut Init) -> Self {
        let mut conv = Stack::new();
        for (channels, kernel) in [([inputs, middle], 1), ([middle, outputs], 3)] {
            conv.push(biased(channels, kernel, strided(kernel, 1), init));
            conv.push(BatchNorm::new(channels[1], init));
            conv.push(Activation::Relu);
        }
        Decoder { conv }
    }

    /// Of what comes from below, at the size of what comes from the side.
    #[track_caller]
    fn join(&self, below: &Tensor, side: &Tensor, ctx: &mut Context) -> Tensor {
        let sizes = [side.size(2), side.size(3)];
        let below = below.interpolate(&sizes, &InterpolateOptions::new(Interpolation::Linear));
        run("conv", &self.conv, &Tensor::concat(&[&below, side], 1), ctx)
    }
}

impl Classifier for Craft {
    type Config = CraftConfig;
    const FAMILY: &'static str = "craft";

    fn new(config: &CraftConfig, init: &mut Init) -> Result<Self> {
        check_classes(Self::FAMILY, config.maps)?;
        let basenet = Trunk::new(init);
        let upconv1 = Decoder::new(1024 + 512, 512, 256, init);
        let upconv2 = Decoder::new(256 + 512, 256, 128, init);
        let upconv3 = Decoder::new(128 + 256, 128, 64, init);
        let upconv4 = Decoder::new(64 + 128, 64, 32, init);
        let mut conv_cls = Stack::new();
        for (channels, kernel) in [([32, 32], 3), ([32, 32], 3), ([32, 16], 3), ([16, 16], 1)] {
            conv_cls.push(biased(channels, kernel, strided(kernel, 1), init));
            conv_cls.push(Activation::Relu);
        }
        conv_cls.push(biased([16, config.maps], 1, strided(1, 1), init));
        Ok(Craft { basenet, upconv1, upconv2, upconv3, upconv4, conv_cls })
    }

    fn rename(_: &CraftConfig, name: &str) -> Option<String> {
        Some(name.strip_prefix("module.").unwrap_or(name).to_owned())
    }

    fn replace_head(&mut self, classes: usize, init: &mut Init) -> Result<()> {
        check_classes(Self::FAMILY, classes)?;
        self.conv_cls.replace_last(biased([16, classes], 1, strided(1, 1), init));
        Ok(())
    }
}

impl Layer for Craft {
    #[track_caller]
    fn forward(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
        check_pictures(Self::FAMILY, x, 3);
        let Trunk { slice1, slice2, slice3, slice4, slice5 } = &self.basenet;
        let [second, third, fourth, fifth, last] = ctx.within("basenet", |ctx| {
            let second = run("slice1", slice1, x, ctx);
            let third = run("slice2", slice2, &second, ctx);
            let fourth = run("slice3", slice3, &third, ctx);
            let fifth = run("slice4", slice4, &fourth, ctx);
            let last = run("slice5", slice5, &fifth, ctx);
            [second, third, fourth, fifth, last]
        });
        // The original's ReLUs work in place, so what its decoder reads has been through the first of the next part;
        // the pooling after the fifth stage does not.
        let parts = [
            ("upconv1", &self.upconv1, fifth),
            ("upconv2", &self.upconv2, fourth.relu()),
            ("upconv3", &self.upconv3, third.relu()),
            ("upconv4", &self.upconv4, second.relu()),
        ];
        let y = parts.iter().fold(last, |below, (name, decoder, side)| {
            ctx.within(name, |ctx| {
                let y = decoder.join(&below, side, ctx);
                ctx.tap("output", &y)
            })
        });
        run("conv_cls", &self.conv_cls, &y, ctx)
    }
}

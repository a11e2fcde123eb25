//! [`UNet`]: a path down and a path up with bridges between them, for masks of any kind of picture.

use crate::blocks::{conv, strided};
use crate::classifier::{check_classes, check_pictures};
use crate::stack::{Stack, run};
use crate::{Classifier, Result, error};
use gradloom_nn::layers::{BatchNorm, Conv2d, ConvTranspose2d, MaxPool2d};
use gradloom_nn::{Activation, Context, Init, Layer, Module};
use gradloom_tensor::Tensor;
use gradloom_tensor::ops::convolution::{Conv2dOptions, ConvTranspose2dOptions};
use gradloom_tensor::ops::interpolation::{InterpolateOptions, Interpolation};

/// Sizes of a U-Net.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UNetConfig {
    /// Channels of the pictures.
    pub inputs: usize,
    /// Channels at full size; each of the four steps down has twice as many.
    pub width: usize,
    /// Enlarges by interpolation instead of learnt weights.
    pub bilinear: bool,
    /// Number of classes.
    pub classes: usize,
}

impl UNetConfig {
    /// For pictures of so many channels, 64 at full size, enlarged by learnt weights.
    pub fn new(inputs: usize, classes: usize) -> Self {
        UNetConfig { inputs, width: 64, bilinear: false, classes }
    }
}

/// A U-Net with batch norms and padding: pictures `[N, C, H, W]` of at least 16 x 16 -> `[N, classes, H, W]`.
///
/// Names of weights are those of the much used `Pytorch-UNet` (`down1.maxpool_conv.1.double_conv.0.weight`).
/// Ronneberger et al., "U-Net: convolutional networks for biomedical image segmentation", 2015.
#[derive(Module, Clone, Debug)]
pub struct UNet {
    inc: DoubleConv,
    down1: Down,
    down2: Down,
    down3: Down,
    down4: Down,
    up1: Up,
    up2: Up,
    up3: Up,
    up4: Up,
    outc: Out,
    inputs: usize,
}

#[derive(Module, Clone, Debug)]
struct DoubleConv {
    double_conv: Stack,
}

#[derive(Module, Clone, Debug)]
struct Down {
    maxpool_conv: Stack,
}

/// Enlarged by weights, or by interpolation where there are none.
#[derive(Module, Clone, Debug)]
struct Up {
    up: Option<ConvTranspose2d>,
    conv: DoubleConv,
}

#[derive(Module, Clone, Debug)]
struct Out {
    conv: Conv2d,
}

impl DoubleConv {
    fn new([inputs, middle, outputs]: [usize; 3], init: &mut Init) -> Self {
        let mut double_conv = Stack::new();
        for channels in [[inputs, middle], [middle, outputs]] {
            double_conv.push(conv(channels, 3, strided(3, 1), init));
            double_conv.push(BatchNorm::new(channels[1], init));
            double_conv.push(Activation::Relu);
        }
        DoubleConv { double_conv }
    }
}

impl Layer for DoubleConv {
    #[track_caller]
    fn forward(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
        self.double_conv.forward(x, ctx)
    }
}

impl Down {
    fn new(inputs: usize, outputs: usize, init: &mut Init) -> Self {
        let mut maxpool_conv = Stack::new();
        maxpool_conv.push(MaxPool2d::new(2));
        maxpool_conv.push(DoubleConv::new([inputs, outputs, outputs], init));
        Down { maxpool_conv }
    }
}

impl Layer for Down {
    #[track_caller]
    fn forward(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
        self.maxpool_conv.forward(x, ctx)
    }
}

impl Up {
    /// Of twice `inputs / 2` channels.
    fn new(inputs: usize, outputs: usize, bilinear: bool, init: &mut Init) -> Self {
        let options = ConvTranspose2dOptions::default().stride(2);
        let up = (!bilinear).then(|| ConvTranspose2d::new(inputs, inputs / 2, 2, options, init));
        let middle = if bilinear { inputs / 2 } else { outputs };
        Up { up, conv: DoubleConv::new([inputs, middle, outputs], init) }
    }

    #[track_caller]
    fn join(&self, below: &Tensor, side: &Tensor, ctx: &mut Context) -> Tensor {
        let below = match &self.up {
            Some(up) => up.forward(below, ctx),
            None => {
                let sizes = [2 * below.size(2), 2 * below.size(3)];
                let options = InterpolateOptions::new(Interpolation::Linear).align_corners(true);
                below.interpolate(&sizes, &options)
            }
        };
        // Of an odd size the pooling has left out the last line.
        let sides = [2, 3].map(|axis| {
            let missing = side.size(axis) - below.size(axis);
            (missing / 2, missing - missing / 2)
        });
        let below = below.pad(&[(0, 0), (0, 0), sides[0], sides[1]]);
        self.conv.forward(&Tensor::concat(&[side, &below], 1), ctx)
    }
}

impl Classifier for UNet {
    type Config = UNetConfig;
    const FAMILY: &'static str = "unet";

    fn new(config: &UNetConfig, init: &mut Init) -> Result<Self> {
        let &UNetConfig { inputs, width, bilinear, classes } = config;
        check_classes(Self::FAMILY, classes)?;
        if inputs == 0 || width == 0 || width > 1 << 20 {
            let message = format!("{inputs} channels of pictures, {width} at full size");
            return Err(error::config(Self::FAMILY, message));
        }
        let shared = if bilinear { 2 } else { 1 };
        let mut down = |inputs, outputs| Down::new(inputs, outputs, init);
        let [down1, down2, down3] = [1, 2, 4].map(|step| down(step * width, 2 * step * width));
        let down4 = down(8 * width, 16 * width / shared);
        let mut up = |inputs, outputs| Up::new(inputs, outputs, bilinear, init);
        let [up1, up2, up3] = [16, 8, 4].map(|step| up(step * width, step * width / 2 / shared));
        let up4 = up(2 * width, width);
        Ok(UNet {
            inc: DoubleConv::new([inputs, width, width], init),
            down1,
            down2,
            down3,
            down4,
            up1,
            up2,
            up3,
            up4,
            outc: Out { conv: last(width, classes, init) },
            inputs,
        })
    }

    fn replace_head(&mut self, classes: usize, init: &mut Init) -> Result<()> {
        check_classes(Self::FAMILY, classes)?;
        self.outc.conv = last(self.outc.conv.weight.size(1), classes, init);
        Ok(())
    }
}

/// PyTorch's first values, with a bias.
fn last(inputs: usize, classes: usize, init: &mut Init) -> Conv2d {
    Conv2d::new(inputs, classes, 1, Conv2dOptions::default(), init)
}

impl Layer for UNet {
    #[track_caller]
    fn forward(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
        check_pictures(Self::FAMILY, x, self.inputs);
        let first = run("inc", &self.inc, x, ctx);
        let second = run("down1", &self.down1, &first, ctx);
        let third = run("down2", &self.down2, &second, ctx);
        let fourth = run("down3", &self.down3, &third, ctx);
        let last = run("down4", &self.down4, &fourth, ctx);
        let steps = [
            ("up1", &self.up1, fourth),
            ("up2", &self.up2, third),
            ("up3", &self.up3, second),
            ("up4", &self.up4, first),
        ];
        let y = steps.iter().fold(last, |below, (name, up, side)| {
            ctx.within(name, |ctx| {
                let y = up.join(&below, side, ctx);
                ctx.tap("output", &y)
            })
        });
        ctx.within("outc", |ctx| run("conv", &self.outc.conv, &y, ctx))
    }
}

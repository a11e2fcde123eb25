//! [`DiffusionUNet`]: what is noise in a picture, for a step and perhaps a class.
//!
//! Letters: N batch, C channels, H and W sizes.

use super::autoencoder::WIDTH_MAX;
use super::checks::{check_labels, check_weight};
use super::denoiser::Denoiser;
use super::diffusion_blocks::{
    BlockOptions, Down, PlaceAttention, ResidualBlock, StepEmbedding, Up, same, sinusoids, zero,
};
use crate::classifier::check_pictures;
use crate::{Result, error};
use gradloom_nn::layers::{Conv2d, Embedding, GroupNorm};
use gradloom_nn::{Context, Init, Layer, Module};
use gradloom_tensor::{Tensor, demand};

const FAMILY: &str = "diffusion_unet";

/// Sizes of a diffusion's U-Net. diffusers: the configuration of `UNet2DModel`.
#[derive(Clone, Debug, PartialEq)]
pub struct DiffusionUNetConfig {
    /// Channels of the pictures.
    pub channels: usize,
    /// Channels at each size, from the full one; each further one has half the height and width. diffusers:
    /// `block_out_channels`.
    pub widths: Vec<usize>,
    /// Residual blocks at each size on the way down, one more on the way up. diffusers: `layers_per_block`.
    pub blocks: usize,
    /// At which sizes, counted from the full one, there is attention beside the middle. diffusers: blocks named
    /// `AttnDownBlock2D` and `AttnUpBlock2D`.
    pub attention: Vec<usize>,
    /// Channels of a head of attention; without it there is one head. diffusers: `attention_head_dim`.
    pub head_size: Option<usize>,
    /// Groups of the norms. diffusers: `norm_num_groups`.
    pub groups: usize,
    /// What keeps a norm from a division by zero. diffusers: `norm_eps`.
    pub epsilon: f64,
    /// Probability of dropout in residual blocks.
    pub dropout: f64,
    /// Number of classes; one more label, the number itself, says that there is none.
    pub classes: Option<usize>,
    /// Whether cosines stand before sines in the embedding of steps. diffusers: `flip_sin_to_cos`.
    pub cosines_first: bool,
    /// Taken from the number of speeds. diffusers: `freq_shift`.
    pub shift: f64,
    /// Whether steps down pad only on the right and below. diffusers: `downsample_padding=0`.
    pub pads_after: bool,
}

impl DiffusionUNetConfig {
    /// For pictures of so many channels: 32, 64 and 64 channels, one block at each size, eight groups, attention in the
    /// middle, no classes.
    pub fn new(channels: usize) -> Self {
        DiffusionUNetConfig {
            channels,
            widths: vec![32, 64, 64],
            blocks: 1,
            attention: Vec::new(),
            head_size: None,
            groups: 8,
            epsilon: 1e-5,
            dropout: 0.0,
            classes: None,
            cosines_first: true,
            shift: 0.0,
            pads_after: false,
        }
    }

    /// Sets the number of classes.
    #[must_use]
    pub fn classes(mut self, classes: usize) -> Self {
        self.classes = Some(classes);
        self
    }

    /// Sets the groups of the norms.
    #[must_use]
    pub fn groups(mut self, groups: usize) -> Self {
        self.groups = groups;
        self
    }

    fn check(&self) -> Result<()> {
        let refuse = |message: String| Err(error::config(FAMILY, message));
        let DiffusionUNetConfig { channels, widths, blocks, attention, groups, .. } = self;
        let (groups, classes) = (*groups, self.classes.unwrap_or(1));
        let all = widths.iter().copied().chain([*channels, *blocks, groups, classes]);
        if widths.is_empty() || widths.len() > 32 || all.clone().any(|n| n == 0 || n > WIDTH_MAX) {
            return refuse(format!(
                "{channels} channels, widths {widths:?}, {blocks} blocks, {groups} groups, {classes} classes"
            ));
        }
        if let Some(width) = widths.iter().find(|&&width| !width.is_multiple_of(groups)) {
            return refuse(format!("{groups} groups do not divide {width} channels"));
        }
        if let Some(level) = attention.iter().find(|&&level| level >= widths.len()) {
            return refuse(format!("attention at size {level}, but there are {}", widths.len()));
        }
        let attended = attention.iter().map(|&level| widths[level]).chain(widths.last().copied());
        if let Some(size) = self.head_size
            && let Some(width) = attended.clone().find(|width| size == 0 || width % size != 0)
        {
            return refuse(format!("heads of {size} do not divide {width} channels"));
        }
        if !(0.0..1.0).contains(&self.dropout) {
            return refuse(format!("dropout {} is not in 0..1", self.dropout));
        }
        if self.shift >= (widths[0] / 2) as f64 || widths[0] < 2 {
            let message = format!("{} channels with a shift of {}", widths[0], self.shift);
            return refuse(message + "; steps have no speeds then");
        }
        check_weight(FAMILY, "epsilon", self.epsilon)?;
        check_weight(FAMILY, "shift", self.shift)
    }
}

/// Residual blocks of one size on the way down.
#[derive(Module, Clone, Debug)]
struct DownBlock {
    resnets: Vec<ResidualBlock>,
    /// One for each residual block, or none.
    attentions: Vec<PlaceAttention>,
    /// Not at the smallest size.
    downsamplers: Vec<Down>,
}

/// Two residual blocks around attention.
#[derive(Module, Clone, Debug)]
struct MiddleBlock {
    attentions: Vec<PlaceAttention>,
    resnets: Vec<ResidualBlock>,
}

/// Residual blocks of one size on the way up, each of which also reads a result of the way down.
#[derive(Module, Clone, Debug)]
struct UpBlock {
    resnets: Vec<ResidualBlock>,
    attentions: Vec<PlaceAttention>,
    /// Not at the full size.
    upsamplers: Vec<Up>,
}

/// The network of a diffusion: pictures `[N, C, H, W]` and steps `[N]` to a prediction `[N, C, H, W]`. Height and width
/// are multiples of `2^(sizes - 1)`.
///
/// Layers and names of weights are those of diffusers' `UNet2DModel` (`down_blocks.0.resnets.0.conv1.weight`). The last
/// convolution of each block and of the network is zero at first. Ho, Jain, Abbeel, 2020.
#[derive(Module, Clone, Debug)]
pub struct DiffusionUNet {
    conv_in: Conv2d,
    time_embedding: StepEmbedding,
    class_embedding: Option<Embedding>,
    down_blocks: Vec<DownBlock>,
    mid_block: MiddleBlock,
    up_blocks: Vec<UpBlock>,
    conv_norm_out: GroupNorm,
    conv_out: Conv2d,
    #[module(skip)]
    config: DiffusionUNetConfig,
}

impl DiffusionUNet {
    /// First values as PyTorch's layers have them, but for what is zero.
    ///
    /// # Errors
    /// If the sizes make no sense.
    pub fn new(config: &DiffusionUNetConfig, init: &mut Init) -> Result<Self> {
        config.check()?;
        let DiffusionUNetConfig { channels, widths, blocks, .. } = config;
        let (first, last) = (widths[0], widths[widths.len() - 1]);
        let options = BlockOptions {
            groups: config.groups,
            epsilon: config.epsilon,
            dropout: config.dropout,
            embedding: 4 * first,
            head_size: config.head_size,
            pads_after: config.pads_after,
        };
        let conv_in = same(*channels, first, init);
        let time_embedding = StepEmbedding::new(first, 4 * first, init);
        let class_embedding = config
            .classes
            .map(|count| Embedding::from_weight(init.normal([count + 1, 4 * first], 1.0)));
        // The channels of what the way up reads, in the order in which it is made.
        let mut bridges = vec![first];
        let mut down_blocks = Vec::new();
        let mut inputs = first;
        for (level, &width) in widths.iter().enumerate() {
            let attends = config.attention.contains(&level);
            let mut block =
                DownBlock { resnets: Vec::new(), attentions: Vec::new(), downsamplers: Vec::new() };
            for _ in 0..*blocks {
                block.resnets.push(ResidualBlock::new(inputs, width, options, init));
                if attends {
                    block.attentions.push(PlaceAttention::new(width, options, init));
                }
                bridges.push(width);
                inputs = width;
            }
            if level + 1 < widths.len() {
                block.downsamplers.push(Down::new(width, options, init));
                bridges.push(width);
            }
            down_blocks.push(block);
        }
        let residual = |init: &mut Init| ResidualBlock::new(last, last, options, init);
        let resnets = vec![residual(init), residual(init)];
        let mid_block =
            MiddleBlock { attentions: vec![PlaceAttention::new(last, options, init)], resnets };
        let mut up_blocks = Vec::new();
        for (level, &width) in widths.iter().enumerate().rev() {
            let attends = config.attention.contains(&level);
            let mut block =
                UpBlock { resnets: Vec::new(), attentions: Vec::new(), upsamplers: Vec::new() };
            for _ in 0..=*blocks {
                let bridge = bridges.pop().unwrap_or(0);
                block.resnets.push(ResidualBlock::new(inputs + bridge, width, options, init));
                if attends {
                    block.attentions.push(PlaceAttention::new(width, options, init));
                }
                inputs = width;
            }
            if level > 0 {
                block.upsamplers.push(Up::new(width, init));
            }
            up_blocks.push(block);
        }
        Ok(DiffusionUNet {
            conv_in,
            time_embedding,
            class_embedding,
            down_blocks,
            mid_block,
            up_blocks,
            conv_norm_out: options.norm(first, init),
            conv_out: zero(first, *channels, init),
            config: config.clone(),
        })
    }

    /// The activated embedding of steps and labels, `[N, E]`.
    #[track_caller]
    fn embed(&self, steps: &Tensor, labels: Option<&Tensor>, ctx: &mut Context) -> Tensor {
        let DiffusionUNetConfig { widths, shift, cosines_first, .. } = &self.config;
        let dtype = self.time_embedding.dtype();
        let waves = sinusoids(steps, widths[0], *shift, *cosines_first, dtype);
        let step = self.time_embedding.forward(&waves, ctx);
        match (&self.class_embedding, labels) {
            (Some(table), Some(labels)) => (step + table.forward(labels, ctx)).silu(),
            _ => step.silu(),
        }
    }
}

/// Residual blocks, each with its attention where there is one.
#[track_caller]
fn run_level(
    resnet: (&ResidualBlock, Option<&PlaceAttention>),
    x: &Tensor,
    step: &Tensor,
    ctx: &mut Context,
) -> Tensor {
    let x = resnet.0.forward(x, step, ctx);
    resnet.1.map_or(x.clone(), |attention| attention.forward(&x, ctx))
}

impl Denoiser for DiffusionUNet {
    #[track_caller]
    fn denoise(
        &self,
        x: &Tensor,
        steps: &Tensor,
        labels: Option<&Tensor>,
        ctx: &mut Context,
    ) -> Tensor {
        check_pictures(FAMILY, x, self.config.channels);
        let parts = 1usize << (self.config.widths.len() - 1);
        let (shape, of_steps, samples) = (x.shape(), steps.shape(), x.size(0));
        demand!(
            shape[2].is_multiple_of(parts) && shape[3].is_multiple_of(parts) && x.count() > 0,
            "{FAMILY}: needs sizes that {parts} divides, got shape {shape}"
        );
        demand!(
            of_steps == &[samples][..],
            "{FAMILY}: needs steps [{samples}], one for each picture, got shape {of_steps}"
        );
        check_labels(FAMILY, labels, self.config.classes, samples);
        let step = &self.embed(steps, labels, ctx);
        let mut x = self.conv_in.forward(x, ctx);
        let mut bridges = vec![x.clone()];
        for block in &self.down_blocks {
            for (place, resnet) in block.resnets.iter().enumerate() {
                x = run_level((resnet, block.attentions.get(place)), &x, step, ctx);
                bridges.push(x.clone());
            }
            for down in &block.downsamplers {
                x = down.forward(&x, ctx);
                bridges.push(x.clone());
            }
        }
        for (place, resnet) in self.mid_block.resnets.iter().enumerate() {
            x = run_level((resnet, self.mid_block.attentions.get(place)), &x, step, ctx);
        }
        x = ctx.tap("middle", &x);
        for block in &self.up_blocks {
            for (place, resnet) in block.resnets.iter().enumerate() {
                if let Some(bridge) = bridges.pop() {
                    x = Tensor::concat(&[&x, &bridge], 1);
                }
                x = run_level((resnet, block.attentions.get(place)), &x, step, ctx);
            }
            for up in &block.upsamplers {
                x = up.forward(&x, ctx);
            }
        }
        let y = self.conv_norm_out.forward(&x, ctx).silu();
        self.conv_out.forward(&y, ctx)
    }

    fn no_label(&self) -> Option<i32> {
        self.config.classes.and_then(|classes| i32::try_from(classes).ok())
    }
}

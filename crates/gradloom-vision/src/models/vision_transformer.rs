//! [`VisionTransformer`]: a transformer over patches of a picture, as torchvision has it.

use crate::classifier::{check_classes, check_pictures};
use crate::stack::{Stack, run};
use crate::{Classifier, Result, error};
use gradloom_nn::init::Gain;
use gradloom_nn::layers::{AttentionMask, Conv2d, Dropout, LayerNorm, Linear, MultiHeadAttention};
use gradloom_nn::{Context, Init, Layer, Module, Parameter};
use gradloom_tensor::Tensor;
use gradloom_tensor::ops::convolution::Conv2dOptions;

/// Sizes of a vision transformer.
#[derive(Clone, Debug, PartialEq)]
pub struct VisionTransformerConfig {
    /// Height and width of pictures.
    pub picture: usize,
    /// Height and width of patches.
    pub patch: usize,
    /// Number of layers.
    pub layers: usize,
    /// Heads of attention.
    pub heads: usize,
    /// E: features.
    pub features: usize,
    /// Features inside the feed-forward layers.
    pub hidden: usize,
    /// Dropout in training.
    pub dropout: f64,
    /// Dropout of attention weights in training.
    pub attention_dropout: f64,
    /// Number of classes.
    pub classes: usize,
}

impl VisionTransformerConfig {
    fn of(patch: usize, layers: usize, heads: usize, features: usize) -> Self {
        VisionTransformerConfig {
            picture: 224,
            patch,
            layers,
            heads,
            features,
            hidden: 4 * features,
            dropout: 0.0,
            attention_dropout: 0.0,
            classes: 1000,
        }
    }

    /// ViT-B/16.
    pub fn b_16() -> Self {
        VisionTransformerConfig::of(16, 12, 12, 768)
    }

    /// ViT-B/32.
    pub fn b_32() -> Self {
        VisionTransformerConfig::of(32, 12, 12, 768)
    }

    /// ViT-L/16.
    pub fn l_16() -> Self {
        VisionTransformerConfig::of(16, 24, 16, 1024)
    }

    /// ViT-L/32.
    pub fn l_32() -> Self {
        VisionTransformerConfig::of(32, 24, 16, 1024)
    }

    /// ViT-H/14.
    pub fn h_14() -> Self {
        VisionTransformerConfig::of(14, 32, 16, 1280)
    }

    /// Sets the number of classes.
    #[must_use]
    pub fn classes(mut self, classes: usize) -> Self {
        self.classes = classes;
        self
    }
}

/// A vision transformer: pictures `[N, 3, S, S]` of the size it was made for -> `[N, classes]`. Its stages are
/// `encoder.layers.encoder_layer_0` and so on: `[N, 1 + patches, E]`.
///
/// torchvision: `vit_b_16` to `vit_h_14`. Dosovitskiy et al., "An image is worth 16x16 words", 2021.
#[derive(Module, Clone, Debug)]
pub struct VisionTransformer {
    /// `[1, 1, E]`
    pub class_token: Parameter,
    /// Patches to features.
    pub conv_proj: Conv2d,
    /// The layers.
    pub encoder: Encoder,
    /// To classes.
    pub heads: Heads,
    picture: usize,
}

/// Positions, layers and a norm.
#[derive(Module, Clone, Debug)]
pub struct Encoder {
    pos_embedding: Parameter,
    layers: Stack,
    ln: LayerNorm,
    dropout: Dropout,
}

/// The linear layer at the end.
#[derive(Module, Clone, Debug)]
pub struct Heads {
    head: Linear,
}

#[derive(Module, Clone, Debug)]
struct EncoderLayer {
    ln_1: LayerNorm,
    self_attention: MultiHeadAttention,
    ln_2: LayerNorm,
    mlp: FeedForward,
    dropout: Dropout,
}

#[derive(Module, Clone, Debug)]
struct FeedForward {
    #[module(rename = "0")]
    widen: Linear,
    #[module(rename = "3")]
    narrow: Linear,
}

impl EncoderLayer {
    fn new(config: &VisionTransformerConfig, init: &mut Init) -> Self {
        let mut linear = |inputs: usize, outputs: usize| {
            let weight = init.xavier_uniform([outputs, inputs], Gain::Linear);
            Linear::from_parts(weight, Some(init.normal(outputs, 1e-6)))
        };
        let mlp = FeedForward {
            widen: linear(config.features, config.hidden),
            narrow: linear(config.hidden, config.features),
        };
        let attention = MultiHeadAttention::new(config.features, config.heads, init);
        EncoderLayer {
            ln_1: LayerNorm::new(config.features, init).epsilon(1e-6),
            self_attention: attention.dropout(config.attention_dropout),
            ln_2: LayerNorm::new(config.features, init).epsilon(1e-6),
            mlp,
            dropout: Dropout::new(config.dropout),
        }
    }
}

impl Layer for EncoderLayer {
    #[track_caller]
    fn forward(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
        let y = self.ln_1.forward(x, ctx);
        let y = ctx.within("self_attention", |ctx| {
            self.self_attention.self_attention(&y, &AttentionMask::none(), ctx)
        });
        let x = self.dropout.forward(&y, ctx) + x;
        let FeedForward { widen, narrow } = &self.mlp;
        let y = widen.forward(&self.ln_2.forward(&x, ctx), ctx).gelu();
        let y = narrow.forward(&self.dropout.forward(&y, ctx), ctx);
        x + self.dropout.forward(&y, ctx)
    }
}

impl Layer for Encoder {
    #[track_caller]
    fn forward(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
        let x = self.dropout.forward(&(x + self.pos_embedding.tensor()), ctx);
        self.ln.forward(&run("layers", &self.layers, &x, ctx), ctx)
    }
}

impl Classifier for VisionTransformer {
    type Config = VisionTransformerConfig;
    const FAMILY: &'static str = "vision_transformer";

    fn new(config: &VisionTransformerConfig, init: &mut Init) -> Result<Self> {
        check_classes(Self::FAMILY, config.classes)?;
        let failed = |message: String| Err(error::config(Self::FAMILY, message));
        let &VisionTransformerConfig { picture, patch, heads, features, .. } = config;
        if patch == 0 || picture == 0 || !picture.is_multiple_of(patch) {
            return failed(format!("patches of {patch} do not divide pictures of {picture}"));
        }
        if heads == 0 || features == 0 || !features.is_multiple_of(heads) || config.hidden == 0 {
            return failed(format!("{heads} heads do not divide {features} features"));
        }
        for p in [config.dropout, config.attention_dropout] {
            if !(0.0..=1.0).contains(&p) {
                return failed(format!("a dropout of {p}"));
            }
        }
        let options = Conv2dOptions::default().stride(patch);
        let mut conv_proj = Conv2d::new(3, features, patch, options, init);
        let fan_in = (3 * patch * patch) as f64;
        conv_proj.weight = init.normal(*conv_proj.weight.shape(), fan_in.recip().sqrt());
        conv_proj.bias = Some(init.zeros(features));
        let mut layers = Stack::new();
        for layer in 0..config.layers {
            layers.insert(format!("encoder_layer_{layer}"), EncoderLayer::new(config, init));
        }
        let positions = 1 + (picture / patch) * (picture / patch);
        let encoder = Encoder {
            pos_embedding: init.normal([1, positions, features], 0.02),
            layers,
            ln: LayerNorm::new(features, init).epsilon(1e-6),
            dropout: Dropout::new(config.dropout),
        };
        let class_token = init.zeros([1, 1, features]);
        let heads = Heads { head: head(features, config.classes, init) };
        Ok(VisionTransformer { class_token, conv_proj, encoder, heads, picture })
    }

    fn rename(_: &VisionTransformerConfig, name: &str) -> Option<String> {
        Some(name.replace(".mlp.linear_1.", ".mlp.0.").replace(".mlp.linear_2.", ".mlp.3."))
    }

    fn replace_head(&mut self, classes: usize, init: &mut Init) -> Result<()> {
        check_classes(Self::FAMILY, classes)?;
        self.heads.head = head(self.heads.head.inputs(), classes, init);
        Ok(())
    }
}

/// Zeros, so that training begins with equal classes.
fn head(features: usize, classes: usize, init: &mut Init) -> Linear {
    Linear::from_parts(init.zeros([classes, features]), Some(init.zeros(classes)))
}

impl Layer for VisionTransformer {
    #[track_caller]
    fn forward(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
        check_pictures(Self::FAMILY, x, 3);
        let (height, width, size) = (x.size(2), x.size(3), self.picture);
        assert!(
            (height, width) == (size, size),
            "vision_transformer: pictures of {height} x {width}, but it has positions for {size} x {size}; resize them"
        );
        let patches = self.conv_proj.forward(x, ctx).flatten(2, -1).permute(&[0, 2, 1]);
        let shape = [patches.size(0), 1, patches.size(2)];
        let class = self.class_token.broadcast_to(shape);
        let x = run("encoder", &self.encoder, &Tensor::concat(&[&class, &patches], 1), ctx);
        let x = x.narrow(1, 0, 1).flatten(1, -1);
        ctx.within("heads", |ctx| run("head", &self.heads.head, &x, ctx))
    }
}

//! [`PyramidBackbone`]: a residual network and a feature pyramid on its stages.

use crate::detection::{ExtraLevels, FeaturePyramid};
use crate::models::resnet::{ResNetBackbone, ResNetConfig};
use crate::{Result, error};
use gradloom_nn::{Context, Init, Module, ModuleExt};
use gradloom_tensor::Tensor;

/// Sizes of a backbone.
#[derive(Clone, Debug, PartialEq)]
pub struct BackboneConfig {
    /// The residual network; its classes are not used.
    pub body: ResNetConfig,
    /// The first stage that the pyramid stands on, from 0; the others follow.
    pub first_stage: usize,
    /// Channels of each level.
    pub channels: usize,
    /// Levels above the last stage.
    pub extra: ExtraLevels,
    /// Parts of the residual network that learn, from the last: 5 are all, 0 none. torchvision:
    /// `trainable_backbone_layers`.
    pub trainable_layers: usize,
}

impl BackboneConfig {
    /// ResNet-50 as published detectors have it: frozen norms that add nothing to variances, three stages that
    /// learn.
    pub fn resnet50(first_stage: usize, extra: ExtraLevels) -> Self {
        let body =
            ResNetConfig { frozen_norms: true, norm_epsilon: 0.0, ..ResNetConfig::resnet50() };
        BackboneConfig { body, first_stage, channels: 256, extra, trainable_layers: 3 }
    }

    /// Number of levels.
    pub fn levels(&self) -> usize {
        let extra = match self.extra {
            ExtraLevels::None => 0,
            ExtraLevels::Pool => 1,
            ExtraLevels::P6P7 | ExtraLevels::P6P7OfStage => 2,
        };
        4usize.saturating_sub(self.first_stage) + extra
    }
}

/// Pictures `[N, 3, H, W]` -> levels `[N, C, H / s, W / s]`, the finest first.
///
/// torchvision: `models.detection.backbone_utils.BackboneWithFPN`.
#[derive(Module, Clone, Debug)]
pub struct PyramidBackbone {
    /// The residual network. Weights of a classifier of its kind fit.
    pub body: ResNetBackbone,
    /// On its stages.
    pub fpn: FeaturePyramid,
    first_stage: usize,
}

impl PyramidBackbone {
    /// After a configuration.
    ///
    /// # Errors
    /// If it is wrong.
    pub fn new(family: &'static str, config: &BackboneConfig, init: &mut Init) -> Result<Self> {
        let BackboneConfig { first_stage, channels, extra, trainable_layers, .. } = *config;
        if first_stage > 3 || channels == 0 || trainable_layers > 5 {
            let message = format!(
                "{channels} channels from stage {first_stage} of 0..4, {trainable_layers} of 5 layers learn"
            );
            return Err(error::config(family, message));
        }
        let mut body = ResNetBackbone::new(&config.body, init)?;
        let layers = ["layer4.", "layer3.", "layer2.", "layer1.", "conv1."];
        let learn = &layers[..trainable_layers];
        body.set_trainable(false, |name| {
            let norm = name.starts_with("bn1.");
            !(learn.iter().any(|layer| name.starts_with(layer)) || norm && trainable_layers == 5)
        });
        let stages = &config.body.channels()[first_stage..];
        let fpn = FeaturePyramid::new(stages, channels, extra, init);
        Ok(PyramidBackbone { body, fpn, first_stage })
    }

    /// The levels.
    ///
    /// # Panics
    /// If these are no pictures of floats.
    #[track_caller]
    pub fn forward(&self, x: &Tensor, ctx: &mut Context) -> Vec<Tensor> {
        ctx.within("backbone", |ctx| {
            let stages = ctx.within("body", |ctx| self.body.stages(x, ctx));
            ctx.within("fpn", |ctx| self.fpn.forward(&stages[self.first_stage..], ctx))
        })
    }
}

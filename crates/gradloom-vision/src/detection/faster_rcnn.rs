//! [`FasterRcnn`]: proposals first, then their classes and boxes, as torchvision has it.

use crate::detection::detector::check_with_background;
use crate::detection::heads::renamed_block;
use crate::detection::pyramid::renamed;
use crate::detection::{
    BackboneConfig, DetectionLosses, Detections, Detector, ExtraLevels, ObjectBoxes, PictureSize,
    PictureTransform, ProposalConfig, PyramidBackbone, RegionProposals, RoiConfig, RoiHeads,
};
use crate::{Result, error};
use gradloom_nn::{Context, Init, Module};
use gradloom_tensor::Tensor;

/// Sizes and thresholds of a Faster R-CNN.
#[derive(Clone, Debug, PartialEq)]
pub struct FasterRcnnConfig {
    /// What it stands on; all stages are levels.
    pub backbone: BackboneConfig,
    /// How pictures become a batch.
    pub transform: PictureTransform,
    /// How proposals are made.
    pub proposals: ProposalConfig,
    /// What is made of them.
    pub regions: RoiConfig,
    /// Number of classes with the background, which is 0. COCO's published weights have 91.
    pub classes: usize,
}

impl FasterRcnnConfig {
    /// On ResNet-50. torchvision: `fasterrcnn_resnet50_fpn`.
    pub fn resnet50_fpn() -> Self {
        FasterRcnnConfig {
            backbone: BackboneConfig::resnet50(0, ExtraLevels::Pool),
            transform: PictureTransform::new(PictureSize::Within { shorter: 800, longer: 1333 }),
            proposals: ProposalConfig::new(),
            regions: RoiConfig::new(),
            classes: 91,
        }
    }

    /// Sets the number of classes, the background among them.
    #[must_use]
    pub fn classes(mut self, classes: usize) -> Self {
        self.classes = classes;
        self
    }

    /// Sets the sizes that pictures are brought to: the shorter side, and the longer one at most.
    #[must_use]
    pub fn size(mut self, shorter: usize, longer: usize) -> Self {
        self.transform.size = PictureSize::Within { shorter, longer };
        self
    }
}

/// Faster R-CNN. Losses: `loss_classifier`, `loss_box_reg`, `loss_objectness`, `loss_rpn_box_reg`.
///
/// torchvision: `models.detection.FasterRCNN`. Ren et al., "Faster R-CNN", 2015.
#[derive(Module, Clone, Debug)]
pub struct FasterRcnn {
    /// A residual network and a pyramid.
    pub backbone: PyramidBackbone,
    /// Where objects may be.
    pub rpn: RegionProposals,
    /// What they are.
    pub roi_heads: RoiHeads,
    #[module(skip)]
    config: FasterRcnnConfig,
}

impl FasterRcnn {
    /// Boxes of each picture that may hold objects, in pixels of the picture, the best first.
    ///
    /// # Errors
    /// As [`Detector::detect`].
    pub fn proposals(&self, pictures: &[Tensor]) -> Result<Vec<Vec<[f32; 4]>>> {
        let batch = self.config.transform.batch(Self::FAMILY, pictures)?;
        let ctx = &mut Context::eval();
        let levels = self.backbone.forward(&batch.pictures, ctx);
        let boxes = self.rpn.run(Self::FAMILY, &batch, &levels, ctx)?.boxes;
        let boxes = boxes.iter().enumerate().map(|(picture, own)| batch.to_picture(picture, own));
        Ok(boxes.collect())
    }

    /// The levels that regions are looked at in: those of stages.
    fn own<'a>(&self, levels: &'a [Tensor]) -> &'a [Tensor] {
        &levels[..levels.len().min(4)]
    }
}

impl Detector for FasterRcnn {
    type Config = FasterRcnnConfig;
    const FAMILY: &'static str = "faster_rcnn";

    fn new(config: &FasterRcnnConfig, init: &mut Init) -> Result<Self> {
        check_with_background(Self::FAMILY, config.classes)?;
        let failed = |message: String| Err(error::config(Self::FAMILY, message));
        let (levels, sizes) = (config.backbone.levels(), config.proposals.anchor_sizes.len());
        if sizes != levels {
            return failed(format!("anchors of {sizes} levels for a pyramid of {levels}"));
        }
        if config.backbone.first_stage != 0 {
            return failed("the pyramid begins with the first stage, whose stride is 4".into());
        }
        let &RoiConfig { cells, samples, hidden, canonical_side, .. } = &config.regions;
        if cells == 0
            || samples == 0
            || hidden == 0
            || !(canonical_side.is_finite() && canonical_side > 0.0)
        {
            return failed(format!(
                "regions of {cells} cells, {samples} samples, {hidden} hidden features, side {canonical_side}"
            ));
        }
        let channels = config.backbone.channels;
        Ok(FasterRcnn {
            backbone: PyramidBackbone::new(Self::FAMILY, &config.backbone, init)?,
            rpn: RegionProposals::new(Self::FAMILY, &config.proposals, channels, init)?,
            roi_heads: RoiHeads::new(&config.regions, channels, config.classes, init),
            config: config.clone(),
        })
    }

    fn rename(name: &str) -> Option<String> {
        if name.ends_with("num_batches_tracked") {
            return None;
        }
        // Older files have one convolution there, without numbers.
        if let Some(parameter) = name.strip_prefix("rpn.head.conv.")
            && matches!(parameter, "weight" | "bias")
        {
            return Some(format!("rpn.head.conv.0.0.{parameter}"));
        }
        let block = renamed_block(name, "rpn.head.conv.", 1);
        Some(block.unwrap_or_else(|| renamed(name)))
    }

    fn losses(
        &self,
        pictures: &[Tensor],
        objects: &[ObjectBoxes],
        ctx: &mut Context,
    ) -> Result<DetectionLosses> {
        let batch = self.config.transform.batch(Self::FAMILY, pictures)?;
        let objects = batch.objects(Self::FAMILY, objects, 1..self.config.classes)?;
        let levels = self.backbone.forward(&batch.pictures, ctx);
        let proposed = self.rpn.run(Self::FAMILY, &batch, &levels, ctx)?;
        let [objectness, rpn_boxes] = self.rpn.losses(&proposed, &objects, ctx)?;
        let [classifier, boxes] =
            self.roi_heads.losses(self.own(&levels), &proposed.boxes, &objects, ctx)?;
        Ok(DetectionLosses::new([
            ("loss_classifier", classifier),
            ("loss_box_reg", boxes),
            ("loss_objectness", objectness),
            ("loss_rpn_box_reg", rpn_boxes),
        ]))
    }

    fn detect(&self, pictures: &[Tensor]) -> Result<Vec<Detections>> {
        let batch = self.config.transform.batch(Self::FAMILY, pictures)?;
        let ctx = &mut Context::eval();
        let levels = self.backbone.forward(&batch.pictures, ctx);
        let boxes = self.rpn.run(Self::FAMILY, &batch, &levels, ctx)?.boxes;
        self.roi_heads.detect(Self::FAMILY, &batch, self.own(&levels), &boxes)
    }

    fn replace_head(&mut self, classes: usize, init: &mut Init) -> Result<()> {
        check_with_background(Self::FAMILY, classes)?;
        self.config.classes = classes;
        self.roi_heads.replace(classes, init);
        Ok(())
    }
}

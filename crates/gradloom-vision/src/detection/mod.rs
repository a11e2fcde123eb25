//! Networks that find objects: Faster R-CNN, RetinaNet and SSD, and the parts that they are made of; those of one
//! pass are in [`yolo`].
//!
//! A detector takes pictures `[3, H, W]` of floats in `0..=1`, each of its own size, and boxes in pixels of those
//! pictures. What depends on values (which anchor is matched to which object, which proposals are kept) is chosen on
//! the host; losses and their gradients are ordinary operations.
//!
//! Letters: N pictures, A anchors of a picture, K numbers for each anchor, H and W sizes.

mod target;
mod detector;

mod batch;
mod matching;
mod sampling;
mod host;
mod selection;
mod anchor_targets;

mod pyramid;
mod backbone;
mod heads;

mod retinanet;

mod rpn;
mod roi_heads;
mod faster_rcnn;

mod default_boxes;
mod ssd_features;
mod ssd;

pub mod yolo;

pub use backbone::{BackboneConfig, PyramidBackbone};
pub use batch::{PictureBatch, PictureSize, PictureTransform};
pub use default_boxes::DefaultBoxes;
pub use detector::{DetectionLosses, Detector};
pub use faster_rcnn::{FasterRcnn, FasterRcnnConfig};
pub use heads::{Tower, TowerBlock};
pub use matching::{Match, Matcher, Rescue};
pub use pyramid::{ExtraLevels, FeaturePyramid};
pub use retinanet::{RetinaNet, RetinaNetConfig, RetinaNetHead};
pub use roi_heads::{RoiConfig, RoiHeads};
pub use rpn::{ProposalConfig, RegionProposals};
pub use sampling::{BalancedSampler, Sample};
pub use ssd::{Ssd, SsdConfig};
pub use target::{Detections, ObjectBoxes};

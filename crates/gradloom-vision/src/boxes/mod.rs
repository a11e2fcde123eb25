//! Boxes: their forms, overlaps, suppression, codes and anchors.
//!
//! A box is `[left, top, right, bottom]` in pixels, as torchvision's `xyxy`. What learns takes tensors `[N, 4]` and
//! has gradients; what chooses takes slices of host memory.

mod anchors;
mod coder;
mod columns;
mod forms;
mod grid;
mod overlap;
mod suppression;

pub use anchors::AnchorGenerator;
pub use coder::BoxCoder;
pub use forms::{BoxForm, box_area, clip_boxes, convert_boxes};
pub use overlap::{
    complete_iou, complete_iou_loss, distance_iou, distance_iou_loss, generalized_iou,
    generalized_iou_loss, iou,
};
pub use suppression::{SoftSuppression, batched_nms, nms, soft_nms};

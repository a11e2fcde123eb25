//! Detectors that say everything in one pass over a picture: the parts that they share, their targets and losses.
//!
//! The networks are [`YoloV3Tiny`](crate::YoloV3Tiny) and [`YoloV8`](crate::YoloV8). Boxes are in pixels of the framed
//! picture that the network reads; [`Letterbox`](crate::Letterbox) frames pictures, and `find` of the networks does so
//! and gives boxes of the pictures themselves.
//!
//! Letters: N batch, A points (places that say a box each), C classes.

pub(crate) mod blocks;
pub(crate) mod trunk;

mod objects;

mod assigner;
pub(crate) mod distribution_head;
mod distribution_losses;

pub(crate) mod anchor_head;
pub(crate) mod anchor_losses;

pub use anchor_losses::YoloV3Losses;
pub use assigner::{Assignment, TaskAlignedAssigner};
pub use distribution_losses::YoloV8Losses;
pub use objects::DetectOptions;
pub(crate) use objects::{check_targets, fits, in_pictures, kept};

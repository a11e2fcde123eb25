//! Networks of faces: where they are, what points they have, whose they are, what they express.
//!
//! They read the weights that the packages face-api (for TensorFlow.js) and facenet-pytorch ship. Each takes levels of
//! `0..=255` as floats, as its original does, and prepares them inside.

mod cascade;
mod cascade_nets;
mod descriptor;
mod features;
mod ssd;
mod tiny;

use gradloom_data::Image;
use gradloom_tensor::{Device, Tensor};

use crate::Result;
use crate::tensorflow::Levels;

pub use cascade::{CascadeFace, CascadeOptions, FaceCascade};
pub use cascade_nets::{OutputNet, ProposalNet, RefineNet};
pub use descriptor::FaceDescriptor;
pub use features::{Expression, FaceExpressions, FaceLandmarks, FaceLandmarksConfig};
pub use ssd::SsdFaceDetector;
pub use tiny::TinyFaceDetector;

/// A face that was found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FaceDetection {
    /// `[left, top, right, bottom]` in pixels of the picture; it may reach outside.
    pub bounds: [f32; 4],
    /// How sure the network is, in `0..=1`.
    pub score: f32,
}

/// Means of red, green and blue that are taken from faces.
const MEANS: [f64; 3] = [122.782, 117.001, 104.298];

/// `(x - means) / 255` of levels `[N, 3, H, W]`.
#[track_caller]
fn normalised(x: &Tensor, means: [f64; 3]) -> Tensor {
    let channels = (0..3).map(|channel| (x.narrow(1, channel, 1) - means[channel]) / 255.0);
    Tensor::concat(&channels.collect::<Vec<Tensor>>(), 1)
}

/// A picture filled up with zeros to a square, and resized as TensorFlow does.
struct Frame {
    /// `[1, 3, size, size]`
    pixels: Tensor,
    /// Length of the square in pixels of the picture.
    side: f32,
    /// Where the picture begins in the square, x and y.
    corner: [f32; 2],
}

impl Frame {
    /// With the picture in the middle, or else at the top and on the left.
    fn new(image: &Image, size: usize, centred: bool, device: &Device) -> Result<Frame> {
        let levels = Levels::of(image)?;
        let [height, width] = levels.size;
        let side = height.max(width);
        // Of an odd number of lines the larger part comes after the picture.
        let before = |length: usize| if centred { (side - length) / 2 } else { 0 };
        let [top, left] = [before(height), before(width)];
        let square = levels.window([-(top as isize), -(left as isize)], [side, side]);
        let resized = match side == size {
            true => square,
            false => square.resized([size, size], false),
        };
        let pixels = resized.tensor(device)?;
        Ok(Frame { pixels, side: side as f32, corner: [left as f32, top as f32] })
    }

    /// A point of the square, in 0..=1, in pixels of the picture.
    fn place(&self, point: [f32; 2]) -> [f32; 2] {
        std::array::from_fn(|axis| point[axis] * self.side - self.corner[axis])
    }
}

//! [`Image`]: one picture in host memory, channel by channel, row by row.

use crate::interpolation::Weights;
use crate::{Error, Result};

/// A picture of `channels` planes of `height` rows of `width` pixels.
///
/// `u8` as files have it, or `f32` as models read it. [`Batch`](crate::Batch) gathers many of one size.
#[derive(Clone, Debug, PartialEq)]
pub struct Image<T = u8> {
    pixels: Vec<T>,
    size: [usize; 3],
}

impl<T> Image<T> {
    /// An image of pixels in the order channel, row, column, and its `[channels, height, width]`.
    ///
    /// # Errors
    /// If the number of pixels does not fit the size.
    pub fn new(pixels: Vec<T>, size: [usize; 3]) -> Result<Self> {
        let count = size.iter().try_fold(1usize, |product, &part| product.checked_mul(part));
        if count != Some(pixels.len()) {
            return Err(Error::invalid(format!(
                "image: {} pixels do not make channels, height and width {size:?}",
                pixels.len()
            )));
        }
        Ok(Image { pixels, size })
    }

    /// Channels, height and width.
    pub fn size(&self) -> [usize; 3] {
        self.size
    }

    /// Number of planes.
    pub fn channels(&self) -> usize {
        self.size[0]
    }

    /// Number of rows.
    pub fn height(&self) -> usize {
        self.size[1]
    }

    /// Number of columns.
    pub fn width(&self) -> usize {
        self.size[2]
    }

    /// Pixels of one channel, one at least, so that it can cut an image into channels.
    pub(crate) fn plane_len(&self) -> usize {
        (self.size[1] * self.size[2]).max(1)
    }

    /// All pixels in the order channel, row, column.
    pub fn pixels(&self) -> &[T] {
        &self.pixels
    }

    /// All pixels, to change.
    pub fn pixels_mut(&mut self) -> &mut [T] {
        &mut self.pixels
    }

    /// The pixels without the image.
    pub fn into_pixels(self) -> Vec<T> {
        self.pixels
    }
}

/// A number that can be a pixel: `u8`, from 0 to 255, or `f32`, from 0 to 1.
pub trait Pixel: Copy + Default + PartialEq + Send + Sync + 'static {
    /// The value of white.
    const WHITE: f32;

    /// The value as a float, not scaled.
    fn to_f32(self) -> f32;

    /// The nearest value of this type.
    fn from_f32(value: f32) -> Self;

    /// The value of this type towards zero, within black and white: how torchvision and Pillow store
    /// what they computed in floats.
    fn cut(value: f32) -> Self;

    /// As [`cut`](Pixel::cut), without the bounds.
    #[doc(hidden)]
    fn towards_zero(value: f64) -> Self;

    /// The weighted sum of pixels of a line.
    #[doc(hidden)]
    fn weighted(line: &[Self], weights: &Weights) -> Self;

    /// The weighted sums of lines, place by place.
    #[doc(hidden)]
    fn weighted_lines(plane: &[Self], width: usize, weights: &Weights, result: &mut Vec<Self>);
}

impl Pixel for u8 {
    const WHITE: f32 = 255.0;

    fn to_f32(self) -> f32 {
        f32::from(self)
    }

    fn from_f32(value: f32) -> Self {
        // A cast from float saturates, and takes NaN to zero.
        value.round() as u8
    }

    fn cut(value: f32) -> Self {
        value as u8
    }

    fn towards_zero(value: f64) -> Self {
        value as u8
    }

    fn weighted(line: &[Self], weights: &Weights) -> Self {
        weights.bytes(line)
    }

    fn weighted_lines(plane: &[Self], width: usize, weights: &Weights, result: &mut Vec<Self>) {
        weights.lines_of_bytes(plane, width, result);
    }
}

impl Pixel for f32 {
    const WHITE: f32 = 1.0;

    fn to_f32(self) -> f32 {
        self
    }

    fn from_f32(value: f32) -> Self {
        value
    }

    fn cut(value: f32) -> Self {
        value.clamp(0.0, 1.0)
    }

    fn towards_zero(value: f64) -> Self {
        value as f32
    }

    fn weighted(line: &[Self], weights: &Weights) -> Self {
        weights.floats(line)
    }

    fn weighted_lines(plane: &[Self], width: usize, weights: &Weights, result: &mut Vec<Self>) {
        weights.lines_of_floats(plane, width, result);
    }
}

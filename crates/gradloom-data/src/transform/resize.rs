//! [`Resize`]: another size by the filters of Pillow, with its bytes.
//!
//! Reducing takes in all pixels that an output pixel covers ("antialias"), as Pillow and torchvision do on
//! its images, and as OpenCV does not. torchvision's resizing of tensors rounds differently: bytes may
//! differ by one. Pictures of bytes are resized in fixed point, along one axis and then along the other,
//! with bytes in between; pictures of floats in f64, as Pillow's mode `F`. Which axis comes first is that
//! of Pillow 13; older versions always begin along rows, so where the order differs bytes may by one.

use crate::interpolation::{Interpolation, Weights};
use crate::transform::described;
use crate::{Error, Image, Pixel, Result, Transform};
use gradloom_tensor::Key;

/// Values of a resized picture, at most. A strip of one pixel by thousands would be larger than any memory
/// when its shorter side becomes that of other pictures.
const VALUES_MAX: usize = 1 << 29;

/// A picture at another size. Pillow: `image.resize((width, height), resample)`.
///
/// ```
/// use gradloom_data::Image;
/// use gradloom_data::transform::{Interpolation, resize};
///
/// let image = Image::new(vec![0u8, 100, 200, 255], [1, 2, 2])?;
/// let small = resize(&image, 1, 1, Interpolation::Bilinear)?;
/// assert_eq!(small.pixels(), [139]);
/// # Ok::<(), gradloom_data::Error>(())
/// ```
///
/// # Errors
/// If the picture or the size has no pixels, or the result more than 2^29 values.
pub fn resize<T: Pixel>(
    image: &Image<T>,
    height: usize,
    width: usize,
    interpolation: Interpolation,
) -> Result<Image<T>> {
    let [channels, from_height, from_width] = image.size();
    let count = [channels, height, width].iter().try_fold(1usize, |n, &size| n.checked_mul(size));
    if count.is_none_or(|count| count == 0) || image.pixels().is_empty() {
        return Err(Error::invalid(format!(
            "resize: {from_height} x {from_width} to {height} x {width} pixels"
        )));
    }
    if count.is_none_or(|count| count > VALUES_MAX) {
        return Err(Error::invalid(format!(
            "resize: {from_height} x {from_width} to {height} x {width} pixels, which are more than {VALUES_MAX} \
             values; crop the picture first, or leave it out"
        )));
    }
    if interpolation == Interpolation::Nearest {
        return nearest(image, height, width);
    }
    // The axis that shrinks more comes first where that saves work, by the rule that Pillow's results show.
    let columns_first = height < from_height
        && 2 * (width as i128 - from_width as i128) > height as i128 - from_height as i128;
    if columns_first {
        along_rows(along_columns(image, height, interpolation)?, width, interpolation)
    } else {
        along_columns(&along_rows(image.clone(), width, interpolation)?, height, interpolation)
    }
}

/// To another width.
fn along_rows<T: Pixel>(
    image: Image<T>,
    width: usize,
    interpolation: Interpolation,
) -> Result<Image<T>> {
    let [channels, height, from] = image.size();
    if width == from {
        return Ok(image);
    }
    let weights = Weights::of(interpolation, from, width);
    let mut pixels = Vec::with_capacity(channels * height * width);
    for row in image.pixels().chunks_exact(from) {
        pixels.extend(weights.iter().map(|weights| T::weighted(row, weights)));
    }
    Image::new(pixels, [channels, height, width])
}

/// To another height.
fn along_columns<T: Pixel>(
    image: &Image<T>,
    height: usize,
    interpolation: Interpolation,
) -> Result<Image<T>> {
    let [channels, from, width] = image.size();
    if height == from {
        return Ok(image.clone());
    }
    let weights = Weights::of(interpolation, from, height);
    let mut pixels = Vec::with_capacity(channels * height * width);
    for plane in image.pixels().chunks_exact(from * width) {
        for weights in &weights {
            T::weighted_lines(plane, width, weights, &mut pixels);
        }
    }
    Image::new(pixels, [channels, height, width])
}

fn nearest<T: Pixel>(image: &Image<T>, height: usize, width: usize) -> Result<Image<T>> {
    let [channels, from_height, from_width] = image.size();
    let places = |from: usize, to: usize| -> Vec<usize> {
        let step = from as f64 / to as f64;
        // Steps are added up and not multiplied, as in Pillow, which shows at ties.
        let mut place = step * 0.5;
        let mut next = || {
            let current = (place as usize).min(from - 1);
            place += step;
            current
        };
        (0..to).map(|_| next()).collect()
    };
    let (rows, columns) = (places(from_height, height), places(from_width, width));
    let mut pixels = Vec::with_capacity(channels * height * width);
    for plane in image.pixels().chunks_exact(from_height * from_width) {
        for row in &rows {
            let line = &plane[row * from_width..(row + 1) * from_width];
            pixels.extend(columns.iter().map(|&column| line[column]));
        }
    }
    Image::new(pixels, [channels, height, width])
}

/// Resizes pictures to one size, or their shorter side to one length.
///
/// torchvision: `Resize((height, width), interpolation)` or `Resize(shorter)` on images of Pillow.
///
/// ```
/// use gradloom_data::transform::Resize;
/// use gradloom_data::{Image, Transform};
/// use gradloom_tensor::Key;
///
/// let image = Image::new(vec![100u8; 3 * 40 * 60], [3, 40, 60])?;
/// let small = Resize::shorter_side(20).apply(image, Key::new(0))?;
/// assert_eq!(small.size(), [3, 20, 30]);
/// # Ok::<(), gradloom_data::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resize {
    size: Size,
    interpolation: Interpolation,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Size {
    Exact(usize, usize),
    Shorter(usize),
}

impl Resize {
    /// Every picture to `height` x `width`, bilinear.
    ///
    /// # Panics
    /// If one is zero.
    #[track_caller]
    pub fn new(height: usize, width: usize) -> Self {
        assert!(height > 0 && width > 0, "resize: to {height} x {width}");
        Resize { size: Size::Exact(height, width), interpolation: Interpolation::Bilinear }
    }

    /// The shorter side of every picture to `length`, the longer one in proportion, bilinear.
    ///
    /// # Panics
    /// If it is zero.
    #[track_caller]
    pub fn shorter_side(length: usize) -> Self {
        assert!(length > 0, "resize: a side of length 0");
        Resize { size: Size::Shorter(length), interpolation: Interpolation::Bilinear }
    }

    /// With another filter.
    #[must_use]
    pub fn interpolation(mut self, interpolation: Interpolation) -> Self {
        self.interpolation = interpolation;
        self
    }
}

impl<T: Pixel> Transform<Image<T>> for Resize {
    type Output = Image<T>;

    described!();

    fn apply(&self, image: Image<T>, _key: Key) -> Result<Image<T>> {
        let [_, height, width] = image.size();
        let (to_height, to_width) = match self.size {
            Size::Exact(height, width) => (height, width),
            Size::Shorter(length) => {
                // Cut and not rounded, as torchvision has it.
                let longer = |side: usize, other: usize| {
                    (length as f64 * side as f64 / other.max(1) as f64) as usize
                };
                if height <= width {
                    (length, longer(width, height))
                } else {
                    (longer(height, width), length)
                }
            }
        };
        if (to_height, to_width) == (height, width) {
            return Ok(image);
        }
        resize(&image, to_height, to_width, self.interpolation)
    }
}

#[cfg(test)]
mod tests {
    use super::{Interpolation, Resize, resize};
    use crate::{Image, Transform};
    use gradloom_tensor::Key;

    #[test]
    fn constants_stay_and_sizes_follow() {
        let image = Image::new(vec![200u8; 3 * 7 * 5], [3, 7, 5]).unwrap();
        for filter in [
            Interpolation::Nearest,
            Interpolation::Box,
            Interpolation::Bilinear,
            Interpolation::Hamming,
            Interpolation::Bicubic,
            Interpolation::Lanczos,
        ] {
            for (height, width) in [(1, 1), (3, 11), (20, 2), (7, 5)] {
                let resized = resize(&image, height, width, filter).unwrap();
                assert_eq!(resized.size(), [3, height, width]);
                assert!(resized.pixels().iter().all(|&pixel| pixel == 200), "{filter:?}");
            }
        }
        let shorter = Resize::shorter_side(10).apply(image.clone(), Key::new(0)).unwrap();
        assert_eq!(shorter.size(), [3, 14, 10]);
        assert!(resize(&image, 0, 3, Interpolation::Box).is_err());
        let empty = Image::<u8>::new(vec![], [3, 0, 5]).unwrap();
        assert!(resize(&empty, 2, 2, Interpolation::Nearest).is_err());
        assert!(Resize::shorter_side(2).apply(empty, Key::new(0)).is_err());
        assert!(resize(&image, usize::MAX, 3, Interpolation::Box).is_err());
        let strip = Image::new(vec![1u8; 3 * 60_000], [3, 1, 60_000]).unwrap();
        let message = Resize::shorter_side(256).apply(strip, Key::new(0)).unwrap_err().to_string();
        assert!(message.contains("to 256 x 15360000 pixels, which are more than"), "{message}");
    }

    #[test]
    fn floats_are_not_rounded() {
        let image = Image::new(vec![0.0f32, 1.0], [1, 1, 2]).unwrap();
        let resized = resize(&image, 1, 4, Interpolation::Bilinear).unwrap();
        assert_eq!(resized.pixels(), [0.0, 0.25, 0.75, 1.0]);
    }
}

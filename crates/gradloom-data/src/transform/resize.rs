//! [`Resize`]: another size by the filters of Pillow, with its bytes.
//!
//! Reducing takes in all pixels that an output pixel covers ("antialias"), as Pillow and torchvision do on
//! its images, and as OpenCV does not. torchvision's resizing of tensors rounds differently: bytes may
//! differ by one. Pictures of bytes are resized in fixed point, along one axis and then along the other,
//! with bytes in between; pictures of floats in f64, as Pillow's mode `F`. Which axis comes first is that
//! of Pillow 13; older versions always begin along rows, so where the order differs bytes may by one.

use crate::{Error, Image, Pixel, Result, Transform};
use gradloom_tensor::Key;

/// What a pixel between others is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Interpolation {
    /// The nearest pixel.
    Nearest,
    /// The mean of the pixels that are covered.
    Box,
    /// A triangle, two pixels wide.
    Bilinear,
    /// As sharp as bicubic when reducing, at the cost of bilinear.
    Hamming,
    /// A cubic with a = -0.5, four pixels wide.
    Bicubic,
    /// A windowed sinc, six pixels wide.
    Lanczos,
}

impl Interpolation {
    /// Half the width of the filter, in pixels of the larger picture.
    fn support(self) -> f64 {
        match self {
            Interpolation::Nearest => 0.0,
            Interpolation::Box => 0.5,
            Interpolation::Bilinear | Interpolation::Hamming => 1.0,
            Interpolation::Bicubic => 2.0,
            Interpolation::Lanczos => 3.0,
        }
    }

    fn weight(self, x: f64) -> f64 {
        let sinc = |x: f64| {
            let x = x * std::f64::consts::PI;
            if x == 0.0 { 1.0 } else { x.sin() / x }
        };
        match self {
            Interpolation::Nearest => 0.0,
            Interpolation::Box => f64::from(u8::from(x > -0.5 && x <= 0.5)),
            Interpolation::Bilinear => (1.0 - x.abs()).max(0.0),
            Interpolation::Hamming => {
                let x = x.abs();
                if x >= 1.0 {
                    return 0.0;
                }
                // The constants are f32 in Pillow.
                let (base, wave) = (f64::from(0.54f32), f64::from(0.46f32));
                sinc(x) * (base + wave * (x * std::f64::consts::PI).cos())
            }
            Interpolation::Bicubic => {
                const A: f64 = -0.5;
                let x = x.abs();
                if x < 1.0 {
                    ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
                } else if x < 2.0 {
                    (((x - 5.0) * x + 8.0) * x - 4.0) * A
                } else {
                    0.0
                }
            }
            Interpolation::Lanczos => {
                if (-3.0..3.0).contains(&x) {
                    sinc(x) * sinc(x / 3.0)
                } else {
                    0.0
                }
            }
        }
    }
}

/// The pixels that one pixel of the result is made of.
#[doc(hidden)]
#[derive(Clone, Debug)]
pub struct Weights {
    first: usize,
    exact: Vec<f64>,
    fixed: Vec<i64>,
}

/// Bits after the point of the weights of bytes.
const PRECISION: u32 = 32 - 8 - 2;

impl Weights {
    fn of(interpolation: Interpolation, from: usize, to: usize) -> Vec<Weights> {
        let scale = from as f64 / to as f64;
        let stretch = scale.max(1.0);
        let support = interpolation.support() * stretch;
        let inverse = 1.0 / stretch;
        let weights = |place: usize| {
            let centre = (place as f64 + 0.5) * scale;
            // A cast from float takes what is negative to zero.
            let first = (centre - support + 0.5) as usize;
            let past = ((centre + support + 0.5) as usize).min(from);
            let at = |pixel: usize| interpolation.weight((pixel as f64 - centre + 0.5) * inverse);
            let mut exact: Vec<f64> = (first..past).map(at).collect();
            let mut total = 0.0;
            exact.iter().for_each(|weight| total += weight);
            if total != 0.0 {
                exact.iter_mut().for_each(|weight| *weight /= total);
            }
            let one = f64::from(1u32 << PRECISION);
            // Halves away from zero.
            let fixed = |&weight: &f64| (weight * one + 0.5f64.copysign(weight)) as i64;
            Weights { first, fixed: exact.iter().map(fixed).collect(), exact }
        };
        (0..to).map(weights).collect()
    }

    /// The weighted sum of bytes, `stride` apart.
    pub(crate) fn bytes(&self, pixels: &[u8], stride: usize) -> u8 {
        let mut sum = 1i64 << (PRECISION - 1);
        let covered = pixels.iter().skip(self.first * stride).step_by(stride);
        for (&pixel, weight) in covered.zip(&self.fixed) {
            sum += i64::from(pixel) * weight;
        }
        (sum >> PRECISION).clamp(0, 255) as u8
    }

    /// The weighted sum of floats, `stride` apart.
    pub(crate) fn floats(&self, pixels: &[f32], stride: usize) -> f32 {
        let mut sum = 0.0f64;
        let covered = pixels.iter().skip(self.first * stride).step_by(stride);
        for (&pixel, weight) in covered.zip(&self.exact) {
            sum += f64::from(pixel) * weight;
        }
        sum as f32
    }
}

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
/// If the picture or the size has no pixels.
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
        pixels.extend(weights.iter().map(|weights| T::weighted(row, 1, weights)));
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
            pixels.extend((0..width).map(|x| T::weighted(&plane[x..], width, weights)));
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
    }

    #[test]
    fn floats_are_not_rounded() {
        let image = Image::new(vec![0.0f32, 1.0], [1, 1, 2]).unwrap();
        let resized = resize(&image, 1, 4, Interpolation::Bilinear).unwrap();
        assert_eq!(resized.pixels(), [0.0, 0.25, 0.75, 1.0]);
    }
}

//! [`CenterCrop`] and [`RandomResizedCrop`]: the middle of a picture, and a random part of it at one size.

use super::resize::resize;
use crate::interpolation::Interpolation;
use crate::random::RandomStream;
use crate::transform::described;
use crate::{Error, Image, Pixel, Result, Transform};
use gradloom_tensor::Key;

/// A part of a picture.
///
/// # Errors
/// If the part is not within the picture.
pub fn crop<T: Pixel>(
    image: &Image<T>,
    top: usize,
    left: usize,
    height: usize,
    width: usize,
) -> Result<Image<T>> {
    let [channels, whole_height, whole_width] = image.size();
    let within = |start: usize, len: usize, whole: usize| {
        start.checked_add(len).is_some_and(|end| end <= whole)
    };
    if !within(top, height, whole_height) || !within(left, width, whole_width) {
        return Err(Error::invalid(format!(
            "crop: {height} x {width} pixels at ({top}, {left}) of {whole_height} x {whole_width}"
        )));
    }
    let mut pixels = Vec::with_capacity(channels * height * width);
    for plane in image.pixels().chunks_exact((whole_height * whole_width).max(1)) {
        for row in top..top + height {
            pixels.extend_from_slice(&plane[row * whole_width + left..][..width]);
        }
    }
    Image::new(pixels, [channels, height, width])
}

/// The middle of a picture, with zeros around a smaller one. torchvision: `CenterCrop((height, width))`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CenterCrop {
    height: usize,
    width: usize,
}

impl CenterCrop {
    /// A crop to `height` x `width`.
    ///
    /// # Panics
    /// If one is zero.
    #[track_caller]
    pub fn new(height: usize, width: usize) -> Self {
        assert!(height > 0 && width > 0, "centre crop: to {height} x {width}");
        CenterCrop { height, width }
    }
}

impl<T: Pixel> Transform<Image<T>> for CenterCrop {
    type Output = Image<T>;

    described!();

    fn apply(&self, image: Image<T>, _key: Key) -> Result<Image<T>> {
        let [channels, height, width] = image.size();
        let padded = |size: usize, window: usize| {
            // The start of the picture in the padded one, and the size of that.
            (window.saturating_sub(size) / 2, size.max(window))
        };
        let ((top, padded_height), (left, padded_width)) =
            (padded(height, self.height), padded(width, self.width));
        // Halves to the even number, as Python rounds.
        let start =
            |size: usize, window: usize| ((size - window) as f64 / 2.0).round_ties_even() as usize;
        let (first_row, first_column) =
            (start(padded_height, self.height), start(padded_width, self.width));
        let count = channels.checked_mul(self.height).and_then(|n| n.checked_mul(self.width));
        let Some(count) = count else {
            return Err(Error::invalid("centre crop: the window is larger than any memory"));
        };
        let mut pixels = vec![T::default(); count];
        for (line, target) in pixels.chunks_exact_mut(self.width).enumerate() {
            let (channel, row) = (line / self.height, line % self.height + first_row);
            let Some(row) = row.checked_sub(top).filter(|&row| row < height) else { continue };
            let source = &image.pixels()[(channel * height + row) * width..][..width];
            for (column, pixel) in target.iter_mut().enumerate() {
                let column = (column + first_column).checked_sub(left);
                if let Some(&value) = column.and_then(|column| source.get(column)) {
                    *pixel = value;
                }
            }
        }
        Image::new(pixels, [channels, self.height, self.width])
    }
}

/// A random part of a picture of a random shape, resized to one size.
///
/// torchvision: `RandomResizedCrop((height, width), scale, ratio)`.
#[derive(Clone, Copy, Debug)]
pub struct RandomResizedCrop {
    height: usize,
    width: usize,
    scale: (f32, f32),
    ratio: (f32, f32),
    interpolation: Interpolation,
}

impl RandomResizedCrop {
    /// Parts of 8 to 100 % of the picture, of proportions between 3:4 and 4:3, bilinear.
    ///
    /// # Panics
    /// If a side is zero.
    #[track_caller]
    pub fn new(height: usize, width: usize) -> Self {
        assert!(height > 0 && width > 0, "random resized crop: to {height} x {width}");
        RandomResizedCrop {
            height,
            width,
            scale: (0.08, 1.0),
            ratio: (3.0 / 4.0, 4.0 / 3.0),
            interpolation: Interpolation::Bilinear,
        }
    }

    /// Parts between these shares of the picture.
    ///
    /// # Panics
    /// If they are not positive and in order.
    #[must_use]
    #[track_caller]
    pub fn scale(mut self, low: f32, high: f32) -> Self {
        let fits = 0.0 < low && low <= high && high.is_finite();
        assert!(fits, "random resized crop: parts of {low} to {high}");
        self.scale = (low, high);
        self
    }

    /// Widths between these multiples of the height.
    ///
    /// # Panics
    /// If they are not positive and in order.
    #[must_use]
    #[track_caller]
    pub fn ratio(mut self, low: f32, high: f32) -> Self {
        let fits = 0.0 < low && low <= high && high.is_finite();
        assert!(fits, "random resized crop: proportions of {low} to {high}");
        self.ratio = (low, high);
        self
    }

    /// With another filter.
    #[must_use]
    pub fn interpolation(mut self, interpolation: Interpolation) -> Self {
        self.interpolation = interpolation;
        self
    }

    /// Top, left, height and width of the part.
    fn part(&self, height: usize, width: usize, key: Key) -> [usize; 4] {
        let mut stream = RandomStream::new(key);
        let area = (height * width) as f32;
        for _ in 0..10 {
            let target = area * stream.uniform(self.scale.0, self.scale.1);
            let ratio = stream.uniform(self.ratio.0.ln(), self.ratio.1.ln()).exp();
            let part_width = (target * ratio).sqrt().round() as usize;
            let part_height = (target / ratio).sqrt().round() as usize;
            if (1..=width).contains(&part_width) && (1..=height).contains(&part_height) {
                let top = stream.below(height - part_height + 1);
                return [top, stream.below(width - part_width + 1), part_height, part_width];
            }
        }
        // Pictures too long or too flat for the proportions: the largest part in the middle that has them.
        let own = width as f32 / height as f32;
        let (part_height, part_width) = if own < self.ratio.0 {
            (((width as f32 / self.ratio.0).round() as usize).clamp(1, height), width)
        } else if own > self.ratio.1 {
            (height, ((height as f32 * self.ratio.1).round() as usize).clamp(1, width))
        } else {
            (height, width)
        };
        [(height - part_height) / 2, (width - part_width) / 2, part_height, part_width]
    }
}

impl<T: Pixel> Transform<Image<T>> for RandomResizedCrop {
    type Output = Image<T>;

    described!();

    fn apply(&self, image: Image<T>, key: Key) -> Result<Image<T>> {
        let [_, height, width] = image.size();
        if image.pixels().is_empty() {
            return Err(Error::invalid(format!(
                "random resized crop: an image of {height} x {width}"
            )));
        }
        let [top, left, part_height, part_width] = self.part(height, width, key);
        let part = crop(&image, top, left, part_height, part_width)?;
        resize(&part, self.height, self.width, self.interpolation)
    }
}

#[cfg(test)]
mod tests {
    use super::{CenterCrop, RandomResizedCrop, crop};
    use crate::{Image, Transform};
    use gradloom_tensor::Key;

    #[test]
    fn the_middle_is_cut_out_or_padded() {
        let image = Image::new((1..=30).collect::<Vec<u8>>(), [2, 3, 5]).unwrap();
        let middle = CenterCrop::new(1, 3).apply(image.clone(), Key::new(0)).unwrap();
        assert_eq!(middle.pixels(), [7, 8, 9, 22, 23, 24]);
        let wide = CenterCrop::new(4, 2).apply(image.clone(), Key::new(0)).unwrap();
        // Half a pixel of room goes to the even side, and the odd row of padding below.
        assert_eq!(&wide.pixels()[..8], [3, 4, 8, 9, 13, 14, 0, 0]);
        assert!(crop(&image, 2, 0, 2, 1).is_err());
        assert!(crop(&image, usize::MAX, 0, 2, 1).is_err());
    }

    #[test]
    fn parts_have_the_size_and_vary() {
        let image = Image::new((0..240).collect::<Vec<u8>>(), [1, 12, 20]).unwrap();
        let transform = RandomResizedCrop::new(6, 7);
        let crops: Vec<Image> =
            (0..30).map(|seed| transform.apply(image.clone(), Key::new(seed)).unwrap()).collect();
        assert!(crops.iter().all(|crop| crop.size() == [1, 6, 7]));
        assert!(crops.iter().filter(|crop| **crop != crops[0]).count() > 25);
        for seed in 0..200 {
            let [top, left, height, width] = transform.part(12, 20, Key::new(seed));
            assert!(top + height <= 12 && left + width <= 20 && height * width > 0);
        }
        let line = Image::new(vec![9u8; 500], [1, 1, 500]).unwrap();
        assert_eq!(transform.apply(line, Key::new(1)).unwrap().pixels(), [9; 42]);
        let empty = Image::<u8>::new(vec![], [1, 0, 3]).unwrap();
        assert!(transform.apply(empty, Key::new(0)).is_err());
    }
}

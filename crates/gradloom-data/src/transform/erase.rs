//! [`RandomErasing`] and [`Cutout`]: a hole in the picture, so that no single part of it is relied on.

use crate::random::RandomStream;
use crate::transform::described;
use crate::{Image, Pixel, Result, Transform};
use gradloom_tensor::Key;

fn blank<T: Pixel>(image: &mut Image<T>, [top, left, height, width]: [usize; 4], value: T) {
    let [_, whole_height, whole_width] = image.size();
    let plane = (whole_height * whole_width).max(1);
    for plane in image.pixels_mut().chunks_exact_mut(plane) {
        for row in top..top + height {
            plane[row * whole_width + left..][..width].fill(value);
        }
    }
}

/// Blanks a rectangle with some probability.
///
/// torchvision: `RandomErasing(p, scale, ratio, value=0)`; Zhong et al., "Random erasing data
/// augmentation", 2017. After [`Normalize`](super::Normalize) zero is the mean.
#[derive(Clone, Copy, Debug)]
pub struct RandomErasing {
    probability: f32,
    scale: (f32, f32),
    ratio: (f32, f32),
}

impl RandomErasing {
    /// With some probability 2 to 33 % of the picture, of proportions between 0.3 and 3.3.
    ///
    /// # Panics
    /// If it is not within `0..=1`.
    #[track_caller]
    pub fn new(probability: f32) -> Self {
        assert!((0.0..=1.0).contains(&probability), "random erasing: probability {probability}");
        RandomErasing { probability, scale: (0.02, 0.33), ratio: (0.3, 3.3) }
    }

    /// Between these shares of the picture.
    ///
    /// # Panics
    /// If they are not in order within `0..=1`.
    #[must_use]
    #[track_caller]
    pub fn scale(mut self, low: f32, high: f32) -> Self {
        assert!(0.0 <= low && low <= high && high <= 1.0, "random erasing: {low} to {high}");
        self.scale = (low, high);
        self
    }
}

impl<T: Pixel> Transform<Image<T>> for RandomErasing {
    type Output = Image<T>;

    described!();

    fn apply(&self, mut image: Image<T>, key: Key) -> Result<Image<T>> {
        let mut stream = RandomStream::new(key);
        let [_, height, width] = image.size();
        if !stream.chance(self.probability) {
            return Ok(image);
        }
        for _ in 0..10 {
            let area = (height * width) as f32 * stream.uniform(self.scale.0, self.scale.1);
            let ratio = stream.uniform(self.ratio.0.ln(), self.ratio.1.ln()).exp();
            let hole_height = (area * ratio).sqrt().round() as usize;
            let hole_width = (area / ratio).sqrt().round() as usize;
            if hole_height < height && hole_width < width {
                let top = stream.below(height - hole_height + 1);
                let left = stream.below(width - hole_width + 1);
                blank(&mut image, [top, left, hole_height, hole_width], T::default());
                break;
            }
        }
        Ok(image)
    }
}

/// Blanks a square around a random pixel, cut at the border.
///
/// DeVries and Taylor, "Improved regularization of convolutional neural networks with cutout", 2017.
#[derive(Clone, Copy, Debug)]
pub struct Cutout {
    size: usize,
}

impl Cutout {
    /// A square with sides of `size` pixels.
    pub fn new(size: usize) -> Self {
        Cutout { size }
    }
}

impl<T: Pixel> Transform<Image<T>> for Cutout {
    type Output = Image<T>;

    described!();

    fn apply(&self, mut image: Image<T>, key: Key) -> Result<Image<T>> {
        let mut stream = RandomStream::new(key);
        let [_, height, width] = image.size();
        if height == 0 || width == 0 {
            return Ok(image);
        }
        let mut side = |len: usize| {
            let middle = stream.below(len);
            let first = middle.saturating_sub(self.size / 2);
            let past = (middle + self.size.div_ceil(2)).min(len);
            (first, past - first)
        };
        let ((top, hole_height), (left, hole_width)) = (side(height), side(width));
        blank(&mut image, [top, left, hole_height, hole_width], T::default());
        Ok(image)
    }
}

#[cfg(test)]
mod tests {
    use super::{Cutout, RandomErasing};
    use crate::{Image, Transform};
    use gradloom_tensor::Key;

    #[test]
    fn holes_have_the_size_that_was_asked_for() {
        let image = Image::new(vec![1u8; 2 * 20 * 30], [2, 20, 30]).unwrap();
        for seed in 0..200 {
            let holes = |image: &Image| image.pixels().iter().filter(|&&pixel| pixel == 0).count();
            let erased = RandomErasing::new(1.0).apply(image.clone(), Key::new(seed)).unwrap();
            assert!((10..=440).contains(&holes(&erased)), "{}", holes(&erased));
            let (red, green) = erased.pixels().split_at(600);
            assert_eq!(red, green);
            let cut = Cutout::new(8).apply(image.clone(), Key::new(seed)).unwrap();
            assert!((2 * 16..=2 * 64).contains(&holes(&cut)), "{}", holes(&cut));
            let kept = RandomErasing::new(0.0).apply(image.clone(), Key::new(seed)).unwrap();
            assert_eq!(
                (kept, holes(&Cutout::new(0).apply(image.clone(), Key::new(seed)).unwrap())),
                (image.clone(), 0)
            );
        }
    }
}

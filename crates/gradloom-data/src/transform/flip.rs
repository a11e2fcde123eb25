//! [`RandomFlip`] and [`RandomVerticalFlip`]: left and right, or top and bottom, exchanged now and then.

use crate::random::RandomStream;
use crate::transform::described;
use crate::{Image, Pixel, Result, Transform};
use gradloom_tensor::Key;

/// Mirrors an image left to right with some probability.
///
/// PyTorch: `torchvision.transforms.RandomHorizontalFlip(p)`.
#[derive(Clone, Copy, Debug)]
pub struct RandomFlip {
    probability: f32,
}

impl Default for RandomFlip {
    /// Every second image.
    fn default() -> Self {
        RandomFlip { probability: 0.5 }
    }
}

impl RandomFlip {
    /// Mirrors with the given probability.
    ///
    /// # Panics
    /// If it is not within `0..=1`.
    #[track_caller]
    pub fn new(probability: f32) -> Self {
        assert!((0.0..=1.0).contains(&probability), "random flip: probability {probability}");
        RandomFlip { probability }
    }
}

impl<T: Pixel> Transform<Image<T>> for RandomFlip {
    type Output = Image<T>;

    described!();

    fn apply(&self, mut image: Image<T>, key: Key) -> Result<Image<T>> {
        if RandomStream::new(key).chance(self.probability) {
            let width = image.width().max(1);
            image.pixels_mut().chunks_exact_mut(width).for_each(<[T]>::reverse);
        }
        Ok(image)
    }
}

/// Turns an image upside down with some probability.
///
/// PyTorch: `torchvision.transforms.RandomVerticalFlip(p)`.
#[derive(Clone, Copy, Debug)]
pub struct RandomVerticalFlip {
    probability: f32,
}

impl Default for RandomVerticalFlip {
    /// Every second image.
    fn default() -> Self {
        RandomVerticalFlip { probability: 0.5 }
    }
}

impl RandomVerticalFlip {
    /// Turns with the given probability.
    ///
    /// # Panics
    /// If it is not within `0..=1`.
    #[track_caller]
    pub fn new(probability: f32) -> Self {
        let fits = (0.0..=1.0).contains(&probability);
        assert!(fits, "random vertical flip: probability {probability}");
        RandomVerticalFlip { probability }
    }
}

impl<T: Pixel> Transform<Image<T>> for RandomVerticalFlip {
    type Output = Image<T>;

    described!();

    fn apply(&self, mut image: Image<T>, key: Key) -> Result<Image<T>> {
        if RandomStream::new(key).chance(self.probability) {
            let [_, height, width] = image.size();
            let plane = (height * width).max(1);
            for plane in image.pixels_mut().chunks_exact_mut(plane) {
                for row in 0..height / 2 {
                    let (upper, lower) = plane.split_at_mut((height - 1 - row) * width);
                    upper[row * width..(row + 1) * width].swap_with_slice(&mut lower[..width]);
                }
            }
        }
        Ok(image)
    }
}

#[cfg(test)]
mod tests {
    use super::{RandomFlip, RandomVerticalFlip};
    use crate::{Image, Transform};
    use gradloom_tensor::Key;

    #[test]
    fn a_flip_reverses_every_row() {
        let image = Image::new(vec![1u8, 2, 3, 4, 5, 6], [1, 2, 3]).unwrap();
        let flipped = RandomFlip::new(1.0).apply(image.clone(), Key::new(0)).unwrap();
        assert_eq!(flipped.pixels(), [3, 2, 1, 6, 5, 4]);
        let kept = RandomFlip::new(0.0).apply(image.clone(), Key::new(0)).unwrap();
        assert_eq!(kept, image);
    }

    #[test]
    fn a_vertical_flip_reverses_the_rows() {
        let image = Image::new((1..=12).collect::<Vec<u8>>(), [2, 3, 2]).unwrap();
        let flipped = RandomVerticalFlip::new(1.0).apply(image, Key::new(0)).unwrap();
        assert_eq!(flipped.pixels(), [5, 6, 3, 4, 1, 2, 11, 12, 9, 10, 7, 8]);
    }

    #[test]
    fn about_half_of_the_images_are_flipped() {
        let image = Image::new(vec![1u8, 2], [1, 1, 2]).unwrap();
        let flips = (0..1000).filter(|&seed| {
            RandomFlip::default().apply(image.clone(), Key::new(seed)).unwrap() != image
        });
        assert!((450..550).contains(&flips.count()));
    }
}

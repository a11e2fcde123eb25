//! [`Scale`] and [`Normalize`]: bytes to the floats that models read.

use crate::transform::described;
use crate::{Error, Image, Pixel, Result, Transform};
use gradloom_tensor::Key;

/// Bytes `0..=255` to floats `0..=1`.
///
/// PyTorch: `torchvision.transforms.ToTensor()`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Scale;

impl Transform<Image<u8>> for Scale {
    type Output = Image<f32>;

    described!();

    fn apply(&self, image: Image<u8>, _key: Key) -> Result<Image<f32>> {
        let size = image.size();
        Image::new(image.pixels().iter().map(|&pixel| f32::from(pixel) / 255.0).collect(), size)
    }
}

/// `(x - mean) / deviation` per channel, of bytes scaled to `0..=1` first, of floats as they are.
///
/// PyTorch: `torchvision.transforms.Normalize(mean, std)` after `ToTensor()`.
///
/// ```
/// use gradloom_data::transform::{Normalize, Scale};
/// use gradloom_data::{Image, Transform};
/// use gradloom_tensor::Key;
///
/// let image = Image::new(vec![255u8, 0, 255, 0], [1, 2, 2])?;
/// let chain = (Scale, Normalize::new([0.5], [0.5]));
/// assert_eq!(chain.apply(image, Key::new(0))?.pixels(), [1.0, -1.0, 1.0, -1.0]);
/// # Ok::<(), gradloom_data::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Normalize {
    mean: Vec<f32>,
    deviation: Vec<f32>,
}

impl Normalize {
    /// The mean and standard deviation of each channel;
    /// [`ImageDataset::statistics`](crate::ImageDataset::statistics) measures them.
    ///
    /// # Panics
    /// If the numbers of channels differ or a deviation is not positive.
    #[track_caller]
    pub fn new(mean: impl Into<Vec<f32>>, deviation: impl Into<Vec<f32>>) -> Self {
        let (mean, deviation) = (mean.into(), deviation.into());
        assert_eq!(mean.len(), deviation.len(), "normalize: numbers of channels differ");
        let positive = deviation.iter().all(|&value| value > 0.0);
        assert!(positive, "normalize: deviations must be positive: {deviation:?}");
        Normalize { mean, deviation }
    }

    fn run<T: Pixel>(&self, image: &Image<T>, scale: f32) -> Result<Image<f32>> {
        let [channels, height, width] = image.size();
        if channels != self.mean.len() {
            return Err(Error::invalid(format!(
                "normalize: statistics of {} channels for an image of {channels}",
                self.mean.len()
            )));
        }
        let mut pixels = Vec::with_capacity(image.pixels().len());
        let planes = image.pixels().chunks_exact((height * width).max(1));
        for (plane, (mean, deviation)) in planes.zip(self.mean.iter().zip(&self.deviation)) {
            pixels.extend(plane.iter().map(|pixel| (pixel.to_f32() * scale - mean) / deviation));
        }
        Image::new(pixels, image.size())
    }
}

impl Transform<Image<u8>> for Normalize {
    type Output = Image<f32>;

    described!();

    fn apply(&self, image: Image<u8>, _key: Key) -> Result<Image<f32>> {
        self.run(&image, 1.0 / 255.0)
    }
}

impl Transform<Image<f32>> for Normalize {
    type Output = Image<f32>;

    described!();

    fn apply(&self, image: Image<f32>, _key: Key) -> Result<Image<f32>> {
        self.run(&image, 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::{Normalize, Scale};
    use crate::{Image, Transform};
    use gradloom_tensor::Key;

    #[test]
    fn each_channel_has_its_own_mean_and_deviation() {
        let image = Image::new(vec![0u8, 255, 255, 0], [2, 1, 2]).unwrap();
        let normalize = Normalize::new([0.5, 0.0], [0.5, 2.0]);
        let result = normalize.apply(image.clone(), Key::new(0)).unwrap();
        assert_eq!(result.pixels(), [-1.0, 1.0, 0.5, 0.0]);
        let scaled = (Scale, normalize).apply(image.clone(), Key::new(0)).unwrap();
        assert_eq!(scaled.pixels(), result.pixels());
        assert!(Normalize::new([0.5], [0.5]).apply(image, Key::new(0)).is_err());
    }
}

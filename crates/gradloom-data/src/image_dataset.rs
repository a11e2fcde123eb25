//! [`ImageDataset`]: labelled images of one size, in host memory.

use std::sync::Arc;

use crate::dataset::{Dataset, Labelled, Subset};
use crate::split::stratified_indices;
use crate::{Error, Image, Result};
use gradloom_tensor::Key;

/// Labelled images of one size in host memory. Clones share the pixels.
#[derive(Clone)]
pub struct ImageDataset {
    pixels: Arc<[u8]>,
    labels: Arc<[i32]>,
    size: [usize; 3],
    class_names: Arc<[String]>,
}

impl ImageDataset {
    /// Images from pixels `[N, C, H, W]`, the size `[C, H, W]` of each, and `N` labels.
    ///
    /// # Errors
    /// If the counts do not fit, an image would be empty, or a label is negative.
    pub fn new(pixels: Vec<u8>, size: [usize; 3], labels: Vec<i32>) -> Result<Self> {
        let count = size.iter().try_fold(1usize, |product, &part| product.checked_mul(part));
        let Some(image_len) = count.filter(|&count| count > 0) else {
            return Err(Error::invalid(format!("image dataset: images of size {size:?}")));
        };
        if labels.len().checked_mul(image_len) != Some(pixels.len()) {
            return Err(Error::invalid(format!(
                "image dataset: {} pixels are {} images of {size:?} and {} over, but there are {} \
                 labels; pair the image file with its own label file",
                pixels.len(),
                pixels.len() / image_len,
                pixels.len() % image_len,
                labels.len()
            )));
        }
        if let Some(index) = labels.iter().position(|&label| label < 0) {
            let label = labels[index];
            return Err(Error::invalid(format!("image dataset: label {index} is {label}")));
        }
        let class_names = Arc::new([]);
        Ok(ImageDataset { pixels: pixels.into(), labels: labels.into(), size, class_names })
    }

    /// Names of the classes, in the order of the labels.
    ///
    /// # Errors
    /// If a label has no name.
    pub fn with_class_names<S: Into<String>>(
        mut self,
        names: impl IntoIterator<Item = S>,
    ) -> Result<Self> {
        self.class_names = Arc::new([]);
        let names: Vec<String> = names.into_iter().map(Into::into).collect();
        if names.len() < self.class_count() {
            return Err(Error::invalid(format!(
                "image dataset: {} class names for {} classes",
                names.len(),
                self.class_count()
            )));
        }
        self.class_names = names.into();
        Ok(self)
    }

    /// Channels, height and width of every image.
    pub fn size(&self) -> [usize; 3] {
        self.size
    }

    /// All labels.
    pub fn labels(&self) -> &[i32] {
        &self.labels
    }

    /// All pixels, `[N, C, H, W]`.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// Number of classes: of names, or the largest label plus one.
    pub fn class_count(&self) -> usize {
        match self.class_names.len() {
            0 => self.labels.iter().max().map_or(0, |&label| label as usize + 1),
            count => count,
        }
    }

    /// The names of the classes; empty if unknown.
    pub fn class_names(&self) -> &[String] {
        &self.class_names
    }

    /// The pixels of one image, `[C, H, W]`, without a copy.
    pub fn image(&self, index: usize) -> Option<&[u8]> {
        let len: usize = self.size.iter().product();
        self.pixels.get(index.checked_mul(len)?..)?.get(..len)
    }

    /// Mean and standard deviation of each channel, of pixels scaled to `0..=1`: what
    /// [`Normalize`](crate::transform::Normalize) takes.
    pub fn statistics(&self) -> (Vec<f32>, Vec<f32>) {
        let plane = self.size[1] * self.size[2];
        // Sums of bytes and of their squares are exact in 64 bits for any file that fits in memory.
        let mut sums = vec![(0u64, 0u64); self.size[0]];
        for (index, pixels) in self.pixels.chunks_exact(plane).enumerate() {
            let sum = &mut sums[index % self.size[0]];
            for &pixel in pixels {
                sum.0 += u64::from(pixel);
                sum.1 += u64::from(pixel) * u64::from(pixel);
            }
        }
        let count = (self.labels.len() * plane).max(1) as f64;
        let moments = sums.into_iter().map(|(sum, squares)| {
            let mean = sum as f64 / count;
            let variance = (squares as f64 / count - mean * mean).max(0.0);
            ((mean / 255.0) as f32, (variance.sqrt() / 255.0) as f32)
        });
        moments.unzip()
    }

    /// `train_len` images, the same share of every class, and the rest. The same key gives the same
    /// split.
    ///
    /// # Errors
    /// If there are fewer than `train_len` images, all are of one class, or a class has one image.
    pub fn split_stratified(
        &self,
        train_len: usize,
        key: Key,
    ) -> Result<(Subset<ImageDataset>, Subset<ImageDataset>)> {
        let (train, test) = stratified_indices(&self.labels, train_len, key)?;
        let dataset = Arc::new(self.clone());
        Ok((Subset::new(Arc::clone(&dataset), train)?, Subset::new(dataset, test)?))
    }
}

impl Dataset for ImageDataset {
    type Item = Labelled<Image<u8>>;

    fn len(&self) -> usize {
        self.labels.len()
    }

    fn get(&self, index: usize) -> Result<Self::Item> {
        let (Some(pixels), Some(&label)) = (self.image(index), self.labels.get(index)) else {
            return Err(Error::sample_out_of_range("image dataset", index, self.labels.len()));
        };
        Ok(Labelled { input: Image::new(pixels.to_vec(), self.size)?, label })
    }
}

impl std::fmt::Debug for ImageDataset {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            formatter,
            "ImageDataset({} images of {:?}, {} classes)",
            self.labels.len(),
            self.size,
            self.class_count()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::ImageDataset;
    use crate::Dataset;

    #[test]
    fn counts_that_do_not_fit_are_refused() {
        assert!(ImageDataset::new(vec![0; 12], [1, 2, 3], vec![0, 1]).is_ok());
        assert!(ImageDataset::new(vec![0; 13], [1, 2, 3], vec![0, 1]).is_err());
        assert!(ImageDataset::new(vec![0; 12], [1, 2, 3], vec![0]).is_err());
        assert!(ImageDataset::new(vec![0; 12], [1, 2, 3], vec![0, -1]).is_err());
        assert!(ImageDataset::new(vec![], [0, 2, 3], vec![0]).is_err());
        assert!(ImageDataset::new(vec![], [usize::MAX, 2, 3], vec![0]).is_err());
    }

    #[test]
    fn statistics_are_those_of_each_channel() {
        let dataset =
            ImageDataset::new(vec![0, 255, 51, 51, 255, 0, 51, 51], [2, 1, 2], vec![0, 0]).unwrap();
        let (mean, deviation) = dataset.statistics();
        assert_eq!((mean[0], mean[1]), (0.5, 0.2));
        assert_eq!(deviation, [0.5, 0.0]);
        assert!(dataset.get(2).unwrap_err().is_index_out_of_range());
    }
}

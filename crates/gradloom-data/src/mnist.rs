//! MNIST: 28 x 28 handwritten digits (LeCun, Cortes and Burges, 1998), 5,000 of them inside the crate.

use std::path::Path;

use crate::{Error, ImageDataset, Result, Source, Split};

#[cfg(feature = "mnist")]
use crate::dataset::Subset;

/// Loads the published files (`train-images-idx3-ubyte` and so on, each may end in `.gz`) from a
/// folder.
///
/// # Errors
/// If a file is missing or damaged.
pub fn load(folder: impl AsRef<Path>, split: Split) -> Result<ImageDataset> {
    let advice = "put the published files there, or use the digits of `mnist::embedded`";
    load_published(folder.as_ref(), split, advice)?.with_class_names((0..10).map(|d| d.to_string()))
}

pub(crate) fn load_published(folder: &Path, split: Split, advice: &str) -> Result<ImageDataset> {
    let (images, labels) = match split {
        Split::Train => ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
        Split::Test => ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
    };
    let images = Source::published(folder, images, advice)?;
    let labels = Source::published(folder, labels, advice)?;
    let dataset = crate::format::idx::read_images(images, labels)?;
    if dataset.size() != [1, 28, 28] || dataset.class_count() > 10 {
        return Err(Error::invalid(format!(
            "{}: {} classes of images of {:?}, expected 10 of [1, 28, 28]; is this another dataset?",
            folder.display(),
            dataset.class_count(),
            dataset.size()
        )));
    }
    Ok(dataset)
}

/// The 5,000 digits inside the crate: 500 of each, in the order of their classes.
///
/// # Errors
/// Never, in a crate that was built from its published files.
#[cfg(feature = "mnist")]
pub fn embedded() -> Result<ImageDataset> {
    let images: &[u8] = include_bytes!("../assets/mnist_5k_images.idx.gz");
    let labels: &[u8] = include_bytes!("../assets/mnist_5k_labels.idx.gz");
    let images = Source::from_bytes("mnist_5k_images.idx.gz", images);
    let labels = Source::from_bytes("mnist_5k_labels.idx.gz", labels);
    crate::format::idx::read_images(images, labels)?
        .with_class_names((0..10).map(|digit| digit.to_string()))
}

/// The embedded digits as 4,000 to learn from and 1,000 to be measured on, always the same, with equal
/// shares of every class.
///
/// # Errors
/// As [`embedded`].
#[cfg(feature = "mnist")]
pub fn embedded_split() -> Result<(Subset<ImageDataset>, Subset<ImageDataset>)> {
    embedded()?.split_stratified(4000, gradloom_tensor::Key::new(0))
}

#[cfg(all(test, feature = "mnist"))]
mod tests {
    use crate::Dataset;

    #[test]
    fn the_embedded_digits_are_500_of_each_class() {
        let digits = super::embedded().unwrap();
        assert_eq!((digits.len(), digits.size(), digits.class_count()), (5000, [1, 28, 28], 10));
        for class in 0..10 {
            assert_eq!(digits.labels().iter().filter(|&&label| label == class).count(), 500);
        }
        let (mean, deviation) = digits.statistics();
        // The published figures of all 70,000 digits are 0.1307 and 0.3081.
        assert!((mean[0] - 0.1307).abs() < 0.005, "{mean:?}");
        assert!((deviation[0] - 0.3081).abs() < 0.005, "{deviation:?}");
    }

    #[test]
    fn the_split_has_equal_shares_of_every_class() {
        let (train, test) = super::embedded_split().unwrap();
        assert_eq!((train.len(), test.len()), (4000, 1000));
        let labels = test.dataset().labels();
        for class in 0..10 {
            assert_eq!(test.indices().iter().filter(|&&i| labels[i] == class).count(), 100);
        }
    }
}

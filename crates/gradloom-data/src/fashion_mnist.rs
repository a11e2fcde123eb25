//! Fashion-MNIST: 70,000 pictures of clothes in the format of MNIST (Xiao, Rasul and Vollgraf, 2017).

use std::path::Path;

use crate::{ImageDataset, Result, Split};

/// Fashion-MNIST: 60,000 training and 10,000 test pictures of 28 x 28 pixels in 10 classes.
#[derive(Clone, Copy, Debug)]
pub struct FashionMnist;

impl FashionMnist {
    /// The classes, in the order of their labels.
    pub const CLASSES: [&'static str; 10] = [
        "T-shirt/top",
        "trouser",
        "pullover",
        "dress",
        "coat",
        "sandal",
        "shirt",
        "sneaker",
        "bag",
        "ankle boot",
    ];

    /// Loads the published files (`train-images-idx3-ubyte` and so on, each may end in `.gz`) from a
    /// folder.
    ///
    /// # Errors
    /// If a file is missing (`cargo xtask assets fashion-mnist` fetches them) or damaged.
    pub fn load(folder: impl AsRef<Path>, split: Split) -> Result<ImageDataset> {
        let advice = "run `cargo xtask assets fashion-mnist` to fetch the files";
        crate::mnist::load_published(folder.as_ref(), split, advice)?
            .with_class_names(FashionMnist::CLASSES)
    }
}

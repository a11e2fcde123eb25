//! Datasets, file formats, transforms and loaders.
// The example of that page needs the digits.
#![cfg_attr(feature = "mnist", doc = include_str!("../README.md"))]
#![forbid(unsafe_code)]

mod error;
pub mod random;

pub mod table;

pub mod cleaning;
pub mod preparation;

pub mod dataset;
mod image;
mod interpolation;
pub mod image_dataset;
#[cfg(feature = "pictures")]
pub mod image_folder;
pub mod tensor_dataset;
pub mod split;

pub mod cifar;
pub mod fashion_mnist;
pub mod format;
pub mod mnist;
mod source;

pub mod cached;
pub mod stream;

pub mod batch;
pub mod loader;
pub mod sampler;
pub mod sequences;
pub mod transform;

pub mod text;

pub use batch::{Batch, Collate, CollateImages};
pub use dataset::{Dataset, InMemory, Labelled};
pub use error::{Error, Result};
pub use fashion_mnist::FashionMnist;
pub use image::{Image, Pixel};
pub use image_dataset::ImageDataset;
#[cfg(feature = "pictures")]
pub use image_folder::ImageFolder;
pub use loader::{Epoch, Loader};
pub use source::Source;
pub use split::Split;
pub use table::Table;
pub use tensor_dataset::TensorDataset;
pub use transform::Transform;

// The examples of that page need every feature.
#[cfg(all(doctest, feature = "mnist", feature = "pictures"))]
#[doc = include_str!("../../../docs/data.md")]
mod guide {}

//! Maps of high-dimensional points.

mod pca;
mod tsne;
mod trustworthiness;

pub use pca::Pca;
pub use trustworthiness::trustworthiness;
pub use tsne::Tsne;

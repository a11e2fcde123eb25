//! Maps of high-dimensional points.

mod pca;
mod tsne;
mod neighbours;
mod umap;
mod trustworthiness;

pub use pca::Pca;
pub use trustworthiness::trustworthiness;
pub use tsne::Tsne;
pub use umap::Umap;

//! Maps of high-dimensional points.

mod pca;
mod neighbours;
mod barnes_hut;
mod tsne;
mod umap;
mod trustworthiness;

pub use pca::Pca;
pub use trustworthiness::trustworthiness;
pub use tsne::Tsne;
pub use umap::Umap;

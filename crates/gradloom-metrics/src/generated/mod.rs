//! Metrics of made samples against real ones, by the features that a network gives them.
//!
//! Which network that is decides the figure, so it is named with it. The published figures called FID and KID need the
//! weights of one Inception v3, which are not here: with another network figures compare models with each other, not
//! with papers.

mod features;
mod frechet;
mod inception_score;
mod kernel_distance;
mod symmetric;

pub use features::FeatureStatistics;
pub use frechet::frechet_distance;
pub use inception_score::{InceptionScore, inception_score};
pub use kernel_distance::{KernelDistance, KernelDistanceReport, polynomial_mmd};

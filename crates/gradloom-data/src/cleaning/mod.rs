//! What is wrong with data, found and put right: holes, outliers, duplicates, and samples of the test that
//! are in the training part too.
//!
//! What these functions find are row numbers, so that a person can look at them first.

pub mod duplicates;
mod missing;
pub mod near_duplicates;
mod outliers;

pub use duplicates::{Leak, duplicates, leaks};
pub use near_duplicates::{ImageHash, TextHash, near_duplicates, near_leaks};
pub use outliers::{outliers_iqr, outliers_z_score};

//! File formats: each reader takes a [`Source`](crate::Source), so a path, bytes or any reader, plain
//! or gzipped.

mod cells;
pub(crate) mod class_folder;
#[cfg(feature = "pictures")]
mod orientation;
mod records;

pub mod csv;
pub mod idx;
pub mod json_lines;
#[cfg(feature = "parquet")]
pub mod parquet;
#[cfg(feature = "parquet")]
mod parquet_bounds;
#[cfg(feature = "pictures")]
pub mod picture;
pub mod text;
pub mod wav;

//! File formats: each reader takes a [`Source`](crate::Source), so a path, bytes or any reader, plain
//! or gzipped.

mod cells;
mod records;

pub mod csv;
pub mod idx;
pub mod json_lines;

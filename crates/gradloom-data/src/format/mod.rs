//! File formats: each reader takes a [`Source`](crate::Source), so a path, bytes or any reader, plain
//! or gzipped.

pub mod csv;
pub mod idx;

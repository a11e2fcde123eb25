//! The shader files, found in their folder when the crate is built, and embedded.

/// Name and text of every shader file.
pub const FILES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/files.rs"));

/// The text of a file, by its path below `shaders/`.
pub fn source(name: &str) -> Option<&'static str> {
    FILES.iter().find(|(path, _)| *path == name).map(|(_, text)| *text)
}

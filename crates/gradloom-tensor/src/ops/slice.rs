//! Slicing: `x.slice(s![.., 1..3])`.

/// One axis of a slice.
pub struct SliceRange;
/// All axes of a slice.
pub struct Slice;

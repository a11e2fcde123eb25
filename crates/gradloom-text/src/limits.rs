//! What no vocabulary exceeds, whatever kind of file it comes from.

/// A token longer than this is no token.
pub(crate) const TOKEN_BYTES_MAX: usize = 1 << 12;

/// Largest id. A vocabulary numbers its tokens from 0 without large gaps; a few models leave some.
pub(crate) const IDS_MAX: u32 = 1 << 24;

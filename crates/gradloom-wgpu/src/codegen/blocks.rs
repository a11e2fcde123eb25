//! Matrices in interleaved blocks as WGSL: their words, and 16 numbers of a row by
//! `shared/blocks.wgsl`.

use std::fmt::Write as _;

use gradloom_tensor::blocks::interleave::{self, GROUP_ROWS};
use gradloom_tensor::{BlockFormat, Result};

use super::bindings::Bindings;
use super::unit::Unit;

/// A matrix in blocks: an operand of a kernel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Matrix {
    /// Which operand.
    pub(crate) operand: usize,
    /// How it is stored.
    pub(crate) format: BlockFormat,
    /// Rows, the last group not filled up.
    pub(crate) rows: usize,
    /// Numbers of a row.
    pub(crate) columns: usize,
}

impl Matrix {
    /// Fails unless the operand holds the whole groups of the matrix.
    pub(crate) fn check(&self, unit: &Unit<'_>) -> Result<()> {
        let bytes = interleave::bytes(self.format, self.rows, self.columns);
        unit.check_len(self.operand, bytes / 4)
    }

    /// Groups of 16 rows.
    pub(crate) fn groups(&self) -> usize {
        self.rows.div_ceil(GROUP_ROWS)
    }

    /// `fn sixteen_P(group, lane, index)`: numbers `16 index` and on of row `lane` of a group.
    fn sixteen(&self, part: usize, bindings: &mut Bindings) -> String {
        let (elements, bytes) = (self.format.elements(), self.format.bytes());
        // A block of each of the 16 rows: as many words as four blocks have bytes.
        let block = GROUP_ROWS / 4 * bytes;
        let group = bindings.number("group_words", self.columns / elements * block);
        let name = self.format.name().to_ascii_lowercase();
        let per_block = elements / 16;
        format!(
            "fn sixteen_{part}(group: u32, lane: u32, index: u32) -> Sixteen {{
    let at = group * {group} + index / {per_block}u * {block}u;
    return gl_{name}({part}u, at, lane, index % {per_block}u);
}}
"
        )
    }
}

/// `fn read_word(part, at)` and `fn sixteen_P` for each matrix P of a dispatch.
pub(crate) fn functions(unit: &Unit<'_>, bindings: &mut Bindings, matrices: &[Matrix]) -> String {
    let mut text = "fn read_word(part: u32, at: u32) -> u32 {\n".to_owned();
    for (part, matrix) in matrices.iter().enumerate().rev() {
        let (input, resource) = unit.input(matrix.operand);
        let load = bindings.load(resource, input.dtype, "at");
        let _ = match part {
            0 => writeln!(text, "    return {load};"),
            _ => writeln!(text, "    if (part == {part}u) {{ return {load}; }}"),
        };
    }
    text.push_str("}\n");
    for (part, matrix) in matrices.iter().enumerate() {
        text.push_str(&matrix.sixteen(part, bindings));
    }
    text
}

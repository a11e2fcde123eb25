//! [`Wgsl`]: the shader of a custom op, and how it is started.

/// A compute shader: WGSL in which the functions `read0(index: u32)`, `read1`, .. give elements of the
/// operands and `write0(index: u32, value)`, .. put those of the results, in row-major order. f16 and bf16
/// are read and written as f32, u8 as u32, i8 as i32, bool as bool. Reads outside of a tensor give zero,
/// writes there do nothing. Of an operand of bytes (u8, i8), `word0(index: u32) -> u32` gives four elements
/// from number `4 * index` on, the first in the lowest bits, zero outside; `dot_bytes(a: u32, b: u32) -> i32`
/// is the sum of the four products of two such words as signed bytes. Names that begin with `gl_` are taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wgsl {
    /// The text.
    pub source: String,
    /// How it is started.
    pub grid: Grid,
}

/// How a shader is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grid {
    /// `fn element(index: u32)` for each `index` below the number.
    Elements(usize),
    /// `fn group(index: u32, thread: u32)` for each thread of each workgroup; barriers are allowed, and
    /// `var<workgroup>` is declared by the source.
    Workgroups {
        /// Number of workgroups.
        count: usize,
        /// Threads of one, at most 256.
        threads: u32,
    },
}

impl Wgsl {
    /// A shader whose `fn element(index: u32)` runs for each index below `count`.
    pub fn elements(source: impl Into<String>, count: usize) -> Wgsl {
        Wgsl { source: source.into(), grid: Grid::Elements(count) }
    }

    /// A shader whose `fn group(index: u32, thread: u32)` runs in `count` workgroups of `threads`.
    pub fn workgroups(source: impl Into<String>, count: usize, threads: u32) -> Wgsl {
        Wgsl { source: source.into(), grid: Grid::Workgroups { count, threads } }
    }
}

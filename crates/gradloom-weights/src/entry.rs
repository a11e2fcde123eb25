//! [`Entry`]: what a file says about a tensor, and [`Stored`]: how its elements are stored.

use gradloom_tensor::{BlockFormat, DType};

/// What a file says about one tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry {
    /// Sizes of the axes, outermost first.
    pub shape: Vec<usize>,
    /// How the elements are stored; the tensor's dtype may differ.
    pub stored: Stored,
}

/// How elements are stored in a file.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Stored {
    /// 32-bit float.
    F32,
    /// 64-bit float.
    F64,
    /// IEEE half precision.
    F16,
    /// bfloat16.
    BF16,
    /// Signed 8-bit integer.
    I8,
    /// Signed 16-bit integer.
    I16,
    /// Signed 32-bit integer.
    I32,
    /// Signed 64-bit integer.
    I64,
    /// Byte.
    U8,
    /// Unsigned 16-bit integer.
    U16,
    /// Unsigned 32-bit integer.
    U32,
    /// Unsigned 64-bit integer.
    U64,
    /// Truth value, one byte.
    Bool,
    /// Byte that stands for another number, by a scale and a least one.
    ScaledU8,
    /// As [`Stored::ScaledU8`], of 16 bits.
    ScaledU16,
    /// Blocks of small integers that share scales.
    Blocks(BlockFormat),
    /// Anything else, by the name its format gives it. Such a tensor is listed but cannot be read.
    Other(String),
}

impl Entry {
    /// Bytes that the elements take in the file; `None` for a type that is not known.
    pub fn bytes(&self) -> Option<usize> {
        let elements = count(&self.shape)?;
        match self.stored {
            Stored::Blocks(format) => Some(elements / format.elements() * format.bytes()),
            _ => Some(elements * self.stored.size()?),
        }
    }
}

impl Stored {
    /// Bytes of an element, or `None` for blocks and unknown elements.
    pub fn size(&self) -> Option<usize> {
        match self {
            Stored::F64 | Stored::I64 | Stored::U64 => Some(8),
            Stored::F32 | Stored::I32 | Stored::U32 => Some(4),
            Stored::F16 | Stored::BF16 | Stored::I16 | Stored::U16 | Stored::ScaledU16 => Some(2),
            Stored::I8 | Stored::U8 | Stored::ScaledU8 | Stored::Bool => Some(1),
            Stored::Blocks(_) | Stored::Other(_) => None,
        }
    }

    /// `f32`, `Q4_K` and so on.
    pub fn name(&self) -> &str {
        match self {
            Stored::F32 => "f32",
            Stored::F64 => "f64",
            Stored::F16 => "f16",
            Stored::BF16 => "bf16",
            Stored::I8 => "i8",
            Stored::I16 => "i16",
            Stored::I32 => "i32",
            Stored::I64 => "i64",
            Stored::U8 => "u8",
            Stored::U16 => "u16",
            Stored::U32 => "u32",
            Stored::U64 => "u64",
            Stored::Bool => "bool",
            Stored::ScaledU8 => "scaled u8",
            Stored::ScaledU16 => "scaled u16",
            Stored::Blocks(format) => format.name(),
            Stored::Other(name) => name,
        }
    }
}

impl From<DType> for Stored {
    fn from(dtype: DType) -> Self {
        match dtype {
            DType::F32 => Stored::F32,
            DType::F64 => Stored::F64,
            DType::F16 => Stored::F16,
            DType::BF16 => Stored::BF16,
            DType::I32 => Stored::I32,
            DType::I64 => Stored::I64,
            DType::I8 => Stored::I8,
            DType::U32 => Stored::U32,
            DType::U8 => Stored::U8,
            DType::Bool => Stored::Bool,
        }
    }
}

impl std::fmt::Display for Stored {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.name())
    }
}

/// Number of elements, or `None` if it overflows; also if only a part of the product does, so that
/// later products of some of the axes are safe.
pub(crate) fn count(shape: &[usize]) -> Option<usize> {
    let most = shape.iter().try_fold(1usize, |product, &size| product.checked_mul(size.max(1)))?;
    // Sixteen times as many bytes must still be a length that memory can have.
    if most > isize::MAX as usize / 16 {
        return None;
    }
    Some(if shape.contains(&0) { 0 } else { most })
}

//! Element types: the runtime tag [`DType`], the sealed trait [`Element`] of Rust types that carry it,
//! and [`Scalar`], one value of any of them.
//!
//! 64-bit integers are absent on purpose: no GPU shading language has them everywhere, so files that
//! hold them are checked into `i32` on load.

use half::{bf16, f16};

use crate::rounding;

/// The type of a tensor's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DType {
    /// 32-bit float, the default.
    F32,
    /// 64-bit float, on the CPU only.
    F64,
    /// IEEE half precision. Arithmetic is done in f32 and rounded when stored.
    F16,
    /// bfloat16. Arithmetic is done in f32 and rounded when stored.
    BF16,
    /// Signed 32-bit integer; arithmetic wraps.
    I32,
    /// Unsigned 32-bit integer; arithmetic wraps.
    U32,
    /// Unsigned byte; arithmetic wraps.
    U8,
    /// Truth value, one byte.
    Bool,
}

impl DType {
    /// Every dtype, in declaration order.
    pub const ALL: [DType; 8] = [
        DType::F32,
        DType::F64,
        DType::F16,
        DType::BF16,
        DType::I32,
        DType::U32,
        DType::U8,
        DType::Bool,
    ];

    /// Bytes of one element in host memory.
    pub const fn size(self) -> usize {
        match self {
            DType::F64 => 8,
            DType::F32 | DType::I32 | DType::U32 => 4,
            DType::F16 | DType::BF16 => 2,
            DType::U8 | DType::Bool => 1,
        }
    }

    /// `f32`, `bool` and so on.
    pub const fn name(self) -> &'static str {
        match self {
            DType::F32 => "f32",
            DType::F64 => "f64",
            DType::F16 => "f16",
            DType::BF16 => "bf16",
            DType::I32 => "i32",
            DType::U32 => "u32",
            DType::U8 => "u8",
            DType::Bool => "bool",
        }
    }

    /// True for the four floating-point types.
    pub const fn is_float(self) -> bool {
        matches!(self, DType::F32 | DType::F64 | DType::F16 | DType::BF16)
    }

    /// True for `i32`, `u32` and `u8`.
    pub const fn is_int(self) -> bool {
        matches!(self, DType::I32 | DType::U32 | DType::U8)
    }

    /// The type that arithmetic on this dtype is done in: f16 and bf16 compute in f32, u8 in u32.
    pub const fn compute(self) -> DType {
        match self {
            DType::F16 | DType::BF16 => DType::F32,
            DType::U8 => DType::U32,
            other => other,
        }
    }
}

impl std::fmt::Display for DType {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.name())
    }
}

/// One number or truth value, outside any tensor.
#[derive(Clone, Copy, Debug)]
pub enum Scalar {
    /// A value of a floating-point dtype.
    Float(f64),
    /// A value of an integer dtype.
    Int(i64),
    /// A truth value.
    Bool(bool),
}

impl Scalar {
    /// The value as a float; truth values are 0 and 1.
    pub fn as_f64(self) -> f64 {
        match self {
            Scalar::Float(value) => value,
            Scalar::Int(value) => value as f64,
            Scalar::Bool(value) => f64::from(u8::from(value)),
        }
    }

    /// The value as an integer; floats truncate towards zero and saturate.
    pub fn as_i64(self) -> i64 {
        match self {
            Scalar::Float(value) => value as i64,
            Scalar::Int(value) => value,
            Scalar::Bool(value) => i64::from(value),
        }
    }

    /// False for zero.
    pub fn as_bool(self) -> bool {
        match self {
            Scalar::Float(value) => value != 0.0,
            Scalar::Int(value) => value != 0,
            Scalar::Bool(value) => value,
        }
    }

    /// The same value in the variant that fits `dtype`.
    pub fn cast(self, dtype: DType) -> Scalar {
        match dtype {
            DType::Bool => Scalar::Bool(self.as_bool()),
            DType::I32 | DType::U32 | DType::U8 => Scalar::Int(self.as_i64()),
            DType::F32 | DType::F64 | DType::F16 | DType::BF16 => Scalar::Float(self.as_f64()),
        }
    }

    /// A 32-bit word as a kernel of compute type `dtype` reads it (f64 excluded); halves are rounded.
    pub fn word(self, dtype: DType) -> u32 {
        match dtype {
            DType::F32 | DType::F64 => (self.as_f64() as f32).to_bits(),
            DType::F16 => rounding::to_f16(self.as_f64()).to_f32().to_bits(),
            DType::BF16 => rounding::to_bf16(self.as_f64()).to_f32().to_bits(),
            DType::I32 => self.as_i64() as i32 as u32,
            DType::U32 | DType::U8 => self.as_i64() as u32,
            DType::Bool => u32::from(self.as_bool()),
        }
    }

    /// Bits that are equal exactly when the values are the same (NaN equals itself, 0.0 is not -0.0).
    pub fn key(self) -> (u8, u64) {
        match self {
            Scalar::Float(value) => (0, value.to_bits()),
            Scalar::Int(value) => (1, value as u64),
            Scalar::Bool(value) => (2, u64::from(value)),
        }
    }
}

impl PartialEq for Scalar {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Scalar {}

impl std::hash::Hash for Scalar {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

impl std::fmt::Display for Scalar {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Scalar::Float(value) => write!(formatter, "{value:?}"),
            Scalar::Int(value) => write!(formatter, "{value}"),
            Scalar::Bool(value) => write!(formatter, "{value}"),
        }
    }
}

macro_rules! scalar_from {
    ($variant:ident as $wide:ty: $($narrow:ty),*) => {
        $(impl From<$narrow> for Scalar {
            fn from(value: $narrow) -> Self {
                Scalar::$variant(<$wide>::from(value))
            }
        })*
    };
}

scalar_from!(Float as f64: f32, f64, f16, bf16);
scalar_from!(Int as i64: i32, u32, u8, i64);
scalar_from!(Bool as bool: bool);

mod sealed {
    pub trait Sealed {}
}

/// A Rust type that can be an element of a tensor.
pub trait Element:
    sealed::Sealed + Copy + Send + Sync + std::fmt::Debug + Into<Scalar> + 'static
{
    /// The tag of this type.
    const DTYPE: DType;

    /// The elements as bytes in host order.
    fn to_bytes(values: &[Self]) -> std::borrow::Cow<'_, [u8]>;

    /// Elements from bytes in host order; bytes past the last whole element are ignored.
    fn from_bytes(bytes: &[u8]) -> Vec<Self>;
}

macro_rules! pod_element {
    ($($rust:ty => $dtype:ident),*) => {
        $(impl sealed::Sealed for $rust {}
        impl Element for $rust {
            const DTYPE: DType = DType::$dtype;

            fn to_bytes(values: &[Self]) -> std::borrow::Cow<'_, [u8]> {
                bytemuck::cast_slice(values).into()
            }

            fn from_bytes(bytes: &[u8]) -> Vec<Self> {
                match bytemuck::try_cast_slice(bytes) {
                    Ok(values) => values.to_vec(),
                    Err(_) => bytes
                        .chunks_exact(size_of::<Self>())
                        .map(bytemuck::pod_read_unaligned)
                        .collect(),
                }
            }
        })*
    };
}

pod_element!(f32 => F32, f64 => F64, f16 => F16, bf16 => BF16, i32 => I32, u32 => U32, u8 => U8);

impl sealed::Sealed for bool {}

impl Element for bool {
    const DTYPE: DType = DType::Bool;

    fn to_bytes(values: &[Self]) -> std::borrow::Cow<'_, [u8]> {
        bytemuck::cast_slice(values).into()
    }

    fn from_bytes(bytes: &[u8]) -> Vec<Self> {
        bytes.iter().map(|&byte| byte != 0).collect()
    }
}

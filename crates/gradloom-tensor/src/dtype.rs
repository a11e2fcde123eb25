//! Element types: the runtime tag [`DType`], the sealed trait [`Element`] of Rust types that carry it,
//! and [`Scalar`], one value of any of them.
//!
//! 16-bit integers and unsigned 64-bit ones are absent on purpose: nothing computes faster in them than in
//! what is here, and files that hold them are read as `i32`, checked.

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
    /// Signed 32-bit integer, the default; arithmetic wraps.
    I32,
    /// Signed 64-bit integer, on the CPU only; arithmetic wraps.
    I64,
    /// Signed byte; arithmetic wraps.
    I8,
    /// Unsigned 32-bit integer; arithmetic wraps.
    U32,
    /// Unsigned byte; arithmetic wraps.
    U8,
    /// Truth value, one byte.
    Bool,
}

impl DType {
    /// The largest finite number of a floating-point type, infinity for others.
    pub fn float_max(self) -> f64 {
        match self {
            DType::F64 => f64::MAX,
            DType::F32 => f64::from(f32::MAX),
            DType::F16 => half::f16::MAX.to_f64(),
            DType::BF16 => half::bf16::MAX.to_f64(),
            DType::I64 | DType::I32 | DType::I8 | DType::U32 | DType::U8 | DType::Bool => {
                f64::INFINITY
            }
        }
    }

    /// Every dtype, in declaration order.
    pub const ALL: [DType; 10] = [
        DType::F32,
        DType::F64,
        DType::F16,
        DType::BF16,
        DType::I32,
        DType::I64,
        DType::I8,
        DType::U32,
        DType::U8,
        DType::Bool,
    ];

    /// Bytes of one element in host memory.
    pub const fn size(self) -> usize {
        match self {
            DType::F64 | DType::I64 => 8,
            DType::F32 | DType::I32 | DType::U32 => 4,
            DType::F16 | DType::BF16 => 2,
            DType::I8 | DType::U8 | DType::Bool => 1,
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
            DType::I64 => "i64",
            DType::I8 => "i8",
            DType::U32 => "u32",
            DType::U8 => "u8",
            DType::Bool => "bool",
        }
    }

    /// True for the four floating-point types.
    pub const fn is_float(self) -> bool {
        matches!(self, DType::F32 | DType::F64 | DType::F16 | DType::BF16)
    }

    /// True for `i8`, `i32`, `i64`, `u8` and `u32`.
    pub const fn is_int(self) -> bool {
        self.is_signed_int() || self.is_unsigned_int()
    }

    /// True for `i8`, `i32` and `i64`.
    pub const fn is_signed_int(self) -> bool {
        matches!(self, DType::I32 | DType::I64 | DType::I8)
    }

    /// True for `u8` and `u32`.
    pub const fn is_unsigned_int(self) -> bool {
        matches!(self, DType::U32 | DType::U8)
    }

    /// The least and the largest number of an integer dtype (of bool 0 and 1); `None` for floats.
    pub const fn int_range(self) -> Option<(i64, i64)> {
        Some(match self {
            DType::I64 => (i64::MIN, i64::MAX),
            DType::I32 => (i32::MIN as i64, i32::MAX as i64),
            DType::I8 => (i8::MIN as i64, i8::MAX as i64),
            DType::U32 => (0, u32::MAX as i64),
            DType::U8 => (0, u8::MAX as i64),
            DType::Bool => (0, 1),
            DType::F32 | DType::F64 | DType::F16 | DType::BF16 => return None,
        })
    }

    /// An integer as this integer dtype keeps it: its lowest bits. Bool keeps whether it is not zero, and
    /// floats are left alone.
    pub const fn wrap(self, value: i64) -> i64 {
        match self {
            DType::I32 => value as i32 as i64,
            DType::I8 => value as i8 as i64,
            DType::U32 => value as u32 as i64,
            DType::U8 => value as u8 as i64,
            DType::Bool => (value != 0) as i64,
            DType::I64 | DType::F32 | DType::F64 | DType::F16 | DType::BF16 => value,
        }
    }

    /// The type that arithmetic on this dtype is done in: f16 and bf16 compute in f32, u8 in u32, i8 in
    /// i32.
    pub const fn compute(self) -> DType {
        match self {
            DType::F16 | DType::BF16 => DType::F32,
            DType::U8 => DType::U32,
            DType::I8 => DType::I32,
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
            DType::I32 | DType::I64 | DType::I8 | DType::U32 | DType::U8 => {
                Scalar::Int(self.as_i64())
            }
            DType::F32 | DType::F64 | DType::F16 | DType::BF16 => Scalar::Float(self.as_f64()),
        }
    }

    /// A 32-bit word as a kernel of compute type `dtype` reads it (f64 and i64 excluded); halves are
    /// rounded.
    pub fn word(self, dtype: DType) -> u32 {
        match dtype {
            DType::F32 | DType::F64 => (self.as_f64() as f32).to_bits(),
            DType::F16 => rounding::to_f16(self.as_f64()).to_f32().to_bits(),
            DType::BF16 => rounding::to_bf16(self.as_f64()).to_f32().to_bits(),
            DType::I8 => self.as_i64() as i8 as u32,
            DType::I32 | DType::I64 | DType::U32 | DType::U8 => self.as_i64() as u32,
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
scalar_from!(Int as i64: i8, i32, u8, u32, i64);
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

    /// Bytes that a backend holds, as the elements that they are.
    ///
    /// # Panics
    /// If they are not whole elements at an address where such may be.
    fn of_bytes(bytes: &[u8]) -> &[Self];

    /// As [`Element::of_bytes`], to be filled.
    ///
    /// # Panics
    /// As [`Element::of_bytes`].
    fn of_bytes_mut(bytes: &mut [u8]) -> &mut [Self];
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

            fn of_bytes(bytes: &[u8]) -> &[Self] {
                if bytes.is_empty() { &[] } else { bytemuck::cast_slice(bytes) }
            }

            fn of_bytes_mut(bytes: &mut [u8]) -> &mut [Self] {
                if bytes.is_empty() { &mut [] } else { bytemuck::cast_slice_mut(bytes) }
            }
        })*
    };
}

pod_element!(
    f32 => F32, f64 => F64, f16 => F16, bf16 => BF16, i32 => I32, i64 => I64, i8 => I8, u32 => U32, u8 => U8
);

impl sealed::Sealed for bool {}

impl Element for bool {
    const DTYPE: DType = DType::Bool;

    fn to_bytes(values: &[Self]) -> std::borrow::Cow<'_, [u8]> {
        bytemuck::cast_slice(values).into()
    }

    fn from_bytes(bytes: &[u8]) -> Vec<Self> {
        bytes.iter().map(|&byte| byte != 0).collect()
    }

    fn of_bytes(bytes: &[u8]) -> &[Self] {
        bytemuck::checked::cast_slice(bytes)
    }

    fn of_bytes_mut(bytes: &mut [u8]) -> &mut [Self] {
        bytemuck::checked::cast_slice_mut(bytes)
    }
}

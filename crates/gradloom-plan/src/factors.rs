//! [`Factors`]: what products and convolutions multiply, and the casts that they make of it.

use gradloom_tensor::DType;

/// What products and convolutions multiply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Factors {
    /// The dtype in which the operands are multiplied.
    pub dtype: DType,
    /// Casts of the operands that are made as they are read. An operand without one is stored in `dtype`.
    pub casts: [Option<FactorCast>; 2],
}

/// A cast of an operand, element by element as it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FactorCast {
    /// What stored elements are rounded to: [`Factors::dtype`], or a narrower float, whose values that
    /// dtype has.
    pub dtype: DType,
    /// The graph node that rounds, see [`Prepared::nodes`](crate::Prepared::nodes).
    pub node: usize,
}

impl Factors {
    /// Operands that are stored in the dtype that they are multiplied in.
    pub fn of(dtype: DType) -> Factors {
        Factors { dtype, casts: [None; 2] }
    }

    /// What an operand, 0 or 1, is rounded to before it is multiplied.
    pub fn read_as(&self, operand: usize) -> DType {
        self.casts[operand].map_or(self.dtype, |cast| cast.dtype)
    }

    /// True if an operand of a stored dtype can be read.
    pub fn reads(&self, operand: usize, stored: DType) -> bool {
        match self.casts[operand] {
            None => stored == self.dtype,
            Some(FactorCast { dtype, .. }) => {
                is_cast_on_read(stored, dtype)
                    && (dtype == self.dtype || is_narrow(dtype) && self.dtype == DType::F32)
            }
        }
    }
}

/// True for a cast that can be made of each element as it is read: between floats whose arithmetic is that
/// of f32.
pub(crate) fn is_cast_on_read(from: DType, to: DType) -> bool {
    is_narrow(from) && is_narrow(to)
}

fn is_narrow(dtype: DType) -> bool {
    dtype.is_float() && dtype != DType::F64
}

//! Operands and results of a custom op: their types, and their elements in host memory.

use crate::{DType, Element, Shape, Tensor};

/// Shape and dtype of an operand or result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TensorType {
    /// Sizes of the axes.
    pub shape: Shape,
    /// Element type.
    pub dtype: DType,
}

impl TensorType {
    /// A type of this shape and dtype.
    pub fn new(shape: impl Into<Shape>, dtype: DType) -> TensorType {
        TensorType { shape: shape.into(), dtype }
    }

    /// The type of a tensor.
    pub fn of(tensor: &Tensor) -> TensorType {
        TensorType { shape: *tensor.shape(), dtype: tensor.dtype() }
    }

    pub(super) fn bytes(&self) -> usize {
        self.shape.count() * self.dtype.size()
    }
}

impl std::fmt::Display for TensorType {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} {}", self.dtype, self.shape)
    }
}

/// An operand in host memory, its elements in row-major order.
#[derive(Clone, Copy, Debug)]
pub struct HostOperand<'a> {
    /// Its type.
    pub of: TensorType,
    pub(super) bytes: &'a [u8],
}

impl<'a> HostOperand<'a> {
    /// The elements.
    ///
    /// # Panics
    /// If they are of another dtype.
    #[track_caller]
    pub fn elements<T: Element>(&self) -> &'a [T] {
        check_dtype::<T>(self.of.dtype);
        T::of_bytes(self.bytes)
    }
}

/// A result in host memory, to be filled in row-major order.
#[derive(Debug)]
pub struct HostResult<'a> {
    /// Its type.
    pub of: TensorType,
    pub(super) bytes: &'a mut [u8],
}

impl HostResult<'_> {
    /// The elements.
    ///
    /// # Panics
    /// If they are of another dtype.
    #[track_caller]
    pub fn elements<T: Element>(&mut self) -> &mut [T] {
        check_dtype::<T>(self.of.dtype);
        T::of_bytes_mut(self.bytes)
    }
}

#[track_caller]
fn check_dtype<T: Element>(dtype: DType) {
    assert!(T::DTYPE == dtype, "elements are {dtype}, not {}", T::DTYPE);
}

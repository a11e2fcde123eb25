//! [`Shape`]: the sizes of a tensor's axes, by value and without allocation.

use crate::called::demand;
use std::ops::Deref;

/// The largest number of axes.
pub const RANK_MAX: usize = 8;

/// The most elements of a tensor: their bytes, and distances between them, fit an `isize`.
const ADDRESSABLE_MAX: usize = isize::MAX as usize / size_of::<f64>();

/// The sizes of the axes, outermost first. A scalar has none.
///
/// Derefs to a slice, so `shape[0]`, `shape.len()` and iteration work.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Shape {
    rank: u8,
    dims: [usize; RANK_MAX],
}

impl Shape {
    /// The shape of a single number.
    pub const SCALAR: Shape = Shape { rank: 0, dims: [0; RANK_MAX] };

    /// A shape from sizes.
    ///
    /// # Panics
    /// If there are more than [`RANK_MAX`] axes.
    #[track_caller]
    pub fn new(dims: &[usize]) -> Self {
        demand!(
            dims.len() <= RANK_MAX,
            "shape: {} axes, but at most {RANK_MAX} are supported: {dims:?}",
            dims.len()
        );
        let mut shape = Shape { rank: dims.len() as u8, dims: [0; RANK_MAX] };
        shape.dims[..dims.len()].copy_from_slice(dims);
        shape
    }

    /// Number of axes.
    pub fn rank(&self) -> usize {
        usize::from(self.rank)
    }

    /// Number of elements: the product of the sizes, 1 for a scalar. A product that no `usize` holds is
    /// the largest `usize`, which is the count of no tensor.
    pub fn count(&self) -> usize {
        if self.contains(&0) {
            return 0;
        }
        self.iter().fold(1, |product: usize, &size| product.saturating_mul(size))
    }

    /// Number of elements, or `None` if it overflows: for sizes that come from outside the program.
    pub fn checked_count(&self) -> Option<usize> {
        self.iter().try_fold(1usize, |product, &size| product.checked_mul(size))
    }

    /// True if elements of any dtype in this shape have addresses. A tensor's shape always is: also the
    /// product of some of its sizes, and of all but those that are zero, is far from overflowing.
    pub fn is_addressable(&self) -> bool {
        let product = self
            .iter()
            .filter(|&&size| size != 0)
            .try_fold(1usize, |product, &size| product.checked_mul(size));
        product.is_some_and(|product| product <= ADDRESSABLE_MAX)
    }

    /// The sizes as a slice.
    pub fn dims(&self) -> &[usize] {
        &self.dims[..self.rank()]
    }

    /// A copy with the size of one axis replaced.
    ///
    /// # Panics
    /// If `axis` is out of range.
    #[must_use]
    pub fn with(&self, axis: usize, size: usize) -> Shape {
        let mut shape = *self;
        demand!(axis < self.rank(), "shape: axis {axis} out of range for {self:?}");
        shape.dims[axis] = size;
        shape
    }

    /// Row-major strides in elements.
    pub fn strides(&self) -> [isize; RANK_MAX] {
        let mut strides = [0; RANK_MAX];
        let mut stride = 1isize;
        for axis in (0..self.rank()).rev() {
            strides[axis] = stride;
            stride = stride.saturating_mul(self.dims[axis] as isize);
        }
        strides
    }
}

impl Deref for Shape {
    type Target = [usize];

    fn deref(&self) -> &[usize] {
        self.dims()
    }
}

impl FromIterator<usize> for Shape {
    fn from_iter<I: IntoIterator<Item = usize>>(sizes: I) -> Self {
        let mut shape = Shape::SCALAR;
        for size in sizes {
            demand!(shape.rank() < RANK_MAX, "shape: more than {RANK_MAX} axes");
            shape.dims[shape.rank()] = size;
            shape.rank += 1;
        }
        shape
    }
}

impl std::fmt::Debug for Shape {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{:?}", self.dims())
    }
}

impl std::fmt::Display for Shape {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{:?}", self.dims())
    }
}

impl From<&[usize]> for Shape {
    #[track_caller]
    fn from(dims: &[usize]) -> Self {
        Shape::new(dims)
    }
}

impl From<&Shape> for Shape {
    fn from(shape: &Shape) -> Self {
        *shape
    }
}

impl From<usize> for Shape {
    fn from(size: usize) -> Self {
        Shape::new(&[size])
    }
}

impl From<()> for Shape {
    fn from((): ()) -> Self {
        Shape::SCALAR
    }
}

impl<const N: usize> From<[usize; N]> for Shape {
    #[track_caller]
    fn from(dims: [usize; N]) -> Self {
        Shape::new(&dims)
    }
}

impl<const N: usize> From<&[usize; N]> for Shape {
    #[track_caller]
    fn from(dims: &[usize; N]) -> Self {
        Shape::new(dims)
    }
}

impl PartialEq<[usize]> for Shape {
    fn eq(&self, other: &[usize]) -> bool {
        self.dims() == other
    }
}

impl<const N: usize> PartialEq<[usize; N]> for Shape {
    fn eq(&self, other: &[usize; N]) -> bool {
        self.dims() == other
    }
}

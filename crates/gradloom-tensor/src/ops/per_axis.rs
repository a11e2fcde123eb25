//! Sizes of windows as callers write them: one for each axis, or one for all.

/// One size for each of `N` axes: an array, or a number for all of them.
pub trait PerAxis<const N: usize> {
    /// The sizes in the order of the axes.
    fn per_axis(self) -> [usize; N];
}

impl<const N: usize> PerAxis<N> for [usize; N] {
    fn per_axis(self) -> [usize; N] {
        self
    }
}

impl<const N: usize> PerAxis<N> for usize {
    fn per_axis(self) -> [usize; N] {
        [self; N]
    }
}

/// Padding before and after each of `N` axes. Below zero it cuts elements off.
///
/// Made from one number for all sides (`1`), one for both sides of each axis (`[1, 2]`), or both sides of
/// each axis (`[[0, 1], [2, 2]]`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Padding<const N: usize>(pub [[isize; 2]; N]);

impl<const N: usize> Padding<N> {
    /// Nothing.
    pub const NONE: Padding<N> = Padding([[0, 0]; N]);

    /// What gives as many windows at distance one as there are elements. PyTorch: `padding="same"`; what
    /// is odd is more after than before.
    pub fn same(kernel: impl PerAxis<N>, dilation: impl PerAxis<N>) -> Self {
        let (kernel, dilation) = (kernel.per_axis(), dilation.per_axis());
        Padding(std::array::from_fn(|axis| {
            let total = dilation[axis].saturating_mul(kernel[axis].saturating_sub(1));
            [signed(total / 2), signed(total - total / 2)]
        }))
    }

    /// What is added on each side.
    pub(crate) fn added(&self) -> [[usize; 2]; N] {
        self.0.map(|sides| sides.map(|size| size.max(0).unsigned_abs()))
    }

    /// What is cut off on each side.
    pub(crate) fn cut(&self) -> [[usize; 2]; N] {
        self.0.map(|sides| sides.map(|size| size.min(0).unsigned_abs()))
    }
}

/// A size that no `isize` holds is larger than any tensor, and so is the largest `isize`.
fn signed(size: usize) -> isize {
    isize::try_from(size).unwrap_or(isize::MAX)
}

impl<const N: usize> From<usize> for Padding<N> {
    fn from(size: usize) -> Self {
        Padding([[signed(size); 2]; N])
    }
}

impl<const N: usize> From<[usize; N]> for Padding<N> {
    fn from(sizes: [usize; N]) -> Self {
        Padding(sizes.map(|size| [signed(size); 2]))
    }
}

impl<const N: usize> From<[[isize; 2]; N]> for Padding<N> {
    fn from(sizes: [[isize; 2]; N]) -> Self {
        Padding(sizes)
    }
}

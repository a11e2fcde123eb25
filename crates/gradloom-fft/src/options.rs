//! [`FftOptions`]: which axes are transformed, how long they are made, and how results are scaled.

/// How results are scaled, as PyTorch's `norm`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Norm {
    /// Inverse transforms by `1 / n`, others not.
    #[default]
    Backward,
    /// All by `1 / sqrt(n)`, so that they keep lengths.
    Ortho,
    /// Others by `1 / n`, inverse transforms not.
    Forward,
}

impl Norm {
    /// What results of a transform of so many numbers are multiplied with.
    pub(crate) fn factor(self, n: usize, inverse: bool) -> f64 {
        match (self, inverse) {
            (Norm::Backward, true) | (Norm::Forward, false) => 1.0 / n as f64,
            (Norm::Ortho, _) => 1.0 / (n as f64).sqrt(),
            (Norm::Backward, false) | (Norm::Forward, true) => 1.0,
        }
    }

    /// The same for the transform the other way.
    pub(crate) fn swapped(self) -> Norm {
        match self {
            Norm::Backward => Norm::Forward,
            Norm::Ortho => Norm::Ortho,
            Norm::Forward => Norm::Backward,
        }
    }
}

/// Options of the transforms. Those along one axis take one axis, the last, if none is named; the others take
/// all, or the last two.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FftOptions {
    pub(crate) sizes: Option<Vec<usize>>,
    pub(crate) axes: Option<Vec<isize>>,
    pub(crate) norm: Norm,
}

impl FftOptions {
    /// The last axis or axes as they are, inverse transforms scaled.
    pub fn new() -> FftOptions {
        FftOptions::default()
    }

    /// Cuts or pads the axis with zeros to this length; of an inverse transform to real numbers the length of
    /// the result. PyTorch's `n`.
    #[must_use]
    pub fn size(self, n: usize) -> FftOptions {
        self.sizes(&[n])
    }

    /// Cuts or pads the axes with zeros to these lengths. PyTorch's `s`.
    #[must_use]
    pub fn sizes(self, sizes: &[usize]) -> FftOptions {
        FftOptions { sizes: Some(sizes.to_vec()), ..self }
    }

    /// Transforms this axis; negative ones count from the end.
    #[must_use]
    pub fn axis(self, axis: isize) -> FftOptions {
        self.axes(&[axis])
    }

    /// Transforms these axes, the last one first.
    #[must_use]
    pub fn axes(self, axes: &[isize]) -> FftOptions {
        FftOptions { axes: Some(axes.to_vec()), ..self }
    }

    /// Scales results so.
    #[must_use]
    pub fn norm(self, norm: Norm) -> FftOptions {
        FftOptions { norm, ..self }
    }
}

//! [`IntoBatchAxes`]: how `in_axes` and `out_axes` of [`vmap`](fn@crate::vmap) are written.

/// Along which axis the examples lie: one number for all tensors, or one for each, `None` for a tensor
/// without. Negative axes count from the end.
pub trait IntoBatchAxes {
    /// The axes.
    fn batch_axes(self) -> BatchAxes;
}

/// The axis of examples of each tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BatchAxes {
    /// The same axis of all of them.
    All(Option<isize>),
    /// One for each.
    Each(Vec<Option<isize>>),
}

impl BatchAxes {
    /// The axis of a tensor.
    pub(crate) fn of(&self, position: usize) -> Option<isize> {
        match self {
            BatchAxes::All(axis) => *axis,
            BatchAxes::Each(axes) => axes[position],
        }
    }

    /// Panics unless there is one for each tensor.
    #[track_caller]
    pub(crate) fn check(&self, name: &str, what: &str, count: usize) {
        let BatchAxes::Each(axes) = self else { return };
        assert!(
            axes.len() == count,
            "vmap: {name} has {} entries for {count} {what}s; give one for each, or one number for all",
            axes.len()
        );
    }
}

impl IntoBatchAxes for BatchAxes {
    fn batch_axes(self) -> BatchAxes {
        self
    }
}

macro_rules! into_batch_axes {
    ($number:ty) => {
        impl IntoBatchAxes for $number {
            fn batch_axes(self) -> BatchAxes {
                BatchAxes::All(Some(self as isize))
            }
        }

        impl IntoBatchAxes for Option<$number> {
            fn batch_axes(self) -> BatchAxes {
                BatchAxes::All(self.map(|axis| axis as isize))
            }
        }

        impl IntoBatchAxes for &[Option<$number>] {
            fn batch_axes(self) -> BatchAxes {
                BatchAxes::Each(self.iter().map(|axis| axis.map(|axis| axis as isize)).collect())
            }
        }

        impl<const N: usize> IntoBatchAxes for [Option<$number>; N] {
            fn batch_axes(self) -> BatchAxes {
                self.as_slice().batch_axes()
            }
        }

        impl<const N: usize> IntoBatchAxes for &[Option<$number>; N] {
            fn batch_axes(self) -> BatchAxes {
                self.as_slice().batch_axes()
            }
        }

        impl IntoBatchAxes for Vec<Option<$number>> {
            fn batch_axes(self) -> BatchAxes {
                self.as_slice().batch_axes()
            }
        }

        impl<const N: usize> IntoBatchAxes for [$number; N] {
            fn batch_axes(self) -> BatchAxes {
                BatchAxes::Each(self.iter().map(|&axis| Some(axis as isize)).collect())
            }
        }
    };
}

into_batch_axes!(isize);
into_batch_axes!(i32);

//! Views: other shapes and orders of the same elements. No node is made when nothing changes.
//!
//! A reshape of a reshape stays two nodes: a gradient may be asked at the inner one. Planners see
//! through both.

use crate::called::{Called, demand};
use crate::error::OrFail;
use crate::op::{Axes, Op, Permutation};
use crate::shape::RANK_MAX;
use crate::{DType, Scalar, Shape, Tensor, shape_rules};

/// Sizes for [`Tensor::reshape`]: arrays, slices, a [`Shape`] or one number; one size may be -1.
pub trait IntoShape {
    /// The sizes in order, -1 for the one that follows from the others.
    fn sizes(&self) -> Vec<isize>;
}

macro_rules! into_shape {
    ($($number:ty),*) => {
        $(impl IntoShape for $number {
            fn sizes(&self) -> Vec<isize> {
                vec![isize::try_from(*self).unwrap_or(isize::MAX)]
            }
        }

        impl IntoShape for [$number] {
            fn sizes(&self) -> Vec<isize> {
                self.iter().map(|&size| isize::try_from(size).unwrap_or(isize::MAX)).collect()
            }
        }

        impl<const N: usize> IntoShape for [$number; N] {
            fn sizes(&self) -> Vec<isize> {
                self[..].sizes()
            }
        }

        impl IntoShape for Vec<$number> {
            fn sizes(&self) -> Vec<isize> {
                self[..].sizes()
            }
        })*
    };
}

into_shape!(isize, i32, usize);

impl IntoShape for Shape {
    fn sizes(&self) -> Vec<isize> {
        self.dims().sizes()
    }
}

impl IntoShape for () {
    fn sizes(&self) -> Vec<isize> {
        Vec::new()
    }
}

impl<T: IntoShape + ?Sized> IntoShape for &T {
    fn sizes(&self) -> Vec<isize> {
        (**self).sizes()
    }
}

impl Tensor {
    /// The same elements in row-major order under another shape; one size may be -1.
    ///
    /// Panics if the number of elements changes. PyTorch: `torch.reshape`.
    ///
    /// ```
    /// # use gradloom_tensor::Tensor;
    /// # fn main() -> gradloom_tensor::Result<()> {
    /// # let device = gradloom_testkit::reference::device();
    /// let x = Tensor::arange(6, &device).reshape([2, 3]);
    /// assert_eq!(x.index(0, 1).to_vec::<i32>()?, [3, 4, 5]);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    #[must_use]
    pub fn reshape(&self, shape: impl IntoShape) -> Tensor {
        let shape = shape_rules::reshape(self.shape(), &shape.sizes()).or_fail();
        self.view(Op::Reshape, shape, shape == *self.shape())
    }

    /// Axes `from` to `to`, both included, as one.
    ///
    /// Panics if they are out of range or in the wrong order. PyTorch: `torch.flatten`.
    ///
    /// ```
    /// # use gradloom_tensor::{DType, Tensor};
    /// # fn main() -> gradloom_tensor::Result<()> {
    /// # let device = gradloom_testkit::reference::device();
    /// let x = Tensor::zeros([2, 3, 4], DType::F32, &device);
    /// assert_eq!(x.flatten(1, -1).shape()[..], [2, 12]);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    #[must_use]
    pub fn flatten(&self, from: isize, to: isize) -> Tensor {
        if self.rank() == 0 {
            return self.reshape([1usize]);
        }
        let first = self.axis("flatten", from);
        let last = self.axis("flatten", to);
        demand!(first <= last, "flatten: axis {from} comes after axis {to} in {}", self.shape());
        let shape = self.shape();
        let middle = shape[first..=last].iter().product();
        let sizes = shape[..first].iter().copied().chain([middle]);
        self.reshape(sizes.chain(shape[last + 1..].iter().copied()).collect::<Shape>())
    }

    /// Without an axis of size one.
    ///
    /// Panics if the axis is out of range or has another size. PyTorch: `torch.squeeze`, which
    /// ignores axes of other sizes.
    ///
    /// ```
    /// # use gradloom_tensor::{DType, Tensor};
    /// # fn main() -> gradloom_tensor::Result<()> {
    /// # let device = gradloom_testkit::reference::device();
    /// let x = Tensor::zeros([2, 1, 3], DType::F32, &device);
    /// assert_eq!(x.squeeze(1).shape()[..], [2, 3]);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    #[must_use]
    pub fn squeeze(&self, axis: isize) -> Tensor {
        let index = self.axis("squeeze", axis);
        let shape = self.shape();
        demand!(
            shape[index] == 1,
            "squeeze: axis {axis} of {shape} has size {}, not 1",
            shape[index]
        );
        self.reshape(shape_rules::without(shape, [index].into_iter().collect()))
    }

    /// With a new axis of size one at `axis`; -1 is after the last.
    ///
    /// Panics if the axis is out of range. PyTorch: `torch.unsqueeze`.
    ///
    /// ```
    /// # use gradloom_tensor::Tensor;
    /// # fn main() -> gradloom_tensor::Result<()> {
    /// # let device = gradloom_testkit::reference::device();
    /// let x = Tensor::arange(3, &device);
    /// assert_eq!((x.unsqueeze(0).shape()[0], x.unsqueeze(-1).shape()[1]), (1, 1));
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    #[must_use]
    pub fn unsqueeze(&self, axis: isize) -> Tensor {
        let axis = shape_rules::new_axis("unsqueeze", axis, self.rank()).or_fail();
        let mut sizes = self.shape().to_vec();
        sizes.insert(axis, 1);
        self.reshape(sizes)
    }

    /// Axis `i` of the result is axis `order[i]` of this tensor.
    ///
    /// Panics if `order` does not name each axis once. PyTorch: `torch.permute`.
    ///
    /// ```
    /// # use gradloom_tensor::{DType, Tensor};
    /// # fn main() -> gradloom_tensor::Result<()> {
    /// # let device = gradloom_testkit::reference::device();
    /// let x = Tensor::zeros([2, 3, 4], DType::F32, &device);
    /// assert_eq!(x.permute(&[2, 0, 1]).shape()[..], [4, 2, 3]);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    #[must_use]
    pub fn permute(&self, order: &[isize]) -> Tensor {
        let (shape, permutation) = shape_rules::permute(self.shape(), order).or_fail();
        let unchanged = permutation == Permutation::new(&Vec::from_iter(0..self.rank()));
        self.view(Op::Permute(permutation), shape, unchanged)
    }

    /// With two axes exchanged.
    ///
    /// Panics if one is out of range. PyTorch: `torch.transpose`.
    ///
    /// ```
    /// # use gradloom_tensor::Tensor;
    /// # fn main() -> gradloom_tensor::Result<()> {
    /// # let device = gradloom_testkit::reference::device();
    /// let x = Tensor::arange(6, &device).reshape([2, 3]);
    /// assert_eq!(x.transpose(0, 1).to_vec::<i32>()?, [0, 3, 1, 4, 2, 5]);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    #[must_use]
    pub fn transpose(&self, a: isize, b: isize) -> Tensor {
        let mut order = Vec::from_iter(0..self.rank() as isize);
        order.swap(self.axis("transpose", a), self.axis("transpose", b));
        self.permute(&order)
    }

    /// The transpose of a matrix: `[M, N] -> [N, M]`.
    ///
    /// Panics if there are not two axes. PyTorch: `torch.t`.
    #[track_caller]
    #[must_use]
    pub fn t(&self) -> Tensor {
        demand!(self.rank() == 2, "t: needs a matrix, got shape {}; use `transpose`", self.shape());
        self.permute(&[1, 0])
    }

    /// Axes of size one repeated, and new ones in front, to `shape`.
    ///
    /// Panics if another axis would change. PyTorch: `torch.broadcast_to`.
    ///
    /// ```
    /// # use gradloom_tensor::Tensor;
    /// # fn main() -> gradloom_tensor::Result<()> {
    /// # let device = gradloom_testkit::reference::device();
    /// let x = Tensor::new([1, 2], &device)?;
    /// assert_eq!(x.broadcast_to([2, 2]).to_vec::<i32>()?, [1, 2, 1, 2]);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    #[must_use]
    pub fn broadcast_to(&self, shape: impl Into<Shape>) -> Tensor {
        let _called = Called::op("broadcast_to");
        let shape = shape.into();
        shape_rules::broadcast_to("broadcast_to", self.shape(), &shape).or_fail();
        self.expand_to(shape)
    }

    /// In reversed order along the axes.
    ///
    /// Panics if one is out of range or named twice. PyTorch: `torch.flip`.
    #[track_caller]
    #[must_use]
    pub fn flip(&self, axes: impl crate::ops::reduce::IntoAxes) -> Tensor {
        let axes = axes.resolve("flip", self.rank()).or_fail();
        self.flip_axes(axes)
    }

    #[track_caller]
    pub(crate) fn flip_axes(&self, axes: Axes) -> Tensor {
        let axes: Axes = axes.iter().filter(|&axis| self.shape()[axis] > 1).collect();
        self.view(Op::Flip(axes), *self.shape(), axes.is_empty())
    }

    /// With zeros (false) around: `padding[i]` is how many come before and after along axis `i`.
    ///
    /// Panics if there is not one pair per axis or too many elements come of it. PyTorch: `F.pad`, which
    /// lists axes from the last.
    #[track_caller]
    #[must_use]
    pub fn pad(&self, padding: &[(usize, usize)]) -> Tensor {
        let shape = shape_rules::pad(self.shape(), padding).or_fail();
        let mut before = [0; RANK_MAX];
        for (axis, &(front, _)) in padding.iter().enumerate() {
            before[axis] = front;
        }
        self.view(Op::Pad { before }, shape, shape == *self.shape())
    }

    /// As [`Tensor::pad`] with `value` instead of zeros.
    ///
    /// Panics if there is not one pair per axis. PyTorch: `F.pad(value=...)`.
    #[track_caller]
    #[must_use]
    pub fn pad_value(&self, padding: &[(usize, usize)], value: impl Into<Scalar>) -> Tensor {
        let _called = Called::op("pad_value");
        let padded = self.pad(padding);
        if padded.shape() == self.shape() {
            return padded;
        }
        let inside = Tensor::constant(*self.shape(), true, DType::Bool, self.device());
        inside.pad(padding).select(&padded, padded.constant_like(value))
    }

    /// Shifted by `shift` along an axis; what leaves at one end comes back at the other.
    ///
    /// Panics if the axis is out of range. PyTorch: `torch.roll`.
    #[track_caller]
    #[must_use]
    pub fn roll(&self, shift: isize, axis: isize) -> Tensor {
        let index = self.axis("roll", axis);
        let size = self.shape()[index];
        let shift = if size == 0 { 0 } else { shift.rem_euclid(size as isize) as usize };
        if shift == 0 {
            return self.clone();
        }
        let tail = self.narrow(axis, size - shift, shift);
        Tensor::concat(&[tail, self.narrow(axis, 0, size - shift)], axis)
    }

    /// The whole tensor `counts[i]` times one after another along axis `i`; more counts than axes add
    /// axes in front.
    ///
    /// Panics if there are fewer counts than axes or too many elements. PyTorch: `torch.Tensor.repeat` (`torch.tile`).
    #[track_caller]
    #[must_use]
    pub fn repeat(&self, counts: &[usize]) -> Tensor {
        let _called = Called::op("repeat");
        demand!(
            counts.len() >= self.rank(),
            "repeat: {} counts for shape {}; give at least one per axis",
            counts.len(),
            self.shape()
        );
        let mut shape = Shape::new(&vec![1; counts.len() - self.rank()]).to_vec();
        shape.extend_from_slice(self.shape());
        let mut result = self.reshape(&shape);
        for (axis, &count) in counts.iter().enumerate().rev() {
            if count == 1 {
                continue;
            }
            // Three axes suffice for any rank: those before, the copies, and this axis with the rest.
            let outer: usize = shape[..axis].iter().product();
            let inner: usize = shape[axis..].iter().product();
            let repeated = Shape::new(&shape);
            shape[axis] = shape[axis].saturating_mul(count);
            demand!(
                Shape::new(&shape).is_addressable(),
                "repeat: {counts:?} times shape {repeated} has more elements than memory has addresses"
            );
            result = result
                .reshape([outer, 1, inner])
                .expand_to(Shape::new(&[outer, count, inner]))
                .reshape(&shape);
        }
        result
    }

    /// The index of an axis that may count from the end.
    #[track_caller]
    pub(crate) fn axis(&self, op: &str, axis: isize) -> usize {
        shape_rules::axis(op, axis, self.rank()).or_fail()
    }

    /// A view node, or this tensor if `unchanged`.
    #[track_caller]
    pub(crate) fn view(&self, op: Op, shape: Shape, unchanged: bool) -> Tensor {
        if unchanged {
            return self.clone();
        }
        Tensor::from_op(op, vec![self.clone()], shape, self.dtype(), self.device())
    }
}

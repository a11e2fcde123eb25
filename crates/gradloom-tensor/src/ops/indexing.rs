//! Reading and adding at indices that are themselves tensors.
//!
//! Indices are integers of any dtype, checked as they are and then `i32`: axes are no longer than that
//! counts. One outside its axis fails the evaluation, since its value is not known before; negative ones
//! do not count from the end.

use crate::called::Called;
use crate::error::OrFail;
use crate::op::Op;
use crate::shape_rules::{self, structured};
use crate::{DType, Shape, Tensor};

impl Tensor {
    /// `result[.., i, ..] = self[.., index[.., i, ..], ..]` along `axis`; the index has this tensor's
    /// shape but for that axis, and may be shorter in the others. The result has the index's shape. A tensor
    /// without axes counts as one of one element.
    ///
    /// Panics if shapes do not fit or the index is no integer tensor. PyTorch: `torch.gather`.
    ///
    /// ```
    /// # use gradloom_tensor::Tensor;
    /// # fn main() -> gradloom_tensor::Result<()> {
    /// # let device = gradloom_testkit::reference::device();
    /// let x = Tensor::new([[1.0f32, 2.0, 3.0], [4.0, 5.0, 6.0]], &device)?;
    /// let places = Tensor::new([[2], [0]], &device)?;
    /// assert_eq!(x.gather(1, &places).to_vec::<f32>()?, [3.0, 4.0]);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    #[must_use]
    pub fn gather(&self, axis: isize, index: &Tensor) -> Tensor {
        if self.rank() == 0 && index.rank() < 2 {
            let line = self.atleast_1d().gather(axis, &index.atleast_1d());
            return line.reshape_to(*index.shape());
        }
        let axis = self.axis("gather", axis);
        let part = self.beginning(index.shape(), Some(axis));
        structured::gather("gather", part.shape(), index.shape(), axis).or_fail();
        part.gather_checked(axis, &index.checked_index(self.shape()[axis], "gather"))
    }

    /// The first elements along each axis that is longer than in a shape of the same rank, but for one axis.
    #[track_caller]
    pub(super) fn beginning(&self, shape: &Shape, but: Option<usize>) -> Tensor {
        if shape.rank() != self.rank() {
            return self.clone();
        }
        let mut part = self.clone();
        for (axis, &size) in shape.iter().enumerate() {
            if but != Some(axis) && size < part.shape()[axis] {
                part = part.narrow(axis as isize, 0, size);
            }
        }
        part
    }

    /// This tensor plus the updates, each added at its index along `axis`; updates at one index add
    /// up in their order.
    ///
    /// Panics if shapes or dtypes do not fit. PyTorch: `torch.scatter_add`.
    ///
    /// ```
    /// # use gradloom_tensor::{DType, Tensor};
    /// # fn main() -> gradloom_tensor::Result<()> {
    /// # let device = gradloom_testkit::reference::device();
    /// let x = Tensor::zeros([3], DType::F32, &device);
    /// let (places, updates) = (Tensor::new([0, 2, 0], &device)?, Tensor::new([1.0f32, 5.0, 2.0], &device)?);
    /// assert_eq!(x.scatter_add(0, &places, &updates).to_vec::<f32>()?, [3.0, 0.0, 5.0]);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    #[must_use]
    pub fn scatter_add(&self, axis: isize, index: &Tensor, updates: &Tensor) -> Tensor {
        if self.rank() == 0 && index.rank() < 2 {
            let (index, updates) = (index.atleast_1d(), updates.atleast_1d());
            return self.atleast_1d().scatter_add(axis, &index, &updates).reshape_to(Shape::SCALAR);
        }
        shape_rules::same_dtype("scatter_add", self.dtype(), updates.dtype()).or_fail();
        self + &Tensor::scatter_add_zeros(*self.shape(), axis, index, updates)
    }

    /// Zeros of `shape` plus the updates, each added at its index along `axis`. The index may be shorter than
    /// the updates and, but for that axis, than the shape: only what it names is added.
    ///
    /// The transpose of [`Tensor::gather`]. Panics if shapes do not fit or the updates are bool.
    /// PyTorch: `torch.zeros(shape).scatter_add(axis, index, updates)`.
    #[track_caller]
    #[must_use]
    pub fn scatter_add_zeros(
        shape: impl Into<Shape>,
        axis: isize,
        index: &Tensor,
        updates: &Tensor,
    ) -> Tensor {
        let _called = Called::op("scatter_add");
        let shape = shape.into();
        let axis = shape_rules::axis("scatter_add", axis, shape.rank()).or_fail();
        let updates = &updates.beginning(index.shape(), None);
        let (mut part, mut padding) = (shape, vec![(0, 0); shape.rank()]);
        for (other, &size) in index.shape().iter().enumerate().take(shape.rank()) {
            if other != axis && size < shape[other] {
                part = part.with(other, size);
                padding[other] = (0, shape[other] - size);
            }
        }
        structured::scatter(&part, index.shape(), updates.shape(), axis).or_fail();
        shape_rules::number("scatter_add", updates.dtype()).or_fail();
        let index = index.checked_index(shape[axis], "scatter_add");
        let sums = index.scatter_add_checked(axis, updates, part);
        if part == shape { sums } else { sums.pad(&padding) }
    }

    /// Slices of this tensor along `axis`, one per element of an index of any rank: the index's axes
    /// take the place of `axis`.
    ///
    /// Panics if the axis is out of range or the index is no integer tensor. PyTorch:
    /// `torch.index_select` for a 1-D index, `numpy.take` in general.
    #[track_caller]
    #[must_use]
    pub fn take(&self, axis: isize, index: &Tensor) -> Tensor {
        let _called = Called::op("take");
        self.take_for("take", axis, index)
    }

    /// [`Tensor::take`] with a 1-D index. Of a tensor without axes it is that tensor.
    ///
    /// Panics if the index is not 1-D, or does not name the one element of a tensor without axes. PyTorch: `torch.index_select`.
    ///
    /// ```
    /// # use gradloom_tensor::Tensor;
    /// # fn main() -> gradloom_tensor::Result<()> {
    /// # let device = gradloom_testkit::reference::device();
    /// let x = Tensor::new([[1.0f32, 2.0, 3.0], [4.0, 5.0, 6.0]], &device)?;
    /// let rows = x.index_select(0, &Tensor::new([1, 1, 0], &device)?);
    /// assert_eq!(rows.index(1, 0).to_vec::<f32>()?, [4.0, 4.0, 1.0]);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    #[must_use]
    pub fn index_select(&self, axis: isize, index: &Tensor) -> Tensor {
        let shape = index.shape();
        structured::rank("index_select", "a 1-D index", shape, 1).or_fail();
        if self.rank() == 0 && shape.count() == 1 {
            return self.atleast_1d().index_select(axis, index).reshape_to(Shape::SCALAR);
        }
        self.take_for("index_select", axis, index)
    }

    /// Rows of this table `[V, D]`, one per element of the index `[..]`: `[.., D]`.
    ///
    /// Panics if this is no matrix or the index is no integer tensor. PyTorch:
    /// `F.embedding(index, self)`.
    #[track_caller]
    #[must_use]
    pub fn embedding(&self, index: &Tensor) -> Tensor {
        let shape = self.shape();
        structured::rank("embedding", "a table [V, D]", shape, 2).or_fail();
        self.take_for("embedding", 0, index)
    }

    #[track_caller]
    fn take_for(&self, op: &'static str, axis: isize, index: &Tensor) -> Tensor {
        let axis = self.axis(op, axis);
        let shape = self.shape();
        let checked = index.checked_index(shape[axis], op);
        // One index per slice, repeated over the slice's elements as `Op::Gather` wants it.
        let mut along = Shape::new(&vec![1; shape.rank()]);
        along = along.with(axis, index.count());
        let taken = shape.with(axis, index.count());
        let taken = self.gather_checked(axis, &checked.reshape(along).expand_to(taken));
        let before = shape[..axis].iter().chain(index.shape().iter());
        taken.reshape(before.chain(&shape[axis + 1..]).copied().collect::<Shape>())
    }

    /// This index, checked against `0..size` when it is evaluated, as `i32`: checked first, because a wide
    /// one may lose what makes it wrong.
    #[track_caller]
    pub(crate) fn checked_index(&self, size: usize, op: &'static str) -> Tensor {
        self.check_index(size, op).cast(DType::I32)
    }

    /// [`Op::Gather`] by an index that is known to be in range.
    #[track_caller]
    pub(crate) fn gather_checked(&self, axis: usize, index: &Tensor) -> Tensor {
        let inputs = vec![self.clone(), index.clone()];
        Tensor::from_op(Op::Gather { axis }, inputs, *index.shape(), self.dtype(), self.device())
    }

    /// [`Op::ScatterAdd`] by this index, which is known to be in range.
    #[track_caller]
    pub(crate) fn scatter_add_checked(
        &self,
        axis: usize,
        updates: &Tensor,
        shape: Shape,
    ) -> Tensor {
        let inputs = vec![self.clone(), updates.clone()];
        Tensor::from_op(Op::ScatterAdd { axis }, inputs, shape, updates.dtype(), self.device())
    }
}

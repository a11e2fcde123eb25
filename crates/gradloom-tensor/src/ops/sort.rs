//! Sorting along an axis.

use crate::called::{Called, demand};
use crate::error::OrFail;
use crate::op::Op;
use crate::{DType, Shape, Tensor, shape_rules};

impl Tensor {
    /// The indices (`i32`) that sort along an axis; stable, NaN counts as largest.
    ///
    /// Panics if the axis is out of range or longer than i32 counts, or the tensor is bool. PyTorch:
    /// `torch.argsort(stable=True)`.
    #[track_caller]
    #[must_use]
    pub fn argsort(&self, axis: isize, descending: bool) -> Tensor {
        let axis = self.axis("argsort", axis);
        shape_rules::number("argsort", self.dtype()).or_fail();
        shape_rules::countable("argsort", self.shape(), axis).or_fail();
        let op = Op::ArgSort { axis, descending };
        Tensor::from_op(op, vec![self.clone()], *self.shape(), DType::I32, self.device())
    }

    /// The sorted elements along an axis and their indices (`i32`); stable, NaN counts as largest.
    /// Gradients flow through the elements.
    ///
    /// Panics if the axis is out of range or the tensor is bool. PyTorch: `torch.sort(stable=True)`.
    ///
    /// ```
    /// # use gradloom_tensor::Tensor;
    /// # fn main() -> gradloom_tensor::Result<()> {
    /// # let device = gradloom_testkit::reference::device();
    /// let (sorted, order) = Tensor::new([3.0f32, 1.0, 2.0], &device)?.sort(0, false);
    /// assert_eq!((sorted.to_vec::<f32>()?, order.to_vec::<i32>()?), (vec![1.0, 2.0, 3.0], vec![1, 2, 0]));
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    #[must_use]
    pub fn sort(&self, axis: isize, descending: bool) -> (Tensor, Tensor) {
        let _called = Called::op("sort");
        let indices = self.argsort(axis, descending);
        (self.gather_checked(self.axis("sort", axis), &indices), indices)
    }

    /// The `count` largest (or smallest) elements along an axis in order, and their indices (`i32`). A tensor
    /// without axes is its own largest element.
    ///
    /// Panics if the axis is out of range or shorter than `count`. PyTorch: `torch.topk`.
    ///
    /// ```
    /// # use gradloom_tensor::Tensor;
    /// # fn main() -> gradloom_tensor::Result<()> {
    /// # let device = gradloom_testkit::reference::device();
    /// let x = Tensor::new([3.0f32, 1.0, 4.0, 1.5], &device)?;
    /// let (values, places) = x.topk(2, 0, true);
    /// assert_eq!((values.to_vec::<f32>()?, places.to_vec::<i32>()?), (vec![4.0, 3.0], vec![2, 0]));
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    #[must_use]
    pub fn topk(&self, count: usize, axis: isize, largest: bool) -> (Tensor, Tensor) {
        let _called = Called::op("topk");
        if self.rank() == 0 && count == 1 {
            let (line, index) = self.atleast_1d().topk(count, axis, largest);
            return (line.reshape_to(Shape::SCALAR), index.reshape_to(Shape::SCALAR));
        }
        let index = self.axis("topk", axis);
        let size = self.shape()[index];
        demand!(count <= size, "topk: {count} elements asked of axis {axis} of size {size}");
        let indices = self.argsort(axis, largest).narrow(axis, 0, count);
        (self.gather_checked(index, &indices), indices)
    }
}

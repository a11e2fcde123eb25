//! Joining tensors along an axis that is there ([`Tensor::concat`]) or new ([`Tensor::stack`]).

use std::borrow::Borrow;

use crate::called::demand;
use crate::error::OrFail;
use crate::op::Op;
use crate::promotion::{Typed, result_type};
use crate::shape_rules::{self, structured};
use crate::{Shape, Tensor};

impl Tensor {
    /// The tensors one after another along `axis`; other sizes agree, and dtypes meet in one. An empty line
    /// `[0]` among tensors of more axes does not count, as in PyTorch.
    ///
    /// Panics without tensors or if they do not fit. PyTorch: `torch.cat(tensors, dim=axis)`.
    ///
    /// ```
    /// # use gradloom_tensor::Tensor;
    /// # fn main() -> gradloom_tensor::Result<()> {
    /// # let device = gradloom_testkit::reference::device();
    /// let x = Tensor::new([[1, 2]], &device)?;
    /// assert_eq!(Tensor::concat(&[&x, &x], 0).to_vec::<i32>()?, [1, 2, 1, 2]);
    /// assert_eq!(Tensor::concat(&[&x, &x], 1).shape()[..], [1, 4]);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    #[must_use]
    pub fn concat<T: Borrow<Tensor>>(tensors: &[T], axis: isize) -> Tensor {
        let is_line = |tensor: &T| tensor.borrow().shape() == &[0][..];
        if tensors.iter().any(is_line) && tensors.iter().any(|tensor| tensor.borrow().rank() != 1) {
            let others = tensors.iter().filter(|&tensor| !is_line(tensor));
            return Tensor::concat(&others.map(Borrow::borrow).collect::<Vec<_>>(), axis);
        }
        let shapes: Vec<Shape> = tensors.iter().map(|tensor| *tensor.borrow().shape()).collect();
        let rank = shapes.first().map_or(1, Shape::rank);
        let axis = shape_rules::axis("concat", axis, rank).or_fail();
        let shape = structured::concat(&shapes, axis).or_fail();
        let first = tensors[0].borrow();
        let typed = tensors.iter().map(|tensor| Typed::from(tensor.borrow()));
        let dtype = result_type("concat", typed).or_fail();
        if tensors.len() == 1 {
            return first.clone();
        }
        let inputs = tensors.iter().map(|tensor| tensor.borrow().cast(dtype)).collect();
        Tensor::from_op(Op::Concat { axis }, inputs, shape, dtype, first.device())
    }

    /// The tensors, all of one shape, one after another along a new axis at `axis`.
    ///
    /// Panics without tensors or if shapes differ. PyTorch: `torch.stack(tensors, dim=axis)`.
    ///
    /// ```
    /// # use gradloom_tensor::Tensor;
    /// # fn main() -> gradloom_tensor::Result<()> {
    /// # let device = gradloom_testkit::reference::device();
    /// let x = Tensor::new([1, 2], &device)?;
    /// assert_eq!(Tensor::stack(&[&x, &x], 1).to_vec::<i32>()?, [1, 1, 2, 2]);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    #[must_use]
    pub fn stack<T: Borrow<Tensor>>(tensors: &[T], axis: isize) -> Tensor {
        demand!(!tensors.is_empty(), "stack: needs at least one operand");
        let first = *tensors[0].borrow().shape();
        for tensor in tensors {
            let shape = tensor.borrow().shape();
            demand!(*shape == first, "stack: shapes differ: {first} and {shape}");
        }
        let axis = shape_rules::new_axis("stack", axis, first.rank()).or_fail() as isize;
        let parts: Vec<Tensor> =
            tensors.iter().map(|tensor| tensor.borrow().unsqueeze(axis)).collect();
        Tensor::concat(&parts, axis)
    }
}

//! Tensors that formulas fill: constants, counts, masks.
//!
//! [`Tensor::constant`] is part of a plan's structure, [`Tensor::full`] an argument of it: use `full`
//! for numbers that change from step to step.

use super::elementwise::fit;
use crate::called::{Called, demand};
use crate::error::OrFail;
use crate::op::Op;
use crate::{DType, Device, Scalar, Shape, Tensor, shape_rules};

impl Tensor {
    /// One value everywhere, part of the plan's structure: for the constants of formulas. See
    /// [`Tensor::full`] for values that change.
    ///
    /// # Panics
    /// If the dtype cannot hold the value.
    #[track_caller]
    pub fn constant(
        shape: impl Into<Shape>,
        value: impl Into<Scalar>,
        dtype: DType,
        device: &Device,
    ) -> Tensor {
        let value = fit("constant", value.into(), dtype).or_fail();
        Tensor::from_op(Op::Constant(value), Vec::new(), shape.into(), dtype, device)
    }

    /// One value everywhere, an argument of the plan: changing it makes no new plan. PyTorch: `full`.
    ///
    /// # Panics
    /// If the dtype cannot hold the value.
    ///
    /// ```
    /// # use gradloom_tensor::{DType, Tensor};
    /// # fn main() -> gradloom_tensor::Result<()> {
    /// # let device = gradloom_testkit::reference::device();
    /// assert_eq!(Tensor::full([2], 0.5, DType::F32, &device).to_vec::<f32>()?, [0.5, 0.5]);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn full(
        shape: impl Into<Shape>,
        value: impl Into<Scalar>,
        dtype: DType,
        device: &Device,
    ) -> Tensor {
        let _called = Called::op("full");
        let value = fit("full", value.into(), dtype).or_fail();
        Tensor::from_op(Op::Argument(value), Vec::new(), shape.into(), dtype, device)
    }

    /// One value without axes, an argument of the plan. Panics if the dtype cannot hold it.
    #[track_caller]
    pub fn scalar(value: impl Into<Scalar>, dtype: DType, device: &Device) -> Tensor {
        Tensor::full((), value, dtype, device)
    }

    /// Zeros (false). PyTorch: `zeros`.
    ///
    /// ```
    /// # use gradloom_tensor::{DType, Tensor};
    /// # fn main() -> gradloom_tensor::Result<()> {
    /// # let device = gradloom_testkit::reference::device();
    /// assert_eq!(Tensor::zeros([2], DType::F32, &device).to_vec::<f32>()?, [0.0, 0.0]);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn zeros(shape: impl Into<Shape>, dtype: DType, device: &Device) -> Tensor {
        let _called = Called::op("zeros");
        Tensor::constant(shape, Scalar::Int(0).cast(dtype), dtype, device)
    }

    /// A tensor whose elements are to be written: zeros, since memory that others used is never shown. PyTorch:
    /// `empty`, `empty_strided` and `empty_permuted`, whose strides are nothing that a tensor here has.
    #[track_caller]
    pub fn empty(shape: impl Into<Shape>, dtype: DType, device: &Device) -> Tensor {
        Tensor::zeros(shape, dtype, device)
    }

    /// Ones (true). PyTorch: `ones`.
    ///
    /// ```
    /// # use gradloom_tensor::{DType, Tensor};
    /// # fn main() -> gradloom_tensor::Result<()> {
    /// # let device = gradloom_testkit::reference::device();
    /// assert_eq!(Tensor::ones([2], DType::I32, &device).to_vec::<i32>()?, [1, 1]);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn ones(shape: impl Into<Shape>, dtype: DType, device: &Device) -> Tensor {
        let _called = Called::op("ones");
        Tensor::constant(shape, Scalar::Int(1).cast(dtype), dtype, device)
    }

    /// What stands for an operand while a function is traced: for crates that transform functions, such as
    /// loops and batching. It has a shape and a dtype, and no value: evaluating what depends on it is an
    /// error.
    #[track_caller]
    pub fn placeholder(shape: impl Into<Shape>, dtype: DType, device: &Device) -> Tensor {
        Tensor::from_op(Op::Placeholder, Vec::new(), shape.into(), dtype, device)
    }

    /// Zeros in this tensor's shape, dtype and device. PyTorch: `zeros_like`.
    #[track_caller]
    #[must_use]
    pub fn zeros_like(&self) -> Tensor {
        Tensor::zeros(*self.shape(), self.dtype(), self.device())
    }

    /// [`Tensor::empty`] in this tensor's shape, dtype and device. PyTorch: `empty_like`.
    #[track_caller]
    #[must_use]
    pub fn empty_like(&self) -> Tensor {
        self.zeros_like()
    }

    /// Ones in this tensor's shape, dtype and device. PyTorch: `ones_like`.
    #[track_caller]
    #[must_use]
    pub fn ones_like(&self) -> Tensor {
        let _called = Called::op("ones_like");
        Tensor::ones(*self.shape(), self.dtype(), self.device())
    }

    /// [`Tensor::full`] in this tensor's shape, dtype and device. PyTorch: `full_like`.
    #[track_caller]
    #[must_use]
    pub fn full_like(&self, value: impl Into<Scalar>) -> Tensor {
        let _called = Called::op("full");
        Tensor::full(*self.shape(), value, self.dtype(), self.device())
    }

    /// [`Tensor::constant`] in this tensor's shape, dtype and device.
    #[track_caller]
    #[must_use]
    pub fn constant_like(&self, value: impl Into<Scalar>) -> Tensor {
        Tensor::constant(*self.shape(), value, self.dtype(), self.device())
    }

    /// The index along `axis`, as i32. Panics if the axis is out of range or longer than i32 counts.
    #[track_caller]
    pub fn iota(shape: impl Into<Shape>, axis: isize, device: &Device) -> Tensor {
        let shape = shape.into();
        let axis = shape_rules::axis("iota", axis, shape.rank()).or_fail();
        shape_rules::countable("iota", &shape, axis).or_fail();
        Tensor::from_op(Op::Iota { axis }, Vec::new(), shape, DType::I32, device)
    }

    /// `0, 1, .., n - 1` as i32. PyTorch: `arange(n)`.
    ///
    /// ```
    /// # use gradloom_tensor::Tensor;
    /// # fn main() -> gradloom_tensor::Result<()> {
    /// # let device = gradloom_testkit::reference::device();
    /// assert_eq!(Tensor::arange(3, &device).to_vec::<i32>()?, [0, 1, 2]);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn arange(n: usize, device: &Device) -> Tensor {
        let _called = Called::op("arange");
        Tensor::iota(n, 0, device)
    }

    /// `start, start + step, ..` before `end`. Start and step are arguments of the plan.
    /// PyTorch: `arange(start, end, step)`.
    ///
    /// # Panics
    /// If the step is zero or not finite, or the dtype cannot hold start and step.
    #[track_caller]
    pub fn arange_range(start: f64, end: f64, step: f64, dtype: DType, device: &Device) -> Tensor {
        let _called = Called::op("arange_range");
        let steps = ((end - start) / step).ceil();
        demand!(
            step != 0.0 && steps.is_finite(),
            "arange_range: no whole number of steps of {step} from {start} to {end}"
        );
        let compute = if dtype == DType::U8 { DType::I32 } else { dtype.compute() };
        let count = steps.max(0.0) as usize;
        let number = |value: f64| fit("arange_range", Scalar::Float(value), compute).or_fail();
        let (start, step) = (number(start), number(step));
        Tensor::arange(count, device).cast(compute).mul(step).add(start).cast(dtype)
    }

    /// `count` numbers at equal distances from `start` to `end`, both included; floats only.
    /// PyTorch: `linspace`.
    #[track_caller]
    pub fn linspace(start: f64, end: f64, count: usize, dtype: DType, device: &Device) -> Tensor {
        let _called = Called::op("linspace");
        shape_rules::float("linspace", dtype).or_fail();
        let step = if count > 1 { (end - start) / (count - 1) as f64 } else { 0.0 };
        let far = step.is_infinite() || (dtype != DType::F64 && (step as f32).is_infinite());
        if far && start.is_finite() && end.is_finite() {
            // Numbers so far apart that no number is their distance: half of it, twice.
            let ends = [start, end].map(|end| Tensor::scalar(end, dtype.compute(), device));
            return Tensor::linspace_between(&ends[0], &ends[1], count).cast(dtype);
        }
        let index = Tensor::arange(count, device);
        let forward = index.cast(dtype.compute()).mul(step).add(start);
        if count < 2 {
            return forward.cast(dtype);
        }
        // The second half counts back from the end, so that both ends are exact.
        let last = index.constant_like((count - 1) as i64);
        let backward = index.sub(last).cast(dtype.compute()).mul(step).add(end);
        let half = index.constant_like((count / 2) as i64);
        index.lt(half).select(forward, backward).cast(dtype)
    }

    /// `[n, n]` with ones on the diagonal, zeros elsewhere. PyTorch: `eye`.
    ///
    /// ```
    /// # use gradloom_tensor::{DType, Tensor};
    /// # fn main() -> gradloom_tensor::Result<()> {
    /// # let device = gradloom_testkit::reference::device();
    /// assert_eq!(Tensor::eye(2, DType::F32, &device).to_vec::<f32>()?, [1.0, 0.0, 0.0, 1.0]);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn eye(n: usize, dtype: DType, device: &Device) -> Tensor {
        let _called = Called::op("eye");
        Tensor::iota([n, n], 0, device).eq(Tensor::iota([n, n], 1, device)).cast(dtype)
    }

    /// The lower triangle of the last two axes, zeros (false) above `diagonal` (0 is the main one,
    /// positive ones are above). Panics on fewer than two axes. PyTorch: `tril`.
    #[track_caller]
    #[must_use]
    pub fn tril(&self, diagonal: isize) -> Tensor {
        let offset = self.diagonal_offset("tril");
        offset
            .le(offset.constant_like(i64::from(beyond_i32(diagonal))))
            .select(self, self.zeros_like())
    }

    /// The upper triangle of the last two axes, zeros (false) below `diagonal` (0 is the main one,
    /// positive ones are above). Panics on fewer than two axes. PyTorch: `triu`.
    #[track_caller]
    #[must_use]
    pub fn triu(&self, diagonal: isize) -> Tensor {
        let offset = self.diagonal_offset("triu");
        offset
            .ge(offset.constant_like(i64::from(beyond_i32(diagonal))))
            .select(self, self.zeros_like())
    }

    /// Column minus row of each element of the last two axes.
    #[track_caller]
    fn diagonal_offset(&self, op: &str) -> Tensor {
        let rank = self.rank();
        demand!(rank >= 2, "{op}: needs a matrix, not shape {}", self.shape());
        let matrix = Shape::new(&self.shape()[rank - 2..]);
        Tensor::iota(matrix, 1, self.device()).sub(Tensor::iota(matrix, 0, self.device()))
    }

    /// `[..] -> [.., classes]` in f32: one at the index, zeros elsewhere. Integers; an index outside
    /// `0..classes` fails the evaluation. PyTorch: `one_hot(..).float()`.
    ///
    /// ```
    /// # use gradloom_tensor::Tensor;
    /// # fn main() -> gradloom_tensor::Result<()> {
    /// # let device = gradloom_testkit::reference::device();
    /// let classes = Tensor::new([2, 0], &device)?;
    /// assert_eq!(classes.one_hot(3).to_vec::<f32>()?, [0.0, 0.0, 1.0, 1.0, 0.0, 0.0]);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    #[must_use]
    pub fn one_hot(&self, classes: usize) -> Tensor {
        let _called = Called::op("one_hot");
        let index = self.checked_index(classes, "one_hot");
        let column: Shape = self.shape().iter().copied().chain([1]).collect();
        let full = column.with(self.rank(), classes);
        let class = Tensor::iota(full, -1, self.device());
        index.reshape_to(column).expand_to(full).eq(class).cast(DType::F32)
    }
}

/// A diagonal as i32, in which all places are counted: those beyond it are as far off as its ends.
fn beyond_i32(diagonal: isize) -> i32 {
    diagonal.clamp(i32::MIN as isize, i32::MAX as isize) as i32
}

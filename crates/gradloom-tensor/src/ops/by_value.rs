//! Results whose shape depends on values, or that are a value of the host: they are computed at the call.

use crate::called::{Called, demand};
use crate::{DType, Element, Result, Shape, Tensor, bf16, f16, shape_rules};

/// What [`Tensor::unique`] gives.
#[derive(Clone, Debug)]
pub struct Unique {
    /// Each element, or each part along the axis, once. Gradients go to the first of equal ones.
    pub values: Tensor,
    /// Where each element (in the tensor's shape) or part (`[N]`) is among the values, i32.
    pub inverse: Tensor,
    /// How often each is there, i32.
    pub counts: Tensor,
}

impl Tensor {
    /// The places `[K, rank]`, i32, of elements that are not zero (or true), in row-major order. It is computed
    /// at the call, as the number of places is part of its shape; [`Tensor::nonzero_static`] has a fixed one.
    /// PyTorch: `nonzero`, `argwhere`.
    ///
    /// # Errors
    /// When the tensor cannot be computed.
    #[track_caller]
    pub fn nonzero(&self) -> Result<Tensor> {
        let strides = self.shape().strides();
        let mut places = Vec::new();
        let found = self.true_places()?;
        for &index in &found {
            for (axis, &size) in self.shape().iter().enumerate() {
                places.push((index as usize / strides[axis] as usize % size) as i32);
            }
        }
        Tensor::from_vec(places, [found.len(), self.rank()], self.device())
    }

    /// As [`Tensor::nonzero`], cut after `size` places or filled with `fill` up to so many: `[size, rank]`, i32.
    /// PyTorch: `nonzero_static`.
    ///
    /// Panics if there are more elements than i32 counts.
    #[track_caller]
    #[must_use]
    pub fn nonzero_static(&self, size: usize, fill: i32) -> Tensor {
        let _called = Called::op("nonzero_static");
        let count = self.count();
        let device = self.device();
        let rank = self.rank();
        let known = size.min(count);
        let all =
            if self.dtype() == DType::Bool { self.clone() } else { self.ne(self.constant_like(0)) };
        let all = all.reshape_to([count].into()).cast(DType::I32);
        let order = all.argsort(0, true).narrow(0, 0, known);
        let some = Tensor::iota([known], 0, device).lt(all.sum(..));
        let strides = self.shape().strides();
        let columns: Vec<Tensor> = self
            .shape()
            .iter()
            .enumerate()
            .map(|(axis, &length)| {
                some.select(order.div(strides[axis] as i64).rem(length as i64), fill as i64)
            })
            .collect();
        if columns.is_empty() {
            return Tensor::zeros([size, 0], DType::I32, device);
        }
        let found = Tensor::stack(&columns, 1);
        let rest = Tensor::full([size - known, rank], fill as i64, DType::I32, device);
        Tensor::concat(&[found, rest], 0)
    }

    /// The elements where a bool mask is true, `[K]`, in row-major order; both broadcast. The mask is computed
    /// at the call, as the number of elements is part of the shape; the elements are not, and gradients flow
    /// through them. PyTorch: `masked_select`.
    ///
    /// # Errors
    /// When the mask cannot be computed.
    ///
    /// # Panics
    /// If the mask is not bool, or the shapes do not broadcast.
    #[track_caller]
    pub fn masked_select(&self, mask: &Tensor) -> Result<Tensor> {
        let op = "masked_select";
        use crate::error::OrFail;
        shape_rules::boolean(op, mask.dtype()).or_fail();
        let shape = shape_rules::broadcast(op, self.shape(), mask.shape()).or_fail();
        let places = mask.expand_to(shape).true_places()?;
        let count = places.len();
        let index = Tensor::from_vec(places, [count], self.device())?;
        Ok(self.expand_to(shape).flat().take(0, &index))
    }

    /// The different elements in ascending order, each once, where each element is among them, and how often:
    /// `[..] -> [K]`. It is computed at the call, as the number of elements is part of the shape. Each NaN is an
    /// element of its own, after all others. PyTorch: `unique(return_inverse=True, return_counts=True)`.
    ///
    /// # Errors
    /// When the tensor cannot be computed.
    #[track_caller]
    pub fn unique(&self) -> Result<Unique> {
        self.flat().distinct(1, true, *self.shape())
    }

    /// As [`Tensor::unique`], of the parts along an axis, in the order of their elements: `[.., N, ..] ->
    /// [.., K, ..]`, and an inverse `[N]`. PyTorch: `unique(dim=..)`.
    ///
    /// # Errors
    /// When the tensor cannot be computed.
    ///
    /// # Panics
    /// If the axis is out of range, or there are parts without elements.
    #[track_caller]
    pub fn unique_along(&self, axis: isize) -> Result<Unique> {
        self.parts("unique_along", axis, true)
    }

    /// As [`Tensor::unique`], but only neighbours that are equal are one, and the order stays. PyTorch:
    /// `unique_consecutive`.
    ///
    /// # Errors
    /// When the tensor cannot be computed.
    #[track_caller]
    pub fn unique_consecutive(&self) -> Result<Unique> {
        self.flat().distinct(1, false, *self.shape())
    }

    /// As [`Tensor::unique_consecutive`], of the parts along an axis. PyTorch: `unique_consecutive(dim=..)`.
    ///
    /// # Errors
    /// When the tensor cannot be computed.
    ///
    /// # Panics
    /// If the axis is out of range, or there are parts without elements.
    #[track_caller]
    pub fn unique_consecutive_along(&self, axis: isize) -> Result<Unique> {
        self.parts("unique_consecutive_along", axis, false)
    }

    /// True if two tensors have one shape and equal elements; NaN equals nothing. It is computed at the call.
    /// PyTorch: `equal`.
    ///
    /// # Errors
    /// When they cannot be computed.
    ///
    /// # Panics
    /// If their dtypes do not meet.
    #[track_caller]
    pub fn equal(&self, other: &Tensor) -> Result<bool> {
        Ok(self.shape() == other.shape() && self.eq(other).all(..).item()? != 0.0)
    }

    /// True if all elements of two tensors, which broadcast, are close, as [`Tensor::isclose`] says. It is
    /// computed at the call. PyTorch: `allclose`.
    ///
    /// # Errors
    /// When they cannot be computed.
    ///
    /// # Panics
    /// As [`Tensor::isclose`].
    #[track_caller]
    pub fn allclose(
        &self,
        other: &Tensor,
        relative: f64,
        absolute: f64,
        equal_nan: bool,
    ) -> Result<bool> {
        Ok(self.isclose(other, relative, absolute, equal_nan).all(..).item()? != 0.0)
    }

    /// Row-major indices of elements that are not zero (or true).
    #[track_caller]
    fn true_places(&self) -> Result<Vec<i32>> {
        let all =
            if self.dtype() == DType::Bool { self.clone() } else { self.ne(self.constant_like(0)) };
        demand!(
            i32::try_from(self.count()).is_ok(),
            "nonzero: {} elements are more than i32 counts",
            self.count()
        );
        let all = all.to_vec::<bool>()?;
        let places = all.iter().enumerate().filter(|(_, some)| **some);
        Ok(places.map(|(index, _)| index as i32).collect())
    }

    #[track_caller]
    fn parts(&self, op: &'static str, axis: isize, sorted: bool) -> Result<Unique> {
        let _called = Called::op(op);
        let size = self.size(axis);
        let first = self.movedim(axis, 0);
        let width = first.shape()[1..].iter().product();
        demand!(
            size == 0 || width > 0,
            "{op}: the parts of {} along axis {axis} have no elements",
            self.shape()
        );
        let rows = first.reshape_to([size, width].into());
        let mut found = rows.distinct(width, sorted, [size].into())?;
        let count = found.values.shape()[0];
        let shape = first.shape().with(0, count);
        found.values = found.values.reshape_to(shape).movedim(0, axis);
        Ok(found)
    }

    /// The different rows of `[N, width]` (or elements of `[N]`), and their inverse in this shape.
    #[track_caller]
    fn distinct(&self, width: usize, sorted: bool, shape: Shape) -> Result<Unique> {
        let device = self.device();
        let groups = match self.dtype() {
            DType::F32 => self.groups::<f32>(width, sorted)?,
            DType::F64 => self.groups::<f64>(width, sorted)?,
            DType::F16 => self.groups::<f16>(width, sorted)?,
            DType::BF16 => self.groups::<bf16>(width, sorted)?,
            DType::I32 => self.groups::<i32>(width, sorted)?,
            DType::I64 => self.groups::<i64>(width, sorted)?,
            DType::I8 => self.groups::<i8>(width, sorted)?,
            DType::U32 => self.groups::<u32>(width, sorted)?,
            DType::U8 => self.groups::<u8>(width, sorted)?,
            DType::Bool => self.groups::<bool>(width, sorted)?,
        };
        let count = groups.first.len();
        let index = Tensor::from_vec(groups.first, [count], device)?;
        Ok(Unique {
            values: self.take(0, &index),
            inverse: Tensor::from_vec(groups.of, shape, device)?,
            counts: Tensor::from_vec(groups.counts, [count], device)?,
        })
    }

    #[track_caller]
    fn groups<T: Element + PartialOrd>(&self, width: usize, sorted: bool) -> Result<Groups> {
        let elements = self.to_vec::<T>()?;
        demand!(
            i32::try_from(elements.len()).is_ok(),
            "unique: {} elements are more than i32 counts",
            elements.len()
        );
        let count = elements.len().checked_div(width).unwrap_or(0);
        let row = |number: usize| &elements[number * width..][..width];
        let mut order: Vec<usize> = (0..count).collect();
        if sorted {
            order.sort_by(|&a, &b| compare(row(a), row(b)));
        }
        let mut groups = Groups { first: Vec::new(), of: vec![0; count], counts: Vec::new() };
        let mut before: Option<usize> = None;
        for number in order {
            // NaN is not equal to itself, so each is a group of its own.
            if before.is_none_or(|before| row(before) != row(number)) {
                groups.first.push(number as i32);
                groups.counts.push(0);
            }
            let last = groups.counts.len() - 1;
            groups.counts[last] += 1;
            groups.of[number] = last as i32;
            before = Some(number);
        }
        Ok(groups)
    }
}

/// Which rows are equal.
struct Groups {
    /// The first row of each group.
    first: Vec<i32>,
    /// The group of each row.
    of: Vec<i32>,
    /// Rows of each group.
    counts: Vec<i32>,
}

/// The order of rows by their elements, in which NaN is last.
fn compare<T: PartialOrd>(a: &[T], b: &[T]) -> std::cmp::Ordering {
    use std::cmp::Ordering;
    #[expect(clippy::eq_op, reason = "only NaN differs from itself")]
    let nan = |x: &T| x != x;
    let pairs = a.iter().zip(b);
    let mut orders = pairs.map(|(a, b)| a.partial_cmp(b).unwrap_or_else(|| nan(a).cmp(&nan(b))));
    orders.find(|order| *order != Ordering::Equal).unwrap_or(Ordering::Equal)
}

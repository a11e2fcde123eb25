//! Products, extremes and sums of exponentials along an axis, of all elements and running.
//!
//! They are composed of elementwise ops on shifted views, in as many rounds as the length has bits: each
//! element is combined with that half of the rest, then with that a quarter away. So derivatives of every
//! order follow, and are right where elements are zero or equal.

use super::reduce::IntoAxes;
use crate::called::{Called, demand};
use crate::error::OrFail;
use crate::{DType, Tensor, shape_rules};

impl Tensor {
    /// Product over axes; 1 of nothing; numbers. u8 and i8 are multiplied as i32. PyTorch: `prod`.
    ///
    /// Panics if an axis is out of range.
    #[track_caller]
    #[must_use]
    pub fn prod(&self, axes: impl IntoAxes) -> Tensor {
        let axes = self.axes("prod", axes);
        let kept = self.prod_over(axes);
        kept.reshape_to(shape_rules::without(self.shape(), axes))
    }

    /// [`Tensor::prod`] with the reduced axes kept at size one.
    #[track_caller]
    #[must_use]
    pub fn prod_keepdim(&self, axes: impl IntoAxes) -> Tensor {
        self.prod_over(self.axes("prod", axes))
    }

    #[track_caller]
    fn prod_over(&self, axes: crate::op::Axes) -> Tensor {
        let dtype = match self.dtype() {
            DType::Bool | DType::U8 | DType::I8 => DType::I32,
            dtype => dtype.compute(),
        };
        let mut product = self.cast(dtype);
        for axis in axes.iter() {
            product = product.folded(axis, 1.0, |a, b| a.mul(b));
        }
        let own = if self.dtype().is_float() { self.dtype() } else { dtype };
        product.cast(own)
    }

    /// Combines an axis with itself, half by half, until one element is left of it.
    #[track_caller]
    fn folded(&self, axis: usize, of_none: f64, of: fn(&Tensor, &Tensor) -> Tensor) -> Tensor {
        let mut rest = self.clone();
        let signed = axis as isize;
        if rest.shape()[axis] == 0 {
            let shape = rest.shape().with(axis, 1);
            return Tensor::full(shape, of_none, self.dtype(), self.device());
        }
        while rest.shape()[axis] > 1 {
            let (size, half) = (rest.shape()[axis], rest.shape()[axis] / 2);
            let (first, second) = (rest.narrow(signed, 0, half), rest.narrow(signed, half, half));
            let combined = of(&first, &second);
            rest = match size % 2 {
                0 => combined,
                _ => Tensor::concat(&[combined, rest.narrow(signed, size - 1, 1)], signed),
            };
        }
        rest
    }

    /// Each element combined with all before it.
    #[track_caller]
    fn running(&self, axis: usize, of: fn(&Tensor, &Tensor) -> Tensor) -> Tensor {
        let (mut sums, size, signed) = (self.clone(), self.shape()[axis], axis as isize);
        let mut distance = 1;
        while distance < size {
            let before = sums.narrow(signed, 0, size - distance);
            let after = sums.narrow(signed, distance, size - distance);
            let start = sums.narrow(signed, 0, distance);
            sums = Tensor::concat(&[start, of(&after, &before)], signed);
            distance *= 2;
        }
        sums
    }

    /// Running product along an axis, the element itself included; numbers. u8 and i8 are multiplied as i32.
    /// PyTorch: `cumprod`.
    ///
    /// Panics if the axis is out of range.
    #[track_caller]
    #[must_use]
    pub fn cumprod(&self, axis: isize) -> Tensor {
        let axis = self.axis("cumprod", axis);
        match self.dtype() {
            DType::Bool | DType::U8 | DType::I8 => {
                self.cast(DType::I32).running(axis, |a, b| a.mul(b))
            }
            dtype => self.wide().running(axis, |a, b| a.mul(b)).cast(dtype),
        }
    }

    /// Running maximum along an axis and the index (`i32`) of the last element that it is; NaN wins from
    /// where it stands. The gradient goes to that element. PyTorch: `cummax`.
    ///
    /// Panics if the axis is out of range, or the tensor is bool.
    #[track_caller]
    #[must_use]
    pub fn cummax(&self, axis: isize) -> (Tensor, Tensor) {
        self.running_extreme("cummax", axis, |a, b| a.maximum(b))
    }

    /// Running minimum along an axis and its index, as [`Tensor::cummax`]. PyTorch: `cummin`.
    #[track_caller]
    #[must_use]
    pub fn cummin(&self, axis: isize) -> (Tensor, Tensor) {
        self.running_extreme("cummin", axis, |a, b| a.minimum(b))
    }

    #[track_caller]
    fn running_extreme(
        &self,
        op: &str,
        axis: isize,
        of: fn(&Tensor, &Tensor) -> Tensor,
    ) -> (Tensor, Tensor) {
        shape_rules::number(op, self.dtype()).or_fail();
        let axis = self.axis(op, axis);
        shape_rules::countable(op, self.shape(), axis).or_fail();
        let plain = self.detach();
        let extreme = plain.running(axis, of);
        let is_it = plain.eq(&extreme).logical_or(plain.is_nan());
        let place = Tensor::iota(*self.shape(), axis as isize, self.device());
        let reached = is_it.select(&place, place.constant_like(0));
        let index = reached.running(axis, |a, b| a.maximum(b));
        (self.gather(axis as isize, &index), index)
    }

    /// Running `ln(sum(e^x))` along an axis, without overflow; floats only. PyTorch: `logcumsumexp`.
    ///
    /// Panics if the axis is out of range.
    #[track_caller]
    #[must_use]
    pub fn logcumsumexp(&self, axis: isize) -> Tensor {
        self.require_float("logcumsumexp");
        let axis = self.axis("logcumsumexp", axis);
        let x = self.wide();
        if x.shape()[axis] == 0 {
            return self.clone();
        }
        // Below the largest, so that as little as can be is lost of large numbers.
        let largest = x.detach().max_keepdim(axis as isize);
        let top = largest.is_finite().select(&largest, largest.constant_like(0.0));
        let below = x.sub(&top);
        below.running(axis, |a, b| a.logaddexp(b)).add(top).cast(self.dtype())
    }

    /// The largest element along an axis and the index (`i32`) of the first such, which alone gets the
    /// gradient; the axis is dropped. PyTorch: `max(dim)`.
    ///
    /// Panics on bool, and on an axis without elements.
    #[track_caller]
    #[must_use]
    pub fn max_with_index(&self, axis: isize) -> (Tensor, Tensor) {
        let _called = Called::op("max_with_index");
        self.at_index(axis, self.argmax(axis))
    }

    /// The smallest element along an axis and its index, as [`Tensor::max_with_index`]. PyTorch: `min(dim)`.
    #[track_caller]
    #[must_use]
    pub fn min_with_index(&self, axis: isize) -> (Tensor, Tensor) {
        let _called = Called::op("min_with_index");
        self.at_index(axis, self.argmin(axis))
    }

    /// The element of rank `k` (from 0) in ascending order along an axis, and its index; the axis is
    /// dropped. NaN counts as largest. PyTorch: `kthvalue`, which counts from 1.
    ///
    /// Panics if there is no such element.
    #[track_caller]
    #[must_use]
    pub fn kthvalue(&self, k: usize, axis: isize) -> (Tensor, Tensor) {
        let _called = Called::op("kthvalue");
        let size = self.size(axis);
        demand!(k < size, "kthvalue: there is no element {k} in an axis of {size}");
        let index = self.argsort(axis, false).narrow(axis, k, 1).squeeze(axis);
        self.at_index(axis, index)
    }

    /// The median along an axis (the lower of the two in the middle) and its index; NaN if there is one. The
    /// axis is dropped. PyTorch: `median`.
    ///
    /// Panics on bool, and on an axis without elements.
    #[track_caller]
    #[must_use]
    pub fn median(&self, axis: isize) -> (Tensor, Tensor) {
        let _called = Called::op("median");
        let size = self.size(axis);
        demand!(size > 0, "median: axis {axis} has no elements");
        let order = self.argsort(axis, false);
        let pick = |place: usize| order.narrow(axis, place, 1).squeeze(axis);
        let (middle, last) = (pick((size - 1) / 2), pick(size - 1));
        let (largest, _) = self.at_index(axis, last.clone());
        // NaN comes last; the first of them is meant.
        let (_, first_nan) = self.max_with_index(axis);
        let index = largest.is_nan().select(first_nan, middle);
        self.at_index(axis, index)
    }

    /// The quantile along an axis, `0 <= q <= 1`, with linear interpolation between neighbours; NaN if there
    /// is one. The axis is dropped; floats only. PyTorch: `quantile`, NumPy's `quantile`.
    ///
    /// Panics on an axis without elements, or if `q` is outside of its range.
    #[track_caller]
    #[must_use]
    pub fn quantile(&self, q: f64, axis: isize) -> Tensor {
        let _called = Called::op("quantile");
        self.require_float("quantile");
        let size = self.size(axis);
        demand!(size > 0, "quantile: axis {axis} has no elements");
        demand!((0.0..=1.0).contains(&q), "quantile: {q} is not between 0 and 1");
        let sorted = self.wide().sort(axis, false).0;
        let place = q * (size - 1) as f64;
        let (low, share) = (place.floor() as usize, place.fract());
        let at = |place: usize| sorted.narrow(axis, place, 1).squeeze(axis);
        let (below, above) = (at(low), at((low + 1).min(size - 1)));
        let value = below.add(above.sub(&below).mul(share));
        let last = at(size - 1);
        last.is_nan().select(&last, value).cast(self.dtype())
    }

    /// Sum over axes of what is not NaN; floats only. PyTorch: `nansum`.
    #[track_caller]
    #[must_use]
    pub fn nansum(&self, axes: impl IntoAxes) -> Tensor {
        let _called = Called::op("nansum");
        let axes = self.axes("nansum", axes);
        self.nansum_keepdim(axes).reshape_to(shape_rules::without(self.shape(), axes))
    }

    /// [`Tensor::nansum`] with the reduced axes kept at size one.
    #[track_caller]
    #[must_use]
    pub fn nansum_keepdim(&self, axes: impl IntoAxes) -> Tensor {
        let _called = Called::op("nansum");
        self.require_float("nansum");
        self.is_nan().select(self.constant_like(0.0), self).sum_keepdim(axes)
    }

    /// Mean over axes of what is not NaN, NaN of nothing; floats only. PyTorch: `nanmean`.
    #[track_caller]
    #[must_use]
    pub fn nanmean(&self, axes: impl IntoAxes) -> Tensor {
        let _called = Called::op("nanmean");
        let axes = self.axes("nanmean", axes);
        self.nanmean_keepdim(axes).reshape_to(shape_rules::without(self.shape(), axes))
    }

    /// [`Tensor::nanmean`] with the reduced axes kept at size one.
    #[track_caller]
    #[must_use]
    pub fn nanmean_keepdim(&self, axes: impl IntoAxes) -> Tensor {
        let _called = Called::op("nanmean");
        self.require_float("nanmean");
        let axes = self.axes("nanmean", axes);
        let x = self.wide();
        let kept = x.is_nan().logical_not();
        let count = kept.cast(x.dtype()).sum_keepdim(axes);
        (kept.select(&x, x.constant_like(0.0)).sum_keepdim(axes) / count).cast(self.dtype())
    }

    /// The elements at an index along an axis, which is dropped, and the index.
    #[track_caller]
    fn at_index(&self, axis: isize, index: Tensor) -> (Tensor, Tensor) {
        (self.gather(axis, &index.unsqueeze(axis)).squeeze(axis), index)
    }
}

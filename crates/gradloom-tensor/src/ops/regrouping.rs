//! Axes, elements and tensors in other groups: several axes moved at once, parts by places, elements repeated
//! by counts, combinations.

use std::borrow::Borrow;

use crate::called::{Called, demand};
use crate::error::OrFail;
use crate::{DType, Device, Scalar, Shape, Tensor, shape_rules};

impl Tensor {
    /// The axes `from[i]` moved to the places `to[i]`, the others in their order. PyTorch: `movedim` with
    /// several axes.
    ///
    /// Panics if there are not as many of both, or an axis is out of range or named twice.
    #[track_caller]
    #[must_use]
    pub fn movedims(&self, from: &[isize], to: &[isize]) -> Tensor {
        const OP: &str = "movedims";
        demand!(from.len() == to.len(), "{OP}: {} axes to {} places", from.len(), to.len());
        let rank = self.rank();
        shape_rules::axes(OP, from, rank).and_then(|_| shape_rules::axes(OP, to, rank)).or_fail();
        let mut order: Vec<Option<isize>> = vec![None; rank];
        for (&from, &to) in from.iter().zip(to) {
            order[self.axis(OP, to)] = Some(self.axis(OP, from) as isize);
        }
        let mut others = (0..rank as isize)
            .filter(|axis| !order.contains(&Some(*axis)))
            .collect::<Vec<_>>()
            .into_iter();
        let order: Vec<isize> =
            order.iter().filter_map(|axis| axis.or_else(|| others.next())).collect();
        self.permute(&order)
    }

    /// [`Tensor::diag_embed`] with the matrices along two axes of the result instead of the last. PyTorch:
    /// `diag_embed(dim1, dim2)`.
    ///
    /// Panics if the axes are equal or out of range.
    #[track_caller]
    #[must_use]
    pub fn diag_embed_axes(&self, offset: isize, first: isize, second: isize) -> Tensor {
        let _called = Called::op("diag_embed_axes");
        self.diag_embed(offset).movedims(&[-2, -1], &[first, second])
    }

    /// Element `i` along an axis `counts[i]` times in a row. PyTorch: `repeat_interleave` with a tensor.
    ///
    /// Panics if the axis is out of range, or there is not one count for each of its elements.
    #[track_caller]
    #[must_use]
    pub fn repeat_interleave_each(&self, counts: &[usize], axis: isize) -> Tensor {
        const OP: &str = "repeat_interleave_each";
        let _called = Called::op(OP);
        let at = self.axis(OP, axis);
        let size = self.shape()[at];
        demand!(counts.len() == size, "{OP}: {} counts for an axis of {size}", counts.len());
        let total = counts.iter().try_fold(0usize, |sum, &count| sum.checked_add(count));
        demand!(
            total.is_some_and(|total| i32::try_from(total).is_ok()),
            "{OP}: counts of more elements than i32 counts"
        );
        let places = counts
            .iter()
            .enumerate()
            .flat_map(|(place, &count)| std::iter::repeat_n(place as i32, count));
        self.taken_at(OP, axis, places.collect())
    }

    /// `length` elements of an axis from a start that is itself a tensor of one integer; negative counts from
    /// the end. PyTorch: `torch.narrow` with a tensor.
    ///
    /// Panics if the length is more than the axis, or the start is not one integer; a part that is not all
    /// there fails the evaluation.
    #[track_caller]
    #[must_use]
    pub fn narrow_at(&self, axis: isize, start: &Tensor, length: usize) -> Tensor {
        const OP: &str = "narrow_at";
        let size = self.shape()[self.axis(OP, axis)];
        demand!(length <= size, "{OP}: {length} elements of axis {axis} of size {size}");
        shape_rules::int(OP, start.dtype()).or_fail();
        demand!(start.count() == 1, "{OP}: a start of shape {}, not one", start.shape());
        // Those that i32 does not hold keep their bits until they are checked.
        let start = match start.dtype() {
            DType::I64 | DType::U32 => start.clone(),
            _ => start.cast(DType::I32),
        };
        let start = start.reshape_to(Shape::SCALAR);
        let start = match start.dtype() {
            DType::U32 => start,
            _ => start.lt(0).select(start.add(size as i64), &start),
        };
        let start = start.checked_index(size - length + 1, OP);
        self.take(axis, &start.add(Tensor::arange(length, self.device())))
    }

    /// The parts of an axis between places where it is cut, one more than there are places. Negative places
    /// count from the end; those beyond it are the end; a part that would end before it begins is empty.
    /// PyTorch: `tensor_split` with a list.
    ///
    /// Panics if the axis is out of range.
    #[track_caller]
    #[must_use]
    pub fn tensor_split_at(&self, places: &[isize], axis: isize) -> Vec<Tensor> {
        let size = self.shape()[self.axis("tensor_split_at", axis)];
        let mut first = 0;
        let end = size as isize;
        let ends =
            places.iter().map(|&place| if place < 0 { place.saturating_add(end) } else { place });
        let parts = ends.chain([end]).map(|place| {
            let place = place.clamp(0, end) as usize;
            let start = std::mem::replace(&mut first, place).min(place);
            self.narrow(axis, start, place - start)
        });
        parts.collect()
    }

    /// `count` parts of an axis whose sizes differ by one at most, longer ones first. PyTorch: `tensor_split`
    /// with a number.
    ///
    /// Panics if the axis is out of range, or the number is 0.
    #[track_caller]
    #[must_use]
    pub fn tensor_split(&self, count: usize, axis: isize) -> Vec<Tensor> {
        demand!(count > 0, "tensor_split: the number of parts is 0");
        demand!(
            i32::try_from(count).is_ok(),
            "tensor_split: {count} parts are more than i32 counts"
        );
        let size = self.shape()[self.axis("tensor_split", axis)];
        let cut = |at: usize| (at * (size / count) + at.min(size % count)) as isize;
        self.tensor_split_at(&(1..count).map(cut).collect::<Vec<_>>(), axis)
    }

    /// All ways to take `count` elements of a line, in their order: `[N] -> [ways, count]`; with
    /// `replacement` an element may be taken again. PyTorch: `torch.combinations`.
    ///
    /// Panics unless there is one axis, `count` is positive, and i32 counts the elements of the result.
    #[track_caller]
    #[must_use]
    pub fn combinations(&self, count: usize, replacement: bool) -> Tensor {
        const OP: &str = "combinations";
        demand!(self.rank() == 1, "{OP}: of a tensor of shape {}, not of a line", self.shape());
        demand!(count > 0, "{OP}: of 0 elements");
        let size = self.count();
        let number = ways(size, count, replacement);
        let places = number.and_then(|number| number.checked_mul(count));
        let (Some(number), Some(places)) =
            (number, places.filter(|&all| i32::try_from(all).is_ok()))
        else {
            Called::fail(format_args!(
                "{OP}: {count} of {size} elements in all ways are more than i32 counts"
            ));
        };
        let mut all = Vec::with_capacity(places);
        let mut way: Vec<usize> = match number {
            0 => Vec::new(),
            _ => (0..count).map(|place| if replacement { 0 } else { place }).collect(),
        };
        for _ in 0..number {
            all.extend(way.iter().map(|&place| place as i32));
            // The last place that can go further does, and those after it follow.
            let end = |at: usize| if replacement { size } else { size - count + at + 1 };
            let Some(at) = (0..count).rev().find(|&at| way[at] + 1 < end(at)) else { break };
            let next = way[at] + 1;
            for (further, place) in way[at..].iter_mut().enumerate() {
                *place = if replacement { next } else { next + further };
            }
        }
        let shape = shape_rules::addressable(OP, &Shape::new(&[1, count]));
        shape.or_fail();
        self.taken_at(OP, 0, all).reshape_to(Shape::new(&[number, count]))
    }

    /// [`Tensor::meshgrid`] with the first two axes of the results exchanged: rows vary with the second
    /// tensor. PyTorch: `meshgrid(indexing="xy")`.
    ///
    /// Panics as it does.
    #[track_caller]
    #[must_use]
    pub fn meshgrid_xy(axes: &[Tensor]) -> Vec<Tensor> {
        let grids = Tensor::meshgrid(axes);
        if axes.len() < 2 {
            return grids;
        }
        grids.iter().map(|grid| grid.transpose(0, 1)).collect()
    }

    /// `[rows, columns]` with ones on the diagonal, zeros elsewhere. PyTorch: `eye(n, m)`.
    #[track_caller]
    pub fn eye_matrix(rows: usize, columns: usize, dtype: DType, device: &Device) -> Tensor {
        let _called = Called::op("eye_matrix");
        let shape = [rows, columns];
        Tensor::iota(shape, 0, device).eq(Tensor::iota(shape, 1, device)).cast(dtype)
    }

    /// `value` around, as many elements before and after along each axis as `padding[axis]` says; numbers below
    /// zero cut elements off. PyTorch: `F.pad`, which lists axes from the last.
    ///
    /// Panics if there is not one pair for each axis, more is cut off than there is, or too many elements come
    /// of it.
    #[track_caller]
    #[must_use]
    pub fn pad_or_cut(&self, padding: &[(isize, isize)], value: impl Into<Scalar>) -> Tensor {
        const OP: &str = "pad_or_cut";
        let _called = Called::op(OP);
        demand!(
            padding.len() == self.rank(),
            "{OP}: {} pairs for shape {}",
            padding.len(),
            self.shape()
        );
        let mut kept = self.clone();
        for (axis, &(before, after)) in padding.iter().enumerate() {
            let (front, back) = (before.min(0).unsigned_abs(), after.min(0).unsigned_abs());
            let size = self.shape()[axis];
            demand!(
                front.checked_add(back).is_some_and(|cut| cut <= size),
                "{OP}: ({before}, {after}) cuts more off axis {axis} than its {size} elements"
            );
            kept = kept.narrow(axis as isize, front, size - front - back);
        }
        let added = |size: isize| size.max(0).unsigned_abs();
        let around: Vec<(usize, usize)> =
            padding.iter().map(|&(before, after)| (added(before), added(after))).collect();
        kept.pad_value(&around, value)
    }

    /// The elements in row-major order under another shape: as many of the first as it has, and zeros (false)
    /// where there are no more. PyTorch: `torch.Tensor.resize_`, which leaves new elements as they are.
    #[track_caller]
    #[must_use]
    pub fn resize(&self, shape: impl Into<Shape>) -> Tensor {
        let shape = shape.into();
        let _called = Called::op("resize");
        let (count, own) = (shape.count(), self.count());
        shape_rules::addressable("resize", &shape).or_fail();
        let line = self.reshape_to(Shape::new(&[own])).narrow(0, 0, own.min(count));
        line.pad(&[(0, count - own.min(count))]).reshape_to(shape)
    }

    /// Each tensor cut into `count` chunks along an axis, with zeros at its end so that all are equal, and chunk
    /// `i` of all tensors one after another: the axis has `count` elements, and one axis after it what the
    /// tensors have from it on. PyTorch: `torch._chunk_cat`.
    ///
    /// Panics if there is no tensor, `count` is 0, or tensors differ in an axis before this one.
    #[track_caller]
    #[must_use]
    pub fn chunk_concat<T: Borrow<Tensor>>(tensors: &[T], axis: isize, count: usize) -> Tensor {
        const OP: &str = "chunk_concat";
        let _called = Called::op(OP);
        demand!(count > 0, "{OP}: the number of chunks is 0");
        let lines = tensors.iter().map(|tensor| {
            let tensor = tensor.borrow();
            let axis = tensor.axis(OP, axis);
            let size = tensor.shape()[axis];
            let mut padding = vec![(0, 0); tensor.rank()];
            let filled = size.checked_next_multiple_of(count).map(|filled| filled - size);
            let Some(filled) = filled else {
                Called::fail(format_args!("{OP}: {count} chunks of axis {axis} of size {size}"))
            };
            padding[axis] = (0, filled);
            let padded = tensor.pad(&padding);
            let each = padded.shape()[axis..].iter().product::<usize>() / count;
            let outer = &tensor.shape()[..axis];
            padded.reshape_to(Shape::new(&[outer, &[count, each]].concat()))
        });
        Tensor::concat(&lines.collect::<Vec<_>>(), -1)
    }

    /// The elements at places along an axis that are known, and in range.
    #[track_caller]
    pub(super) fn taken_at(&self, op: &'static str, axis: isize, places: Vec<i32>) -> Tensor {
        let count = places.len();
        if count == 0 {
            return self.narrow(axis, 0, 0);
        }
        match Tensor::from_vec(places, [count], self.device()) {
            Ok(index) => self.take(axis, &index),
            Err(error) => Called::fail(format_args!("{op}: {error}")),
        }
    }
}

/// How many ways there are to take some of so many elements, if a `usize` counts them.
fn ways(size: usize, count: usize, replacement: bool) -> Option<usize> {
    // With replacement as many as without of `size + count - 1` elements, unless there are none.
    let of = match replacement {
        false => size,
        true if size == 0 => return Some(0),
        true => size.checked_add(count - 1)?,
    };
    let fewer = count.min(of.saturating_sub(count));
    if count > of {
        return Some(0);
    }
    let mut number: u128 = 1;
    for taken in 0..fewer {
        // What was taken so far divides without a rest.
        number = number.checked_mul((of - taken) as u128)? / (taken as u128 + 1);
        if number > usize::MAX as u128 {
            return None;
        }
    }
    usize::try_from(number).ok()
}

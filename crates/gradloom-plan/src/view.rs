//! [`View`]: how a kernel's iteration space reads a row-major buffer: strides, an offset, and a mask
//! for padding.
//!
//! Permute, expand, slice, flip, pad and most reshapes are folded into one view. A reshape that strides
//! cannot express gives `None`, and the planner stores the operand first.

use gradloom_tensor::op::{Axes, Permutation};
use gradloom_tensor::{RANK_MAX, Shape};

/// Index arithmetic from coordinates of `shape` to elements of a buffer:
/// `offset + sum(coordinate[axis] * strides[axis])`, zero where the mask excludes a coordinate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct View {
    /// The space of coordinates.
    pub shape: Shape,
    /// Elements between neighbours along each axis; 0 repeats, negative reverses.
    pub strides: [isize; RANK_MAX],
    /// Element of coordinate zero; may lie outside the buffer where the mask excludes it.
    pub offset: isize,
    /// Per axis the coordinates `low..high` that exist; others read zero.
    pub mask: Option<[(usize, usize); RANK_MAX]>,
}

impl View {
    /// The whole of a row-major buffer.
    pub fn contiguous(shape: Shape) -> View {
        let mut strides = shape.strides();
        for (axis, &size) in shape.iter().enumerate() {
            if size == 1 {
                strides[axis] = 0;
            }
        }
        View { shape, strides, offset: 0, mask: None }
    }

    /// A view in which the mask excludes every coordinate; there is none without axes.
    fn nothing(shape: Shape) -> Option<View> {
        let mut mask = full_mask(&shape);
        mask[0] = (0, 0);
        let view = View { shape, strides: [0; RANK_MAX], offset: 0, mask: Some(mask) };
        (shape.rank() > 0).then(|| view.normalized())
    }

    /// True if element `i` of the space is element `i` of the buffer.
    pub fn is_contiguous(&self) -> bool {
        *self == View::contiguous(self.shape)
    }

    /// True if every coordinate reads the same element.
    pub fn is_uniform(&self) -> bool {
        self.mask.is_none() && self.strides.iter().all(|&stride| stride == 0)
    }

    /// The first and last element that is read; `None` if none is.
    pub fn extent(&self) -> Option<(isize, isize)> {
        let (mut low, mut high) = (self.offset, self.offset);
        for axis in 0..self.shape.rank() {
            let (first, end) = self.mask.map_or((0, self.shape[axis]), |mask| mask[axis]);
            if first >= end {
                return None;
            }
            let ends = [first, end - 1].map(|at| at as isize * self.strides[axis]);
            low += ends[0].min(ends[1]);
            high += ends[0].max(ends[1]);
        }
        Some((low, high))
    }

    /// True if nothing is read of what the view is on: its padding at most.
    pub fn reads_nothing(&self) -> bool {
        self.extent().is_none()
    }

    /// Output axis `i` is axis `permutation[i]`.
    #[must_use]
    pub fn permute(&self, permutation: &Permutation) -> View {
        let mut view = View { strides: [0; RANK_MAX], ..*self };
        view.shape = permutation.iter().map(|axis| self.shape[axis]).collect();
        for (position, axis) in permutation.iter().enumerate() {
            view.strides[position] = self.strides[axis];
        }
        view.mask = self.mask.map(|mask| {
            let mut permuted = [(0, 0); RANK_MAX];
            for (position, axis) in permutation.iter().enumerate() {
                permuted[position] = mask[axis];
            }
            permuted
        });
        view
    }

    /// Axes of size one repeated to `shape` (same rank).
    #[must_use]
    pub fn expand(&self, shape: Shape) -> View {
        let mut view = *self;
        for axis in 0..shape.rank() {
            if self.shape[axis] != shape[axis] {
                view.strides[axis] = 0;
                if let Some(mask) = &mut view.mask {
                    // The single coordinate exists or not; so do all its repetitions.
                    mask[axis] =
                        if mask[axis].0 < mask[axis].1 { (0, shape[axis]) } else { (0, 0) };
                }
            }
        }
        view.shape = shape;
        view.normalized()
    }

    /// Every `steps[axis]`-th coordinate from `starts[axis]`, `shape` of them.
    #[must_use]
    pub fn slice(&self, starts: &[usize], steps: &[usize], shape: Shape) -> View {
        let mut view = View { shape, ..*self };
        for axis in 0..shape.rank() {
            view.offset += starts[axis] as isize * self.strides[axis];
            view.strides[axis] = self.strides[axis] * steps[axis] as isize;
            if let Some(mask) = &mut view.mask {
                let from = |limit: usize| limit.saturating_sub(starts[axis]).div_ceil(steps[axis]);
                mask[axis] =
                    (from(mask[axis].0).min(shape[axis]), from(mask[axis].1).min(shape[axis]));
            }
        }
        view.normalized()
    }

    /// Zeros around: `before` coordinates ahead, up to `shape`.
    #[must_use]
    pub fn pad(&self, before: &[usize], shape: Shape) -> View {
        let mut view = View { shape, ..*self };
        let mut mask = self.mask.unwrap_or_else(|| full_mask(&self.shape));
        for axis in 0..shape.rank() {
            view.offset -= before[axis] as isize * self.strides[axis];
            mask[axis] = (mask[axis].0 + before[axis], mask[axis].1 + before[axis]);
        }
        view.mask = Some(mask);
        view.normalized()
    }

    /// Reversed order along `axes`.
    #[must_use]
    pub fn flip(&self, axes: Axes) -> View {
        let mut view = *self;
        for axis in axes.iter().filter(|&axis| axis < self.shape.rank()) {
            let size = self.shape[axis];
            if size == 0 {
                continue;
            }
            view.offset += (size as isize - 1) * self.strides[axis];
            view.strides[axis] = -self.strides[axis];
            if let Some(mask) = &mut view.mask {
                mask[axis] = (size - mask[axis].1, size - mask[axis].0);
            }
        }
        view
    }

    /// The same elements in row-major order under `shape`, or `None` if strides cannot express it.
    pub fn reshape(&self, shape: Shape) -> Option<View> {
        if self.shape == shape {
            return Some(*self);
        }
        if shape.count() == 0 {
            return Some(View::contiguous(shape));
        }
        if self.extent().is_none() {
            return View::nothing(shape);
        }
        let mut view = View { shape, strides: [0; RANK_MAX], offset: self.offset, mask: None };
        let mut mask = full_mask(&shape);
        let (mut from, mut to) = (self.shape.rank(), shape.rank());
        // Walks both shapes from the innermost axis, matching runs of equal counts.
        while from > 0 || to > 0 {
            let (from_end, to_end) = (from, to);
            let (mut from_count, mut to_count) = (1, 1);
            if from > 0 {
                from -= 1;
                from_count *= self.shape[from];
            }
            if to > 0 {
                to -= 1;
                to_count *= shape[to];
            }
            while from_count != to_count {
                if from_count < to_count {
                    from = from.checked_sub(1)?;
                    from_count *= self.shape[from];
                } else {
                    to = to.checked_sub(1)?;
                    to_count *= shape[to];
                }
            }
            self.reshape_run(from..from_end, to..to_end, &mut view, &mut mask)?;
        }
        view.mask = self.mask.map(|_| mask);
        Some(view.normalized())
    }

    /// One run of axes of equal count: the source axes must act as a single axis.
    fn reshape_run(
        &self,
        from: std::ops::Range<usize>,
        to: std::ops::Range<usize>,
        view: &mut View,
        mask: &mut [(usize, usize); RANK_MAX],
    ) -> Option<()> {
        let significant: Vec<usize> = from.clone().filter(|&axis| self.shape[axis] != 1).collect();
        let masked = |axis: usize| self.mask.is_some_and(|m| m[axis] != (0, self.shape[axis]));
        let targets: Vec<usize> = to.clone().filter(|&axis| view.shape[axis] != 1).collect();
        // A masked-out axis of size one excludes everything; say so on the first target axis.
        if from.clone().any(|axis| self.shape[axis] == 1 && masked(axis)) {
            return None;
        }
        if let ([source], [target]) = (&significant[..], &targets[..]) {
            view.strides[*target] = self.strides[*source];
            if let Some(own) = self.mask {
                mask[*target] = own[*source];
            }
            return Some(());
        }
        if significant.iter().any(|&axis| masked(axis)) {
            // The same sizes with ones in other places still map one to one.
            let same = significant
                .iter()
                .map(|&axis| self.shape[axis])
                .eq(targets.iter().map(|&axis| view.shape[axis]));
            if !same {
                return None;
            }
            for (&source, &target) in significant.iter().zip(&targets) {
                view.strides[target] = self.strides[source];
                mask[target] = self.mask.map_or((0, view.shape[target]), |own| own[source]);
            }
            return Some(());
        }
        for pair in significant.windows(2) {
            if self.strides[pair[0]] != self.strides[pair[1]] * self.shape[pair[1]] as isize {
                let same = significant
                    .iter()
                    .map(|&axis| self.shape[axis])
                    .eq(targets.iter().map(|&axis| view.shape[axis]));
                if !same {
                    return None;
                }
                for (&source, &target) in significant.iter().zip(&targets) {
                    view.strides[target] = self.strides[source];
                }
                return Some(());
            }
        }
        let mut stride = significant.last().map_or(0, |&axis| self.strides[axis]);
        for &axis in targets.iter().rev() {
            view.strides[axis] = stride;
            stride *= view.shape[axis] as isize;
        }
        Some(())
    }

    /// Equal views compare equal: no strides on axes of size one, no mask that excludes nothing.
    fn normalized(mut self) -> View {
        for axis in 0..RANK_MAX {
            if axis >= self.shape.rank() {
                self.strides[axis] = 0;
                if let Some(mask) = &mut self.mask {
                    mask[axis] = (0, 0);
                }
            } else if self.shape[axis] == 1 {
                let exists = self.mask.is_none_or(|mask| mask[axis] == (0, 1));
                if exists {
                    self.strides[axis] = 0;
                }
            }
        }
        if self.mask == Some(full_mask(&self.shape)) {
            self.mask = None;
        }
        self
    }

    /// The element of a coordinate, `None` where the mask excludes it: the definition, for tests and
    /// slow paths.
    pub fn element(&self, coordinate: &[usize]) -> Option<usize> {
        let mut index = self.offset;
        for axis in 0..self.shape.rank() {
            if let Some(mask) = &self.mask
                && !(mask[axis].0..mask[axis].1).contains(&coordinate[axis])
            {
                return None;
            }
            index += coordinate[axis] as isize * self.strides[axis];
        }
        Some(index as usize)
    }
}

fn full_mask(shape: &Shape) -> [(usize, usize); RANK_MAX] {
    let mut mask = [(0, 0); RANK_MAX];
    for (axis, &size) in shape.iter().enumerate() {
        mask[axis] = (0, size);
    }
    mask
}

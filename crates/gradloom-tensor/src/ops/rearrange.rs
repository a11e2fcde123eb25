//! Views by which axes are moved, split, cut along a diagonal, and repeated.

use crate::called::{Called, demand};
use crate::error::OrFail;
use crate::{Shape, Tensor, shape_rules};

impl Tensor {
    /// The axis at `from` moved to `to`, the others in their order. PyTorch: `movedim`, NumPy's `moveaxis`.
    ///
    /// Panics if an axis is out of range.
    #[track_caller]
    #[must_use]
    pub fn movedim(&self, from: isize, to: isize) -> Tensor {
        let (from, to) = (self.axis("movedim", from), self.axis("movedim", to));
        let mut order: Vec<isize> =
            (0..self.rank() as isize).filter(|&axis| axis != from as isize).collect();
        order.insert(to, from as isize);
        self.permute(&order)
    }

    /// A tensor of no axes as `[1]`, others as they are. PyTorch: `torch.atleast_1d`.
    #[must_use]
    pub fn atleast_1d(&self) -> Tensor {
        if self.rank() == 0 { self.reshape_to(Shape::new(&[1])) } else { self.clone() }
    }

    /// `[]` as `[1, 1]`, `[n]` as `[1, n]`, others as they are. PyTorch: `torch.atleast_2d`.
    #[must_use]
    pub fn atleast_2d(&self) -> Tensor {
        match self.rank() {
            0 | 1 => self.reshape_to(Shape::new(&[1, self.count()])),
            _ => self.clone(),
        }
    }

    /// `[]` as `[1, 1, 1]`, `[n]` as `[1, n, 1]`, `[m, n]` as `[m, n, 1]`, others as they are. PyTorch:
    /// `torch.atleast_3d`.
    #[must_use]
    pub fn atleast_3d(&self) -> Tensor {
        match self.rank() {
            0 | 1 => self.reshape_to(Shape::new(&[1, self.count(), 1])),
            2 => self.reshape_to(Shape::new(&[self.shape()[0], self.shape()[1], 1])),
            _ => self.clone(),
        }
    }

    /// The slices along an axis, which is dropped. PyTorch: `unbind`.
    ///
    /// Panics if the axis is out of range.
    #[track_caller]
    #[must_use]
    pub fn unbind(&self, axis: isize) -> Vec<Tensor> {
        let _called = Called::op("unbind");
        (0..self.size(axis)).map(|at| self.narrow(axis, at, 1).squeeze(axis)).collect()
    }

    /// An axis as several, of which one may be -1: the rest. PyTorch: `unflatten`.
    ///
    /// Panics if the axis is out of range, or the sizes do not fit it.
    #[track_caller]
    #[must_use]
    pub fn unflatten(&self, axis: isize, sizes: &[isize]) -> Tensor {
        let _called = Called::op("unflatten");
        let axis = self.axis("unflatten", axis);
        let own = shape_rules::reshape(&Shape::new(&[self.shape()[axis]]), sizes).or_fail();
        let (before, after) = (&self.shape()[..axis], &self.shape()[axis + 1..]);
        let sizes: Vec<usize> = before.iter().chain(own.iter()).chain(after).copied().collect();
        self.reshape_to(Shape::new(&sizes))
    }

    /// Turned by a quarter, `turns` times, from the first of two axes towards the second. PyTorch: `rot90`.
    ///
    /// Panics if the axes are equal or out of range.
    #[track_caller]
    #[must_use]
    pub fn rot90(&self, turns: isize, from: isize, to: isize) -> Tensor {
        let (a, b) = (self.axis("rot90", from), self.axis("rot90", to));
        demand!(a != b, "rot90: one axis, {from}, has no plane");
        let (a, b) = (a as isize, b as isize);
        match turns.rem_euclid(4) {
            0 => self.clone(),
            1 => self.flip(b).transpose(a, b),
            2 => self.flip([a, b]),
            _ => self.transpose(a, b).flip(b),
        }
    }

    /// The diagonal of two axes, `offset` above (or below) the main one, as a new last axis. PyTorch:
    /// `diagonal`.
    ///
    /// Panics if the axes are equal or out of range.
    #[track_caller]
    #[must_use]
    pub fn diagonal(&self, offset: isize, first: isize, second: isize) -> Tensor {
        let (a, b) = (self.axis("diagonal", first), self.axis("diagonal", second));
        demand!(a != b, "diagonal: one axis, {first}, has none");
        let mut order: Vec<isize> = (0..self.rank() as isize).collect();
        order.retain(|&axis| axis != a as isize && axis != b as isize);
        let outer: Vec<usize> = order.iter().map(|&axis| self.shape()[axis as usize]).collect();
        order.extend([a as isize, b as isize]);
        let (rows, columns) = (self.shape()[a], self.shape()[b]);
        let down = offset.min(0).unsigned_abs();
        let right = offset.max(0).unsigned_abs();
        let length = rows.saturating_sub(down).min(columns.saturating_sub(right));
        let shaped = |last: &[usize]| Shape::new(&[&outer[..], last].concat());
        if length == 0 {
            return Tensor::zeros(shaped(&[0]), self.dtype(), self.device());
        }
        let matrix = self.permute(&order);
        let square = matrix.narrow(-2, down, length).narrow(-1, right, length);
        // In row-major order the diagonal is each element `length + 1` further: a column, once as many more are
        // behind the square.
        let line = square.reshape_to(shaped(&[length * length]));
        let mut padding = vec![(0, 0); line.rank()];
        padding[line.rank() - 1] = (0, length);
        let rows = line.pad(&padding).reshape_to(shaped(&[length, length + 1]));
        rows.narrow(-1, 0, 1).squeeze(-1)
    }

    /// Matrices of zeros with the last axis along the diagonal `offset`. PyTorch: `diag_embed` (and `diag`
    /// of a vector).
    ///
    /// Panics if there is no axis.
    #[track_caller]
    #[must_use]
    pub fn diag_embed(&self, offset: isize) -> Tensor {
        let _called = Called::op("diag_embed");
        let last = self.axis("diag_embed", -1);
        let (length, away) = (self.shape()[last], offset.unsigned_abs());
        let size = length + away;
        let outer = &self.shape()[..last];
        let shaped = |sizes: &[usize]| Shape::new(&[outer, sizes].concat());
        let square = {
            // The reverse of what `diagonal` does.
            let mut padding = vec![(0, 0); self.rank() + 1];
            padding[last + 1] = (0, length);
            let lines = self.unsqueeze(-1).pad(&padding);
            let lines = lines.reshape_to(shaped(&[length * (length + 1)]));
            lines.narrow(-1, 0, length * length).reshape_to(shaped(&[length, length]))
        };
        if away == 0 {
            return square;
        }
        let mut padding = vec![(0, 0); self.rank() + 1];
        let (above, below) = ((0, away), (away, 0));
        padding[last] = if offset > 0 { above } else { below };
        padding[last + 1] = if offset > 0 { below } else { above };
        let embedded = square.pad(&padding);
        debug_assert_eq!(embedded.shape()[last], size);
        embedded
    }

    /// Sum of the main diagonal of a matrix. PyTorch: `trace`.
    ///
    /// Panics unless it is a matrix.
    #[track_caller]
    #[must_use]
    pub fn trace(&self) -> Tensor {
        demand!(self.rank() == 2, "trace: {} is no matrix", self.shape());
        self.diagonal(0, 0, 1).sum(-1)
    }

    /// Each element along an axis `count` times in a row. PyTorch: `repeat_interleave`, NumPy's `repeat`.
    ///
    /// Panics if the axis is out of range.
    #[track_caller]
    #[must_use]
    pub fn repeat_interleave(&self, count: usize, axis: isize) -> Tensor {
        let _called = Called::op("repeat_interleave");
        let axis = self.axis("repeat_interleave", axis);
        let (before, after) = self.shape().split_at(axis + 1);
        let sizes: Vec<usize> = [before, &[count], after].concat();
        let split = self.unsqueeze(axis as isize + 1);
        let repeated = split.expand_to(Shape::new(&sizes));
        repeated.reshape_to(self.shape().with(axis, self.shape()[axis] * count))
    }

    /// Windows of `size` elements along an axis, `step` apart: the axis has their number, a new last axis
    /// their elements. PyTorch: `Tensor.unfold`.
    ///
    /// Panics if the axis is out of range or shorter than a window, or `step` is 0.
    #[track_caller]
    #[must_use]
    pub fn sliding_windows(&self, axis: isize, size: usize, step: usize) -> Tensor {
        let _called = Called::op("sliding_windows");
        let axis = self.axis("sliding_windows", axis);
        let length = self.shape()[axis];
        demand!(step > 0, "sliding_windows: a step of 0");
        demand!(size <= length, "sliding_windows: windows of {size} in an axis of {length}");
        let count = (length - size) / step + 1;
        let start = Tensor::arange(count, self.device()).mul(step as i64).unsqueeze(1);
        let places = start.add(Tensor::arange(size, self.device()));
        self.take(axis as isize, &places).movedim(axis as isize + 1, -1)
    }

    /// Tensors of one axis as coordinates of a grid: each varies along its own axis. PyTorch: `meshgrid` with
    /// `indexing="ij"`.
    ///
    /// Panics if there is none, or one has more than one axis.
    #[track_caller]
    #[must_use]
    pub fn meshgrid(axes: &[Tensor]) -> Vec<Tensor> {
        demand!(!axes.is_empty(), "meshgrid: of no tensors");
        for axis in axes {
            demand!(axis.rank() < 2, "meshgrid: {} is no line", axis.shape());
        }
        let sizes: Vec<usize> = axes.iter().map(Tensor::count).collect();
        let grid = |(at, axis): (usize, &Tensor)| {
            let mut own = vec![1; sizes.len()];
            own[at] = sizes[at];
            axis.reshape_to(Shape::new(&own)).expand_to(Shape::new(&sizes))
        };
        axes.iter().enumerate().map(grid).collect()
    }
}

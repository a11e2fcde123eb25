//! [`Access`]: a view prepared for tiles: axes that act as one are merged, and the common cases
//! (contiguous, one element everywhere) are told apart.

use gradloom_plan::View;
use gradloom_tensor::RANK_MAX;

/// How a tile's elements lie in a buffer.
#[derive(Clone, Debug)]
pub(crate) struct Access {
    pub(crate) pattern: Pattern,
    /// Element of coordinate zero.
    pub(crate) offset: isize,
    rank: usize,
    sizes: [usize; RANK_MAX],
    strides: [isize; RANK_MAX],
    /// Coordinates that exist.
    mask: [(usize, usize); RANK_MAX],
    masked: bool,
}

/// What is special about an access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pattern {
    /// Element `i` of the space is element `offset + i` of the buffer.
    Contiguous,
    /// Every element is element `offset`.
    Uniform,
    /// The mask excludes everything.
    Nothing,
    /// Strides and possibly a mask.
    General,
}

/// Neighbouring elements of a tile that lie on the innermost axis of an access.
pub(crate) struct Run {
    /// First element in the tile.
    pub(crate) position: usize,
    /// Elements of the run.
    pub(crate) len: usize,
    /// Elements of the run that exist; the others read zero.
    pub(crate) exists: std::ops::Range<usize>,
    /// Buffer element of the run's first (existing or not).
    pub(crate) index: isize,
    /// Distance between neighbours.
    pub(crate) stride: isize,
}

impl Access {
    /// Prepares a view.
    pub(crate) fn new(view: &View) -> Access {
        let mut access = Access {
            pattern: Pattern::General,
            offset: view.offset,
            rank: 0,
            sizes: [1; RANK_MAX],
            strides: [0; RANK_MAX],
            mask: [(0, 1); RANK_MAX],
            masked: false,
        };
        for (axis, &size) in view.shape.iter().enumerate() {
            let mask = view.mask.map_or((0, size), |mask| mask[axis]);
            if mask.0 >= mask.1 && size > 0 {
                access.pattern = Pattern::Nothing;
                return access;
            }
            let whole = mask == (0, size);
            if size == 1 {
                continue;
            }
            if let Some(last) = access.rank.checked_sub(1) {
                let merges = access.strides[last] == view.strides[axis] * size as isize;
                if merges && whole && access.mask[last] == (0, access.sizes[last]) {
                    access.sizes[last] *= size;
                    access.mask[last] = (0, access.sizes[last]);
                    access.strides[last] = view.strides[axis];
                    continue;
                }
            }
            access.sizes[access.rank] = size;
            access.strides[access.rank] = view.strides[axis];
            access.mask[access.rank] = mask;
            access.masked |= !whole;
            access.rank += 1;
        }
        if !access.masked {
            match access.rank {
                0 => access.pattern = Pattern::Uniform,
                1 if access.strides[0] == 0 => access.pattern = Pattern::Uniform,
                1 if access.strides[0] == 1 => access.pattern = Pattern::Contiguous,
                _ => {}
            }
        }
        access
    }

    /// True if neighbours along the innermost axis are neighbours in the buffer.
    pub(super) fn has_runs(&self) -> bool {
        self.pattern != Pattern::Nothing && self.rank > 0 && self.strides[self.rank - 1] == 1
    }

    /// Neighbours of the space that are one element of the buffer, if the innermost axis is such.
    pub(super) fn repeated(&self) -> Option<usize> {
        let last = self.rank.checked_sub(1)?;
        let repeats = self.pattern == Pattern::General && !self.masked && self.strides[last] == 0;
        repeats.then_some(self.sizes[last])
    }

    /// The access of a space with one element for each `block` neighbours of this one, of which the number
    /// of repeated neighbours must be a multiple.
    pub(super) fn of_blocks(&self, block: usize) -> Access {
        let mut access = self.clone();
        if let Some(last) = access.rank.checked_sub(1) {
            access.sizes[last] /= block.max(1);
            access.mask[last] = (0, access.sizes[last]);
            if access.sizes[last] == 1 {
                access.rank = last;
            }
        }
        access
    }

    /// The elements `start..start + len` of the space in runs.
    ///
    /// An iterator rather than a visitor: loops over it keep the target features of their caller.
    #[inline(always)]
    pub(crate) fn runs(&self, start: usize, len: usize) -> Runs<'_> {
        let last = self.rank.saturating_sub(1);
        // Spaces without elements have no runs; their sizes must not divide.
        let size = if self.rank == 0 { len.max(1) } else { self.sizes[last].max(1) };
        let mut runs = Runs {
            access: self,
            size,
            first: start % size,
            coordinates: [0; RANK_MAX],
            base: self.offset,
            position: 0,
            len,
        };
        let mut rest = start / size;
        for axis in (0..last).rev() {
            let size = self.sizes[axis].max(1);
            runs.coordinates[axis] = rest % size;
            rest /= size;
            runs.base += runs.coordinates[axis] as isize * self.strides[axis];
        }
        runs
    }
}

/// See [`Access::runs`].
pub(crate) struct Runs<'a> {
    access: &'a Access,
    /// Elements of the innermost axis, and the first of the next run.
    size: usize,
    first: usize,
    /// Coordinates on the outer axes, and the buffer element of the innermost coordinate zero there.
    coordinates: [usize; RANK_MAX],
    base: isize,
    position: usize,
    len: usize,
}

impl Iterator for Runs<'_> {
    type Item = Run;

    #[inline(always)]
    fn next(&mut self) -> Option<Run> {
        if self.position >= self.len {
            return None;
        }
        let access = self.access;
        let last = access.rank.saturating_sub(1);
        let first = self.first;
        let len = (self.size - first).min(self.len - self.position);
        let stride = if access.rank == 0 { 0 } else { access.strides[last] };
        let mut exists = 0..len;
        if access.masked || access.pattern == Pattern::Nothing {
            let (low, high) = access.mask[last];
            exists = low.clamp(first, first + len) - first..high.clamp(first, first + len) - first;
            let nothing = access.pattern == Pattern::Nothing || exists.start >= exists.end;
            if nothing || !access.outer_exists(&self.coordinates, last) {
                exists = 0..0;
            }
        }
        let index = self.base + first as isize * stride;
        let run = Run { position: self.position, len, exists, index, stride };
        self.position += len;
        self.first = 0;
        for axis in (0..last).rev() {
            self.coordinates[axis] += 1;
            self.base += access.strides[axis];
            if self.coordinates[axis] < access.sizes[axis] {
                break;
            }
            self.base -= access.strides[axis] * access.sizes[axis] as isize;
            self.coordinates[axis] = 0;
        }
        Some(run)
    }
}

impl Access {
    #[inline(always)]
    fn outer_exists(&self, coordinates: &[usize; RANK_MAX], last: usize) -> bool {
        (0..last).all(|axis| {
            let (low, high) = self.mask[axis];
            coordinates[axis] >= low && coordinates[axis] < high
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gradloom_tensor::Shape;
    use gradloom_tensor::op::Permutation;

    /// The definition: every coordinate through [`View::element`].
    pub(crate) fn elements(view: &View) -> Vec<Option<usize>> {
        let shape = view.shape;
        (0..shape.count())
            .map(|linear| {
                let mut rest = linear;
                let mut coordinate = vec![0; shape.rank()];
                for axis in (0..shape.rank()).rev() {
                    coordinate[axis] = rest % shape[axis];
                    rest /= shape[axis];
                }
                view.element(&coordinate)
            })
            .collect()
    }

    #[test]
    fn runs_visit_what_the_view_defines() {
        let base = View::contiguous(Shape::new(&[3, 4, 5]));
        let views = [
            base,
            base.permute(&Permutation::new(&[2, 0, 1])),
            base.slice(&[1, 0, 2], &[1, 2, 2], Shape::new(&[2, 2, 2])),
            base.pad(&[1, 0, 2], Shape::new(&[5, 4, 9])),
            base.pad(&[0, 0, 0], Shape::new(&[3, 4, 7])),
            base.flip([1, 2].into_iter().collect()),
            View::contiguous(Shape::new(&[3, 1, 5])).expand(Shape::new(&[3, 6, 5])),
            View::contiguous(Shape::new(&[1, 1])).expand(Shape::new(&[4, 4])),
            View::contiguous(Shape::SCALAR),
            View::contiguous(Shape::new(&[1, 4])).expand(Shape::new(&[7, 4])),
        ];
        for view in views {
            let access = Access::new(&view);
            let expected = elements(&view);
            for start in 0..expected.len() {
                let len = (expected.len() - start).min(13);
                let mut found = vec![None; len];
                for run in access.runs(start, len) {
                    for i in run.exists.clone() {
                        found[run.position + i] =
                            Some((run.index + i as isize * run.stride) as usize);
                    }
                }
                assert_eq!(found, expected[start..start + len], "{view:?} from {start}");
            }
        }
    }
}

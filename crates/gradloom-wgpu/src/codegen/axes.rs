//! [`Axes`]: the axes that index arithmetic has to tell apart. Axes of size one are dropped, and
//! neighbours that every view walks as one axis are merged, which removes most divisions.

use gradloom_plan::{Space, View};

/// Merged axes of an iteration space, kept axes first.
#[derive(Clone, Debug)]
pub(crate) struct Axes {
    /// Sizes, outermost first.
    pub(crate) sizes: Vec<usize>,
    /// How many leading ones are kept (not reduced).
    pub(crate) kept: usize,
    /// The innermost original axis of each.
    innermost: Vec<usize>,
}

/// A view over merged axes.
#[derive(Clone, Debug)]
pub(crate) struct Walk {
    /// Elements between neighbours per merged axis.
    pub(crate) strides: Vec<isize>,
    /// Element of coordinate zero.
    pub(crate) offset: isize,
    /// Coordinates that exist per merged axis, where not all do.
    pub(crate) mask: Vec<Option<(usize, usize)>>,
    /// True if no coordinate exists.
    pub(crate) never: bool,
}

impl Axes {
    /// Merges what all `views` allow.
    pub(crate) fn merge(space: &Space, views: &[View]) -> Axes {
        let mut axes = Axes { sizes: Vec::new(), kept: 0, innermost: Vec::new() };
        // Whether the last merged axis is of the kept part.
        let mut last_kept = false;
        for axis in 0..space.shape.rank() {
            let size = space.shape[axis];
            if size == 1 {
                continue;
            }
            let kept = axis < space.kept;
            let joins = axes.innermost.last().is_some_and(|&previous| {
                kept == last_kept && views.iter().all(|view| joinable(view, previous, axis, size))
            });
            if joins {
                let last = axes.sizes.len() - 1;
                axes.sizes[last] *= size;
                axes.innermost[last] = axis;
            } else {
                axes.sizes.push(size);
                axes.innermost.push(axis);
                axes.kept += usize::from(kept);
            }
            last_kept = kept;
        }
        axes
    }

    /// `view` over the merged axes.
    pub(crate) fn walk(&self, view: &View) -> Walk {
        let never = view
            .mask
            .is_some_and(|mask| (0..view.shape.rank()).any(|axis| mask[axis].0 >= mask[axis].1));
        Walk {
            strides: self.innermost.iter().map(|&axis| view.strides[axis]).collect(),
            offset: view.offset,
            mask: self
                .innermost
                .iter()
                .map(|&axis| {
                    view.mask.map(|mask| mask[axis]).filter(|&range| range != (0, view.shape[axis]))
                })
                .collect(),
            never,
        }
    }

    /// Row-major strides of the merged axes.
    fn contiguous(&self) -> Vec<isize> {
        let mut strides = vec![0; self.sizes.len()];
        let mut stride = 1;
        for (slot, &size) in strides.iter_mut().zip(&self.sizes).rev() {
            *slot = stride;
            stride *= size as isize;
        }
        strides
    }

    /// True if element `i` of the space is element `offset + i` of the buffer.
    pub(crate) fn is_contiguous(&self, walk: &Walk) -> bool {
        !walk.never && walk.mask.iter().all(Option::is_none) && walk.strides == self.contiguous()
    }
}

impl Walk {
    /// True if some coordinates do not exist.
    pub(crate) fn is_masked(&self) -> bool {
        self.never || self.mask.iter().any(Option::is_some)
    }

    /// True if merged axis `axis` matters.
    pub(crate) fn depends_on(&self, axis: usize) -> bool {
        self.strides[axis] != 0 || self.mask[axis].is_some()
    }
}

fn joinable(view: &View, outer: usize, inner: usize, inner_size: usize) -> bool {
    let whole = |axis: usize| view.mask.is_none_or(|mask| mask[axis] == (0, view.shape[axis]));
    view.strides[outer] == view.strides[inner] * inner_size as isize && whole(outer) && whole(inner)
}

#[cfg(test)]
mod tests {
    use super::Axes;
    use gradloom_plan::{Space, View};
    use gradloom_tensor::Shape;

    #[test]
    fn contiguous_views_merge_to_one_axis() {
        let shape = Shape::new(&[4, 1, 5, 6]);
        let axes = Axes::merge(&Space::elements(shape), &[View::contiguous(shape)]);
        assert_eq!(axes.sizes, [120]);
    }

    #[test]
    fn a_broadcast_keeps_its_axis_apart() {
        let shape = Shape::new(&[4, 5, 6]);
        let row = View::contiguous(Shape::new(&[1, 1, 6])).expand(shape);
        let axes = Axes::merge(&Space::elements(shape), &[View::contiguous(shape), row]);
        assert_eq!(axes.sizes, [20, 6]);
        assert_eq!(axes.walk(&row).strides, [0, 1]);
    }

    #[test]
    fn kept_and_reduced_axes_stay_apart() {
        let shape = Shape::new(&[4, 5, 6]);
        let axes = Axes::merge(&Space { shape, kept: 1 }, &[View::contiguous(shape)]);
        assert_eq!((axes.sizes, axes.kept), (vec![4, 30], 1));
    }
}

//! How shapes, rows and levels fit together: the axes of a group's space, and whether what is read of a
//! member is what the group's kernel has at hand.

use gradloom_tensor::{RANK_MAX, Shape};

use crate::node::{Step, read};
use crate::program::{Level, Space};
use crate::view::View;

impl Space {
    /// The same axes, the leading ones that multiply to `rows` kept.
    pub(crate) fn with_rows(self, rows: usize) -> Option<Space> {
        let mut product = 1;
        let mut kept = 0;
        while product < rows {
            product *= *self.shape.get(kept)?;
            kept += 1;
        }
        // Axes of size one after the boundary belong to the kept ones when nothing is reduced.
        if product == rows && self.shape.count() == rows {
            kept = self.shape.rank();
        }
        (product == rows).then_some(Space { kept, ..self })
    }

    /// Steps from the shape of a member of this level to the space.
    pub(crate) fn steps(&self, level: Level) -> Vec<Step> {
        match level {
            Level::Element => vec![Step::Reshape(self.shape)],
            Level::Row => {
                let mut rows = self.shape;
                for axis in self.kept..rows.rank() {
                    rows = rows.with(axis, 1);
                }
                vec![Step::Reshape(rows), Step::Expand(self.shape)]
            }
        }
    }

    /// True if `steps`, from a member's shape to this space or any shape of as many elements (or rows),
    /// read at each place what the member's own kernel has there.
    pub(crate) fn is_aligned(
        &self,
        member: Shape,
        level: Level,
        steps: &[Step],
        at: Level,
    ) -> bool {
        let (rows, columns) = (self.rows(), self.columns());
        let read = |shape: Shape| {
            let mut steps = steps.to_vec();
            steps.push(Step::Reshape(shape));
            read(member, &steps)
        };
        let one = Shape::new(&[rows]);
        match (level, at) {
            (Level::Element, Level::Element) => {
                read(Shape::new(&[rows * columns])).is_some_and(|view| view.is_contiguous())
            }
            (Level::Row, Level::Row) => read(one).is_some_and(|view| view.is_contiguous()),
            (Level::Row, Level::Element) => {
                let spread = Shape::new(&[rows, columns]);
                let repeated = View::contiguous(Shape::new(&[rows, 1])).expand(spread);
                read(spread) == Some(repeated)
            }
            (Level::Element, Level::Row) => false,
        }
    }
}

/// The coarsest shape that both shapes are merges of, if their boundaries nest.
pub(crate) fn refine(a: Shape, b: Shape) -> Option<Shape> {
    if a == b {
        return Some(a);
    }
    let boundaries = |shape: Shape| {
        let mut product = 1;
        let mut list = Vec::new();
        for &size in shape.iter().rev() {
            product *= size;
            if size != 1 {
                list.push(product);
            }
        }
        list
    };
    let mut all = boundaries(a);
    all.extend(boundaries(b));
    all.sort_unstable();
    all.dedup();
    let mut previous = 1;
    let mut dims = Vec::new();
    for boundary in all {
        if boundary % previous != 0 {
            return None;
        }
        dims.push(boundary / previous);
        previous = boundary;
    }
    dims.reverse();
    (dims.len() <= RANK_MAX).then(|| Shape::new(&dims))
}

//! [`Coordinates`]: the variables that hold coordinates in a kernel, and index arithmetic on them.

use super::axes::{Axes, Walk};
use super::literal;

/// How the lanes of a thread lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Frame {
    /// Elements `index + lane` of the space.
    Elements,
    /// Columns `column_{lane}` (`column` with one lane) of row `row`.
    Rows,
}

/// Where the lanes of a thread are, over merged axes.
#[derive(Clone, Debug)]
pub(crate) struct Coordinates {
    pub(crate) frame: Frame,
    pub(crate) lanes: usize,
    pub(crate) axes: Axes,
}

impl Coordinates {
    /// True if `walk` differs between the lanes of a thread.
    pub(crate) fn varies(&self, walk: &Walk) -> bool {
        match self.frame {
            Frame::Elements => {
                self.axes.sizes.len().checked_sub(1).is_some_and(|last| walk.depends_on(last))
            }
            Frame::Rows => {
                (self.axes.kept..self.axes.sizes.len()).any(|axis| walk.depends_on(axis))
            }
        }
    }

    /// What is appended to a column's variables for a lane.
    pub(crate) fn lane_suffix(&self, lane: usize) -> String {
        if self.lanes == 1 { String::new() } else { format!("_{lane}") }
    }

    /// Statements that find the coordinates of the axes in `range` from a variable with their linear
    /// number, for those axes that `walks` depend on.
    pub(crate) fn decode(
        &self,
        linear: &str,
        range: std::ops::Range<usize>,
        suffix: &str,
        walks: &[Option<Walk>],
    ) -> Vec<String> {
        let mut lines = Vec::new();
        let needed: Vec<bool> = (0..self.axes.sizes.len())
            .map(|axis| {
                walks.iter().flatten().any(|walk| {
                    walk.depends_on(axis)
                        && !(self.frame == Frame::Elements && self.axes.is_contiguous(walk))
                })
            })
            .collect();
        let mut rest = linear.to_owned();
        for axis in range.clone().rev() {
            if !needed[range.start..=axis].contains(&true) {
                break;
            }
            // Where an axis is empty nothing is walked, but the text must still be valid.
            let size = self.axes.sizes[axis].max(1);
            if axis == range.start {
                lines.push(format!("let c{axis}{suffix} = {rest};"));
                break;
            }
            if needed[axis] {
                lines.push(format!("let c{axis}{suffix} = {rest} % {size}u;"));
            }
            if needed[range.start..axis].contains(&true) {
                lines.push(format!("let q{axis}{suffix} = {rest} / {size}u;"));
                rest = format!("q{axis}{suffix}");
            }
        }
        lines
    }

    fn coordinate(&self, axis: usize, lane: usize) -> String {
        match self.frame {
            Frame::Elements if axis + 1 == self.axes.sizes.len() && lane > 0 => {
                format!("(c{axis} + {lane}u)")
            }
            Frame::Rows if axis >= self.axes.kept => format!("c{axis}{}", self.lane_suffix(lane)),
            Frame::Elements | Frame::Rows => format!("c{axis}"),
        }
    }

    /// The element that a walk reads, as an expression.
    pub(crate) fn address(&self, walk: &Walk, lane: usize) -> String {
        if self.frame == Frame::Elements && self.axes.is_contiguous(walk) {
            return if lane == 0 { "index".to_owned() } else { format!("(index + {lane}u)") };
        }
        let mut terms: Vec<String> = Vec::new();
        for (axis, &stride) in walk.strides.iter().enumerate() {
            match stride {
                0 => {}
                1 => terms.push(self.coordinate(axis, lane)),
                _ => terms.push(format!(
                    "{} * {}",
                    self.coordinate(axis, lane),
                    literal::index(stride)
                )),
            }
        }
        if walk.offset != 0 || terms.is_empty() {
            terms.push(literal::index(walk.offset));
        }
        if terms.len() == 1 { terms.swap_remove(0) } else { format!("({})", terms.join(" + ")) }
    }

    /// Whether a coordinate exists, as an expression.
    pub(crate) fn exists(&self, walk: &Walk, lane: usize) -> String {
        let mut terms: Vec<String> = Vec::new();
        for (axis, mask) in walk.mask.iter().enumerate() {
            let Some((low, high)) = *mask else { continue };
            let coordinate = self.coordinate(axis, lane);
            terms.push(if low == 0 {
                format!("{coordinate} < {high}u")
            } else {
                format!("({coordinate} - {low}u) < {}u", high - low)
            });
        }
        terms.join(" && ")
    }
}

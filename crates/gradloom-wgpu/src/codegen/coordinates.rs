//! [`Coordinates`]: the variables that hold coordinates in a kernel, and index arithmetic on them. Sizes,
//! strides, offsets and masks are numbers; whether a stride is zero or one, and where a mask is at all, is
//! part of the text.

use super::axes::{Axes, Walk};
use super::bindings::Bindings;

/// How the lanes of a thread lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Frame {
    /// Elements `index + lane` of the space.
    Elements,
    /// Elements `index_{lane}` of the space, which need not be neighbours along an axis.
    Apart,
    /// Columns `column_{lane}` (`column` with one lane) of row `row`.
    Rows,
    /// Columns `column_0` and on of row `row`, four neighbours from a multiple of four on.
    RowQuads,
}

impl Frame {
    /// True if lanes are columns of a row.
    pub(crate) fn is_of_rows(self) -> bool {
        matches!(self, Frame::Rows | Frame::RowQuads)
    }
}

/// Where the lanes of a thread are, over merged axes.
#[derive(Clone, Debug)]
pub(crate) struct Coordinates {
    pub(crate) frame: Frame,
    pub(crate) lanes: usize,
    pub(crate) axes: Axes,
    /// Axes whose coordinates some walk needs.
    needed: Vec<bool>,
    /// Sizes as expressions, of axes that are divided by.
    sizes: Vec<String>,
}

/// A walk as expressions.
#[derive(Clone, Debug)]
pub(crate) struct Path {
    /// Factor of each axis; `None` where it does not count.
    strides: Vec<Option<Factor>>,
    offset: Option<String>,
    /// Of each axis the first coordinate that exists, if it is not zero, and how many do.
    mask: Vec<Option<(Option<String>, String)>>,
    /// Element `index` of the space, `offset` further.
    contiguous: bool,
    /// True if no coordinate exists.
    pub(crate) never: bool,
}

#[derive(Clone, Debug)]
enum Factor {
    One,
    Number(String),
}

impl Path {
    /// True if it leads every coordinate to the same element.
    pub(crate) fn is_constant(&self) -> bool {
        !self.contiguous && self.strides.iter().all(Option::is_none)
    }

    /// True if some coordinates do not exist.
    pub(crate) fn is_masked(&self) -> bool {
        self.never || self.mask.iter().any(Option::is_some)
    }
}

impl Coordinates {
    /// Coordinates for all `walks`.
    pub(crate) fn new(
        frame: Frame,
        lanes: usize,
        axes: Axes,
        walks: &[Option<Walk>],
        bindings: &mut Bindings,
    ) -> Coordinates {
        let count = axes.sizes.len();
        let needs = |walk: &Walk, axis: usize| {
            walk.depends_on(axis) && (frame.is_of_rows() || !axes.is_contiguous(walk))
        };
        let needed: Vec<bool> =
            (0..count).map(|axis| walks.iter().flatten().any(|walk| needs(walk, axis))).collect();
        let sizes = (0..count)
            .map(|axis| {
                // The outermost of the kept and of the reduced axes is what is left.
                let start = if axis < axes.kept { 0 } else { axes.kept };
                let divides = axis > start && needed[start..=axis].contains(&true);
                // Where an axis is empty nothing is walked, but nothing may divide by zero.
                let size = axes.sizes[axis].max(1);
                if divides { bindings.number("size", size) } else { String::new() }
            })
            .collect();
        Coordinates { frame, lanes, axes, needed, sizes }
    }

    /// A walk as expressions.
    pub(crate) fn path(&self, walk: &Walk, bindings: &mut Bindings) -> Path {
        let contiguous = !self.frame.is_of_rows() && self.axes.is_contiguous(walk);
        let factor = |bindings: &mut Bindings, stride: isize| match stride {
            0 => None,
            _ if contiguous || walk.never => None,
            1 => Some(Factor::One),
            _ => Some(Factor::Number(bindings.offset("stride", stride))),
        };
        let strides = walk.strides.iter().map(|&stride| factor(bindings, stride)).collect();
        let offset =
            (walk.offset != 0 && !walk.never).then(|| bindings.offset("offset", walk.offset));
        let range = |bindings: &mut Bindings, (low, high): (usize, usize)| {
            let first = (low > 0).then(|| bindings.number("first", low));
            (first, bindings.number("existing", high.saturating_sub(low)))
        };
        let masks = walk.mask.iter().map(|mask| mask.filter(|_| !walk.never));
        let mask = masks.map(|mask| mask.map(|mask| range(bindings, mask))).collect();
        Path { strides, offset, mask, contiguous, never: walk.never }
    }

    /// True if `walk` differs between the lanes of a thread.
    pub(crate) fn varies(&self, walk: &Walk) -> bool {
        match self.frame {
            Frame::Elements => {
                self.axes.sizes.len().checked_sub(1).is_some_and(|last| walk.depends_on(last))
            }
            Frame::Apart => (0..self.axes.sizes.len()).any(|axis| walk.depends_on(axis)),
            Frame::Rows | Frame::RowQuads => {
                (self.axes.kept..self.axes.sizes.len()).any(|axis| walk.depends_on(axis))
            }
        }
    }

    /// What is appended to the variables of a column, or of an element that stands apart, for a lane.
    pub(crate) fn lane_suffix(&self, lane: usize) -> String {
        if self.lanes == 1 { String::new() } else { format!("_{lane}") }
    }

    /// Statements that find the coordinates of the axes in `range` from a variable with their linear
    /// number.
    pub(crate) fn decode(
        &self,
        linear: &str,
        range: std::ops::Range<usize>,
        suffix: &str,
    ) -> Vec<String> {
        let mut lines = Vec::new();
        let mut rest = linear.to_owned();
        for axis in range.clone().rev() {
            let outer = self.needed[range.start..axis].contains(&true);
            let (own, size) = (self.needed[axis], &self.sizes[axis]);
            if axis == range.start {
                if own {
                    lines.push(format!("let c{axis}{suffix} = {rest};"));
                }
            } else if outer {
                let quotient = format!("q{axis}{suffix}");
                lines.push(format!("let {quotient} = {rest} / {size};"));
                if own {
                    // A second division would cost more.
                    lines.push(format!("let c{axis}{suffix} = {rest} - {quotient} * {size};"));
                }
                rest = quotient;
            } else if own {
                lines.push(format!("let c{axis}{suffix} = {rest} % {size};"));
            }
            if !outer {
                break;
            }
        }
        lines
    }

    fn coordinate(&self, axis: usize, lane: usize) -> String {
        match self.frame {
            Frame::Elements if axis + 1 == self.axes.sizes.len() && lane > 0 => {
                format!("(c{axis} + {lane}u)")
            }
            Frame::Rows | Frame::RowQuads if axis < self.axes.kept => format!("c{axis}"),
            Frame::Apart | Frame::Rows | Frame::RowQuads => {
                format!("c{axis}{}", self.lane_suffix(lane))
            }
            Frame::Elements => format!("c{axis}"),
        }
    }

    /// The element that a path leads to, as an expression.
    pub(crate) fn address(&self, path: &Path, lane: usize) -> String {
        let mut terms: Vec<String> = Vec::new();
        if path.contiguous && self.frame == Frame::Apart {
            terms.push(format!("index{}", self.lane_suffix(lane)));
        } else if path.contiguous {
            terms.push("index".to_owned());
            terms.extend((lane > 0).then(|| format!("{lane}u")));
        }
        for (axis, factor) in path.strides.iter().enumerate() {
            let Some(factor) = factor else { continue };
            let coordinate = self.coordinate(axis, lane);
            terms.push(match factor {
                Factor::One => coordinate,
                Factor::Number(stride) => format!("{coordinate} * {stride}"),
            });
        }
        terms.extend(path.offset.clone());
        match terms.len() {
            0 => "0u".to_owned(),
            1 => terms.swap_remove(0),
            _ => format!("({})", terms.join(" + ")),
        }
    }

    /// The counter of random bits whose number a path gives as `value`. One that is the same everywhere is
    /// made to look as if it were not: Mesa follows conditions on uniform values back to where they come
    /// from, all ways through the rounds.
    pub(crate) fn counter(&self, path: Option<&Path>, value: &str) -> String {
        let place = if self.frame.is_of_rows() { "row" } else { "index" };
        match path.is_some_and(Path::is_constant) {
            // There is no element of this number.
            true => format!("bitcast<u32>({value}) + u32({place} == 0xffffffffu)"),
            false => format!("bitcast<u32>({value})"),
        }
    }

    /// Whether a coordinate exists, as an expression.
    pub(crate) fn exists(&self, path: &Path, lane: usize) -> String {
        let mut terms: Vec<String> = Vec::new();
        for (axis, mask) in path.mask.iter().enumerate() {
            let Some((first, count)) = mask else { continue };
            let coordinate = self.coordinate(axis, lane);
            terms.push(match first {
                None => format!("{coordinate} < {count}"),
                Some(first) => format!("({coordinate} - {first}) < {count}"),
            });
        }
        terms.join(" && ")
    }
}

//! Elements of images and volumes at places that are themselves a tensor, as spatial transformers and warps
//! need them. Jaderberg et al., "Spatial transformer networks", 2015.
//!
//! A gather for each neighbour, weighted by how near it is; gradients flow to the elements and, through the
//! weights, to the places.
//!
//! Letters: N batch, C channels, Q number of places.

use crate::called::demand;
use crate::error::OrFail;
use crate::{DType, Shape, Tensor, shape_rules};

/// How an element between elements is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum GridMode {
    /// Between two neighbours along each axis.
    #[default]
    Linear,
    /// The nearest, at a half the even one; places have no gradient.
    Nearest,
    /// Cubic convolution of four neighbours along each axis.
    Cubic,
}

/// What stands outside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum GridPadding {
    /// Zeros.
    #[default]
    Zeros,
    /// The nearest element inside.
    Border,
    /// What is as far inside, as in a mirror at the border.
    Reflection,
}

/// Options of [`Tensor::grid_sample`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GridOptions {
    /// How an element between elements is made.
    pub mode: GridMode,
    /// What stands outside.
    pub padding: GridPadding,
    /// Whether -1 and 1 are the middles of the first and last elements, instead of their outer edges.
    pub align_corners: bool,
}

impl Tensor {
    /// Elements at places between -1 and 1 along each axis: an image `[N, C, H, W]` with a grid
    /// `[N, OH, OW, 2]` gives `[N, C, OH, OW]`, a volume `[N, C, D, H, W]` with `[N, OD, OH, OW, 3]` gives
    /// `[N, C, OD, OH, OW]`. The last axis of the grid is x (along W), y, and z.
    ///
    /// Float dtypes, equal. A place that is NaN gives zero. Panics if shapes or dtypes do not fit. PyTorch: `F.grid_sample`.
    #[track_caller]
    #[must_use]
    pub fn grid_sample(&self, grid: &Tensor, options: &GridOptions) -> Tensor {
        const OP: &str = "grid_sample";
        let dtype = shape_rules::float(OP, self.dtype())
            .and_then(|dtype| shape_rules::same_dtype(OP, dtype, grid.dtype()))
            .or_fail();
        let (shape, given) = (*self.shape(), *grid.shape());
        let rank = shape.rank();
        demand!(
            (rank == 4 || rank == 5)
                && given.rank() == rank
                && given[0] == shape[0]
                && given[rank - 1] == rank - 2,
            "{OP}: needs [N, C, H, W] and [N, OH, OW, 2], or [N, C, D, H, W] and [N, OD, OH, OW, 3], got \
             {shape} and {given}"
        );
        demand!(shape[2..].iter().all(|&size| size > 0), "{OP}: {shape} has no elements to take");
        let count: usize = given[1..rank - 1].iter().product();
        let elements: usize = shape[2..].iter().product();
        demand!(
            i32::try_from(elements).is_ok(),
            "{OP}: {shape} has more elements for each channel than i32 counts"
        );
        let result: Shape = shape[..2].iter().chain(&given[1..rank - 1]).copied().collect();
        let places = grid.wide().reshape_to(Shape::new(&[shape[0], count, rank - 2]));
        let axes: Vec<Vec<Neighbour>> = (0..rank - 2)
            .map(|axis| {
                // The last coordinate is that of the first axis.
                let own = places.narrow(2, rank - 3 - axis, 1).squeeze(2);
                Coordinate { place: own, size: shape[axis + 2], options: *options }.neighbours()
            })
            .collect();
        let plane = self.wide().reshape_to(Shape::new(&[shape[0], shape[1], elements]));
        let mut sum: Option<Tensor> = None;
        for corner in corners(&axes, &shape[2..]) {
            let term = corner.taken(&plane);
            sum = Some(match sum {
                None => term,
                Some(sum) => sum.add(term),
            });
        }
        let Some(sum) = sum else { unreachable!("there is one neighbour at least") };
        sum.cast(dtype).reshape_to(result)
    }
}

/// One neighbour of each place along one axis.
#[derive(Clone)]
struct Neighbour {
    /// Its index, i32, inside of the axis.
    index: Tensor,
    /// Whether it is what is meant, and not outside.
    inside: Tensor,
    /// Its weight; one if none.
    weight: Option<Tensor>,
}

impl Neighbour {
    /// Elements `[N, C, Q]` of planes `[N, C, P]` by this neighbour, whose index counts the elements of a plane.
    #[track_caller]
    fn taken(&self, plane: &Tensor) -> Tensor {
        let (n, c) = (plane.shape()[0], plane.shape()[1]);
        let all = Shape::new(&[n, c, self.index.shape()[1]]);
        let spread = |x: &Tensor| x.unsqueeze(1).expand_to(all);
        let taken = plane.gather_checked(2, &spread(&self.index));
        let weighted = match &self.weight {
            // Of a place that is not finite it is NaN, and so would be its gradient.
            Some(weight) => {
                taken.mul(spread(&self.inside.select(weight, weight.constant_like(0.0))))
            }
            None => taken,
        };
        spread(&self.inside).select(&weighted, weighted.constant_like(0.0))
    }
}

/// All combinations of the neighbours along each axis.
#[track_caller]
fn corners(axes: &[Vec<Neighbour>], sizes: &[usize]) -> Vec<Neighbour> {
    let mut corners: Vec<Neighbour> = axes[0].clone();
    for (neighbours, &size) in axes.iter().zip(sizes).skip(1) {
        let pairs =
            corners.iter().flat_map(|corner| neighbours.iter().map(move |own| (corner, own)));
        corners = pairs
            .map(|(corner, own)| Neighbour {
                index: corner.index.mul(corner.index.constant_like(size as i64)).add(&own.index),
                inside: corner.inside.logical_and(&own.inside),
                weight: match (&corner.weight, &own.weight) {
                    (Some(a), Some(b)) => Some(a.mul(b)),
                    (one, other) => one.clone().or_else(|| other.clone()),
                },
            })
            .collect();
    }
    corners
}

/// Places along one axis, `[N, Q]` between -1 and 1.
struct Coordinate {
    place: Tensor,
    size: usize,
    options: GridOptions,
}

impl Coordinate {
    #[track_caller]
    fn neighbours(&self) -> Vec<Neighbour> {
        let at = self.counted();
        match self.options.mode {
            GridMode::Nearest => vec![self.neighbour(&self.padded(&at).round(), None)],
            GridMode::Linear => {
                let at = self.padded(&at);
                let first = at.floor();
                let share = at.sub(&first);
                let rest = share.constant_like(1.0).sub(&share);
                let second = first.add(first.constant_like(1.0));
                vec![self.neighbour(&first, Some(rest)), self.neighbour(&second, Some(share))]
            }
            GridMode::Cubic => {
                let first = at.floor();
                let share = at.sub(&first);
                let tap = |number: i32| {
                    let number = f64::from(number);
                    let own = first.add(first.constant_like(number));
                    let distance = share.sub(share.constant_like(number));
                    self.neighbour(&self.padded(&own), Some(cubic(&distance, number)))
                };
                (-1..3).map(tap).collect()
            }
        }
    }

    /// The place counted in elements.
    #[track_caller]
    fn counted(&self) -> Tensor {
        let size = self.size as f64;
        match self.options.align_corners {
            true => self.place.add(1.0).mul(0.5 * (size - 1.0)),
            false => self.place.add(1.0).mul(size).sub(1.0).mul(0.5),
        }
    }

    /// The place after what is outside was replaced.
    #[track_caller]
    fn padded(&self, at: &Tensor) -> Tensor {
        let last = (self.size - 1) as f64;
        match self.options.padding {
            GridPadding::Zeros => at.clone(),
            GridPadding::Border => clipped(at, last),
            GridPadding::Reflection => {
                let (low, span) = match self.options.align_corners {
                    true => (0.0, last),
                    false => (-0.5, last + 1.0),
                };
                if span == 0.0 {
                    return at.constant_like(0.0);
                }
                let beyond = at.sub(low).abs();
                // How often it was mirrored has no slope.
                let turns = beyond.detach().div(span).floor();
                let rest = beyond.sub(turns.mul(span));
                let odd = turns.sub(turns.mul(0.5).floor().mul(2.0)).eq(1.0);
                let mirrored = odd.select(rest.neg().add(span), &rest).add(low);
                clipped(&mirrored, last)
            }
        }
    }

    #[track_caller]
    fn neighbour(&self, at: &Tensor, weight: Option<Tensor>) -> Neighbour {
        let last = (self.size - 1) as f64;
        let at = at.detach();
        let inside = at.ge(0.0).logical_and(at.le(last));
        let index = inside.select(&at, at.constant_like(0.0)).cast(DType::I32);
        Neighbour { index, inside, weight }
    }
}

/// Moved into `0..=last`, without a slope where it was outside.
#[track_caller]
fn clipped(at: &Tensor, last: f64) -> Tensor {
    let inside = at.gt(0.0).logical_and(at.lt(last));
    inside.select(at, at.detach().maximum(0.0).minimum(last))
}

/// Keys's kernel with `a = -0.75` of a distance whose magnitude is below one for the neighbours 0 and 1, and
/// above for -1 and 2.
#[track_caller]
fn cubic(distance: &Tensor, number: f64) -> Tensor {
    const A: f64 = -0.75;
    let x = if number > 0.0 { distance.neg() } else { distance.clone() };
    let term = |x: &Tensor, y: &Tensor| x.mul(y);
    match number {
        0.0 | 1.0 => {
            let inner = x.mul(A + 2.0).sub(A + 3.0);
            term(&inner, &x.square()).add(1.0)
        }
        _ => {
            let inner = term(&x.sub(5.0), &x).add(8.0);
            term(&inner, &x).mul(A).sub(4.0 * A)
        }
    }
}

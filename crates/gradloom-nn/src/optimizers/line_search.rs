//! How far to go along a direction: a point that satisfies the strong Wolfe conditions (Nocedal, Wright,
//! "Numerical optimization", 2006, algorithms 3.5 and 3.6, with cubic interpolation).

use crate::Result;
use gradloom_tensor::Tensor;

/// How much of the decrease that the slope promises is due, and how much flatter it must be.
const DECREASE: f64 = 1e-4;
const FLATTER: f64 = 0.9;
/// Points that are looked at, but for the first.
const POINTS_MAX: usize = 25;

/// A point on the line, and the loss there.
#[derive(Clone, Debug)]
pub(super) struct Point {
    /// How far along the direction.
    pub(super) length: f64,
    pub(super) loss: f64,
    pub(super) gradient: Tensor,
    /// Of the loss along the direction.
    pub(super) slope: f64,
}

/// Points from `at` along `direction`.
pub(super) struct Line<'a> {
    pub(super) at: &'a Tensor,
    pub(super) direction: &'a Tensor,
    pub(super) evaluate: &'a mut dyn FnMut(&Tensor) -> Result<Point>,
    /// Evaluations so far.
    pub(super) count: usize,
}

impl Line<'_> {
    pub(super) fn point(&mut self, length: f64) -> Result<Point> {
        self.count += 1;
        let at = self.at + self.direction * length;
        at.eval()?;
        let point = (self.evaluate)(&at)?;
        let slope = (&point.gradient * self.direction).sum(..).item()?;
        Ok(Point { length, slope, ..point })
    }
}

/// A good point on the line. `start` is where the line begins, `length` the first guess.
pub(super) fn search(
    line: &mut Line<'_>,
    start: Point,
    length: f64,
    change_least: f64,
) -> Result<Point> {
    let too_high = |point: &Point| point.loss > start.loss + DECREASE * point.length * start.slope;
    let flat_enough = |point: &Point| point.slope.abs() <= -FLATTER * start.slope;
    let size = line.direction.abs().max(..).item()?;

    // Two points with a good one between them, or a good one.
    let mut last = start.clone();
    let mut next = line.point(length)?;
    let mut looked = 0;
    let mut between = loop {
        if looked == POINTS_MAX {
            break [start.clone(), next];
        }
        if too_high(&next) || (looked > 1 && next.loss >= last.loss) {
            break [last, next];
        }
        if flat_enough(&next) {
            return Ok(next);
        }
        if next.slope >= 0.0 {
            break [last, next];
        }
        let within = [next.length + 0.01 * (next.length - last.length), next.length * 10.0];
        let length = cubic_minimum(&last, &next, within);
        last = std::mem::replace(&mut next, line.point(length)?);
        looked += 1;
    };

    // The lower of the two, then the other.
    if between[0].loss > between[1].loss {
        between.swap(0, 1);
    }
    let mut near_end = false;
    while looked < POINTS_MAX {
        let [low, high] = &between;
        let mut ends = [low.length, high.length];
        ends.sort_by(f64::total_cmp);
        let width = ends[1] - ends[0];
        if width * size < change_least {
            break;
        }
        let mut length = cubic_minimum(low, high, ends);
        // Twice in a row, or on, an end: some way inside.
        let margin = 0.1 * width;
        let close = (ends[1] - length).min(length - ends[0]) < margin;
        if close && (near_end || length >= ends[1] || length <= ends[0]) {
            let upper = (length - ends[1]).abs() < (length - ends[0]).abs();
            length = if upper { ends[1] - margin } else { ends[0] + margin };
            near_end = false;
        } else {
            near_end = close;
        }
        let next = line.point(length)?;
        looked += 1;
        if too_high(&next) || next.loss >= low.loss {
            between[1] = next;
            if between[0].loss > between[1].loss {
                between.swap(0, 1);
            }
            continue;
        }
        if flat_enough(&next) {
            return Ok(next);
        }
        let turned = next.slope * (high.length - low.length) >= 0.0;
        let low = std::mem::replace(&mut between[0], next);
        if turned {
            between[1] = low;
        }
    }
    let [low, _] = between;
    Ok(low)
}

/// Where the cubic through two points and their slopes is least, within bounds.
fn cubic_minimum(a: &Point, b: &Point, [least, most]: [f64; 2]) -> f64 {
    let (a, b) = if a.length <= b.length { (a, b) } else { (b, a) };
    let bend = a.slope + b.slope - 3.0 * (a.loss - b.loss) / (a.length - b.length);
    let square = bend * bend - a.slope * b.slope;
    if square < 0.0 || square.is_nan() {
        return (least + most) / 2.0;
    }
    let root = square.sqrt();
    let share = (b.slope + root - bend) / (b.slope - a.slope + 2.0 * root);
    (b.length - (b.length - a.length) * share).clamp(least, most)
}

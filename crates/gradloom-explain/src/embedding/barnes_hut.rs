//! t-SNE whose far points push together: a tree of squares, opened where it is near.

use std::ops::Range;

use gradloom_tensor::{Result, Tensor};
use rayon::prelude::*;

use super::neighbours::{conditional, nearest};

/// Halvings of the square around all points after which points are taken for one.
const DEPTH_MAX: usize = 48;
/// Points of a task.
const TASK: usize = 64;

/// How much of the neighbourhood of pairs is theirs, of each point those with its neighbours and with those that it is a
/// neighbour of.
pub(super) struct Shares {
    rows: Vec<Range<usize>>,
    others: Vec<usize>,
    shares: Vec<f64>,
}

impl Shares {
    /// Of points `[N, D]` with about so many neighbours.
    pub(super) fn of(points: &Tensor, perplexity: f64) -> Result<Shares> {
        let n = points.shape()[0];
        let count = ((3.0 * perplexity + 1.0) as usize).min(n - 1);
        let found = nearest(points, count + 1)?;
        let mut shares = vec![0.0; count];
        let mut pairs: Vec<(usize, usize, f64)> = Vec::with_capacity(2 * n * count);
        for at in 0..n {
            let own = at * count..(at + 1) * count;
            let squares: Vec<f64> =
                found.distances[own.clone()].iter().map(|distance| distance * distance).collect();
            conditional(&squares, None, perplexity.ln(), &mut shares);
            for (&other, &share) in found.indices[own].iter().zip(&shares) {
                let half = share / (2.0 * n as f64);
                pairs.extend([(at, other, half), (other, at, half)]);
            }
        }
        pairs.sort_by_key(|&(at, other, _)| (at, other));
        let mut all = Shares { rows: vec![0..0; n], others: Vec::new(), shares: Vec::new() };
        let mut last = None;
        for (at, other, share) in pairs {
            if last.replace((at, other)) == Some((at, other)) {
                *all.shares.last_mut().expect("the pair before") += share;
                continue;
            }
            if all.rows[at].is_empty() {
                all.rows[at].start = all.others.len();
            }
            all.others.push(other);
            all.shares.push(share);
            all.rows[at].end = all.others.len();
        }
        Ok(all)
    }
}

/// A map on its way.
pub(super) struct State {
    /// `[N, 2]`
    pub(super) map: Vec<f64>,
    velocity: Vec<f64>,
    gains: Vec<f64>,
}

impl State {
    pub(super) fn new(map: Vec<f64>) -> State {
        State { velocity: vec![0.0; map.len()], gains: vec![1.0; map.len()], map }
    }

    pub(super) fn step(
        &mut self,
        shares: &Shares,
        angle: f64,
        exaggeration: f64,
        rate: f64,
        momentum: f64,
    ) {
        let gradient = self.gradient(shares, angle, exaggeration);
        let moved = self.velocity.iter_mut().zip(&mut self.gains).zip(&mut self.map);
        for (((velocity, gain), place), gradient) in moved.zip(gradient) {
            let turned = *velocity * gradient < 0.0;
            *gain = (if turned { *gain + 0.2 } else { *gain * 0.8 }).max(0.01);
            *velocity = *velocity * momentum - *gain * gradient * rate;
            *place += *velocity;
        }
    }

    fn gradient(&self, shares: &Shares, angle: f64, exaggeration: f64) -> Vec<f64> {
        let places: Vec<[f64; 2]> = self.map.chunks_exact(2).map(|at| [at[0], at[1]]).collect();
        let tree = Tree::of(&places);
        let forces = |at: usize| {
            let own = places[at];
            let mut pull = [0.0; 2];
            for entry in shares.rows[at].clone() {
                let [dx, dy] = difference(own, places[shares.others[entry]]);
                let near = shares.shares[entry] / (1.0 + dx * dx + dy * dy);
                pull = [pull[0] + near * dx, pull[1] + near * dy];
            }
            let (push, near) = tree.push(own, angle);
            (pull, push, near)
        };
        let found: Vec<_> =
            (0..places.len()).into_par_iter().with_min_len(TASK).map(forces).collect();
        let total: f64 = found.iter().map(|(_, _, near)| near).sum();
        let along = |pull: f64, push: f64| 4.0 * (exaggeration * pull - push / total);
        found
            .into_iter()
            .flat_map(|(pull, push, _)| [along(pull[0], push[0]), along(pull[1], push[1])])
            .collect()
    }
}

fn difference(one: [f64; 2], other: [f64; 2]) -> [f64; 2] {
    [one[0] - other[0], one[1] - other[1]]
}

/// A square with points in it.
struct Cell {
    /// The mean of its points, and how many there are.
    centre: [f64; 2],
    count: f64,
    width: f64,
    /// The cells within it; none if its points are taken for one.
    within: Range<usize>,
}

struct Tree(Vec<Cell>);

impl Tree {
    fn of(places: &[[f64; 2]]) -> Tree {
        let mut low = [f64::INFINITY; 2];
        let mut high = [f64::NEG_INFINITY; 2];
        for place in places {
            for axis in 0..2 {
                low[axis] = low[axis].min(place[axis]);
                high[axis] = high[axis].max(place[axis]);
            }
        }
        let width = (high[0] - low[0]).max(high[1] - low[1]);
        let mut order: Vec<usize> = (0..places.len()).collect();
        let mut tree = Tree(Vec::new());
        tree.0.push(cell(places, &order, width));
        tree.open(places, &mut order, (0, low, width), DEPTH_MAX);
        tree
    }

    /// Makes the cells within a cell.
    fn open(
        &mut self,
        places: &[[f64; 2]],
        order: &mut [usize],
        (at, low, width): (usize, [f64; 2], f64),
        depth: usize,
    ) {
        // Written so that a width that is no number ends it, too.
        let divides = order.len() > 1 && depth > 0 && width > 0.0;
        if !divides {
            return;
        }
        let half = width / 2.0;
        let middle = [low[0] + half, low[1] + half];
        let quarter = |point: usize| {
            let place = places[point];
            usize::from(place[0] >= middle[0]) + 2 * usize::from(place[1] >= middle[1])
        };
        order.sort_by_key(|&point| quarter(point));
        let first = self.0.len();
        let mut parts = Vec::new();
        let mut start = 0;
        for own in 0..4 {
            let count = order[start..].iter().take_while(|&&point| quarter(point) == own).count();
            if count > 0 {
                self.0.push(cell(places, &order[start..start + count], half));
                parts.push((own, start..start + count));
            }
            start += count;
        }
        self.0[at].within = first..self.0.len();
        for (index, (own, range)) in parts.into_iter().enumerate() {
            let low = [
                if own % 2 == 1 { middle[0] } else { low[0] },
                if own / 2 == 1 { middle[1] } else { low[1] },
            ];
            self.open(places, &mut order[range], (first + index, low, half), depth - 1);
        }
    }

    /// How a point is pushed away by all others, and how near they are in all.
    fn push(&self, own: [f64; 2], angle: f64) -> ([f64; 2], f64) {
        let (mut push, mut total) = ([0.0; 2], 0.0);
        let mut stack = vec![0];
        while let Some(at) = stack.pop() {
            let Cell { centre, count, width, ref within } = self.0[at];
            let [dx, dy] = difference(own, centre);
            let distance = dx * dx + dy * dy;
            if !within.is_empty() && width * width >= angle * angle * distance {
                stack.extend(within.clone());
                continue;
            }
            // A point is no neighbour of itself.
            let count = if within.is_empty() && distance == 0.0 { count - 1.0 } else { count };
            let near = 1.0 / (1.0 + distance);
            total += count * near;
            let force = count * near * near;
            push = [push[0] + force * dx, push[1] + force * dy];
        }
        (push, total)
    }
}

fn cell(places: &[[f64; 2]], points: &[usize], width: f64) -> Cell {
    let count = points.len() as f64;
    let sum = points
        .iter()
        .fold([0.0; 2], |sum, &point| [sum[0] + places[point][0], sum[1] + places[point][1]]);
    // Of equal points exactly theirs.
    let first = places[points[0]];
    let are_one = points.iter().all(|&point| places[point] == first);
    let centre = if are_one { first } else { [sum[0] / count, sum[1] / count] };
    Cell { centre, count, width, within: 0..0 }
}

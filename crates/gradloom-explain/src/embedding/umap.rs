//! [`Umap`]: a map by a graph of neighbours, as it is in the plane and as it is among the points.
//!
//! Neighbours are found on the device, all pairs in parts. The descent goes from edge to edge and moves points at once, each
//! where the ones before have left it, so it is a loop on the host, the same for every number of threads.

use gradloom_tensor::{DType, Error, Key, Result, Tensor};

use crate::embedding::Pca;
use crate::embedding::neighbours::{Neighbours, nearest};
use crate::rows;

/// Points whose map takes 500 rounds; that of more takes 200.
const POINTS_OF_LONG_RUNS: usize = 10_000;
/// How far a point is moved along an axis by one edge, at most, in units of the rate.
const MOVE_MAX: f64 = 4.0;

/// Uniform manifold approximation and projection: points attract those that are their neighbours and repel others.
///
/// It begins with the first principal components. Unlike t-SNE it keeps more of what lies far apart, and its time grows with
/// the number of neighbours, not of pairs, after these are found.
///
/// McInnes, Healy, Melville, "UMAP: uniform manifold approximation and projection for dimension reduction", 2018. As
/// `umap.UMAP(init="pca")` with its defaults; other random numbers.
///
/// ```
/// use gradloom_explain::{Umap, trustworthiness};
/// use gradloom_tensor::{Key, Tensor};
///
/// # fn main() -> gradloom_tensor::Result<()> {
/// # let device = gradloom_testkit::reference::device();
/// let points = Tensor::normal(Key::new(0), [60, 5], 0.0, 1.0, &device);
/// let map = Umap { neighbours: 8, ..Umap::new(Key::new(1)) }.map(&points)?;
/// assert_eq!(map.shape(), &[60, 2]);
/// assert!(trustworthiness(&points, &map, 8)? > 0.6);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Umap {
    /// Numbers of a point in the map.
    pub components: usize,
    /// How many points are a neighbourhood, the point itself among them.
    pub neighbours: usize,
    /// How near points may come in the map.
    pub min_distance: f64,
    /// The scale of the map.
    pub spread: f64,
    /// Rounds over the edges; 500 for up to ten thousand points and 200 for more without.
    pub rounds: Option<usize>,
    /// The size of the first moves.
    pub learning_rate: f64,
    /// Points that are pushed away for each one that is drawn near.
    pub negative_samples: usize,
    /// What those are drawn from.
    pub key: Key,
}

impl Umap {
    /// With the defaults of umap-learn: two components, neighbourhoods of 15, a distance of 0.1.
    pub fn new(key: Key) -> Self {
        Umap {
            components: 2,
            neighbours: 15,
            min_distance: 0.1,
            spread: 1.0,
            rounds: None,
            learning_rate: 1.0,
            negative_samples: 5,
            key,
        }
    }

    /// The map of points `[N, D]`: `[N, components]`, f32.
    ///
    /// # Errors
    /// If the points are not `[N, D]` or not finite, are fewer than the neighbours, or an option is out of its range.
    pub fn map(&self, points: &Tensor) -> Result<Tensor> {
        let [n, d] = points.shape()[..] else {
            let shape = points.shape();
            return Err(Error::shape(format!("umap: points of shape {shape}, not [N, D]")));
        };
        let distances = 0.0 <= self.min_distance && self.min_distance <= self.spread;
        let rates = self.learning_rate > 0.0 && self.spread.is_finite() && self.spread > 0.0;
        let sizes = (2..=n).contains(&self.neighbours) && (1..=d.min(n)).contains(&self.components);
        if !(distances && rates && sizes) {
            return Err(Error::invalid(format!(
                "umap: {n} points of {d} numbers, {self:?}; it needs 2 to {n} neighbours, 1 to {} components, a distance \
                 between 0 and the spread, and a rate above 0",
                d.min(n)
            )));
        }
        let start = Pca::fit(points, self.components)?.project(points)?;
        let edges = edges(&nearest(points, self.neighbours)?);
        let mut map = scaled(rows::numbers(&start)?, self.components);
        self.descend(&edges, &mut map);
        Tensor::from_vec(map, [n, self.components], points.device()).map(|map| map.cast(DType::F32))
    }

    /// Moves the points, edge by edge. An edge comes up as often as its weight asks for.
    fn descend(&self, edges: &[Edge], map: &mut [f64]) {
        let width = self.components;
        let count = map.len() / width;
        let long = if count <= POINTS_OF_LONG_RUNS { 500 } else { 200 };
        let rounds = self.rounds.unwrap_or(long);
        let strongest = edges.iter().map(|edge| edge.weight).fold(0.0, f64::max);
        let kept = edges.iter().filter(|edge| edge.weight * rounds as f64 >= strongest);
        let mut kept: Vec<Turn> =
            kept.map(|edge| Turn::new(edge, strongest, self.negative_samples)).collect();
        let (a, b) = curve(self.min_distance, self.spread);
        let mut random = Random::new(self.key);
        for round in 0..rounds {
            let rate = self.learning_rate * (1.0 - round as f64 / rounds as f64);
            let now = round as f64;
            for turn in kept.iter_mut().filter(|turn| turn.next <= now) {
                let [from, to] = turn.ends.map(|end| end * width);
                let square = square(map, from, to, width);
                if square > 0.0 {
                    let pull = -2.0 * a * b * square.powf(b - 1.0) / (1.0 + a * square.powf(b));
                    for axis in 0..width {
                        let step = moved(pull * (map[from + axis] - map[to + axis])) * rate;
                        map[from + axis] += step;
                        map[to + axis] -= step;
                    }
                }
                turn.next += turn.every;
                let pushed = ((now - turn.next_push) / turn.every_push).max(0.0) as usize;
                for _ in 0..pushed {
                    let other = random.below(count) * width;
                    let square = self::square(map, from, other, width);
                    if other == from || square == 0.0 {
                        continue;
                    }
                    let push = 2.0 * b / ((0.001 + square) * (1.0 + a * square.powf(b)));
                    for axis in 0..width {
                        map[from + axis] +=
                            moved(push * (map[from + axis] - map[other + axis])) * rate;
                    }
                }
                turn.next_push += pushed as f64 * turn.every_push;
            }
        }
    }
}

fn moved(step: f64) -> f64 {
    step.clamp(-MOVE_MAX, MOVE_MAX)
}

fn square(map: &[f64], from: usize, to: usize, width: usize) -> f64 {
    (0..width).map(|axis| (map[from + axis] - map[to + axis]).powi(2)).sum()
}

/// Two points that are neighbours, and how much so, 0 to 1.
struct Edge {
    ends: [usize; 2],
    weight: f64,
}

/// When an edge comes up again, and when it pushes others away, in rounds.
struct Turn {
    ends: [usize; 2],
    every: f64,
    next: f64,
    every_push: f64,
    next_push: f64,
}

impl Turn {
    fn new(edge: &Edge, strongest: f64, pushes: usize) -> Self {
        let every = strongest / edge.weight;
        let every_push = every / pushes as f64;
        Turn { ends: edge.ends, every, next: every, every_push, next_push: every_push }
    }
}

/// The fuzzy union of the neighbourhoods: each pair that is in one of them, in both directions.
fn edges(found: &Neighbours) -> Vec<Edge> {
    let mut weights = std::collections::BTreeMap::<(usize, usize), f64>::new();
    let target = (found.count as f64 + 1.0).log2();
    let mean = found.distances.iter().sum::<f64>() / found.distances.len() as f64;
    for (at, distances) in found.distances.chunks_exact(found.count).enumerate() {
        // The nearest one is sure to be a neighbour, unless it is the same point.
        let nearest = distances.iter().copied().find(|distance| *distance > 0.0).unwrap_or(0.0);
        let scale = width_of(distances, nearest, target, mean);
        let others = &found.indices[at * found.count..(at + 1) * found.count];
        for (&other, distance) in others.iter().zip(distances) {
            let beyond = (distance - nearest).max(0.0);
            let weight = if beyond == 0.0 { 1.0 } else { (-beyond / scale).exp() };
            weights.insert((at, other), weight);
        }
    }
    let mut union = std::collections::BTreeMap::<(usize, usize), f64>::new();
    for (&(from, to), &one) in &weights {
        let other = weights.get(&(to, from)).copied().unwrap_or(0.0);
        let both = one + other - one * other;
        union.insert((from, to), both);
        union.insert((to, from), both);
    }
    let strong = union.into_iter().filter(|(_, weight)| *weight > 0.0);
    strong.map(|((from, to), weight)| Edge { ends: [from, to], weight }).collect()
}

/// The width at which the weights of a neighbourhood sum to the target, by bisection.
fn width_of(distances: &[f64], nearest: f64, target: f64, mean_of_all: f64) -> f64 {
    let (mut low, mut high, mut width) = (0.0, f64::INFINITY, 1.0);
    for _ in 0..64 {
        let weight = |distance: &f64| {
            let beyond = distance - nearest;
            if beyond > 0.0 { (-beyond / width).exp() } else { 1.0 }
        };
        let sum: f64 = distances.iter().map(weight).sum();
        if (sum - target).abs() < 1e-5 {
            break;
        }
        if sum > target {
            high = width;
            width = (low + high) / 2.0;
        } else {
            low = width;
            width = if high.is_finite() { (low + high) / 2.0 } else { width * 2.0 };
        }
    }
    let own = distances.iter().sum::<f64>() / distances.len() as f64;
    width.max(1e-3 * if nearest > 0.0 { own } else { mean_of_all })
}

/// `a` and `b` of `1 / (1 + a x^(2 b))`, nearest in squares to a curve that is 1 up to the distance and falls
/// exponentially after it, by the steps of Levenberg and Marquardt.
fn curve(min_distance: f64, spread: f64) -> (f64, f64) {
    let points: Vec<(f64, f64)> = (0..300)
        .map(|at| {
            let x = 3.0 * spread * f64::from(at) / 299.0;
            (x, if x < min_distance { 1.0 } else { (-(x - min_distance) / spread).exp() })
        })
        .collect();
    let value = |a: f64, b: f64, x: f64| 1.0 / (1.0 + a * x.powf(2.0 * b));
    let cost =
        |a: f64, b: f64| points.iter().map(|(x, y)| (value(a, b, *x) - y).powi(2)).sum::<f64>();
    let (mut a, mut b, mut damping) = (1.0, 1.0, 1e-3);
    for _ in 0..200 {
        // The normal equations of two unknowns.
        let (mut aa, mut ab, mut bb, mut ra, mut rb) = (0.0, 0.0, 0.0, 0.0, 0.0);
        for &(x, y) in points.iter().filter(|(x, _)| *x > 0.0) {
            let (power, found) = (x.powf(2.0 * b), value(a, b, x));
            let in_a = -power * found * found;
            let in_b = in_a * a * 2.0 * x.ln();
            let rest = found - y;
            (aa, ab, bb) = (aa + in_a * in_a, ab + in_a * in_b, bb + in_b * in_b);
            (ra, rb) = (ra + in_a * rest, rb + in_b * rest);
        }
        let (da, db) = (aa * (1.0 + damping), bb * (1.0 + damping));
        let determinant = da * db - ab * ab;
        let step = [(ab * rb - db * ra) / determinant, (ab * ra - da * rb) / determinant];
        let next = (a + step[0], b + step[1]);
        if next.0 > 0.0 && next.1 > 0.0 && cost(next.0, next.1) < cost(a, b) {
            (a, b) = next;
            damping *= 0.3;
        } else {
            damping *= 10.0;
        }
        if step[0].abs() + step[1].abs() < 1e-10 || damping > 1e12 {
            break;
        }
    }
    (a, b)
}

/// Each axis from 0 to 10.
fn scaled(mut map: Vec<f64>, width: usize) -> Vec<f64> {
    for axis in 0..width {
        let own = map.iter().skip(axis).step_by(width);
        let (low, high) =
            own.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), &x| (a.min(x), b.max(x)));
        let scale = if high > low { 10.0 / (high - low) } else { 0.0 };
        map.iter_mut().skip(axis).step_by(width).for_each(|x| *x = (*x - low) * scale);
    }
    map
}

/// Random numbers by the hundred million: SplitMix64, begun by a key.
struct Random(u64);

impl Random {
    fn new(key: Key) -> Self {
        let [low, high, ..] = key.words();
        Random(u64::from(low) | u64::from(high) << 32)
    }

    fn below(&mut self, count: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((u128::from(word ^ word >> 31) * count as u128) >> 64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::curve;

    #[test]
    fn curves_are_those_of_umap_learn() {
        // umap.umap_.find_ab_params(spread, min_dist)
        for ((spread, min_distance), (a, b)) in
            [((1.0, 0.1), (1.576943, 0.895061)), ((1.0, 0.5), (0.583030, 1.334167))]
        {
            let found = curve(min_distance, spread);
            assert!((found.0 - a).abs() < 1e-4 && (found.1 - b).abs() < 1e-4, "{found:?}");
        }
    }
}

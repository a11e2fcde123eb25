//! [`Tsne`]: exact t-SNE, as a graph of tensors.

use gradloom_tensor::{DType, Error, Result, Tensor, eval};

use crate::embedding::Pca;
use crate::rows;

/// Points, at most: the map needs the distances of all pairs.
const POINTS_MAX: usize = 10_000;

/// A map in which near points stay near: t-distributed stochastic neighbour embedding, with all pairs.
///
/// It begins with the first two principal components, so it needs no random numbers. Steps, momenta, gains and
/// the early exaggeration are scikit-learn's. van der Maaten, Hinton, "Visualizing data using t-SNE", 2008. As
/// `sklearn.manifold.TSNE(method="exact", init="pca")`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tsne {
    /// About how many neighbours a point has.
    pub perplexity: f64,
    /// Number of steps, of which a quarter, 250 at most, are exaggerated.
    pub steps: usize,
    /// How strongly points attract each other at first.
    pub early_exaggeration: f64,
    /// The size of steps; `max(N / early_exaggeration / 4, 50)` without.
    pub learning_rate: Option<f64>,
}

impl Default for Tsne {
    fn default() -> Self {
        Tsne { perplexity: 30.0, steps: 1000, early_exaggeration: 12.0, learning_rate: None }
    }
}

impl Tsne {
    /// The map of points `[N, D]`: `[N, 2]`, f32.
    ///
    /// # Errors
    /// If the points are not `[N, D]`, are not finite, or are too few for the perplexity or more than ten
    /// thousand.
    pub fn map(&self, points: &Tensor) -> Result<Tensor> {
        let [n, d] = points.shape()[..] else {
            let shape = points.shape();
            return Err(Error::shape(format!("tsne: points of shape {shape}, not [N, D]")));
        };
        if d < 2 || n > POINTS_MAX || !(self.perplexity >= 1.0 && self.perplexity < n as f64) {
            return Err(Error::invalid(format!(
                "tsne: {n} points of {d} numbers for a perplexity of {}; it needs at least 2 numbers, more \
                 points than the perplexity, which is at least 1, and at most {POINTS_MAX} points",
                self.perplexity
            )));
        }
        let start = Pca::fit(points, 2)?.project(points)?.cast(DType::F32);
        let spread = start.index(1, 0).std(.., 0.0).maximum(1e-12);
        let start = start.div(spread).mul(1e-4);
        let shares = self.shares(points, n, d)?;
        let rate =
            self.learning_rate.unwrap_or((n as f64 / self.early_exaggeration / 4.0).max(50.0));
        let exaggerated = (self.steps / 4).min(250);
        let mut state = State::new(start);
        for step in 0..self.steps {
            let early = step < exaggerated;
            let (exaggeration, momentum) =
                if early { (self.early_exaggeration, 0.5) } else { (1.0, 0.8) };
            state.step(&shares, exaggeration, rate, momentum)?;
        }
        Ok(state.map)
    }

    /// How much of the neighbourhood of each pair is theirs, `[N, N]`: Gaussian, of the perplexity, symmetric.
    fn shares(&self, points: &Tensor, n: usize, d: usize) -> Result<Tensor> {
        let values = rows::numbers(points)?;
        let mut shares = vec![0.0_f64; n * n];
        for at in 0..n {
            let own = &values[at * d..(at + 1) * d];
            let distances: Vec<f64> = values
                .chunks(d)
                .map(|other| own.iter().zip(other).map(|(a, b)| (a - b) * (a - b)).sum())
                .collect();
            neighbours(&distances, at, self.perplexity.ln(), &mut shares[at * n..(at + 1) * n]);
        }
        let total = 2.0 * n as f64;
        let share = |at: usize| {
            let both = shares[at] + shares[at % n * n + at / n];
            (both / total).max(f64::from(f32::EPSILON) * 1e-5) as f32
        };
        Tensor::from_vec((0..n * n).map(share).collect(), [n, n], points.device())
    }
}

/// The conditional distribution of a point over the others whose entropy is the one asked for, by bisection.
fn neighbours(distances: &[f64], at: usize, entropy: f64, shares: &mut [f64]) {
    let others = || distances.iter().enumerate().filter(|(other, _)| *other != at);
    let nearest = others().map(|(_, distance)| *distance).fold(f64::INFINITY, f64::min);
    let (mut low, mut high, mut beta) = (0.0, f64::INFINITY, 1.0);
    for _ in 0..100 {
        let (mut sum, mut weighted) = (0.0, 0.0);
        for (other, distance) in others() {
            shares[other] = (-(distance - nearest) * beta).exp();
            sum += shares[other];
            weighted += (distance - nearest) * shares[other];
        }
        let found = sum.ln() + beta * weighted / sum;
        shares.iter_mut().for_each(|share| *share /= sum);
        if (found - entropy).abs() < 1e-5 {
            break;
        }
        if found > entropy {
            low = beta;
            beta = if high.is_finite() { (beta + high) / 2.0 } else { beta * 2.0 };
        } else {
            high = beta;
            beta = (low + beta) / 2.0;
        }
    }
    shares[at] = 0.0;
}

/// A map on its way.
struct State {
    map: Tensor,
    velocity: Tensor,
    gains: Tensor,
}

impl State {
    fn new(map: Tensor) -> Self {
        let (velocity, gains) = (map.zeros_like(), map.ones_like());
        State { map, velocity, gains }
    }

    fn step(&mut self, shares: &Tensor, exaggeration: f64, rate: f64, momentum: f64) -> Result<()> {
        let y = &self.map;
        // Coordinates one by one: squares of differences, not differences of large squares.
        let columns = [0, 1].map(|axis| y.index(1, axis));
        let [dx, dy] = columns.each_ref().map(|c| c.unsqueeze(1).sub(c.unsqueeze(0)));
        let near = dx.square().add(dy.square()).add(1.0).reciprocal();
        // Each point is at no distance from itself, which is no neighbourhood.
        let total = near.sum(..).sub(y.shape()[0] as f64);
        let pull = shares.mul(exaggeration).sub(near.div(total)).mul(&near).mul(4.0);
        let gradient = Tensor::stack(&[pull.mul(dx).sum(1), pull.mul(dy).sum(1)], 1);
        let turned = self.velocity.mul(&gradient).lt(0.0);
        let gains = turned.select(self.gains.add(0.2), self.gains.mul(0.8)).maximum(0.01);
        let velocity = self.velocity.mul(momentum).sub(gains.mul(&gradient).mul(rate));
        let map = y.add(&velocity);
        eval([&map, &velocity, &gains])?;
        (self.map, self.velocity, self.gains) = (map.detach(), velocity.detach(), gains.detach());
        Ok(())
    }
}

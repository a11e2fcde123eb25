//! [`Tsne`]: t-SNE, exact as a graph of tensors, or by a tree.

use gradloom_tensor::{DType, Error, Result, Tensor, eval};

use super::barnes_hut::{self, Shares};
use super::neighbours::conditional;
use crate::embedding::Pca;
use crate::rows;

/// Points, at most, where the map needs the distances of all pairs.
const POINTS_MAX: usize = 10_000;

/// A map in which near points stay near: t-distributed stochastic neighbour embedding, with all pairs or by a tree.
///
/// It begins with the first two principal components, so it needs no random numbers. Steps, momenta, gains and
/// the early exaggeration are scikit-learn's. van der Maaten, Hinton, "Visualizing data using t-SNE", 2008. As
/// `sklearn.manifold.TSNE(init="pca")` with `method="exact"`, or with `method="barnes_hut"` if there is an
/// [`angle`](Tsne::angle).
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
    /// Far points of a square are one if its width is less than this part of its distance: 0.5 is usual, 0 is
    /// exact. Points attract three times the perplexity of nearest neighbours then, all of them without. The
    /// steps run on the host, whatever device the points are on. van der Maaten, "Accelerating t-SNE using
    /// tree-based algorithms", 2014.
    pub angle: Option<f64>,
}

impl Default for Tsne {
    fn default() -> Self {
        Tsne {
            perplexity: 30.0,
            steps: 1000,
            early_exaggeration: 12.0,
            learning_rate: None,
            angle: None,
        }
    }
}

impl Tsne {
    /// The map of points `[N, D]`: `[N, 2]`, f32.
    ///
    /// # Errors
    /// If the points are not `[N, D]`, are not finite, or are too few for the perplexity; without an angle also if
    /// they are more than ten thousand.
    pub fn map(&self, points: &Tensor) -> Result<Tensor> {
        let [n, d] = points.shape()[..] else {
            let shape = points.shape();
            return Err(Error::shape(format!("tsne: points of shape {shape}, not [N, D]")));
        };
        if d < 2 || !(self.perplexity >= 1.0 && self.perplexity < n as f64) {
            return Err(Error::invalid(format!(
                "tsne: {n} points of {d} numbers for a perplexity of {}; it needs at least 2 numbers and more \
                 points than the perplexity, which is at least 1",
                self.perplexity
            )));
        }
        match self.angle {
            Some(angle) if !(0.0..=1.0).contains(&angle) => {
                return Err(Error::invalid(format!(
                    "tsne: an angle of {angle}; it is within 0 and 1"
                )));
            }
            None if n > POINTS_MAX => {
                return Err(Error::invalid(format!(
                    "tsne: {n} points are too many for all pairs of them, at most {POINTS_MAX}; give an angle of 0.5"
                )));
            }
            _ => {}
        }
        let start = Pca::fit(points, 2)?.project(points)?.cast(DType::F32);
        let spread = start.index(1, 0).std(.., 0.0).maximum(1e-12);
        let start = start.div(spread).mul(1e-4);
        let rate =
            self.learning_rate.unwrap_or((n as f64 / self.early_exaggeration / 4.0).max(50.0));
        let exaggerated = (self.steps / 4).min(250);
        let steps = (0..self.steps).map(|step| match step < exaggerated {
            true => (self.early_exaggeration, 0.5),
            false => (1.0, 0.8),
        });
        if let Some(angle) = self.angle {
            let shares = Shares::of(points, self.perplexity)?;
            let mut state = barnes_hut::State::new(rows::numbers(&start)?);
            for (exaggeration, momentum) in steps {
                state.step(&shares, angle, exaggeration, rate, momentum);
            }
            let map = Tensor::from_vec(state.map, [n, 2], points.device())?;
            return Ok(map.cast(DType::F32));
        }
        let shares = self.shares(points, n, d)?;
        let mut state = State::new(start);
        for (exaggeration, momentum) in steps {
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
            let own = &mut shares[at * n..(at + 1) * n];
            conditional(&distances, Some(at), self.perplexity.ln(), own);
        }
        let total = 2.0 * n as f64;
        let share = |at: usize| {
            let both = shares[at] + shares[at % n * n + at / n];
            (both / total).max(f64::from(f32::EPSILON) * 1e-5) as f32
        };
        Tensor::from_vec((0..n * n).map(share).collect(), [n, n], points.device())
    }
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

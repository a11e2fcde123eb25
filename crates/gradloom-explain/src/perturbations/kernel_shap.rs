//! [`KernelShap`]: Shapley values as a weighted regression.

use gradloom_tensor::{Key, Result};

use super::coalitions;
use super::game::{Coalition, playing};
use super::linear_model::LinearModel;
use crate::draws::Draws;
use crate::{Attribution, Baseline, Features, Forward, Inputs, Method, Target};

/// The weight of the two coalitions that the linear model must fit: of all features and of none.
const END_WEIGHT: f64 = 1e6;

/// The coefficients of a linear model of coalitions of features, which are drawn as often as the Shapley
/// kernel weighs them. With many draws they are the Shapley values.
///
/// Lundberg, Lee, "A unified approach to interpreting model predictions", 2017. As
/// `captum.attr.KernelShap`.
#[derive(Clone, Debug)]
pub struct KernelShap {
    /// What takes the place of absent features.
    pub baseline: Baseline,
    /// The features; each element is one without.
    pub features: Option<Features>,
    /// Number of coalitions, with that of all features and that of none.
    pub samples: usize,
    /// What the coalitions come from.
    pub key: Key,
    /// The coalitions, in place of random ones.
    pub coalitions: Option<Vec<Vec<bool>>>,
    /// Variants of the batch that are run at once; as many as fit without.
    pub perturbations_per_eval: Option<usize>,
}

impl KernelShap {
    /// With captum's default of 25 coalitions.
    pub fn new(key: Key) -> Self {
        KernelShap {
            baseline: Baseline::Zero,
            features: None,
            samples: 25,
            key,
            coalitions: None,
            perturbations_per_eval: None,
        }
    }

    /// All, none, and then `k` random ones with probability `1 / (k (n - k))`.
    fn drawn(&self, count: usize) -> Vec<Coalition> {
        let mut draws = Draws::new(self.key);
        let mut drawn = vec![vec![true; count], vec![false; count]];
        let sizes: Vec<f64> = (1..count).map(|k| 1.0 / (k * (count - k)) as f64).collect();
        let total: f64 = sizes.iter().sum();
        while drawn.len() < self.samples && count > 1 {
            let mut left = draws.unit() * total;
            let chosen = sizes.iter().position(|size| {
                left -= size;
                left < 0.0
            });
            let size = chosen.map_or(count - 1, |at| at + 1);
            let mut coalition = vec![false; count];
            draws.permutation(count)[..size].iter().for_each(|&feature| coalition[feature] = true);
            drawn.push(coalition);
        }
        drawn
    }
}

playing!(KernelShap, "kernel_shap");

impl Method for KernelShap {
    fn attribute(
        &self,
        forward: &Forward,
        inputs: &Inputs,
        target: &Target,
    ) -> Result<Attribution> {
        let game = self.game(forward, inputs, target)?;
        let count = game.features.count();
        let coalitions = match &self.coalitions {
            Some(coalitions) => coalitions::checked(game.op, coalitions, count)?,
            None => self.drawn(count),
        };
        let values = game.values(&coalitions)?;
        let weight = |coalition: &Coalition| {
            let same = coalition.iter().all(|&on| on == coalition[0]);
            if same { END_WEIGHT } else { 1.0 }
        };
        let weights: Vec<f64> = coalitions.iter().map(weight).collect();
        let numbers = coalitions::numbers(&coalitions);
        let mut shares = Vec::with_capacity(inputs.batch());
        for sample in 0..inputs.batch() {
            let answers: Vec<f64> = values.iter().map(|row| row[sample]).collect();
            shares.push(LinearModel::least_squares(&numbers, &answers, &weights)?.coefficients);
        }
        game.attribution(&shares)
    }
}

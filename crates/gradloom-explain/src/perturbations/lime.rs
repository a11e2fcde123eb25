//! [`Lime`]: a sparse linear model of what features do near a sample.

use gradloom_tensor::{Error, Key, Result};

use super::coalitions;
use super::game::{Coalition, Game, playing};
use super::linear_model::LinearModel;
use crate::draws::Draws;
use crate::{Attribution, Baseline, Features, Forward, Inputs, Method, Target, rows};

/// How far a variant is from its sample.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Distance {
    /// One minus the cosine between them.
    #[default]
    Cosine,
    /// The length of their difference.
    Euclidean,
}

/// The coefficients of a lasso, fitted to a model's answers about variants of a sample that lack random
/// features, weighted by `exp(-distance^2 / (2 width^2))`.
///
/// For pictures with [`Features::segments`], for texts with [`Features::along`] of their embeddings
/// ([`Forward::from_layer`]), for tables with a feature for each column and a typical row for a baseline.
///
/// Ribeiro, Singh, Guestrin, "Why should I trust you?", 2016. As `captum.attr.Lime`.
#[derive(Clone, Debug)]
pub struct Lime {
    /// What takes the place of absent features.
    pub baseline: Baseline,
    /// The features; each element is one without.
    pub features: Option<Features>,
    /// Number of variants.
    pub samples: usize,
    /// How much coefficients cost.
    pub alpha: f64,
    /// Between a variant and its sample, in the features' own numbers.
    pub distance: Distance,
    /// The distance at which a variant counts `exp(-1/2)`.
    pub kernel_width: f64,
    /// What the variants come from.
    pub key: Key,
    /// Which features take part in each variant, in place of random ones.
    pub coalitions: Option<Vec<Vec<bool>>>,
    /// Variants of the batch that are run at once; as many as fit without.
    pub perturbations_per_eval: Option<usize>,
}

impl Lime {
    /// With captum's defaults: 50 variants, cosine distance, width 1, alpha 0.01.
    pub fn new(key: Key) -> Self {
        Lime {
            baseline: Baseline::Zero,
            features: None,
            samples: 50,
            alpha: 0.01,
            distance: Distance::Cosine,
            kernel_width: 1.0,
            key,
            coalitions: None,
            perturbations_per_eval: None,
        }
    }

    /// The linear model of each sample.
    ///
    /// # Errors
    /// As [`Method::attribute`].
    pub fn models(
        &self,
        forward: &Forward,
        inputs: &Inputs,
        target: &Target,
    ) -> Result<Vec<LinearModel>> {
        let game = self.game(forward, inputs, target)?;
        self.fitted(&game)
    }

    fn fitted(&self, game: &Game) -> Result<Vec<LinearModel>> {
        if self.kernel_width.is_nan() || self.kernel_width <= 0.0 {
            let width = self.kernel_width;
            return Err(Error::invalid(format!(
                "lime: a kernel of width {width}; it must be above 0"
            )));
        }
        let count = game.features.count();
        let coalitions = match &self.coalitions {
            Some(coalitions) => coalitions::checked(game.op, coalitions, count)?,
            None => {
                let mut draws = Draws::new(self.key);
                let drawn: Vec<Coalition> = (0..self.samples)
                    .map(|_| (0..count).map(|_| draws.unit() < 0.5).collect())
                    .collect();
                coalitions::checked(game.op, &drawn, count)?
            }
        };
        let values = game.values(&coalitions)?;
        let weights = self.weights(game, &coalitions)?;
        let numbers = coalitions::numbers(&coalitions);
        let of_sample = |(sample, weights): (usize, &Vec<f64>)| {
            let answers: Vec<f64> = values.iter().map(|row| row[sample]).collect();
            LinearModel::lasso(&numbers, &answers, weights, self.alpha)
        };
        weights.iter().enumerate().map(of_sample).collect()
    }

    /// The weight of each variant of each sample: `[B][variants]`.
    fn weights(&self, game: &Game, coalitions: &[Coalition]) -> Result<Vec<Vec<f64>>> {
        let batch = game.variants.inputs.batch();
        let mut weights = vec![vec![Sums::default(); coalitions.len()]; batch];
        let tensors = game.variants.inputs.features.iter().zip(&game.variants.baselines);
        for ((x, x0), labels) in tensors.zip(game.features.labels()) {
            let (x, x0) = (rows::numbers(x)?, rows::numbers(x0)?);
            let samples = x.chunks(labels.len()).zip(x0.chunks(labels.len()));
            for ((x, x0), sums) in samples.zip(&mut weights) {
                for (coalition, sums) in coalitions.iter().zip(sums) {
                    for ((&x, &x0), &label) in x.iter().zip(x0).zip(labels) {
                        sums.add(x, if coalition[label] { x } else { x0 });
                    }
                }
            }
        }
        let width = 2.0 * self.kernel_width * self.kernel_width;
        let weight = |sums: &Sums| (-sums.distance(self.distance).powi(2) / width).exp();
        Ok(weights.iter().map(|row| row.iter().map(weight).collect()).collect())
    }
}

/// Sums that distances are made of.
#[derive(Clone, Copy, Default)]
struct Sums {
    product: f64,
    own: f64,
    other: f64,
    difference: f64,
}

impl Sums {
    fn add(&mut self, x: f64, variant: f64) {
        self.product += x * variant;
        self.own += x * x;
        self.other += variant * variant;
        self.difference += (x - variant) * (x - variant);
    }

    fn distance(&self, distance: Distance) -> f64 {
        let length = |square: f64| square.sqrt().max(1e-8);
        match distance {
            Distance::Cosine => 1.0 - self.product / (length(self.own) * length(self.other)),
            Distance::Euclidean => self.difference.sqrt(),
        }
    }
}

playing!(Lime, "lime");

impl Method for Lime {
    fn attribute(
        &self,
        forward: &Forward,
        inputs: &Inputs,
        target: &Target,
    ) -> Result<Attribution> {
        let game = self.game(forward, inputs, target)?;
        let models = self.fitted(&game)?;
        let values: Vec<Vec<f64>> = models.into_iter().map(|model| model.coefficients).collect();
        game.attribution(&values)
    }
}

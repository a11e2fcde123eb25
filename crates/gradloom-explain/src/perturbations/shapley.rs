//! [`ShapleyValues`] and [`ShapleySampling`]: the mean of what a feature adds over all orders in which
//! features may come.

use gradloom_tensor::{Error, Key, Result, Tensor};

use super::game::{Coalition, playing};
use crate::draws::Draws;
use crate::{Attribution, Baseline, Features, Forward, Inputs, Method, Target};

/// Features of which all subsets are run, at most.
const FEATURES_MAX: usize = 16;

/// Exact Shapley values: `sum over S without i of |S|! (n - |S| - 1)! / n! (F(S + i) - F(S))`. All `2^n`
/// subsets of the features are run once, so there may be 16 of them.
///
/// As `captum.attr.ShapleyValues`, which runs all `n!` orders.
///
/// ```
/// use gradloom_explain::{Forward, Method, ShapleyValues, Target};
/// use gradloom_tensor::Tensor;
///
/// # fn main() -> gradloom_tensor::Result<()> {
/// # let device = gradloom_testkit::reference::device();
/// let forward = Forward::new(|x, _| x[0].index(1, 0) * x[0].index(1, 1) + x[0].index(1, 2));
/// let x = Tensor::new([[2f32, 3.0, 4.0]], &device)?;
/// let values = ShapleyValues::default().attribute(&forward, &(&x).into(), &Target::Output)?;
/// assert_eq!(values.first().to_vec::<f32>()?, [3.0, 3.0, 4.0]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct ShapleyValues {
    /// What takes the place of absent features.
    pub baseline: Baseline,
    /// The features; each element is one without.
    pub features: Option<Features>,
    /// Variants of the batch that are run at once; as many as fit without.
    pub perturbations_per_eval: Option<usize>,
}

playing!(ShapleyValues, "shapley_values");

impl Method for ShapleyValues {
    fn attribute(
        &self,
        forward: &Forward,
        inputs: &Inputs,
        target: &Target,
    ) -> Result<Attribution> {
        let game = self.game(forward, inputs, target)?;
        let op = game.op;
        let count = game.features.count();
        if count > FEATURES_MAX {
            return Err(Error::invalid(format!(
                "{op}: {count} features have 2^{count} subsets, more than 2^{FEATURES_MAX}; group them with \
                 Features, or use ShapleySampling or KernelShap"
            )));
        }
        let subsets = 1_usize << count;
        let coalitions: Vec<Coalition> = (0..subsets)
            .map(|subset| (0..count).map(|feature| subset >> feature & 1 == 1).collect())
            .collect();
        let values = game.values(&coalitions)?;
        // |S|! (n - |S| - 1)! / n! = 1 / (n choose(n - 1, |S|)).
        let mut weights = vec![1.0 / count as f64; count];
        for size in 1..count {
            weights[size] = weights[size - 1] * size as f64 / (count - size) as f64;
        }
        let mut shares = vec![vec![0.0; count]; inputs.batch()];
        for subset in 0..subsets {
            let weight = |subset: usize| weights[subset.count_ones() as usize];
            for feature in (0..count).filter(|feature| subset >> feature & 1 == 0) {
                let joined = &values[subset | 1 << feature];
                for (sample, share) in shares.iter_mut().enumerate() {
                    share[feature] += weight(subset) * (joined[sample] - values[subset][sample]);
                }
            }
        }
        game.attribution(&shares)
    }
}

/// Shapley values as means over random orders of the features.
///
/// Castro, Gomez, Tejada, "Polynomial calculation of the Shapley value based on sampling", 2009. As
/// `captum.attr.ShapleyValueSampling`.
#[derive(Clone, Debug)]
pub struct ShapleySampling {
    /// What takes the place of absent features.
    pub baseline: Baseline,
    /// The features; each element is one without.
    pub features: Option<Features>,
    /// Number of orders.
    pub samples: usize,
    /// What the orders come from.
    pub key: Key,
    /// Variants of the batch that are run at once; as many as fit without.
    pub perturbations_per_eval: Option<usize>,
}

/// A mean over draws, and how sure it is.
#[derive(Clone, Debug)]
pub struct Estimate {
    /// The means.
    pub attribution: Attribution,
    /// The standard error of each mean, of the same shapes; NaN of one draw.
    pub standard_errors: Vec<Tensor>,
}

playing!(ShapleySampling, "shapley_sampling");

impl ShapleySampling {
    /// With captum's defaults: 25 orders.
    pub fn new(key: Key) -> Self {
        let baseline = Baseline::Zero;
        ShapleySampling { baseline, features: None, samples: 25, key, perturbations_per_eval: None }
    }

    /// The values with their standard errors.
    ///
    /// # Errors
    /// As [`Method::attribute`].
    pub fn estimate(
        &self,
        forward: &Forward,
        inputs: &Inputs,
        target: &Target,
    ) -> Result<Estimate> {
        let game = self.game(forward, inputs, target)?;
        let op = game.op;
        let (count, batch) = (game.features.count(), inputs.batch());
        if self.samples == 0 {
            return Err(Error::invalid(format!("{op}: 0 samples; one is the fewest")));
        }
        let ends = game.values(&[vec![false; count], vec![true; count]])?;
        let mut draws = Draws::new(self.key);
        let mut sums = vec![vec![[0.0; 2]; count]; batch];
        for _ in 0..self.samples {
            let order = draws.permutation(count);
            let mut present = vec![false; count];
            // The first and the last coalition of an order are the same for all.
            let between = order[..count - 1].iter().map(|&feature| {
                present[feature] = true;
                present.clone()
            });
            let values = game.values(&between.collect::<Vec<Coalition>>())?;
            for (sample, sums) in sums.iter_mut().enumerate() {
                let mut before = ends[0][sample];
                let after = values.iter().chain([&ends[1]]).map(|row| row[sample]);
                for (&feature, after) in order.iter().zip(after) {
                    let added = after - before;
                    sums[feature] = [sums[feature][0] + added, sums[feature][1] + added * added];
                    before = after;
                }
            }
        }
        let n = self.samples as f64;
        let each = |of: &dyn Fn([f64; 2]) -> f64| -> Vec<Vec<f64>> {
            sums.iter().map(|row| row.iter().map(|&sums| of(sums)).collect()).collect()
        };
        let means = each(&|[sum, _]| sum / n);
        let errors =
            each(&|[sum, squares]| ((squares - sum * sum / n).max(0.0) / (n - 1.0) / n).sqrt());
        let standard_errors = game.attribution(&errors)?.features;
        Ok(Estimate { attribution: game.attribution(&means)?, standard_errors })
    }
}

impl Method for ShapleySampling {
    fn attribute(
        &self,
        forward: &Forward,
        inputs: &Inputs,
        target: &Target,
    ) -> Result<Attribution> {
        Ok(self.estimate(forward, inputs, target)?.attribution)
    }
}

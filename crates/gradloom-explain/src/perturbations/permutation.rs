//! [`FeaturePermutation`]: a feature of another sample.

use gradloom_tensor::{Error, Key, Result, Tensor};

use super::game::{Game, Setting};
use crate::draws::Draws;
use crate::{Attribution, Baseline, Features, Forward, Inputs, Method, Target, rows};

/// How much the target falls if a feature takes the value that it has in another sample of the batch.
///
/// As `captum.attr.FeaturePermutation`. For a whole table see
/// [`permutation_importance`](crate::permutation_importance).
#[derive(Clone, Debug)]
pub struct FeaturePermutation {
    /// The features; each element is one without.
    pub features: Option<Features>,
    /// What the permutations of samples come from, one for each feature.
    pub key: Key,
    /// One permutation for all features in place of random ones: sample `b` gets the value of sample
    /// `permutation[b]`.
    pub permutation: Option<Vec<usize>>,
    /// Variants of the batch that are run at once; as many as fit without.
    pub perturbations_per_eval: Option<usize>,
}

impl FeaturePermutation {
    /// Of each element, at random.
    pub fn new(key: Key) -> Self {
        FeaturePermutation { features: None, key, permutation: None, perturbations_per_eval: None }
    }
}

impl Method for FeaturePermutation {
    fn attribute(
        &self,
        forward: &Forward,
        inputs: &Inputs,
        target: &Target,
    ) -> Result<Attribution> {
        let op = "feature_permutation";
        let setting = Setting {
            op,
            baseline: &Baseline::Zero,
            features: self.features.as_ref(),
            at_once: self.perturbations_per_eval,
        };
        let game = Game::new(&setting, forward, inputs, target)?;
        let (batch, count) = (inputs.batch(), game.features.count());
        if batch < 2 {
            return Err(Error::invalid(format!(
                "{op}: {batch} sample; it needs others to take from"
            )));
        }
        let mut draws = Draws::new(self.key);
        let mut order: Vec<Vec<usize>> = vec![(0..batch).collect()];
        for _ in 0..count {
            order.push(match &self.permutation {
                Some(permutation) => checked(op, permutation, batch)?,
                None => draws.permutation(batch),
            });
        }
        // The first variant keeps everything.
        let labels = game.features.labels();
        let kept = |variant: usize, tensor: usize, kept: &mut Vec<bool>| {
            kept.extend(labels[tensor].iter().map(|&label| variant == 0 || label != variant - 1));
        };
        let beside = |first: usize, tensor: usize, copies: usize| {
            let x = &inputs.features[tensor];
            let rows = order[first..first + copies].iter().flatten().map(|&row| row as i32);
            let rows = Tensor::from_vec(rows.collect(), [copies * batch], x.device())?;
            Ok(rows::apart(&x.index_select(0, &rows), copies))
        };
        let values = game.variants.values_beside(count + 1, &kept, &beside)?;
        let of_sample =
            |sample: usize| values[1..].iter().map(|row| values[0][sample] - row[sample]).collect();
        let falls: Vec<Vec<f64>> = (0..batch).map(of_sample).collect();
        game.attribution(&falls)
    }
}

fn checked(op: &str, permutation: &[usize], batch: usize) -> Result<Vec<usize>> {
    let mut sorted = permutation.to_vec();
    sorted.sort_unstable();
    if sorted.iter().copied().eq(0..batch) {
        return Ok(permutation.to_vec());
    }
    Err(Error::invalid(format!("{op}: {permutation:?} is no permutation of {batch} samples")))
}

//! [`FeatureAblation`]: one feature less.

use gradloom_tensor::Result;

use super::game::{Coalition, playing};
use crate::{Attribution, Baseline, Features, Forward, Inputs, Method, Target};

/// How much the target falls if a feature is replaced by the baseline. As `captum.attr.FeatureAblation`.
///
/// ```
/// use gradloom_explain::{FeatureAblation, Features, Forward, Method, Target};
/// use gradloom_tensor::Tensor;
///
/// # fn main() -> gradloom_tensor::Result<()> {
/// # let device = gradloom_testkit::reference::device();
/// let forward = Forward::new(|x, _| x[0].index(1, 0) * x[0].index(1, 1) + x[0].index(1, 2));
/// let x = Tensor::new([[2f32, 3.0, 4.0]], &device)?;
/// let each = FeatureAblation::default().attribute(&forward, &(&x).into(), &Target::Output)?;
/// assert_eq!(each.first().to_vec::<f32>()?, [6.0, 6.0, 4.0]);
/// let pairs = FeatureAblation { features: Some(Features::new([vec![0, 1, 1]])?), ..Default::default() };
/// let pairs = pairs.attribute(&forward, &(&x).into(), &Target::Output)?;
/// assert_eq!(pairs.first().to_vec::<f32>()?, [6.0, 10.0, 10.0]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct FeatureAblation {
    /// What takes a feature's place.
    pub baseline: Baseline,
    /// The features; each element is one without.
    pub features: Option<Features>,
    /// Variants of the batch that are run at once; as many as fit without.
    pub perturbations_per_eval: Option<usize>,
}

playing!(FeatureAblation, "feature_ablation");

impl Method for FeatureAblation {
    fn attribute(
        &self,
        forward: &Forward,
        inputs: &Inputs,
        target: &Target,
    ) -> Result<Attribution> {
        let game = self.game(forward, inputs, target)?;
        let count = game.features.count();
        let without = |left: usize| (0..count).map(|feature| feature != left).collect();
        // The first is the whole.
        let coalitions: Vec<Coalition> =
            std::iter::once(vec![true; count]).chain((0..count).map(without)).collect();
        let values = game.values(&coalitions)?;
        let of_sample =
            |sample: usize| values[1..].iter().map(|row| values[0][sample] - row[sample]).collect();
        let falls: Vec<Vec<f64>> = (0..inputs.batch()).map(of_sample).collect();
        game.attribution(&falls)
    }
}

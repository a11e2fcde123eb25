//! [`Game`]: what a model says when only some features take part, the game that Shapley values divide.

use gradloom_tensor::{Result, Tensor};

use crate::perturbations::Variants;
use crate::{Attribution, Baseline, Features, Forward, Inputs, Target};

/// Who takes part.
pub(crate) type Coalition = Vec<bool>;

/// Features of inputs as players.
pub(crate) struct Game<'g> {
    /// The method, for errors.
    pub(crate) op: &'static str,
    pub(crate) variants: Variants<'g>,
    pub(crate) features: Features,
}

/// Gives a method the game that it asks about: its `baseline`, its `features` and its
/// `perturbations_per_eval` say what the players are, and errors begin with its name.
macro_rules! playing {
    ($method:ident, $op:literal) => {
        impl $method {
            fn game<'g>(
                &self,
                forward: &'g $crate::Forward<'g>,
                inputs: &'g $crate::Inputs,
                target: &'g $crate::Target,
            ) -> gradloom_tensor::Result<$crate::perturbations::game::Game<'g>> {
                let setting = $crate::perturbations::game::Setting {
                    op: $op,
                    baseline: &self.baseline,
                    features: self.features.as_ref(),
                    at_once: self.perturbations_per_eval,
                };
                $crate::perturbations::game::Game::new(&setting, forward, inputs, target)
            }
        }
    };
}
pub(crate) use playing;

/// What methods of this family have in common.
pub(crate) struct Setting<'s> {
    pub(crate) op: &'static str,
    pub(crate) baseline: &'s Baseline,
    pub(crate) features: Option<&'s Features>,
    pub(crate) at_once: Option<usize>,
}

impl<'g> Game<'g> {
    pub(crate) fn new(
        setting: &Setting,
        forward: &'g Forward<'g>,
        inputs: &'g Inputs,
        target: &'g Target,
    ) -> Result<Self> {
        let Setting { op, baseline, features, at_once } = setting;
        let variants = Variants::new(op, forward, inputs, target, baseline, *at_once)?;
        let features = Features::or_each(*features, op, inputs)?;
        Ok(Game { op, variants, features })
    }

    /// The target for each coalition and sample: `[coalitions][B]`.
    pub(crate) fn values(&self, coalitions: &[Coalition]) -> Result<Vec<Vec<f64>>> {
        let labels = self.features.labels();
        self.variants.values(coalitions.len(), &|variant, tensor, kept| {
            kept.extend(labels[tensor].iter().map(|&label| coalitions[variant][label]));
        })
    }

    /// The attribution with these values of features, `[B][count]`.
    pub(crate) fn attribution(&self, values: &[Vec<f64>]) -> Result<Attribution> {
        let features: Vec<Tensor> = self.features.spread(values, self.variants.inputs)?;
        Ok(Attribution { features, delta: None })
    }
}

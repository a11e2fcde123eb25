//! [`RopeParameters`]: what a configuration says about rotary positions.

use crate::config::Checker;
use gradloom_nn::layers::RotaryScaling;
use serde::Deserialize;

/// The object `rope_parameters`, or `rope_scaling` of older files.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct RopeParameters {
    /// `default`, `linear`, `dynamic`, `llama3` or `yarn`.
    pub rope_type: Option<String>,
    /// The same in older files.
    #[serde(rename = "type")]
    pub old_type: Option<String>,
    /// The base of the angles.
    pub rope_theta: Option<f64>,
    /// How far the context is stretched.
    pub factor: Option<f64>,
    /// Length of the first training's texts.
    pub original_max_position_embeddings: Option<usize>,
    /// `llama3`: angles that turn fewer times within a text are slow.
    pub low_freq_factor: Option<f64>,
    /// `llama3`: angles that turn more times within a text are fast.
    pub high_freq_factor: Option<f64>,
    /// `yarn`: factor of queries and keys.
    pub attention_factor: Option<f64>,
    /// `yarn`: angles that turn more times within a text are fast.
    pub beta_fast: Option<f64>,
    /// `yarn`: angles that turn fewer times within a text are slow.
    pub beta_slow: Option<f64>,
    /// `yarn`: weight of the stretch in the factor of queries and keys.
    pub mscale: Option<f64>,
    /// `yarn`: the weight that it is divided by.
    pub mscale_all_dim: Option<f64>,
    /// `yarn`: whether the ramp begins and ends at whole indices.
    pub truncate: Option<bool>,
    /// Must be 1: all features turn.
    pub partial_rotary_factor: Option<f64>,
}

impl RopeParameters {
    fn kind(&self) -> &str {
        self.rope_type.as_deref().or(self.old_type.as_deref()).unwrap_or("default")
    }

    /// Adds what must hold of the values.
    pub(super) fn check(&self, checker: Checker) -> Checker {
        const KINDS: [&str; 5] = ["default", "linear", "dynamic", "llama3", "yarn"];
        let kind = self.kind();
        let (slow, fast) = (self.low_freq_factor, self.high_freq_factor);
        let optional = |checker: Checker, name: &str, value: Option<f64>| match value {
            Some(value) => checker.positive(name, value),
            None => checker,
        };
        let checker = checker
            .require(KINDS.contains(&kind), || {
                format!("rope_type is {kind:?}, which is none of {}", KINDS.join(", "))
            })
            .require(kind == "default" || self.factor.is_some(), || {
                format!("rope_type is {kind}, but factor is missing")
            })
            .require(kind != "llama3" || slow.zip(fast).is_some_and(|(slow, fast)| slow < fast), || {
                "rope_type is llama3, but low_freq_factor and high_freq_factor are not given in order"
                    .into()
            })
            .require(self.partial_rotary_factor.is_none_or(|part| part == 1.0), || {
                "partial_rotary_factor is not 1, which is not supported".into()
            });
        let checker = match self.original_max_position_embeddings {
            Some(positions) => checker.size("original_max_position_embeddings", positions),
            None => checker,
        };
        [
            ("factor", self.factor),
            ("low_freq_factor", self.low_freq_factor),
            ("high_freq_factor", self.high_freq_factor),
            ("attention_factor", self.attention_factor),
            ("beta_fast", self.beta_fast),
            ("beta_slow", self.beta_slow),
        ]
        .into_iter()
        .fold(checker, |checker, (name, value)| optional(checker, name, value))
    }

    /// The scaling of checked values, for a model of `positions_max` positions.
    pub(super) fn scaling(&self, positions_max: usize) -> RotaryScaling {
        let factor = self.factor.unwrap_or(1.0);
        let positions = self.original_max_position_embeddings.unwrap_or(positions_max);
        match self.kind() {
            "linear" => RotaryScaling::Linear { factor },
            "dynamic" => RotaryScaling::Dynamic { factor, positions: positions_max },
            "llama3" => RotaryScaling::Llama3 {
                factor,
                slow: self.low_freq_factor.unwrap_or(1.0),
                fast: self.high_freq_factor.unwrap_or(4.0),
                positions,
            },
            "yarn" => RotaryScaling::Yarn {
                factor,
                slow: self.beta_slow.unwrap_or(1.0),
                fast: self.beta_fast.unwrap_or(32.0),
                positions,
                attention: self.attention_factor.unwrap_or_else(|| self.sharpness(factor)),
                whole: self.truncate.unwrap_or(true),
            },
            _ => RotaryScaling::None,
        }
    }

    /// YaRN's factor of queries and keys for a stretch, `0.1 ln(stretch) + 1` if nothing else is said.
    fn sharpness(&self, stretch: f64) -> f64 {
        let weighted =
            |weight: f64| if stretch <= 1.0 { 1.0 } else { 0.1 * weight * stretch.ln() + 1.0 };
        match (self.mscale, self.mscale_all_dim) {
            (Some(above), Some(below)) if above != 0.0 && below != 0.0 => {
                weighted(above) / weighted(below)
            }
            _ => weighted(1.0),
        }
    }
}

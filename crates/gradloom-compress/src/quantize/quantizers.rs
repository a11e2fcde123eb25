//! [`Quantizers`]: the scales of a model's weights and of what they are multiplied with, by the names of the weights.

use std::collections::BTreeMap;

use gradloom_nn::Module;
use gradloom_tensor::Result;

use super::calibrate::Calibration;
use super::parameters::QuantizationParameters;
use super::recipe::{Recipe, check_recipe, obstacle, weights};
use super::scheme::Scheme;

/// The scales of a model's weights, and of what they are multiplied with, by the names of the weights.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Quantizers {
    /// Of weights.
    pub weights: BTreeMap<String, QuantizationParameters>,
    /// Of their inputs. Names with a colon are of results between layers.
    pub activations: BTreeMap<String, QuantizationParameters>,
}

impl Quantizers {
    /// Of a recipe and what calibration saw.
    ///
    /// # Errors
    /// If a weight is not finite, or groups do not divide it; it is named.
    pub fn new(
        model: &(impl Module + ?Sized),
        recipe: &Recipe,
        calibration: &Calibration,
    ) -> Result<Self> {
        let mut quantizers = Quantizers::of_weights(model, recipe)?;
        quantizers.weights.retain(|name, _| calibration.range(name).is_some());
        for (name, range) in calibration.ranges() {
            let scheme = match name.contains(':') {
                true => Some(Scheme::affine(8)),
                false => recipe.scheme(name).and_then(|scheme| scheme.activations),
            };
            if let Some(scheme) = scheme {
                let parameters = QuantizationParameters::of_range(scheme, *range);
                quantizers.activations.insert(name.clone(), parameters);
            }
        }
        Ok(quantizers)
    }

    /// Of the weights alone: of every matrix that the recipe quantizes, which needs no data.
    ///
    /// # Errors
    /// If the recipe names a part that the model does not have or that cannot be quantized, a weight is not finite,
    /// or groups do not divide it; it is named.
    pub fn of_weights(model: &(impl Module + ?Sized), recipe: &Recipe) -> Result<Self> {
        check_recipe(model, recipe)?;
        let mut quantizers = Quantizers::default();
        for (name, parameter) in weights(model) {
            let Some(scheme) = recipe.scheme(&name) else { continue };
            if obstacle(parameter).is_some() {
                continue;
            }
            let found = QuantizationParameters::of_weight(
                scheme.weights,
                parameter,
                recipe.weight_observer(),
            );
            let parameters = found.map_err(|error| error.context(format!("quantize: {name}")))?;
            quantizers.weights.insert(name, parameters);
        }
        Ok(quantizers)
    }

    /// Of one weight alone, and its input.
    pub fn only(&self, weight: &str) -> Quantizers {
        let own = |map: &BTreeMap<String, QuantizationParameters>| {
            map.iter()
                .filter(|(name, _)| *name == weight)
                .map(|(name, own)| (name.clone(), own.clone()))
                .collect()
        };
        Quantizers { weights: own(&self.weights), activations: own(&self.activations) }
    }
}

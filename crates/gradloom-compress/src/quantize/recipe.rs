//! [`Recipe`]: which weights of a model are quantized, and how.

use gradloom_nn::{Module, ModuleExt, Parameter, Role};
use gradloom_tensor::{DType, Error, ErrorKind, Result};

use super::observer::Observer;
use super::scheme::Scheme;

/// How one layer is quantized.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LayerScheme {
    /// Its weight.
    pub weights: Scheme,
    /// What the weight is multiplied with; `None` leaves it as it is.
    pub activations: Option<Scheme>,
}

impl LayerScheme {
    /// Weights and activations of so many bits: weights symmetric with a scale for each output, activations affine.
    ///
    /// # Panics
    /// Unless there are 2 to 8 bits.
    #[track_caller]
    pub fn bits(weights: u32, activations: u32) -> Self {
        LayerScheme {
            weights: Scheme::symmetric(weights).per_channel(),
            activations: Some(Scheme::affine(activations)),
        }
    }

    /// The weight alone.
    pub fn weights(weights: Scheme) -> Self {
        LayerScheme { weights, activations: None }
    }
}

/// Which weights of a model are quantized, and how: all that are multiplied, by one scheme, but for exceptions by
/// name.
///
/// PyTorch: `torch.ao.quantization.QConfigMapping`.
///
/// ```
/// use gradloom_compress::quantize::{LayerScheme, Observer, Recipe, Scheme};
///
/// // Four bits, but eight in the first and the last layer, as is usual.
/// let recipe = Recipe::new(LayerScheme::bits(4, 4))
///     .with("0", LayerScheme::bits(8, 8))
///     .with("head", LayerScheme::bits(8, 8))
///     .without("embeddings")
///     .observing(Observer::Percentile(99.9));
/// assert_eq!(recipe.scheme("0.weight"), Some(LayerScheme::bits(8, 8)));
/// assert_eq!(recipe.scheme("3.weight"), Some(LayerScheme::bits(4, 4)));
/// assert_eq!(recipe.scheme("embeddings.word.weight"), None);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Recipe {
    layers: Option<LayerScheme>,
    exceptions: Vec<(String, Option<LayerScheme>)>,
    weights: Observer,
    activations: Observer,
}

impl Recipe {
    /// One scheme for all layers. Ranges of weights are those with the least squared error, and so are those of
    /// activations.
    pub fn new(layers: LayerScheme) -> Self {
        Recipe {
            layers: Some(layers),
            exceptions: Vec::new(),
            weights: Observer::Mse,
            activations: Observer::Mse,
        }
    }

    /// Eight bits for weights and activations, with what [`Int8Model`](super::Int8Model) computes.
    pub fn int8() -> Self {
        let recipe = Recipe::new(LayerScheme::bits(8, 8));
        Recipe { weights: Observer::MinMax, ..recipe }
    }

    /// No layer but those that [`with`](Recipe::with) names.
    pub fn only_named() -> Self {
        Recipe { layers: None, ..Recipe::int8() }
    }

    /// Another scheme for a layer, or for all layers of a part of the model. Later exceptions win.
    #[must_use]
    pub fn with(mut self, part: impl Into<String>, scheme: LayerScheme) -> Self {
        self.exceptions.push((part.into(), Some(scheme)));
        self
    }

    /// Leaves a layer, or a part of the model, as it is.
    #[must_use]
    pub fn without(mut self, part: impl Into<String>) -> Self {
        self.exceptions.push((part.into(), None));
        self
    }

    /// How ranges of activations are chosen.
    #[must_use]
    pub fn observing(mut self, activations: Observer) -> Self {
        self.activations = activations;
        self
    }

    /// How ranges of weights are chosen.
    #[must_use]
    pub fn observing_weights(mut self, weights: Observer) -> Self {
        self.weights = weights;
        self
    }

    /// How a weight of this name is quantized, if it is.
    pub fn scheme(&self, weight: &str) -> Option<LayerScheme> {
        let own = self.exceptions.iter().rev().find(|(part, _)| is_part(weight, part));
        own.map_or(self.layers, |(_, scheme)| *scheme)
    }

    /// How ranges of weights are chosen.
    pub fn weight_observer(&self) -> Observer {
        self.weights
    }

    /// How ranges of activations are chosen.
    pub fn activation_observer(&self) -> Observer {
        self.activations
    }

    /// Whether a weight is asked for by the name of its layer or part.
    pub(super) fn names(&self, weight: &str) -> bool {
        let own = self.exceptions.iter().rev().find(|(part, _)| is_part(weight, part));
        own.is_some_and(|(_, scheme)| scheme.is_some())
    }

    /// Parts that are named but hold no parameter of the model.
    pub(super) fn unknown_parts(&self, model: &(impl Module + ?Sized)) -> Vec<String> {
        let parameters = model.parameters();
        let unknown = self.exceptions.iter().map(|(part, _)| part);
        let unknown =
            unknown.filter(|part| !parameters.iter().any(|(name, _)| is_part(name, part)));
        unknown.cloned().collect()
    }
}

/// `0.weight` belongs to the parts `0.weight` and `0`.
fn is_part(name: &str, part: &str) -> bool {
    name.strip_prefix(part).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// Why a parameter cannot be quantized, if so. Vectors are no weights of products.
pub(super) fn obstacle(parameter: &Parameter) -> Option<&'static str> {
    if parameter.is_quantized() {
        return Some("it is in blocks of small integers already");
    }
    if parameter.dtype() != DType::F32 {
        return Some("it is not f32; convert the model first");
    }
    None
}

/// The parameters that could be weights of products, by name.
pub(super) fn weights(model: &(impl Module + ?Sized)) -> Vec<(String, &Parameter)> {
    let mut weights = model.parameters();
    weights.retain(|(_, parameter)| parameter.role() != Role::State && parameter.rank() >= 2);
    weights
}

/// Fails if a recipe names what the model does not have or what cannot be quantized.
pub(super) fn check_recipe(model: &(impl Module + ?Sized), recipe: &Recipe) -> Result<()> {
    if let Some(part) = recipe.unknown_parts(model).first() {
        let known: Vec<String> = weights(model).into_iter().map(|(name, _)| name).collect();
        return Err(mismatch(format!(
            "quantize: the model has no part {part:?}; its weights are {}",
            known.join(", ")
        )));
    }
    for (name, parameter) in weights(model) {
        if let Some(why) = obstacle(parameter).filter(|_| recipe.names(&name)) {
            return Err(mismatch(format!("quantize: {name} cannot be quantized: {why}")));
        }
    }
    Ok(())
}

pub(super) fn mismatch(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Mismatch, message)
}

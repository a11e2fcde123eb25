//! Weights alone, rounded to a few bits: values in f32, or stored in blocks.

use gradloom_nn::{Module, ModuleExt};
use gradloom_tensor::{BlockFormat, Result, eval};

use super::quantizers::Quantizers;
use super::recipe::{Recipe, check_recipe, mismatch, obstacle, weights};
use super::scheme::{Granularity, Scheme};

/// What became of one weight.
#[derive(Clone, Debug, PartialEq)]
pub struct WeightReport {
    /// Its name.
    pub name: String,
    /// How it was quantized.
    pub scheme: Scheme,
    /// Number of elements.
    pub elements: usize,
    /// Bytes in f32.
    pub bytes_before: usize,
    /// Bytes of integers packed side by side and f16 scales, or of blocks.
    pub bytes_after: usize,
    /// Mean squared error over mean square: of the rounded weight.
    pub relative_error: f64,
}

/// Rounds the weights of a model to what a recipe's integers stand for, in place. They stay f32, so this shows what
/// 8, 4, 3 or 2 bits do to a model, on every device; [`store_weights`] makes it small.
///
/// # Errors
/// As [`Quantizers::of_weights`].
pub fn quantize_weights(model: &mut impl Module, recipe: &Recipe) -> Result<Vec<WeightReport>> {
    let quantizers = Quantizers::of_weights(model, recipe)?;
    round_weights(model, &quantizers)
}

/// Rounds weights by scales that are there, in place.
///
/// # Errors
/// If a device fails; the model is then as before.
pub fn round_weights(
    model: &mut impl Module,
    quantizers: &Quantizers,
) -> Result<Vec<WeightReport>> {
    let (mut rounded, mut reports) = (Vec::new(), Vec::new());
    for (name, parameters) in &quantizers.weights {
        let Some(weight) = model.parameter(name) else {
            return Err(mismatch(format!("quantize: the model has no weight {name}")));
        };
        let value = parameters.fake_quantize(&weight.detach())?;
        let square = weight.detach().square().mean(..);
        let error = (&value - weight.detach()).square().mean(..);
        eval([&value, &square, &error])?;
        reports.push(WeightReport {
            name: name.clone(),
            scheme: parameters.scheme(),
            elements: weight.count(),
            bytes_before: 4 * weight.count(),
            bytes_after: parameters.bytes(weight.count()),
            relative_error: error.item()? / square.item()?.max(f64::MIN_POSITIVE),
        });
        rounded.push(value);
    }
    let mut values = quantizers.weights.keys().zip(&rounded);
    let values: std::collections::BTreeMap<&String, _> = values.by_ref().collect();
    model.for_each_parameter(|name, parameter| {
        if let Some(value) = values.get(&name.to_owned()) {
            parameter.set(value);
        }
    });
    Ok(reports)
}

/// The format of blocks in which a scheme's integers can be stored, if there is one: 8 bits symmetric and 4 or 5 bits
/// in groups of 32; 2 (affine), 3 and 6 bits in groups of 16, whose scales are small integers themselves.
pub fn block_format(scheme: Scheme) -> Option<BlockFormat> {
    use BlockFormat::{Q2_K, Q3_K, Q4_0, Q4_1, Q5_0, Q5_1, Q6_K, Q8_0};
    let Granularity::Group(size) = scheme.granularity() else { return None };
    match (size, scheme.bits(), scheme.is_symmetric()) {
        (32, 8, true) => Some(Q8_0),
        (32, 4, true) => Some(Q4_0),
        (32, 4, false) => Some(Q4_1),
        (32, 5, true) => Some(Q5_0),
        (32, 5, false) => Some(Q5_1),
        (16, 2, false) => Some(Q2_K),
        (16, 3, true) => Some(Q3_K),
        (16, 6, true) => Some(Q6_K),
        _ => None,
    }
}

/// Stores the weights of a model in blocks of small integers, in place: products `x W^T` read the blocks. Matrices whose
/// rows are no whole blocks stay as they are.
///
/// # Errors
/// If a scheme of the recipe fits no format of blocks, it names a layer that cannot be stored so, or a device fails.
pub fn store_weights(model: &mut impl Module, recipe: &Recipe) -> Result<Vec<WeightReport>> {
    check_recipe(model, recipe)?;
    let (mut stored, mut reports) = (std::collections::BTreeMap::new(), Vec::new());
    for (name, weight) in weights(model) {
        let Some(scheme) = recipe.scheme(&name).map(|scheme| scheme.weights) else { continue };
        let Some(format) = block_format(scheme) else {
            return Err(mismatch(format!(
                "quantize: {name}: no format of blocks has {scheme}; there are 4, 5 and 8 bits per 32, 2, 3 and 6 \
                 bits per 16"
            )));
        };
        let fits = weight.rank() == 2 && weight.size(1).is_multiple_of(format.elements());
        if !fits || obstacle(weight).is_some() {
            if recipe.names(&name) {
                return Err(mismatch(format!(
                    "quantize: {name} {} has no rows of whole {format} blocks of {}",
                    weight.shape(),
                    format.elements()
                )));
            }
            continue;
        }
        let full = weight.detach();
        let value =
            full.quantize(format).map_err(|error| error.context(format!("quantize: {name}")))?;
        let square = full.square().mean(..);
        let error = (&value - &full).square().mean(..);
        reports.push(WeightReport {
            name: name.clone(),
            scheme,
            elements: weight.count(),
            bytes_before: 4 * weight.count(),
            bytes_after: weight.count() / format.elements() * format.bytes(),
            relative_error: error.item()? / square.item()?.max(f64::MIN_POSITIVE),
        });
        stored.insert(name, value);
    }
    model.for_each_parameter(|name, parameter| {
        if let Some(value) = stored.get(name) {
            parameter.replace(value);
        }
    });
    Ok(reports)
}

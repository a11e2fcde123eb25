//! [`sensitivity`]: what each layer alone costs when it is quantized.

use gradloom_nn::{Module, ModuleExt};
use gradloom_tensor::Result;

use super::aware::FakeQuantized;
use super::calibrate::Calibration;
use super::quantizers::Quantizers;
use super::recipe::Recipe;
use super::scheme::Scheme;

/// One layer, quantized alone.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerSensitivity {
    /// Its weight.
    pub name: String,
    /// How the weight was quantized.
    pub weights: Scheme,
    /// How its input was, if it was.
    pub activations: Option<Scheme>,
    /// Bytes of the weight in f32, and then.
    pub bytes: [usize; 2],
    /// The metric with this layer alone quantized.
    pub metric: f64,
}

/// What quantization costs, layer by layer. Its `Display` is a table, the most sensitive layer first.
#[derive(Clone, Debug, PartialEq)]
pub struct SensitivityReport {
    /// The metric of the model as it is.
    pub full: f64,
    /// The metric with all layers quantized.
    pub quantized: f64,
    /// In the order of names.
    pub layers: Vec<LayerSensitivity>,
}

impl SensitivityReport {
    /// Layers by how far they move the metric, the furthest first.
    pub fn by_change(&self) -> Vec<&LayerSensitivity> {
        let mut layers: Vec<&LayerSensitivity> = self.layers.iter().collect();
        let change = |layer: &LayerSensitivity| (layer.metric - self.full).abs();
        layers.sort_by(|one, other| change(other).total_cmp(&change(one)));
        layers
    }

    /// Bytes of the weights of these layers in f32, and quantized.
    pub fn bytes(&self) -> [usize; 2] {
        let sum = |place: usize| self.layers.iter().map(|layer| layer.bytes[place]).sum();
        [sum(0), sum(1)]
    }
}

impl std::fmt::Display for SensitivityReport {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let widest = self.layers.iter().map(|layer| layer.name.len()).max();
        let width = widest.unwrap_or(0).max("all layers".len());
        let mut row = |name: &str, metric: f64, [before, after]: [usize; 2]| {
            writeln!(
                formatter,
                "{name:<width$}  {metric:>10.4}  {:>+10.4}  {before:>10}  {after:>10}",
                metric - self.full
            )
        };
        let [before, _] = self.bytes();
        row("as it is", self.full, [before, before])?;
        row("all layers", self.quantized, self.bytes())?;
        for layer in self.by_change() {
            row(&layer.name, layer.metric, layer.bytes)?;
        }
        Ok(())
    }
}

/// Quantizes one layer at a time and measures: which layers deserve more bits. `metric` runs the model in a context of
/// [`Context::eval`](gradloom_nn::Context::eval), usually for an accuracy or a loss on a few batches.
///
/// # Errors
/// As [`Quantizers::new`], and what the metric fails with.
pub fn sensitivity<M: Module + Clone>(
    model: &M,
    recipe: &Recipe,
    calibration: &Calibration,
    mut metric: impl FnMut(&FakeQuantized<M>) -> Result<f64>,
) -> Result<SensitivityReport> {
    let quantizers = Quantizers::new(model, recipe, calibration)?;
    let mut measure =
        |quantizers: &Quantizers| metric(&FakeQuantized::fixed(model.clone(), quantizers)?);
    let (full, quantized) = (measure(&Quantizers::default())?, measure(&quantizers)?);
    let mut layers = Vec::new();
    for (name, parameters) in &quantizers.weights {
        let elements = model.parameter(name).map_or(0, |weight| weight.count());
        layers.push(LayerSensitivity {
            name: name.clone(),
            weights: parameters.scheme(),
            activations: quantizers.activations.get(name).map(|own| own.scheme()),
            bytes: [4 * elements, parameters.bytes(elements)],
            metric: measure(&quantizers.only(name))?,
        });
    }
    Ok(SensitivityReport { full, quantized, layers })
}

//! Weights that were trained rounded, in the form that formats of language models are written from.

use super::{QuantizedMatrix, QuantizedWeights, Scheme};
use crate::quantize::{FakeQuantized, Granularity, QuantizationParameters};
use gradloom_nn::{Module, ModuleExt};
use gradloom_tensor::{DType, Error, Result, Tensor};

impl QuantizedWeights {
    /// The integers of a model that was trained with rounded weights, which must have their outputs first. Products of
    /// the model with [`apply`](Self::apply) are those that it learnt with.
    ///
    /// # Errors
    /// If inputs are rounded too, which no format here has, a weight is not finite, or a device fails.
    pub fn of_trained<M: Module>(trained: &FakeQuantized<M>) -> Result<Self> {
        let quantizers = trained.quantizers()?;
        let rounded = |name: &&String| quantizers.weights.contains_key(*name);
        if let Some(name) = quantizers.activations.keys().find(rounded) {
            return Err(Error::invalid(format!(
                "quantize: the input of {name} is rounded too; weights alone go into these formats"
            )));
        }
        let mut matrices = Vec::new();
        for (name, parameters) in &quantizers.weights {
            let Some(weight) = trained.model.parameter(name) else { continue };
            let matrix = matrix(weight, parameters)
                .map_err(|error| error.context(format!("quantize: {name}")))?;
            matrices.push((name.clone(), matrix));
        }
        Ok(QuantizedWeights::from_matrices(matrices))
    }
}

/// Codes from 0 up: symmetric integers have their zero in the middle.
fn matrix(weight: &Tensor, parameters: &QuantizationParameters) -> Result<QuantizedMatrix> {
    if weight.rank() != 2 {
        let shape = weight.shape();
        return Err(Error::shape(format!("a weight of shape {shape} is no matrix")));
    }
    let (outputs, inputs) = (weight.size(0), weight.size(1));
    let of = parameters.scheme();
    let scheme = Scheme::new(of.bits());
    let scheme = match of.granularity() {
        Granularity::Tensor | Granularity::Channel => scheme.per_channel(),
        Granularity::Group(size) => scheme.group(size),
    };
    let scheme = if of.is_symmetric() { scheme } else { scheme.asymmetric() };
    let [lowest, _] = of.bounds();
    let values = weight.detach().cast(DType::F32).to_vec::<f32>()?;
    let codes = parameters.quantize(&values).into_iter().map(|code| (code - lowest) as u8);
    // One scale for all is one for each output, the same.
    let shared = if of.granularity() == Granularity::Tensor { outputs } else { 1 };
    let scales = parameters.scales().repeat(shared);
    let zeros = parameters.zero_points().iter().map(|zero| (zero - lowest) as f32);
    let zeros = zeros.collect::<Vec<_>>().repeat(shared);
    QuantizedMatrix::from_parts(scheme, [outputs, inputs], codes.collect(), scales, zeros, None)
}

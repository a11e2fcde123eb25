//! [`IntegerLayer`]: the integers of a weight, and what their sums become.

use gradloom_nn::Parameter;
use gradloom_tensor::{Result, Tensor, eval};

use super::fusion::{Kind, Product};
use super::parameters::QuantizationParameters;
use crate::int8::{pack_convolution, pack_linear};

/// A product of integers.
#[derive(Clone, Debug)]
pub(super) struct IntegerLayer {
    /// i8, in the order in which products read them.
    pub(super) packed: Parameter,
    /// `[O]` i32: sums of the weight's outputs.
    pub(super) sums: Parameter,
    /// `[O]` f32: what sums of integers are multiplied with.
    pub(super) factor: Parameter,
    /// `[O]` f32: what is added then.
    pub(super) term: Parameter,
    /// Number of nodes of the run that factor and term come from.
    pub(super) absorbed: usize,
}

impl IntegerLayer {
    /// Of a weight, of a product and what follows it, and of the scale of its input, 1 where rows have their own.
    pub(super) fn new(
        weight: &Tensor,
        product: &Product,
        parameters: &QuantizationParameters,
        input_scale: f32,
    ) -> Result<IntegerLayer> {
        let device = weight.device();
        let outputs = weight.size(0);
        let integers = parameters.quantize(&weight.to_vec::<f32>()?);
        let row = integers.len() / outputs;
        let sums: Vec<i32> = integers.chunks(row).map(|row| row.iter().sum()).collect();
        let integers: Vec<i8> = integers.into_iter().map(|integer| integer as i8).collect();
        let scales: Vec<f32> = match parameters.scales() {
            [one] => vec![one * input_scale; outputs],
            all => all.iter().map(|scale| scale * input_scale).collect(),
        };
        let scales = Tensor::from_slice(&scales, [outputs], device)?;
        let whole = |value: &Tensor| value.broadcast_to([outputs]);
        let factor = match &product.factor {
            Some(factor) => &scales * whole(factor),
            None => scales,
        };
        let term = product.term.as_ref().map_or_else(|| factor.zeros_like(), whole);
        // What they are made of, such as a norm's statistics, is not held.
        let term = term * 1.0;
        eval([&factor, &term])?;
        let integers = Tensor::from_slice(&integers, *weight.shape(), device)?;
        let packed = match product.kind {
            Kind::Linear => pack_linear(&integers)?,
            Kind::Convolution(window, groups) => pack_convolution(&integers, &window, groups)?,
        };
        Ok(IntegerLayer {
            packed: Parameter::state(packed),
            sums: Parameter::state(Tensor::from_slice(&sums, [outputs], device)?),
            factor: Parameter::state(factor),
            term: Parameter::state(term),
            absorbed: product.absorbed,
        })
    }

    /// What belongs to the outputs.
    pub(super) fn of_outputs(&self) -> [&Tensor; 3] {
        [&self.sums, &self.factor, &self.term].map(Parameter::tensor)
    }

    pub(super) fn parts(&self) -> [(&'static str, &Parameter); 4] {
        let IntegerLayer { packed, sums, factor, term, .. } = self;
        [("packed", packed), ("sums", sums), ("factor", factor), ("term", term)]
    }

    pub(super) fn parts_mut(&mut self) -> [(&'static str, &mut Parameter); 4] {
        let IntegerLayer { packed, sums, factor, term, .. } = self;
        [("packed", packed), ("sums", sums), ("factor", factor), ("term", term)]
    }
}

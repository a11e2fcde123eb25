//! [`Matrix`]: a weight as numbers of the host, outputs first.

use gradloom_tensor::{DType, Device, Error, ErrorKind, Result, Tensor};

/// A matrix `[outputs, inputs]` of finite numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Matrix {
    outputs: usize,
    inputs: usize,
    values: Vec<f32>,
}

impl Matrix {
    /// Of numbers row by row: a row for each output.
    ///
    /// # Panics
    /// If their number is another.
    #[track_caller]
    pub fn new([outputs, inputs]: [usize; 2], values: Vec<f32>) -> Self {
        assert!(
            values.len() == outputs * inputs,
            "matrix: {} numbers for [{outputs}, {inputs}]",
            values.len()
        );
        Matrix { outputs, inputs, values }
    }

    /// Of a weight `[outputs, inputs]`, or `[inputs, outputs]` as GPT-2 has them.
    ///
    /// # Errors
    /// If it is no matrix of floats, has a number that is not finite, or cannot be computed.
    pub fn of(weight: &Tensor, inputs_first: bool) -> Result<Self> {
        if weight.rank() != 2 || !weight.dtype().is_float() {
            let (dtype, shape) = (weight.dtype(), weight.shape());
            return Err(Error::shape(format!(
                "a weight must be a matrix of floats, not {dtype} {shape}"
            )));
        }
        let weight = weight.detach().cast(DType::F32);
        let weight = if inputs_first { weight.t() } else { weight };
        let values = weight.to_vec::<f32>()?;
        if let Some(place) = values.iter().position(|value| !value.is_finite()) {
            let message = format!("element {place} of the weight is {}", values[place]);
            return Err(Error::new(ErrorKind::NotFinite, message));
        }
        Ok(Matrix { outputs: weight.size(0), inputs: weight.size(1), values })
    }

    /// Number of rows.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Length of a row.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// All numbers, row by row.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// The rows.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &[f32]> {
        self.values.chunks_exact(self.inputs.max(1))
    }

    /// Each column times a number.
    ///
    /// # Panics
    /// If there are not as many as inputs.
    #[must_use]
    #[track_caller]
    pub fn columns_scaled(&self, scales: &[f32]) -> Matrix {
        assert!(
            scales.len() == self.inputs,
            "matrix: {} scales, {} inputs",
            scales.len(),
            self.inputs
        );
        let mut scaled = self.clone();
        for row in scaled.values.chunks_exact_mut(self.inputs.max(1)) {
            row.iter_mut().zip(scales).for_each(|(value, scale)| *value *= scale);
        }
        scaled
    }

    /// A tensor `[outputs, inputs]`, or `[inputs, outputs]`.
    ///
    /// # Errors
    /// If the device has no memory.
    pub fn to_tensor(&self, inputs_first: bool, device: &Device) -> Result<Tensor> {
        let tensor = Tensor::from_slice(&self.values, [self.outputs, self.inputs], device)?;
        if !inputs_first {
            return Ok(tensor);
        }
        let turned = tensor.t().to_vec::<f32>()?;
        Tensor::from_slice(&turned, [self.inputs, self.outputs], device)
    }
}

//! [`QuantizationParameters`]: the scales and zero points of one tensor.

use gradloom_tensor::{Error, Result, Tensor};

use super::fake::fake_quantize;
use super::observer::Observer;
use super::scheme::{Granularity, Range, Scheme};

/// Scales and zero points of one tensor.
///
/// PyTorch: `q_scale`, `q_zero_point`, `q_per_channel_scales` of a quantized tensor.
#[derive(Clone, Debug, PartialEq)]
pub struct QuantizationParameters {
    scheme: Scheme,
    scales: Vec<f32>,
    zero_points: Vec<i32>,
}

impl QuantizationParameters {
    /// One scale for all, of a range of numbers.
    pub fn of_range(scheme: Scheme, range: Range) -> Self {
        let (scale, zero_point) = scheme.of_range(range);
        QuantizationParameters { scheme, scales: vec![scale], zero_points: vec![zero_point] }
    }

    /// Parameters of a weight whose outputs are along the first axis; `observer` says how far each range reaches.
    ///
    /// # Errors
    /// If a number is not finite, there are none, or groups do not divide an output.
    pub fn of_weight(scheme: Scheme, weight: &Tensor, observer: Observer) -> Result<Self> {
        let values = weight.to_vec::<f32>()?;
        QuantizationParameters::of_values(scheme, &values, weight.size(0), observer)
    }

    /// As [`of_weight`](QuantizationParameters::of_weight), of the elements of so many outputs in row-major order.
    ///
    /// # Errors
    /// As [`of_weight`](QuantizationParameters::of_weight).
    pub fn of_values(
        scheme: Scheme,
        values: &[f32],
        outputs: usize,
        observer: Observer,
    ) -> Result<Self> {
        if values.is_empty() || outputs == 0 {
            return Err(Error::shape("quantize: a weight without elements"));
        }
        let row = values.len() / outputs;
        let size = match scheme.granularity() {
            Granularity::Tensor => values.len(),
            Granularity::Channel => row,
            Granularity::Group(size) => size,
        };
        if !row.is_multiple_of(size) && scheme.granularity() != Granularity::Tensor {
            return Err(Error::shape(format!(
                "quantize: groups of {size} do not divide the {row} numbers of an output; choose a divisor"
            )));
        }
        let (mut scales, mut zero_points) = (Vec::new(), Vec::new());
        for group in values.chunks(size) {
            let range = observer.range_of(group, &scheme)?;
            let (scale, zero_point) = scheme.of_range(range);
            scales.push(scale);
            zero_points.push(zero_point);
        }
        Ok(QuantizationParameters { scheme, scales, zero_points })
    }

    /// Scales, one for all or one for each output, with the zero point 0.
    ///
    /// # Errors
    /// If a scale is not positive and finite.
    pub fn of_scales(scheme: Scheme, scales: Vec<f32>) -> Result<Self> {
        if let Some(scale) = scales.iter().find(|scale| !(scale.is_finite() && **scale > 0.0)) {
            return Err(Error::shape(format!(
                "quantize: the scale {scale} is not positive and finite"
            )));
        }
        let zero_points = vec![0; scales.len()];
        Ok(QuantizationParameters { scheme, scales, zero_points })
    }

    /// Scales, and as many zero points.
    ///
    /// # Errors
    /// If a scale is not positive and finite, or the numbers differ.
    pub fn of_parts(scheme: Scheme, scales: Vec<f32>, zero_points: Vec<i32>) -> Result<Self> {
        if scales.len() != zero_points.len() {
            let (scales, zeros) = (scales.len(), zero_points.len());
            return Err(Error::shape(format!("quantize: {scales} scales and {zeros} zero points")));
        }
        Ok(QuantizationParameters {
            zero_points,
            ..QuantizationParameters::of_scales(scheme, scales)?
        })
    }

    /// How numbers become integers.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// One for all, for each output or for each group, in row-major order.
    pub fn scales(&self) -> &[f32] {
        &self.scales
    }

    /// One for each scale.
    pub fn zero_points(&self) -> &[i32] {
        &self.zero_points
    }

    /// The integers that stand for numbers.
    pub fn quantize(&self, values: &[f32]) -> Vec<i32> {
        let [low, high] = self.scheme.bounds();
        let size = values.len().div_ceil(self.scales.len()).max(1);
        let groups = values.chunks(size).zip(self.scales.iter().zip(&self.zero_points));
        let mut integers = Vec::with_capacity(values.len());
        for (group, (scale, zero_point)) in groups {
            let inverse = 1.0 / scale;
            let integer = |value: &f32| (value * inverse).round_ties_even() as i32 + zero_point;
            integers.extend(group.iter().map(|value| integer(value).clamp(low, high)));
        }
        integers
    }

    /// The numbers that integers stand for.
    pub fn dequantize(&self, integers: &[i32]) -> Vec<f32> {
        let size = integers.len().div_ceil(self.scales.len()).max(1);
        let groups = integers.chunks(size).zip(self.scales.iter().zip(&self.zero_points));
        let mut values = Vec::with_capacity(integers.len());
        for (group, (scale, zero_point)) in groups {
            values.extend(group.iter().map(|integer| (integer - zero_point) as f32 * scale));
        }
        values
    }

    /// A tensor rounded to what the integers stand for, with the straight-through gradient of
    /// [`fake_quantize`].
    ///
    /// # Errors
    /// If the parameters cannot be put on the tensor's device.
    ///
    /// # Panics
    /// If they are of a tensor of another shape.
    #[track_caller]
    pub fn fake_quantize(&self, x: &Tensor) -> Result<Tensor> {
        let count = self.scales.len();
        let zero_points: Vec<f32> = self.zero_points.iter().map(|&zero| zero as f32).collect();
        let grouped = [count, x.count() / count];
        assert!(
            x.count().is_multiple_of(count),
            "fake_quantize: {count} scales for a tensor {}",
            x.shape()
        );
        let scale = Tensor::from_slice(&self.scales, [count, 1], x.device())?;
        let zero_point = Tensor::from_slice(&zero_points, [count, 1], x.device())?;
        let rows = x.reshape(grouped);
        Ok(fake_quantize(&rows, &scale, &zero_point, self.scheme.bounds()).reshape(*x.shape()))
    }

    /// Bytes of so many integers packed side by side, with f16 scales and packed zero points.
    pub fn bytes(&self, elements: usize) -> usize {
        let bits = self.scheme.bits() as usize;
        let zero_points = if self.scheme.is_symmetric() { 0 } else { self.scales.len() };
        ((elements + zero_points) * bits).div_ceil(8) + 2 * self.scales.len()
    }
}

//! [`Rotary`]: positions as angles by which pairs of features turn.
//!
//! Letters: B batch, H heads, T tokens, D features per head. Pairs are those of Hugging Face's
//! checkpoints: feature `i` of the first half with feature `i` of the second. Scaling that stretches
//! angles by tables of factors ("longrope") is absent.

use crate::{Result, error};
use gradloom_tensor::{DType, Device, Tensor};

/// How angles change for texts longer than those of the first training.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RotaryScaling {
    /// Not at all.
    None,
    /// All positions are divided (Chen et al., "Extending context window", 2023).
    Linear {
        /// What positions are divided by.
        factor: f64,
    },
    /// The base grows with the text once it is longer than `positions`.
    Dynamic {
        /// How fast it grows.
        factor: f64,
        /// Length of the first training's texts.
        positions: usize,
    },
    /// Slow angles are divided, fast ones kept, with a ramp between (Llama 3.1).
    Llama3 {
        /// What slow angles are divided by.
        factor: f64,
        /// Angles that turn fewer times within `positions` are slow.
        slow: f64,
        /// Angles that turn more times within `positions` are fast.
        fast: f64,
        /// Length of the first training's texts.
        positions: usize,
    },
    /// As `Llama3` with a ramp over the index of the angle (Peng et al., "YaRN", 2023).
    Yarn {
        /// What slow angles are divided by.
        factor: f64,
        /// Angles that turn fewer times within `positions` are slow: 1.
        slow: f64,
        /// Angles that turn more times within `positions` are fast: 32.
        fast: f64,
        /// Length of the first training's texts.
        positions: usize,
        /// Factor of queries and keys, which sharpens the attention.
        attention: f64,
        /// Whether the ramp begins and ends at whole indices.
        whole: bool,
    },
}

/// Turns pairs of features by angles that grow with the position: `position * theta^(-2 i / D)` for
/// pair `i`.
///
/// Su et al., "RoFormer", 2021. Python: `transformers.models.llama.LlamaRotaryEmbedding`.
///
/// ```
/// use gradloom_nn::layers::{Rotary, RotaryScaling};
/// use gradloom_tensor::{DType, Tensor};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let device = gradloom_testkit::reference::device();
/// let rotary = Rotary::new(8, 10000.0, RotaryScaling::None, &device)?;
/// let queries = Tensor::ones([1, 2, 3, 8], DType::F32, &device);
/// let angles = rotary.angles(&Tensor::arange(3, &device), 3);
/// assert_eq!(angles.rotate(&queries).shape()[..], [1, 2, 3, 8]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Rotary {
    features: usize,
    theta: f64,
    scaling: RotaryScaling,
    /// What the frequencies are divided by; empty if nothing.
    divisors: Vec<f64>,
    /// For texts that no scaling by length concerns: `[D / 2]`.
    frequencies: Tensor,
}

impl Rotary {
    /// For heads of `features`, with angles of the powers of `theta`.
    ///
    /// # Errors
    /// If the device refuses the table of frequencies.
    ///
    /// # Panics
    /// If the features are none or odd, or `theta` is not above 1.
    #[track_caller]
    pub fn new(
        features: usize,
        theta: f64,
        scaling: RotaryScaling,
        device: &Device,
    ) -> Result<Self> {
        assert!(
            features > 0 && features.is_multiple_of(2),
            "rotary: {features} features do not pair"
        );
        assert!(theta > 1.0, "rotary: theta is {theta}; it must be above 1");
        let frequencies = frequencies(features, theta, scaling, 0);
        let frequencies = uploaded(&frequencies, device)
            .map_err(|error| error.context("rotary: a table of frequencies"))?;
        Ok(Rotary { features, theta, scaling, divisors: Vec::new(), frequencies })
    }

    /// The same with each pair's frequency divided by a number, as GGUF files of Llama 3 list them.
    ///
    /// # Errors
    /// If there is not one positive number for each pair, or the device refuses the table.
    pub fn divided_by(mut self, divisors: &[f64]) -> Result<Self> {
        let pairs = self.features / 2;
        if divisors.len() != pairs || !divisors.iter().all(|&divisor| divisor > 0.0) {
            let count = divisors.len();
            let message = format!("rotary: {count} divisors, but {pairs} positive ones are needed");
            return Err(error::mismatch(message));
        }
        self.divisors = divisors.to_vec();
        self.frequencies = uploaded(&self.frequencies(0), self.frequencies.device())
            .map_err(|error| error.context("rotary: a table of frequencies"))?;
        Ok(self)
    }

    /// The angle of each pair at position 1, for a text of `length` tokens.
    pub fn frequencies(&self, length: usize) -> Vec<f64> {
        let mut frequencies = frequencies(self.features, self.theta, self.scaling, length);
        for (frequency, divisor) in frequencies.iter_mut().zip(&self.divisors) {
            *frequency /= divisor;
        }
        frequencies
    }

    /// Factor of what is turned; 1 but for YaRN.
    pub fn attention_factor(&self) -> f64 {
        match self.scaling {
            RotaryScaling::Yarn { attention, .. } => attention,
            _ => 1.0,
        }
    }

    /// Cosines and sines for positions `[T]` or `[B, T]` in a text of `length` tokens, to turn queries
    /// and keys of all layers with.
    ///
    /// # Panics
    /// If positions are no integers of one or two axes; if the frequencies have to be uploaded, as for
    /// another device, and the device refuses.
    #[track_caller]
    pub fn angles(&self, positions: &Tensor, length: usize) -> RotaryAngles {
        let (rank, dtype) = (positions.rank(), positions.dtype());
        assert!(
            dtype.is_int() && (rank == 1 || rank == 2),
            "rotary: positions are integers [T] or [B, T], got {dtype} {}",
            positions.shape()
        );
        let frequencies = self.frequencies_on(positions.device(), length);
        let mut places = positions.cast(DType::F32).unsqueeze(-1).unsqueeze(-1);
        if rank == 2 {
            places = places.unsqueeze(1);
        }
        // [.., T, 1, D / 2], and the sign of each half.
        let angles = places * &frequencies;
        let device = positions.device();
        let sign = Tensor::iota([2, 1], 0, device).cast(DType::F32);
        let sign = &sign * sign.constant_like(2.0) - sign.constant_like(1.0);
        let factor = self.attention_factor();
        let (mut cos, mut sin) = (angles.cos(), angles.sin() * sign);
        if factor != 1.0 {
            let factor = cos.constant_like(factor);
            (cos, sin) = (cos * &factor, sin * &factor);
        }
        RotaryAngles { cos, sin }
    }

    #[track_caller]
    fn frequencies_on(&self, device: &Device, length: usize) -> Tensor {
        let grows = match self.scaling {
            RotaryScaling::Dynamic { positions, .. } => length > positions,
            _ => false,
        };
        if !grows && self.frequencies.device() == device {
            return self.frequencies.clone();
        }
        match uploaded(&self.frequencies(length), device) {
            Ok(frequencies) => frequencies,
            Err(error) => panic!("rotary: a table of frequencies: {error}"),
        }
    }
}

/// Cosines and sines of positions; made once, they serve all layers.
#[derive(Clone, Debug)]
pub struct RotaryAngles {
    /// `[.., T, 1, D / 2]`
    cos: Tensor,
    /// `[.., T, 2, D / 2]`, negative for the first half.
    sin: Tensor,
}

impl RotaryAngles {
    /// Turns queries or keys `[B, H, T, D]`.
    ///
    /// # Panics
    /// If they are no floats of this shape.
    #[track_caller]
    #[must_use]
    pub fn rotate(&self, x: &Tensor) -> Tensor {
        let (shape, pairs) = (x.shape(), self.cos.size(-1));
        assert!(
            shape.rank() == 4 && shape[3] == 2 * pairs,
            "rotary: needs [B, H, T, {}], got {shape}",
            2 * pairs
        );
        let halves = x.wide().reshape([shape[0], shape[1], shape[2], 2, pairs]);
        let (cos, sin) = (self.cos.cast(halves.dtype()), self.sin.cast(halves.dtype()));
        (&halves * cos + halves.flip(-2) * sin).reshape(*shape).cast(x.dtype())
    }
}

fn uploaded(frequencies: &[f64], device: &Device) -> gradloom_tensor::Result<Tensor> {
    let values: Vec<f32> = frequencies.iter().map(|&frequency| frequency as f32).collect();
    Tensor::from_slice(&values, values.len(), device)
}

/// `theta^(-2 i / D)`, scaled for a text of `length` tokens.
fn frequencies(features: usize, theta: f64, scaling: RotaryScaling, length: usize) -> Vec<f64> {
    let pairs = features / 2;
    let powers =
        |base: f64| (0..pairs).map(move |pair| base.powf(-2.0 * pair as f64 / features as f64));
    match scaling {
        RotaryScaling::None => powers(theta).collect(),
        RotaryScaling::Linear { factor } => powers(theta).map(|power| power / factor).collect(),
        RotaryScaling::Dynamic { factor, positions } => {
            let stretch = factor * length.max(positions) as f64 / positions as f64 - (factor - 1.0);
            // Heads of two features have one angle, which no base changes.
            let exponent = features as f64 / (features as f64 - 2.0).max(1.0);
            powers(theta * stretch.powf(exponent)).collect()
        }
        RotaryScaling::Llama3 { factor, slow, fast, positions } => powers(theta)
            .map(|power| {
                let turns = positions as f64 * power / std::f64::consts::TAU;
                let kept = ((turns - slow) / (fast - slow)).clamp(0.0, 1.0);
                power * (kept + (1.0 - kept) / factor)
            })
            .collect(),
        RotaryScaling::Yarn { factor, slow, fast, positions, whole, .. } => {
            let (first, last) = ramp(features, theta, [fast, slow], positions, whole);
            powers(theta)
                .enumerate()
                .map(|(pair, power)| {
                    let divided = ((pair as f64 - first) / (last - first)).clamp(0.0, 1.0);
                    power * (1.0 - divided + divided / factor)
                })
                .collect()
        }
    }
}

/// The indices of the angles that turn so many times within `positions`.
fn ramp(features: usize, theta: f64, turns: [f64; 2], positions: usize, whole: bool) -> (f64, f64) {
    let index = |turns: f64| {
        let power = positions as f64 / (turns * std::f64::consts::TAU);
        features as f64 * power.ln() / (2.0 * theta.ln())
    };
    let [mut first, mut last] = turns.map(index);
    if whole {
        (first, last) = (first.floor(), last.ceil());
    }
    (first, last) = (first.max(0.0), last.min(features as f64 - 1.0));
    if first == last { (first, last + 0.001) } else { (first, last) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gradloom_tensor::Key;

    #[test]
    fn products_of_turned_vectors_depend_on_the_distance_alone() {
        let device = gradloom_testkit::reference::device();
        let rotary = Rotary::new(6, 100.0, RotaryScaling::None, &device).unwrap();
        let vectors = Tensor::normal(Key::new(1), [1, 2, 1, 6], 0.0, 1.0, &device);
        let product = |places: [i32; 2]| {
            let turned = [0, 1].map(|vector| {
                let place = Tensor::new([places[vector as usize]], &device).unwrap();
                rotary.angles(&place, 1).rotate(&vectors.narrow(1, vector as usize, 1))
            });
            (&turned[0] * &turned[1]).sum(..).item().unwrap()
        };
        assert!((product([3, 5]) - product([40, 42])).abs() < 1e-5);
        assert!((product([3, 5]) - product([5, 3])).abs() > 1e-3);
    }

    #[test]
    fn texts_in_a_batch_have_positions_of_their_own() {
        let device = gradloom_testkit::reference::device();
        let rotary = Rotary::new(4, 100.0, RotaryScaling::None, &device).unwrap();
        let x = Tensor::normal(Key::new(1), [2, 1, 3, 4], 0.0, 1.0, &device);
        let places = Tensor::new([[0, 1, 2], [7, 8, 9]], &device).unwrap();
        let both = rotary.angles(&places, 10).rotate(&x).to_vec::<f32>().unwrap();
        let one = rotary.angles(&places.index(0, 1), 10).rotate(&x.narrow(0, 1, 1));
        assert_eq!(both[12..], one.to_vec::<f32>().unwrap());
    }
}

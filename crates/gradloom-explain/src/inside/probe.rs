//! [`Probe`]: a linear classifier of a layer's activations, which tells what the layer knows.

use gradloom_autodiff::vjp;
use gradloom_tensor::{DType, Error, Result, Tensor, eval};

/// Steps of the fit, at most.
const STEPS_MAX: usize = 2000;

/// Softmax regression: `softmax(x W + b)` of activations `[N, ..]`, each flattened.
///
/// Alain, Bengio, "Understanding intermediate layers using linear classifier probes", 2016.
#[derive(Clone, Debug)]
pub struct Probe {
    /// `[E, C]`
    pub weights: Tensor,
    /// `[C]`
    pub bias: Tensor,
}

impl Probe {
    /// Fits a probe to labels `0..classes`: the least of the mean cross-entropy and `penalty / 2` times the
    /// squares of the weights of standardised activations, by accelerated gradient descent.
    ///
    /// # Errors
    /// If there is not one label for each activation, a label is no class, there are fewer than two classes,
    /// or the penalty is not above 0.
    pub fn fit(
        activations: &Tensor,
        labels: &[usize],
        classes: usize,
        penalty: f64,
    ) -> Result<Probe> {
        let count = activations.shape().first().copied().unwrap_or(0);
        let wrong = labels.iter().find(|&&label| label >= classes);
        if count == 0
            || labels.len() != count
            || classes < 2
            || wrong.is_some()
            || penalty.is_nan()
            || penalty <= 0.0
        {
            return Err(Error::invalid(format!(
                "probe: {} labels of {classes} classes for activations of shape {}, penalty {penalty}; it \
                 needs a label below the number of classes for each, two classes, and a penalty above 0",
                labels.len(),
                activations.shape()
            )));
        }
        let x = flat(activations);
        let (mean, deviation) = (x.mean_keepdim(0), x.std_keepdim(0, 0.0));
        let scale = deviation.gt(1e-12).select(deviation.reciprocal(), deviation.zeros_like());
        let x = x.sub(&mean).mul(&scale);
        eval([&x, &mean, &scale])?;
        let (x, mean, scale) = (x.detach(), mean.detach(), scale.detach());
        let index: Vec<i32> = labels.iter().map(|&label| label as i32).collect();
        let index = Tensor::from_vec(index, [count], x.device())?;
        let hot = index.one_hot(classes).cast(DType::F32);
        // The curvature of softmax is at most one half of the mean square of a row, with a one for the bias.
        let steepness = 0.5 * (x.square().sum(1).mean(..).item()? + 1.0) + penalty;
        let step = 1.0 / steepness.max(1e-12);
        let features = x.shape()[1];
        let zero = Tensor::zeros([features + 1, classes], DType::F32, x.device());
        let ones = Tensor::ones([count, 1], DType::F32, x.device());
        let x = Tensor::concat(&[&x, &ones], 1);
        let (mut at, mut before) = (zero.clone(), zero);
        for round in 0..STEPS_MAX {
            let momentum = round as f64 / (round as f64 + 3.0);
            let ahead = at.add(at.sub(&before).mul(momentum)).detach();
            let logits = x.matmul(&ahead);
            let loss = logits.log_softmax(1).mul(&hot).sum(1).mean(..).neg();
            let weights = ahead.narrow(0, 0, features);
            let loss = loss.add(weights.square().sum(..).mul(0.5 * penalty));
            let gradient = vjp(&loss, &loss.ones_like(), &[&ahead]).remove(0);
            let next = ahead.sub(gradient.mul(step));
            let largest = gradient.abs().max(..);
            eval([&next, &largest])?;
            (before, at) = (at, next.detach());
            if round % 20 == 19 && largest.item()? < 1e-5 {
                break;
            }
        }
        // For activations as they are: (x - mean) scale W + b.
        let weights = at.narrow(0, 0, features).mul(scale.reshape([features, 1]));
        let bias = at.index(0, features as isize).sub(mean.matmul(&weights).reshape([classes]));
        eval([&weights, &bias])?;
        Ok(Probe { weights: weights.detach(), bias: bias.detach() })
    }

    /// Logits of activations `[N, ..]`: `[N, C]`.
    ///
    /// # Panics
    /// If they have another number of elements than those that the probe was fitted to.
    #[track_caller]
    #[must_use]
    pub fn logits(&self, activations: &Tensor) -> Tensor {
        flat(activations).matmul(&self.weights).add(&self.bias)
    }

    /// The share of activations whose class is the label.
    ///
    /// # Errors
    /// If there is not one label for each.
    pub fn accuracy(&self, activations: &Tensor, labels: &[usize]) -> Result<f64> {
        let found = self.logits(activations).argmax(1).to_vec::<i32>()?;
        if found.len() != labels.len() || labels.is_empty() {
            let (labels, found) = (labels.len(), found.len());
            return Err(Error::invalid(format!("probe: {labels} labels for {found} activations")));
        }
        let right = found.iter().zip(labels).filter(|(found, label)| **found as usize == **label);
        Ok(right.count() as f64 / labels.len() as f64)
    }
}

/// `[N, ..]` as f32 `[N, E]`.
#[track_caller]
fn flat(activations: &Tensor) -> Tensor {
    let wide = activations.cast(DType::F32);
    if wide.rank() == 2 { wide } else { wide.flatten(1, -1) }
}

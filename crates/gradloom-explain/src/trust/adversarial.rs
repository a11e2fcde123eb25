//! [`Fgsm`] and [`Pgd`]: small changes of inputs that change answers.
//!
//! For adversarial training, train on what they give: `pgd.perturb(&forward, &inputs, &target)` is an
//! ordinary batch.

use gradloom_autodiff::vjp;
use gradloom_tensor::{Error, Key, Result, Tensor, eval};

use crate::{Forward, Inputs, Target};

/// Gradients below this are taken for zero, so that nothing is moved for a rounding.
const STILL: f64 = 1e-6;

/// One step of size `epsilon` in each element, along the sign of the gradient of the cross-entropy of
/// logits.
///
/// Goodfellow, Shlens, Szegedy, "Explaining and harnessing adversarial examples", 2014. As
/// `captum.robust.FGSM` with `nn.CrossEntropyLoss(reduction="none")`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fgsm {
    /// How far each element is moved.
    pub epsilon: f64,
    /// What elements must stay within.
    pub bounds: [f64; 2],
    /// Towards the target instead of away from it.
    pub targeted: bool,
}

impl Fgsm {
    /// Away from the target, with no bounds.
    pub fn new(epsilon: f64) -> Self {
        let bounds = [f64::NEG_INFINITY, f64::INFINITY];
        Fgsm { epsilon, bounds, targeted: false }
    }

    /// With bounds on elements: `[0.0, 1.0]` for pictures of these values.
    #[must_use]
    pub fn within(self, low: f64, high: f64) -> Self {
        Fgsm { bounds: [low, high], ..self }
    }

    /// The moved features.
    ///
    /// # Errors
    /// If the target is not of logits `[B, C]`, or the step or the bounds are no numbers of that kind.
    pub fn perturb(
        &self,
        forward: &Forward,
        inputs: &Inputs,
        target: &Target,
    ) -> Result<Vec<Tensor>> {
        inputs.check("fgsm")?;
        self.check("fgsm", self.epsilon)?;
        self.step(forward, inputs, &inputs.features, target)
    }

    fn check(&self, op: &str, step: f64) -> Result<()> {
        let [low, high] = self.bounds;
        if step >= 0.0 && step.is_finite() && low <= high {
            return Ok(());
        }
        Err(Error::invalid(format!("{op}: a step of {step} within {low} and {high}")))
    }

    fn bounded(&self, x: &Tensor) -> Tensor {
        let [low, high] = self.bounds;
        let above = if low.is_finite() { x.maximum(low) } else { x.clone() };
        if high.is_finite() { above.minimum(high) } else { above }
    }

    fn step(
        &self,
        forward: &Forward,
        inputs: &Inputs,
        features: &[Tensor],
        target: &Target,
    ) -> Result<Vec<Tensor>> {
        let leaves: Vec<Tensor> = features.iter().map(Tensor::detach).collect();
        let logits = forward.run(&inputs.with_features(leaves.clone()).all())?;
        if logits.rank() != 2 {
            let shape = logits.shape();
            return Err(Error::shape(format!(
                "fgsm: an output of shape {shape}, not logits [B, C]"
            )));
        }
        let loss = target.select(&logits.log_softmax(1), inputs.batch())?.neg().sum(..);
        let asked: Vec<&Tensor> = leaves.iter().collect();
        let gradients = vjp(&loss, &loss.ones_like(), &asked);
        let epsilon = if self.targeted { -self.epsilon } else { self.epsilon };
        let moved = leaves.iter().zip(&gradients).map(|(x, gradient)| {
            let moves = gradient.abs().gt(STILL);
            self.bounded(&moves.select(x.add(gradient.sign().mul(epsilon)), x))
        });
        Ok(moved.collect())
    }
}

/// What "at most `radius` away" means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Norm {
    /// In each element.
    #[default]
    Linf,
    /// In the length of the difference of each sample.
    L2,
}

/// Several [`Fgsm`] steps, brought back within a radius of the inputs after each.
///
/// Madry et al., "Towards deep learning models resistant to adversarial attacks", 2017. As
/// `captum.robust.PGD` with `nn.CrossEntropyLoss(reduction="none")`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pgd {
    /// A step: its size, bounds and direction.
    pub step: Fgsm,
    /// Number of steps.
    pub steps: usize,
    /// How far features may end from where they began.
    pub radius: f64,
    /// In which norm.
    pub norm: Norm,
    /// Begins at a random place within the radius.
    pub random_start: Option<Key>,
}

impl Pgd {
    /// In each element, from the inputs themselves.
    pub fn new(radius: f64, step_size: f64, steps: usize) -> Self {
        let step = Fgsm::new(step_size);
        Pgd { step, steps, radius, norm: Norm::Linf, random_start: None }
    }

    /// The moved features, evaluated.
    ///
    /// # Errors
    /// As [`Fgsm::perturb`].
    pub fn perturb(
        &self,
        forward: &Forward,
        inputs: &Inputs,
        target: &Target,
    ) -> Result<Vec<Tensor>> {
        inputs.check("pgd")?;
        self.step.check("pgd", self.step.epsilon)?;
        self.step.check("pgd", self.radius)?;
        let mut moved: Vec<Tensor> = match self.random_start {
            Some(key) => {
                let starts = inputs.features.iter().enumerate();
                starts.map(|(number, x)| self.random(x, key.fold(number as u32))).collect()
            }
            None => inputs.features.clone(),
        };
        // Bounds come after the radius, so that it is the step that is brought back and not the bounded one.
        let step = Fgsm { bounds: Fgsm::new(0.0).bounds, ..self.step };
        for _ in 0..self.steps {
            let stepped = step.step(forward, inputs, &moved, target)?;
            let pairs = inputs.features.iter().zip(&stepped);
            moved = pairs
                .map(|(x, moved)| self.step.bounded(&x.add(self.within(&moved.sub(x)))))
                .collect();
            eval(&moved)?;
            moved.iter_mut().for_each(|moved| *moved = moved.detach());
        }
        Ok(moved)
    }

    /// A difference, no larger than the radius.
    fn within(&self, difference: &Tensor) -> Tensor {
        match self.norm {
            Norm::Linf => difference.minimum(self.radius).maximum(-self.radius),
            Norm::L2 => {
                let length = lengths(difference);
                let factor = length.constant_like(self.radius).div(length.maximum(1e-12));
                difference.mul(factor.minimum(1.0))
            }
        }
    }

    fn random(&self, x: &Tensor, key: Key) -> Tensor {
        let offset = match self.norm {
            Norm::Linf => x.rand_like(key).mul(2.0 * self.radius).sub(self.radius),
            Norm::L2 => {
                let direction = x.randn_like(key.fold(0));
                let length = lengths(&direction).maximum(1e-12);
                let elements = (x.count() / x.shape()[0]) as f64;
                // The length of a uniform point of a ball is a root of a uniform number.
                let share = length.rand_like(key.fold(1)).powf(1.0 / elements);
                direction.mul(share.mul(self.radius).div(length))
            }
        };
        self.step.bounded(&x.add(offset))
    }
}

/// The length of each sample, to meet the samples: `[B, 1, ..]`.
fn lengths(x: &Tensor) -> Tensor {
    let axes: Vec<isize> = (1..x.rank() as isize).collect();
    if axes.is_empty() { x.abs() } else { x.square().sum_keepdim(&axes[..]).sqrt() }
}

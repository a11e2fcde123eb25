//! [`Infidelity`]: how far attributions are from what perturbations really do.

use gradloom_tensor::{Error, Key, Result, Tensor, eval};

use crate::gradients::total;
use crate::{Forward, Inputs, Target};

/// The mean over perturbations `I` of `(sum I a - (F(x) - F(x - I)))^2`, for attributions `a`: 0 if they say
/// what perturbations do.
///
/// Yeh et al., "On the (in)fidelity and sensitivity of explanations", 2019. As `captum.metrics.infidelity`.
///
/// ```
/// use gradloom_explain::{Forward, Infidelity, Method, Perturbed, Saliency, Target};
/// use gradloom_tensor::{Key, Tensor};
///
/// # fn main() -> gradloom_tensor::Result<()> {
/// # let device = gradloom_testkit::reference::device();
/// // The gradient says all about a linear function.
/// let forward = Forward::new(|x, _| (&x[0] * 3.0).sum(1));
/// let inputs = Tensor::new([[1f32, 2.0]], &device)?.into();
/// let gradient = Saliency { absolute: false }.attribute(&forward, &inputs, &Target::Output)?;
/// let noise = Perturbed::by_noise(0.1, Key::new(0));
/// let infidelity = Infidelity::default();
/// let found = infidelity.measure(&forward, &inputs, &gradient.features, &Target::Output, noise)?;
/// assert!(found.item()? < 1e-9);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Infidelity {
    /// Number of perturbations.
    pub samples: usize,
    /// Whether attributions are scaled so that they fit best first.
    pub normalize: bool,
}

impl Default for Infidelity {
    fn default() -> Self {
        Infidelity { samples: 10, normalize: false }
    }
}

/// Inputs that were changed, and by what. A tensor for each feature, of its shape.
#[derive(Clone, Debug)]
pub struct Perturbed {
    /// The `I` of the definition: what was taken away.
    pub perturbations: Vec<Tensor>,
    /// The inputs without it.
    pub features: Vec<Tensor>,
}

impl Perturbed {
    /// Inputs less normally distributed noise, another one for each number.
    pub fn by_noise(deviation: f64, key: Key) -> impl FnMut(usize, &[Tensor]) -> Perturbed {
        move |sample, features| {
            let key = key.fold(sample as u32);
            let noise = features.iter().enumerate();
            let perturbations: Vec<Tensor> = noise
                .map(|(number, x)| x.randn_like(key.fold(number as u32)).mul(deviation))
                .collect();
            let changed = features.iter().zip(&perturbations).map(|(x, noise)| x.sub(noise));
            Perturbed { features: changed.collect(), perturbations }
        }
    }
}

impl Infidelity {
    /// The infidelity of the attributions of each sample: `[B]`. `perturb` is called with the number of the
    /// perturbation and the features.
    ///
    /// # Errors
    /// If attributions or perturbed features do not have the shapes of the features, or there are to be no
    /// perturbations.
    pub fn measure(
        &self,
        forward: &Forward,
        inputs: &Inputs,
        attributions: &[Tensor],
        target: &Target,
        mut perturb: impl FnMut(usize, &[Tensor]) -> Perturbed,
    ) -> Result<Tensor> {
        let op = "infidelity";
        inputs.check(op)?;
        same_shapes(op, "attribution", attributions, &inputs.features)?;
        if self.samples == 0 {
            return Err(Error::invalid(format!("{op}: 0 samples; one is the fewest")));
        }
        let at = |features: &[Tensor]| {
            let all = inputs.with_features(features.to_vec()).all();
            target.select(&forward.run(&all)?, inputs.batch())
        };
        let whole = at(&inputs.features)?;
        // Sums of a^2, a b and b^2, of which the least of (beta a - b)^2 is made.
        let mut sums: Option<[Tensor; 3]> = None;
        for sample in 0..self.samples {
            let Perturbed { perturbations, features } = perturb(sample, &inputs.features);
            same_shapes(op, "perturbation", &perturbations, &inputs.features)?;
            same_shapes(op, "perturbed feature", &features, &inputs.features)?;
            let said: Vec<Tensor> =
                perturbations.iter().zip(attributions).map(|(i, a)| i.mul(a)).collect();
            let (said, done) = (total(&said), whole.sub(at(&features)?));
            let terms = match self.normalize {
                true => [said.square(), said.mul(&done), done.square()],
                false => {
                    let zero = said.zeros_like();
                    [zero.clone(), zero, said.sub(&done).square()]
                }
            };
            let added = match sums {
                Some(sums) => [0, 1, 2].map(|at| sums[at].add(&terms[at])),
                None => terms,
            };
            eval(&added)?;
            sums = Some(added.map(|sum| sum.detach()));
        }
        let [aa, ab, bb] = sums.expect("at least one sample");
        let zero = aa.eq(0.0);
        let beta = zero.select(aa.zeros_like(), ab.div(zero.select(aa.ones_like(), &aa)));
        let least = beta.square().mul(&aa).sub(beta.mul(&ab).mul(2.0)).add(&bb);
        Ok(least.div(self.samples as f64))
    }
}

pub(crate) fn same_shapes(op: &str, what: &str, given: &[Tensor], like: &[Tensor]) -> Result<()> {
    if given.len() != like.len() {
        let (given, like) = (given.len(), like.len());
        return Err(Error::invalid(format!("{op}: {given} {what}s for {like} features")));
    }
    for (number, (given, like)) in given.iter().zip(like).enumerate() {
        if given.shape() != like.shape() {
            return Err(Error::shape(format!(
                "{op}: {what} {number} has shape {}, the feature {}",
                given.shape(),
                like.shape()
            )));
        }
    }
    Ok(())
}

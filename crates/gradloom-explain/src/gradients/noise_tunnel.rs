//! [`NoiseTunnel`]: the SmoothGrad family, around any method.

use gradloom_tensor::{Error, Key, Result, Tensor, eval};

use crate::{Attribution, Forward, Inputs, Method, Target};

/// What becomes of the attributions of noisy inputs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Smoothing {
    /// Their mean. Smilkov et al., "SmoothGrad", 2017.
    #[default]
    SmoothGrad,
    /// The mean of their squares. Hooker et al., "A benchmark for interpretability methods", 2018.
    SmoothGradSquared,
    /// Their variance. Adebayo et al., "Local explanation methods", 2018.
    VarGrad,
}

/// A method on inputs with noise, several times. As `captum.attr.NoiseTunnel`.
///
/// ```
/// use gradloom_explain::{Forward, Method, NoiseTunnel, Saliency, Target};
/// use gradloom_tensor::{Key, Tensor};
///
/// # fn main() -> gradloom_tensor::Result<()> {
/// # let device = gradloom_testkit::reference::device();
/// let forward = Forward::new(|x, _| (&x[0] * 3.0).sum(1));
/// let smooth = NoiseTunnel::new(Saliency::default(), Key::new(0));
/// let x = Tensor::new([[1f32, 2.0]], &device)?;
/// let attribution = smooth.attribute(&forward, &(&x).into(), &Target::Output)?;
/// assert_eq!(attribution.first().to_vec::<f32>()?, [3.0, 3.0]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct NoiseTunnel<M> {
    /// The method.
    pub method: M,
    /// What becomes of its attributions.
    pub smoothing: Smoothing,
    /// How often noise is drawn.
    pub samples: usize,
    /// Standard deviations of the noise: one for all features, or one for each.
    pub deviations: Vec<f64>,
    /// What the noise comes from.
    pub key: Key,
}

impl<M: Method> NoiseTunnel<M> {
    /// With captum's defaults: the mean of 5, with a standard deviation of 1.
    pub fn new(method: M, key: Key) -> Self {
        let smoothing = Smoothing::SmoothGrad;
        NoiseTunnel { method, smoothing, samples: 5, deviations: vec![1.0], key }
    }
}

impl<M: Method> Method for NoiseTunnel<M> {
    fn attribute(
        &self,
        forward: &Forward,
        inputs: &Inputs,
        target: &Target,
    ) -> Result<Attribution> {
        let op = "noise_tunnel";
        inputs.check(op)?;
        let (count, given) = (inputs.features.len(), self.deviations.len());
        if given != 1 && given != count {
            return Err(Error::invalid(format!(
                "{op}: {given} deviations for {count} features; give one, or one for each"
            )));
        }
        if self.samples == 0 {
            return Err(Error::invalid(format!("{op}: 0 samples; one is the fewest")));
        }
        let mut sums: Vec<[Tensor; 2]> = Vec::new();
        let mut delta: Option<Tensor> = None;
        for sample in 0..self.samples {
            let key = self.key.fold(sample as u32);
            let noisy = inputs.features.iter().enumerate().map(|(number, x)| {
                let deviation = self.deviations[number % given];
                x.add(x.randn_like(key.fold(number as u32)).mul(deviation))
            });
            let noisy = inputs.with_features(noisy.collect());
            let found = self.method.attribute(forward, &noisy, target)?;
            let found_delta = found.delta;
            for (number, found) in found.features.into_iter().enumerate() {
                let square = found.square();
                match sums.get_mut(number) {
                    Some([sum, squares]) => {
                        (*sum, *squares) = (sum.add(found), squares.add(square));
                    }
                    None => sums.push([found, square]),
                }
            }
            delta = found_delta.map(|found| match &delta {
                Some(sum) => sum.add(found),
                None => found,
            });
            // One sample after another in memory.
            eval(sums.iter().flatten())?;
            sums.iter_mut().flatten().for_each(|sum| *sum = sum.detach());
        }
        let scale = 1.0 / self.samples as f64;
        let features = sums.iter().map(|[sum, squares]| {
            let (mean, mean_square) = (sum.mul(scale), squares.mul(scale));
            match self.smoothing {
                Smoothing::SmoothGrad => mean,
                Smoothing::SmoothGradSquared => mean_square,
                Smoothing::VarGrad => mean_square.sub(mean.square()),
            }
        });
        let features = features.collect();
        let delta = delta.filter(|_| self.smoothing == Smoothing::SmoothGrad);
        Ok(Attribution { features, delta: delta.map(|delta| delta.mul(scale)) })
    }
}

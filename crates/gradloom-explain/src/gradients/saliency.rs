//! [`Saliency`] and [`InputXGradient`]: one gradient.

use gradloom_tensor::{Result, Tensor};

use crate::gradients::gradients;
use crate::{Attribution, Forward, Inputs, Method, Target};

/// How fast the target changes with each feature: `|dF/dx|`.
///
/// Simonyan, Vedaldi, Zisserman, "Deep inside convolutional networks", 2013. As `captum.attr.Saliency`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Saliency {
    /// The size of the gradient rather than the gradient.
    pub absolute: bool,
}

impl Default for Saliency {
    fn default() -> Self {
        Saliency { absolute: true }
    }
}

impl Method for Saliency {
    fn attribute(
        &self,
        forward: &Forward,
        inputs: &Inputs,
        target: &Target,
    ) -> Result<Attribution> {
        inputs.check("saliency")?;
        let (_, gradients) = gradients(forward, &inputs.features, inputs, target)?;
        let features = gradients.iter().map(|gradient| match self.absolute {
            true => gradient.abs(),
            false => gradient.clone(),
        });
        Ok(Attribution { features: features.collect(), delta: None })
    }
}

/// The part of the target that is linear in each feature: `x dF/dx`.
///
/// Shrikumar et al., "Not just a black box", 2016. As `captum.attr.InputXGradient`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InputXGradient;

impl Method for InputXGradient {
    fn attribute(
        &self,
        forward: &Forward,
        inputs: &Inputs,
        target: &Target,
    ) -> Result<Attribution> {
        inputs.check("input_x_gradient")?;
        let (_, gradients) = gradients(forward, &inputs.features, inputs, target)?;
        let pairs = inputs.features.iter().zip(&gradients);
        let features: Vec<Tensor> = pairs.map(|(x, gradient)| x.mul(gradient)).collect();
        Ok(Attribution { features, delta: None })
    }
}

//! [`GradCam`] and [`GuidedGradCam`]: which places of a layer's maps speak for a class.

use gradloom_autodiff::vjp;
use gradloom_tensor::ops::interpolation::{InterpolateOptions, Interpolation};
use gradloom_tensor::{Error, Result, Tensor};

use crate::{Attribution, Forward, GuidedBackprop, Inputs, Method, Target};

/// The sum of a layer's maps `[B, C, ..]`, each times the mean of its gradient: `[B, 1, ..]`, one number for
/// each place. It is the same for all features.
///
/// Selvaraju et al., "Grad-CAM", 2016. As `captum.attr.LayerGradCam`.
#[derive(Clone, Debug, PartialEq)]
pub struct GradCam {
    /// The name that the layer is tapped under.
    pub layer: String,
    /// Whether what speaks against the class counts as zero.
    pub relu: bool,
    /// The size that the map is brought to, as `captum.attr.LayerAttribution.interpolate`; that of the
    /// layer's maps without.
    pub size: Option<Vec<usize>>,
    /// How.
    pub interpolation: Interpolation,
}

impl GradCam {
    /// With captum's defaults: both signs, in the layer's size; where a size is set, by nearest elements.
    pub fn new(layer: impl Into<String>) -> Self {
        let interpolation = Interpolation::Nearest;
        GradCam { layer: layer.into(), relu: false, size: None, interpolation }
    }

    /// Brought to a size.
    #[must_use]
    pub fn resized(self, size: &[usize], interpolation: Interpolation) -> Self {
        GradCam { size: Some(size.to_vec()), interpolation, ..self }
    }
}

impl Method for GradCam {
    fn attribute(
        &self,
        forward: &Forward,
        inputs: &Inputs,
        target: &Target,
    ) -> Result<Attribution> {
        inputs.check("grad_cam")?;
        let run = forward.run_tapped(&inputs.all())?;
        let maps = run.layer(&self.layer)?;
        let (layer, shape) = (&self.layer, maps.shape());
        if !(3..=5).contains(&shape.rank()) || !maps.dtype().is_float() {
            let dtype = maps.dtype();
            return Err(Error::shape(format!(
                "grad_cam: {layer} is {dtype} {shape}; it needs maps [B, C, ..] of one to three axes"
            )));
        }
        let selected = target.select(&run.output, inputs.batch())?;
        let [gradient] = &vjp(&selected, &selected.ones_like(), &[maps])[..] else {
            unreachable!()
        };
        let axes: Vec<isize> = (2..shape.rank() as isize).collect();
        let weights = gradient.mean_keepdim(&axes[..]);
        let mut map = maps.mul(weights).sum_keepdim(1);
        if self.relu {
            map = map.relu();
        }
        if let Some(size) = &self.size {
            let axes = shape.rank() - 2;
            if size.len() != axes || size.contains(&0) {
                return Err(Error::invalid(format!(
                    "grad_cam: a size of {size:?} for maps of {axes} axes; give a size for each"
                )));
            }
            map = map.interpolate(size, &InterpolateOptions::new(self.interpolation));
        }
        Ok(Attribution { features: vec![map], delta: None })
    }
}

/// Guided backpropagation, only where [`GradCam`] of a layer speaks for the class.
///
/// As `captum.attr.GuidedGradCam`.
#[derive(Clone, Debug, PartialEq)]
pub struct GuidedGradCam {
    /// The name that the layer is tapped under.
    pub layer: String,
    /// How the map is brought to the size of the features.
    pub interpolation: Interpolation,
}

impl GuidedGradCam {
    /// With captum's default: nearest elements.
    pub fn new(layer: impl Into<String>) -> Self {
        GuidedGradCam { layer: layer.into(), interpolation: Interpolation::Nearest }
    }
}

impl Method for GuidedGradCam {
    fn attribute(
        &self,
        forward: &Forward,
        inputs: &Inputs,
        target: &Target,
    ) -> Result<Attribution> {
        let cam = GradCam { relu: true, ..GradCam::new(self.layer.clone()) };
        let map = cam.attribute(forward, inputs, target)?.features.remove(0);
        let guided = GuidedBackprop.attribute(forward, inputs, target)?;
        let mut features: Vec<Tensor> = Vec::with_capacity(guided.features.len());
        for (number, guided) in guided.features.iter().enumerate() {
            if guided.rank() != map.rank() {
                return Err(Error::shape(format!(
                    "guided_grad_cam: feature {number} has shape {}, the maps of {} {}; both need the same \
                     axes",
                    guided.shape(),
                    self.layer,
                    map.shape()
                )));
            }
            let size = &guided.shape()[2..];
            let map = map.interpolate(size, &InterpolateOptions::new(self.interpolation));
            features.push(guided.mul(map));
        }
        Ok(Attribution { features, delta: None })
    }
}

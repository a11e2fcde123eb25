//! [`Forward`]: a model as a function of its inputs, or the part of it behind or before one of its layers.
//!
//! Layers are found by the names of their taps ([`Context::tap`]). A model cut behind a layer is a function
//! of that layer's activation: it runs as ever, and a patch puts the activation in its place. What lies
//! before is not computed, as nobody asks for it. So methods know functions alone, and have their forms for
//! layers and neurons by being given another function.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use gradloom_nn::{Context, Layer};
use gradloom_tensor::{Error, ErrorKind, Result, Shape, Tensor};

use crate::Inputs;

/// What runs a model.
type Model<'a> = dyn Fn(&[Tensor], &mut Context) -> Tensor + Send + Sync + 'a;

/// A model as methods of explanation see it: a function from tensors to one tensor.
///
/// It is run for use, not for learning: dropout drops nothing, norms use their running statistics.
///
/// ```
/// use gradloom_explain::{Forward, Method, Saliency, Target};
/// use gradloom_nn::layers::Linear;
/// use gradloom_nn::{Activation, Init, Sequential};
/// use gradloom_tensor::{DType, Key, Tensor};
///
/// # fn main() -> gradloom_tensor::Result<()> {
/// # let device = gradloom_testkit::reference::device();
/// let init = &mut Init::new(Key::new(0), &device);
/// let model = Sequential::new()
///     .with(Linear::new(4, 8, init))
///     .with(Activation::Relu)
///     .with(Linear::new(8, 3, init));
/// let forward = Forward::of(&model);
/// let x = Tensor::ones([2, 4], DType::F32, &device);
/// let inputs = (&x).into();
///
/// let attribution = Saliency::default().attribute(&forward, &inputs, &Target::Class(1))?;
/// assert_eq!(attribution.first().shape(), &[2, 4]);
///
/// // The same question about the hidden layer, and about one of its neurons.
/// let behind = forward.from_layer("1.output");
/// let hidden = forward.layer_inputs("1.output", &inputs)?;
/// let attribution = Saliency::default().attribute(&behind, &hidden, &Target::Class(1))?;
/// assert_eq!(attribution.first().shape(), &[2, 8]);
/// let neuron = forward.up_to("1.output");
/// let attribution = Saliency::default().attribute(&neuron, &inputs, &Target::Class(5))?;
/// assert_eq!(attribution.first().shape(), &[2, 4]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Forward<'a> {
    model: Arc<Model<'a>>,
    /// The layer whose activation is the first input.
    begin: Option<String>,
    /// The layer whose activation is the output.
    end: Option<String>,
}

/// What a run showed.
pub(crate) struct Run {
    /// The output.
    pub(crate) output: Tensor,
    /// Activations by name, in the order of the run.
    pub(crate) taps: Vec<(String, Tensor)>,
}

impl Run {
    /// The activation of a layer.
    ///
    /// # Errors
    /// If no layer or more than one run of a layer has that name.
    pub(crate) fn layer(&self, name: &str) -> Result<&Tensor> {
        let mut found = self.taps.iter().filter(|(other, _)| other == name);
        match (found.next(), found.count()) {
            (Some((_, tensor)), 0) => Ok(tensor),
            (Some(_), more) => Err(Error::invalid(format!(
                "layer: {name} ran {} times; give its runs names of their own with Context::within",
                more + 1
            ))),
            (None, _) => Err(unknown(name, self.taps.iter().map(|(name, _)| name.as_str()))),
        }
    }
}

fn unknown<'n>(name: &str, names: impl Iterator<Item = &'n str>) -> Error {
    let mut names: Vec<&str> = names.collect();
    let count = names.len();
    names.truncate(24);
    let more = if count > names.len() { ", .." } else { "" };
    Error::new(
        ErrorKind::NotFound,
        format!("layer: the model taps nothing named {name}; it taps {}{more}", names.join(", ")),
    )
}

impl<'a> Forward<'a> {
    /// A function of the inputs and the state of the run. The layers must get that state: it is what turns
    /// dropout off, shows what layers give and puts activations in.
    pub fn new(model: impl Fn(&[Tensor], &mut Context) -> Tensor + Send + Sync + 'a) -> Self {
        Forward { model: Arc::new(model), begin: None, end: None }
    }

    /// A layer, or a model that is one.
    pub fn of(layer: &'a dyn Layer) -> Self {
        Forward::new(|inputs, ctx| layer.forward(&inputs[0], ctx))
    }

    /// The part behind a layer: a function of its activation, which takes the place of the inputs as the
    /// only feature; the inputs are given after it ([`layer_inputs`](Forward::layer_inputs)).
    ///
    /// As captum's `Layer..` methods.
    #[must_use]
    pub fn from_layer(&self, name: &str) -> Forward<'a> {
        Forward { begin: Some(name.to_owned()), ..self.clone() }
    }

    /// The part up to a layer: a function from the inputs to its activation. With a [`Target`](crate::Target)
    /// it is one neuron, as for captum's `Neuron..` methods.
    #[must_use]
    pub fn up_to(&self, name: &str) -> Forward<'a> {
        Forward { end: Some(name.to_owned()), ..self.clone() }
    }

    /// The output for these inputs.
    ///
    /// # Errors
    /// If the model has no layer where this function begins or ends.
    pub fn run(&self, inputs: &[Tensor]) -> Result<Tensor> {
        Ok(self.run_with(inputs, self.end.is_some())?.output)
    }

    /// As [`run`](Forward::run), with what layers show on the way.
    pub(crate) fn run_tapped(&self, inputs: &[Tensor]) -> Result<Run> {
        self.run_with(inputs, true)
    }

    fn run_with(&self, inputs: &[Tensor], tapping: bool) -> Result<Run> {
        let mut ctx = Context::eval();
        if tapping {
            ctx = ctx.with_taps();
        }
        let patched = Arc::new(AtomicUsize::new(0));
        let output = match &self.begin {
            None => (self.model)(inputs, &mut ctx),
            Some(layer) => {
                let [activation, inputs @ ..] = inputs else {
                    return Err(Error::invalid(format!("forward: no activation of {layer}")));
                };
                if inputs.is_empty() {
                    return Err(Error::invalid(format!(
                        "forward: no inputs after the activation of {layer}; Forward::layer_inputs gives both"
                    )));
                }
                let (layer, activation) = (layer.clone(), activation.clone());
                let patched = Arc::clone(&patched);
                ctx = ctx.with_patch(move |name, _| {
                    (name == layer).then(|| {
                        patched.fetch_add(1, Ordering::Relaxed);
                        activation.clone()
                    })
                });
                (self.model)(inputs, &mut ctx)
            }
        };
        let taps = ctx.take_taps();
        if let (Some(layer), times) = (&self.begin, patched.load(Ordering::Relaxed))
            && times != 1
        {
            let run = Run { output: output.clone(), taps };
            let found = run.layer(layer).map(|_| ());
            return Err(found.err().unwrap_or_else(|| {
                Error::invalid(format!("layer: {layer} ran {times} times; it must run once"))
            }));
        }
        let mut run = Run { output, taps };
        if let Some(layer) = &self.end {
            run.output = run.layer(layer)?.clone();
        }
        Ok(run)
    }

    /// The layers that show their activations, in the order of the run, with the shapes of these.
    ///
    /// # Errors
    /// As [`run`](Forward::run).
    pub fn layers(&self, inputs: &Inputs) -> Result<Vec<(String, Shape)>> {
        let run = self.run_tapped(&inputs.all())?;
        Ok(run.taps.into_iter().map(|(name, tensor)| (name, *tensor.shape())).collect())
    }

    /// The activation of a layer.
    ///
    /// # Errors
    /// If the model shows none of that name, or several.
    pub fn activation(&self, layer: &str, inputs: &Inputs) -> Result<Tensor> {
        Ok(self.run_tapped(&inputs.all())?.layer(layer)?.clone())
    }

    /// What [`from_layer`](Forward::from_layer) is a function of: the layer's activation for these inputs, and
    /// the inputs themselves as given.
    ///
    /// # Errors
    /// As [`activation`](Forward::activation).
    pub fn layer_inputs(&self, layer: &str, inputs: &Inputs) -> Result<Inputs> {
        let activation = self.activation(layer, inputs)?;
        activation.eval()?;
        Ok(Inputs { features: vec![activation.detach()], given: inputs.all() })
    }
}

impl std::fmt::Debug for Forward<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = formatter.debug_struct("Forward");
        shown.field("begin", &self.begin).field("end", &self.end).finish_non_exhaustive()
    }
}

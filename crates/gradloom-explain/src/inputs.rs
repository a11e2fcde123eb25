//! [`Inputs`]: what is explained and what is merely given; [`Baseline`]: what stands for "nothing there".

use gradloom_tensor::{Error, Result, Tensor};

use crate::rows;

/// The tensors that a model is run on: features, which get attributions, and what else it needs.
///
/// The first axis of each is the batch: where a method runs the model on many variants of a sample, it
/// repeats the rows of both. What is the same for all samples belongs in the model's closure.
///
/// ```
/// use gradloom_explain::Inputs;
/// use gradloom_tensor::{DType, Tensor};
///
/// # let device = gradloom_testkit::reference::device();
/// let picture = Tensor::zeros([1, 3, 8, 8], DType::F32, &device);
/// let inputs = Inputs::from(&picture).given([Tensor::ones([1, 4], DType::F32, &device)]);
/// assert_eq!((inputs.features.len(), inputs.given.len(), inputs.batch()), (1, 1, 1));
/// ```
#[derive(Clone, Debug)]
pub struct Inputs {
    /// What attributions are asked for: floating-point, `[B, ..]` each.
    pub features: Vec<Tensor>,
    /// What the model gets after the features: `[B, ..]` each, of any dtype.
    pub given: Vec<Tensor>,
}

impl Inputs {
    /// Several tensors of features.
    pub fn new(features: impl IntoIterator<Item = Tensor>) -> Self {
        Inputs { features: features.into_iter().collect(), given: Vec::new() }
    }

    /// With further tensors, which the model gets after the features and which are not explained.
    #[must_use]
    pub fn given(mut self, given: impl IntoIterator<Item = Tensor>) -> Self {
        self.given.extend(given);
        self
    }

    /// Number of samples: the first axis of the first feature.
    pub fn batch(&self) -> usize {
        let first = self.features.iter().chain(&self.given).next();
        first.and_then(|first| first.shape().first().copied()).unwrap_or(0)
    }

    /// One sample.
    pub(crate) fn row(&self, sample: usize) -> Inputs {
        let row = |tensors: &[Tensor]| tensors.iter().map(|x| x.narrow(0, sample, 1)).collect();
        Inputs { features: row(&self.features), given: row(&self.given) }
    }

    /// The same with other features.
    pub(crate) fn with_features(&self, features: Vec<Tensor>) -> Inputs {
        Inputs { features, given: self.given.clone() }
    }

    /// All tensors in the order in which the model gets them.
    pub(crate) fn all(&self) -> Vec<Tensor> {
        self.features.iter().chain(&self.given).cloned().collect()
    }

    /// What is given, repeated for `copies` variants of each sample: `[copies * B, ..]`.
    pub(crate) fn given_tiled(&self, copies: usize) -> Vec<Tensor> {
        self.given.iter().map(|given| rows::tiled(given, copies)).collect()
    }

    /// Checks what every method needs.
    ///
    /// # Errors
    /// If there are no features, a tensor has no rows or another number of rows, or a feature is not
    /// floating-point.
    pub(crate) fn check(&self, op: &str) -> Result<()> {
        let batch = self.batch();
        if self.features.is_empty() {
            return Err(Error::invalid(format!("{op}: no features; give at least one tensor")));
        }
        let kinds = self.features.iter().map(|tensor| (tensor, "feature"));
        let all = kinds.chain(self.given.iter().map(|tensor| (tensor, "given tensor")));
        for (number, (tensor, kind)) in all.enumerate() {
            let shape = tensor.shape();
            if shape.rank() == 0 || shape[0] != batch || batch == 0 {
                return Err(Error::shape(format!(
                    "{op}: {kind} {number} has shape {shape}; all tensors begin with the same batch axis, of \
                     size {batch} in the first one, and it must not be empty"
                )));
            }
            if kind == "feature" && !tensor.dtype().is_float() {
                return Err(Error::invalid(format!(
                    "{op}: feature {number} is {}; only floating-point tensors get attributions: explain the \
                     embeddings of tokens with Forward::from_layer",
                    tensor.dtype()
                )));
            }
        }
        Ok(())
    }
}

impl From<Tensor> for Inputs {
    fn from(feature: Tensor) -> Self {
        Inputs::new([feature])
    }
}

impl From<&Tensor> for Inputs {
    fn from(feature: &Tensor) -> Self {
        Inputs::new([feature.clone()])
    }
}

/// What features are compared with: the state in which nothing is there.
#[derive(Clone, Debug, Default)]
pub enum Baseline {
    /// Zeros.
    #[default]
    Zero,
    /// One number everywhere.
    Value(f64),
    /// A tensor for each feature, of its shape or with one row for all samples.
    Tensors(Vec<Tensor>),
}

impl Baseline {
    /// A tensor of the shape of each feature of inputs, which are checked first.
    ///
    /// # Errors
    /// As [`Inputs::check`], if there are not as many tensors as features, or if one has a shape or dtype that
    /// does not fit.
    pub(crate) fn of(&self, op: &str, inputs: &Inputs) -> Result<Vec<Tensor>> {
        inputs.check(op)?;
        let features = &inputs.features;
        match self {
            Baseline::Zero => Ok(features.iter().map(Tensor::zeros_like).collect()),
            Baseline::Value(value) => {
                Ok(features.iter().map(|feature| feature.full_like(*value)).collect())
            }
            Baseline::Tensors(tensors) => {
                if tensors.len() != features.len() {
                    return Err(Error::invalid(format!(
                        "{op}: {} baselines for {} features; give one for each",
                        tensors.len(),
                        features.len()
                    )));
                }
                let pairs = tensors.iter().zip(features).enumerate();
                pairs.map(|(number, pair)| fitted(op, number, pair)).collect()
            }
        }
    }
}

fn fitted(op: &str, number: usize, (baseline, feature): (&Tensor, &Tensor)) -> Result<Tensor> {
    let (shape, of_feature) = (baseline.shape(), feature.shape());
    let fits = shape.rank() == of_feature.rank()
        && shape[1..] == of_feature[1..]
        && (shape[0] == of_feature[0] || shape[0] == 1);
    if !fits || baseline.dtype() != feature.dtype() {
        return Err(Error::shape(format!(
            "{op}: baseline {number} is {} {shape}, the feature {} {of_feature}; a baseline has the feature's \
             shape and dtype, or one row for all samples",
            baseline.dtype(),
            feature.dtype()
        )));
    }
    Ok(baseline.broadcast_to(of_feature))
}

impl From<Tensor> for Baseline {
    fn from(baseline: Tensor) -> Self {
        Baseline::Tensors(vec![baseline])
    }
}

impl From<&Tensor> for Baseline {
    fn from(baseline: &Tensor) -> Self {
        Baseline::Tensors(vec![baseline.clone()])
    }
}

impl From<f64> for Baseline {
    fn from(value: f64) -> Self {
        Baseline::Value(value)
    }
}

//! [`Gradients`]: the gradients of a model's weights by name, and what is done to them before a step.
//!
//! They are ordinary graph: nothing is computed until a step is committed.

use crate::{Module, ModuleExt, uncommitted};
use gradloom_tensor::{Tensor, Tensors};

/// Gradients of a scalar loss with respect to all trainable weights of a model.
///
/// # Panics
/// If the loss has more than one element or is not floating-point.
///
/// ```
/// use gradloom_nn::layers::Linear;
/// use gradloom_nn::{Context, Init, Layer, Optimizer, Sgd, gradients};
/// use gradloom_tensor::{DType, Key, Tensor, commit};
///
/// # fn main() -> gradloom_tensor::Result<()> {
/// # let device = gradloom_testkit::reference::device();
/// let init = &mut Init::new(Key::new(0), &device);
/// let mut model = Linear::new(3, 1, init);
/// let mut optimizer = Sgd::new(0.1);
/// let x = Tensor::ones([4, 3], DType::F32, &device);
/// let loss = model.forward(&x, &mut Context::eval()).square().mean(..);
/// let (gradients, _norm) = gradients(&loss, &model).clip_norm(1.0);
/// optimizer.step(&gradients, &mut model);
/// commit((&mut model, &mut optimizer))?; // loss, gradients and update in one plan
/// assert!(loss.item()?.is_finite());
/// # Ok(())
/// # }
/// ```
#[track_caller]
pub fn gradients(loss: &Tensor, model: &(impl Module + ?Sized)) -> Gradients {
    let (names, weights): (Vec<String>, Vec<&Tensor>) =
        model.trainable().into_iter().map(|(name, parameter)| (name, parameter.tensor())).unzip();
    for (name, weight) in names.iter().zip(&weights) {
        uncommitted::warn(name, weight);
    }
    let gradients = gradloom_autodiff::grad(loss, &weights);
    Gradients { entries: names.into_iter().zip(gradients).collect() }
}

/// Gradients by the names of their weights, in the model's order.
#[derive(Clone, Debug, Default)]
pub struct Gradients {
    entries: Vec<(String, Tensor)>,
}

impl Gradients {
    /// All names and gradients.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.entries.iter().map(|(name, gradient)| (name.as_str(), gradient))
    }

    /// The gradient of the weight with this name.
    pub fn get(&self, name: &str) -> Option<&Tensor> {
        self.iter().find(|(other, _)| *other == name).map(|(_, gradient)| gradient)
    }

    /// Number of gradients.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True without gradients.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Each gradient through a function.
    #[must_use]
    pub fn map(&self, change: impl Fn(&str, &Tensor) -> Tensor) -> Gradients {
        let entries =
            self.iter().map(|(name, gradient)| (name.to_owned(), change(name, gradient))).collect();
        Gradients { entries }
    }

    /// Sums with the gradients of another part of the batch.
    ///
    /// # Panics
    /// If they are not of the same weights.
    #[must_use]
    #[track_caller]
    pub fn add(&self, other: &Gradients) -> Gradients {
        assert!(
            self.len() == other.len(),
            "gradients: of {} and {} weights",
            self.len(),
            other.len()
        );
        let pairs = self.entries.iter().zip(&other.entries);
        let sum = |((name, left), (other, right)): (&(String, Tensor), &(String, Tensor))| {
            assert!(name == other, "gradients: of different weights: {name} and {other}");
            (name.clone(), left + right)
        };
        Gradients { entries: pairs.map(sum).collect() }
    }

    /// Times a number.
    #[must_use]
    #[track_caller]
    pub fn scale(&self, factor: f64) -> Gradients {
        self.map(|_, gradient| (gradient.wide() * factor).cast(gradient.dtype()))
    }

    /// The Euclidean norm of all gradients together, a scalar; f32 for gradients of f16 and bf16.
    ///
    /// # Panics
    /// If there are no gradients.
    #[must_use]
    #[track_caller]
    pub fn norm(&self) -> Tensor {
        let squares = self.entries.iter().map(|(_, gradient)| gradient.wide().square().sum(..));
        let sum = squares.reduce(|sum, square| &sum + square.to_device(sum.device()));
        match sum {
            Some(sum) => sum.sqrt(),
            None => panic!("gradients: the norm of no gradients"),
        }
    }

    /// Scaled down so that the norm of all together is at most `norm_max`, and the norm before.
    ///
    /// PyTorch: `torch.nn.utils.clip_grad_norm_`. Pascanu, Mikolov, Bengio, "On the difficulty of
    /// training recurrent neural networks", 2013.
    ///
    /// # Panics
    /// If there are no gradients.
    #[must_use]
    #[track_caller]
    pub fn clip_norm(&self, norm_max: f64) -> (Gradients, Tensor) {
        let norm = self.norm();
        let factor = (norm_max / (&norm + norm.constant_like(1e-6))).minimum(norm.ones_like());
        let scaled = |gradient: &Tensor| {
            let wide = gradient.wide();
            let factor = factor.to_device(gradient.device()).cast(wide.dtype());
            (&wide * factor).cast(gradient.dtype())
        };
        (self.map(|_, gradient| scaled(gradient)), norm)
    }

    /// Each element held within `-bound..=bound`. PyTorch: `torch.nn.utils.clip_grad_value_`.
    #[must_use]
    #[track_caller]
    pub fn clip_value(&self, bound: f64) -> Gradients {
        self.map(|_, gradient| gradient.clamp(-bound, bound))
    }
}

impl FromIterator<(String, Tensor)> for Gradients {
    fn from_iter<I: IntoIterator<Item = (String, Tensor)>>(entries: I) -> Self {
        Gradients { entries: entries.into_iter().collect() }
    }
}

impl Tensors for Gradients {
    fn for_each_tensor(&mut self, visit: &mut dyn FnMut(&mut Tensor)) {
        self.entries.iter_mut().for_each(|(_, gradient)| visit(gradient));
    }
}

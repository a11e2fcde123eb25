//! [`Sequential`]: layers one after another, each with a number or a name.

use std::sync::Arc;

use crate::layers::{Adapter, Layer};
use crate::{Context, Module, Parameter, Path, derive_support};
use gradloom_tensor::{Tensor, Tensors};

/// Layers one after another; each output is the next one's input. Names of weights begin with the layer's number, or
/// with the name that it was added by ([`with_named`](Sequential::with_named)).
///
/// PyTorch: `torch.nn.Sequential`, also of an `OrderedDict`.
///
/// ```
/// use gradloom_nn::layers::Linear;
/// use gradloom_nn::{Activation, Context, Init, Layer, Sequential};
/// use gradloom_tensor::{DType, Key, Tensor};
///
/// # let device = gradloom_testkit::reference::device();
/// let init = &mut Init::new(Key::new(0), &device);
/// let model = Sequential::new()
///     .with(Linear::new(784, 128, init))
///     .with(Activation::Relu)
///     .with(Linear::new(128, 10, init));
/// let x = Tensor::zeros([2, 784], DType::F32, &device);
/// assert_eq!(model.forward(&x, &mut Context::eval()).shape(), &[2, 10]);
/// ```
#[derive(Clone, Default)]
pub struct Sequential {
    layers: Vec<Box<dyn Layer>>,
    /// One for each layer.
    names: Vec<Arc<str>>,
}

impl Sequential {
    /// Without layers: the identity.
    pub fn new() -> Self {
        Sequential::default()
    }

    /// Adds a layer at the end.
    #[must_use]
    pub fn with(mut self, layer: impl Layer + 'static) -> Self {
        self.push(layer);
        self
    }

    /// Adds a layer at the end, whose weights are called `name.` and their own name: to freeze a part, or to give it a
    /// learning rate of its own.
    ///
    /// ```
    /// use gradloom_nn::layers::Linear;
    /// use gradloom_nn::{AdamW, Init, ModuleExt, Optimizer, Sequential};
    /// use gradloom_tensor::Key;
    ///
    /// # let device = gradloom_testkit::reference::device();
    /// let init = &mut Init::new(Key::new(0), &device);
    /// let mut model = Sequential::new()
    ///     .with_named("body", Linear::new(8, 8, init))
    ///     .with_named("head", Linear::new(8, 2, init));
    /// model.set_trainable(false, |name| name.starts_with("body."));
    /// assert_eq!(model.trainable()[0].0, "head.weight");
    /// let optimizer = AdamW::new(1e-3)
    ///     .rate_factor(|name| if name.starts_with("body.") { 0.1 } else { 1.0 });
    /// # let _ = optimizer;
    /// ```
    ///
    /// # Panics
    /// If the name is empty, has a dot, or another layer has it.
    #[must_use]
    #[track_caller]
    pub fn with_named(mut self, name: &str, layer: impl Layer + 'static) -> Self {
        self.add(name.into(), Box::new(layer));
        self
    }

    /// Adds a layer at the end.
    pub fn push(&mut self, layer: impl Layer + 'static) {
        self.add(self.layers.len().to_string().into(), Box::new(layer));
    }

    #[track_caller]
    fn add(&mut self, name: Arc<str>, layer: Box<dyn Layer>) {
        assert!(
            !name.is_empty() && !name.contains('.'),
            "sequential: {name:?} is no name of a layer; give one without dots"
        );
        assert!(!self.names.contains(&name), "sequential: two layers are called {name:?}");
        self.names.push(name);
        self.layers.push(layer);
    }

    /// The layers.
    pub fn layers(&self) -> &[Box<dyn Layer>] {
        &self.layers
    }
}

impl Layer for Sequential {
    #[track_caller]
    fn forward(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
        let layers = self.names.iter().zip(&self.layers);
        layers.fold(x.clone(), |x, (name, layer)| {
            ctx.within(name, |ctx| {
                let y = layer.forward(&x, ctx);
                ctx.tap("output", &y)
            })
        })
    }
}

impl Module for Sequential {
    fn visit<'a>(&'a self, path: &mut Path, visitor: &mut dyn FnMut(&str, &'a Parameter)) {
        for (name, layer) in self.names.iter().zip(&self.layers) {
            path.within(name, |path| layer.visit(path, &mut *visitor));
        }
    }

    fn visit_mut(&mut self, path: &mut Path, visitor: &mut dyn FnMut(&str, &mut Parameter)) {
        for (name, layer) in self.names.iter().zip(&mut self.layers) {
            path.within(name, |path| layer.visit_mut(path, &mut *visitor));
        }
    }

    fn visit_adapters(&mut self, path: &mut Path, visitor: &mut dyn FnMut(&str, &mut Adapter)) {
        for (name, layer) in self.names.iter().zip(&mut self.layers) {
            path.within(name, |path| layer.visit_adapters(path, &mut *visitor));
        }
    }
}

impl Tensors for Sequential {
    fn for_each_tensor(&mut self, visit: &mut dyn FnMut(&mut Tensor)) {
        derive_support::for_each_tensor(self, visit);
    }
}

impl std::fmt::Debug for Sequential {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Sequential({} layers)", self.layers.len())
    }
}

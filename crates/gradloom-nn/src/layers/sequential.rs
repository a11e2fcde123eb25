//! [`Sequential`]: layers one after another.

use crate::layers::{Adapter, Layer};
use crate::{Context, Module, Parameter, Path, derive_support};
use gradloom_tensor::{Tensor, Tensors};

/// Layers one after another; each output is the next one's input. Names begin with the layer's number.
///
/// PyTorch: `torch.nn.Sequential`.
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

    /// Adds a layer at the end.
    pub fn push(&mut self, layer: impl Layer + 'static) {
        self.layers.push(Box::new(layer));
    }

    /// The layers.
    pub fn layers(&self) -> &[Box<dyn Layer>] {
        &self.layers
    }
}

impl Layer for Sequential {
    #[track_caller]
    fn forward(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
        let layers = self.layers.iter().enumerate();
        layers.fold(x.clone(), |x, (index, layer)| {
            ctx.within_index(index, |ctx| {
                let y = layer.forward(&x, ctx);
                ctx.tap("output", &y)
            })
        })
    }
}

impl Module for Sequential {
    fn visit<'a>(&'a self, path: &mut Path, visitor: &mut dyn FnMut(&str, &'a Parameter)) {
        self.layers.visit(path, visitor);
    }

    fn visit_mut(&mut self, path: &mut Path, visitor: &mut dyn FnMut(&str, &mut Parameter)) {
        self.layers.visit_mut(path, visitor);
    }

    fn visit_adapters(&mut self, path: &mut Path, visitor: &mut dyn FnMut(&str, &mut Adapter)) {
        self.layers.visit_adapters(path, visitor);
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

//! [`Stack`]: layers one after another under names of their own, as torchvision's ordered dictionaries have them.

use gradloom_nn::layers::{Adapter, Layer};
use gradloom_nn::{Context, Module, ModuleExt, Parameter, Path};
use gradloom_tensor::{Tensor, Tensors};

/// Layers one after another, each under its name. The output of each is tapped as `name.output`.
///
/// PyTorch: `torch.nn.Sequential` of an `OrderedDict`.
#[derive(Clone, Default)]
pub struct Stack {
    layers: Vec<(String, Box<dyn Layer>)>,
}

impl Stack {
    /// Without layers: the identity.
    pub fn new() -> Self {
        Stack::default()
    }

    /// Adds a layer at the end under a name.
    ///
    /// # Panics
    /// If the name is taken.
    #[must_use]
    #[track_caller]
    pub fn with(mut self, name: impl Into<String>, layer: impl Layer + 'static) -> Self {
        self.insert(name, layer);
        self
    }

    /// Adds a layer at the end under a name.
    ///
    /// # Panics
    /// If the name is taken.
    #[track_caller]
    pub fn insert(&mut self, name: impl Into<String>, layer: impl Layer + 'static) {
        self.insert_boxed(name, Box::new(layer));
    }

    #[track_caller]
    pub(crate) fn insert_boxed(&mut self, name: impl Into<String>, layer: Box<dyn Layer>) {
        let name = name.into();
        assert!(self.get(&name).is_none(), "stack: two layers are named {name:?}");
        self.layers.push((name, layer));
    }

    /// Adds a layer at the end under its number.
    #[track_caller]
    pub fn push(&mut self, layer: impl Layer + 'static) {
        self.insert(self.layers.len().to_string(), layer);
    }

    /// The layer with this name.
    pub fn get(&self, name: &str) -> Option<&dyn Layer> {
        let found = self.layers.iter().find(|(other, _)| other == name);
        found.map(|(_, layer)| &**layer)
    }

    /// Puts another layer in the place of the last one.
    pub fn replace_last(&mut self, layer: impl Layer + 'static) {
        if let Some((_, last)) = self.layers.last_mut() {
            *last = Box::new(layer);
        }
    }

    /// Inputs of the last layer, a linear one: the second axis of its weight.
    pub(crate) fn last_inputs(&self) -> usize {
        let weight = self.layers.last().and_then(|(_, layer)| layer.parameter("weight"));
        weight.map_or(0, |weight| weight.size(1))
    }

    /// Number of layers.
    pub fn len(&self) -> usize {
        self.layers.len()
    }

    /// True without layers.
    pub fn is_empty(&self) -> bool {
        self.layers.is_empty()
    }
}

impl Layer for Stack {
    #[track_caller]
    fn forward(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
        let layers = self.layers.iter();
        layers.fold(x.clone(), |x, (name, layer)| run(name, &**layer, &x, ctx))
    }
}

/// Runs a part of a network under its name and taps its output.
#[track_caller]
pub(crate) fn run(name: &str, layer: &dyn Layer, x: &Tensor, ctx: &mut Context) -> Tensor {
    ctx.within(name, |ctx| {
        let y = layer.forward(x, ctx);
        ctx.tap("output", &y)
    })
}

impl Module for Stack {
    fn visit<'a>(&'a self, path: &mut Path, visitor: &mut dyn FnMut(&str, &'a Parameter)) {
        for (name, layer) in &self.layers {
            path.within(name, |path| layer.visit(path, &mut *visitor));
        }
    }

    fn visit_mut(&mut self, path: &mut Path, visitor: &mut dyn FnMut(&str, &mut Parameter)) {
        for (name, layer) in &mut self.layers {
            path.within(name, |path| layer.visit_mut(path, &mut *visitor));
        }
    }

    fn visit_adapters(&mut self, path: &mut Path, visitor: &mut dyn FnMut(&str, &mut Adapter)) {
        for (name, layer) in &mut self.layers {
            path.within(name, |path| layer.visit_adapters(path, &mut *visitor));
        }
    }
}

impl Tensors for Stack {
    fn for_each_tensor(&mut self, visit: &mut dyn FnMut(&mut Tensor)) {
        gradloom_nn::module::for_each_tensor(self, visit);
    }
}

impl std::fmt::Debug for Stack {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&str> = self.layers.iter().map(|(name, _)| name.as_str()).collect();
        write!(formatter, "Stack({})", names.join(", "))
    }
}

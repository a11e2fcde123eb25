//! [`Module`]: anything with weights. One visit in a fixed order serves counting, freezing, saving,
//! loading, optimizers and evaluation.

use std::collections::BTreeMap;
use std::marker::PhantomData;

use crate::layers::Adapter;
use crate::{LoadOptions, LoadReport, Parameter, Path, Result, Role, StateDict};
use gradloom_tensor::{Device, Tensor, Tensors};

/// Something with weights: a layer, a model, or a collection of them. Derive it.
///
/// ```
/// use gradloom_nn::layers::Linear;
/// use gradloom_nn::{Init, Module, ModuleExt};
/// use gradloom_tensor::Key;
///
/// #[derive(Module, Clone)]
/// struct Classifier {
///     hidden: Vec<Linear>,
///     head: Linear,
/// }
///
/// # let device = gradloom_testkit::reference::device();
/// let init = &mut Init::new(Key::new(0), &device);
/// let hidden = vec![Linear::new(8, 4, init).without_bias(), Linear::new(4, 4, init)];
/// let model = Classifier { hidden, head: Linear::new(4, 2, init) };
/// let names: Vec<String> = model.parameters().into_iter().map(|(name, _)| name).collect();
/// assert_eq!(
///     names,
///     ["hidden.0.weight", "hidden.1.weight", "hidden.1.bias", "head.weight", "head.bias"]
/// );
/// ```
pub trait Module {
    /// Calls `visitor` with the name and value of every parameter, always in the same order.
    fn visit<'a>(&'a self, path: &mut Path, visitor: &mut dyn FnMut(&str, &'a Parameter));

    /// As [`visit`](Module::visit), to change them.
    fn visit_mut(&mut self, path: &mut Path, visitor: &mut dyn FnMut(&str, &mut Parameter));

    /// Calls `visitor` with the name of every layer that may have an update beside its weight, and the
    /// place of the update; see [`lora`](crate::lora).
    fn visit_adapters(&mut self, _path: &mut Path, _visitor: &mut dyn FnMut(&str, &mut Adapter)) {}
}

/// What every module can do. Names are dotted: `encoder.layer.0.weight`.
pub trait ModuleExt: Module {
    /// All parameters with their names, in the order of the fields.
    fn parameters(&self) -> Vec<(String, &Parameter)> {
        let mut parameters = Vec::new();
        self.visit(&mut Path::root(), &mut |name, parameter| {
            parameters.push((name.to_owned(), parameter));
        });
        parameters
    }

    /// The parameters that optimizers change.
    fn trainable(&self) -> Vec<(String, &Parameter)> {
        let mut parameters = self.parameters();
        parameters.retain(|(_, parameter)| parameter.is_trainable());
        parameters
    }

    /// The parameter with this name.
    fn parameter(&self, name: &str) -> Option<&Parameter> {
        let mut found = None;
        self.visit(&mut Path::root(), &mut |candidate, parameter| {
            if candidate == name {
                found = Some(parameter);
            }
        });
        found
    }

    /// Number of learnt elements, frozen ones included, running statistics not.
    fn parameter_count(&self) -> usize {
        let mut count = 0;
        self.visit(&mut Path::root(), &mut |_, parameter| {
            if parameter.role() != Role::State {
                count += parameter.count();
            }
        });
        count
    }

    /// Calls `change` with every parameter.
    fn for_each_parameter(&mut self, mut change: impl FnMut(&str, &mut Parameter)) {
        self.visit_mut(&mut Path::root(), &mut change);
    }

    /// Freezes all weights: they get no gradients and optimizers leave them alone.
    fn freeze(&mut self) {
        self.set_trainable(false, |_| true);
    }

    /// Makes all frozen weights trainable.
    fn unfreeze(&mut self) {
        self.set_trainable(true, |_| true);
    }

    /// Freezes or unfreezes the weights whose names `choose` is true for. Returns their number.
    ///
    /// `model.set_trainable(false, |name| !name.starts_with("head."))` leaves only the head to learn.
    fn set_trainable(&mut self, trainable: bool, choose: impl Fn(&str) -> bool) -> usize {
        let mut chosen = 0;
        self.for_each_parameter(|name, parameter| {
            if parameter.role() != Role::State && choose(name) {
                parameter.set_trainable(trainable);
                chosen += 1;
            }
        });
        chosen
    }

    /// All parameters by name, without histories.
    fn state_dict(&self) -> StateDict {
        let mut dict = StateDict::new();
        self.visit(&mut Path::root(), &mut |name, parameter| {
            dict.insert(name, parameter.tensor().detach());
        });
        dict
    }

    /// Takes over the values of a dictionary. On an error the model is as before.
    ///
    /// # Errors
    /// If a shape or dtype differs or, unless `options` are lenient, a name is missing or unexpected.
    fn load_state_dict(&mut self, dict: &StateDict, options: &LoadOptions) -> Result<LoadReport>
    where
        Self: Sized,
    {
        crate::state_dict::load(self, dict, options)
    }

    /// Saves all parameters in a safetensors file; see [`weights::save`](crate::weights::save).
    ///
    /// # Errors
    /// If a parameter cannot be computed or the file cannot be written.
    fn save(&self, path: impl AsRef<std::path::Path>) -> Result<()> {
        crate::weights::save(path, &self.state_dict())
    }

    /// Takes over the values of a safetensors file. On an error the model is as before.
    ///
    /// # Errors
    /// As [`load_state_dict`](ModuleExt::load_state_dict), and if the file is missing or damaged.
    fn load(
        &mut self,
        path: impl AsRef<std::path::Path>,
        options: &LoadOptions,
    ) -> Result<LoadReport>
    where
        Self: Sized,
    {
        let path = path.as_ref();
        let device = self.parameters().first().map(|(_, parameter)| parameter.device().clone());
        let Some(device) = device else { return Ok(LoadReport::default()) };
        let dict = crate::weights::load(path, &device)?;
        let loaded = self.load_state_dict(&dict, options);
        loaded.map_err(|error| error.context(path.display().to_string()))
    }

    /// Moves every parameter to another device.
    ///
    /// # Errors
    /// If a parameter cannot be computed or copied.
    fn to_device(&mut self, device: &Device) -> Result<()> {
        let mut result = Ok(());
        self.visit_mut(&mut Path::root(), &mut |name, parameter| {
            if result.is_err() || parameter.device() == device {
                return;
            }
            match copy(parameter, device) {
                Ok(tensor) => parameter.replace(&tensor),
                Err(error) => {
                    result = Err(crate::Error::tensor(format!("to_device: {name}"), error));
                }
            }
        });
        result
    }
}

impl<M: Module + ?Sized> ModuleExt for M {}

fn copy(tensor: &Tensor, device: &Device) -> gradloom_tensor::Result<Tensor> {
    let buffer = device.backend().upload(tensor.dtype(), &tensor.to_bytes()?)?;
    Ok(Tensor::from_buffer(buffer, tensor.shape(), device))
}

/// [`Tensors`] for any module: derives and collections of this crate call it.
pub fn for_each_tensor(module: &mut (impl Module + ?Sized), visit: &mut dyn FnMut(&mut Tensor)) {
    module.visit_mut(&mut Path::root(), &mut |_, parameter| visit(parameter.tensor_mut()));
}

impl Module for Parameter {
    fn visit<'a>(&'a self, path: &mut Path, visitor: &mut dyn FnMut(&str, &'a Parameter)) {
        visitor(path.as_str(), self);
    }

    fn visit_mut(&mut self, path: &mut Path, visitor: &mut dyn FnMut(&str, &mut Parameter)) {
        visitor(path.as_str(), self);
    }
}

impl Tensors for Parameter {
    fn for_each_tensor(&mut self, visit: &mut dyn FnMut(&mut Tensor)) {
        visit(self.tensor_mut());
    }
}

impl<M: Module + ?Sized> Module for Box<M> {
    fn visit<'a>(&'a self, path: &mut Path, visitor: &mut dyn FnMut(&str, &'a Parameter)) {
        (**self).visit(path, visitor);
    }

    fn visit_mut(&mut self, path: &mut Path, visitor: &mut dyn FnMut(&str, &mut Parameter)) {
        (**self).visit_mut(path, visitor);
    }

    fn visit_adapters(&mut self, path: &mut Path, visitor: &mut dyn FnMut(&str, &mut Adapter)) {
        (**self).visit_adapters(path, visitor);
    }
}

impl<M: Module> Module for Option<M> {
    fn visit<'a>(&'a self, path: &mut Path, visitor: &mut dyn FnMut(&str, &'a Parameter)) {
        if let Some(module) = self {
            module.visit(path, visitor);
        }
    }

    fn visit_mut(&mut self, path: &mut Path, visitor: &mut dyn FnMut(&str, &mut Parameter)) {
        if let Some(module) = self {
            module.visit_mut(path, visitor);
        }
    }

    fn visit_adapters(&mut self, path: &mut Path, visitor: &mut dyn FnMut(&str, &mut Adapter)) {
        if let Some(module) = self {
            module.visit_adapters(path, visitor);
        }
    }
}

impl<M: Module> Module for [M] {
    fn visit<'a>(&'a self, path: &mut Path, visitor: &mut dyn FnMut(&str, &'a Parameter)) {
        for (index, module) in self.iter().enumerate() {
            path.within_index(index, |path| module.visit(path, &mut *visitor));
        }
    }

    fn visit_mut(&mut self, path: &mut Path, visitor: &mut dyn FnMut(&str, &mut Parameter)) {
        for (index, module) in self.iter_mut().enumerate() {
            path.within_index(index, |path| module.visit_mut(path, &mut *visitor));
        }
    }

    fn visit_adapters(&mut self, path: &mut Path, visitor: &mut dyn FnMut(&str, &mut Adapter)) {
        for (index, module) in self.iter_mut().enumerate() {
            path.within_index(index, |path| module.visit_adapters(path, &mut *visitor));
        }
    }
}

impl<M: Module> Module for Vec<M> {
    fn visit<'a>(&'a self, path: &mut Path, visitor: &mut dyn FnMut(&str, &'a Parameter)) {
        self.as_slice().visit(path, visitor);
    }

    fn visit_mut(&mut self, path: &mut Path, visitor: &mut dyn FnMut(&str, &mut Parameter)) {
        self.as_mut_slice().visit_mut(path, visitor);
    }

    fn visit_adapters(&mut self, path: &mut Path, visitor: &mut dyn FnMut(&str, &mut Adapter)) {
        self.as_mut_slice().visit_adapters(path, visitor);
    }
}

impl<M: Module, const N: usize> Module for [M; N] {
    fn visit<'a>(&'a self, path: &mut Path, visitor: &mut dyn FnMut(&str, &'a Parameter)) {
        self.as_slice().visit(path, visitor);
    }

    fn visit_mut(&mut self, path: &mut Path, visitor: &mut dyn FnMut(&str, &mut Parameter)) {
        self.as_mut_slice().visit_mut(path, visitor);
    }

    fn visit_adapters(&mut self, path: &mut Path, visitor: &mut dyn FnMut(&str, &mut Adapter)) {
        self.as_mut_slice().visit_adapters(path, visitor);
    }
}

impl<M: Module> Module for BTreeMap<String, M> {
    fn visit<'a>(&'a self, path: &mut Path, visitor: &mut dyn FnMut(&str, &'a Parameter)) {
        for (name, module) in self {
            path.within(name, |path| module.visit(path, &mut *visitor));
        }
    }

    fn visit_mut(&mut self, path: &mut Path, visitor: &mut dyn FnMut(&str, &mut Parameter)) {
        for (name, module) in self {
            path.within(name, |path| module.visit_mut(path, &mut *visitor));
        }
    }

    fn visit_adapters(&mut self, path: &mut Path, visitor: &mut dyn FnMut(&str, &mut Adapter)) {
        for (name, module) in self {
            path.within(name, |path| module.visit_adapters(path, &mut *visitor));
        }
    }
}

macro_rules! module_of_tuple {
    ($($name:ident: $index:tt),+) => {
        impl<$($name: Module),+> Module for ($($name,)+) {
            fn visit<'a>(&'a self, path: &mut Path, visitor: &mut dyn FnMut(&str, &'a Parameter)) {
                $(path.within_index($index, |path| self.$index.visit(path, &mut *visitor));)+
            }

            fn visit_mut(
                &mut self,
                path: &mut Path,
                visitor: &mut dyn FnMut(&str, &mut Parameter),
            ) {
                $(path.within_index($index, |path| self.$index.visit_mut(path, &mut *visitor));)+
            }

            fn visit_adapters(
                &mut self,
                path: &mut Path,
                visitor: &mut dyn FnMut(&str, &mut Adapter),
            ) {
                $(path.within_index($index, |path| self.$index.visit_adapters(path, &mut *visitor));)+
            }
        }
    };
}

module_of_tuple!(A: 0);
module_of_tuple!(A: 0, B: 1);
module_of_tuple!(A: 0, B: 1, C: 2);
module_of_tuple!(A: 0, B: 1, C: 2, D: 3);

macro_rules! module_without_weights {
    ($($type:ty),+ $(,)?) => {
        $(impl Module for $type {
            fn visit<'a>(&'a self, _: &mut Path, _: &mut dyn FnMut(&str, &'a Parameter)) {}

            fn visit_mut(&mut self, _: &mut Path, _: &mut dyn FnMut(&str, &mut Parameter)) {}
        })+
    };
}

// So that hyperparameters may stand among the fields of a model without an attribute.
module_without_weights!(
    (),
    bool,
    char,
    f32,
    f64,
    i8,
    i16,
    i32,
    i64,
    isize,
    u8,
    u16,
    u32,
    u64,
    usize,
    String,
    &'static str,
    std::ops::Range<f32>,
    std::ops::Range<f64>,
    std::ops::Range<usize>,
    gradloom_tensor::DType,
    gradloom_tensor::Key,
    gradloom_tensor::Shape,
    gradloom_tensor::op::Window2d,
);

impl<T: ?Sized> Module for PhantomData<T> {
    fn visit<'a>(&'a self, _: &mut Path, _: &mut dyn FnMut(&str, &'a Parameter)) {}

    fn visit_mut(&mut self, _: &mut Path, _: &mut dyn FnMut(&str, &mut Parameter)) {}
}

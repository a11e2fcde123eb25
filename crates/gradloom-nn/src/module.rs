//! [`Module`]: anything with weights. One visit in a fixed order serves counting, freezing, saving,
//! loading, optimizers and evaluation.

use std::collections::BTreeMap;
use std::marker::PhantomData;

use crate::layers::Adapter;
use crate::{Parameter, Path};
use gradloom_tensor::{Tensor, Tensors};

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
    gradloom_tensor::op::Window,
);

impl<T: ?Sized> Module for PhantomData<T> {
    fn visit<'a>(&'a self, _: &mut Path, _: &mut dyn FnMut(&str, &'a Parameter)) {}

    fn visit_mut(&mut self, _: &mut Path, _: &mut dyn FnMut(&str, &mut Parameter)) {}
}

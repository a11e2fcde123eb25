//! Models as functions of their parameters: for ensembles, and for whatever else `vmap` and derivatives do
//! with weights that are arguments.

use crate::module::for_each_tensor;
use crate::{Module, ModuleExt};
use gradloom_tensor::Tensor;

/// The parameters of models of one architecture, in the order of [`Module::visit`], each stacked along a new
/// first axis. PyTorch: `torch.func.stack_module_state`.
///
/// ```
/// use gradloom_autodiff::vmap;
/// use gradloom_nn::layers::Linear;
/// use gradloom_nn::{Context, Init, Layer, stack_parameters, with_parameters};
/// use gradloom_tensor::{Key, Tensor};
///
/// # let device = gradloom_testkit::reference::device();
/// let init = &mut Init::new(Key::new(0), &device);
/// let models = [Linear::new(4, 2, init), Linear::new(4, 2, init), Linear::new(4, 2, init)];
/// let x = Tensor::uniform(Key::new(1), [5, 4], 0.0, 1.0, &device);
/// let one = |weights: &[Tensor]| {
///     with_parameters(&models[0], weights).forward(&x, &mut Context::eval())
/// };
/// let predictions: Tensor = vmap(one, 0, 0).call(&stack_parameters(&models));
/// assert_eq!(*predictions.shape(), [3, 5, 2]);
/// ```
///
/// # Panics
/// Without models, or if their parameters differ in number, shape or dtype.
#[track_caller]
pub fn stack_parameters(models: &[impl Module]) -> Vec<Tensor> {
    assert!(!models.is_empty(), "stack_parameters: needs at least one model");
    let all: Vec<Vec<Tensor>> = models.iter().map(tensors).collect();
    let count = all[0].len();
    for (number, own) in all.iter().enumerate() {
        assert!(
            own.len() == count,
            "stack_parameters: model {number} has {} parameters, the first {count}",
            own.len()
        );
    }
    let mut stacked = Vec::with_capacity(count);
    for position in 0..count {
        let examples: Vec<&Tensor> = all.iter().map(|own| &own[position]).collect();
        stacked.push(Tensor::stack(&examples, 0));
    }
    stacked
}

/// The model with these tensors in place of its parameters, in the order of [`Module::visit`]. They keep
/// their histories, so gradients pass through. PyTorch: `torch.func.functional_call`.
///
/// # Panics
/// If there is not one for each parameter, of its shape and dtype.
#[track_caller]
#[must_use]
pub fn with_parameters<M: Module + Clone>(model: &M, tensors: &[Tensor]) -> M {
    for ((name, own), tensor) in model.parameters().iter().zip(tensors) {
        assert!(
            own.shape() == tensor.shape() && own.dtype() == tensor.dtype(),
            "with_parameters: {name} is {} {}, not {} {}",
            own.dtype(),
            own.shape(),
            tensor.dtype(),
            tensor.shape()
        );
    }
    let mut model = model.clone();
    let (mut given, mut count) = (tensors.iter(), 0);
    for_each_tensor(&mut model, &mut |own| {
        count += 1;
        if let Some(tensor) = given.next() {
            *own = tensor.clone();
        }
    });
    assert!(
        count == tensors.len(),
        "with_parameters: {} tensors for the {count} parameters of the model",
        tensors.len()
    );
    model
}

fn tensors(model: &impl Module) -> Vec<Tensor> {
    model.parameters().into_iter().map(|(_, parameter)| parameter.tensor().clone()).collect()
}

//! [`trac_in`]: which training samples taught a model what it says.

use gradloom_nn::{Module, ModuleExt};
use gradloom_tensor::{Error, Result, Tensor};

use crate::rows;

/// How much each training sample has lowered the loss of each test sample, `[test][training]`: the sum over
/// checkpoints of the learning rate times the product of the two gradients. Negative for samples that did
/// harm.
///
/// `loss` is the loss of one sample. Only trainable parameters count, so freeze all but the last layers of a
/// large model. Pruthi et al., "Estimating training data influence by tracing gradient descent", 2020
/// (TracInCP).
///
/// # Errors
/// If there are no checkpoints, a model has no trainable parameters, or a loss cannot be computed.
///
/// # Panics
/// If a loss has more than one element.
pub fn trac_in<M: Module, S>(
    checkpoints: &[(M, f64)],
    loss: impl Fn(&M, &S) -> Tensor,
    training: &[S],
    test: &[S],
) -> Result<Vec<Vec<f64>>> {
    if checkpoints.is_empty() {
        return Err(Error::invalid(
            "trac_in: no checkpoints; give models with their learning rates",
        ));
    }
    let mut influence = vec![vec![0.0; training.len()]; test.len()];
    for (model, rate) in checkpoints {
        let of = |sample: &S| gradient(model, &loss(model, sample));
        let of_test = test.iter().map(of).collect::<Result<Vec<_>>>()?;
        // One training sample after another, so that memory does not grow with them.
        for (number, sample) in training.iter().enumerate() {
            let gradient = of(sample)?;
            for (row, of_test) in influence.iter_mut().zip(&of_test) {
                let product: f64 = gradient.iter().zip(of_test).map(|(a, b)| a * b).sum();
                row[number] += rate * product;
            }
        }
    }
    Ok(influence)
}

/// The gradient of a loss in all trainable parameters, one after another.
fn gradient<M: Module>(model: &M, loss: &Tensor) -> Result<Vec<f64>> {
    let parameters = model.trainable();
    if parameters.is_empty() {
        return Err(Error::invalid("trac_in: the model has no trainable parameters"));
    }
    let asked: Vec<&Tensor> = parameters.iter().map(|(_, parameter)| parameter.tensor()).collect();
    let gradients = gradloom_autodiff::grad(loss, &asked);
    gradloom_tensor::eval(&gradients)?;
    let mut flat = Vec::new();
    for gradient in &gradients {
        flat.extend(rows::numbers(gradient)?);
    }
    Ok(flat)
}

//! Reverse mode: [`grad`], [`vjp`] and [`value_and_grad`].
//!
//! The graph behind the output is walked once to find what depends on the inputs asked for, and once
//! backwards to build their gradients. Nothing else is built: frozen weights cost nothing.

use gradloom_tensor::{Op, Origin, Tensor};
use rustc_hash::{FxHashMap, FxHashSet};

use crate::dependents::{Through, dependents};
use crate::looping::Loops;
use crate::rules;

/// Gradients of a scalar with respect to each input: `d output / d input`, of the input's shape.
///
/// Inputs that the output does not depend on get zeros. The result is ordinary graph, so it can be
/// differentiated again. As `torch.autograd.grad(output, inputs, create_graph=True)`.
///
/// # Panics
/// If the output has more than one element (use [`vjp`]) or is not of a floating-point dtype.
///
/// ```
/// # use gradloom_tensor::Tensor;
/// # use gradloom_autodiff::grad;
/// # fn main() -> gradloom_tensor::Result<()> {
/// # let device = gradloom_testkit::reference::device();
/// let x = Tensor::new([1.0f32, 2.0], &device)?.tracked();
/// let first = grad(&x.powi(3).sum(..), &[&x]).remove(0);
/// let second = grad(&first.sum(..), &[&x]).remove(0); // gradients have gradients
/// assert_eq!(first.to_vec::<f32>()?, [3.0, 12.0]);
/// assert_eq!(second.to_vec::<f32>()?, [6.0, 12.0]);
/// # Ok(())
/// # }
/// ```
#[track_caller]
pub fn grad(output: &Tensor, inputs: &[&Tensor]) -> Vec<Tensor> {
    assert!(
        output.count() == 1,
        "grad: the output has shape {}, not one element; reduce it, or use vjp with a cotangent",
        output.shape()
    );
    vjp(output, &output.gradient_seed(), inputs)
}

/// The value of a scalar function and its gradients with respect to all its arguments.
///
/// # Panics
/// As [`grad`].
#[track_caller]
pub fn value_and_grad(
    function: impl FnOnce(&[Tensor]) -> Tensor,
    arguments: &[Tensor],
) -> (Tensor, Vec<Tensor>) {
    let value = function(arguments);
    let inputs: Vec<&Tensor> = arguments.iter().collect();
    let gradients = grad(&value, &inputs);
    (value, gradients)
}

/// Vector-Jacobian products: `cotangent^T (d output / d input)` for each input.
///
/// An input may depend on another one; both get the whole derivative. History behind the inputs is not
/// looked at, however long it is.
///
/// # Panics
/// If the cotangent's shape or dtype is not the output's, or the output is not floating-point.
///
/// ```
/// # use gradloom_tensor::Tensor;
/// # use gradloom_autodiff::vjp;
/// # fn main() -> gradloom_tensor::Result<()> {
/// # let device = gradloom_testkit::reference::device();
/// let x = Tensor::new([1.0f32, 2.0], &device)?.tracked();
/// let cotangent = Tensor::new([1.0f32, 10.0], &device)?;
/// let back = vjp(&x.square(), &cotangent, &[&x]).remove(0); // v J
/// assert_eq!(back.to_vec::<f32>()?, [2.0, 40.0]);
/// # Ok(())
/// # }
/// ```
#[track_caller]
pub fn vjp(output: &Tensor, cotangent: &Tensor, inputs: &[&Tensor]) -> Vec<Tensor> {
    products(output, cotangent, inputs, Through::Inputs)
}

/// As [`vjp`] with the inputs taken for independent: what one of them owes to another is left out. With
/// a node's own operands for inputs it is the rule of that node alone, of which passes with other rules are
/// made.
///
/// # Panics
/// As [`vjp`].
///
/// ```
/// use gradloom_autodiff::{partial_vjp, vjp};
/// use gradloom_tensor::Tensor;
///
/// # fn main() -> gradloom_tensor::Result<()> {
/// # let device = gradloom_testkit::reference::device();
/// let x = Tensor::new([3f32], &device)?;
/// let square = x.square();
/// let y = &square + &x;
/// let whole = vjp(&y, &y.ones_like(), &[&x, &square]);
/// let parts = partial_vjp(&y, &y.ones_like(), &[&x, &square]);
/// assert_eq!((whole[0].item()?, parts[0].item()?, parts[1].item()?), (7.0, 1.0, 1.0));
/// # Ok(())
/// # }
/// ```
#[track_caller]
pub fn partial_vjp(output: &Tensor, cotangent: &Tensor, inputs: &[&Tensor]) -> Vec<Tensor> {
    products(output, cotangent, inputs, Through::Others)
}

#[track_caller]
fn products(
    output: &Tensor,
    cotangent: &Tensor,
    inputs: &[&Tensor],
    through: Through,
) -> Vec<Tensor> {
    assert!(
        output.dtype().is_float(),
        "vjp: the output is {}; only floating-point tensors have derivatives",
        output.dtype()
    );
    assert!(
        output.shape() == cotangent.shape() && output.dtype() == cotangent.dtype(),
        "vjp: the cotangent is {} {}, the output {} {}",
        cotangent.dtype(),
        cotangent.shape(),
        output.dtype(),
        output.shape()
    );
    let seeds = [(output.clone(), cotangent.clone())];
    let found = pullback(&seeds, inputs, through, &FxHashSet::default());
    let mut gradients = Vec::with_capacity(inputs.len());
    for (input, found) in inputs.iter().zip(found) {
        // Nodes know the caller's line, which a closure would not.
        gradients.push(match found {
            Some(gradient) => gradient,
            None => input.zeros_like(),
        });
    }
    gradients
}

/// The sum of the vector-Jacobian products of several outputs, each with its cotangent, for each input;
/// `None` where no output depends on it. What lies behind the nodes numbered `ends` is not looked at.
#[track_caller]
fn pullback(
    seeds: &[(Tensor, Tensor)],
    inputs: &[&Tensor],
    through: Through,
    ends: &FxHashSet<u64>,
) -> Vec<Option<Tensor>> {
    let asked: FxHashSet<u64> = inputs.iter().map(|input| input.id()).collect();
    let outputs: Vec<&Tensor> = seeds.iter().map(|(output, _)| output).collect();
    let order = dependents(&outputs, &asked, through, ends);
    let wanted: FxHashSet<u64> = order.iter().map(Tensor::id).collect();
    let mut cotangents = Cotangents::default();
    for (output, cotangent) in seeds {
        cotangents.add(output, cotangent.clone());
    }
    let mut loops = Loops::new(&order);
    for node in order.iter().rev() {
        let passes = !(asked.contains(&node.id()) && through == Through::Others);
        let gradient = match asked.contains(&node.id()) {
            true => cotangents.0.get(&node.id()).cloned(),
            false => cotangents.0.remove(&node.id()),
        };
        let gradient = gradient.filter(|_| passes);
        let operands = node.inputs();
        let needs: Vec<bool> = operands
            .iter()
            .map(|operand| operand.dtype().is_float() && wanted.contains(&operand.id()))
            .collect();
        let contributions = match (node.op(), gradient) {
            (Op::Loop(result), gradient) => {
                let origin = Some(of_gradient(node));
                Origin::scope(origin, || loops.backward(node, result, gradient, &needs, &of_body))
            }
            (_, Some(gradient)) if needs.contains(&true) => contributions(node, &gradient, &needs),
            _ => continue,
        };
        for ((operand, contribution), needed) in operands.iter().zip(contributions).zip(needs) {
            let Some(contribution) = contribution.filter(|_| needed) else { continue };
            assert!(
                contribution.shape() == operand.shape() && contribution.dtype() == operand.dtype(),
                "{}: the gradient of an operand is {} {}, the operand {} {}; the rule of the op made at {} \
                 must give it the operand's shape and dtype",
                node.op().name(),
                contribution.dtype(),
                contribution.shape(),
                operand.dtype(),
                operand.shape(),
                node.location()
            );
            Origin::scope(Some(of_gradient(node)), || cotangents.add(operand, contribution));
        }
    }
    inputs.iter().map(|input| cotangents.0.get(&input.id()).cloned()).collect()
}

/// What a node's rule makes: nodes of the line of the node itself. The rule of a custom gradient has lines
/// of its own.
fn contributions(node: &Tensor, gradient: &Tensor, needs: &[bool]) -> Vec<Option<Tensor>> {
    let own = matches!(node.op(), Op::Custom(_));
    let origin = (!own).then(|| of_gradient(node));
    Origin::scope(origin, || rules::backward(node, gradient, needs))
}

/// The origin of what belongs to the gradient of a node.
fn of_gradient(node: &Tensor) -> Origin {
    let origin = node.origin();
    Origin { gradient_of: Some(origin.gradient_of.unwrap_or(node.op().name())), ..origin }
}

/// Sums of what nodes get from their users.
#[derive(Default)]
struct Cotangents(FxHashMap<u64, Tensor>);

impl Cotangents {
    #[track_caller]
    fn add(&mut self, node: &Tensor, contribution: Tensor) {
        let sum = match self.0.remove(&node.id()) {
            Some(other) => &other + &contribution,
            None => contribution,
        };
        self.0.insert(node.id(), sum);
    }
}

/// [`pullback`] in the body of a loop, whose parameters `ends` are independent of one another.
#[track_caller]
fn of_body(
    seeds: &[(Tensor, Tensor)],
    inputs: &[&Tensor],
    ends: &FxHashSet<u64>,
) -> Vec<Option<Tensor>> {
    pullback(seeds, inputs, Through::Others, ends)
}

//! [`vmap`]: a function of one example, applied to many at once.

use std::sync::Arc;

use gradloom_tensor::{RANK_MAX, Shape, Tensor, Tensors, shape_rules};
use rustc_hash::FxHashMap;

use crate::batch_axes::{BatchAxes, IntoBatchAxes};
use crate::batching::{Batch, Randomness, Value, stand_in};

/// The function that applies `function` to many examples at once: [`Vmap::call`] calls it. As `jax.vmap`
/// and `torch.vmap`.
///
/// `function` is written for one example. `in_axes` says along which axis of each argument the examples
/// lie: one number for all arguments, or one for each, `None` for an argument that is the same for all
/// examples, as are tensors that the function captures. `out_axes` says in the same way where they lie in
/// each of its results, in the order in which [`Tensors`] visits them; `None` there is for a result that
/// does not depend on the example.
///
/// Nothing loops: the function is called once, on tensors without values, and the graph that it makes is
/// made again with an axis of examples in every op that needs one. So it cannot ask for elements. It may
/// take gradients of its own and call `vmap`, and gradients of the result are what gradients of the loop
/// are.
///
/// Random numbers that the function draws: see [`Randomness`]; by default they are refused.
///
/// ```
/// use gradloom_autodiff::{grad, vmap};
/// use gradloom_tensor::Tensor;
///
/// # fn main() -> gradloom_tensor::Result<()> {
/// # let device = gradloom_testkit::reference::device();
/// let weight = Tensor::new([1.0f32, -2.0], &device)?;
/// let inputs = Tensor::new([[1.0f32, 0.0], [0.5, 0.5], [2.0, 1.0]], &device)?;
///
/// // The gradient of the loss of each example, [3, 2].
/// let loss = |x: &Tensor| x.dot(&weight).square();
/// let per_example = vmap(|x: &[Tensor]| grad(&loss(&x[0]), &[&weight]), 0, 0).call(&[inputs]);
/// assert_eq!(per_example[0].to_vec::<f32>()?, [2.0, 0.0, -0.5, -0.5, 0.0, 0.0]);
/// # Ok(())
/// # }
/// ```
pub fn vmap<O: Tensors, F: Fn(&[Tensor]) -> O>(
    function: F,
    in_axes: impl IntoBatchAxes,
    out_axes: impl IntoBatchAxes,
) -> Vmap<F> {
    Vmap {
        function,
        in_axes: in_axes.batch_axes(),
        out_axes: out_axes.batch_axes(),
        randomness: Randomness::default(),
    }
}

/// A function of many examples, made by [`vmap`].
#[derive(Clone, Debug)]
#[must_use = "it computes nothing before it is called"]
pub struct Vmap<F> {
    function: F,
    in_axes: BatchAxes,
    out_axes: BatchAxes,
    randomness: Randomness,
}

impl<F> Vmap<F> {
    /// Sets what random numbers that the function draws mean.
    pub fn randomness(self, randomness: Randomness) -> Self {
        Vmap { randomness, ..self }
    }

    /// The results for all examples of the arguments.
    ///
    /// # Panics
    /// If `in_axes` or `out_axes` do not fit: not one for each argument or result, an axis out of range,
    /// different numbers of examples, none at all, no argument with examples, a result that depends on the
    /// example where `None` says that it does not, or one without room for an axis more. If the function
    /// draws random numbers and [`Vmap::randomness`] was not set.
    #[track_caller]
    pub fn call<O: Tensors>(&self, arguments: &[Tensor]) -> O
    where
        F: Fn(&[Tensor]) -> O,
    {
        let axes = self.examples(arguments);
        let size = size(arguments, &axes);
        let first = Tensor::next_id();
        let mut traced = Vec::with_capacity(arguments.len());
        let mut batched = FxHashMap::default();
        for (argument, axis) in arguments.iter().zip(axes) {
            let Some(axis) = axis else {
                traced.push(argument.clone());
                continue;
            };
            let examples = to_front(argument, axis);
            let placeholder = stand_in(&Shape::new(&examples.shape()[1..]), argument);
            batched.insert(placeholder.id(), Value::Batched(examples));
            traced.push(placeholder);
        }
        let mut output = (self.function)(&traced);
        let mut results = Vec::new();
        output.for_each_tensor(&mut |result| results.push(result.clone()));
        let randomness = self.randomness;
        let batch = Batch { size, first, randomness, arguments: batched, in_loop: false };
        let values = Arc::new(batch).rebuild(&results);
        let mut placed = self.placed(&results, &values, size).into_iter();
        output.for_each_tensor(&mut |result| {
            if let Some(placed) = placed.next() {
                *result = placed;
            }
        });
        output
    }

    /// The axis of examples of each argument.
    #[track_caller]
    fn examples(&self, arguments: &[Tensor]) -> Vec<Option<usize>> {
        let mut axes = Vec::with_capacity(arguments.len());
        self.in_axes.check("in_axes", "argument", arguments.len());
        for (position, argument) in arguments.iter().enumerate() {
            let axis = self.in_axes.of(position);
            let found = axis.map(|axis| shape_rules::axis("vmap", axis, argument.rank()));
            assert!(
                !matches!(found, Some(Err(_))),
                "vmap: in_axes {} is out of range for argument {position} of shape {}; it has {} axes",
                axis.unwrap_or_default(),
                argument.shape(),
                argument.rank()
            );
            axes.push(found.and_then(Result::ok));
        }
        axes
    }

    /// The results with their examples where `out_axes` says.
    #[track_caller]
    fn placed(&self, results: &[Tensor], values: &[Value], size: usize) -> Vec<Tensor> {
        let mut placed = Vec::with_capacity(results.len());
        self.out_axes.check("out_axes", "result", results.len());
        for (position, (result, value)) in results.iter().zip(values).enumerate() {
            let Some(axis) = self.out_axes.of(position) else {
                assert!(
                    !value.is_batched(),
                    "vmap: out_axes is None for result {position} of shape {}, which differs between \
                     examples; give it an axis",
                    result.shape()
                );
                placed.push(value.tensor().clone());
                continue;
            };
            assert!(
                result.rank() < RANK_MAX,
                "vmap: result {position} has shape {} for one example and no room for an axis more \
                 (at most {RANK_MAX}); flatten some in the function",
                result.shape()
            );
            let place = shape_rules::axis("vmap", axis, result.rank() + 1);
            assert!(
                place.is_ok(),
                "vmap: out_axes {axis} is out of range for result {position} of shape {} and an axis of \
                 examples",
                result.shape()
            );
            let examples = value.each(size);
            placed.push(match place {
                Ok(place) => from_front(&examples, place),
                Err(_) => examples,
            });
        }
        placed
    }
}

/// The number of examples, on which all arguments agree.
#[track_caller]
fn size(arguments: &[Tensor], axes: &[Option<usize>]) -> usize {
    let mut first: Option<(usize, usize, usize)> = None;
    for (position, (argument, axis)) in arguments.iter().zip(axes).enumerate() {
        let Some(axis) = *axis else { continue };
        let size = argument.shape()[axis];
        assert!(
            size > 0,
            "vmap: argument {position} of shape {} has no examples along axis {axis}; call it with at \
             least one",
            argument.shape()
        );
        match first {
            None => first = Some((position, axis, size)),
            Some((other, along, count)) => assert!(
                size == count,
                "vmap: argument {position} of shape {} has {size} examples along axis {axis}, argument \
                 {other} of shape {} has {count} along axis {along}",
                argument.shape(),
                arguments[other].shape()
            ),
        }
    }
    match first {
        Some((_, _, size)) => size,
        None => panic!(
            "vmap: none of the {} arguments has an axis of examples; name one in in_axes, or call the \
             function itself",
            arguments.len()
        ),
    }
}

/// With one axis before all others.
#[track_caller]
fn to_front(x: &Tensor, axis: usize) -> Tensor {
    let mut order: Vec<isize> = (0..x.rank() as isize).collect();
    let examples = order.remove(axis);
    order.insert(0, examples);
    x.permute(&order)
}

/// With the first axis at another place.
#[track_caller]
fn from_front(x: &Tensor, place: usize) -> Tensor {
    let mut order: Vec<isize> = (1..x.rank() as isize).collect();
    order.insert(place, 0);
    x.permute(&order)
}

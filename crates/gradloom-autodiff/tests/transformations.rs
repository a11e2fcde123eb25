//! The public functions: what they compute, what they leave alone, and how they refuse.
use gradloom_autodiff::{checkpoint, custom_grad, grad, hvp, jvp, value_and_grad, vjp};
use gradloom_tensor::{DType, Device, Tensor};
use gradloom_testkit::reference;

fn vector(values: &[f64], device: &Device) -> Tensor {
    Tensor::from_vec(values.to_vec(), [values.len()], device).unwrap()
}

fn values(tensor: &Tensor) -> Vec<f64> {
    tensor.to_vec::<f64>().unwrap()
}

#[track_caller]
fn assert_close(actual: &Tensor, expected: &[f64]) {
    let actual = values(actual);
    assert_eq!(actual.len(), expected.len());
    for (a, e) in actual.iter().zip(expected) {
        assert!((a - e).abs() < 1e-12 * (1.0 + e.abs()), "{actual:?} against {expected:?}");
    }
}

#[test]
fn value_and_gradient_of_a_function() {
    let device = reference::device();
    let (x, y) = (vector(&[1.0, 2.0], &device), vector(&[3.0, 5.0], &device));
    let (value, gradients) = value_and_grad(|v| (&v[0] * &v[1] * &v[0]).sum(..), &[x, y]);
    assert_close(&value, &[23.0]);
    assert_close(&gradients[0], &[6.0, 20.0]);
    assert_close(&gradients[1], &[1.0, 4.0]);
}

#[test]
fn an_input_that_does_not_matter_gets_zeros() {
    let device = reference::device();
    let (x, y) = (vector(&[1.0, 2.0], &device), vector(&[3.0], &device));
    assert_close(&grad(&x.sum(..), &[&x, &y])[1], &[0.0]);
}

#[test]
fn an_input_used_twice_gets_both_contributions() {
    let device = reference::device();
    let x = vector(&[2.0], &device);
    let y = &x * &x + &x;
    assert_close(&grad(&y.sum(..), &[&x])[0], &[5.0]);
}

#[test]
fn gradients_with_respect_to_intermediate_values() {
    let device = reference::device();
    let x = vector(&[2.0, 3.0], &device);
    let middle = &x * &x;
    let y = (&middle * &middle).sum(..);
    assert_close(&grad(&y, &[&middle])[0], &[8.0, 18.0]);
}

#[test]
fn detached_values_are_constants() {
    let device = reference::device();
    let x = vector(&[3.0], &device);
    let y = &x * &x.detach();
    assert_close(&grad(&y.sum(..), &[&x])[0], &[3.0]);
    let evaluated = &x * 2.0;
    evaluated.eval().unwrap();
    assert_close(&grad(&(&evaluated.detach() * &x).sum(..), &[&x])[0], &[6.0]);
}

#[test]
fn an_evaluated_value_still_has_its_history() {
    let device = reference::device();
    let x = vector(&[3.0], &device);
    let y = (&x * &x).sum(..);
    assert_close(&y, &[9.0]);
    assert_close(&grad(&y, &[&x])[0], &[6.0]);
}

#[test]
fn vjp_and_jvp_are_transposes() {
    let device = reference::device();
    let x = vector(&[0.3, -0.7, 1.1], &device);
    let y = x.softmax(-1);
    let (v, u) = (vector(&[1.0, 2.0, -1.0], &device), vector(&[0.5, -1.0, 3.0], &device));
    let forward = jvp(&y, &[&x], &[&v]);
    let backward = vjp(&y, &u, &[&x]).swap_remove(0);
    let inner = |a: &Tensor, b: &Tensor| (a * b).sum(..).item().unwrap();
    assert!((inner(&forward, &u) - inner(&backward, &v)).abs() < 1e-12);
}

#[test]
fn hvp_of_a_cubic() {
    let device = reference::device();
    let x = vector(&[1.0, 2.0], &device);
    let y = (&x * &x * &x).sum(..);
    assert_close(&hvp(&y, &x, &vector(&[1.0, -1.0], &device)), &[6.0, -12.0]);
}

#[test]
fn a_custom_gradient_replaces_the_history_and_can_be_differentiated() {
    let device = reference::device();
    let x = vector(&[0.4, 1.6], &device);
    let y = custom_grad(&x.round(), std::slice::from_ref(&x), |operands, _, gradient| {
        vec![Some(gradient * &operands[0] * 2.0)]
    });
    assert_close(&y, &[0.0, 2.0]);
    let first = grad(&y.sum(..), &[&x]).swap_remove(0);
    assert_close(&first, &[0.8, 3.2]);
    assert_close(&grad(&first.sum(..), &[&x])[0], &[2.0, 2.0]);
}

#[test]
fn checkpoint_gives_the_same_derivatives_of_inputs_and_weights() {
    let device = reference::device();
    let x = vector(&[0.4, 1.6, -0.3], &device);
    let weight = vector(&[1.0, -2.0, 0.5], &device).tracked();
    let inner = weight.clone();
    let function = move |inputs: &[Tensor]| (&inputs[0] * &inner).tanh().exp();
    let plain = function(std::slice::from_ref(&x)).sum(..);
    let saved = checkpoint(function, std::slice::from_ref(&x)).sum(..);
    assert_eq!(values(&saved), values(&plain));
    for input in [&x, &weight] {
        let expected = grad(&plain, &[input]).swap_remove(0);
        let actual = grad(&saved, &[input]).swap_remove(0);
        assert_close(&actual, &values(&expected));
        let expected = grad(&expected.sum(..), &[input]).swap_remove(0);
        let actual = grad(&actual.sum(..), &[input]).swap_remove(0);
        assert_close(&actual, &values(&expected));
    }
}

/// The first and second derivatives of a function and of the same function under `checkpoint`.
#[track_caller]
fn assert_checkpoint_agrees(
    function: impl Fn(&[Tensor]) -> Tensor + Clone + Send + Sync + 'static,
    inputs: &[Tensor],
    asked: &[&Tensor],
) {
    let plain = function(inputs).sum(..);
    let saved = checkpoint(function, inputs).sum(..);
    assert_eq!(values(&saved), values(&plain));
    for input in asked {
        let expected = grad(&plain, &[input]).swap_remove(0);
        let actual = grad(&saved, &[input]).swap_remove(0);
        assert_close(&actual, &values(&expected));
        let expected = grad(&expected.square().sum(..), asked);
        let actual = grad(&actual.square().sum(..), asked);
        for (actual, expected) in actual.iter().zip(&expected) {
            assert_close(actual, &values(expected));
        }
    }
}

#[test]
fn gradients_of_a_checkpoint_reach_all_that_its_function_has_captured() {
    let device = reference::device();
    let (x, weight) = (vector(&[0.4, 1.6], &device), vector(&[1.0, -2.0], &device));
    let (middle, constant) = (weight.tanh() * &x, vector(&[3.0, 0.5], &device));
    let (inner, leaf) = (middle.clone(), weight.clone());
    // A value with a history, what that value itself was made from, and a weight that nobody tracks.
    let function = move |v: &[Tensor]| (&v[0] * &inner * &leaf + &constant * &inner).sin();
    assert_checkpoint_agrees(function, std::slice::from_ref(&x), &[&x, &weight, &middle]);
    assert_checkpoint_agrees(move |_| weight.exp(), &[], &[&x]);
}

#[test]
fn an_input_of_a_checkpoint_may_depend_on_what_its_function_has_captured() {
    let device = reference::device();
    let weight = vector(&[1.0, -2.0, 0.5], &device).tracked();
    let x = &weight * &weight;
    let inner = weight.clone();
    let function = move |v: &[Tensor]| (&v[0] * &inner).tanh();
    assert_checkpoint_agrees(function, std::slice::from_ref(&x), &[&x, &weight]);
    let (same, itself) = (x.clone(), x.clone());
    let function = move |v: &[Tensor]| &v[0] * &same.exp();
    assert_checkpoint_agrees(function, &[itself], &[&x, &weight]);
    let returned = x.clone();
    assert_checkpoint_agrees(move |_| returned.clone(), &[], &[&x, &weight]);
}

#[test]
fn checkpoints_nest() {
    let device = reference::device();
    let (x, weight) = (vector(&[0.4, 1.6], &device), vector(&[1.0, -2.0], &device));
    let captured = weight.clone();
    let function = move |v: &[Tensor]| {
        let inner = captured.clone();
        let first = (&v[0] * &captured).tanh();
        checkpoint(move |v| (&v[0] * &inner).exp() + &v[0], &[first])
    };
    assert_checkpoint_agrees(function, std::slice::from_ref(&x), &[&x, &weight]);
}

#[test]
fn inputs_may_depend_on_each_other() {
    let device = reference::device();
    let x = vector(&[2.0, 3.0], &device);
    let middle = &x * &x;
    let late = vector(&[5.0, 7.0], &device);
    let y = (&middle * &x * &late).sum(..);
    for asked in [[&x, &middle, &late], [&late, &middle, &x], [&middle, &late, &x]] {
        for (input, gradient) in asked.into_iter().zip(grad(&y, &asked)) {
            let expected: [f64; 2] = match input.id() {
                id if id == x.id() => [60.0, 189.0],
                id if id == middle.id() => [10.0, 21.0],
                _ => [8.0, 27.0],
            };
            assert_close(&gradient, &expected);
        }
    }
    // Asked for alone, the later ones are reached although the first is older than both.
    assert_close(&grad(&y, &[&middle, &late])[1], &[8.0, 27.0]);
}

#[test]
fn gradients_of_strided_slices_of_the_most_axes() {
    let device = reference::device();
    let x = vector(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], &device);
    let tall = x.reshape([1, 1, 2, 1, 1, 3, 1, 1]);
    let slice = tall.slice(gradloom_tensor::s![.., .., .., .., .., ..;2]);
    assert_close(&grad(&slice.square().sum(..), &[&x])[0], &[2.0, 0.0, 6.0, 8.0, 0.0, 12.0]);
}

#[test]
fn gradients_do_not_look_behind_what_they_are_asked_for() {
    let device = reference::device();
    let mut weight = vector(&[1.0], &device);
    for _ in 0..100_000 {
        weight = -weight;
    }
    let target = vector(&[3.0], &device);
    // Were the history walked each time, this would not end before tomorrow.
    for _ in 0..20_000 {
        let gradient = grad(&(&weight - &target).square().sum(..), &[&weight]);
        assert_eq!(gradient[0].shape(), weight.shape());
    }
}

#[test]
fn a_million_nodes_are_differentiated_and_dropped_on_a_small_stack() {
    let run = || {
        let device = reference::device();
        let x = vector(&[1.0], &device);
        let mut y = x.clone();
        for _ in 0..500_000 {
            let captured = y.clone();
            let rule = move |_: &[Tensor], _: &Tensor, g: &Tensor| vec![Some(g * &captured)];
            y = custom_grad(&-&y, std::slice::from_ref(&y), rule);
        }
        drop(grad(&y.sum(..), &[&x]));
    };
    std::thread::Builder::new().stack_size(256 << 10).spawn(run).unwrap().join().unwrap();
}

#[test]
fn long_chains_do_not_overflow_the_stack() {
    let device = reference::device();
    let x = vector(&[1.0], &device);
    let mut y = x.clone();
    for _ in 0..100_000 {
        y = -y;
    }
    assert_close(&grad(&y.sum(..), &[&x])[0], &[1.0]);
}

#[test]
#[should_panic(expected = "grad: the output has shape [2], not one element")]
fn grad_of_a_vector_is_refused() {
    let x = vector(&[1.0, 2.0], &reference::device());
    let _ = grad(&x.exp(), &[&x]);
}

#[test]
#[should_panic(expected = "vjp: the cotangent is f64 [3], the output f64 [2]")]
fn a_cotangent_of_another_shape_is_refused() {
    let device = reference::device();
    let x = vector(&[1.0, 2.0], &device);
    let _ = vjp(&x.exp(), &vector(&[1.0; 3], &device), &[&x]);
}

#[test]
#[should_panic(expected = "only floating-point tensors have derivatives")]
fn the_gradient_of_an_integer_is_refused() {
    let x = Tensor::ones([1], DType::I32, &reference::device());
    let _ = grad(&x, &[&x]);
}

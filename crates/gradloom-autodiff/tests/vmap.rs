//! `vmap`, the Jacobians that stand on it, and how they refuse. Every op of the table is compared with a
//! loop in the testkit.
use std::slice::from_ref;

use gradloom_autodiff::{
    Randomness, checkpoint, custom_grad, grad, hessian, hvp, jacfwd, jacobian, jacrev, jvp, vjp,
    vmap,
};
use gradloom_tensor::{DType, Device, Key, Op, Shape, Tensor};
use gradloom_testkit::batched::looped;
use gradloom_testkit::{check, reference};

/// One device for all tensors of a test.
fn device() -> Device {
    static DEVICE: std::sync::OnceLock<Device> = std::sync::OnceLock::new();
    DEVICE.get_or_init(reference::device).clone()
}

/// Different numbers between -2 and 2.
fn numbers(shape: impl Into<Shape>, seed: usize) -> Tensor {
    let shape = shape.into();
    let value = |index: usize| ((index * 37 + seed * 101 + 11) % 97) as f64 / 24.25 - 2.0;
    Tensor::from_vec((0..shape.count()).map(value).collect(), shape, &device()).unwrap()
}

fn values(tensor: &Tensor) -> Vec<f64> {
    check::elements(tensor).unwrap()
}

#[track_caller]
fn assert_same(actual: &Tensor, expected: &Tensor) {
    assert_eq!(actual.shape(), expected.shape());
    assert_eq!(actual.dtype(), expected.dtype());
    check::close("vmap", &values(actual), &values(expected), 1e-11).unwrap();
}

/// The results and their gradients under `vmap` are those of a loop.
#[track_caller]
fn assert_loop(
    function: impl Fn(&[Tensor]) -> Vec<Tensor>,
    operands: &[Tensor],
    axes: &[Option<isize>],
    others: &[&Tensor],
) {
    let (operand, axis) = operands.iter().zip(axes).find(|(_, axis)| axis.is_some()).unwrap();
    let size = operand.size(axis.unwrap());
    let actual: Vec<Tensor> = vmap(&function, axes, 0).call(operands);
    let expected = looped(&function, operands, axes, size);
    assert_eq!(actual.len(), expected.len());
    let inputs: Vec<&Tensor> = operands.iter().chain(others.iter().copied()).collect();
    for (actual, expected) in actual.iter().zip(&expected) {
        assert_same(actual, expected);
        if actual.dtype().is_float() {
            let loss = |tensor: &Tensor| (tensor * numbers(*tensor.shape(), 7)).sum(..);
            let (actual, expected) = (loss(actual), loss(expected));
            for (actual, expected) in grad(&actual, &inputs).iter().zip(&grad(&expected, &inputs)) {
                assert_same(actual, expected);
            }
        }
    }
}

/// Nodes behind a tensor that have the op.
fn count(tensor: &Tensor, is: fn(&Op) -> bool) -> usize {
    let (mut seen, mut found) = (std::collections::HashSet::new(), 0);
    let mut stack = vec![tensor.clone()];
    while let Some(node) = stack.pop() {
        if seen.insert(node.id()) {
            found += usize::from(is(node.op()));
            stack.extend(node.inputs().iter().cloned());
        }
    }
    found
}

#[test]
fn examples_lie_where_in_axes_and_out_axes_say() {
    let (x, y) = (numbers([2, 5, 3], 1), numbers([3], 2));
    let function = |v: &[Tensor]| [&v[0] * &v[1], v[0].sum(..), &v[1] * 2.0];
    let [first, second, third] =
        vmap(function, [Some(1), None], [Some(-1), Some(0), None]).call(&[x.clone(), y.clone()]);
    assert_eq!(*first.shape(), [2, 3, 5]);
    assert_same(&first, &(x.permute(&[0, 2, 1]) * y.unsqueeze(1)));
    assert_same(&second, &x.sum([0, 2]));
    assert_same(&third, &(&y * 2.0));
    // What is the same for all is repeated where it is asked for with an axis.
    let repeated = vmap(|v: &[Tensor]| v[1].clone(), [Some(1), None], 1).call(&[x, y.clone()]);
    assert_same(&repeated, &y.unsqueeze(1).broadcast_to([3, 5]));
}

#[test]
fn what_is_the_same_for_all_examples_is_computed_once() {
    let (x, w) = (numbers([4, 3], 1), numbers([3, 3], 2));
    let product = vmap(|v: &[Tensor]| v[0].matmul(&w.exp()), 0, 0).call(from_ref(&x));
    assert_eq!(count(&product, |op| matches!(op, Op::Expand)), 0);
    let Some(matmul) = behind(&product, |op| matches!(op, Op::Matmul)) else {
        panic!("no product");
    };
    assert_eq!(*matmul.inputs()[0].shape(), [4, 3]);
    assert_eq!(*matmul.inputs()[1].shape(), [3, 3]);
    // Also where it is on the left, and in the gradient that is asked through it.
    let product = vmap(|v: &[Tensor]| w.matmul(&v[0]), 0, 0).call(from_ref(&x));
    assert_same(&product, &x.matmul(&w.t()));
    assert_eq!(count(&product, |op| matches!(op, Op::Expand)), 0);
    let through = |v: &[Tensor]| grad(&v[0].matmul(&w).square().sum(..), &[&v[0]]).swap_remove(0);
    let gradients = vmap(through, 0, 0).call(&[x]);
    let wide = |op: &Op| matches!(op, Op::Matmul);
    assert_eq!(count(&gradients, wide), 2);
}

fn behind(tensor: &Tensor, is: fn(&Op) -> bool) -> Option<Tensor> {
    let mut stack = vec![tensor.clone()];
    while let Some(node) = stack.pop() {
        if is(node.op()) {
            return Some(node);
        }
        stack.extend(node.inputs().iter().cloned());
    }
    None
}

#[test]
fn shared_nodes_stay_shared() {
    let x = numbers([4], 1);
    let function = |v: &[Tensor]| {
        let mut y = v[0].exp();
        for _ in 0..40 {
            y = &y * &y;
        }
        y
    };
    let y = vmap(function, 0, 0).call(&[x]);
    assert_eq!(count(&y, |op| matches!(op, Op::Binary(_))), 40);
}

#[test]
fn gradients_of_each_example() {
    let (x, t) = (numbers([5, 3], 1), numbers([5], 2));
    let (w, b) = (numbers([3, 4], 3).tracked(), numbers([4], 4).tracked());
    let function = |v: &[Tensor]| {
        let hidden = (v[0].matmul(&w) + &b).tanh();
        grad(&(hidden.sum(..) - &v[1]).square(), &[&w, &b, &v[0]])
    };
    assert_loop(function, &[x, t], &[Some(0), Some(0)], &[&w, &b]);
}

#[test]
fn derivatives_of_every_kind_inside() {
    let (x, u, w) = (numbers([3, 4], 1), numbers([4, 3], 2), numbers([4], 3));
    let function = |v: &[Tensor]| {
        let y = (&v[0] * &w).softmax(-1) * &v[0];
        vec![
            vjp(&y, &v[1], &[&v[0]]).swap_remove(0),
            jvp(&y, &[&v[0]], &[&v[1]]),
            hvp(&y.square().sum(..), &v[0], &v[1]),
            jacobian(&y, &[&w]).swap_remove(0),
        ]
    };
    assert_loop(function, &[x, u], &[Some(0), Some(1)], &[&w]);
}

#[test]
fn nested_vmaps_and_gradients_between_them() {
    let (x, y) = (numbers([3, 4], 1), numbers([5, 4], 2));
    let kernel = |a: &Tensor, b: &Tensor| (-(a - b).square().sum(..)).exp();
    let matrix = vmap(
        |a: &[Tensor]| vmap(|b: &[Tensor]| kernel(&a[0], &b[0]), 0, 0).call(from_ref(&y)),
        0,
        0,
    );
    let found: Tensor = matrix.call(from_ref(&x));
    let difference = x.unsqueeze(1) - y.unsqueeze(0);
    assert_same(&found, &(-difference.square().sum(-1)).exp());
    let inner = |a: &[Tensor]| {
        let one = |b: &[Tensor]| grad(&kernel(&a[0], &b[0]), &[&a[0]]);
        vmap(one, 0, 0).call(from_ref(&y))
    };
    assert_loop(inner, &[x], &[Some(0)], &[&y]);
}

#[test]
fn checkpoints_inside_recompute_what_they_did() {
    let (x, w) = (numbers([3, 4], 1), numbers([4], 2));
    let function = |v: &[Tensor]| {
        let (captured, weight) = (v[0].cos(), w.clone());
        let run = move |v: &[Tensor]| (&v[0] * &captured * &weight).tanh() + &v[0];
        let inner = run.clone();
        let once = checkpoint(run, &[v[0].sin()]);
        let twice = checkpoint(move |v| checkpoint(inner.clone(), &[v[0].exp()]), from_ref(&once));
        let own = grad(&twice.sum(..), &[&v[0], &w]);
        vec![once, twice, own[0].clone(), own[1].clone()]
    };
    assert_loop(function, &[x], &[Some(0)], &[&w]);
}

#[test]
fn custom_gradients_see_one_example_at_a_time() {
    let (x, w) = (numbers([5, 3], 1), numbers([3], 2));
    // A clipped gradient is not linear, and this one has captured what belongs to an example.
    let function = |v: &[Tensor]| {
        let captured = v[0].exp();
        let clipped = custom_grad(&w.round(), from_ref(&w), move |_, _, g| {
            vec![Some((g * &captured).clamp(-0.5, 0.5))]
        });
        let rounded = custom_grad(&v[0].round(), &v[..1], |x, y, g| vec![Some(g * &x[0] * y)]);
        vec![(&clipped * &v[0]).sum(..), rounded * &clipped]
    };
    assert_loop(function, from_ref(&x), &[Some(0)], &[&w]);
    // Also where a gradient is taken of a custom gradient made outside.
    let outside =
        custom_grad(&w.exp(), from_ref(&w), |w, y, g| vec![Some((g * y * &w[0]).clamp(-1.0, 1.0))]);
    let function = |v: &[Tensor]| vjp(&outside, &v[0], &[&w]);
    assert_loop(function, &[x], &[Some(0)], &[&w]);
}

#[test]
fn detached_and_tracked_values_stay_so() {
    let x = numbers([3, 2], 1);
    let function = |v: &[Tensor]| {
        let weight = (&v[0] * 2.0).tracked();
        let own = grad(&weight.square().sum(..), &[&weight]).swap_remove(0);
        vec![&v[0] * v[0].exp().detach(), weight, own]
    };
    assert_loop(function, from_ref(&x), &[Some(0)], &[]);
    let [_, weight, _] = <[Tensor; 3]>::try_from(vmap(function, 0, 0).call(from_ref(&x))).unwrap();
    assert!(weight.is_tracked());
    let y: Tensor = vmap(|v: &[Tensor]| v[0].exp(), 0, 0).call(&[x.tracked()]);
    assert!(y.is_tracked());
    let y: Tensor = vmap(|v: &[Tensor]| v[0].exp(), 0, 0).call(&[x]);
    assert!(!y.is_tracked());
}

#[test]
fn random_numbers_are_what_the_caller_says() {
    let x = numbers([3, 4], 1);
    let key = Key::new(5);
    let noisy =
        |v: &[Tensor]| &v[0] + Tensor::normal(key, 4, 0.0, 1.0, v[0].device()).cast(DType::F64);
    let same: Tensor = vmap(noisy, 0, 0).randomness(Randomness::Same).call(from_ref(&x));
    assert_same(&same, &looped(|v| vec![noisy(v)], from_ref(&x), &[Some(0)], 3)[0]);
    let different: Tensor = vmap(noisy, 0, 0).randomness(Randomness::Different).call(from_ref(&x));
    let drawn = Tensor::normal(key, [3, 4], 0.0, 1.0, x.device()).cast(DType::F64);
    assert_same(&different, &(&x + &drawn));
    // Numbers drawn before are constants.
    let before = Tensor::normal(key, 4, 0.0, 1.0, x.device()).cast(DType::F64);
    let y: Tensor = vmap(|v: &[Tensor]| &v[0] + &before, 0, 0).call(from_ref(&x));
    assert_same(&y, &same);
    // A gradient uses the numbers that its value was computed with, also where they are drawn again.
    let dropped = |v: &[Tensor]| {
        let run = move |v: &[Tensor]| {
            let keep = Tensor::bernoulli(key, 4, 0.5, v[0].device());
            keep.select(&v[0], v[0].zeros_like()).square()
        };
        let y = checkpoint(run, v);
        vec![grad(&y.sum(..), &[&v[0]]).swap_remove(0), y]
    };
    let [gradient, y] = <[Tensor; 2]>::try_from(
        vmap(dropped, 0, 0).randomness(Randomness::Different).call(from_ref(&x)),
    )
    .unwrap();
    let kept = y.ne(0.0);
    assert_same(&gradient, &kept.select(&(&x * 2.0), x.zeros_like()));
    assert_same(&grad(&y.sum(..), &[&x])[0], &gradient);
}

#[test]
fn nodes_of_the_most_axes_have_room_for_examples() {
    let shape = [2, 1, 3, 2, 1, 2, 1];
    let (x, y) =
        (numbers([3].iter().chain(&shape).copied().collect::<Shape>(), 1), numbers(shape, 2));
    let index = Tensor::from_vec(vec![1i32, 0, 1], [3, 1], &device()).unwrap();
    let function = |v: &[Tensor]| {
        let tall = v[0].unsqueeze(3);
        let other = y.unsqueeze(3);
        let index = v[1].reshape([1; 8]).broadcast_to(tall.shape().with(0, 1));
        let added = &tall + &other;
        vec![
            (&added * v[0].unsqueeze(0).sum_keepdim([0, 3]).reshape([2, 1, 1, 1, 2, 1, 2, 1]))
                .flatten(0, 1),
            added.permute(&[4, 7, 2, 0, 6, 5, 1, 3]).flatten(5, 7),
            added.sum([0, 2, 6]).flip([0, 2]),
            added.flip([0, 4]).max([1, 6]),
            added.cumsum(2).flatten(0, 1),
            added.min(2).unsqueeze(7).flatten(0, 1),
            added.slice(gradloom_tensor::s![1.., .., 0..;2]).pad(&[(1, 0); 8]).sum([0, 7]),
            added.broadcast_to([2, 4, 3, 1, 2, 5, 2, 3]).sum([7, 3]),
            Tensor::concat(&[&added, &other], 4).flatten(0, 1),
            added.argmax(4).cast(DType::F64),
            added.argsort(2, true).cast(DType::F64).flatten(1, 2),
            added.gather(0, &index).flatten(0, 1),
            tall.scatter_add(0, &index, &added.narrow(0, 0, 1)).flatten(0, 1),
            added.matmul(&other.transpose(-1, -2)).flatten(0, 1),
            other.matmul(&added.transpose(-1, -2)).flatten(0, 1),
            added.write(2, &v[1].broadcast_to([2]), &other.narrow(2, 0, 2)).flatten(6, 7),
        ]
    };
    let operands = [x, index];
    assert_loop(function, &operands, &[Some(0), Some(0)], &[&y]);
    assert_loop(function, &[operands[0].index(0, 0), operands[1].clone()], &[None, Some(0)], &[&y]);
}

#[test]
fn long_chains_are_rebuilt_on_a_small_stack() {
    let run = || {
        let x = numbers([3], 1);
        let y: Tensor = vmap(
            |v: &[Tensor]| {
                let mut y = v[0].clone();
                for _ in 0..200_000 {
                    y = -y;
                }
                y
            },
            0,
            0,
        )
        .call(from_ref(&x));
        assert_same(&y, &x);
    };
    std::thread::Builder::new().stack_size(256 << 10).spawn(run).unwrap().join().unwrap();
}

#[test]
fn many_custom_gradients_cost_little_each() {
    let run = || {
        let x = numbers([3], 1);
        let y: Tensor = vmap(
            |v: &[Tensor]| {
                let mut y = v[0].clone();
                for _ in 0..20_000 {
                    y = custom_grad(&-&y, from_ref(&y), |_, _, g| vec![Some(-g)]);
                }
                y
            },
            0,
            0,
        )
        .call(from_ref(&x));
        assert_same(&grad(&y.sum(..), &[&x])[0], &x.ones_like());
    };
    std::thread::Builder::new().stack_size(512 << 10).spawn(run).unwrap().join().unwrap();
}

#[test]
fn jacobians_by_both_modes() {
    let (x, w) = (numbers([3], 1), numbers([3, 4], 2));
    let y = (x.matmul(&w)).tanh();
    let expected = (1.0 - y.square()).unsqueeze(1) * w.t();
    for jacobian in [jacobian, jacrev, jacfwd] {
        let [of_x, of_w] = <[Tensor; 2]>::try_from(jacobian(&y, &[&x, &w])).unwrap();
        assert_same(&of_x, &expected);
        assert_eq!(*of_w.shape(), [4, 3, 4]);
        // y[j] depends on w[i, j] alone.
        let diagonal = (1.0 - y.square()).unsqueeze(1).unsqueeze(2) * x.unsqueeze(1);
        let eye = Tensor::eye(4, DType::F64, &device()).unsqueeze(1);
        assert_same(&of_w, &(diagonal * eye));
        // Of a matrix, of a scalar, by what it does not depend on.
        assert_eq!(*jacobian(&(&w * 2.0), &[&w])[0].shape(), [3, 4, 3, 4]);
        assert_same(&jacobian(&y.sum(..), &[&x])[0], &grad(&y.sum(..), &[&x])[0]);
        assert_same(
            &jacobian(&y, &[&w.exp()])[0],
            &y.zeros_like().unsqueeze(1).unsqueeze(2).broadcast_to([4, 3, 4]),
        );
        assert_eq!(*jacobian(&y.narrow(0, 0, 0), &[&x])[0].shape(), [0, 3]);
    }
    // A derivative of a Jacobian.
    let cubes = x.powi(3);
    let diagonal = jacobian(&cubes, &[&x]).swap_remove(0).sum(..);
    assert_same(&grad(&diagonal, &[&x])[0], &(&x * 6.0));
}

#[test]
fn hessians_of_several_inputs() {
    let (x, y) = (numbers([2], 1), numbers([3], 2));
    let value = x.square().sum(..) * y.powi(3).sum(..);
    let blocks = hessian(&value, &[&x, &y]);
    let eye = |n| Tensor::eye(n, DType::F64, &device());
    assert_same(&blocks[0][0], &(eye(2) * 2.0 * y.powi(3).sum(..)));
    assert_same(&blocks[0][1], &((&x * 2.0).unsqueeze(1) * (y.square() * 3.0)));
    assert_same(&blocks[1][0], &blocks[0][1].t());
    assert_same(&blocks[1][1], &(eye(3) * &y * 6.0 * x.square().sum(..)));
}

#[test]
fn a_jacobian_of_a_checkpoint_draws_the_same_numbers_again() {
    let x = numbers([4], 1);
    let run = |v: &[Tensor]| {
        let keep = Tensor::bernoulli(Key::new(3), 4, 0.5, v[0].device());
        keep.select(&v[0], v[0].zeros_like()).square()
    };
    let (plain, saved) = (run(from_ref(&x)), checkpoint(run, from_ref(&x)));
    assert_same(&jacobian(&saved, &[&x])[0], &jacobian(&plain, &[&x])[0]);
}

fn identity(v: &[Tensor]) -> Tensor {
    v[0].clone()
}

#[test]
#[should_panic(
    expected = "vmap: in_axes 2 is out of range for argument 0 of shape [2, 3]; it has 2 axes"
)]
fn an_axis_out_of_range_is_refused() {
    let _ = vmap(identity, 2, 0).call(&[numbers([2, 3], 0)]);
}

#[test]
#[should_panic(expected = "vmap: in_axes has 1 entries for 2 arguments")]
fn too_few_in_axes_are_refused() {
    let _ = vmap(identity, [Some(0)], 0).call(&[numbers([2], 0), numbers([2], 0)]);
}

#[test]
#[should_panic(
    expected = "vmap: argument 1 of shape [3] has 3 examples along axis 0, argument 0 of shape \
                           [4, 2] has 2 along axis 1"
)]
fn different_numbers_of_examples_are_refused() {
    let _ = vmap(identity, [1, 0], 0).call(&[numbers([4, 2], 0), numbers([3], 0)]);
}

#[test]
#[should_panic(expected = "vmap: none of the 1 arguments has an axis of examples")]
fn no_examples_at_all_are_refused() {
    let _ = vmap(identity, [None::<isize>], 0).call(&[numbers([2], 0)]);
}

#[test]
#[should_panic(expected = "vmap: argument 0 of shape [2, 0] has no examples along axis 1")]
fn zero_examples_are_refused() {
    let _ = vmap(identity, -1, 0).call(&[numbers([2, 0], 0)]);
}

#[test]
#[should_panic(expected = "vmap: out_axes 2 is out of range for result 0 of shape [3]")]
fn an_axis_of_a_result_out_of_range_is_refused() {
    let _ = vmap(identity, 0, 2).call(&[numbers([2, 3], 0)]);
}

#[test]
#[should_panic(
    expected = "vmap: out_axes is None for result 0 of shape [3], which differs between examples"
)]
fn a_result_that_is_said_to_be_one_for_all_is_refused() {
    let _ = vmap(identity, 0, [None::<isize>]).call(&[numbers([2, 3], 0)]);
}

#[test]
#[should_panic(
    expected = "vmap: result 0 has shape [1, 1, 1, 1, 1, 1, 1, 1] for one example and no room"
)]
fn a_result_without_room_is_refused() {
    let _ = vmap(|v: &[Tensor]| v[0].reshape([1; 8]), 0, 0).call(&[numbers([2], 0)]);
}

#[test]
#[should_panic(expected = "vmap: the function draws random numbers")]
fn random_numbers_are_refused_by_default() {
    let noisy =
        |v: &[Tensor]| &v[0] + Tensor::random_bits(Key::new(0), 1, v[0].device()).cast(DType::F64);
    let _ = vmap(noisy, 0, 0).call(&[numbers([2], 0)]);
}

#[test]
#[should_panic(
    expected = "jacobian: an output of shape [1, 1, 1, 1, 1] by an input of shape [1, 1, 1, 1]"
)]
fn a_jacobian_of_too_many_axes_is_refused() {
    let x = numbers([1; 4], 0);
    let _ = jacobian(&x.unsqueeze(0), &[&x]);
}

#[test]
fn asking_for_values_inside_is_an_error() {
    let ask = |v: &[Tensor]| {
        let error = (&v[0] + 1.0).to_vec::<f64>().unwrap_err();
        assert!(error.to_string().contains("depends on a placeholder of shape []"), "{error}");
        v[0].clone()
    };
    let _: Tensor = vmap(ask, 0, 0).call(&[numbers([2], 0)]);
}

#[test]
fn products_keep_the_dtype_that_was_asked_for() {
    let half = |shape: &[usize]| Tensor::ones(shape, DType::F16, &device());
    let wide = |v: &[Tensor]| v[0].matmul_as(&v[1], DType::F32);
    for axes in [[Some(0), None], [None, Some(0)], [Some(0), Some(0)]] {
        let sized = |axis: Option<isize>| match axis {
            Some(_) => half(&[4, 2, 2]),
            None => half(&[2, 2]),
        };
        let result: Tensor = vmap(wide, &axes[..], 0).call(&axes.map(sized));
        assert_eq!((result.dtype(), result.size(0)), (DType::F32, 4));
    }
}

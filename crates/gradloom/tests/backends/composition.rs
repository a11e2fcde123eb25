//! Programs whose parts are right one by one and went wrong together: each stands for its kind.

use gradloom::prelude::*;

use crate::devices;

fn tensor(values: &[f32], shape: &[usize], device: &Device) -> Tensor {
    Tensor::from_vec(values.to_vec(), shape, device).unwrap()
}

fn counted(shape: &[usize], device: &Device) -> Tensor {
    let count: usize = shape.iter().product();
    let values: Vec<f32> = (0..count).map(|index| index as f32 * 0.25 - 2.0).collect();
    tensor(&values, shape, device)
}

fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.to_vec::<f32>().unwrap()
}

fn close(found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        let near = (found - expected).abs() <= 1e-5 * (1.0 + expected.abs());
        assert!(near || (found.is_nan() && expected.is_nan()), "{found} instead of {expected}");
    }
}

#[test]
fn a_root_that_is_a_view_has_the_view_s_elements() {
    for device in devices() {
        let x = tensor(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], &[2, 3], &device);
        let transposed = [1.0, 4.0, 2.0, 5.0, 3.0, 6.0];
        assert_eq!(values(&x.t().detach()), transposed);
        assert_eq!(values(&x.t().tracked()), transposed);
        assert_eq!(values(&x.t().detach().detach().tracked()), transposed);
        assert_eq!(values(&x.flip(1).detach()), [3.0, 2.0, 1.0, 6.0, 5.0, 4.0]);
        assert_eq!(values(&x.narrow(0, 1, 1).detach()), [4.0, 5.0, 6.0]);
        let padded = values(&x.pad(&[(0, 0), (1, 0)]).detach());
        assert_eq!(padded, [0.0, 1.0, 2.0, 3.0, 0.0, 4.0, 5.0, 6.0]);
        let five = tensor(&[5.0], &[1], &device);
        assert_eq!(values(&five.broadcast_to([4]).detach()), [5.0; 4]);
        let mut weight = x.t().tracked();
        commit(&mut weight).unwrap();
        assert_eq!(values(&weight), transposed);
        let parameter = gradloom::nn::Parameter::new(x.t());
        assert_eq!(values(&parameter.detach()), transposed);
        // Several roots that are views of one value, and the value.
        let y = &x * 2.0;
        let (a, b, c) = (y.t().detach(), y.detach(), y.flip(0).detach());
        gradloom::eval([&a, &b, &c, &y]).unwrap();
        assert_eq!(values(&a), [2.0, 8.0, 4.0, 10.0, 6.0, 12.0]);
        assert_eq!(values(&b), [2.0, 4.0, 6.0, 8.0, 10.0, 12.0]);
        assert_eq!(values(&c), [8.0, 10.0, 12.0, 2.0, 4.0, 6.0]);
    }
}

#[test]
fn a_value_of_a_row_reaches_every_element() {
    for device in devices() {
        let x = counted(&[8, 8], &device);
        let sums: Vec<f32> = values(&x).chunks(8).map(|row| row.iter().sum()).collect();
        let repeated: Vec<f32> = sums.iter().flat_map(|&sum| [sum; 8]).collect();
        close(&values(&x.sum_keepdim(1).broadcast_to([8, 8])), &repeated);
        close(&values(&Tensor::zeros([2, 4], DType::F32, &device).softmax(-1)), &[0.25; 8]);
        let row = tensor(&[1.0, 3.0], &[2, 1], &device);
        close(&values(&row.broadcast_to([2, 3]).softmax(-1)), &[1.0 / 3.0; 6]);
        let ones = Tensor::ones([2, 4], DType::F32, &device);
        close(&values(&ones.layer_norm(1, None, None, 1e-5)), &[0.0; 8]);
        close(&values(&ones.logsumexp(1)), &[4f32.ln() + 1.0; 2]);
        let mean = values(&x).iter().sum::<f32>() / 64.0;
        close(&values(&grad(&x.mean(..).square(), &[&x])[0]), &[2.0 * mean / 64.0; 64]);
        let saliency = &grad(&x.mean(1).tanh().sum(..), &[&x])[0];
        let expected: Vec<f32> =
            repeated.iter().map(|sum| (1.0 - (sum / 8.0).tanh().powi(2)) / 8.0).collect();
        close(&values(saliency), &expected);
        let repeat = tensor(&[1.0, 2.0], &[2], &device).repeat(&[2, 2]);
        assert_eq!(values(&repeat), [1.0, 2.0, 1.0, 2.0, 1.0, 2.0, 1.0, 2.0]);
        let shifted = &ones.logsumexp(1).sum(..);
        close(&values(&grad(shifted, &[&ones])[0]), &[0.25; 8]);
    }
}

#[test]
fn second_gradients_of_reductions() {
    for device in devices() {
        let x = tensor(&[1.0, 2.0, 4.0], &[3], &device);
        let first = &grad(&x.var(0, 0), &[&x])[0];
        let second = &grad(&first.square().sum(..), &[&x])[0];
        // The gradient is 2/3 (x - mean); its squared length has the gradient 8/9 (x - mean).
        close(&values(second), &[-32.0 / 27.0, -8.0 / 27.0, 40.0 / 27.0]);
        let y = tensor(&[3.0, 4.0], &[2], &device);
        let first = &grad(&y.norm(0), &[&y])[0];
        let second = &grad(&first.narrow(0, 0, 1).sum(..), &[&y])[0];
        close(&values(second), &[16.0 / 125.0, -12.0 / 125.0]);
    }
}

#[test]
fn a_value_read_in_two_orders() {
    for device in devices() {
        let x = tensor(&[1.0, 2.0, 3.0, 4.0], &[2, 2], &device);
        let u = &x * 2.0;
        let r = u.sum_keepdim(1);
        assert_eq!(values(&(&u.transpose(0, 1) * &r).sum(1)), [48.0, 168.0]);
        assert_eq!(values(&(&u.flip(0) * &r).sum(1)), [84.0, 84.0]);
        assert_eq!(values(&(&u.t().softmax(-1) * &u).sum(..)).len(), 1);
    }
}

#[test]
fn pads_that_are_reshaped_across() {
    for device in devices() {
        let x = counted(&[13], &device);
        let h = counted(&[4], &device);
        let framed = &x.pad(&[(0, 3)]).reshape([4, 4]) * &h;
        let (x, h) = (values(&x), values(&h));
        let expected: Vec<f32> =
            (0..16).map(|i| x.get(i).copied().unwrap_or(0.0) * h[i % 4]).collect();
        close(&values(&framed), &expected);
        let empty = counted(&[3, 4], &device);
        let slice = empty.narrow(0, 1, 0).square().sum(..);
        assert_eq!(values(&grad(&slice, &[&empty])[0]), [0.0; 12]);
        let image = counted(&[1, 2, 2, 3], &device);
        let both = Tensor::concat(&[&image, &image.square()], 1).group_norm(2, None, None, 1e-5);
        let first = &grad(&both.powi(3).sum(..), &[&image])[0];
        let second = &grad(&first.square().sum(..), &[&image])[0];
        assert!(values(second).iter().all(|value| value.is_finite()));
    }
}

#[test]
fn a_product_with_an_evaluated_concat() {
    for device in devices() {
        let w = counted(&[1, 2], &device);
        let (a, b) = (tensor(&[2.0], &[1, 1], &device), tensor(&[6.0], &[1, 1], &device));
        let y = w.matmul(&Tensor::concat(&[a, b], 0));
        y.eval().unwrap();
        assert_eq!(values(&grad(&y.sum(..), &[&w])[0]), [2.0, 6.0]);
    }
}

#[test]
fn narrow_integers_wrap_where_they_are_computed() {
    for device in devices() {
        let a = Tensor::from_vec(vec![100u8, 200, 255], [3], &device).unwrap();
        let b = Tensor::from_vec(vec![200u8, 100, 16], [3], &device).unwrap();
        assert_eq!(((&a - &b) / 2).to_vec::<u8>().unwrap(), [78, 50, 119]);
        assert_eq!(values(&(&a + &b).cast(DType::F32)), [44.0, 44.0, 15.0]);
        assert_eq!((&a + &b).gt(100).to_vec::<bool>().unwrap(), [false; 3]);
        assert_eq!((&a * &b).cast(DType::I32).to_vec::<i32>().unwrap(), [32, 32, 240]);
        assert_eq!((&(&a + &b) + &(&a - &b)).to_vec::<u8>().unwrap(), [200, 144, 254]);
    }
}

#[test]
fn halves_are_what_they_are_whatever_is_stored() {
    for device in devices().into_iter().filter(|device| device.capabilities().f16) {
        let x = tensor(&[300.0, -300.0, 2.0], &[3], &device).cast(DType::F16);
        let squares = |x: &Tensor| values(&(x.square() / 100.0).cast(DType::F32));
        let fused = squares(&x);
        let evaluated = {
            let y = x.square();
            y.eval().unwrap();
            values(&(&y / 100.0).cast(DType::F32))
        };
        assert_eq!(fused, evaluated);
        assert_eq!(fused[..2], [f32::INFINITY; 2]);
    }
}

#[test]
fn a_failed_commit_leaves_everything_as_it_was() {
    for device in devices() {
        let w = tensor(&[1.0, 2.0], &[2], &device);
        let mut updated = &w + 1.0;
        drop(w);
        let table = counted(&[3, 2], &device);
        let bad = Tensor::from_vec(vec![7i32], [1], &device).unwrap();
        let mut picked = table.index_select(0, &bad) + 1.0;
        assert!(commit((&mut updated, &mut picked)).is_err(), "{}", device.name());
        assert_eq!(values(&updated), [2.0, 3.0], "{}", device.name());
        // A value that could not be computed says so whenever it is asked for.
        assert!(picked.eval().is_err());
        assert!(picked.to_vec::<f32>().is_err());
        assert!(picked.to_vec::<f32>().is_err());
        assert_eq!(values(&table).len(), 6);
    }
}

#[test]
fn long_chains_are_planned_in_pieces() {
    let run = || {
        for device in devices() {
            let mut y = tensor(&[1.0, 2.0], &[2], &device);
            for _ in 0..2_000 {
                y = &y * 0.999 + 0.001;
            }
            assert_eq!(values(&y).len(), 2);
        }
        let device = Device::cpu();
        let mut y = tensor(&[1.0, 2.0], &[2], &device);
        for _ in 0..200_000 {
            y = &y * 0.999 + 0.001;
        }
        assert!(values(&y).iter().all(|value| (value - 1.0).abs() < 1e-3));
    };
    std::thread::Builder::new().stack_size(1 << 20).spawn(run).unwrap().join().unwrap();
}

#[test]
fn adamw_of_six_hundred_weights() {
    for device in devices() {
        let mut weights: Vec<gradloom::nn::Parameter> =
            (0..600).map(|_| gradloom::nn::Parameter::new(counted(&[2], &device))).collect();
        let mut optimizer = AdamW::new(0.1);
        let mut loss = weights.iter().map(|w| w.square().sum(..)).reduce(|a, b| a + b).unwrap();
        let gradients = gradients(&loss, &weights);
        optimizer.step(&gradients, &mut weights);
        commit((&mut weights, &mut optimizer, &mut loss)).unwrap();
        assert!(values(&weights[599])[0] != -2.0);
    }
}

#[test]
fn zeros_keep_their_sign() {
    for device in devices() {
        let zero = tensor(&[-0.0], &[1], &device);
        let constant = Tensor::zeros([1], DType::F32, &device);
        // Drivers of GPUs may drop additions of zero.
        if device.capabilities().host {
            assert!(values(&(&zero + &constant))[0].is_sign_positive());
            assert!(values(&(&zero - &constant))[0].is_sign_negative());
        }
        assert!(values(&tensor(&[3.0], &[1], &device).var(0, 1))[0].is_nan(), "{}", device.name());
    }
}

#[test]
fn threads_share_a_detached_value_while_one_computes_it() {
    for device in devices() {
        let rounds = if device.capabilities().host { 200 } else { 10 };
        for _ in 0..rounds {
            let x = counted(&[4], &device);
            let y = (&x * 2.0).detach();
            let expected: Vec<f32> = values(&x).iter().map(|value| value * 2.0 + 1.0).collect();
            std::thread::scope(|scope| {
                scope.spawn(|| y.eval().unwrap());
                for _ in 0..3 {
                    scope.spawn(|| assert_eq!(values(&(&y + 1.0)), expected));
                }
            });
        }
    }
}

#[test]
fn known_plans_replay_while_another_is_made() {
    use std::sync::atomic::{AtomicBool, Ordering};
    let device = Device::cpu();
    let x = counted(&[8], &device);
    let planned = AtomicBool::new(false);
    let mut replays = 0;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut y = x.clone();
            for _ in 0..40_000 {
                y = &y * 0.5 + 0.25;
            }
            y.eval().unwrap();
            planned.store(true, Ordering::Release);
        });
        while !planned.load(Ordering::Acquire) {
            values(&(&x * 3.0));
            replays += 1;
        }
    });
    // Had one of them waited for the plan, it would have been the last.
    assert!(replays > 10, "{replays} replays while a plan was made");
}

#[test]
fn what_is_left_uncommitted_is_computed_twice_at_most() {
    // Of its own: kernels are counted.
    let device = gradloom_cpu::CpuBackend::new(Some(2)).unwrap().into_device();
    let mut state = counted(&[8], &device);
    let mut kernels = Vec::new();
    for _ in 0..40 {
        // The mean is read at each step; the state that it is made of is never asked for.
        for _ in 0..10 {
            state = (&state * 0.9 + 0.1).tanh();
        }
        let before = device.statistics();
        commit(&mut state.mean(..)).unwrap();
        kernels.push(device.statistics().since(&before).kernels);
    }
    assert!(kernels[39] <= kernels[5] + 2, "{kernels:?}");
}

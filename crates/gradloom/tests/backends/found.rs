//! Graphs that were drawn at random and found to go wrong, each as it was printed: they stay right.

use gradloom::prelude::*;
use gradloom::{BlockFormat, DType, Key, Shape};
use gradloom_plan::Limits;
use gradloom_plan::interpret::Interpreter;
use gradloom_testkit::graphs::calls::{barrier, blocks, pairs, steps, tail};
use gradloom_testkit::graphs::loops::looped;
use gradloom_testkit::graphs::window_calls::{conv_transpose, window};
use gradloom_testkit::graphs::{Pattern, Scenario, agree};
use gradloom_testkit::woven::Woven;

use crate::devices;

/// Two roots that move the same axes, one of them under another shape: the second is a copy of an equal
/// node, and was moved twice.
#[test]
fn seed_325264() {
    agree(&Scenario::Together, &devices(), &|t| {
        t.leaf(&[3, 2, 2], DType::F32, Pattern::Small, 1);
        t.push(t[0].permute(&[2, 0, 1]));
        t.push(t[1].unsqueeze(0));
        t.push(t[0].permute(&[2, 0, 1]));
        vec![2, 3]
    });
}

/// A slice of which only padding is read by one value of a row.
#[test]
fn seed_141516() {
    agree(&Scenario::Gradients { of: vec![1], order: 1 }, &devices(), &|t| {
        t.leaf(&[1, 5, 16, 33], DType::F32, Pattern::Small, 1);
        t.leaf(&[33], DType::F32, Pattern::Small, 1);
        t.push(t[0].layer_norm(1, None, Some(&t[1]), 1e-3));
        t.leaf(&[2640], DType::F32, Pattern::Small, 1);
        t.push(t[2].reshape([2640]).narrow(0, 1, 1).reshape(tail(&[2640, 1, 1, 1])));
        t.push(t[3].mul(&t[4]));
        t.push(t[4].slice(steps(&[1, 0, -1])));
        vec![5, 6]
    });
}

#[test]
fn seed_104311() {
    agree(&Scenario::Gradients { of: vec![0], order: 1 }, &devices(), &|t| {
        t.leaf(&[13, 1, 4, 5, 2], DType::F32, Pattern::Small, 1);
        t.push(t[0].reshape([13, 20, 2]));
        t.leaf(&[2], DType::F32, Pattern::Small, 1);
        t.push(t[1].matmul(&t[2]));
        t.push(t[3].max_keepdim([0, 1]));
        t.push(t[3].reshape([1, 1, 26, 10]));
        t.push(t[5].reshape([260]).narrow(0, 1, 6).reshape(tail(&[260, 1, 6, 3, 1, 2, 1])));
        t.push(t[4].slice(steps(&[0, 1, 3, 1, 0, -3])));
        vec![6, 5, 6, 7]
    });
}

/// A padded nothing, read by a kernel without elements.
#[test]
fn seed_590164() {
    agree(&Scenario::Together, &devices(), &|t| {
        t.leaf(&[0, 5, 3], DType::F32, Pattern::Small, 1);
        t.push(t[0].pad(&pairs(&[0, 3, 1, 0, 0, 0])));
        t.push(t[1].reshape([54]).narrow(0, 1, 1).reshape(tail(&[54, 1, 1])));
        t.push(t[0].rem(&t[2]));
        vec![3]
    });
}

/// A quantized matrix under another shape has other rows than its blocks.
#[test]
fn seed_1164079() {
    agree(&Scenario::Together, &devices(), &|t| {
        t.push(blocks(BlockFormat::ALL[1], [16, 256], 256, t.device()));
        t.leaf(&[1024], DType::F32, Pattern::Small, 1);
        t.push(t[0].reshape([4, 1024]));
        t.push(t[1].matmul(&t[2].transpose(-1, -2)));
        vec![3]
    });
}

/// Pictures without pixels that padding makes windows of.
#[test]
fn seed_311553() {
    agree(&Scenario::Alone, &devices(), &|t| {
        t.leaf(&[1, 1, 1, 0], DType::F32, Pattern::Small, 1);
        t.leaf(&[1, 1, 1, 1], DType::F32, Pattern::Small, 1);
        t.push(Tensor::convolution(&t[0], &t[1], window(&[2, 1, 1, 1, 1, 1, 1, 1, 0, 0, 1, 1]), 1));
        vec![2]
    });
}

#[test]
fn seed_300942() {
    agree(&Scenario::Together, &devices(), &|t| {
        t.leaf(&[1, 2, 0, 2], DType::F32, Pattern::Small, 1);
        t.leaf(&[2, 1, 1, 2], DType::F32, Pattern::Small, 1);
        t.push(Tensor::convolution(&t[0], &t[1], window(&[2, 1, 2, 1, 1, 1, 1, 1, 0, 0, 0, 2]), 2));
        vec![2]
    });
}

/// Sums of an empty slice.
#[test]
fn a_sum_of_an_empty_slice() {
    for device in devices() {
        let x = Tensor::ones([3, 1, 3, 1], DType::F32, &device);
        let empty = x.narrow(3, 0, 0);
        assert_eq!(empty.sum(..).to_vec::<f32>().unwrap(), [0.0]);
        assert_eq!(empty.sum(2).to_vec::<f32>().unwrap().len(), 0);
        assert_eq!(empty.sum(3).to_vec::<f32>().unwrap(), [0.0; 9]);
        assert_eq!((empty.square().sum(3) + 1.0).to_vec::<f32>().unwrap(), [1.0; 9]);
    }
}

/// A tensor written into itself, in place.
#[test]
fn a_write_of_a_tensor_into_itself() {
    for device in devices() {
        let mut written = {
            let x = Tensor::from_vec(vec![-2f32, 5.0], [1, 2], &device).unwrap();
            let start = Tensor::from_vec(vec![0i32], [1], &device).unwrap();
            x.write(1, &start, &x.flip(1))
        };
        commit(&mut written).unwrap();
        assert_eq!(written.to_vec::<f32>().unwrap(), [5.0, -2.0]);
    }
}

/// A root and its alias, over memory that nobody else holds.
#[test]
fn a_root_and_its_alias_in_place() {
    for device in devices() {
        let mut roots = {
            let x = Tensor::from_vec(vec![-2f32], [1], &device).unwrap();
            let y = &x - 1.0;
            vec![y.detach(), y]
        };
        commit(&mut roots).unwrap();
        assert_eq!(roots[0].to_vec::<f32>().unwrap(), [-3.0]);
        assert_eq!(roots[1].to_vec::<f32>().unwrap(), [-3.0]);
    }
}

/// Numbers beside a tie between two halves.
#[test]
fn a_cast_to_halves_rounds_once() {
    let device = Device::cpu();
    let beside = 1.0 + 2f64.powi(-8) + 2f64.powi(-30);
    let x = Tensor::from_vec(vec![beside], [1], &device).unwrap();
    let rounded = x.cast(DType::BF16).cast(DType::F32).to_vec::<f32>().unwrap();
    assert_eq!(rounded, [1.007_812_5]);
}

#[test]
fn seed_320109955() {
    agree(&Scenario::Together, &devices(), &|t| {
        t.leaf(&[2, 3, 2, 1], DType::I32, Pattern::Small, 1);
        t.push(t[0].sum(..));
        t.push(t[0].slice(steps(&[1, 4, 3, 2, 1, -1, 1, 2, 1, 0, 1, 2])));
        t.push(barrier(&t[2], &t[1]));
        vec![3]
    });
}

/// A value that a loop keeps for a derivative in which it does not occur.
#[test]
fn seed_510022606() {
    agree(&Scenario::Forward { along: vec![0] }, &devices(), &|t| {
        t.leaf(&[16, 2], DType::F32, Pattern::Small, 1);
        t.leaf(&[16, 2], DType::F32, Pattern::Small, 1);
        t.push(checkpoint(|x| x[0].mul(&x[1]).tanh(), &[t[0].clone(), t[1].clone()]));
        t.leaf(&[16, 4], DType::U32, Pattern::Index(2), 1);
        t.push(t[2].gather(1, &t[3]));
        t.push(t[1].sort(1, false).0);
        t.push(t[4].reshape([64]).narrow(0, 1, 12).reshape(tail(&[64, 1, 12, 3, 1, 4])));
        t.push(t[5].reshape([32]).narrow(0, 2, 4).reshape(tail(&[32, 2, 4, 1, 4])));
        t.push(t[5].reshape([32]).narrow(0, 1, 4).reshape(tail(&[32, 1, 4, 4])));
        t.leaf(&[4, 4], DType::F32, Pattern::Small, 1);
        let seeds = [1, 183, 59, 189, 102, 1, 109, 2, 388, 2, 416, 2, 0, 1, 55, 1, 350, 246];
        t.push(looped(&seeds, [&t[6], &t[7], &t[8], &t[9]]));
        vec![4, 10]
    });
}

/// The software driver's compiler followed all ways through the rounds of the random numbers.
#[test]
fn random_bits_become_halves() {
    agree(&Scenario::Together, &devices(), &|t| {
        t.push(Tensor::random_bits(Key::new(928), Shape::new(&[1]), t.device()));
        t.push(t[0].broadcast_to([2, 1]).cast(DType::F16));
        vec![1]
    });
}

/// As above: one number of many decides what is chosen everywhere.
#[test]
fn a_random_number_decides() {
    agree(&Scenario::After(vec![3]), &devices(), &|t| {
        t.push(Tensor::normal(Key::new(352), Shape::new(&[1, 3, 4, 4]), 0.0, 1.0, t.device()));
        t.push(t[0].reshape([48]).narrow(0, 8, 1).reshape(tail(&[48, 8, 1, 1, 1])));
        t.push(t[0].gt(&t[1]));
        t.push(t[2].select(&t[0], &t[1]));
        vec![3]
    });
}

/// A kernel that makes what its recomputed part waits for, and is split: the first part waited for the second.
#[test]
fn seed_50000128() {
    for buffers_max in [4, 6] {
        let limits = Limits { buffers_max, ..Limits::default() };
        let device = Interpreter::new(limits).into_device();
        agree(&Scenario::Gradients { of: vec![6, 7], order: 2 }, &[device], &|t| {
            t.leaf(&[8, 3], DType::I8, Pattern::Small, 9472);
            t.leaf(&[7, 16], DType::F32, Pattern::Small, 2278);
            t.push(t[0].neg());
            t.push(t[1].permute(&[0, 1]));
            t.push(t[3].permute(&[0, 1]));
            t.push(t[4].sort(0, true).0);
            t.leaf(&[7, 16], DType::F32, Pattern::Small, 2102);
            t.push(checkpoint(|x| x[0].mul(&x[1]).tanh(), &[t[5].clone(), t[6].clone()]));
            t.push(t[4].true_divide(&t[7]));
            t.push(t[3].reshape([2, 1, 4, 14, 1]));
            let tail = tail(&[112, 19, 16, 1, 2, 2, 2, 2]);
            t.push(t[7].reshape([112]).narrow(0, 19, 16).reshape(tail));
            let window = [3, 2, 2, 2, 1, 1, 1, 1, 2, 1, 1, 0, 0, 0, 2, 1, 1, 0, 1, 0];
            t.push(conv_transpose(&t[9], &t[10], &[0, 0, 0, 1, 0, 3], &window));
            vec![11, 8, 2, 3]
        });
    }
}

/// The reference gave an op from outside its operands as f32 holds them, and took them for exact.
#[test]
fn seed_730006617() {
    agree(&Scenario::Alone, &devices(), &|t| {
        t.leaf(&[2, 15], DType::F32, Pattern::Small, 1);
        t.push(t[0].add(t[0].mul(&t[0])));
        t.push(Woven { batches: false }.apply(&t[1], &t[1])[1].clone());
        vec![2]
    });
}

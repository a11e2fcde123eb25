//! The same bits from run to run, whatever the number of threads, and the same random numbers on every device.

use gradloom::prelude::*;
use gradloom_cpu::CpuBackend;
use gradloom_testkit::{Case, cases};

use crate::devices;

/// The bits of a case's value and of its gradients in the f32 operands.
fn bits(case: &Case, device: &Device) -> Vec<Vec<u64>> {
    let layout = gradloom_testkit::Layout::Plain;
    let operands = case.tensors(device, DType::F32, layout).expect("operands");
    let leaves = operands.iter().zip(case.differentiable()).filter(|(_, floats)| *floats);
    let leaves: Vec<&Tensor> = leaves.map(|(leaf, _)| leaf).collect();
    let value = (case.function)(&operands);
    let mut results = vec![value.clone()];
    if value.dtype().is_float() && !leaves.is_empty() {
        results.extend(grad(&value.sum(..), &leaves));
    }
    // What a device has no kernel for, it says.
    let there = |result: &&Tensor| !result.eval().is_err_and(|error| error.is_unsupported());
    let elements = |result| gradloom_testkit::check::elements(result).expect("elements");
    let bits = |result| elements(result).into_iter().map(f64::to_bits).collect();
    results.iter().filter(there).map(bits).collect()
}

fn differing(one: &Device, other: &Device) -> Vec<String> {
    let wide = |case: &&Case| !case.wide || one.capabilities().i64;
    let differs = |case: &&Case| bits(case, one) != bits(case, other);
    cases().iter().filter(wide).filter(differs).map(|case| case.name.clone()).collect()
}

#[test]
fn every_case_has_the_same_bits_with_any_number_of_threads() {
    let with = |threads| CpuBackend::new(Some(threads)).expect("threads").into_device();
    let one = with(1);
    for threads in [2, 3] {
        assert_eq!(differing(&one, &with(threads)), [""; 0], "{threads} threads");
    }
}

#[test]
fn every_case_has_the_same_bits_again() {
    for device in devices() {
        assert_eq!(differing(&device, &device), [""; 0], "{}", device.name());
    }
}

/// How many floats are between two of one sign; none for equal ones.
fn apart(a: f32, b: f32) -> u64 {
    if a == b {
        return 0;
    }
    let ordered = |x: f32| {
        let bits = i64::from(x.to_bits() & 0x7fff_ffff);
        if x.is_sign_negative() { -bits } else { bits }
    };
    ordered(a).abs_diff(ordered(b))
}

#[test]
fn random_numbers_are_the_same_everywhere() {
    const COUNT: usize = 100_000;
    let key = Key::new(11);
    let floats = |tensor: Tensor| tensor.to_vec::<f32>().unwrap();
    let reference = Device::cpu();
    for device in devices() {
        let name = device.name();
        let uniform = |device| floats(Tensor::uniform(key, [COUNT], 0.0, 1.0, device));
        assert_eq!(uniform(&device), uniform(&reference), "{name}: uniform");
        let whole = |device| Tensor::randint(key, [COUNT], -7, 1000, device).to_vec::<i32>();
        assert_eq!(whole(&device).unwrap(), whole(&reference).unwrap(), "{name}: randint");
        let coins = |device| Tensor::bernoulli(key, [COUNT], 0.3, device).to_vec::<bool>();
        assert_eq!(coins(&device).unwrap(), coins(&reference).unwrap(), "{name}: bernoulli");
        let order = |device| Tensor::permutation(key, 5000, device).to_vec::<i32>();
        assert_eq!(order(&device).unwrap(), order(&reference).unwrap(), "{name}: permutation");
        // A logarithm and a cosine are in these, each to a unit in the last place on every device.
        let normal = |device| floats(Tensor::normal(key, [COUNT], 0.0, 1.0, device));
        let pairs = normal(&device).into_iter().zip(normal(&reference));
        let far = pairs.map(|(a, b)| apart(a, b)).max().unwrap();
        println!("{name}: normal numbers are {far} floats apart at most");
        assert!(far <= 2, "{name}: normal numbers are {far} floats apart");
    }
}

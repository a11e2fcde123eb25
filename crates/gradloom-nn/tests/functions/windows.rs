//! Convolutions, pooling and unfolding over one to three axes against PyTorch: `golden/make_windows.py`
//! wrote the values.

use std::collections::BTreeSet;

use gradloom_autodiff::grad;
use gradloom_nn::weights;
use gradloom_tensor::{DType, Device, Tensor};
use gradloom_testkit::graphs::window_calls::{
    adaptive_avg_pool, adaptive_max_pool, adaptive_max_pool_indices, avg_pool, conv,
    conv_transpose, fold, lp_pool, max_pool, max_pool_indices, max_unpool_at, unfold,
};

fn values(tensor: &Tensor) -> Vec<f64> {
    tensor.cast(DType::F64).to_vec().expect("values")
}

#[track_caller]
fn assert_close(what: &str, actual: &Tensor, expected: &Tensor) {
    assert_eq!(actual.shape(), expected.shape(), "{what}");
    let (absolute, relative) =
        if actual.dtype() == DType::F64 { (1e-9, 1e-7) } else { (1e-5, 1e-4) };
    for (index, (actual, expected)) in values(actual).into_iter().zip(values(expected)).enumerate()
    {
        let close = (actual - expected).abs() <= absolute + relative * expected.abs();
        let same = actual == expected || (actual.is_nan() && expected.is_nan());
        assert!(close || same, "{what}: element {index} is {actual}, PyTorch's is {expected}");
    }
}

/// The case's result and, where there is such, the places of maxima.
fn compute(
    case: &str,
    x: &Tensor,
    w: Option<&Tensor>,
    get: &dyn Fn(&str) -> Option<Tensor>,
) -> (Tensor, Option<Tensor>) {
    let numbers: Vec<i64> =
        values(&get("numbers").expect("numbers")).into_iter().map(|number| number as i64).collect();
    let sizes: Vec<usize> = numbers.iter().map(|&number| number.max(0) as usize).collect();
    // Padding below zero, as what is taken from none.
    let cut: Vec<isize> = match case.starts_with("conv") {
        true => {
            let axes = sizes[0];
            let around = &numbers[1 + 3 * axes..1 + 5 * axes];
            around.iter().map(|&number| (-number).max(0) as isize).collect()
        }
        false => Vec::new(),
    };
    let kind = case.split(' ').next().unwrap_or_default();
    match kind {
        "conv" => (conv(x, w.expect("a weight"), &cut, &sizes), None),
        "conv_transpose" => (conv_transpose(x, w.expect("a weight"), &cut, &sizes), None),
        "max_pool" => (max_pool(x, &sizes), Some(max_pool_indices(x, &sizes))),
        "max_unpool" => (max_unpool_at(x, &get("indices").expect("indices"), &sizes), None),
        "avg_pool" => (avg_pool(x, &sizes), None),
        "lp_pool" => (lp_pool(x, values(&get("power").expect("a power"))[0], &sizes), None),
        "adaptive_avg_pool" => (adaptive_avg_pool(x, &sizes), None),
        "adaptive_max_pool" => {
            (adaptive_max_pool(x, &sizes), Some(adaptive_max_pool_indices(x, &sizes)))
        }
        "unfold" => (unfold(x, &sizes), None),
        "fold" => (fold(x, &sizes), None),
        other => panic!("a case of {other}"),
    }
}

/// All cases on a device in a dtype.
fn check(device: &Device, dtype: DType) {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/windows.safetensors");
    let golden = weights::load(path, device).expect("the golden file");
    let names: BTreeSet<String> = golden
        .iter()
        .filter_map(|(name, _)| name.strip_suffix(".cotangent").map(str::to_owned))
        .collect();
    assert!(names.len() > 150, "{} cases", names.len());
    for case in &names {
        let get = |role: &str| {
            let tensor = golden.get(&format!("{case}.{role}"))?;
            Some(if tensor.dtype().is_float() { tensor.cast(dtype) } else { tensor.clone() })
        };
        let x = get("x").expect("an input");
        let w = get("w");
        let (result, places) = compute(case, &x, w.as_ref(), &get);
        assert_close(case, &result, &get("y").expect("a result"));
        if let (Some(places), Some(expected)) = (places, get("places")) {
            assert_eq!(values(&places), values(&expected), "{case}: places of maxima");
        }
        let total = (&result * get("cotangent").expect("a cotangent")).sum(..);
        if let Some(expected) = get("grad_x") {
            let gradient = grad(&total, &[&x]).remove(0);
            assert_close(&format!("{case}, gradient of x"), &gradient, &expected);
        }
        if let (Some(w), Some(expected)) = (&w, get("grad_w")) {
            let gradient = grad(&total, &[w]).remove(0);
            assert_close(&format!("{case}, gradient of w"), &gradient, &expected);
        }
    }
}

#[test]
fn windows_are_pytorchs_on_the_reference() {
    check(&gradloom_testkit::reference::device(), DType::F64);
}

#[test]
fn windows_are_pytorchs_in_f64() {
    check(&gradloom_cpu::device(), DType::F64);
}

#[test]
fn windows_are_pytorchs_in_f32() {
    check(&gradloom_cpu::device(), DType::F32);
}

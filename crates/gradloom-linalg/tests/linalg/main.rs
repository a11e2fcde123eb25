//! Linear algebra against PyTorch, finite differences, loops over examples and its own definitions.

mod derivatives;
mod errors;
mod golden;
mod reconstruction;
mod speed;
mod threads;
mod vmap;

use gradloom_linalg as linalg;
use gradloom_tensor::{DType, Device, Key, Shape, Tensor};

/// The devices that run the ops: the interpreter's memory finds what is read before it is written.
fn devices() -> Vec<Device> {
    vec![gradloom_cpu::device(), gradloom_plan::interpret::device()]
}

/// Normal numbers that are the same on every run.
fn normal(seed: u64, shape: &[usize], dtype: DType) -> Tensor {
    let x = Tensor::normal(Key::new(seed), Shape::new(shape), 0.0, 1.0, &gradloom_cpu::device());
    let x = x.cast(dtype);
    x.eval().unwrap();
    x
}

fn t(x: &Tensor) -> Tensor {
    x.transpose(-2, -1)
}

/// Symmetric and positive definite.
fn positive(x: &Tensor) -> Tensor {
    let size = x.size(-2);
    x.matmul(&t(x)) + Tensor::eye(size, x.dtype(), x.device()) * 0.5
}

fn symmetric(x: &Tensor) -> Tensor {
    (x + t(x)) * 0.5
}

/// The elements as f64.
fn values(x: &Tensor) -> Vec<f64> {
    gradloom_testkit::check::elements(x).unwrap()
}

#[track_caller]
fn assert_close(what: &str, actual: &Tensor, expected: &[f64], tolerance: f64) {
    let actual = values(actual);
    assert_eq!(actual.len(), expected.len(), "{what}");
    let finite = expected.iter().filter(|value| value.is_finite());
    let scale = finite.fold(0.0f64, |most, value| most.max(value.abs())).max(1e-3);
    for (index, (a, e)) in actual.iter().zip(expected).enumerate() {
        let same = (a - e).abs() <= tolerance * scale || a == e || (a.is_nan() && e.is_nan());
        assert!(same, "{what}: element {index} is {a}, expected {e} (of {tolerance:e} {scale})");
    }
}

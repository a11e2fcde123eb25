//! Values and gradients of `torch.linalg`: `golden/make_golden.py` wrote them.

use gradloom_autodiff::grad;
use gradloom_tensor::{DType, Device, Shape, Tensor};
use serde_json::Value;

use crate::linalg::{self, MatrixNorm, QrMode, Tolerance, Triangular};
use crate::{assert_close, devices, t};

fn parse(text: &str) -> Vec<Value> {
    serde_json::from_str::<Value>(text).unwrap().as_array().unwrap().clone()
}

fn numbers(value: &Value) -> Vec<f64> {
    let infinite = |text: &str| text.parse::<f64>().unwrap();
    let number =
        |value: &Value| value.as_f64().unwrap_or_else(|| infinite(value.as_str().unwrap()));
    value.as_array().unwrap().iter().map(number).collect()
}

fn shape(value: &Value) -> Shape {
    value["shape"].as_array().unwrap().iter().map(|size| size.as_u64().unwrap() as usize).collect()
}

fn tensor(value: &Value, elements: &Value, dtype: DType, device: &Device) -> Tensor {
    gradloom_testkit::case::tensor(&numbers(elements), shape(value), dtype, device).unwrap()
}

fn matrix_norm(name: &str) -> MatrixNorm {
    match name {
        "fro" => MatrixNorm::Frobenius,
        "nuc" => MatrixNorm::Nuclear,
        "1" => MatrixNorm::One,
        "-1" => MatrixNorm::MinusOne,
        "2" => MatrixNorm::Two,
        "-2" => MatrixNorm::MinusTwo,
        "inf" => MatrixNorm::Infinity,
        "-inf" => MatrixNorm::MinusInfinity,
        other => panic!("no norm {other}"),
    }
}

fn diagonal(r: &Tensor) -> Tensor {
    let size = r.size(-2).min(r.size(-1));
    let square = r.narrow(-2, 0, size).narrow(-1, 0, size);
    (square * Tensor::eye(size, r.dtype(), r.device())).sum(-1)
}

/// What the script's function of this name gives.
fn call(function: &str, x: &[Tensor]) -> Vec<Tensor> {
    let (name, argument) = function.split_once(' ').unwrap_or((function, ""));
    let solve = |options: Triangular| vec![linalg::solve_triangular(&x[0], &x[1], options)];
    match name {
        "cholesky" => vec![linalg::cholesky(&x[0], false)],
        "cholesky_upper" => vec![linalg::cholesky(&x[0], true)],
        "qr" => {
            let (q, r) = linalg::qr(&x[0], QrMode::Reduced);
            let signs = diagonal(&r).sign().detach();
            vec![q * signs.unsqueeze(-2), r * signs.unsqueeze(-1)]
        }
        "svd" => {
            let (u, s, v) = linalg::svd(&x[0], false);
            let product = (&u * s.square().unsqueeze(-2)).matmul(&v);
            vec![s, u.square(), v.square(), product]
        }
        "eigh" => {
            let (w, v) = linalg::eigh(&x[0]);
            let product = (&v * w.exp().unsqueeze(-2)).matmul(&t(&v));
            vec![w, v.square(), product]
        }
        "svdvals" => vec![linalg::svdvals(&x[0])],
        "eigvalsh" => vec![linalg::eigvalsh(&x[0])],
        "pinv" => vec![linalg::pinv(&x[0], Tolerance::default())],
        "lu" => {
            let (p, l, u) = linalg::lu(&x[0]);
            vec![p, l, u]
        }
        "lu_factor" => {
            let (lu, pivots) = linalg::lu_factor(&x[0]);
            vec![lu, pivots]
        }
        "lu_solve" | "lu_solve_adjoint" => {
            let (lu, pivots) = linalg::lu_factor(&x[0]);
            vec![linalg::lu_solve(&lu, &pivots, &x[1], name == "lu_solve_adjoint")]
        }
        "solve" => vec![linalg::solve(&x[0], &x[1])],
        "solve_right" => vec![linalg::solve_right(&x[0], &x[1])],
        "triangular_lower" => solve(Triangular::lower()),
        "triangular_upper" => solve(Triangular::upper()),
        "triangular_lower_unit" => solve(Triangular::lower().unit()),
        "triangular_upper_right" => solve(Triangular::upper().right()),
        "triangular_upper_right_unit" => solve(Triangular::upper().unit().right()),
        "inv" => vec![linalg::inv(&x[0])],
        "det" => vec![linalg::det(&x[0])],
        "slogdet" => {
            let (sign, logarithm) = linalg::slogdet(&x[0]);
            vec![sign, logarithm]
        }
        "matrix_exp" => vec![linalg::matrix_exp(&x[0])],
        "matrix_power" => vec![linalg::matrix_power(&x[0], argument.parse().unwrap())],
        "lstsq" => vec![linalg::lstsq(&x[0], &x[1], None).solution],
        "lstsq_rank" => {
            let found = linalg::lstsq(&x[0], &x[1], None);
            vec![found.solution, found.rank]
        }
        "matrix_rank" => vec![linalg::matrix_rank(&x[0], Tolerance::default())],
        "matrix_norm" => vec![linalg::matrix_norm(&x[0], matrix_norm(argument))],
        "cond" => vec![linalg::cond(&x[0], matrix_norm(argument))],
        "vector_norm" => vec![linalg::vector_norm(&x[0], argument.parse().unwrap(), -1)],
        "norm" => vec![linalg::norm(&x[0])],
        "multi_dot" => vec![linalg::multi_dot(&x.iter().collect::<Vec<_>>())],
        "cross" => vec![linalg::cross(&x[0], &x[1], -1)],
        "vecdot" => vec![linalg::vecdot(&x[0], &x[1], -1)],
        "vander" => vec![linalg::vander(&x[0], None)],
        "householder_product" => vec![linalg::householder_product(&x[0], &x[1])],
        "tensorsolve" => vec![linalg::tensorsolve(&x[0], &x[1])],
        "tensorinv" => vec![linalg::tensorinv(&x[0], 1)],
        other => panic!("no function {other}"),
    }
}

fn check(number: usize, case: &Value, dtype: DType, device: &Device) {
    let function = case["function"].as_str().unwrap();
    let what = format!("case {number}, {function} in {dtype} on {}", device.name());
    let epsilon = if dtype == DType::F64 { f64::EPSILON } else { f32::EPSILON.into() };
    let condition = case["condition"].as_f64().unwrap();
    let tolerance = 16.0 * epsilon * condition;
    let inputs: Vec<Tensor> = case["inputs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|input| tensor(input, &input["data"], dtype, device).tracked())
        .collect();
    let outputs = call(function, &inputs);
    let expected = case["outputs"].as_array().unwrap();
    assert_eq!(outputs.len(), expected.len(), "{what}");
    let mut total = Tensor::scalar(0.0, dtype, device);
    for (index, (output, expected)) in outputs.iter().zip(expected).enumerate() {
        let what = format!("{what}: output {index}");
        assert_eq!(*output.shape(), shape(expected), "{what}");
        let elements = if dtype == DType::F64 { &expected["f64"] } else { &expected["f32"] };
        assert_close(&what, output, &numbers(elements), tolerance);
        if !expected["weights"].is_null() {
            let weights = tensor(expected, &expected["weights"], dtype, device);
            total = total + (output * weights).sum(..);
        }
    }
    let Some(expected) = case["gradients"].as_array() else { return };
    let gradients = grad(&total, &inputs.iter().collect::<Vec<_>>());
    for (index, (gradient, expected)) in gradients.iter().zip(expected).enumerate() {
        let what = format!("{what}: gradient {index}");
        let bound = (4.0 * tolerance * condition).min(0.5);
        assert_close(&what, gradient, &numbers(expected), bound);
    }
}

#[test]
fn values_and_gradients_are_pytorchs() {
    let cases = parse(include_str!("../golden/golden.json"));
    assert!(cases.len() > 150);
    for device in devices() {
        for dtype in [DType::F64, DType::F32] {
            for (number, case) in cases.iter().enumerate() {
                check(number, case, dtype, &device);
            }
        }
    }
}

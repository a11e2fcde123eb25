//! What is refused, when, and in which words; and matrices without elements.

use std::panic::{AssertUnwindSafe, catch_unwind};

use gradloom_autodiff::grad;
use gradloom_tensor::{DType, Key, Tensor};

use crate::linalg::{self, MatrixNorm, QrMode, Tolerance, Triangular};
use crate::{devices, normal, values};

fn message<T>(call: impl FnOnce() -> T) -> String {
    let panic = match catch_unwind(AssertUnwindSafe(call)) {
        Ok(_) => panic!("nothing is refused"),
        Err(panic) => panic,
    };
    match panic.downcast::<String>() {
        Ok(message) => *message,
        Err(panic) => panic.downcast::<&str>().expect("a message").to_string(),
    }
}

fn of(shape: &[usize]) -> Tensor {
    Tensor::ones(shape, DType::F64, &gradloom_cpu::device())
}

#[test]
fn square_matrices_are_asked_for_by_name() {
    let b = of(&[2, 1]);
    let functions: [(&str, fn(&Tensor, &Tensor) -> Tensor); 22] = [
        ("cholesky", |a, _| linalg::cholesky(a, false)),
        ("inv", |a, _| linalg::inv(a)),
        ("det", |a, _| linalg::det(a)),
        ("slogdet", |a, _| linalg::slogdet(a).0),
        ("eigh", |a, _| linalg::eigh(a).0),
        ("eigvalsh", |a, _| linalg::eigvalsh(a)),
        ("matrix_power", |a, _| linalg::matrix_power(a, 2)),
        ("cond", |a, _| linalg::cond(a, MatrixNorm::Frobenius)),
        ("solve", linalg::solve),
        ("solve_right", linalg::solve_right),
        ("solve_triangular", |a, b| linalg::solve_triangular(a, b, Triangular::lower())),
        ("cholesky_ex", |a, _| linalg::cholesky_ex(a, false).0),
        ("cholesky_solve", |a, b| linalg::cholesky_solve(a, b, false)),
        ("cholesky_inverse", |a, _| linalg::cholesky_inverse(a, false)),
        ("inv_ex", |a, _| linalg::inv_ex(a).0),
        ("solve_ex", |a, b| linalg::solve_ex(a, b).0),
        ("ldl_factor", |a, _| linalg::ldl_factor(a).0),
        ("eig", |a, _| linalg::eig(a).0),
        ("eigvals", |a, _| linalg::eigvals(a)),
        ("matrix_sqrth", |a, _| linalg::matrix_sqrth(a)),
        ("pinv_hermitian", |a, _| linalg::pinv_hermitian(a, Tolerance::default())),
        ("matrix_rank_hermitian", |a, _| linalg::matrix_rank_hermitian(a, Tolerance::default())),
    ];
    for (name, function) in functions {
        let said = message(|| function(&of(&[2, 3]), &b));
        assert_eq!(said, format!("{name}: needs square matrices [.., n, n], not shape [2, 3]"));
        let said = message(|| function(&of(&[2]), &b));
        assert_eq!(said, format!("{name}: needs a matrix [.., m, n], not shape [2]"));
        for dtype in [DType::I32, DType::F16, DType::Bool] {
            let said = message(|| function(&of(&[2, 2]).cast(dtype), &b));
            assert_eq!(said, format!("{name}: takes f32 or f64, not {dtype}; cast the operand"));
        }
    }
}

#[test]
fn matrices_are_asked_for_by_name() {
    let functions: [(&str, fn(&Tensor) -> Tensor); 12] = [
        ("qr", |a| linalg::qr(a, QrMode::Reduced).0),
        ("qr_r", linalg::qr_r),
        ("svd", |a| linalg::svd(a, true).0),
        ("svdvals", linalg::svdvals),
        ("lu", |a| linalg::lu(a).0),
        ("lu_factor", |a| linalg::lu_factor(a).0),
        ("pinv", |a| linalg::pinv(a, Tolerance::default())),
        ("matrix_rank", |a| linalg::matrix_rank(a, Tolerance::default())),
        ("lu_factor_ex", |a| linalg::lu_factor_ex(a).0),
        ("geqrf", |a| linalg::geqrf(a).0),
        ("polar", |a| linalg::polar(a).0),
        ("svd_lowrank", |a| linalg::svd_lowrank(a, 1, 2, Key::new(1)).0),
    ];
    for (name, function) in functions {
        let said = message(|| function(&of(&[2])));
        assert_eq!(said, format!("{name}: needs a matrix [.., m, n], not shape [2]"));
        let said = message(|| function(&of(&[2, 2]).cast(DType::I64)));
        assert_eq!(said, format!("{name}: takes f32 or f64, not i64; cast the operand"));
    }
}

#[test]
fn operands_that_do_not_fit_are_named() {
    let single = of(&[2, 2]).cast(DType::F32);
    for (said, expected) in [
        (
            message(|| linalg::solve(&of(&[2, 2]), &of(&[3, 1]))),
            "solve: A [2, 2] and B [3, 1] do not fit A X = B",
        ),
        (
            message(|| linalg::solve(&of(&[2, 2]), &single)),
            "solve: operands of f64 and f32; cast one of them",
        ),
        (
            message(|| linalg::solve(&of(&[2, 2, 2]), &of(&[3, 2, 1]))),
            "solve: batches [2] and [3] do not broadcast",
        ),
        (
            message(|| linalg::solve_right(&of(&[2, 2]), &of(&[2, 3]))),
            "solve_right: A [2, 2] and B [2, 3] do not fit X A = B",
        ),
        (
            message(|| linalg::solve_triangular(&of(&[2, 2]), &of(&[3, 1]), Triangular::lower())),
            "solve_triangular: A [2, 2] and B [3, 1] do not fit A X = B",
        ),
        (
            message(|| {
                linalg::solve_triangular(&of(&[2, 2]), &of(&[3, 1]), Triangular::lower().right())
            }),
            "solve_triangular: A [2, 2] and B [3, 1] do not fit X A = B",
        ),
        (
            message(|| linalg::lstsq(&of(&[3, 2]), &of(&[2, 1]), None)),
            "lstsq: A [3, 2] and B [2, 1] do not fit A X = B",
        ),
        (
            message(|| linalg::lu_solve(&of(&[2, 2]), &of(&[2]), &of(&[2, 1]), false)),
            "lu_solve: pivots are i32, not f64",
        ),
        (
            message(|| {
                linalg::lu_solve(&of(&[2, 2]), &of(&[3]).cast(DType::I32), &of(&[2, 1]), false)
            }),
            "lu_solve: pivots [3], not [2]",
        ),
        (
            message(|| linalg::multi_dot(&[&of(&[2, 2])])),
            "multi_dot: needs two or more tensors, not 1",
        ),
        (
            message(|| linalg::multi_dot(&[&of(&[2, 2]), &of(&[3, 2])])),
            "multi_dot: tensors 0 and 1: [2, 2] x [3, 2]",
        ),
        (
            message(|| linalg::multi_dot(&[&of(&[2, 2]), &of(&[2]), &of(&[2])])),
            "multi_dot: tensor 1 is [2], not a matrix",
        ),
        (
            message(|| linalg::cross(&of(&[2, 2]), &of(&[2, 2]), -1)),
            "cross: axis -1 of [2, 2] has not three elements",
        ),
        (
            message(|| linalg::vecdot(&of(&[2]), &of(&[3]), -1)),
            "vecdot: batches [2] and [3] do not broadcast",
        ),
        (message(|| linalg::vander(&of(&[2]), Some(0))), "vander: needs at least one power"),
        (
            message(|| linalg::vector_norm(&of(&[0]), f64::INFINITY, ..)),
            "vector_norm: there is no norm of order inf of no elements (axes of [0])",
        ),
        (
            message(|| linalg::householder_product(&of(&[2, 3]), &of(&[1]))),
            "householder_product: matrices [2, 3] and tau [1] do not fit [.., m, n] and [.., k] with k <= n <= m",
        ),
        (
            message(|| linalg::tensorsolve(&of(&[2, 3, 5]), &of(&[2, 3]))),
            "tensorsolve: A [2, 3, 5] does not map [5] to B [2, 3]",
        ),
        (
            message(|| linalg::tensorinv(&of(&[2, 3]), 1)),
            "tensorinv: the first 1 axes of [2, 3] have not as many elements as the others",
        ),
        (
            message(|| linalg::norm(&of(&[2]).cast(DType::I32))),
            "norm: takes floats, not i32; cast the operand",
        ),
        (
            message(|| linalg::matrix_norm(&of(&[2, 2]).cast(DType::I64), MatrixNorm::One)),
            "matrix_norm: takes floats, not i64; cast the operand",
        ),
        (
            message(|| linalg::matrix_exp(&of(&[2, 2]).cast(DType::Bool))),
            "matrix_exp: takes floats, not bool; cast the operand",
        ),
        (
            message(|| linalg::matrix_exp(&of(&[2, 3]))),
            "matrix_exp: needs square matrices [.., n, n], not shape [2, 3]",
        ),
    ] {
        assert_eq!(said, expected);
    }
    let tall = of(&[3, 2]).tracked();
    let said = message(|| grad(&linalg::qr(&tall, QrMode::Complete).0.sum(..), &[&tall]));
    assert!(said.starts_with("qr: a complete Q"), "{said}");
}

#[test]
fn what_only_the_elements_show_fails_the_evaluation() {
    for device in devices() {
        let make = |elements: [[f64; 2]; 2]| Tensor::new(elements, &device).unwrap();
        let good = make([[2.0, 0.0], [0.0, 1.0]]);
        let singular = make([[1.0, 2.0], [2.0, 4.0]]);
        let indefinite = make([[1.0, 2.0], [2.0, 1.0]]);
        let nan = make([[1.0, f64::NAN], [2.0, 3.0]]);
        let lower_nan = make([[1.0, 2.0], [f64::NAN, 3.0]]);
        let line = line!() + 1;
        let error = linalg::inv(&singular).eval().unwrap_err().to_string();
        assert!(error.starts_with("inv of shape [2, 2]"), "{error}");
        assert!(error.contains(&format!("errors.rs:{line}")), "{error}");
        assert!(error.ends_with("the matrix: it is singular (pivot 2 is zero)"), "{error}");
        let stacked = |bad: &Tensor| Tensor::stack(&[&good, &good, bad, bad], 0);
        let fails = |result: Tensor, op: &str, reason: &str| {
            let error = result.eval().unwrap_err().to_string();
            assert!(error.starts_with(op) && error.ends_with(reason), "{error}");
        };
        let reason = "matrix 2 of the batch: it is singular (pivot 2 is zero)";
        let b = good.reshape([1, 2, 2]);
        fails(linalg::solve(&stacked(&singular), &b), "solve of", reason);
        fails(linalg::solve_right(&stacked(&singular), &b), "solve_right of", reason);
        fails(linalg::matrix_power(&stacked(&singular), -1), "inv of", reason);
        let grid = stacked(&indefinite).reshape([2, 2, 2, 2]);
        let reason = "matrix [1, 0] of the batch: it is not positive definite (the leading minor of order 2 is not)";
        fails(linalg::cholesky(&grid, false), "cholesky of", reason);
        fails(
            linalg::cholesky(&lower_nan, false),
            "cholesky of",
            "(the leading minor of order 2 is not)",
        );
        let reason = "matrix 2 of the batch: it has elements that are NaN or infinite";
        fails(linalg::svd(&stacked(&nan), true).1, "svd of", reason);
        fails(linalg::svdvals(&stacked(&nan)), "svdvals of", reason);
        fails(linalg::pinv(&stacked(&nan), Tolerance::default()), "pinv of", reason);
        fails(linalg::eigh(&stacked(&lower_nan)).0, "eigh of", reason);
        fails(linalg::eigvalsh(&stacked(&lower_nan)), "eigvalsh of", reason);
        fails(linalg::lstsq(&stacked(&nan), &stacked(&good), None).solution, "lstsq of", reason);
        let pivots = Tensor::new([1i32, 5], &device).unwrap();
        let solved = linalg::lu_solve(&good, &pivots, &good, false);
        fails(solved, "lu_solve of", "the matrix: a pivot is 5, not in 1..=2");
        // The upper triangle is not read.
        assert!(values(&linalg::eigvalsh(&nan)).iter().all(|value| value.is_finite()));
    }
}

#[test]
fn nan_and_singular_matrices_have_values_where_pytorch_has_them() {
    let device = gradloom_cpu::device();
    let nan = Tensor::new([[1.0f64, f64::NAN], [2.0, 3.0]], &device).unwrap();
    let all_nan = |x: Tensor| assert!(values(&x).iter().all(|value| value.is_nan()), "{x:?}");
    all_nan(linalg::inv(&nan));
    all_nan(linalg::det(&nan));
    all_nan(linalg::slogdet(&nan).1);
    all_nan(linalg::matrix_exp(&nan));
    all_nan(linalg::matrix_norm(&nan, MatrixNorm::Frobenius));
    all_nan(linalg::norm(&nan));
    assert!(values(&linalg::qr(&nan, QrMode::Reduced).1).iter().any(|value| value.is_nan()));
    let singular = Tensor::new([[1.0f64, 2.0], [2.0, 4.0]], &device).unwrap();
    assert_eq!(values(&linalg::det(&singular)), [0.0]);
    let (sign, logarithm) = linalg::slogdet(&singular);
    assert_eq!((values(&sign)[0], values(&logarithm)[0]), (0.0, f64::NEG_INFINITY));
    assert_eq!(values(&linalg::cond(&singular, MatrixNorm::Frobenius)), [f64::INFINITY]);
    assert_eq!(values(&linalg::cond(&singular, MatrixNorm::Nuclear)), [f64::INFINITY]);
    let zero = Tensor::zeros([2, 2], DType::F64, &device);
    assert_eq!(values(&linalg::lu(&zero).2), [0.0; 4]);
    let b = Tensor::ones([2, 1], DType::F64, &device);
    let x = values(&linalg::solve_triangular(&zero, &b, Triangular::upper()));
    assert!(x.iter().all(|value| !value.is_finite()), "{x:?}");
}

#[test]
fn what_is_singular_is_numbered_where_that_is_asked_for() {
    for device in devices() {
        let on = |elements: &[f64]| Tensor::from_slice(elements, [2, 2, 2], &device).unwrap();
        let a = on(&[4.0, 1.0, 1.0, 3.0, 1.0, 2.0, 2.0, 4.0]);
        let (inverse, zero) = linalg::inv_ex(&a);
        assert_eq!(values(&zero), [0.0, 2.0]);
        let inverse = values(&inverse);
        assert!((inverse[0] - 3.0 / 11.0).abs() < 1e-15 && !inverse[4].is_finite());
        let b = Tensor::ones([2, 2], DType::F64, &device);
        assert_eq!(values(&linalg::solve_ex(&a, &b).1), [0.0, 2.0]);
        assert_eq!(values(&linalg::lu_factor_ex(&a).2), [0.0, 2.0]);
        let (factor, order) = linalg::cholesky_ex(&a, false);
        assert_eq!(values(&order), [0.0, 2.0]);
        assert!(values(&factor)[..4].iter().all(|x| x.is_finite()));
        assert!(values(&factor)[4..].iter().all(|x| x.is_nan()));
        let zeros = Tensor::zeros([3, 3], DType::F64, &device);
        assert_eq!(values(&linalg::ldl_factor_ex(&zeros).2), [1.0]);
        assert_eq!(
            values(&linalg::inv_ex(&Tensor::zeros([4, 0, 0], DType::F64, &device)).1),
            [0.0; 4]
        );
    }
}

#[test]
fn factors_without_derivative_say_so() {
    let a = of(&[2, 2]).tracked();
    let gradient = |y: &Tensor| message(|| grad(&y.sum(..), &[&a]));
    assert!(gradient(&linalg::ldl_factor(&a).0).starts_with("ldl_factor: the factors have no"));
    assert!(gradient(&linalg::geqrf(&a).0).starts_with("geqrf: the reflections have no"));
    let pivots = Tensor::new([1i32, 2], a.device()).unwrap();
    let solved = linalg::ldl_solve(&a, &pivots, &of(&[2, 1]));
    assert!(gradient(&solved).starts_with("ldl_solve: it has a derivative in b alone"));
    let wrong = Tensor::new([1i32, 3], a.device()).unwrap();
    let error = linalg::ldl_solve(&a, &wrong, &of(&[2, 1])).eval().unwrap_err().to_string();
    assert!(error.contains("pivot 2 is 3, which ldl_factor does not give"), "{error}");
    let said = message(|| linalg::polar(&of(&[2, 3])));
    assert_eq!(said, "polar: [2, 3] has more columns than rows; transpose it");
    let said = message(|| linalg::svd_lowrank(&of(&[2, 3]), 3, 2, Key::new(1)));
    assert_eq!(said, "svd_lowrank: [2, 3] has not 3 singular values; ask for fewer");
    let said = message(|| linalg::tensorsolve_with(&of(&[2, 2]), &of(&[2]), &[0, 0]));
    assert_eq!(said, "tensorsolve: [0, 0] are not different axes of [2, 2]");
    let said = message(|| linalg::matrix_norm_along(&of(&[2, 2]), MatrixNorm::One, [0, 2]));
    assert_eq!(said, "matrix_norm: 0 and 2 are no two axes of [2, 2]");
}

#[test]
fn matrices_without_elements() {
    let none = of(&[0, 0]);
    let identity = Tensor::eye(2, DType::F64, none.device());
    let shape = |x: &Tensor| {
        x.eval().unwrap();
        x.shape().to_vec()
    };
    assert_eq!(values(&linalg::det(&none)), [1.0]);
    let (sign, logarithm) = linalg::slogdet(&of(&[2, 0, 0]));
    assert_eq!((values(&sign), values(&logarithm)), (vec![1.0; 2], vec![0.0; 2]));
    for square in [
        linalg::inv(&none),
        linalg::cholesky(&none, false),
        linalg::eigh(&none).1,
        linalg::matrix_exp(&none),
        linalg::lu(&none).1,
        linalg::lu_factor(&none).0,
        linalg::matrix_power(&none, 0),
        linalg::cholesky_inverse(&none, false),
        linalg::matrix_sqrth(&none),
        linalg::polar(&none).0,
        linalg::ldl_factor(&none).0,
        linalg::pinv_hermitian(&none, Tolerance::default()),
    ] {
        assert_eq!(shape(&square), [0, 0]);
    }
    assert_eq!(shape(&linalg::eigvalsh(&none)), [0]);
    let (w, v) = linalg::eig(&none);
    assert_eq!((shape(&w), shape(&v)), (vec![0, 2], vec![0, 0, 2]));
    assert_eq!(shape(&linalg::eig(&of(&[0, 2, 2])).1), [0, 2, 2, 2]);
    assert_eq!(shape(&linalg::solve(&none, &of(&[0, 3]))), [0, 3]);
    assert_eq!(shape(&linalg::solve(&identity, &of(&[2, 0]))), [2, 0]);
    assert_eq!(shape(&linalg::inv(&of(&[0, 2, 2]))), [0, 2, 2]);
    for sizes in [[0, 3], [3, 0], [0, 0]] {
        let [rows, columns] = sizes;
        let a = of(&sizes);
        let (u, s, v) = linalg::svd(&a, false);
        assert_eq!((shape(&u), shape(&s), shape(&v)), (vec![rows, 0], vec![0], vec![0, columns]));
        let (u, _, v) = linalg::svd(&a, true);
        let identity = |size: usize| values(&Tensor::eye(size, DType::F64, a.device()));
        assert_eq!((values(&u), values(&v)), (identity(rows), identity(columns)));
        let (q, r) = linalg::qr(&a, QrMode::Reduced);
        assert_eq!((shape(&q), shape(&r)), (vec![rows, 0], vec![0, columns]));
        let (q, r) = linalg::qr(&a, QrMode::Complete);
        let height = if rows > columns { rows } else { 0 };
        assert_eq!((values(&q), shape(&r)), (identity(height), vec![height, columns]));
        assert_eq!(shape(&linalg::svdvals(&a)), [0]);
        assert_eq!(shape(&linalg::pinv(&a, Tolerance::default())), [columns, rows]);
        assert_eq!(values(&linalg::matrix_rank(&a, Tolerance::default())), [0.0]);
        assert_eq!(values(&linalg::matrix_norm(&a, MatrixNorm::Two)), [0.0]);
        assert_eq!(values(&linalg::cond(&a, MatrixNorm::Two)), [0.0]);
        let least = linalg::lstsq(&a, &of(&[rows, 2]), None);
        assert_eq!(values(&least.solution), vec![0.0; columns * 2]);
        assert_eq!(values(&least.rank), [0.0]);
    }
    assert_eq!(values(&linalg::vector_norm(&of(&[0]), 2.0, ..)), [0.0]);
    // Derivatives of nothing.
    for size in [0, 1] {
        let a = normal(1, &[size, size], DType::F64).tracked();
        let loss = linalg::det(&a)
            + linalg::svd(&a, false).1.sum(..)
            + linalg::eigh(&a).0.sum(..)
            + linalg::qr(&a, QrMode::Reduced).1.sum(..)
            + linalg::lu(&a).2.sum(..)
            + linalg::inv(&a).sum(..)
            + linalg::matrix_exp(&a).sum(..)
            + linalg::pinv(&a, Tolerance::default()).sum(..);
        assert_eq!(shape(&grad(&loss, &[&a])[0]), [size, size]);
    }
}

#[test]
fn gpus_name_the_op() {
    let adapters = gradloom_wgpu::adapters();
    if adapters.is_empty() {
        eprintln!("SKIPPED on GPUs: no adapter found; install a Vulkan driver to run this test");
    }
    for adapter in adapters {
        let device = gradloom_wgpu::device(&adapter.index.to_string()).unwrap();
        let a = Tensor::ones([2, 2], DType::F32, &device);
        let error = linalg::cholesky(&a, false).eval().unwrap_err();
        assert!(error.is_unsupported(), "{error}");
        let error = error.to_string();
        assert!(error.starts_with("cholesky of shape [2, 2]"), "{error}");
        assert!(error.contains(&device.name()) && error.contains("errors.rs"), "{error}");
    }
}

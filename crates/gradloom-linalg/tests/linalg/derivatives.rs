//! Gradients of first and second order against finite differences in f64.

use gradloom_autodiff::grad;
use gradloom_tensor::{DType, Tensor};
use gradloom_testkit::case::Case;
use gradloom_testkit::check::finite_differences;

use crate::linalg::{self, MatrixNorm, ProductWithQ, QrMode, Tolerance, Triangular};
use crate::{assert_close, normal, positive, symmetric, t};

/// All results in one, each by a curve of its own, so that second derivatives are not zero by chance.
fn mixed(parts: &[Tensor]) -> Tensor {
    let flat: Vec<Tensor> =
        parts.iter().map(|part| (part.sin() + part.square() * 0.3).reshape([-1])).collect();
    Tensor::concat(&flat, 0)
}

/// A matrix far from singular, whatever was drawn.
fn regular(x: &Tensor) -> Tensor {
    let shift = Tensor::eye(x.size(-1), x.dtype(), x.device()) * 3.0;
    x + shift
}

fn cases() -> Vec<Case> {
    let square = |name: &str, function: fn(&[Tensor]) -> Tensor| {
        [&[3, 3][..], &[1, 1], &[2, 2, 3, 3]]
            .map(|shape| Case::new(format!("{name} {shape:?}"), function).float(shape))
    };
    let any = |name: &str, function: fn(&[Tensor]) -> Tensor| {
        [&[3, 3][..], &[4, 2], &[2, 4], &[1, 1], &[2, 3, 2], &[2, 2, 3]]
            .map(|shape| Case::new(format!("{name} {shape:?}"), function).float(shape))
    };
    let mut cases = Vec::new();
    cases.extend(square("cholesky", |x| mixed(&[linalg::cholesky(&positive(&x[0]), false)])));
    cases.extend(square("cholesky upper", |x| mixed(&[linalg::cholesky(&positive(&x[0]), true)])));
    cases.extend(square("inv", |x| mixed(&[linalg::inv(&regular(&x[0]))])));
    cases.extend(square("det", |x| mixed(&[linalg::det(&x[0])])));
    cases.extend(square("slogdet", |x| mixed(&[linalg::slogdet(&regular(&x[0])).1])));
    cases.extend(square("eigvalsh", |x| mixed(&[linalg::eigvalsh(&symmetric(&x[0]))])));
    cases.extend(square("eigh", |x| {
        let (w, v) = linalg::eigh(&symmetric(&x[0]));
        mixed(&[w, v.square()])
    }));
    cases.extend(square("matrix_exp", |x| mixed(&[linalg::matrix_exp(&(&x[0] * 0.5))])));
    cases.extend(square("matrix_power", |x| mixed(&[linalg::matrix_power(&(&x[0] * 0.5), 3)])));
    cases.extend(square("cond", |x| mixed(&[linalg::cond(&regular(&x[0]), MatrixNorm::One)])));
    cases
        .extend(square("cholesky_ex", |x| mixed(&[linalg::cholesky_ex(&positive(&x[0]), true).0])));
    cases.extend(square("cholesky_inverse", |x| {
        let lower = regular(&x[0]);
        mixed(&[false, true].map(|upper| linalg::cholesky_inverse(&lower, upper)))
    }));
    cases.extend(square("inv_ex", |x| mixed(&[linalg::inv_ex(&regular(&x[0])).0])));
    cases.extend(square("matrix_sqrth", |x| mixed(&[linalg::matrix_sqrth(&positive(&x[0]))])));
    cases.extend(square("pinv_hermitian", |x| {
        mixed(&[linalg::pinv_hermitian(&symmetric(&x[0]), Tolerance::default())])
    }));
    // Without phases, and without the order of conjugate pairs.
    cases.extend(square("eig", |x| {
        let (w, v) = linalg::eig(&(&x[0] + symmetric(&x[0]) * 2.0));
        mixed(&[w.square().sum(-1), v.square().sum(-1)])
    }));
    // Sums of powers, which are smooth also where eigenvalues meet.
    cases.extend(square("eigvals", |x| {
        let w = linalg::eigvals(&x[0]);
        let (re, im) = (w.index(-1, 0), w.index(-1, 1));
        let squares = (re.square() - im.square()).sum(-1);
        let cubes = (re.powi(3) - re * im.square() * 3.0).sum(-1);
        mixed(&[squares, cubes])
    }));
    cases.extend([&[3, 3][..], &[4, 2], &[1, 1], &[2, 3, 2]].map(|shape| {
        let of: fn(&[Tensor]) -> Tensor = |x| {
            let (u, h) = linalg::polar(&x[0]);
            mixed(&[u, h])
        };
        Case::new(format!("polar {shape:?}"), of).float(shape)
    }));
    cases.extend(any("lu_unpack", |x| {
        let (lu, pivots) = linalg::lu_factor(&x[0]);
        let (_, l, u) = linalg::lu_unpack(&lu, &pivots);
        mixed(&[l, u])
    }));
    cases.extend(any("lu", |x| {
        let (_, l, u) = linalg::lu(&x[0]);
        mixed(&[l, u])
    }));
    cases.extend(any("qr", |x| {
        let (q, r) = linalg::qr(&x[0], QrMode::Reduced);
        mixed(&[q.square(), r.square(), linalg::qr_r(&x[0]).abs()])
    }));
    cases.extend(any("svdvals", |x| mixed(&[linalg::svdvals(&x[0])])));
    cases.extend(any("svd", |x| {
        let (u, s, v) = linalg::svd(&x[0], false);
        mixed(&[u.square(), s, v.square()])
    }));
    cases.extend(any("full svd", |x| {
        let (u, s, v) = linalg::svd(&x[0], true);
        let size = s.size(-1);
        mixed(&[u.narrow(-1, 0, size).square(), v.narrow(-2, 0, size).square()])
    }));
    cases.extend(any("pinv", |x| mixed(&[linalg::pinv(&x[0], Tolerance::default())])));
    cases
        .extend(any("nuclear norm", |x| mixed(&[linalg::matrix_norm(&x[0], MatrixNorm::Nuclear)])));
    let two = |name: &str, function: fn(&[Tensor]) -> Tensor, a: &[usize], b: &[usize]| {
        Case::new(format!("{name} {a:?} {b:?}"), function).float(a).float(b)
    };
    let solve: fn(&[Tensor]) -> Tensor = |x| mixed(&[linalg::solve(&regular(&x[0]), &x[1])]);
    let right: fn(&[Tensor]) -> Tensor = |x| mixed(&[linalg::solve_right(&regular(&x[0]), &x[1])]);
    let triangular: fn(&[Tensor]) -> Tensor = |x| {
        let a = regular(&x[0]);
        let options = [
            Triangular::lower(),
            Triangular::upper(),
            Triangular::lower().unit(),
            Triangular::upper().unit(),
        ];
        let left = options.map(|options| linalg::solve_triangular(&a, &x[1], options));
        let right = options.map(|options| linalg::solve_triangular(&a, &t(&x[1]), options.right()));
        mixed(&[left, right].concat())
    };
    let lu_solve: fn(&[Tensor]) -> Tensor = |x| {
        let (lu, pivots) = linalg::lu_factor(&regular(&x[0]));
        mixed(&[false, true].map(|adjoint| linalg::lu_solve(&lu, &pivots, &x[1], adjoint)))
    };
    let lu_solve_right: fn(&[Tensor]) -> Tensor = |x| {
        let (lu, pivots) = linalg::lu_factor(&regular(&x[0]));
        mixed(
            &[false, true].map(|adjoint| linalg::lu_solve_right(&lu, &pivots, &t(&x[1]), adjoint)),
        )
    };
    let ldl_solve: fn(&[Tensor]) -> Tensor = |x| {
        // A matrix that does not vary.
        let a = symmetric(&normal(3, x[0].shape(), DType::F64));
        let (factors, pivots) = linalg::ldl_factor(&a);
        mixed(&[linalg::ldl_solve(&factors, &pivots, &x[1])]) + x[0].sum(..) * 0.0
    };
    let cholesky_solve: fn(&[Tensor]) -> Tensor = |x| {
        let factor = regular(&x[0]);
        mixed(&[false, true].map(|upper| linalg::cholesky_solve(&factor, &x[1], upper)))
    };
    let lstsq: fn(&[Tensor]) -> Tensor = |x| {
        let found = linalg::lstsq(&x[0], &x[1], None);
        mixed(&[found.solution, found.residuals])
    };
    for (a, b) in [
        (&[3, 3][..], &[3, 2][..]),
        (&[1, 1][..], &[1, 1][..]),
        (&[2, 1, 3, 3][..], &[2, 3, 1][..]),
        (&[3, 3][..], &[2, 3, 1][..]),
    ] {
        for (name, function) in [
            ("solve", solve),
            ("triangular", triangular),
            ("lu_solve", lu_solve),
            ("lu_solve_right", lu_solve_right),
            ("ldl_solve", ldl_solve),
            ("cholesky_solve", cholesky_solve),
        ] {
            cases.push(two(name, function, a, b));
        }
    }
    cases.push(two("solve", solve, &[3, 3], &[3]));
    cases.push(two("solve", solve, &[2, 3, 3], &[2, 3]));
    cases.push(two("solve_right", right, &[2, 3, 3], &[2, 3]));
    for (a, b) in [
        (&[4, 2][..], &[4, 2][..]),
        (&[2, 4][..], &[2, 1][..]),
        (&[3, 3][..], &[3, 1][..]),
        (&[2, 3, 2][..], &[3, 1][..]),
        (&[2, 3, 2][..], &[2, 3][..]),
    ] {
        cases.push(two("lstsq", lstsq, a, b));
    }
    cases.push(
        Case::new("vector norms", |x| {
            let orders = [0.5, 2.0, 3.0, -1.0, 2.5];
            mixed(&orders.map(|order| linalg::vector_norm(&x[0], order, -1)))
        })
        .float(&[2, 4]),
    );
    cases.push(two(
        "products",
        |x| {
            let cross = linalg::cross(&x[0], &x[1], -1);
            mixed(&[cross, linalg::vecdot(&x[0], &x[1], -1), linalg::vander(&x[0], Some(4))])
        },
        &[2, 3],
        &[1, 3],
    ));
    cases.push(two(
        "householder_product",
        |x| mixed(&[linalg::householder_product(&x[0], &x[1])]),
        &[2, 4, 3],
        &[2, 2],
    ));
    let ormqr: [(&str, fn(&[Tensor]) -> Tensor, [usize; 3]); 4] = [
        ("left", |x| mixed(&[linalg::ormqr(&x[0], &x[1], &x[2], ProductWithQ::Left)]), [2, 4, 3]),
        (
            "left transposed",
            |x| mixed(&[linalg::ormqr(&x[0], &x[1], &x[2], ProductWithQ::LeftTransposed)]),
            [2, 4, 3],
        ),
        ("right", |x| mixed(&[linalg::ormqr(&x[0], &x[1], &x[2], ProductWithQ::Right)]), [2, 3, 4]),
        (
            "right transposed",
            |x| mixed(&[linalg::ormqr(&x[0], &x[1], &x[2], ProductWithQ::RightTransposed)]),
            [2, 3, 4],
        ),
    ];
    for (name, function, c) in ormqr {
        let case = Case::new(format!("ormqr {name}"), function);
        cases.push(case.float(&[2, 4, 2]).float(&[2, 2]).float(&c));
    }
    cases
}

#[test]
fn gradients_are_finite_differences() {
    let device = gradloom_cpu::device();
    let faults: Vec<String> =
        cases().iter().filter_map(|case| finite_differences(case, &device).err()).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn losses_of_equal_eigenvalues_alone_have_gradients() {
    // An orthogonal basis, so that equal eigenvalues are not those of a multiple of the identity.
    let (basis, _) = linalg::qr(&normal(3, &[4, 4], DType::F64), QrMode::Reduced);
    for of in [[2.0, 2.0, 2.0, 5.0], [1.0, 1.0, 1.0, 1.0], [0.0, 0.0, 3.0, 3.0]] {
        let scales = Tensor::new(of, basis.device()).unwrap();
        let a = symmetric(&(&basis * &scales).matmul(&t(&basis)));
        a.eval().unwrap();
        let a = a.detach().tracked();
        // sum(exp(w)) is the trace of exp(A), whose gradient is exp(A).
        let expected = (&basis * scales.exp()).matmul(&t(&basis));
        let expected = expected.to_vec::<f64>().unwrap();
        for values in [linalg::eigvalsh(&a), linalg::eigh(&a).0] {
            let gradient = grad(&values.exp().sum(..), &[&a]).remove(0);
            assert_close("eigenvalues", &gradient, &expected, 1e-13);
        }
        // sum(s^2) is the sum of squares, whose gradient is 2 A.
        let expected = (&a * 2.0).to_vec::<f64>().unwrap();
        for values in [linalg::svdvals(&a), linalg::svd(&a, false).1, linalg::svd(&a, true).1] {
            let gradient = grad(&values.square().sum(..), &[&a]).remove(0);
            assert_close("singular values", &gradient, &expected, 1e-13);
        }
    }
}

#[test]
fn determinants_of_singular_matrices_have_gradients() {
    let device = gradloom_cpu::device();
    for (elements, expected) in [
        (
            [[1.0f64, 2.0, 0.0], [2.0, 4.0, 0.0], [0.0, 0.0, 3.0]],
            [12.0, -6.0, 0.0, -6.0, 3.0, 0.0, 0.0, 0.0, 0.0],
        ),
        ([[1.0, 2.0, 3.0], [2.0, 4.0, 6.0], [3.0, 6.0, 9.0]], [0.0; 9]),
        ([[0.0; 3]; 3], [0.0; 9]),
    ] {
        let a = Tensor::new(elements, &device).unwrap().tracked();
        let gradient = grad(&linalg::det(&a), &[&a]).remove(0);
        assert_close("det", &gradient, &expected, 1e-10);
    }
    let zero = Tensor::new([[0.0f64]], &device).unwrap().tracked();
    assert_close("det", &grad(&linalg::det(&zero), &[&zero])[0], &[1.0], 1e-15);
}

#[test]
fn vectors_that_are_equal_by_choice_give_finite_gradients() {
    let device = gradloom_cpu::device();
    let a = Tensor::eye(3, DType::F64, &device).tracked();
    let (_, v) = linalg::eigh(&a);
    let (u, _, _) = linalg::svd(&a, false);
    for loss in [v.powi(4).sum(..), u.powi(4).sum(..)] {
        let gradient = grad(&loss, &[&a]).remove(0).to_vec::<f64>().unwrap();
        assert!(gradient.iter().all(|element| element.is_finite()), "{gradient:?}");
    }
}

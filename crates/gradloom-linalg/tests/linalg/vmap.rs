//! Functions of one example applied to many, against a loop over them.

use gradloom_autodiff::{grad, vmap};
use gradloom_tensor::{DType, Tensor};

use crate::linalg::{self, MatrixNorm, ProductWithQ, QrMode, Tolerance, Triangular};
use crate::{assert_close, devices, normal, positive, symmetric, t, values};

/// Compares `function` on all examples at once with one after another; `in_axes` says which operands have
/// examples.
#[track_caller]
fn check(what: &str, function: fn(&[Tensor]) -> Tensor, operands: &[Tensor], mapped: &[bool]) {
    for device in devices() {
        let operands: Vec<Tensor> =
            operands.iter().map(|operand| operand.to_device(&device)).collect();
        let axes: Vec<Option<isize>> = mapped.iter().map(|&mapped| mapped.then_some(0)).collect();
        let at_once = vmap(function, axes, 0).call(&operands);
        let examples = operands.iter().zip(mapped).find(|(_, mapped)| **mapped).unwrap().0.size(0);
        let mut expected = Vec::new();
        for example in 0..examples {
            let of_one: Vec<Tensor> = operands
                .iter()
                .zip(mapped)
                .map(|(x, &mapped)| if mapped { x.index(0, example as isize) } else { x.clone() })
                .collect();
            expected.extend(values(&function(&of_one)));
        }
        assert_close(what, &at_once, &expected, 1e-11);
    }
}

fn flat(parts: &[Tensor]) -> Tensor {
    Tensor::concat(&parts.iter().map(|part| part.reshape([-1])).collect::<Vec<_>>(), 0)
}

#[test]
fn functions_of_one_matrix() {
    let functions: [(&str, fn(&[Tensor]) -> Tensor); 22] = [
        ("cholesky", |x| linalg::cholesky(&positive(&x[0]), true)),
        ("inv", |x| linalg::inv(&x[0])),
        ("det", |x| linalg::det(&x[0])),
        ("slogdet", |x| linalg::slogdet(&x[0]).1),
        ("eigh", |x| {
            let (w, v) = linalg::eigh(&symmetric(&x[0]));
            flat(&[w, v.square()])
        }),
        ("eigvalsh", |x| linalg::eigvalsh(&x[0])),
        ("matrix_exp", |x| linalg::matrix_exp(&x[0])),
        ("matrix_power", |x| linalg::matrix_power(&x[0], -2)),
        ("cond", |x| linalg::cond(&x[0], MatrixNorm::Infinity)),
        ("lu", |x| {
            let (p, l, u) = linalg::lu(&x[0]);
            flat(&[p, l, u])
        }),
        ("svd", |x| {
            let (u, s, v) = linalg::svd(&x[0], true);
            flat(&[u.square(), s, v.square()])
        }),
        ("qr", |x| {
            let (q, r) = linalg::qr(&x[0], QrMode::Complete);
            flat(&[q.matmul(&r), r.abs()])
        }),
        ("pinv", |x| linalg::pinv(&x[0], Tolerance::default())),
        ("cholesky_ex", |x| {
            let (factor, order) = linalg::cholesky_ex(&x[0].matmul(&x[0].transpose(-2, -1)), false);
            flat(&[factor, order.cast(DType::F64)])
        }),
        ("inv_ex", |x| flat(&[linalg::inv_ex(&x[0]).0, linalg::inv_ex(&x[0]).1.cast(DType::F64)])),
        ("polar", |x| {
            let (u, h) = linalg::polar(&x[0]);
            flat(&[u, h])
        }),
        ("matrix_sqrth", |x| linalg::matrix_sqrth(&x[0].matmul(&x[0].transpose(-2, -1)))),
        ("ldl", |x| {
            let (factors, pivots) = linalg::ldl_factor(&symmetric(&x[0]));
            flat(&[linalg::ldl_solve(&factors, &pivots, &x[0]), factors])
        }),
        ("eig", |x| flat(&[linalg::eig(&x[0]).0, linalg::eig(&x[0]).1, linalg::eigvals(&x[0])])),
        ("geqrf", |x| {
            let (a, tau) = linalg::geqrf(&x[0]);
            flat(&[linalg::ormqr(&a, &tau, &x[0], ProductWithQ::Right), tau])
        }),
        ("lu_unpack", |x| {
            let (lu, pivots) = linalg::lu_factor(&x[0]);
            let (p, l, u) = linalg::lu_unpack(&lu, &pivots);
            flat(&[p, l, u])
        }),
        ("norms", |x| flat(&[linalg::norm(&x[0]), linalg::vector_norm(&x[0], 3.0, 0)])),
    ];
    for (what, function) in functions {
        for shape in [&[4, 3, 3][..], &[3, 2, 2, 2]] {
            check(what, function, &[normal(5, shape, DType::F64)], &[true]);
        }
    }
}

#[test]
fn functions_of_two_operands_whose_ranks_differ() {
    let solve: fn(&[Tensor]) -> Tensor = |x| linalg::solve(&x[0], &x[1]);
    let triangular: fn(&[Tensor]) -> Tensor =
        |x| linalg::solve_triangular(&x[0], &x[1], Triangular::upper());
    let lstsq: fn(&[Tensor]) -> Tensor = |x| linalg::lstsq(&x[0], &x[1], None).solution;
    let lu_solve: fn(&[Tensor]) -> Tensor = |x| {
        let (lu, pivots) = linalg::lu_factor(&x[0]);
        linalg::lu_solve(&lu, &pivots, &x[1], true)
    };
    let functions =
        [("solve", solve), ("triangular", triangular), ("lstsq", lstsq), ("lu_solve", lu_solve)];
    for (what, function) in functions {
        for (a, b, mapped) in [
            (&[5, 3, 3][..], &[5, 3, 2][..], [true, true]),
            (&[5, 3, 3][..], &[3, 2][..], [true, false]),
            (&[3, 3][..], &[5, 3, 2][..], [false, true]),
            (&[3, 3][..], &[5, 2, 3, 1][..], [false, true]),
            (&[5, 2, 3, 3][..], &[5, 3, 1][..], [true, true]),
            (&[5, 3, 3][..], &[5, 2, 3, 1][..], [true, true]),
            (&[5, 2, 3, 3][..], &[3, 1][..], [true, false]),
        ] {
            check(what, function, &[normal(6, a, DType::F64), normal(7, b, DType::F64)], &mapped);
        }
    }
    let vectors = [normal(6, &[5, 3, 3], DType::F64), normal(7, &[5, 3], DType::F64)];
    check("solve of vectors", solve, &vectors, &[true, true]);
}

#[test]
fn gradients_of_each_example() {
    let gradient: fn(&[Tensor]) -> Tensor = |x| {
        let a = &x[0];
        let loss = linalg::solve(a, &x[1]).square().sum(..)
            + linalg::slogdet(a).1
            + linalg::det(a).square()
            + linalg::eigvalsh(&positive(a)).log().sum(..)
            + linalg::matrix_norm(a, MatrixNorm::Nuclear);
        grad(&loss, &[a]).remove(0) + t(a) * 0.0
    };
    let operands = [normal(8, &[4, 3, 3], DType::F64), normal(9, &[3, 2], DType::F64)];
    check("gradients", gradient, &operands, &[true, false]);
}

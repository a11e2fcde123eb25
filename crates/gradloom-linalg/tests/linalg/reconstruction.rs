//! Factors give back their matrix, to a few roundings for each row, at every size where algorithms change.

use gradloom_tensor::{DType, Key, Shape, Tensor};

use crate::linalg::{self, ProductWithQ, QrMode, Tolerance, Triangular};
use crate::{assert_close, normal, positive, symmetric, t, values};

const SIZES: [[usize; 2]; 11] = [
    [1, 1],
    [2, 2],
    [7, 3],
    [3, 7],
    [16, 16],
    [17, 17],
    [33, 33],
    [70, 40],
    [40, 70],
    [150, 150],
    [160, 20],
];

fn epsilon(dtype: DType) -> f64 {
    if dtype == DType::F64 { f64::EPSILON } else { f32::EPSILON.into() }
}

/// Whether two tensors are equal, to a few roundings for each row.
#[track_caller]
fn same(what: &str, actual: &Tensor, expected: &Tensor) {
    let dtype = actual.dtype();
    let size = actual.size(-2).max(actual.size(-1)) as f64;
    let wide = |x: &Tensor| x.cast(DType::F64);
    let what = format!("{what} {dtype} {}", actual.shape());
    let tolerance = 4.0 * epsilon(dtype) * size.max(4.0);
    assert_close(&what, &wide(actual), &values(expected), tolerance);
}

fn product(factors: &[&Tensor]) -> Tensor {
    let wide: Vec<Tensor> = factors.iter().map(|factor| factor.cast(DType::F64)).collect();
    wide[1..].iter().fold(wide[0].clone(), |product, factor| product.matmul(factor))
}

#[track_caller]
fn orthonormal(what: &str, q: &Tensor) {
    let dtype = q.dtype();
    let identity = Tensor::eye(q.size(-1), DType::F64, q.device());
    let tolerance = 4.0 * epsilon(dtype) * q.size(-2).max(4) as f64;
    let product = product(&[&t(q), q]);
    let identity = identity.broadcast_to(*product.shape());
    assert_close(
        &format!("{what} of {dtype} {}", q.shape()),
        &product,
        &values(&identity),
        tolerance,
    );
}

fn each(test: impl Fn(&Tensor)) {
    for dtype in [DType::F64, DType::F32] {
        for [rows, columns] in SIZES {
            test(&normal(1, &[rows, columns], dtype));
        }
        test(&normal(2, &[2, 3, 6, 4], dtype));
        test(&Tensor::zeros([4, 4], dtype, &gradloom_cpu::device()));
        test(&Tensor::ones([5, 3], dtype, &gradloom_cpu::device()));
    }
}

#[test]
fn qr() {
    each(|a| {
        for mode in [QrMode::Reduced, QrMode::Complete] {
            let (q, r) = linalg::qr(a, mode);
            orthonormal("Q", &q);
            same("Q R", &product(&[&q, &r]).cast(a.dtype()), a);
            same("R", &r, &r.triu(0));
        }
        let (_, r) = linalg::qr(a, QrMode::Reduced);
        assert_eq!(values(&linalg::qr_r(a)), values(&r));
    });
}

#[test]
fn lu() {
    each(|a| {
        let (p, l, u) = linalg::lu(a);
        same("P L U", &product(&[&p, &l, &u]).cast(a.dtype()), a);
        assert!(values(&l).iter().all(|element| element.abs() <= 1.0));
    });
}

#[test]
fn svd() {
    each(|a| {
        for full in [false, true] {
            let (u, s, v) = linalg::svd(a, full);
            orthonormal("U", &u);
            orthonormal("V", &t(&v));
            let size = s.size(-1);
            let scaled = u.narrow(-1, 0, size) * s.unsqueeze(-2);
            same("U S V", &product(&[&scaled, &v.narrow(-2, 0, size)]).cast(a.dtype()), a);
            let alone = linalg::svdvals(a).cast(DType::F64);
            let largest = values(&s).iter().fold(0.0f64, |most, value| most.max(*value));
            let tolerance = 20.0 * epsilon(a.dtype()) * size as f64 * largest.max(1.0);
            let pairs = values(&alone).into_iter().zip(values(&s));
            pairs.for_each(|(alone, s)| assert!((alone - s).abs() <= tolerance && s >= 0.0));
            let sorted = (&s.narrow(-1, 0, size - 1) - &s.narrow(-1, 1, size - 1)).ge(0.0);
            assert!(sorted.to_vec::<bool>().unwrap().iter().all(|&sorted| sorted));
        }
    });
}

#[test]
fn eigh() {
    each(|a| {
        let a = symmetric(&a.matmul(&t(a)));
        let a = &a - Tensor::eye(a.size(-1), a.dtype(), a.device()) * 0.5;
        let (w, v) = linalg::eigh(&a);
        orthonormal("V", &v);
        same("V W V^T", &product(&[&(&v * w.unsqueeze(-2)), &t(&v)]).cast(a.dtype()), &a);
        let size = w.size(-1) as f64;
        let tolerance = 20.0 * epsilon(a.dtype()) * size;
        assert_close("eigvalsh", &linalg::eigvalsh(&a).cast(DType::F64), &values(&w), tolerance);
        let hidden =
            a.tril(0) + Tensor::ones([1], a.dtype(), a.device()).broadcast_to(*a.shape()).triu(1);
        assert_eq!(values(&linalg::eigvalsh(&hidden)), values(&linalg::eigvalsh(&a)));
    });
}

#[test]
fn cholesky() {
    each(|a| {
        let a = positive(&a.narrow(-1, 0, a.size(-1).min(a.size(-2))));
        let lower = linalg::cholesky(&a, false);
        same("L L^T", &product(&[&lower, &t(&lower)]).cast(a.dtype()), &a);
        same("L", &lower, &lower.tril(0));
        let upper = linalg::cholesky(&a.triu(0), true);
        same("U", &upper, &t(&lower));
    });
}

#[test]
fn solutions() {
    for dtype in [DType::F64, DType::F32] {
        for size in [1, 2, 5, 16, 17, 32, 33, 100] {
            let shift = Tensor::eye(size, dtype, &gradloom_cpu::device()) * (2.0 + size as f64);
            let a = normal(4, &[2, size, size], dtype) + shift;
            let b = normal(5, &[2, size, 3], dtype);
            same("A X", &product(&[&a, &linalg::solve(&a, &b)]).cast(dtype), &b);
            let right = linalg::solve_right(&a, &t(&b));
            same("X A", &product(&[&right, &a]).cast(dtype), &t(&b));
            let identity = Tensor::eye(size, dtype, a.device()).unsqueeze(0);
            same("inv", &linalg::inv(&a), &linalg::solve(&a, &identity));
            let (lu, pivots) = linalg::lu_factor(&a);
            same("lu_solve", &linalg::lu_solve(&lu, &pivots, &b, false), &linalg::solve(&a, &b));
            let adjoint = linalg::lu_solve(&lu, &pivots, &b, true);
            same("adjoint", &product(&[&t(&a), &adjoint]).cast(dtype), &b);
            for (options, triangle) in [
                (Triangular::lower(), a.tril(0)),
                (Triangular::upper(), a.triu(0)),
                (
                    Triangular::lower().unit(),
                    a.tril(-1) * 0.01 + Tensor::eye(size, dtype, a.device()),
                ),
                (
                    Triangular::upper().unit(),
                    a.triu(1) * 0.01 + Tensor::eye(size, dtype, a.device()),
                ),
            ] {
                let x = linalg::solve_triangular(&triangle, &b, options);
                same("T X", &product(&[&triangle, &x]).cast(dtype), &b);
                let x = linalg::solve_triangular(&triangle, &t(&b), options.right());
                same("X T", &product(&[&x, &triangle]).cast(dtype), &t(&b));
            }
        }
    }
}

#[test]
fn pseudoinverses() {
    for (rows, columns, rank) in
        [(5, 3, 3), (3, 5, 3), (6, 4, 2), (4, 6, 2), (50, 40, 7), (4, 4, 0)]
    {
        let a =
            normal(6, &[rows, rank], DType::F64).matmul(&normal(7, &[rank, columns], DType::F64));
        let p = linalg::pinv(&a, Tolerance::default());
        let scale = 200.0 * f64::EPSILON * rows.max(columns) as f64;
        assert_close("A P A", &a.matmul(&p).matmul(&a), &values(&a), scale);
        assert_close("P A P", &p.matmul(&a).matmul(&p), &values(&p), scale);
        assert_close("A P", &a.matmul(&p), &values(&t(&a.matmul(&p))), scale);
        assert_close("P A", &p.matmul(&a), &values(&t(&p.matmul(&a))), scale);
        let found = linalg::matrix_rank(&a, Tolerance::default());
        assert_eq!(values(&found), [rank as f64]);
        let b = normal(8, &[rows, 2], DType::F64);
        let least = linalg::lstsq(&a, &b, None);
        assert_close("lstsq", &least.solution, &values(&p.matmul(&b)), scale);
        assert_eq!(values(&least.rank), [rank as f64]);
        if rows > columns {
            let residuals = (a.matmul(&p).matmul(&b) - &b).square().sum(0);
            assert_close("residuals", &least.residuals, &values(&residuals), 1e-10);
        }
    }
}

#[test]
fn exponentials() {
    for dtype in [DType::F64, DType::F32] {
        for (size, scale) in
            [(1, 1.0), (3, 0.001), (3, 0.1), (5, 0.5), (8, 1.0), (40, 0.3), (4, 6.0)]
        {
            let a = symmetric(&normal(9, &[size, size], dtype)) * scale;
            let (w, v) = linalg::eigh(&a.cast(DType::F64));
            let expected = (&v * w.exp().unsqueeze(-2)).matmul(&t(&v));
            let norm = linalg::matrix_norm(&a, linalg::MatrixNorm::One).item().unwrap().max(1.0);
            let tolerance = 20.0 * epsilon(dtype) * norm * (size as f64).sqrt();
            assert_close(
                "exp",
                &linalg::matrix_exp(&a).cast(DType::F64),
                &values(&expected),
                tolerance,
            );
        }
    }
}

#[test]
fn a_batch_is_its_matrices() {
    let functions: [(&str, fn(&Tensor) -> Tensor); 10] = [
        ("cholesky", |a| linalg::cholesky(&positive(a), false)),
        ("lu", |a| linalg::lu_factor(a).0),
        ("qr", |a| linalg::qr(a, QrMode::Complete).0),
        ("svd", |a| linalg::svd(a, true).0),
        ("svd", |a| linalg::svd(a, true).2),
        ("svdvals", linalg::svdvals),
        ("eigh", |a| {
            linalg::eigh(&symmetric(&a.narrow(-1, 0, 1).matmul(&t(&a.narrow(-1, 1, 1))))).1
        }),
        ("eigvalsh", |a| linalg::eigvalsh(&(a.narrow(-1, 0, 1) + t(&a.narrow(-1, 0, 1))))),
        ("pinv", |a| linalg::pinv(a, Tolerance::default())),
        ("lstsq", |a| linalg::lstsq(a, &a.narrow(-1, 0, 1), None).solution),
    ];
    for shape in [[40, 20, 5], [40, 5, 20], [20, 50, 40], [20, 130, 130]] {
        let a = normal(12, &shape, DType::F64);
        let many = gradloom_cpu::CpuBackend::new(Some(1)).unwrap().into_device();
        for (name, function) in functions {
            let batch = values(&function(&a.to_device(&many)));
            let mut each = Vec::new();
            for index in 0..shape[0] {
                each.extend(values(&function(&a.narrow(0, index, 1))));
            }
            let same = batch.iter().zip(&each).all(|(a, b)| a.to_bits() == b.to_bits());
            assert!(batch.len() == each.len() && same, "{name} of {shape:?}");
        }
    }
}

#[test]
fn eigenvectors_of_any_matrix_are_stretched_by_their_values() {
    for dtype in [DType::F64, DType::F32] {
        for size in [1, 2, 3, 16, 33, 70] {
            let a = normal(9, &[size, size], dtype);
            let (w, v) = linalg::eig(&a);
            let part = |x: &Tensor, number: isize| x.cast(DType::F64).index(-1, number);
            let (re, im) = (part(&v, 0), part(&v, 1));
            let (w_re, w_im) = (part(&w, 0), part(&w, 1));
            let wide = a.cast(DType::F64);
            let tolerance = 60.0 * epsilon(dtype) * size as f64;
            let close = |what: &str, actual: &Tensor, expected: &Tensor| {
                assert_close(
                    &format!("{what} {dtype} {size}"),
                    actual,
                    &values(expected),
                    tolerance,
                );
            };
            close("real part", &wide.matmul(&re), &(&re * &w_re - &im * &w_im));
            // Of real matrices there may be no imaginary parts at all.
            let imaginary = wide.matmul(&im) - (&re * &w_im + &im * &w_re);
            assert!(values(&imaginary).iter().all(|x| x.abs() < tolerance * 4.0));
            let lengths = (re.square() + im.square()).sum(0);
            close("lengths", &lengths, &lengths.ones_like());
            close("trace", &w_re.sum(-1), &wide.trace());
            // The largest element of each is real.
            let largest = (re.square() + im.square()).argmax(0).unsqueeze(0);
            assert!(values(&im.gather(0, &largest)).iter().all(|x| x.abs() < tolerance));
            let alone = linalg::eigvals(&a);
            assert_eq!(values(&alone), values(&w));
        }
    }
}

#[test]
fn factors_of_symmetric_matrices_solve_them() {
    for dtype in [DType::F64, DType::F32] {
        for size in [1, 2, 3, 5, 16, 40] {
            // Not definite, so that pivots of two rows are needed.
            let a = symmetric(&normal(4, &[2, size, size], dtype));
            let a = a.clone() - Tensor::eye(size, dtype, a.device()) * a.clone();
            let a = if size == 1 { a.ones_like() } else { a };
            let (factors, pivots) = linalg::ldl_factor(&a);
            if size > 1 {
                let least = values(&pivots).into_iter().fold(0.0, f64::min);
                assert!(least < 0.0, "zeros on the diagonal need pivots of two rows");
            }
            let b = normal(5, &[2, size, 3], dtype);
            let x = linalg::ldl_solve(&factors, &pivots, &b);
            let condition = values(&linalg::cond(&a.cast(DType::F64), linalg::MatrixNorm::Two));
            let condition = condition.into_iter().fold(1.0, f64::max);
            let found = product(&[&a, &x]);
            let tolerance = 20.0 * epsilon(dtype) * size as f64 * condition;
            assert_close("A X", &found, &values(&b), tolerance);
        }
    }
}

#[test]
fn reflections_are_those_of_q_and_r() {
    each(|a| {
        let [rows, columns] = [a.size(-2), a.size(-1)];
        let least = rows.min(columns);
        if least > 40 {
            return;
        }
        let (reflections, tau) = linalg::geqrf(a);
        let r = reflections.narrow(-2, 0, least).triu(0);
        let part = reflections.narrow(-1, 0, least);
        let q = linalg::householder_product(&part, &tau);
        orthonormal("geqrf", &q);
        same("geqrf", &product(&[&q, &r]).cast(a.dtype()), a);
        // Q^T A is R, and Q R is A, with zeros below.
        let turned = linalg::ormqr(&reflections, &tau, a, ProductWithQ::LeftTransposed);
        let mut rest = r.shape().to_vec();
        rest[r.rank() - 2] = rows - least;
        let rest = Shape::new(&rest);
        let whole = Tensor::concat(&[&r, &Tensor::zeros(rest, r.dtype(), r.device())], -2);
        same("ormqr", &turned, &whole);
        same("ormqr back", &linalg::ormqr(&reflections, &tau, &whole, ProductWithQ::Left), a);
        let c = t(a);
        let right = linalg::ormqr(&reflections, &tau, &c, ProductWithQ::Right);
        same("ormqr right", &right, &t(&turned));
    });
}

#[test]
fn polar_factors_and_roots_give_back_their_matrix() {
    each(|a| {
        let tall = if a.size(-2) < a.size(-1) { t(a) } else { a.clone() };
        let (u, h) = linalg::polar(&tall);
        orthonormal("polar", &u);
        same("polar", &product(&[&u, &h]).cast(a.dtype()), &tall);
        let least = values(&linalg::eigvalsh(&h)).into_iter().fold(f64::MAX, f64::min);
        assert!(least > -1e-4, "{least}");
        let square = positive(a);
        let root = linalg::matrix_sqrth(&square);
        same("matrix_sqrth", &product(&[&root, &root]).cast(a.dtype()), &square);
    });
}

#[test]
fn few_singular_values_describe_matrices_of_low_rank() {
    for sizes in [[30, 20], [20, 30]] {
        let [rows, columns] = sizes;
        let a =
            normal(1, &[2, rows, 4], DType::F64).matmul(&normal(2, &[2, 4, columns], DType::F64));
        let (u, s, v) = linalg::svd_lowrank(&a, 4, 2, Key::new(1));
        orthonormal("svd_lowrank", &u);
        orthonormal("svd_lowrank", &v);
        same("svd_lowrank", &(u * s.unsqueeze(-2)).matmul(&t(&v)), &a);
        let (_, s, _) = linalg::pca_lowrank(&(&a + 3.0), 4, true, 2, Key::new(2));
        let centred = &a - a.mean_keepdim(-2);
        let exact = linalg::svdvals(&centred).narrow(-1, 0, 4);
        assert_close("pca_lowrank", &s, &values(&exact), 1e-12);
    }
}

//! Singular values of large matrices that few of them describe.

use gradloom_tensor::{Called, Key, Shape, Tensor, demand};

use crate::check;
use crate::matrices::t;
use crate::qr::{QrMode, qr};
use crate::svd::svd;

/// The `rank` largest singular values of `[.., m, n]` and their vectors: `U [.., m, q]`, `S [.., q]` and
/// `V [.., n, q]` (not transposed) with `A ~ U diag(S) V^T`, by products with random vectors. The better, the
/// faster singular values fall; each iteration squares how fast. Exact for matrices of no higher rank.
///
/// f32 or f64. Halko, Martinsson and Tropp, *Finding structure with randomness*, 2011, algorithms 4.4 and 5.1.
/// PyTorch: `torch.svd_lowrank`, whose `M` is to be subtracted before.
///
/// # Errors
/// As [`svd`].
///
/// # Panics
/// If A is no matrix, has not so many singular values, or is of another dtype.
#[track_caller]
pub fn svd_lowrank(
    a: &Tensor,
    rank: usize,
    iterations: usize,
    key: Key,
) -> (Tensor, Tensor, Tensor) {
    let op = "svd_lowrank";
    let [rows, columns] = check::matrix(op, a);
    demand!(
        rank <= rows.min(columns),
        "{op}: {} has not {rank} singular values; ask for fewer",
        a.shape()
    );
    if rows < columns {
        let (v, s, u) = svd_lowrank(&t(a), rank, iterations, key);
        return (u, s, v);
    }
    let random: Shape = a.shape()[..a.rank() - 2].iter().copied().chain([columns, rank]).collect();
    let random = Tensor::normal(key, random, 0.0, 1.0, a.device()).cast(a.dtype());
    let basis = |x: &Tensor| qr(x, QrMode::Reduced).0;
    let mut q = basis(&a.matmul(&random));
    for _ in 0..iterations {
        q = basis(&t(a).matmul(&q));
        q = basis(&a.matmul(&q));
    }
    let (u, s, vt) = svd(&t(&q).matmul(a), false);
    (q.matmul(&u), s, t(&vt))
}

/// The principal components of the rows of `[.., m, n]`: [`svd_lowrank`] of A, less the mean of each column if
/// `center`. The columns of V are the directions, `S^2 / (m - 1)` the variances along them. PyTorch:
/// `torch.pca_lowrank`.
///
/// # Errors
/// As [`svd`].
///
/// # Panics
/// As [`svd_lowrank`].
#[track_caller]
pub fn pca_lowrank(
    a: &Tensor,
    rank: usize,
    center: bool,
    iterations: usize,
    key: Key,
) -> (Tensor, Tensor, Tensor) {
    let _called = Called::op("pca_lowrank");
    check::matrix("pca_lowrank", a);
    let centred = if center { a - a.mean_keepdim(-2) } else { a.clone() };
    svd_lowrank(&centred, rank, iterations, key)
}

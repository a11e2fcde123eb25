//! Linear algebra.
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod real;
mod kernels;
mod batch;
mod op;
mod check;
mod matrices;

mod triangular;
mod lu;
mod solve;
mod det;
mod cholesky;
mod qr;
mod eigh;
mod svd;
mod pinv;
mod norm;
mod matrix_exp;
mod products;
mod tensor_solve;

pub use cholesky::cholesky;
pub use det::{det, slogdet};
pub use eigh::{eigh, eigvalsh};
pub use lu::{lu, lu_factor, lu_solve};
pub use matrix_exp::matrix_exp;
pub use norm::{MatrixNorm, cond, matrix_norm, norm, vector_norm};
pub use pinv::{LeastSquares, Tolerance, lstsq, matrix_rank, pinv};
pub use products::{cross, householder_product, matrix_power, multi_dot, vander, vecdot};
pub use qr::{QrMode, qr, qr_r};
pub use solve::{inv, solve, solve_right};
pub use svd::{svd, svdvals};
pub use tensor_solve::{tensorinv, tensorsolve};
pub use triangular::{Triangular, solve_triangular};

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
mod ldl;
mod reflections;
mod eigh;
mod eig;
mod svd;
mod pinv;
mod norm;
mod matrix_exp;
mod sylvester;
mod low_rank;
mod products;
mod tensor_solve;

pub use cholesky::{cholesky, cholesky_ex, cholesky_inverse, cholesky_solve};
pub use det::{det, slogdet};
pub use eig::{eig, eigvals};
pub use eigh::{eigh, eigvalsh};
pub use ldl::{ldl_factor, ldl_factor_ex, ldl_solve};
pub use low_rank::{pca_lowrank, svd_lowrank};
pub use lu::{lu, lu_factor, lu_factor_ex, lu_solve, lu_solve_right, lu_unpack};
pub use matrix_exp::matrix_exp;
pub use norm::{MatrixNorm, cond, matrix_norm, matrix_norm_along, norm, vector_norm};
pub use pinv::{
    LeastSquares, Tolerance, lstsq, matrix_rank, matrix_rank_hermitian, pinv, pinv_hermitian,
};
pub use products::{cross, matrix_power, multi_dot, vander, vecdot};
pub use qr::{QrMode, qr, qr_r};
pub use reflections::{ProductWithQ, geqrf, householder_product, ormqr};
pub use solve::{inv, inv_ex, solve, solve_ex, solve_right};
pub use svd::{svd, svdvals};
pub use sylvester::{matrix_sqrth, polar};
pub use tensor_solve::{tensorinv, tensorsolve, tensorsolve_with};
pub use triangular::{Triangular, solve_triangular};

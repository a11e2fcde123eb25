//! Algorithms on one matrix in host memory, on one thread: `faer` where it has them, and what it lacks.

pub(crate) mod lu;
pub(crate) mod triangular;
pub(crate) mod cholesky;
pub(crate) mod qr;
pub(crate) mod svd;
pub(crate) mod eigh;
pub(crate) mod eig;
pub(crate) mod bunch_kaufman;
pub(crate) mod cofactor;
pub(crate) mod least_squares;
pub(crate) mod exponential;

//! Products of matrices.

use gradloom_tensor::DType;

use super::fault::Fault;
use super::operand::Operands;
use super::value::Sum;
use crate::factors::Factors;
use crate::view::View;

/// `[batch.., m, k] x [batch.., k, n]`.
pub(super) fn matmul(
    [lhs, rhs]: [&View; 2],
    factors: &Factors,
    operands: &Operands,
) -> Result<Vec<f64>, Fault> {
    let rank = lhs.shape.rank();
    let fit = rank >= 2
        && rhs.shape.rank() == rank
        && lhs.shape[..rank - 2] == rhs.shape[..rank - 2]
        && lhs.shape[rank - 1] == rhs.shape[rank - 2];
    Fault::unless(fit, || format!("matmul: {} times {}", lhs.shape, rhs.shape))?;
    let [m, k, n] = [lhs.shape[rank - 2], lhs.shape[rank - 1], rhs.shape[rank - 1]];
    let left = operands.get(0)?.factors(lhs, factors)?;
    let right = operands.get(1)?.factors(rhs, factors)?;
    let batches: usize = lhs.shape[..rank - 2].iter().product();
    let mut result = Vec::with_capacity(batches * m * n);
    for batch in 0..batches {
        for row in 0..m {
            let left = &left[(batch * m + row) * k..][..k];
            for column in 0..n {
                let right = right[batch * k * n..].iter().skip(column).step_by(n);
                result.push(dot(factors.dtype, left.iter().zip(right)));
            }
        }
    }
    Ok(result)
}

/// The sum of products of pairs.
pub(super) fn dot<'a>(dtype: DType, pairs: impl Iterator<Item = (&'a f64, &'a f64)>) -> f64 {
    let mut sum = Sum::of(dtype);
    pairs.for_each(|(lhs, rhs)| sum.add_product(*lhs, *rhs));
    sum.value(dtype)
}

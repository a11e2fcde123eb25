//! Variants of samples as rows of one batch: all samples of the first variant, then all of the second.

use gradloom_tensor::{Result, Shape, Tensor};

/// `[B, ..] -> [copies * B, ..]`: the whole batch, again and again.
pub(crate) fn tiled(tensor: &Tensor, copies: usize) -> Tensor {
    merged(&tensor.unsqueeze(0).broadcast_to(stacked_shape(tensor.shape(), copies)))
}

/// `[copies, B, ..] -> [copies * B, ..]`
pub(crate) fn merged(stacked: &Tensor) -> Tensor {
    stacked.flatten(0, 1)
}

/// `[copies * B, ..] -> [copies, B, ..]`
pub(crate) fn apart(rows: &Tensor, copies: usize) -> Tensor {
    let shape = rows.shape();
    let sizes = [copies, shape[0] / copies].into_iter().chain(shape[1..].iter().copied());
    rows.reshape(sizes.collect::<Shape>())
}

/// `[copies, B, ..]` for rows of shape `[B, ..]`.
pub(crate) fn stacked_shape(shape: &Shape, copies: usize) -> Shape {
    std::iter::once(copies).chain(shape.iter().copied()).collect()
}

/// `[n]` as `[n, 1, .., 1]` of `rank` axes, to meet rows.
pub(crate) fn beside(numbers: &Tensor, rank: usize) -> Tensor {
    let ones = std::iter::repeat_n(1, rank.saturating_sub(numbers.rank()));
    numbers.reshape(numbers.shape().iter().copied().chain(ones).collect::<Shape>())
}

/// The sum of copies times their weights: `[copies, B, ..] -> [B, ..]`.
pub(crate) fn weighted_sum(stacked: &Tensor, weights: &[f64]) -> Result<Tensor> {
    let weights = tensor_like(weights, weights.len().into(), stacked)?;
    Ok(stacked.mul(beside(&weights, stacked.rank())).sum(0))
}

/// The sum of each row: `[B, ..] -> [B]`.
pub(crate) fn sums(tensor: &Tensor) -> Tensor {
    if tensor.rank() == 1 { tensor.clone() } else { tensor.flatten(1, -1).sum(1) }
}

/// All numbers on the host, as f64.
pub(crate) fn numbers(tensor: &Tensor) -> Result<Vec<f64>> {
    use gradloom_tensor::DType;
    if tensor.dtype() == DType::F64 {
        return tensor.to_vec::<f64>();
    }
    let numbers = tensor.cast(DType::F32).to_vec::<f32>()?;
    Ok(numbers.into_iter().map(f64::from).collect())
}

/// A tensor of host numbers beside another one: its dtype and device.
pub(crate) fn tensor_like(numbers: &[f64], shape: Shape, like: &Tensor) -> Result<Tensor> {
    use gradloom_tensor::DType;
    if like.dtype() == DType::F64 {
        return Tensor::from_slice(numbers, shape, like.device());
    }
    let narrow: Vec<f32> = numbers.iter().map(|&number| number as f32).collect();
    Ok(Tensor::from_vec(narrow, shape, like.device())?.cast(like.dtype()))
}

//! Products of matrices and vectors: powers, chains, and those along an axis.

use gradloom_tensor::Tensor;

use crate::check;
use crate::matrices::identity;
use crate::solve::inv;

/// `A` times itself: `[.., n, n] -> [.., n, n]`; the identity for 0, a power of the inverse for negative
/// exponents. f32 or f64. PyTorch: `torch.linalg.matrix_power`.
///
/// # Errors
/// As [`inv`] for negative exponents.
///
/// # Panics
/// If the matrices are not square, or of another dtype.
#[track_caller]
pub fn matrix_power(a: &Tensor, exponent: i32) -> Tensor {
    let size = check::square("matrix_power", a);
    let mut square = if exponent < 0 { inv(a) } else { a.clone() };
    let mut rest = exponent.unsigned_abs();
    let mut power: Option<Tensor> = None;
    while rest > 0 {
        if rest % 2 == 1 {
            power = Some(match power {
                Some(power) => power.matmul(&square),
                None => square.clone(),
            });
        }
        rest /= 2;
        if rest > 0 {
            square = square.matmul(&square);
        }
    }
    power.unwrap_or_else(|| identity(size, a).broadcast_to(*a.shape()))
}

/// The product of two or more matrices `[m, n]`, in the order that takes the fewest multiplications. The
/// first may be a vector (a row), and so may the last (a column), whose axis is then dropped.
///
/// Any dtype that `matmul` takes. PyTorch: `torch.linalg.multi_dot`.
///
/// # Panics
/// If there are fewer than two, or shapes or dtypes do not fit.
#[track_caller]
pub fn multi_dot(tensors: &[&Tensor]) -> Tensor {
    let op = "multi_dot";
    let [first, .., last] = tensors else {
        panic!("{op}: needs two or more tensors, not {}", tensors.len())
    };
    let mut chain: Vec<Tensor> = tensors.iter().map(|&tensor| tensor.clone()).collect();
    let count = chain.len();
    if first.rank() == 1 {
        chain[0] = first.unsqueeze(0);
    }
    if last.rank() == 1 {
        chain[count - 1] = last.unsqueeze(-1);
    }
    for (number, tensor) in chain.iter().enumerate() {
        let shape = tensor.shape();
        assert!(shape.rank() == 2, "{op}: tensor {number} is {shape}, not a matrix");
    }
    for (number, pair) in chain.windows(2).enumerate() {
        let (left, right) = (pair[0].shape(), pair[1].shape());
        assert!(left[1] == right[0], "{op}: tensors {number} and {}: {left} x {right}", number + 1);
    }
    let mut product = in_order(&chain, &cheapest(&chain), 0, count - 1);
    if first.rank() == 1 {
        product = product.squeeze(0);
    }
    if last.rank() == 1 { product.squeeze(-1) } else { product }
}

/// After which matrix each part `from..=to` of a chain is split (Cormen et al., *Introduction to
/// algorithms*, 14.2).
fn cheapest(chain: &[Tensor]) -> Vec<Vec<usize>> {
    let count = chain.len();
    let size = |index: usize| match index {
        0 => chain[0].size(0) as f64,
        _ => chain[index - 1].size(1) as f64,
    };
    let mut costs = vec![vec![0.0f64; count]; count];
    let mut splits = vec![vec![0; count]; count];
    for length in 1..count {
        for from in 0..count - length {
            let to = from + length;
            let cost = |split: usize| {
                let own = size(from) * size(split + 1) * size(to + 1);
                costs[from][split] + costs[split + 1][to] + own
            };
            let mut best = (from, cost(from));
            for split in from + 1..to {
                if cost(split) < best.1 {
                    best = (split, cost(split));
                }
            }
            (splits[from][to], costs[from][to]) = best;
        }
    }
    splits
}

#[track_caller]
fn in_order(chain: &[Tensor], splits: &[Vec<usize>], from: usize, to: usize) -> Tensor {
    if from == to {
        return chain[from].clone();
    }
    let split = splits[from][to];
    let left = in_order(chain, splits, from, split);
    left.matmul(&in_order(chain, splits, split + 1, to))
}

/// The sum of products along an axis, which is dropped; other axes broadcast. Floats. PyTorch:
/// `torch.linalg.vecdot`.
///
/// # Panics
/// If shapes or dtypes do not fit, or the dtype is another.
#[track_caller]
pub fn vecdot(x: &Tensor, y: &Tensor, axis: isize) -> Tensor {
    check::any_float("vecdot", x);
    check::same_dtype("vecdot", x, y);
    let shape = check::broadcast("vecdot", x.shape(), y.shape());
    let count = |tensor: &Tensor| tensor.broadcast_to(shape);
    (count(x).wide() * count(y).wide()).sum(axis).cast(x.dtype())
}

/// The cross product of vectors of three elements along an axis; other axes broadcast. Floats. PyTorch:
/// `torch.linalg.cross`.
///
/// # Panics
/// If the axis has not three elements, or shapes or dtypes do not fit.
#[track_caller]
pub fn cross(x: &Tensor, y: &Tensor, axis: isize) -> Tensor {
    check::any_float("cross", x);
    check::same_dtype("cross", x, y);
    let shape = check::broadcast("cross", x.shape(), y.shape());
    let (dtype, x, y) = (x.dtype(), x.broadcast_to(shape).wide(), y.broadcast_to(shape).wide());
    assert!(x.size(axis) == 3, "cross: axis {axis} of {shape} has not three elements");
    // Element i is x[i + 1] y[i + 2] - x[i + 2] y[i + 1].
    let turned = |tensor: &Tensor, shift: isize| tensor.roll(-shift, axis);
    (turned(&x, 1) * turned(&y, 2) - turned(&x, 2) * turned(&y, 1)).cast(dtype)
}

/// Powers `x^0, x^1, ..` of each element along a new last axis: `[.., n] -> [.., n, count]`, by default as
/// many as there are elements along the last axis. f32 or f64. PyTorch: `torch.linalg.vander`.
///
/// # Panics
/// Without an axis, for a count of 0, or on other dtypes.
#[track_caller]
pub fn vander(x: &Tensor, count: Option<usize>) -> Tensor {
    check::float("vander", x);
    assert!(x.rank() >= 1, "vander: needs a vector [.., n], not a single number");
    let count = count.unwrap_or(x.size(-1));
    assert!(count > 0, "vander: needs at least one power");
    let mut powers = vec![x.ones_like()];
    while powers.len() < count {
        powers.push(powers.last().map_or_else(|| x.clone(), |last| last * x));
    }
    Tensor::stack(&powers, -1)
}

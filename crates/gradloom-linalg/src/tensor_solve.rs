//! Systems whose unknown is a tensor: matrices in other shapes.

use gradloom_tensor::{Shape, Tensor};

use crate::check;
use crate::solve::{inv, solve};

/// The solution X of `tensordot(A, X) = B`, where the last axes of A are those of X and the first ones those
/// of B: `[b.., x..], [b..] -> [x..]`, as many elements in `b..` as in `x..`.
///
/// f32 or f64. PyTorch: `torch.linalg.tensorsolve`, whose `dims` [`tensorsolve_with`] takes.
///
/// # Errors
/// As [`solve`].
///
/// # Panics
/// If shapes or dtypes do not fit, or the dtype is another.
#[track_caller]
pub fn tensorsolve(a: &Tensor, b: &Tensor) -> Tensor {
    let op = "tensorsolve";
    check::float(op, a);
    check::same_dtype(op, a, b);
    let rank = b.rank().min(a.rank());
    let unknown = Shape::new(&a.shape()[rank..]);
    let count = b.count();
    assert!(
        a.shape()[..rank] == b.shape()[..] && unknown.count() == count,
        "{op}: A {} does not map {unknown} to B {}",
        a.shape(),
        b.shape()
    );
    solve(&a.reshape([count, count]), &b.reshape([count])).reshape(unknown)
}

/// As [`tensorsolve`], with these axes of A moved behind its others first, in their order. PyTorch:
/// `torch.linalg.tensorsolve(dims=..)`.
///
/// # Errors
/// As [`solve`].
///
/// # Panics
/// As [`tensorsolve`], and if an axis is out of range or named twice.
#[track_caller]
pub fn tensorsolve_with(a: &Tensor, b: &Tensor, last: &[isize]) -> Tensor {
    let rank = a.rank() as isize;
    let last: Vec<isize> =
        last.iter().map(|&axis| if axis < 0 { axis + rank } else { axis }).collect();
    let others = (0..rank).filter(|axis| !last.contains(axis));
    let order: Vec<isize> = others.chain(last.iter().copied()).collect();
    assert!(
        order.len() == a.rank(),
        "tensorsolve: {last:?} are not different axes of {}",
        a.shape()
    );
    tensorsolve(&a.permute(&order), b)
}

/// The inverse of [`tensorsolve`]'s A, whose first `axes` axes are those of B: `[b.., x..] -> [x.., b..]`.
///
/// f32 or f64. PyTorch: `torch.linalg.tensorinv`.
///
/// # Errors
/// As [`inv`].
///
/// # Panics
/// If both parts have not as many elements, there is no first axis, or the dtype is another.
#[track_caller]
pub fn tensorinv(a: &Tensor, axes: usize) -> Tensor {
    let op = "tensorinv";
    check::float(op, a);
    assert!(
        (1..=a.rank()).contains(&axes),
        "{op}: {axes} first axes of {}, which has {}",
        a.shape(),
        a.rank()
    );
    let (first, last) = a.shape().split_at(axes);
    let count = first.iter().product::<usize>();
    assert!(
        count == last.iter().product::<usize>(),
        "{op}: the first {axes} axes of {} have not as many elements as the others",
        a.shape()
    );
    let shape: Shape = last.iter().chain(first).copied().collect();
    inv(&a.reshape([count, count])).reshape(shape)
}

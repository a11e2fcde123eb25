//! Which axes a transform is along, and one transform along one of them.

use gradloom_tensor::Tensor;

use crate::FftOptions;
use crate::lines;

/// An axis, and the length that it gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Along {
    pub(crate) axis: usize,
    pub(crate) size: Option<usize>,
}

/// How many axes a function transforms if none are named; one along one axis takes no other number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Count {
    One,
    Two,
    All,
}

/// The axes of a tensor of so many, in the order in which they are named.
#[track_caller]
pub(crate) fn resolve(name: &str, rank: usize, options: &FftOptions, count: Count) -> Vec<Along> {
    let named = options.axes.as_ref().map(Vec::len).or(options.sizes.as_ref().map(Vec::len));
    let wanted = match count {
        Count::One => 1,
        Count::Two => named.unwrap_or(2),
        Count::All => named.unwrap_or(rank),
    };
    assert!(
        named.is_none_or(|named| named == wanted),
        "{name}: {} axes are named, it transforms {wanted}",
        named.unwrap_or_default()
    );
    assert!(wanted <= rank, "{name}: {wanted} axes are transformed, the operand has {rank}");
    let axes: Vec<isize> = match &options.axes {
        Some(axes) => axes.clone(),
        None => (rank - wanted..rank).map(|axis| axis as isize).collect(),
    };
    let sizes: Vec<Option<usize>> = match &options.sizes {
        Some(sizes) => sizes.iter().copied().map(Some).collect(),
        None => vec![None; axes.len()],
    };
    assert!(sizes.len() == axes.len(), "{name}: {} sizes for {} axes", sizes.len(), axes.len());
    let mut along: Vec<Along> = Vec::with_capacity(axes.len());
    for (&axis, size) in axes.iter().zip(sizes) {
        let place = if axis < 0 { axis + rank as isize } else { axis };
        assert!(
            (0..rank as isize).contains(&place),
            "{name}: axis {axis} is out of range for {rank} axes"
        );
        let axis = place as usize;
        assert!(along.iter().all(|other| other.axis != axis), "{name}: axis {axis} is named twice");
        along.push(Along { axis, size });
    }
    along
}

/// The length of an axis to be transformed.
#[track_caller]
pub(crate) fn length(name: &str, x: &Tensor, along: Along) -> usize {
    let n = along.size.unwrap_or(x.shape()[along.axis]);
    assert!(n > 0, "{name}: axis {} has no elements to transform; give it a size", along.axis);
    n
}

/// Cut or padded with zeros along an axis.
#[track_caller]
pub(crate) fn resized(x: &Tensor, axis: usize, n: usize) -> Tensor {
    let size = x.shape()[axis];
    if n <= size {
        return if n == size { x.clone() } else { x.narrow(axis as isize, 0, n) };
    }
    let mut padding = vec![(0, 0); x.rank()];
    padding[axis] = (0, n - size);
    x.pad(&padding)
}

/// With an axis at another place.
#[track_caller]
pub(crate) fn moved(x: &Tensor, from: usize, to: usize) -> Tensor {
    if from == to {
        return x.clone();
    }
    let mut order: Vec<isize> = (0..x.rank() as isize).collect();
    let axis = order.remove(from);
    order.insert(to, axis);
    x.permute(&order)
}

/// Pairs `[.., n, .., 2]` transformed along an axis.
#[track_caller]
pub(crate) fn complex(z: &Tensor, axis: usize, n: usize, inverse: bool, factor: f64) -> Tensor {
    let last = z.rank() - 2;
    let line = moved(&resized(z, axis, n), axis, last);
    moved(&lines::complex(&line, inverse, factor), last, axis)
}

/// Real numbers `[.., n, ..]` transformed along an axis, to pairs `[.., n / 2 + 1, .., 2]`.
#[track_caller]
pub(crate) fn real(x: &Tensor, axis: usize, n: usize, factor: f64) -> Tensor {
    let last = x.rank() - 1;
    let line = moved(&resized(x, axis, n), axis, last);
    moved(&lines::real(&line, factor), last, axis)
}

/// Pairs `[.., m, .., 2]` transformed along an axis to `n` real numbers.
#[track_caller]
pub(crate) fn real_inverse(z: &Tensor, axis: usize, n: usize, factor: f64) -> Tensor {
    let last = z.rank() - 2;
    let line = moved(&resized(z, axis, n / 2 + 1), axis, last);
    moved(&lines::real_inverse(&line, n, factor), last, axis)
}

//! Transforms along the axis before the pairs: one op on the host; elsewhere lines that a workgroup holds are
//! one op, and longer ones are made of shorter ones.

use gradloom_tensor::Tensor;

use crate::complex::Complex;
use crate::ops::{Fft, RealFft, RealInverse, Scale, apply, is_end};
use crate::turn::{Power, Turn};
use crate::wgsl::LINE_MAX;

/// `z [.., n, 2] -> [.., n, 2]`, times a factor.
#[track_caller]
pub(crate) fn complex(z: &Tensor, inverse: bool, factor: f64) -> Tensor {
    let n = z.shape()[z.rank() - 2];
    if z.device().capabilities().host || n <= LINE_MAX || z.count() == 0 {
        return apply(Fft { inverse, scale: Scale::new(factor) }, z);
    }
    let lines = z.count() / (2 * n);
    let flat = z.reshape([lines, n, 2]);
    let long = match divisor(n) {
        Some(a) => in_two(&flat, a, inverse, factor),
        None => by_chirps(&flat, inverse, factor),
    };
    long.reshape(*z.shape())
}

/// `x [.., n] -> [.., n / 2 + 1, 2]`, times a factor.
#[track_caller]
pub(crate) fn real(x: &Tensor, factor: f64) -> Tensor {
    if x.device().capabilities().host {
        return apply(RealFft { scale: Scale::new(factor) }, x);
    }
    let half = x.shape()[x.rank() - 1] / 2 + 1;
    complex(Complex::from(x).pairs(), false, factor).narrow(-2, 0, half)
}

/// `z [.., n / 2 + 1, 2] -> [.., n]`, times a factor.
#[track_caller]
pub(crate) fn real_inverse(z: &Tensor, n: usize, factor: f64) -> Tensor {
    if z.device().capabilities().host {
        return apply(RealInverse { n, scale: Scale::new(factor) }, z);
    }
    // The ends are real, whatever is given, and the others are the conjugates of these.
    let half = n / 2 + 1;
    let (re, im) = (z.index(-1, 0), z.index(-1, 1));
    let im = im.masked_fill(&is_end(n, z.device()), 0);
    let others = |part: &Tensor| part.narrow(-1, 1, n - half).flip(-1);
    let whole = |part: &Tensor, rest: Tensor| Tensor::concat(&[part, &rest], -1);
    let pairs = Complex::new(&whole(&re, others(&re)), &whole(&im, others(&im).neg()));
    complex(pairs.pairs(), true, factor).index(-1, 0)
}

/// The divisor of a length nearest to its root of which a line can be held, with the other one if possible;
/// `None` if there is none.
fn divisor(n: usize) -> Option<usize> {
    let fits = |a: &usize| n.is_multiple_of(*a) && *a > 1;
    let root = n.isqrt();
    let upwards = (root.max(2)..=LINE_MAX.min(n / 2)).find(fits);
    let downwards = (2..=root.min(LINE_MAX)).rev().find(fits);
    match (upwards, downwards) {
        (Some(up), Some(down)) => Some(if up / root <= root / down { up } else { down }),
        (up, down) => up.or(down),
    }
}

/// `z [lines, n, 2]` by transforms of `a` and of `n / a`.
#[track_caller]
fn in_two(z: &Tensor, a: usize, inverse: bool, factor: f64) -> Tensor {
    let (lines, n) = (z.shape()[0], z.shape()[1]);
    let b = n / a;
    let matrices = z.reshape([lines, a, b, 2]).permute(&[0, 2, 1, 3]);
    let columns = complex(&matrices, inverse, factor);
    let turned = apply(Turn { power: Power::Product, inverse }, &columns);
    let rows = complex(&turned.permute(&[0, 2, 1, 3]), inverse, 1.0);
    rows.permute(&[0, 2, 1, 3]).reshape([lines, n, 2])
}

/// `z [lines, n, 2]` as a convolution with a chirp (Bluestein), by transforms of a power of two.
#[track_caller]
fn by_chirps(z: &Tensor, inverse: bool, factor: f64) -> Tensor {
    let n = z.shape()[1];
    let length = (2 * n - 1).next_power_of_two();
    let chirp = |inverse: bool| Turn { power: Power::Square, inverse };
    let padded = apply(chirp(inverse), z).pad(&[(0, 0), (0, length - n), (0, 0)]);
    let ones = Tensor::ones([1, n], z.dtype(), z.device());
    let other = apply(chirp(!inverse), Complex::from(&ones).pairs());
    let zeros = Tensor::zeros([1, length + 1 - 2 * n, 2], z.dtype(), z.device());
    let around = Tensor::concat(&[&other, &zeros, &other.narrow(1, 1, n - 1).flip(1)], 1);
    let product = &Complex::from_pairs(complex(&padded, false, 1.0))
        * &Complex::from_pairs(complex(&around, false, 1.0));
    let convolved = complex(product.pairs(), true, factor / length as f64);
    apply(chirp(inverse), convolved.narrow(1, 0, n))
}

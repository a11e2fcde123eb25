//! The transforms, as `torch.fft` names them.

use gradloom_tensor::Tensor;

use crate::axes::{self, Along, Count, length, resolve};
use crate::complex::float;
use crate::{Complex, FftOptions};

#[track_caller]
fn complex_axes(
    name: &str,
    z: Complex,
    options: &FftOptions,
    count: Count,
    inverse: bool,
) -> Complex {
    let axes = resolve(name, z.rank(), options, count);
    Complex::from_pairs(along(name, z.pairs().clone(), &axes, options, inverse, 1.0))
}

/// Pairs transformed along axes, the last one first; `factor` comes on top of that of the norm.
#[track_caller]
fn along(
    name: &str,
    mut z: Tensor,
    axes: &[Along],
    options: &FftOptions,
    inverse: bool,
    mut factor: f64,
) -> Tensor {
    for &along in axes.iter().rev() {
        let n = length(name, &z, along);
        let own = factor * options.norm.factor(n, inverse);
        z = axes::complex(&z, along.axis, n, inverse, own);
        factor = 1.0;
    }
    z
}

#[track_caller]
fn real_axes(name: &str, x: &Tensor, options: &FftOptions, count: Count) -> Complex {
    let x = float(x);
    let axes = resolve(name, x.rank(), options, count);
    let Some((&last, others)) = axes.split_last() else {
        panic!("{name}: no axis is transformed");
    };
    let n = length(name, &x, last);
    let pairs = axes::real(&x, last.axis, n, options.norm.factor(n, false));
    Complex::from_pairs(along(name, pairs, others, options, false, 1.0))
}

#[track_caller]
fn real_inverse_axes(name: &str, z: &Complex, options: &FftOptions, count: Count) -> Tensor {
    let axes = resolve(name, z.rank(), options, count);
    let Some((&last, others)) = axes.split_last() else {
        panic!("{name}: no axis is transformed");
    };
    let half = z.shape()[last.axis];
    let n = last.size.unwrap_or(2 * half.saturating_sub(1));
    assert!(
        n > 0,
        "{name}: {half} numbers along axis {} are the transform of none; give the result a size",
        last.axis
    );
    let pairs = along(name, z.pairs().clone(), others, options, true, 1.0);
    axes::real_inverse(&pairs, last.axis, n, options.norm.factor(n, true))
}

macro_rules! complex_transforms {
    ($($(#[$doc:meta])* $name:ident: $count:ident, $inverse:literal;)*) => {
        $($(#[$doc])*
        ///
        /// Takes complex numbers, or real ones of any dtype but f16 and bf16; the result has the operand's
        /// shape, or the sizes of the options.
        ///
        /// # Panics
        /// If axes or sizes do not fit, an axis has no elements, or the dtype is f16 or bf16.
        #[track_caller]
        #[must_use]
        pub fn $name(x: impl Into<Complex>, options: &FftOptions) -> Complex {
            complex_axes(stringify!($name), x.into(), options, Count::$count, $inverse)
        })*
    };
}

complex_transforms! {
    /// The Fourier transform along one axis. PyTorch: `torch.fft.fft`.
    fft: One, false;
    /// The inverse Fourier transform along one axis. PyTorch: `torch.fft.ifft`.
    ifft: One, true;
    /// The Fourier transform along two axes, the last ones, or any that are named. PyTorch: `torch.fft.fft2`.
    fft2: Two, false;
    /// The inverse Fourier transform along two axes, the last ones, or any that are named. PyTorch: `torch.fft.ifft2`.
    ifft2: Two, true;
    /// The Fourier transform along several axes. PyTorch: `torch.fft.fftn`.
    fftn: All, false;
    /// The inverse Fourier transform along several axes. PyTorch: `torch.fft.ifftn`.
    ifftn: All, true;
}

macro_rules! real_transforms {
    ($($(#[$doc:meta])* $name:ident: $count:ident;)*) => {
        $($(#[$doc])*
        ///
        /// Of the last axis, of size `n`, the result has the first `n / 2 + 1` numbers; the others are their
        /// conjugates. Integers become f32.
        ///
        /// # Panics
        /// If axes or sizes do not fit, an axis has no elements, or the dtype is f16 or bf16.
        #[track_caller]
        #[must_use]
        pub fn $name(x: &Tensor, options: &FftOptions) -> Complex {
            real_axes(stringify!($name), x, options, Count::$count)
        })*
    };
}

real_transforms! {
    /// The Fourier transform of real numbers along one axis. PyTorch: `torch.fft.rfft`.
    rfft: One;
    /// The Fourier transform of real numbers along two axes, the last ones, or any that are named. PyTorch: `torch.fft.rfft2`.
    rfft2: Two;
    /// The Fourier transform of real numbers along several axes. PyTorch: `torch.fft.rfftn`.
    rfftn: All;
}

macro_rules! real_inverses {
    ($($(#[$doc:meta])* $name:ident: $count:ident;)*) => {
        $($(#[$doc])*
        ///
        /// Of the last axis the operand has the first half, as [`rfft`] gives it; the result has `2 (m - 1)`
        /// numbers for `m`, or the size of the options, which may be odd. What is imaginary in numbers that
        /// stand for themselves does not count.
        ///
        /// # Panics
        /// If axes or sizes do not fit, an axis has no elements, or the dtype is f16 or bf16.
        #[track_caller]
        #[must_use]
        pub fn $name(z: impl Into<Complex>, options: &FftOptions) -> Tensor {
            real_inverse_axes(stringify!($name), &z.into(), options, Count::$count)
        })*
    };
}

real_inverses! {
    /// The inverse of [`rfft`]. PyTorch: `torch.fft.irfft`.
    irfft: One;
    /// The inverse of [`rfft2`]. PyTorch: `torch.fft.irfft2`.
    irfft2: Two;
    /// The inverse of [`rfftn`]. PyTorch: `torch.fft.irfftn`.
    irfftn: All;
}

macro_rules! hermitian {
    ($($forward:ident, $inverse:ident: $count:ident, $torch:literal;)*) => {
        $(
        /// The Fourier transform of numbers that are the conjugates of their mirror images, of which the
        #[doc = concat!("operand has the first half: real numbers. PyTorch: `torch.fft.", $torch, "`.")]
        ///
        /// # Panics
        /// As [`irfft`].
        #[track_caller]
        #[must_use]
        pub fn $forward(z: impl Into<Complex>, options: &FftOptions) -> Tensor {
            let options = options.clone().norm(options.norm.swapped());
            real_inverse_axes(stringify!($forward), &z.into().conj(), &options, Count::$count)
        }

        #[doc = concat!("The inverse of [`", $torch, "`]. PyTorch: `torch.fft.i", $torch, "`.")]
        ///
        /// # Panics
        /// As [`rfft`].
        #[track_caller]
        #[must_use]
        pub fn $inverse(x: &Tensor, options: &FftOptions) -> Complex {
            let options = options.clone().norm(options.norm.swapped());
            real_axes(stringify!($inverse), x, &options, Count::$count).conj()
        })*
    };
}

hermitian! {
    hfft, ihfft: One, "hfft";
    hfft2, ihfft2: Two, "hfft2";
    hfftn, ihfftn: All, "hfftn";
}

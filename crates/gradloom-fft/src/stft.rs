//! Fourier transforms of short parts of a signal.

use gradloom_tensor::{Shape, Tensor};

use crate::complex::float;
use crate::transforms::{fft, rfft};
use crate::{Complex, FftOptions, Norm};

/// How [`stft`] cuts a signal.
#[derive(Clone, Debug)]
pub struct StftOptions {
    size: usize,
    hop: Option<usize>,
    window: Option<Tensor>,
    center: bool,
    normalized: bool,
    onesided: bool,
}

impl StftOptions {
    /// Parts of `size` elements, each a quarter of that after the one before it. PyTorch: `n_fft`.
    pub fn new(size: usize) -> StftOptions {
        StftOptions {
            size,
            hop: None,
            window: None,
            center: true,
            normalized: false,
            onesided: true,
        }
    }

    /// How far parts are apart. PyTorch: `hop_length`.
    #[must_use]
    pub fn hop(self, hop: usize) -> StftOptions {
        StftOptions { hop: Some(hop), ..self }
    }

    /// What parts are multiplied with, `[W]`, in the middle of zeros if it is shorter than they are. PyTorch:
    /// `window` and `win_length`; ones of `win_length` elements if only that is given there.
    #[must_use]
    pub fn window(self, window: &Tensor) -> StftOptions {
        StftOptions { window: Some(window.clone()), ..self }
    }

    /// Whether the middle of the first part is the first element, the signal being mirrored at its ends; so by
    /// default. PyTorch: `center`.
    #[must_use]
    pub fn center(self, center: bool) -> StftOptions {
        StftOptions { center, ..self }
    }

    /// Whether results are divided by the root of the size. PyTorch: `normalized`.
    #[must_use]
    pub fn normalized(self, normalized: bool) -> StftOptions {
        StftOptions { normalized, ..self }
    }

    /// Whether only the first half of the frequencies is given, as the others are its conjugates; so by
    /// default. PyTorch: `onesided`.
    #[must_use]
    pub fn onesided(self, onesided: bool) -> StftOptions {
        StftOptions { onesided, ..self }
    }
}

/// Fourier transforms of parts of real signals: `[.., T] -> [.., F, P]`, F frequencies of P parts. Derivatives
/// of any order. PyTorch: `torch.stft(return_complex=True)`.
///
/// # Panics
/// If the signal has no axis, is shorter than a part (or, centred, than what is mirrored), the hop is 0, the
/// window is no line or longer than a part, or the dtype is f16 or bf16.
#[track_caller]
#[must_use]
pub fn stft(x: &Tensor, options: &StftOptions) -> Complex {
    let op = "stft";
    let size = options.size;
    assert!(x.rank() >= 1, "{op}: needs a signal [.., T], not a single number");
    assert!(size > 0, "{op}: parts have no elements");
    let hop = options.hop.unwrap_or(size / 4);
    assert!(hop > 0, "{op}: the hop is 0; parts would be the same");
    let mut x = float(x);
    if options.center {
        x = mirrored(&x, size / 2);
    }
    let length = x.size(-1);
    assert!(length >= size, "{op}: a signal of {length} elements is shorter than a part of {size}");
    let mut parts = x.sliding_windows(-1, size, hop);
    if let Some(window) = &options.window {
        parts = parts * whole_window(window, size).cast(x.dtype());
    }
    let own = match options.normalized {
        true => FftOptions::new().norm(Norm::Ortho),
        false => FftOptions::new(),
    };
    let found = if options.onesided { rfft(&parts, &own) } else { fft(&parts, &own) };
    Complex::from_pairs(found.pairs().transpose(-3, -2))
}

/// The window in the middle of zeros.
#[track_caller]
fn whole_window(window: &Tensor, size: usize) -> Tensor {
    let shape: &Shape = window.shape();
    assert!(
        shape.rank() == 1 && shape[0] <= size,
        "stft: a window {shape} for parts of {size} elements"
    );
    let before = (size - shape[0]) / 2;
    window.pad(&[(before, size - shape[0] - before)])
}

/// The signal with `count` elements mirrored at each end, which are not repeated themselves.
#[track_caller]
fn mirrored(x: &Tensor, count: usize) -> Tensor {
    let length = x.size(-1);
    assert!(
        count < length,
        "stft: a signal of {length} elements is too short to mirror {count} of them; use center(false)"
    );
    let before = x.narrow(-1, 1, count).flip(-1);
    let after = x.narrow(-1, length - 1 - count, count).flip(-1);
    Tensor::concat(&[&before, x, &after], -1)
}

//! Fourier transforms, as `torch.fft`.
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod complex;
mod options;
mod host;
mod wgsl;
mod ops;
mod turn;
mod lines;
mod axes;
mod frequencies;
mod transforms;
mod stft;
pub mod windows;

pub use complex::Complex;
pub use frequencies::{fftfreq, fftshift, ifftshift, rfftfreq};
pub use options::{FftOptions, Norm};
pub use stft::{StftOptions, stft};
pub use transforms::{
    fft, fft2, fftn, hfft, hfft2, hfftn, ifft, ifft2, ifftn, ihfft, ihfft2, ihfftn, irfft, irfft2,
    irfftn, rfft, rfft2, rfftn,
};

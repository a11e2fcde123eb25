//! Metrics of pictures against pictures.

mod psnr;
mod ssim;

pub use psnr::psnr;
pub use ssim::{ChannelAxis, Ssim, ssim};

//! Other sizes, grids, windows whose places are drawn.

use gradloom_tensor::Tensor;
use gradloom_tensor::ops::grid_sampling::{GridMode, GridOptions, GridPadding};
use gradloom_tensor::ops::interpolation::{InterpolateOptions, Interpolation};

use crate::case::Case;

fn resized(x: &Tensor, sizes: &[usize], mode: Interpolation, corners: bool) -> Tensor {
    x.interpolate(sizes, &InterpolateOptions::new(mode).align_corners(corners))
}

fn sampled(x: &[Tensor], mode: GridMode, padding: GridPadding, align_corners: bool) -> Tensor {
    x[0].grid_sample(&x[1], &GridOptions { mode, padding, align_corners })
}

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new("interpolate nearest", |x| {
            resized(&x[0], &[5, 3], Interpolation::Nearest, false)
        })
        .float(&[2, 2, 3, 4]),
        Case::new("interpolate linear", |x| resized(&x[0], &[7], Interpolation::Linear, false))
            .float(&[2, 2, 4]),
        Case::new("interpolate bilinear with corners", |x| {
            resized(&x[0], &[5, 3], Interpolation::Linear, true)
        })
        .float(&[1, 2, 3, 4]),
        Case::new("interpolate trilinear", |x| {
            resized(&x[0], &[2, 3, 4], Interpolation::Linear, false)
        })
        .float(&[1, 2, 3, 2, 2]),
        Case::new("interpolate bicubic", |x| resized(&x[0], &[5, 6], Interpolation::Cubic, false))
            .float(&[1, 2, 3, 4]),
        Case::new("interpolate area", |x| resized(&x[0], &[2, 3], Interpolation::Area, false))
            .float(&[1, 2, 4, 5]),
        Case::new("interpolate smoothed", |x| {
            let options = InterpolateOptions::new(Interpolation::Cubic).antialias(true);
            x[0].interpolate(&[3, 4], &options)
        })
        .float(&[1, 1, 8, 9]),
        Case::new("grid_sample", |x| sampled(x, GridMode::Linear, GridPadding::Zeros, false))
            .float(&[2, 2, 3, 4])
            .float(&[2, 3, 2, 2]),
        Case::new("grid_sample at the border", |x| {
            sampled(x, GridMode::Linear, GridPadding::Border, true)
        })
        .float(&[1, 2, 3, 4])
        .unit(&[1, 3, 2, 2]),
        Case::new("grid_sample mirrored", |x| {
            sampled(x, GridMode::Cubic, GridPadding::Reflection, false)
        })
        .float(&[1, 2, 4, 4])
        .unit(&[1, 3, 2, 2])
        .tolerance(1e-4),
        Case::new("grid_sample nearest", |x| {
            sampled(x, GridMode::Nearest, GridPadding::Zeros, true)
        })
        .float(&[1, 2, 3, 4])
        .unit(&[1, 3, 2, 2])
        .smooth(1),
        Case::new("grid_sample of volumes", |x| {
            sampled(x, GridMode::Linear, GridPadding::Zeros, false)
        })
        .float(&[1, 2, 2, 3, 4])
        .unit(&[1, 1, 3, 2, 3]),
        Case::new("fractional_max_pool2d", |x| {
            x[0].fractional_max_pool2d([2, 2], [3, 2], &x[1].abs()).0.exp()
        })
        .float(&[2, 2, 7, 5])
        .unit(&[2, 2, 2]),
        Case::new("pdist", |x| x[0].pdist(2.0)).float(&[5, 3]),
        Case::new("normalize_by", |x| x[0].normalize_by(3.0, 1, 1e-6)).float(&[3, 4, 2]),
        Case::new("softplus_with", |x| x[0].softplus_with(3.0, 20.0)).float(&[3, 4]),
        Case::new("safe_softmax", |x| x[0].safe_softmax(0)).float(&[4, 3]),
    ]
}

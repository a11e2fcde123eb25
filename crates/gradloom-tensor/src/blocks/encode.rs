//! From numbers to blocks.
//!
//! The formats without super-blocks are quantised as ggml's reference does it, bit for bit: the largest
//! number sets the scale. Super-blocks are fitted for the least squared error by a search of our own.

use super::BlockFormat;
use super::block::Block;
use super::fit::{self, Affine};
use half::f16;

/// Quantises the numbers of one block, by their weights if they have some.
pub(super) fn encode(format: BlockFormat, values: &[f32], weights: Option<&[f32]>) -> Block {
    if let Some(weights) = weights {
        return match format {
            BlockFormat::Q4_0 | BlockFormat::Q5_0 => by_weights(format, values, weights),
            BlockFormat::Q4_1 | BlockFormat::Q5_1 => range_by_weights(format, values, weights),
            // Nearly exact as it is.
            BlockFormat::Q8_0 => by_magnitude(values),
            BlockFormat::Q2_K | BlockFormat::Q4_K | BlockFormat::Q5_K => {
                affine(format, values, weights)
            }
            BlockFormat::Q3_K | BlockFormat::Q6_K => symmetric(format, values, weights),
        };
    }
    match format {
        BlockFormat::Q4_0 | BlockFormat::Q5_0 => by_largest(format, values),
        BlockFormat::Q4_1 | BlockFormat::Q5_1 => by_range(format, values),
        BlockFormat::Q8_0 => by_magnitude(values),
        BlockFormat::Q2_K | BlockFormat::Q4_K | BlockFormat::Q5_K => {
            affine(format, values, &fit::EQUAL)
        }
        BlockFormat::Q3_K | BlockFormat::Q6_K => symmetric(format, values, &fit::EQUAL),
    }
}

fn empty() -> Block {
    Block { d: 0.0, dmin: 0.0, scales: [1; 16], minima: [0; 16], quants: [0; 256] }
}

/// The number farthest from zero becomes the lowest quant.
fn by_largest(format: BlockFormat, values: &[f32]) -> Block {
    let layout = format.layout();
    let largest =
        values.iter().copied().fold(0.0, |a: f32, b| if b.abs() > a.abs() { b } else { a });
    let mut block = empty();
    block.d = largest / -f32::from(layout.zero);
    let inverse = if block.d == 0.0 { 0.0 } else { 1.0 / block.d };
    for (quant, value) in block.quants.iter_mut().zip(values) {
        let scaled = value * inverse + (f32::from(layout.zero) + 0.5);
        *quant = (scaled as u8).min(layout.top);
    }
    block
}

/// The smallest number becomes the lowest quant, the largest the highest.
fn by_range(format: BlockFormat, values: &[f32]) -> Block {
    let layout = format.layout();
    let low = values.iter().copied().fold(f32::INFINITY, f32::min);
    let high = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut block = empty();
    block.d = (high - low) / f32::from(layout.top);
    (block.dmin, block.minima) = (-low, [1; 16]);
    let inverse = if block.d == 0.0 { 0.0 } else { 1.0 / block.d };
    for (quant, value) in block.quants.iter_mut().zip(values) {
        *quant = (((value - low) * inverse + 0.5) as u8).min(layout.top);
    }
    block
}

/// The number farthest from zero becomes 127 or -127.
fn by_magnitude(values: &[f32]) -> Block {
    let mut block = empty();
    block.d = values.iter().fold(0.0, |a: f32, b| a.max(b.abs())) / 127.0;
    let inverse = if block.d == 0.0 { 0.0 } else { 1.0 / block.d };
    for (quant, value) in block.quants.iter_mut().zip(values) {
        *quant = ((value * inverse).round() as i8 as u8) ^ 0x80;
    }
    block
}

/// The scale of the least weighted error, or that of the largest number if it is as good.
fn by_weights(format: BlockFormat, values: &[f32], weights: &[f32]) -> Block {
    let layout = format.layout();
    let plain = by_largest(format, values);
    let error = |scale: f32| fit::symmetric_error(values, weights, stored(scale), layout.zero);
    let scale = fit::symmetric(values, weights, layout.zero);
    if error(scale) >= error(plain.d) {
        return plain;
    }
    let mut block = empty();
    block.d = stored(scale);
    let inverse = fit::inverse(block.d);
    for (quant, value) in block.quants.iter_mut().zip(values) {
        *quant = fit::quant(value * inverse + f32::from(layout.zero), layout.top);
    }
    block
}

/// The scale and minimum of the least weighted error, or those of the range if they are as good.
fn range_by_weights(format: BlockFormat, values: &[f32], weights: &[f32]) -> Block {
    let layout = format.layout();
    let plain = by_range(format, values);
    let error = |fit| fit::affine_error(values, weights, fit, layout.top);
    let as_stored = |scale, minimum| Affine { scale: stored(scale), minimum: stored(minimum) };
    let found = fit::affine(values, weights, layout.top);
    let found = as_stored(found.scale, found.minimum);
    if error(found) >= error(as_stored(plain.d, plain.dmin)) {
        return plain;
    }
    let mut block = empty();
    (block.d, block.dmin, block.minima) = (found.scale, found.minimum, [1; 16]);
    let inverse = fit::inverse(block.d);
    for (quant, value) in block.quants.iter_mut().zip(values) {
        *quant = fit::quant((value + block.dmin) * inverse, layout.top);
    }
    block
}

/// Super-blocks with scales and minima.
fn affine(format: BlockFormat, values: &[f32], weights: &[f32]) -> Block {
    let layout = format.layout();
    let scale_top = if format == BlockFormat::Q2_K { 15 } else { 63 };
    let mut fits = [Affine::default(); 16];
    let weighted = || values.chunks_exact(layout.group).zip(weights.chunks_exact(layout.group));
    for (fit, (group, weights)) in fits.iter_mut().zip(weighted()) {
        *fit = fit::affine(group, weights, layout.top);
    }
    let largest = |of: fn(&Affine) -> f32| fits.iter().map(of).fold(0.0, f32::max);
    let mut block = empty();
    block.d = stored(largest(|fit| fit.scale) / f32::from(scale_top));
    block.dmin = stored(largest(|fit| fit.minimum) / f32::from(scale_top));
    for (index, ((group, weights), quants)) in
        weighted().zip(block.quants.chunks_exact_mut(layout.group)).enumerate()
    {
        let scale = fit::quant(fits[index].scale * fit::inverse(block.d), scale_top);
        let minimum = fit::quant(fits[index].minimum * fit::inverse(block.dmin), scale_top);
        let fit_of = |scale: u8, minimum: u8| Affine {
            scale: block.d * f32::from(scale),
            minimum: block.dmin * f32::from(minimum),
        };
        // The two were rounded apart from each other, so their neighbours may fit better together.
        let around = |at: u8| at.saturating_sub(1)..=(at + 1).min(scale_top);
        let mut best = (f32::INFINITY, scale, minimum);
        for (scale, minimum) in
            around(scale).flat_map(|scale| around(minimum).map(move |minimum| (scale, minimum)))
        {
            let error = fit::affine_error(group, weights, fit_of(scale, minimum), layout.top);
            if error < best.0 {
                best = (error, scale, minimum);
            }
        }
        (block.scales[index], block.minima[index]) = (best.1 as i8, best.2);
        let fit = fit_of(best.1, best.2);
        let inverse = fit::inverse(fit.scale);
        for (quant, value) in quants.iter_mut().zip(group) {
            *quant = fit::quant((value + fit.minimum) * inverse, layout.top);
        }
    }
    block
}

/// Super-blocks with signed scales.
fn symmetric(format: BlockFormat, values: &[f32], weights: &[f32]) -> Block {
    let layout = format.layout();
    let scale_lowest: i8 = if format == BlockFormat::Q3_K { -32 } else { -128 };
    let mut fits = [0.0f32; 16];
    let weighted = || values.chunks_exact(layout.group).zip(weights.chunks_exact(layout.group));
    for (fit, (group, weights)) in fits.iter_mut().zip(weighted()) {
        *fit = fit::symmetric(group, weights, layout.zero);
    }
    let largest = fits.iter().copied().fold(0.0, |a: f32, b| if b.abs() > a.abs() { b } else { a });
    let mut block = empty();
    block.d = stored(largest / f32::from(scale_lowest));
    for (index, ((group, weights), quants)) in
        weighted().zip(block.quants.chunks_exact_mut(layout.group)).enumerate()
    {
        let nearest = (fits[index] * fit::inverse(block.d)).round_ties_even() as i16;
        let mut best = (f32::INFINITY, 0);
        for scale in nearest.saturating_sub(1)..=nearest.saturating_add(1) {
            let scale = scale.clamp(i16::from(scale_lowest), -1 - i16::from(scale_lowest)) as i8;
            let error =
                fit::symmetric_error(group, weights, block.d * f32::from(scale), layout.zero);
            if error < best.0 {
                best = (error, scale);
            }
        }
        block.scales[index] = best.1;
        let inverse = fit::inverse(block.d * f32::from(best.1));
        for (quant, value) in quants.iter_mut().zip(group) {
            *quant = fit::quant(value * inverse + f32::from(layout.zero), layout.top);
        }
    }
    block
}

/// What `f16` makes of a scale; one that is too large becomes the largest.
fn stored(scale: f32) -> f32 {
    f16::from_f32(scale.clamp(f16::MIN.to_f32(), f16::MAX.to_f32())).to_f32()
}

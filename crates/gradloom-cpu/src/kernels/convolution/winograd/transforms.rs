//! The transforms along both axes, a vector of channels at a time.
#![expect(unsafe_code, reason = "loads and stores by pointer; bounds are checked once before them")]

use super::lines::{POINTS, REACH, TAPS, TILE, of_inputs, of_weights, to_outputs};
use crate::vector::{Vector, VectorTask};

/// Windows `[input][tap][width]` to `out[point][input][width]`, points `point` elements apart.
pub(super) struct FromWeights<'a> {
    pub(super) taps: &'a [f32],
    pub(super) inputs: usize,
    /// A multiple of the lanes.
    pub(super) width: usize,
    /// True if the last tap is the first.
    pub(super) turned: bool,
    pub(super) out: &'a mut [f32],
    pub(super) point: usize,
}

impl VectorTask<f32> for FromWeights<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<Scalar = f32>, const ROWS: usize, const COLUMNS: usize>(self) {
        let FromWeights { taps, inputs, width, turned, out, point } = self;
        assert!(width.is_multiple_of(V::LANES) && taps.len() >= inputs * TAPS * width);
        assert!(out.len() >= (POINTS - 1) * point + inputs * width);
        for at in 0..inputs * width / V::LANES {
            let (input, lane) = (at * V::LANES / width, at * V::LANES % width);
            let mut columns = [[V::splat(0.0); 3]; REACH];
            // SAFETY: the assertions above, for this input and these lanes.
            unsafe {
                let taps = taps.as_ptr().add(input * TAPS * width + lane);
                for x in 0..3 {
                    let tap = |y: usize| {
                        let tap = y * 3 + x;
                        let tap = if turned { TAPS - 1 - tap } else { tap };
                        V::load(taps.add(tap * width))
                    };
                    let line = of_weights([tap(0), tap(1), tap(2)]);
                    for y in 0..REACH {
                        columns[y][x] = line[y];
                    }
                }
                for (y, row) in columns.into_iter().enumerate() {
                    for (x, value) in of_weights(row).into_iter().enumerate() {
                        let out = out.as_mut_ptr().add((y * REACH + x) * point);
                        value.store(out.add(input * width + lane));
                    }
                }
            }
        }
    }
}

/// Pixels with channels last under rows of tiles to `points[point][tile][channel]`, points `point` elements
/// apart.
pub(super) struct FromInput<'a> {
    pub(super) pixels: &'a [f32],
    pub(super) tiles: [usize; 2],
    /// A multiple of the lanes.
    pub(super) channels: usize,
    pub(super) points: &'a mut [f32],
    pub(super) point: usize,
}

impl VectorTask<f32> for FromInput<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<Scalar = f32>, const ROWS: usize, const COLUMNS: usize>(self) {
        let FromInput { pixels, tiles: [down, across], channels, points, point } = self;
        let step = (across * TILE + 2) * channels;
        assert!(channels.is_multiple_of(V::LANES) && pixels.len() >= (down * TILE + 2) * step);
        assert!(points.len() >= (POINTS - 1) * point + down * across * channels);
        for tile in 0..down * across {
            let (y, x) = (tile / across * TILE, tile % across * TILE);
            for channel in (0..channels).step_by(V::LANES) {
                let mut columns = [[V::splat(0.0); REACH]; REACH];
                // SAFETY: the assertions above, for the pixels of this tile and these channels.
                unsafe {
                    let pixels = pixels.as_ptr().add(y * step + x * channels + channel);
                    for x in 0..REACH {
                        let mut line = [V::splat(0.0); REACH];
                        for (y, slot) in line.iter_mut().enumerate() {
                            *slot = V::load(pixels.add(y * step + x * channels));
                        }
                        let line = of_inputs(line);
                        for y in 0..REACH {
                            columns[y][x] = line[y];
                        }
                    }
                    let points = points.as_mut_ptr().add(tile * channels + channel);
                    for (y, row) in columns.into_iter().enumerate() {
                        for (x, value) in of_inputs(row).into_iter().enumerate() {
                            value.store(points.add((y * REACH + x) * point));
                        }
                    }
                }
            }
        }
    }
}

/// The products of a row of tiles, `products[point][tile][channel]`, points `point` elements apart, to pixels
/// with channels last.
pub(super) struct ToOutput<'a> {
    pub(super) products: &'a [f32],
    pub(super) point: usize,
    pub(super) across: usize,
    /// A multiple of the lanes.
    pub(super) channels: usize,
    pub(super) pixels: &'a mut [f32],
}

impl VectorTask<f32> for ToOutput<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<Scalar = f32>, const ROWS: usize, const COLUMNS: usize>(self) {
        let ToOutput { products, point, across, channels, pixels } = self;
        let step = across * TILE * channels;
        assert!(channels.is_multiple_of(V::LANES) && pixels.len() >= TILE * step);
        assert!(products.len() >= (POINTS - 1) * point + across * channels);
        for tile in 0..across {
            for channel in (0..channels).step_by(V::LANES) {
                let mut columns = [[V::splat(0.0); REACH]; TILE];
                // SAFETY: the assertions above, for this tile and these channels.
                unsafe {
                    let products = products.as_ptr().add(tile * channels + channel);
                    for x in 0..REACH {
                        let mut line = [V::splat(0.0); REACH];
                        for (y, slot) in line.iter_mut().enumerate() {
                            *slot = V::load(products.add((y * REACH + x) * point));
                        }
                        let line = to_outputs(line);
                        for y in 0..TILE {
                            columns[y][x] = line[y];
                        }
                    }
                    let pixels = pixels.as_mut_ptr().add(tile * TILE * channels + channel);
                    for (y, row) in columns.into_iter().enumerate() {
                        for (x, value) in to_outputs(row).into_iter().enumerate() {
                            value.store(pixels.add(y * step + x * channels));
                        }
                    }
                }
            }
        }
    }
}

//! Tiles of sums in registers: neighbouring positions of some outputs, or neighbouring outputs of some rows.
#![expect(unsafe_code, reason = "the loops read by pointer; bounds are checked once before them")]

use super::dots::Dots;
use super::packed::{BLOCK, FOUR};

/// Bytes of a step of a block of weights.
const STEP: usize = BLOCK * FOUR;
/// Positions of the widest tile, and sums of the largest.
pub(super) const TILE_WIDTH: usize = 3 * 16;
pub(super) const SUMS_MAX: usize = 8 * TILE_WIDTH;

/// Sums of `ROWS` outputs at `COLUMNS` vectors of positions, a row of sums for each output.
///
/// # Safety
/// `ROWS` outputs of each step are at `weights`, and four bytes for each position at `source` after each offset, which is
/// counted in fours.
#[inline(always)]
pub(super) unsafe fn of_positions<D: Dots, const ROWS: usize, const COLUMNS: usize>(
    weights: *const u8,
    source: *const u8,
    offsets: &[usize],
    sums: &mut [i32; SUMS_MAX],
) {
    let mut tile = [[D::zero(); COLUMNS]; ROWS];
    let mut weights = weights;
    for &offset in offsets {
        // SAFETY: the caller vouches for all offsets.
        unsafe {
            let row = source.add(FOUR * offset);
            let mut values = [D::zero(); COLUMNS];
            for column in 0..COLUMNS {
                values[column] = D::load(row.add(FOUR * D::LANES * column));
            }
            for index in 0..ROWS {
                let weight = D::splat(weights.add(FOUR * index));
                for column in 0..COLUMNS {
                    tile[index][column] = tile[index][column].add_dots(values[column], weight);
                }
            }
            weights = weights.add(STEP);
        }
    }
    store(tile, sums);
}

/// Sums of `ROWS` rows for `COLUMNS` vectors of outputs, a row of sums for each row.
///
/// # Safety
/// `steps` fours are at each row, `row` bytes apart, and the weights of as many steps in the blocks, `block` bytes apart.
#[inline(always)]
pub(super) unsafe fn of_outputs<D: Dots, const ROWS: usize, const COLUMNS: usize>(
    rows: *const u8,
    row: usize,
    weights: *const u8,
    block: usize,
    steps: usize,
    sums: &mut [i32; SUMS_MAX],
) {
    let mut tile = [[D::zero(); COLUMNS]; ROWS];
    for step in 0..steps {
        // SAFETY: the caller vouches for all steps.
        unsafe {
            let weights = weights.add(step * STEP);
            let mut values = [D::zero(); COLUMNS];
            for column in 0..COLUMNS {
                let output = column * D::LANES;
                values[column] =
                    D::load(weights.add(output / BLOCK * block + output % BLOCK * FOUR));
            }
            for index in 0..ROWS {
                let four = D::splat(rows.add(index * row + step * FOUR));
                for column in 0..COLUMNS {
                    tile[index][column] = tile[index][column].add_dots(four, values[column]);
                }
            }
        }
    }
    store(tile, sums);
}

#[inline(always)]
fn store<D: Dots, const ROWS: usize, const COLUMNS: usize>(
    tile: [[D; COLUMNS]; ROWS],
    sums: &mut [i32; SUMS_MAX],
) {
    assert!(ROWS * COLUMNS * D::LANES <= SUMS_MAX, "tile: too many sums");
    for index in 0..ROWS {
        for column in 0..COLUMNS {
            // SAFETY: the assertion above.
            unsafe {
                let place = (index * COLUMNS + column) * D::LANES;
                tile[index][column].store(sums.as_mut_ptr().add(place));
            }
        }
    }
}

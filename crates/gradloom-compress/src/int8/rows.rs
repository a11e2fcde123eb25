//! [`OfRows`]: sums of some rows of the input, for neighbouring outputs.
#![expect(unsafe_code, reason = "tiles read by pointer; bounds are checked once before them")]

use super::dots::{Dots, Task};
use super::finish::{Finished, OfOutputs};
use super::packed::{BLOCK, FOUR};

/// Sums of the largest tile.
const SUMS_MAX: usize = 8 * 3 * 16;

/// Rows of a product. A row is a row of a matrix, or the window of a position.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a> {
    pub(super) bytes: &'a [u8],
    /// Where each row begins.
    pub(super) starts: &'a [usize],
    /// Where the fours of a sum lie in a row.
    pub(super) offsets: &'a [usize],
    /// What the sums of a row are multiplied with, nothing if none.
    pub(super) scales: Option<&'a [f32]>,
}

/// Products of rows with blocks of weights, for outputs that begin with a block.
pub(super) struct OfRows<'a, T> {
    pub(super) rows: Rows<'a>,
    /// Blocks of these outputs.
    pub(super) weights: &'a [u8],
    pub(super) of_outputs: OfOutputs<'a>,
    /// Results of all rows, `step` apart, those of the first output at 0.
    pub(super) out: &'a mut [T],
    pub(super) step: usize,
}

impl<T: Finished> Task for OfRows<'_, T> {
    #[inline(always)]
    fn run<D: Dots, const ROWS: usize, const COLUMNS: usize>(self) {
        let OfRows { rows, weights, of_outputs, out, step } = self;
        let Rows { bytes, starts, offsets, scales } = rows;
        let block = offsets.len() * BLOCK * FOUR;
        let count = starts.len();
        let width = of_outputs.factor.len();
        let vectors = width.div_ceil(D::LANES);
        let reach = |places: &[usize]| places.iter().copied().max().unwrap_or(0);
        assert!(bytes.len() >= reach(starts) + reach(offsets) + FOUR, "product: rows");
        assert!(weights.len() >= (vectors * D::LANES).div_ceil(BLOCK) * block, "product: weights");
        let mut sums = [0i32; SUMS_MAX];
        let mut vector = 0;
        while vector < vectors {
            let output = vector * D::LANES;
            // A tile of several vectors begins with a block.
            let fits = vectors - vector >= COLUMNS && output.is_multiple_of(BLOCK);
            let columns = if fits { COLUMNS } else { 1 };
            let lanes = columns * D::LANES;
            let kept = lanes.min(width - output);
            let of_outputs = of_outputs.part(output, kept);
            let weights = &weights[output / BLOCK * block + output % BLOCK * FOUR..];
            let mut row = 0;
            while row < count {
                let own = if count - row >= ROWS { ROWS } else { 1 };
                let starts = &starts[row..row + own];
                // SAFETY: the assertions above: all fours of these rows, and of these blocks of weights.
                unsafe {
                    let (bytes, weights) = (bytes.as_ptr(), weights.as_ptr());
                    let sums = &mut sums;
                    match (own == ROWS, columns == COLUMNS) {
                        (true, true) => {
                            tile::<D, ROWS, COLUMNS>(bytes, starts, offsets, weights, block, sums)
                        }
                        (true, false) => {
                            tile::<D, ROWS, 1>(bytes, starts, offsets, weights, block, sums)
                        }
                        (false, true) => {
                            tile::<D, 1, COLUMNS>(bytes, starts, offsets, weights, block, sums)
                        }
                        (false, false) => {
                            tile::<D, 1, 1>(bytes, starts, offsets, weights, block, sums)
                        }
                    }
                }
                for (index, sums) in sums.chunks_exact(lanes).take(own).enumerate() {
                    let out = &mut out[(row + index) * step + output..][..kept];
                    of_outputs.finish(sums, scales.map_or(1.0, |scales| scales[row + index]), out);
                }
                row += own;
            }
            vector += columns;
        }
    }
}

/// Sums of `ROWS` rows for `COLUMNS` vectors of outputs, a row of sums for each row.
///
/// # Safety
/// Four bytes are at each start and each offset after it, and the weights of as many steps as there are offsets in the
/// blocks, `block` bytes apart.
#[inline(always)]
unsafe fn tile<D: Dots, const ROWS: usize, const COLUMNS: usize>(
    bytes: *const u8,
    starts: &[usize],
    offsets: &[usize],
    weights: *const u8,
    block: usize,
    sums: &mut [i32; SUMS_MAX],
) {
    let mut tile = [[D::zero(); COLUMNS]; ROWS];
    // SAFETY: the caller vouches for all starts.
    let rows: [*const u8; ROWS] = std::array::from_fn(|index| unsafe { bytes.add(starts[index]) });
    for (step, &offset) in offsets.iter().enumerate() {
        // SAFETY: the caller vouches for all steps.
        unsafe {
            let weights = weights.add(step * BLOCK * FOUR);
            let mut values = [D::zero(); COLUMNS];
            for column in 0..COLUMNS {
                let output = column * D::LANES;
                values[column] =
                    D::load(weights.add(output / BLOCK * block + output % BLOCK * FOUR));
            }
            for index in 0..ROWS {
                let four = D::splat(rows[index].add(offset));
                for column in 0..COLUMNS {
                    tile[index][column] = tile[index][column].add_dots(four, values[column]);
                }
            }
        }
    }
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

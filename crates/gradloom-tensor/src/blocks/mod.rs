//! [`BlockFormat`]: numbers in blocks that share scales, as GGUF files store them.
//!
//! A matrix `[rows, columns]` is stored row by row; each row is a whole number of blocks. Decoding
//! agrees bit for bit with ggml's reference. Tensors hold blocks in [`Interleaved`](interleave) order,
//! which is the same bytes in an order that suits vector instructions and GPUs.

mod block;
mod encode;
mod fit;
pub mod interleave;
mod packing;

use block::Block;

/// How a block of numbers is stored. `QN_0` scales, `QN_1` scales and shifts; `QN_K` are super-blocks
/// of 256 with scales that are quantised themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(non_camel_case_types, reason = "the names by which the formats are known")]
pub enum BlockFormat {
    /// 4 bits, a scale: `d * (q - 8)`.
    Q4_0,
    /// 4 bits, a scale and a minimum: `d * q + m`.
    Q4_1,
    /// 5 bits, a scale: `d * (q - 16)`.
    Q5_0,
    /// 5 bits, a scale and a minimum: `d * q + m`.
    Q5_1,
    /// 8 bits, a scale: `d * q`.
    Q8_0,
    /// 2 bits, scales and minima of 4 bits for each 16.
    Q2_K,
    /// 3 bits, scales of 6 bits for each 16.
    Q3_K,
    /// 4 bits, scales and minima of 6 bits for each 32.
    Q4_K,
    /// 5 bits, scales and minima of 6 bits for each 32.
    Q5_K,
    /// 6 bits, scales of 8 bits for each 16.
    Q6_K,
}

impl BlockFormat {
    /// Every format.
    pub const ALL: [BlockFormat; 10] = [
        BlockFormat::Q4_0,
        BlockFormat::Q4_1,
        BlockFormat::Q5_0,
        BlockFormat::Q5_1,
        BlockFormat::Q8_0,
        BlockFormat::Q2_K,
        BlockFormat::Q3_K,
        BlockFormat::Q4_K,
        BlockFormat::Q5_K,
        BlockFormat::Q6_K,
    ];

    /// The name in GGUF's documentation: `Q4_0`, `Q6_K`.
    pub fn name(self) -> &'static str {
        match self {
            BlockFormat::Q4_0 => "Q4_0",
            BlockFormat::Q4_1 => "Q4_1",
            BlockFormat::Q5_0 => "Q5_0",
            BlockFormat::Q5_1 => "Q5_1",
            BlockFormat::Q8_0 => "Q8_0",
            BlockFormat::Q2_K => "Q2_K",
            BlockFormat::Q3_K => "Q3_K",
            BlockFormat::Q4_K => "Q4_K",
            BlockFormat::Q5_K => "Q5_K",
            BlockFormat::Q6_K => "Q6_K",
        }
    }

    /// Numbers in a block.
    pub fn elements(self) -> usize {
        match self {
            BlockFormat::Q4_0
            | BlockFormat::Q4_1
            | BlockFormat::Q5_0
            | BlockFormat::Q5_1
            | BlockFormat::Q8_0 => 32,
            BlockFormat::Q2_K
            | BlockFormat::Q3_K
            | BlockFormat::Q4_K
            | BlockFormat::Q5_K
            | BlockFormat::Q6_K => 256,
        }
    }

    /// Bytes of each field of a block, in order: scales of two bytes are `f16`, the others are packed
    /// small integers.
    pub fn fields(self) -> &'static [usize] {
        match self {
            BlockFormat::Q4_0 => &[2, 16],
            BlockFormat::Q4_1 => &[2, 2, 16],
            BlockFormat::Q5_0 => &[2, 4, 16],
            BlockFormat::Q5_1 => &[2, 2, 4, 16],
            BlockFormat::Q8_0 => &[2, 32],
            BlockFormat::Q2_K => &[16, 64, 2, 2],
            BlockFormat::Q3_K => &[32, 64, 12, 2],
            BlockFormat::Q4_K => &[2, 2, 12, 128],
            BlockFormat::Q5_K => &[2, 2, 12, 32, 128],
            BlockFormat::Q6_K => &[128, 64, 16, 2],
        }
    }

    /// Bytes of a block.
    pub fn bytes(self) -> usize {
        self.fields().iter().sum()
    }

    /// The numbers that plain blocks stand for. Any bits are valid blocks; a scale may be NaN or infinite.
    ///
    /// # Panics
    /// If the blocks are not whole, or their number does not fit the number of values.
    pub fn decode(self, blocks: &[u8], values: &mut [f32]) {
        self.check("decode", blocks.len(), values.len());
        let values = values.chunks_exact_mut(self.elements());
        for (bytes, values) in blocks.chunks_exact(self.bytes()).zip(values) {
            Block::read(self, bytes).values(self, values);
        }
    }

    /// Plain blocks that stand for these numbers, or for numbers near them, which must be finite.
    ///
    /// `QN_0` and `QN_1` give the same bits as ggml's reference. `QN_K` are searched for a low squared
    /// error, every number counting the same.
    ///
    /// # Panics
    /// If the values are no whole blocks, or their number does not fit the number of bytes.
    pub fn encode(self, values: &[f32], blocks: &mut [u8]) {
        self.check("encode", blocks.len(), values.len());
        let values = values.chunks_exact(self.elements());
        for (bytes, values) in blocks.chunks_exact_mut(self.bytes()).zip(values) {
            encode::encode(self, values, None).write(self, bytes);
        }
    }

    /// As [`encode`](BlockFormat::encode), for a low squared error in which each number counts by the importance of
    /// its column, such as the mean square of an input: rows are as long as `importance`, and those that are larger
    /// than others count a little more, as in llama.cpp. Q8_0 takes no notice of it.
    ///
    /// # Panics
    /// As [`encode`](BlockFormat::encode), and if rows are no whole blocks or an importance is negative or not finite.
    pub fn encode_weighted(self, values: &[f32], importance: &[f32], blocks: &mut [u8]) {
        self.check("encode_weighted", blocks.len(), values.len());
        let columns = importance.len();
        assert!(
            columns > 0
                && columns.is_multiple_of(self.elements())
                && values.len().is_multiple_of(columns),
            "{self}: encode_weighted: {} values, an importance of {columns}; rows must be whole blocks",
            values.len()
        );
        assert!(
            importance.iter().all(|weight| weight.is_finite() && *weight >= 0.0),
            "{self}: encode_weighted: an importance is negative or not finite"
        );
        let row_bytes = columns / self.elements() * self.bytes();
        for (row, blocks) in values.chunks_exact(columns).zip(blocks.chunks_exact_mut(row_bytes)) {
            let mean_square = row.iter().map(|value| value * value).sum::<f32>() / columns as f32;
            let parts =
                row.chunks_exact(self.elements()).zip(importance.chunks_exact(self.elements()));
            for (bytes, (values, importance)) in blocks.chunks_exact_mut(self.bytes()).zip(parts) {
                let mut weights = [0.0; 256];
                for (weight, (value, of)) in weights.iter_mut().zip(values.iter().zip(importance)) {
                    *weight = of * (mean_square + value * value).sqrt();
                }
                // Where no input ever comes, any numbers would do. Weights are scaled so that their sums neither
                // overflow nor vanish.
                let largest = weights.iter().copied().fold(0.0, f32::max);
                weights.iter_mut().for_each(|weight| *weight /= largest.max(f32::MIN_POSITIVE));
                let weights = (largest > 0.0).then_some(&weights[..self.elements()]);
                encode::encode(self, values, weights).write(self, bytes);
            }
        }
    }

    fn check(self, what: &str, bytes: usize, values: usize) {
        assert!(
            values.is_multiple_of(self.elements())
                && values / self.elements() * self.bytes() == bytes,
            "{self}: {what}: {bytes} bytes against {values} values; a block is {} bytes and {} values",
            self.bytes(),
            self.elements()
        );
    }
}

impl std::fmt::Display for BlockFormat {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Key;

    fn random(count: usize, key: u64) -> Vec<f32> {
        let mut key = Key::new(key);
        let draw = |_| {
            key = key.fold(1);
            let [a, b] = key.words();
            (a as f32 - b as f32) / u32::MAX as f32
        };
        (0..count).map(draw).collect()
    }

    #[test]
    fn importance_lowers_the_weighted_error() {
        let values = random(4 * 512, 1);
        let importance: Vec<f32> =
            random(512, 2).iter().map(|value| value.powi(8) * 100.0).collect();
        for format in BlockFormat::ALL {
            let bytes = values.len() / format.elements() * format.bytes();
            let error = |blocks: &[u8]| {
                let mut decoded = vec![0.0; values.len()];
                format.decode(blocks, &mut decoded);
                let pairs = values.iter().zip(&decoded).zip(importance.iter().cycle());
                pairs.map(|((a, b), weight)| f64::from(weight * (a - b) * (a - b))).sum::<f64>()
            };
            let (mut plain, mut weighted) = (vec![0; bytes], vec![0; bytes]);
            format.encode(&values, &mut plain);
            format.encode_weighted(&values, &importance, &mut weighted);
            if format == BlockFormat::Q8_0 {
                assert_eq!(plain, weighted);
                continue;
            }
            let (plain, weighted) = (error(&plain), error(&weighted));
            assert!(weighted < 0.9 * plain, "{format}: {weighted} {plain}");
            // What nothing depends on is as without weights.
            let mut blocks = vec![0; bytes];
            format.encode_weighted(&values, &vec![0.0; 512], &mut blocks);
            assert_eq!(error(&blocks), plain, "{format}");
        }
    }
}

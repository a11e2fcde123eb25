//! [`Block`]: one block of any format with its fields taken apart.
//!
//! Every format is the same formula over other bits: `d * scale * (quant - zero) - dmin * minimum`,
//! with one scale and one minimum for each 16 or 32 numbers. Formats without them have ones and zeros.

use super::BlockFormat;
use super::packing::Packing;
use half::f16;

/// The fields of a block as numbers.
#[derive(Clone)]
pub(super) struct Block {
    pub(super) d: f32,
    pub(super) dmin: f32,
    pub(super) scales: [i8; 16],
    pub(super) minima: [u8; 16],
    /// Only the first [`BlockFormat::elements`] count.
    pub(super) quants: [u8; 256],
}

/// Which field of a block is what, and how its integers lie.
pub(super) struct Layout {
    d: usize,
    dmin: Option<usize>,
    scales: Option<usize>,
    low: (usize, Packing),
    high: Option<(usize, Packing)>,
    /// The quant that stands for zero before the minimum is taken away.
    pub(super) zero: u8,
    /// The largest quant.
    pub(super) top: u8,
    /// Numbers that share a scale.
    pub(super) group: usize,
}

impl BlockFormat {
    pub(super) fn layout(self) -> Layout {
        let p = |field, width, run| (field, Packing { width, run });
        let plain = Layout {
            d: 0,
            dmin: None,
            scales: None,
            low: p(1, 4, 16),
            high: None,
            zero: 0,
            top: 15,
            group: 32,
        };
        match self {
            BlockFormat::Q4_0 => Layout { zero: 8, ..plain },
            BlockFormat::Q4_1 => Layout { dmin: Some(1), low: p(2, 4, 16), ..plain },
            BlockFormat::Q5_0 => {
                let (low, high) = (p(2, 4, 16), Some(p(1, 1, 1)));
                Layout { low, high, zero: 16, top: 31, ..plain }
            }
            BlockFormat::Q5_1 => {
                let (low, high) = (p(3, 4, 16), Some(p(2, 1, 1)));
                Layout { dmin: Some(1), low, high, top: 31, ..plain }
            }
            BlockFormat::Q8_0 => Layout { low: p(1, 8, 32), zero: 128, top: 255, ..plain },
            BlockFormat::Q2_K => {
                let (dmin, scales, low) = (Some(3), Some(0), p(1, 2, 32));
                Layout { d: 2, dmin, scales, low, top: 3, group: 16, ..plain }
            }
            BlockFormat::Q3_K => {
                let (scales, low, high) = (Some(2), p(1, 2, 32), Some(p(0, 1, 32)));
                Layout { d: 3, scales, low, high, zero: 4, top: 7, group: 16, ..plain }
            }
            BlockFormat::Q4_K => {
                Layout { dmin: Some(1), scales: Some(2), low: p(3, 4, 32), ..plain }
            }
            BlockFormat::Q5_K => {
                let (low, high) = (p(4, 4, 32), Some(p(3, 1, 32)));
                Layout { dmin: Some(1), scales: Some(2), low, high, top: 31, ..plain }
            }
            BlockFormat::Q6_K => {
                let (scales, low, high) = (Some(2), p(0, 4, 64), Some(p(1, 2, 32)));
                Layout { d: 3, scales, low, high, zero: 32, top: 63, group: 16, ..plain }
            }
        }
    }

    /// Where a field lies in a block.
    fn field(self, index: usize) -> std::ops::Range<usize> {
        let start = self.fields()[..index].iter().sum();
        start..start + self.fields()[index]
    }
}

impl Block {
    /// Takes a block's bytes apart; all bits are valid.
    pub(super) fn read(format: BlockFormat, bytes: &[u8]) -> Block {
        let layout = format.layout();
        let field = |index| &bytes[format.field(index)];
        let float = |index| {
            let range = format.field(index);
            f16::from_le_bytes([bytes[range.start], bytes[range.start + 1]]).to_f32()
        };
        let mut block = Block {
            d: float(layout.d),
            dmin: layout.dmin.map_or(0.0, float),
            scales: [1; 16],
            minima: [0; 16],
            quants: [0; 256],
        };
        match layout.scales {
            Some(index) => block.read_scales(format, field(index)),
            // These formats add their minimum, the others take it away.
            None if layout.dmin.is_some() => (block.dmin, block.minima) = (-block.dmin, [1; 16]),
            None => {}
        }
        let quants = &mut block.quants[..format.elements()];
        let (index, low) = layout.low;
        low.unpack(field(index), 0, quants);
        if let Some((index, high)) = layout.high {
            high.unpack(field(index), low.width, quants);
        }
        if format == BlockFormat::Q8_0 {
            // From two's complement to an offset of 128.
            quants.iter_mut().for_each(|quant| *quant ^= 0x80);
        }
        block
    }

    /// The inverse of [`Block::read`].
    pub(super) fn write(&self, format: BlockFormat, bytes: &mut [u8]) {
        let layout = format.layout();
        bytes[format.field(layout.d)].copy_from_slice(&f16::from_f32(self.d).to_le_bytes());
        if let Some(index) = layout.dmin {
            let dmin = if layout.scales.is_some() { self.dmin } else { -self.dmin };
            bytes[format.field(index)].copy_from_slice(&f16::from_f32(dmin).to_le_bytes());
        }
        if let Some(index) = layout.scales {
            self.write_scales(format, &mut bytes[format.field(index)]);
        }
        let flip = if format == BlockFormat::Q8_0 { 0x80 } else { 0 };
        let quants = self.quants.map(|quant| quant ^ flip);
        let quants = &quants[..format.elements()];
        let (index, low) = layout.low;
        low.pack(quants, 0, &mut bytes[format.field(index)]);
        if let Some((index, high)) = layout.high {
            high.pack(quants, low.width, &mut bytes[format.field(index)]);
        }
    }

    /// The numbers that the block stands for.
    pub(super) fn values(&self, format: BlockFormat, values: &mut [f32]) {
        let layout = format.layout();
        let groups = values.chunks_exact_mut(layout.group);
        for (index, (group, quants)) in
            groups.zip(self.quants.chunks_exact(layout.group)).enumerate()
        {
            let scale = self.d * f32::from(self.scales[index]);
            let minimum = self.dmin * f32::from(self.minima[index]);
            for (value, quant) in group.iter_mut().zip(quants) {
                let quant = i16::from(*quant) - i16::from(layout.zero);
                *value = scale * f32::from(quant) - minimum;
            }
        }
    }

    fn read_scales(&mut self, format: BlockFormat, bytes: &[u8]) {
        match format {
            BlockFormat::Q2_K => {
                for (index, byte) in bytes.iter().enumerate() {
                    self.scales[index] = (byte & 15) as i8;
                    self.minima[index] = byte >> 4;
                }
            }
            BlockFormat::Q3_K => {
                let (low, high) = bytes.split_at(8);
                let mut scales = [0; 16];
                Packing { width: 4, run: 8 }.unpack(low, 0, &mut scales);
                Packing { width: 2, run: 4 }.unpack(high, 4, &mut scales);
                self.scales = scales.map(|scale| scale as i8 - 32);
            }
            BlockFormat::Q4_K | BlockFormat::Q5_K => {
                for index in 0..4 {
                    let (scale, minimum) = (bytes[index], bytes[index + 4]);
                    let low = bytes[index + 8];
                    self.scales[index] = (scale & 63) as i8;
                    self.minima[index] = minimum & 63;
                    self.scales[index + 4] = (low & 15 | scale >> 6 << 4) as i8;
                    self.minima[index + 4] = low >> 4 | minimum >> 6 << 4;
                }
            }
            BlockFormat::Q6_K => {
                for (scale, byte) in self.scales.iter_mut().zip(bytes) {
                    *scale = *byte as i8;
                }
            }
            BlockFormat::Q4_0
            | BlockFormat::Q4_1
            | BlockFormat::Q5_0
            | BlockFormat::Q5_1
            | BlockFormat::Q8_0 => {}
        }
    }

    fn write_scales(&self, format: BlockFormat, bytes: &mut [u8]) {
        match format {
            BlockFormat::Q2_K => {
                for (index, byte) in bytes.iter_mut().enumerate() {
                    *byte = self.scales[index] as u8 | self.minima[index] << 4;
                }
            }
            BlockFormat::Q3_K => {
                let scales = self.scales.map(|scale| (scale + 32) as u8);
                let (low, high) = bytes.split_at_mut(8);
                Packing { width: 4, run: 8 }.pack(&scales, 0, low);
                Packing { width: 2, run: 4 }.pack(&scales, 4, high);
            }
            BlockFormat::Q4_K | BlockFormat::Q5_K => {
                for index in 0..4 {
                    let (scale, minimum) = (self.scales[index + 4] as u8, self.minima[index + 4]);
                    bytes[index] = self.scales[index] as u8 | scale >> 4 << 6;
                    bytes[index + 4] = self.minima[index] | minimum >> 4 << 6;
                    bytes[index + 8] = scale & 15 | minimum << 4;
                }
            }
            BlockFormat::Q6_K => {
                for (scale, byte) in self.scales.iter().zip(bytes) {
                    *byte = *scale as u8;
                }
            }
            BlockFormat::Q4_0
            | BlockFormat::Q4_1
            | BlockFormat::Q5_0
            | BlockFormat::Q5_1
            | BlockFormat::Q8_0 => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Key;

    #[test]
    fn any_bytes_read_and_written_are_the_same() {
        let mut key = Key::new(3);
        for format in BlockFormat::ALL {
            for _ in 0..200 {
                let mut bytes = vec![0; format.bytes()];
                for chunk in bytes.chunks_mut(4) {
                    chunk.copy_from_slice(&key.words()[0].to_le_bytes()[..chunk.len()]);
                    key = key.fold(0);
                }
                for index in [Some(format.layout().d), format.layout().dmin].into_iter().flatten() {
                    // NaNs lose their payload, so they stay out of the scales.
                    bytes[format.field(index).start + 1] &= 0xbf;
                }
                let mut written = vec![0xff; format.bytes()];
                Block::read(format, &bytes).write(format, &mut written);
                assert_eq!(written, bytes, "{format}");
            }
        }
    }
}

//! [`Packing`]: where the bits of small integers lie in a field of bytes.

/// Integers of `width` bits, in runs: the first `run` integers are in the lowest bits of the first
/// `run` bytes, the next `run` integers in the bits above them, and so on until the bytes are full.
#[derive(Clone, Copy)]
pub(super) struct Packing {
    pub(super) width: usize,
    pub(super) run: usize,
}

impl Packing {
    /// Adds the packed integers, moved up by `up` bits, to the quants.
    pub(super) fn unpack(self, bytes: &[u8], up: usize, quants: &mut [u8]) {
        let mask = 0xff >> (8 - self.width);
        let runs = quants.chunks_exact_mut(8 / self.width * self.run);
        for (bytes, quants) in bytes.chunks_exact(self.run).zip(runs) {
            for (place, quants) in quants.chunks_exact_mut(self.run).enumerate() {
                for (quant, byte) in quants.iter_mut().zip(bytes) {
                    *quant |= ((byte >> (place * self.width)) & mask) << up;
                }
            }
        }
    }

    /// The inverse: the bits of the quants from `up` on.
    pub(super) fn pack(self, quants: &[u8], up: usize, bytes: &mut [u8]) {
        let mask = 0xff >> (8 - self.width);
        bytes.fill(0);
        let runs = quants.chunks_exact(8 / self.width * self.run);
        for (bytes, quants) in bytes.chunks_exact_mut(self.run).zip(runs) {
            for (place, quants) in quants.chunks_exact(self.run).enumerate() {
                for (quant, byte) in quants.iter().zip(bytes.iter_mut()) {
                    *byte |= ((quant >> up) & mask) << (place * self.width);
                }
            }
        }
    }
}

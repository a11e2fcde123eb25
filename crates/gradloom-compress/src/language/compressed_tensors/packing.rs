//! Integers of a few bits, one after the other in words of 32 bits.

/// Words of so many integers.
pub(super) fn words(count: usize, bits: u32) -> usize {
    (count * bits as usize).div_ceil(32)
}

/// Packs integers below `2^bits`, the first in the lowest bits; one may go on in the next word.
pub(super) fn pack(codes: impl ExactSizeIterator<Item = u8>, bits: u32) -> Vec<i32> {
    let mut packed = vec![0u32; words(codes.len(), bits)];
    for (place, code) in codes.enumerate() {
        let bit = place * bits as usize;
        let (word, shift) = (bit / 32, bit % 32);
        let wide = u64::from(code) << shift;
        packed[word] |= wide as u32;
        if shift + bits as usize > 32 {
            packed[word + 1] |= (wide >> 32) as u32;
        }
    }
    packed.into_iter().map(u32::cast_signed).collect()
}

/// The inverse of [`pack`]: `count` integers of these words, which are as many as [`words`] says.
pub(super) fn unpack(packed: &[i32], count: usize, bits: u32) -> Vec<u8> {
    let word = |at: usize| packed.get(at).map_or(0, |word| u64::from(word.cast_unsigned()));
    let code = |place: usize| {
        let bit = place * bits as usize;
        let wide = word(bit / 32) | word(bit / 32 + 1) << 32;
        (wide >> (bit % 32)) as u8 & ((1u32 << bits) - 1) as u8
    };
    (0..count).map(code).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_any_width_are_packed_without_gaps() {
        assert_eq!(pack([1u8, 2, 3].into_iter(), 4), [0x321]);
        // The eleventh code of 3 bits has its last bit in the second word.
        let codes = [0u8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7, 5];
        assert_eq!(pack(codes.into_iter(), 3), [0b11u32 << 30, 0b1011].map(u32::cast_signed));
        for bits in 2..=8 {
            for count in [0, 1, 31, 32, 33, 100] {
                let codes: Vec<u8> = (0..count).map(|at| (at * 37 % (1 << bits)) as u8).collect();
                let packed = pack(codes.iter().copied(), bits);
                assert_eq!(packed.len(), words(count, bits));
                assert_eq!(unpack(&packed, count, bits), codes, "{bits} bits, {count}");
            }
        }
    }
}

//! [`Key`]: counter-based random numbers (Threefry-2x32-20; Salmon et al., "Parallel random numbers:
//! as easy as 1, 2, 3", 2011), the same bits on every backend.

/// The key of a random stream. The same key gives the same numbers; split it for independent ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key([u32; 2]);

impl Key {
    /// The key of a seed.
    pub fn new(seed: u64) -> Key {
        Key([seed as u32, (seed >> 32) as u32])
    }

    /// Two independent keys. Do not use `self` again afterwards.
    #[must_use]
    pub fn split(self) -> (Key, Key) {
        (self.fold(0), self.fold(1))
    }

    /// The independent key number `index` of this one.
    #[must_use]
    pub fn fold(self, index: u32) -> Key {
        // Counters with a non-zero second word are never used for elements, so streams stay apart.
        Key(threefry(self.0, [index, 1]))
    }

    /// The key of these words, see [`Key::words`].
    pub const fn from_words(words: [u32; 2]) -> Key {
        Key(words)
    }

    /// The key's two words.
    pub fn words(self) -> [u32; 2] {
        self.0
    }
}

/// Threefry-2x32 with 20 rounds: two random words for a key and a counter.
pub fn threefry(key: [u32; 2], counter: [u32; 2]) -> [u32; 2] {
    const ROTATIONS: [[u32; 4]; 2] = [[13, 15, 26, 6], [17, 29, 16, 24]];
    let schedule = [key[0], key[1], 0x1BD1_1BDA ^ key[0] ^ key[1]];
    let mut x = [counter[0].wrapping_add(schedule[0]), counter[1].wrapping_add(schedule[1])];
    for block in 0..5 {
        for rotation in ROTATIONS[block % 2] {
            x[0] = x[0].wrapping_add(x[1]);
            x[1] = x[1].rotate_left(rotation) ^ x[0];
        }
        x[0] = x[0].wrapping_add(schedule[(block + 1) % 3]);
        x[1] = x[1].wrapping_add(schedule[(block + 2) % 3]).wrapping_add(block as u32 + 1);
    }
    x
}

#[cfg(test)]
mod tests {
    use super::threefry;

    #[test]
    fn threefry_matches_the_published_vectors() {
        // The known-answer vectors of the Random123 distribution, threefry2x32 with 20 rounds.
        assert_eq!(threefry([0, 0], [0, 0]), [0x6b20_0159, 0x99ba_4efe]);
        assert_eq!(threefry([!0, !0], [!0, !0]), [0x1cb9_96fc, 0xbb00_2be7]);
        assert_eq!(
            threefry([0x1319_8a2e, 0x0370_7344], [0x243f_6a88, 0x85a3_08d3]),
            [0xc492_3a9c, 0x483d_f7a0]
        );
    }
}

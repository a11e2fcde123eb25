//! Samples that are nearly equal: texts of mostly the same words, pictures that differ by size,
//! compression or brightness.
//!
//! A sample becomes a hash whose distance to another says how much they differ. The hashes are cut into
//! parts, so that of two within the distance at least one part is equal: only such pairs are compared.

use std::collections::HashMap;

use super::Leak;
use crate::{Image, Pixel};

/// A hash whose distance to another is a number of bits.
pub trait NearHash: Copy {
    /// The bits.
    fn bits(self) -> u64;

    /// The number of bits in which two hashes differ, of 64.
    fn distance(self, other: Self) -> u32 {
        (self.bits() ^ other.bits()).count_ones()
    }
}

/// The hash of a text by its runs of three words, lower case and without punctuation (SimHash; Charikar,
/// "Similarity estimation techniques from rounding algorithms", 2002). A few changed words in a hundred
/// change a few bits; texts of a few words are compared well only with distance 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TextHash(u64);

impl TextHash {
    /// The hash of a text.
    pub fn of(text: &str) -> Self {
        let lower = text.to_lowercase();
        let words: Vec<&str> =
            lower.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
        let mut votes = [0i64; 64];
        let mut vote = |run: &[&str]| {
            let hash = mixed(run);
            for (bit, vote) in votes.iter_mut().enumerate() {
                *vote += if hash >> bit & 1 == 1 { 1 } else { -1 };
            }
        };
        match words.len() {
            0..3 => vote(&words),
            _ => words.windows(3).for_each(vote),
        }
        let bit = |hash: u64, (bit, vote): (usize, &i64)| hash | u64::from(*vote > 0) << bit;
        TextHash(votes.iter().enumerate().fold(0, bit))
    }
}

/// FNV-1a over the words, with the mixing of SplitMix64 so that all bits depend on all characters.
fn mixed(words: &[&str]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    for word in words {
        for byte in word.bytes().chain([b' ']) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    hash = (hash ^ hash >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ hash >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ hash >> 31
}

impl NearHash for TextHash {
    fn bits(self) -> u64 {
        self.0
    }
}

/// The hash of a picture: whether each of 8 x 8 fields of its mean over the channels is darker than the
/// field to its right ("difference hash"). Pictures without structure have one hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ImageHash(u64);

impl ImageHash {
    /// The hash of a picture.
    pub fn of<T: Pixel>(image: &Image<T>) -> Self {
        const ROWS: usize = 8;
        const COLUMNS: usize = 9;
        let [_, height, width] = image.size();
        let mut sums = [[0.0f64; COLUMNS]; ROWS];
        let plane = (height * width).max(1);
        // A field is the mean over its share of the picture; pixels across a border count in part.
        let rows = shares::<ROWS>(height);
        let columns = shares::<COLUMNS>(width);
        for pixels in image.pixels().chunks_exact(plane) {
            for (row, line) in pixels.chunks_exact(width.max(1)).enumerate() {
                let mut means = [0.0f64; COLUMNS];
                for (pixel, shares) in line.iter().zip(&columns) {
                    for &(field, share) in shares {
                        means[field] += f64::from(pixel.to_f32()) * share;
                    }
                }
                for &(field, share) in &rows[row] {
                    for (sum, mean) in sums[field].iter_mut().zip(&means) {
                        *sum += mean * share;
                    }
                }
            }
        }
        let mut hash = 0;
        for row in &sums {
            for pair in row.windows(2) {
                hash = hash << 1 | u64::from(pair[0] < pair[1]);
            }
        }
        ImageHash(hash)
    }
}

/// For each of `len` pixels the fields that it lies in, of `N` along the axis, and its share of them.
fn shares<const N: usize>(len: usize) -> Vec<Vec<(usize, f64)>> {
    let per_field = len as f64 / N as f64;
    let of = |pixel: usize| {
        let (start, end) = (pixel as f64 / per_field, (pixel + 1) as f64 / per_field);
        let fields = start as usize..=(end.ceil() as usize).saturating_sub(1).min(N - 1);
        fields
            .map(|field| (field, end.min(field as f64 + 1.0) - start.max(field as f64)))
            .filter(|(_, share)| *share > 0.0)
            .collect()
    };
    (0..len).map(of).collect()
}

impl NearHash for ImageHash {
    fn bits(self) -> u64 {
        self.0
    }
}

/// Hashes by each of the parts that 64 bits are cut into.
struct Parts {
    count: u32,
    places: HashMap<(u32, u64), Vec<usize>>,
}

impl Parts {
    /// One part more than bits may differ, so one part of two near hashes is equal.
    fn new(distance_max: u32) -> Self {
        Parts { count: distance_max.min(63) + 1, places: HashMap::new() }
    }

    fn keys(&self, bits: u64) -> impl Iterator<Item = (u32, u64)> + use<> {
        let count = self.count;
        (0..count).map(move |part| {
            let (start, end) = (part * 64 / count, (part + 1) * 64 / count);
            (part, bits << (64 - end) >> (64 - (end - start)))
        })
    }

    fn add(&mut self, bits: u64, place: usize) {
        for key in self.keys(bits) {
            self.places.entry(key).or_default().push(place);
        }
    }

    fn first_near<H: NearHash>(&self, hash: H, all: &[H], distance_max: u32) -> Option<usize> {
        let near = self.keys(hash.bits()).filter_map(|key| self.places.get(&key)).flatten();
        near.copied().filter(|&place| all[place].distance(hash) <= distance_max).min()
    }
}

/// Each sample within `distance_max` bits of an earlier one that is kept, and the first such:
/// `(place, first)`, by place. Up to 3 bits mean nearly the same text, up to 8 nearly the same picture.
///
/// ```
/// use gradloom_data::cleaning::{TextHash, near_duplicates};
///
/// let texts = ["It is a good film, really.", "it is a GOOD film -- really!", "A bad film it is."];
/// let hashes: Vec<_> = texts.iter().map(|text| TextHash::of(text)).collect();
/// assert_eq!(near_duplicates(&hashes, 3), [(1, 0)]);
/// ```
pub fn near_duplicates<H: NearHash>(hashes: &[H], distance_max: u32) -> Vec<(usize, usize)> {
    let mut parts = Parts::new(distance_max);
    let mut found = Vec::new();
    for (place, &hash) in hashes.iter().enumerate() {
        match parts.first_near(hash, hashes, distance_max) {
            Some(first) => found.push((place, first)),
            None => parts.add(hash.bits(), place),
        }
    }
    found
}

/// The samples of the test within `distance_max` bits of one in the training part.
pub fn near_leaks<H: NearHash>(train: &[H], test: &[H], distance_max: u32) -> Vec<Leak> {
    let mut parts = Parts::new(distance_max);
    let mut seen = std::collections::HashSet::new();
    for (place, hash) in train.iter().enumerate() {
        // Of equal hashes the first is enough; many blank pictures have one.
        if seen.insert(hash.bits()) {
            parts.add(hash.bits(), place);
        }
    }
    let found = test.iter().enumerate().filter_map(|(test, &hash)| {
        Some(Leak { test, train: parts.first_near(hash, train, distance_max)? })
    });
    found.collect()
}

#[cfg(test)]
mod tests {
    use super::{ImageHash, NearHash, TextHash, near_duplicates, near_leaks};
    use crate::Image;
    use crate::cleaning::Leak;
    use crate::random::RandomStream;
    use gradloom_tensor::Key;

    #[derive(Clone, Copy)]
    struct Bits(u64);

    impl NearHash for Bits {
        fn bits(self) -> u64 {
            self.0
        }
    }

    #[test]
    fn every_near_pair_is_found_and_no_other() {
        let mut stream = RandomStream::new(Key::new(8));
        for distance_max in [0, 1, 3, 8, 20, 64] {
            let train: Vec<Bits> = (0..60).map(|_| Bits(stream.next_u64())).collect();
            let near = |stream: &mut RandomStream| {
                let mut bits = train[stream.below(60)].0;
                (0..stream.below(25)).for_each(|_| bits ^= 1 << stream.below(64));
                Bits(bits)
            };
            let test: Vec<Bits> = (0..200).map(|_| near(&mut stream)).collect();
            let found = near_leaks(&train, &test, distance_max);
            let slow = |(place, hash): (usize, &Bits)| {
                let first = train.iter().position(|other| other.distance(*hash) <= distance_max)?;
                Some(Leak { test: place, train: first })
            };
            let expected: Vec<Leak> = test.iter().enumerate().filter_map(slow).collect();
            assert_eq!(found, expected, "{distance_max}");
        }
    }

    #[test]
    fn a_few_changed_words_change_a_few_bits() {
        let words: Vec<String> = (0..200).map(|i| format!("word{}", i * 7 % 150)).collect();
        let text = words.join(" ");
        let changed = text.replacen("word77", "other", 1);
        let (a, b) = (TextHash::of(&text), TextHash::of(&changed));
        assert!((0..=8).contains(&a.distance(b)), "{}", a.distance(b));
        let reversed: Vec<&str> = text.split(' ').rev().collect();
        assert!(a.distance(TextHash::of(&reversed.join(" "))) > 12);
        assert_eq!(TextHash::of(""), TextHash::of("!?"));
    }

    #[test]
    fn a_brighter_or_larger_picture_is_near() {
        let mut stream = RandomStream::new(Key::new(4));
        let picture = |stream: &mut RandomStream| {
            let coarse: Vec<u8> = (0..64).map(|_| stream.below(200) as u8).collect();
            let pixels = (0..64 * 64).map(|i| coarse[i / 64 / 8 * 8 + i % 64 / 8]).collect();
            Image::new(pixels, [1, 64, 64]).unwrap()
        };
        let (a, b): (Image, Image) = (picture(&mut stream), picture(&mut stream));
        let brighter = Image::new(a.pixels().iter().map(|p| p + 40).collect(), a.size()).unwrap();
        let doubled: Vec<u8> =
            (0..128 * 128).map(|i| a.pixels()[i / 128 / 2 * 64 + i % 128 / 2]).collect();
        let doubled = Image::new(doubled, [1, 128, 128]).unwrap();
        let hashes = [&a, &b, &brighter, &doubled].map(ImageHash::of);
        assert!(hashes[0].distance(hashes[1]) > 12);
        assert_eq!(near_duplicates(&hashes, 4), [(2, 0), (3, 0)]);
        let tiny = Image::new(vec![7u8], [1, 1, 1]).unwrap();
        assert_eq!(ImageHash::of(&tiny).bits(), 0);
    }
}

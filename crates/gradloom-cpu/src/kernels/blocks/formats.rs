//! How each format becomes small integers with a scale and a shift: a sub-block stands for
//! `scale * byte + shift`.
//!
//! Pointers are to 16 interleaved blocks, so field offsets are 16 times those of one block, and four
//! bytes of it are a vector of 64.
#![expect(unsafe_code, reason = "reads blocks by pointer; the product checks their extent once")]

use gradloom_tensor::BlockFormat;

use super::lanes::Lanes;

/// Scale, shift and bytes of a sub-block of 16 rows: word `i` holds elements `4 i` and on.
pub(super) struct SubBlock<L: Lanes> {
    pub(super) scale: L::Floats,
    pub(super) shift: L::Floats,
    pub(super) words: [L::Words; 8],
}

/// A format's sub-blocks.
pub(super) trait Format {
    const FORMAT: BlockFormat;
    /// Sub-blocks of a block.
    const COUNT: usize;
    /// Words of a sub-block: 8 or 4.
    const WORDS: usize;
    /// True if bytes are signed; then there is no shift.
    const SIGNED: bool = false;

    /// Sub-block `index` of 16 interleaved blocks.
    ///
    /// # Safety
    /// All 16 blocks can be read at `pointer`.
    unsafe fn sub_block<L: Lanes>(pointer: *const u8, index: usize) -> SubBlock<L>;
}

/// Four bytes at offset `at` of each block.
///
/// # Safety
/// As [`Format::sub_block`].
#[inline(always)]
unsafe fn field<L: Lanes>(pointer: *const u8, at: usize) -> L::Words {
    // SAFETY: the caller vouches for the blocks.
    unsafe { L::load(pointer.add(16 * at)) }
}

/// The f16 at offset `at` of each block.
///
/// # Safety
/// As [`Format::sub_block`].
#[inline(always)]
unsafe fn half<L: Lanes>(pointer: *const u8, at: usize) -> L::Floats {
    // SAFETY: the caller vouches for the blocks.
    unsafe { L::load_halves(pointer.add(16 * at)) }
}

/// `bits` bits of each byte from bit `from` on.
#[inline(always)]
fn bits<L: Lanes>(words: L::Words, from: u32, bits: u32) -> L::Words {
    let mask = 0x0101_0101 * ((1 << bits) - 1);
    L::and(L::shift_right(words, from), L::splat(mask))
}

/// Byte `index` of each word.
#[inline(always)]
fn byte<L: Lanes>(words: L::Words, index: usize) -> L::Words {
    L::and(L::shift_right(words, 8 * index as u32), L::splat(0xff))
}

/// Bits `4 index` and on of each word, one in each byte.
#[inline(always)]
fn spread<L: Lanes>(words: L::Words, index: usize) -> L::Words {
    let four = L::and(L::shift_right(words, 4 * index as u32), L::splat(0xf));
    L::and(L::multiply(four, L::splat(0x0020_4081)), L::splat(0x0101_0101))
}

/// `factor * floats`
#[inline(always)]
fn times<L: Lanes>(floats: L::Floats, factor: f32) -> L::Floats {
    L::scale(floats, L::splat_float(factor))
}

/// Low nibbles of 16 bytes, then their high ones, each with a fifth bit if there is one.
///
/// # Safety
/// As [`Format::sub_block`].
#[inline(always)]
unsafe fn nibbles<L: Lanes>(
    pointer: *const u8,
    at: usize,
    fifth: Option<L::Words>,
) -> [L::Words; 8] {
    let mut words = [L::splat(0); 8];
    for index in 0..4 {
        // SAFETY: the caller vouches for the blocks.
        let field = unsafe { field::<L>(pointer, at + 4 * index) };
        words[index] = bits::<L>(field, 0, 4);
        words[index + 4] = bits::<L>(field, 4, 4);
    }
    if let Some(fifth) = fifth {
        for (index, word) in words.iter_mut().enumerate() {
            *word = L::or(*word, L::shift_left(spread::<L>(fifth, index), 4));
        }
    }
    words
}

macro_rules! format {
    ($name:ident, $count:literal, $words:literal, $signed:literal,
     |$lanes:ident, $pointer:ident, $index:ident| $body:block) => {
        #[allow(non_camel_case_types, clippy::allow_attributes, reason = "named as the formats")]
        pub(super) struct $name;

        impl Format for $name {
            const FORMAT: BlockFormat = BlockFormat::$name;
            const COUNT: usize = $count;
            const WORDS: usize = $words;
            const SIGNED: bool = $signed;

            #[inline(always)]
            unsafe fn sub_block<$lanes: Lanes>(
                $pointer: *const u8,
                $index: usize,
            ) -> SubBlock<$lanes> {
                // SAFETY: the caller vouches for the blocks; offsets stay in them.
                unsafe { $body }
            }
        }
    };
}

format!(Q4_0, 1, 8, false, |L, pointer, _index| {
    let scale = half::<L>(pointer, 0);
    let words = nibbles::<L>(pointer, 2, None);
    SubBlock { scale, shift: times::<L>(scale, -8.0), words }
});

format!(Q4_1, 1, 8, false, |L, pointer, _index| {
    SubBlock {
        scale: half::<L>(pointer, 0),
        shift: half::<L>(pointer, 2),
        words: nibbles::<L>(pointer, 4, None),
    }
});

format!(Q5_0, 1, 8, false, |L, pointer, _index| {
    let scale = half::<L>(pointer, 0);
    let words = nibbles::<L>(pointer, 6, Some(field::<L>(pointer, 2)));
    SubBlock { scale, shift: times::<L>(scale, -16.0), words }
});

format!(Q5_1, 1, 8, false, |L, pointer, _index| {
    SubBlock {
        scale: half::<L>(pointer, 0),
        shift: half::<L>(pointer, 2),
        words: nibbles::<L>(pointer, 8, Some(field::<L>(pointer, 4))),
    }
});

format!(Q8_0, 1, 8, true, |L, pointer, _index| {
    let mut words = [L::splat(0); 8];
    for (index, word) in words.iter_mut().enumerate() {
        *word = field::<L>(pointer, 2 + 4 * index);
    }
    SubBlock { scale: half::<L>(pointer, 0), shift: L::splat_float(0.0), words }
});

format!(Q2_K, 16, 4, false, |L, pointer, index| {
    let scales = byte::<L>(field::<L>(pointer, index / 4 * 4), index % 4);
    let (low, high) = (bits::<L>(scales, 0, 4), bits::<L>(scales, 4, 4));
    let quarter = index / 2 % 4;
    let at = 16 + index / 8 * 32 + index % 2 * 16;
    let mut words = [L::splat(0); 8];
    for (word, slot) in words[..4].iter_mut().enumerate() {
        *slot = bits::<L>(field::<L>(pointer, at + 4 * word), 2 * quarter as u32, 2);
    }
    SubBlock {
        scale: L::scale(half::<L>(pointer, 80), L::floats(low)),
        shift: L::scale(times::<L>(half::<L>(pointer, 82), -1.0), L::floats(high)),
        words,
    }
});

format!(Q3_K, 16, 4, false, |L, pointer, index| {
    // Scale `index`: four bits from the first eight bytes, two from the last four.
    let low = byte::<L>(field::<L>(pointer, 96 + index % 8 / 4 * 4), index % 4);
    let low = bits::<L>(low, 4 * (index / 8) as u32, 4);
    let high = byte::<L>(field::<L>(pointer, 104), index % 4);
    let high = bits::<L>(high, 2 * (index / 4) as u32, 2);
    let scale = L::floats(L::or(L::and(low, L::splat(0xf)), L::shift_left(high, 4)));
    let scale = L::multiply_add(scale, L::splat_float(1.0), L::splat_float(-32.0));
    let scale = L::scale(half::<L>(pointer, 108), scale);
    let (quarter, column) = (index / 2 % 4, index % 2 * 16);
    let at = 32 + index / 8 * 32 + column;
    let mut words = [L::splat(0); 8];
    for (word, slot) in words[..4].iter_mut().enumerate() {
        let two = bits::<L>(field::<L>(pointer, at + 4 * word), 2 * quarter as u32, 2);
        let mask = field::<L>(pointer, column + 4 * word);
        let third = bits::<L>(mask, (index / 2) as u32, 1);
        *slot = L::or(two, L::shift_left(third, 2));
    }
    SubBlock { scale, shift: times::<L>(scale, -4.0), words }
});

format!(Q4_K, 8, 8, false, |L, pointer, index| {
    let mut words = [L::splat(0); 8];
    for (word, slot) in words.iter_mut().enumerate() {
        let field = field::<L>(pointer, 16 + index / 2 * 32 + 4 * word);
        *slot = bits::<L>(field, 4 * (index % 2) as u32, 4);
    }
    let (scale, shift) = scale_and_minimum::<L>(pointer, index);
    SubBlock { scale, shift, words }
});

format!(Q5_K, 8, 8, false, |L, pointer, index| {
    let mut words = [L::splat(0); 8];
    for (word, slot) in words.iter_mut().enumerate() {
        let low = field::<L>(pointer, 48 + index / 2 * 32 + 4 * word);
        let fifth = bits::<L>(field::<L>(pointer, 16 + 4 * word), index as u32, 1);
        *slot = L::or(bits::<L>(low, 4 * (index % 2) as u32, 4), L::shift_left(fifth, 4));
    }
    let (scale, shift) = scale_and_minimum::<L>(pointer, index);
    SubBlock { scale, shift, words }
});

format!(Q6_K, 16, 4, false, |L, pointer, index| {
    let (half_block, quarter, column) = (index / 8, index / 2 % 4, index % 2 * 16);
    let low_at = half_block * 64 + quarter % 2 * 32 + column;
    let high_at = 128 + half_block * 32 + column;
    let mut words = [L::splat(0); 8];
    for (word, slot) in words[..4].iter_mut().enumerate() {
        let low = field::<L>(pointer, low_at + 4 * word);
        let high = field::<L>(pointer, high_at + 4 * word);
        let low = bits::<L>(low, 4 * (quarter / 2) as u32, 4);
        *slot = L::or(low, L::shift_left(bits::<L>(high, 2 * quarter as u32, 2), 4));
    }
    // A signed byte: move it to the top of the word, then divide by 2^24 as a float.
    let scale = byte::<L>(field::<L>(pointer, 192 + index / 4 * 4), index % 4);
    let scale = times::<L>(L::floats(L::shift_left(scale, 24)), 1.0 / (1 << 24) as f32);
    let scale = L::scale(half::<L>(pointer, 208), scale);
    SubBlock { scale, shift: times::<L>(scale, -32.0), words }
});

/// The scale and the shift of a sub-block of Q4_K or Q5_K: six bits each from twelve bytes.
///
/// # Safety
/// As [`Format::sub_block`].
#[inline(always)]
unsafe fn scale_and_minimum<L: Lanes>(pointer: *const u8, index: usize) -> (L::Floats, L::Floats) {
    // SAFETY: the caller vouches for the blocks.
    unsafe {
        let place = index % 4;
        let part = |at: usize| byte::<L>(field::<L>(pointer, 4 + 4 * at), place);
        let six = L::splat(0x3f);
        let (scale, minimum) = if index < 4 {
            (L::and(part(0), six), L::and(part(1), six))
        } else {
            let top = |words: L::Words| L::shift_left(L::shift_right(words, 6), 4);
            let low = part(2);
            let scale = L::or(L::and(low, L::splat(0xf)), top(part(0)));
            (scale, L::or(L::shift_right(low, 4), top(part(1))))
        };
        let minimum = L::scale(times::<L>(half::<L>(pointer, 2), -1.0), L::floats(minimum));
        (L::scale(half::<L>(pointer, 0), L::floats(scale)), minimum)
    }
}

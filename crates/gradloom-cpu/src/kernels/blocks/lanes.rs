//! [`Lanes`]: 16 rows side by side, one 32-bit word each, for dot products of four bytes at a time.
//! Here the portable version, which LLVM vectorises as it can; others stand beside it.
#![expect(unsafe_code, reason = "reads and writes by pointer")]

/// 16 words of 32 bits, and 16 floats.
pub(super) trait Lanes: Copy {
    /// 16 words.
    type Words: Copy;
    /// 16 floats.
    type Floats: Copy;
    /// True if [`Lanes::dot_signed`] adds `128 * sum of numbers` too much.
    const BIASED: bool;

    /// 64 bytes.
    ///
    /// # Safety
    /// They can be read.
    unsafe fn load(pointer: *const u8) -> Self::Words;

    /// 16 f16 as floats.
    ///
    /// # Safety
    /// The 32 bytes can be read.
    unsafe fn load_halves(pointer: *const u8) -> Self::Floats;

    /// Writes 16 floats.
    ///
    /// # Safety
    /// The 64 bytes can be written.
    unsafe fn store(floats: Self::Floats, pointer: *mut f32);

    /// The same word in every lane.
    fn splat(word: u32) -> Self::Words;
    /// Bits of both.
    fn and(a: Self::Words, b: Self::Words) -> Self::Words;
    /// Bits of either.
    fn or(a: Self::Words, b: Self::Words) -> Self::Words;
    /// Bits moved down, zeros from above.
    fn shift_right(words: Self::Words, bits: u32) -> Self::Words;
    /// Bits moved up.
    fn shift_left(words: Self::Words, bits: u32) -> Self::Words;
    /// Sums, which wrap.
    fn add(a: Self::Words, b: Self::Words) -> Self::Words;
    /// Low 32 bits of products.
    fn multiply(a: Self::Words, b: Self::Words) -> Self::Words;
    /// `sum + ` the dot product of each word's four bytes, 0 to 127, with four signed bytes.
    fn dot(sum: Self::Words, bytes: Self::Words, numbers: u32) -> Self::Words;
    /// As [`Lanes::dot`] with signed bytes; see [`Lanes::BIASED`].
    fn dot_signed(sum: Self::Words, bytes: Self::Words, numbers: u32) -> Self::Words;
    /// Signed words as floats.
    fn floats(words: Self::Words) -> Self::Floats;
    /// The same float in every lane.
    fn splat_float(value: f32) -> Self::Floats;
    /// Products.
    fn scale(a: Self::Floats, b: Self::Floats) -> Self::Floats;
    /// `sum + a * b`
    fn multiply_add(a: Self::Floats, b: Self::Floats, sum: Self::Floats) -> Self::Floats;
}

/// Arrays.
#[derive(Clone, Copy)]
pub(super) struct Portable;

#[inline(always)]
fn each<T: Copy, U: Copy + Default>(values: [T; 16], change: impl Fn(T) -> U) -> [U; 16] {
    let mut changed = [U::default(); 16];
    for lane in 0..16 {
        changed[lane] = change(values[lane]);
    }
    changed
}

#[inline(always)]
fn both(a: [u32; 16], b: [u32; 16], change: impl Fn(u32, u32) -> u32) -> [u32; 16] {
    let mut changed = [0; 16];
    for lane in 0..16 {
        changed[lane] = change(a[lane], b[lane]);
    }
    changed
}

#[inline(always)]
fn dot(sum: u32, bytes: [i32; 4], numbers: u32) -> u32 {
    let numbers = numbers.to_ne_bytes();
    let products: i32 = (0..4).map(|index| bytes[index] * i32::from(numbers[index] as i8)).sum();
    sum.wrapping_add(products as u32)
}

impl Lanes for Portable {
    type Words = [u32; 16];
    type Floats = [f32; 16];
    const BIASED: bool = false;

    #[inline(always)]
    unsafe fn load(pointer: *const u8) -> [u32; 16] {
        // SAFETY: the caller vouches for 64 bytes.
        unsafe { pointer.cast::<[u32; 16]>().read_unaligned() }
    }

    #[inline(always)]
    unsafe fn load_halves(pointer: *const u8) -> [f32; 16] {
        // SAFETY: the caller vouches for 32 bytes.
        let bits = unsafe { pointer.cast::<[u16; 16]>().read_unaligned() };
        each(bits, |bits| gradloom_tensor::f16::from_bits(bits).to_f32())
    }

    #[inline(always)]
    unsafe fn store(floats: [f32; 16], pointer: *mut f32) {
        // SAFETY: the caller vouches for 16 floats.
        unsafe { pointer.cast::<[f32; 16]>().write_unaligned(floats) }
    }

    #[inline(always)]
    fn splat(word: u32) -> [u32; 16] {
        [word; 16]
    }

    #[inline(always)]
    fn and(a: [u32; 16], b: [u32; 16]) -> [u32; 16] {
        both(a, b, |a, b| a & b)
    }

    #[inline(always)]
    fn or(a: [u32; 16], b: [u32; 16]) -> [u32; 16] {
        both(a, b, |a, b| a | b)
    }

    #[inline(always)]
    fn shift_right(words: [u32; 16], bits: u32) -> [u32; 16] {
        each(words, |word| word >> bits)
    }

    #[inline(always)]
    fn shift_left(words: [u32; 16], bits: u32) -> [u32; 16] {
        each(words, |word| word << bits)
    }

    #[inline(always)]
    fn add(a: [u32; 16], b: [u32; 16]) -> [u32; 16] {
        both(a, b, u32::wrapping_add)
    }

    #[inline(always)]
    fn multiply(a: [u32; 16], b: [u32; 16]) -> [u32; 16] {
        both(a, b, u32::wrapping_mul)
    }

    #[inline(always)]
    fn dot(sum: [u32; 16], bytes: [u32; 16], numbers: u32) -> [u32; 16] {
        both(sum, bytes, |sum, bytes| dot(sum, bytes.to_ne_bytes().map(i32::from), numbers))
    }

    #[inline(always)]
    fn dot_signed(sum: [u32; 16], bytes: [u32; 16], numbers: u32) -> [u32; 16] {
        let signed = |bytes: u32| bytes.to_ne_bytes().map(|byte| i32::from(byte as i8));
        both(sum, bytes, |sum, bytes| dot(sum, signed(bytes), numbers))
    }

    #[inline(always)]
    fn floats(words: [u32; 16]) -> [f32; 16] {
        each(words, |word| word as i32 as f32)
    }

    #[inline(always)]
    fn splat_float(value: f32) -> [f32; 16] {
        [value; 16]
    }

    #[inline(always)]
    fn scale(a: [f32; 16], b: [f32; 16]) -> [f32; 16] {
        std::array::from_fn(|lane| a[lane] * b[lane])
    }

    #[inline(always)]
    fn multiply_add(a: [f32; 16], b: [f32; 16], sum: [f32; 16]) -> [f32; 16] {
        std::array::from_fn(|lane| {
            crate::math::fma::<{ crate::simd::BASELINE_FMA }>(a[lane], b[lane], sum[lane])
        })
    }
}

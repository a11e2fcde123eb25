//! Random tensors: pure functions of a [`Key`], the same numbers on every backend.
//!
//! There is no hidden generator: to draw twice, split or fold the key.

use crate::error::OrFail;
use crate::op::Op;
use crate::{DType, Device, Key, Scalar, Shape, Tensor, shape_rules};

impl Tensor {
    /// Uniform 32-bit words, u32: Threefry-2x32-20 of the element's index. Panics beyond 2^32 elements.
    #[track_caller]
    pub fn random_bits(key: Key, shape: impl Into<Shape>, device: &Device) -> Tensor {
        let shape = shape.into();
        assert!(
            shape.checked_count().is_some_and(|count| count as u64 <= 1 << 32),
            "random_bits: shape {shape} has more than 2^32 elements; draw parts with folded keys"
        );
        Tensor::from_op(Op::Random { key: key.words() }, Vec::new(), shape, DType::U32, device)
    }

    /// Multiples of 2^-24 in `0 <= x < 1`, f32.
    #[track_caller]
    fn unit(key: Key, shape: Shape, device: &Device) -> Tensor {
        let bits = Tensor::random_bits(key, shape, device);
        // 24 bits fit a float exactly, so the product is exact and stays below 1.
        bits.div(bits.constant_like(256)).cast(DType::F32).times(2f64.powi(-24))
    }

    /// `low + u * (high - low)` with u uniform in `[0, 1)`, f32. Rounding may give `high` itself.
    /// PyTorch: `uniform_`.
    #[track_caller]
    pub fn uniform(
        key: Key,
        shape: impl Into<Shape>,
        low: impl Into<Scalar>,
        high: impl Into<Scalar>,
        device: &Device,
    ) -> Tensor {
        let (low, high) = (low.into().as_f64(), high.into().as_f64());
        let unit = Tensor::unit(key, shape.into(), device);
        if (low, high) == (0.0, 1.0) { unit } else { unit.mul(high - low).add(low) }
    }

    /// Normally distributed numbers, f32, by Box and Muller: `mean + std * sqrt(-2 ln u) cos(2 pi v)`.
    /// None is more than 5.8 standard deviations from the mean. Devices differ in the last places of a logarithm
    /// and a cosine, by two floats at most. PyTorch: `normal_`.
    #[track_caller]
    pub fn normal(
        key: Key,
        shape: impl Into<Shape>,
        mean: impl Into<Scalar>,
        std: impl Into<Scalar>,
        device: &Device,
    ) -> Tensor {
        let shape = shape.into();
        let (mean, std) = (mean.into().as_f64(), std.into().as_f64());
        // 1 - u is in (0, 1], so the logarithm is finite.
        let above_zero = Tensor::unit(key.fold(0), shape, device).neg().plus(1.0);
        let radius = above_zero.log().times(-2.0).sqrt();
        let angle = Tensor::unit(key.fold(1), shape, device).times(std::f64::consts::TAU);
        let standard = radius.mul(angle.cos());
        if (mean, std) == (0.0, 1.0) { standard } else { standard.mul(std).add(mean) }
    }

    /// True with probability `p`, bool. PyTorch: `bernoulli`.
    ///
    /// # Panics
    /// If `p` is not in `0..=1`.
    #[track_caller]
    pub fn bernoulli(
        key: Key,
        p: impl Into<Scalar>,
        shape: impl Into<Shape>,
        device: &Device,
    ) -> Tensor {
        let p = p.into().as_f64();
        assert!((0.0..=1.0).contains(&p), "bernoulli: {p} is no probability; give one in 0..=1");
        Tensor::unit(key, shape.into(), device).lt(p)
    }

    /// Integers `low <= x < high`, i32. Values differ in probability by at most `(high - low) / 2^32`.
    /// PyTorch: `randint`.
    ///
    /// # Panics
    /// If the range is empty or has more than `i32::MAX` values.
    #[track_caller]
    pub fn randint(
        key: Key,
        shape: impl Into<Shape>,
        low: i32,
        high: i32,
        device: &Device,
    ) -> Tensor {
        let span = i64::from(high) - i64::from(low);
        assert!(
            (1..=i64::from(i32::MAX)).contains(&span),
            "randint: {low}..{high} has {span} values; it must have 1 to {}",
            i32::MAX
        );
        Tensor::random_bits(key, shape, device).rem(Scalar::Int(span)).cast(DType::I32).add(low)
    }

    /// The numbers `0..n` in random order, i32: the order that sorts n random words. Panics if `n` is
    /// more than i32 counts. PyTorch: `randperm`.
    #[track_caller]
    pub fn permutation(key: Key, n: usize, device: &Device) -> Tensor {
        shape_rules::countable("permutation", &Shape::from(n), 0).or_fail();
        let bits = Tensor::random_bits(key, n, device);
        let op = Op::ArgSort { axis: 0, descending: false };
        Tensor::from_op(op, vec![bits], Shape::from(n), DType::I32, device)
    }
}

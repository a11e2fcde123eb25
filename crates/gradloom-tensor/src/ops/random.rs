//! Random tensors: pure functions of a [`Key`], the same numbers on every backend.
//!
//! There is no hidden generator: to draw twice, split or fold the key. Arguments come in one order: the key, the
//! shape, the parameters of the distribution, the device. Methods have the shape of their tensor.

use crate::called::{Called, demand};
use crate::error::OrFail;
use crate::op::Op;
use crate::{DType, Device, Key, Scalar, Shape, Tensor, shape_rules};

impl Tensor {
    /// Uniform 32-bit words, u32: Threefry-2x32-20 of the element's index. Panics beyond 2^32 elements.
    #[track_caller]
    pub fn random_bits(key: Key, shape: impl Into<Shape>, device: &Device) -> Tensor {
        let shape = shape.into();
        demand!(
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
    ///
    /// ```
    /// # use gradloom_tensor::{Key, Tensor};
    /// # fn main() -> gradloom_tensor::Result<()> {
    /// # let device = gradloom_testkit::reference::device();
    /// let draw = |key| Tensor::uniform(key, [100], -1.0, 1.0, &device).to_vec::<f32>();
    /// let key = Key::new(7);
    /// assert_eq!(draw(key)?, draw(key)?); // the same key, the same numbers
    /// assert_ne!(draw(key.fold(0))?, draw(key.fold(1))?);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn uniform(
        key: Key,
        shape: impl Into<Shape>,
        low: impl Into<Scalar>,
        high: impl Into<Scalar>,
        device: &Device,
    ) -> Tensor {
        let _called = Called::op("uniform");
        let (low, high) = (low.into().as_f64(), high.into().as_f64());
        let unit = Tensor::unit(key, shape.into(), device);
        if (low, high) == (0.0, 1.0) { unit } else { unit.mul(high - low).add(low) }
    }

    /// Normally distributed numbers, f32, by Box and Muller: `mean + std * sqrt(-2 ln u) cos(2 pi v)`.
    /// None is more than 5.8 standard deviations from the mean. Devices differ in the last places of a logarithm
    /// and a cosine, by two floats at most. PyTorch: `normal_`.
    ///
    /// ```
    /// # use gradloom_tensor::{Key, Tensor};
    /// # fn main() -> gradloom_tensor::Result<()> {
    /// # let device = gradloom_testkit::reference::device();
    /// let x = Tensor::normal(Key::new(1), [10_000], 3.0, 0.5, &device);
    /// assert!((x.mean(..).item()? - 3.0).abs() < 0.05);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn normal(
        key: Key,
        shape: impl Into<Shape>,
        mean: impl Into<Scalar>,
        std: impl Into<Scalar>,
        device: &Device,
    ) -> Tensor {
        let _called = Called::op("normal");
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
    ///
    /// ```
    /// # use gradloom_tensor::{DType, Key, Tensor};
    /// # fn main() -> gradloom_tensor::Result<()> {
    /// # let device = gradloom_testkit::reference::device();
    /// let kept = Tensor::bernoulli(Key::new(1), [10_000], 0.8, &device);
    /// assert!((kept.cast(DType::F32).mean(..).item()? - 0.8).abs() < 0.05);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn bernoulli(
        key: Key,
        shape: impl Into<Shape>,
        p: impl Into<Scalar>,
        device: &Device,
    ) -> Tensor {
        let _called = Called::op("bernoulli");
        let p = p.into().as_f64();
        demand!((0.0..=1.0).contains(&p), "bernoulli: {p} is no probability; give one in 0..=1");
        Tensor::unit(key, shape.into(), device).lt(p)
    }

    /// Integers `low <= x < high`, i32. Values differ in probability by at most `(high - low) / 2^32`.
    /// PyTorch: `randint`.
    ///
    /// # Panics
    /// If the range is empty or has more than `i32::MAX` values.
    ///
    /// ```
    /// # use gradloom_tensor::{Key, Tensor};
    /// # fn main() -> gradloom_tensor::Result<()> {
    /// # let device = gradloom_testkit::reference::device();
    /// let dice = Tensor::randint(Key::new(1), [1000], 1, 7, &device);
    /// assert_eq!((dice.min(..).item()?, dice.max(..).item()?), (1.0, 6.0));
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn randint(
        key: Key,
        shape: impl Into<Shape>,
        low: i32,
        high: i32,
        device: &Device,
    ) -> Tensor {
        let _called = Called::op("randint");
        let span = i64::from(high) - i64::from(low);
        demand!(
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

    /// Numbers `0 <= x < 1` in this tensor's shape, dtype and device; floats only. PyTorch: `rand_like`.
    #[track_caller]
    #[must_use]
    pub fn rand_like(&self, key: Key) -> Tensor {
        self.require_float("rand_like");
        // Of fewer bits than the dtype has, so that none is rounded up to 1.
        let unit = Tensor::unit(key, *self.shape(), self.device());
        let cut = |parts: f64| unit.times(parts).floor().times(1.0 / parts);
        match self.dtype() {
            DType::F16 => cut(2048.0).cast(DType::F16),
            DType::BF16 => cut(256.0).cast(DType::BF16),
            dtype => unit.cast(dtype),
        }
    }

    /// Normally distributed numbers in this tensor's shape, dtype and device; floats only. PyTorch:
    /// `randn_like`.
    #[track_caller]
    #[must_use]
    pub fn randn_like(&self, key: Key) -> Tensor {
        self.require_float("randn_like");
        Tensor::normal(key, *self.shape(), 0.0, 1.0, self.device()).cast(self.dtype())
    }

    /// Integers `low <= x < high` in this tensor's shape, dtype and device, numbers only. PyTorch:
    /// `randint_like`.
    ///
    /// Panics as [`Tensor::randint`], and if the dtype does not hold the range.
    #[track_caller]
    #[must_use]
    pub fn randint_like(&self, key: Key, low: i32, high: i32) -> Tensor {
        let dtype = self.dtype();
        shape_rules::number("randint_like", dtype).or_fail();
        if let Some((least, most)) = dtype.int_range() {
            let fits = i64::from(low) >= least && i64::from(high) <= most.saturating_add(1);
            demand!(fits, "randint_like: {low}..{high} does not fit {dtype}");
        }
        Tensor::randint(key, *self.shape(), low, high, self.device()).cast(dtype)
    }

    /// Normally distributed numbers with a mean and a deviation for each, which broadcast; floats of one dtype.
    /// Gradients flow to both. PyTorch: `normal` of tensors.
    #[track_caller]
    #[must_use]
    pub fn normal_of(key: Key, mean: &Tensor, std: &Tensor) -> Tensor {
        let op = "normal_of";
        mean.require_float(op);
        shape_rules::same_dtype(op, mean.dtype(), std.dtype()).or_fail();
        let shape = shape_rules::broadcast(op, mean.shape(), std.shape()).or_fail();
        let standard = Tensor::normal(key, shape, 0.0, 1.0, mean.device());
        let standard = standard.cast(mean.dtype().compute());
        mean.wide().add(standard.mul(std.wide())).cast(mean.dtype())
    }

    /// True with the probability that each element is, bool; floats. Never below 0 and of NaN, always from 1
    /// on. No gradient. PyTorch: `bernoulli` of a tensor.
    #[track_caller]
    #[must_use]
    pub fn bernoulli_of(&self, key: Key) -> Tensor {
        self.require_float("bernoulli_of");
        let probability = self.detach().wide().cast(DType::F32);
        Tensor::unit(key, *self.shape(), self.device()).lt(probability)
    }

    /// Numbers whose logarithms are normally distributed, f32: `e^(mean + std z)`. PyTorch: `log_normal_`.
    #[track_caller]
    pub fn log_normal(
        key: Key,
        shape: impl Into<Shape>,
        mean: impl Into<Scalar>,
        std: impl Into<Scalar>,
        device: &Device,
    ) -> Tensor {
        let _called = Called::op("log_normal");
        Tensor::normal(key, shape, mean, std, device).exp()
    }

    /// Exponentially distributed numbers, f32: `-ln(u) / rate`. PyTorch: `exponential_`.
    ///
    /// # Panics
    /// If the rate is not positive.
    #[track_caller]
    pub fn exponential(
        key: Key,
        shape: impl Into<Shape>,
        rate: impl Into<Scalar>,
        device: &Device,
    ) -> Tensor {
        let _called = Called::op("exponential");
        let rate = rate.into().as_f64();
        demand!(rate > 0.0, "exponential: the rate {rate} is not positive");
        // 1 - u is in (0, 1], so the logarithm is finite.
        let above_zero = Tensor::unit(key, shape.into(), device).neg().plus(1.0);
        above_zero.log().mul(-1.0 / rate)
    }

    /// Numbers of a Cauchy distribution, f32: `median + scale tan(pi (u - 1/2))`. PyTorch: `cauchy_`.
    ///
    /// # Panics
    /// If the scale is not positive.
    #[track_caller]
    pub fn cauchy(
        key: Key,
        shape: impl Into<Shape>,
        median: impl Into<Scalar>,
        scale: impl Into<Scalar>,
        device: &Device,
    ) -> Tensor {
        let _called = Called::op("cauchy");
        let (median, scale) = (median.into().as_f64(), scale.into().as_f64());
        demand!(scale > 0.0, "cauchy: the scale {scale} is not positive");
        // In the middle of its interval, so that none is at a pole.
        let unit = Tensor::unit(key, shape.into(), device).plus(2f64.powi(-25) - 0.5);
        unit.times(std::f64::consts::PI).tan().mul(scale).add(median)
    }

    /// How many attempts it takes until one succeeds that does so with probability `p`: whole numbers from 1,
    /// f32. PyTorch: `geometric_`.
    ///
    /// # Panics
    /// Unless `0 < p <= 1`.
    #[track_caller]
    pub fn geometric(
        key: Key,
        shape: impl Into<Shape>,
        p: impl Into<Scalar>,
        device: &Device,
    ) -> Tensor {
        let _called = Called::op("geometric");
        let p = p.into().as_f64();
        demand!(p > 0.0 && p <= 1.0, "geometric: {p} is no probability above 0");
        let above_zero = Tensor::unit(key, shape.into(), device).neg().plus(1.0);
        // The least k with (1 - p)^k <= u; none fails if p is 1.
        let steps = above_zero.log().mul(1.0 / (-p).ln_1p());
        steps.ceil().maximum(1.0)
    }

    /// Draws `count` columns of each row of weights `[.., C]`, i32: `[.., count]`. Weights need not sum to 1;
    /// those that are zero are never drawn. Without `replacement` no column is drawn twice. No gradient.
    ///
    /// Weights that are negative or not finite fail the evaluation, and so does a row without a positive one
    /// or, without replacement, with fewer than `count`. PyTorch: `multinomial`, which goes on with columns of
    /// weight zero.
    ///
    /// # Panics
    /// If the weights are no floats, there are no columns, or fewer than `count` of them without replacement.
    #[track_caller]
    #[must_use]
    pub fn multinomial(&self, key: Key, count: usize, replacement: bool) -> Tensor {
        let op = "multinomial";
        let _called = Called::op(op);
        self.require_float(op);
        demand!(self.rank() > 0, "{op}: needs weights [.., C], not a single number");
        let columns = self.size(-1);
        demand!(columns > 0, "{op}: there are no columns to draw from");
        demand!(
            replacement || count <= columns,
            "{op}: {count} of {columns} columns cannot be drawn without replacement"
        );
        let weights = self.detach().cast(DType::F32);
        let possible = weights.ge(0.0).logical_and(weights.is_finite());
        let drawn = if replacement { count.min(1) } else { count };
        let enough = weights.gt(0.0).count_nonzero_keepdim(-1).ge(drawn as i64);
        let nothing = possible.zero_if_true("multinomial: a weight is negative or not finite").add(
            enough.zero_if_true("multinomial: a row has fewer positive weights than are drawn"),
        );
        let weights = weights.add(nothing.cast(DType::F32));
        // The smallest of exponential waits, each as much shorter as its weight is larger: column i with
        // probability w_i, and the k smallest are a draw without replacement.
        let speed = |weights: &Tensor, shape: Shape| {
            let wait = Tensor::unit(key, shape, self.device()).neg().plus(1.0).log().neg();
            weights.div(wait.greatest(2f64.powi(-25)))
        };
        if !replacement {
            return speed(&weights, *self.shape()).topk(count, -1, true).1;
        }
        let many: Shape =
            self.shape()[..self.rank() - 1].iter().copied().chain([count, columns]).collect();
        speed(&weights.unsqueeze(-2), many).argmax(-1)
    }
}

//! [`Scheme`]: which integers stand for which numbers.

/// The numbers that integers are to stand for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Range {
    /// The least.
    pub low: f32,
    /// The largest.
    pub high: f32,
}

/// Which numbers share a scale.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Granularity {
    /// All of a tensor.
    Tensor,
    /// Those of one output: of one index along a weight's first axis.
    Channel,
    /// So many neighbours within one output.
    Group(usize),
}

/// How numbers become integers of a few bits: `q = clamp(round(x / scale) + zero_point, low, high)`, ties to
/// even, and back `(q - zero_point) * scale`.
///
/// PyTorch: `torch.ao.quantization`'s `qscheme` (`per_tensor_affine`, `per_channel_symmetric`, ..) and dtype.
///
/// ```
/// use gradloom_compress::quantize::Scheme;
///
/// assert_eq!(Scheme::symmetric(8).bounds(), [-128, 127]);
/// assert_eq!(Scheme::affine(4).bounds(), [0, 15]);
/// assert_eq!(Scheme::symmetric(4).per_group(32).to_string(), "4 bits symmetric per 32");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Scheme {
    bits: u32,
    symmetric: bool,
    granularity: Granularity,
}

impl Scheme {
    /// Signed integers around zero, whose zero point is 0, with one scale for all: of weights.
    ///
    /// # Panics
    /// Unless there are 2 to 8 bits.
    #[track_caller]
    pub fn symmetric(bits: u32) -> Self {
        Scheme { bits: checked(bits), symmetric: true, granularity: Granularity::Tensor }
    }

    /// Integers from 0 up, with a zero point, and one scale for all: of activations.
    ///
    /// # Panics
    /// Unless there are 2 to 8 bits.
    #[track_caller]
    pub fn affine(bits: u32) -> Self {
        Scheme { bits: checked(bits), symmetric: false, granularity: Granularity::Tensor }
    }

    /// A scale for each output of a weight.
    #[must_use]
    pub fn per_channel(self) -> Self {
        Scheme { granularity: Granularity::Channel, ..self }
    }

    /// A scale for so many neighbours within an output of a weight.
    ///
    /// # Panics
    /// If there are none.
    #[must_use]
    #[track_caller]
    pub fn per_group(self, size: usize) -> Self {
        assert!(size > 0, "quantize: groups of 0 numbers; 32, 64 and 128 are usual");
        Scheme { granularity: Granularity::Group(size), ..self }
    }

    /// Bits of an integer.
    pub fn bits(&self) -> u32 {
        self.bits
    }

    /// Whether zero points are 0.
    pub fn is_symmetric(&self) -> bool {
        self.symmetric
    }

    /// Which numbers share a scale.
    pub fn granularity(&self) -> Granularity {
        self.granularity
    }

    /// The least and the largest integer.
    pub fn bounds(&self) -> [i32; 2] {
        match self.symmetric {
            true => [-(1 << (self.bits - 1)), (1 << (self.bits - 1)) - 1],
            false => [0, (1 << self.bits) - 1],
        }
    }

    /// Scale and zero point of a range, which is widened to hold 0. A range of nothing but 0 has the scale 1.
    ///
    /// PyTorch: `MinMaxObserver.calculate_qparams`, but symmetric scales are those of the largest magnitude over
    /// the largest integer, so that both signs reach as far.
    pub fn of_range(&self, range: Range) -> (f32, i32) {
        let (low, high) = (range.low.min(0.0), range.high.max(0.0));
        let [least, largest] = self.bounds();
        let scale = match self.symmetric {
            true => high.max(-low) / largest as f32,
            false => (high - low) / (largest - least) as f32,
        };
        if scale < f32::MIN_POSITIVE || !scale.is_finite() {
            return (1.0, if self.symmetric { 0 } else { least });
        }
        let zero_point = match self.symmetric {
            true => 0,
            false => least - (low / scale).round_ties_even() as i32,
        };
        (scale, zero_point.clamp(least, largest))
    }
}

impl std::fmt::Display for Scheme {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = if self.symmetric { "symmetric" } else { "affine" };
        write!(formatter, "{} bits {kind}", self.bits)?;
        match self.granularity {
            Granularity::Tensor => Ok(()),
            Granularity::Channel => formatter.write_str(" per channel"),
            Granularity::Group(size) => write!(formatter, " per {size}"),
        }
    }
}

#[track_caller]
fn checked(bits: u32) -> u32 {
    assert!((2..=8).contains(&bits), "quantize: {bits} bits; there may be 2 to 8");
    bits
}

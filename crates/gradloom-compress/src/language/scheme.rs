//! [`Scheme`]: how many bits, over how many inputs, around which zero.

use gradloom_tensor::{Error, Result};

/// How a matrix of weights is quantized: integers of `bits` bits, with one scale for each `group` of inputs of each
/// output, around the middle (symmetric) or around a zero of the group's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Scheme {
    bits: u32,
    group: Option<usize>,
    symmetric: bool,
}

impl Scheme {
    /// Symmetric, in groups of 128 inputs.
    ///
    /// # Panics
    /// Unless there are 2 to 8 bits.
    #[track_caller]
    pub fn new(bits: u32) -> Self {
        assert!((2..=8).contains(&bits), "scheme: {bits} bits; give 2 to 8");
        Scheme { bits, group: Some(128), symmetric: true }
    }

    /// Inputs that share a scale.
    ///
    /// # Panics
    /// If it is 0.
    #[must_use]
    #[track_caller]
    pub fn group(mut self, inputs: usize) -> Self {
        assert!(inputs > 0, "scheme: groups of no inputs");
        self.group = Some(inputs);
        self
    }

    /// One scale for each output; what others call groups of -1.
    #[must_use]
    pub fn per_channel(mut self) -> Self {
        self.group = None;
        self
    }

    /// With a zero for each group, so that it covers just the group's range.
    #[must_use]
    pub fn asymmetric(mut self) -> Self {
        self.symmetric = false;
        self
    }

    /// Bits of an integer.
    pub fn bits(self) -> u32 {
        self.bits
    }

    /// Inputs that share a scale; none if all do.
    pub fn group_size(self) -> Option<usize> {
        self.group
    }

    /// Whether the zero is the middle.
    pub fn is_symmetric(self) -> bool {
        self.symmetric
    }

    /// The largest integer; the smallest is 0.
    pub fn top(self) -> u8 {
        ((1u32 << self.bits) - 1) as u8
    }

    /// The zero of symmetric groups.
    pub fn middle(self) -> u8 {
        1 << (self.bits - 1)
    }

    /// Bits of each weight with its share of scales of 16 bits, and of zeros.
    pub fn bits_per_weight(self, inputs: usize) -> f64 {
        let zero = if self.symmetric { 0 } else { self.bits };
        let shared = f64::from(16 + zero) / self.group.unwrap_or(inputs.max(1)) as f64;
        f64::from(self.bits) + shared
    }

    /// Inputs of a group in a matrix of so many.
    ///
    /// # Errors
    /// If groups do not divide them.
    pub fn group_of(self, inputs: usize) -> Result<usize> {
        let group = self.group.unwrap_or(inputs);
        if inputs == 0 || !inputs.is_multiple_of(group) {
            return Err(Error::shape(format!(
                "scheme: groups of {group} do not divide {inputs} inputs; choose a size that does, or one scale for \
                 each output"
            )));
        }
        Ok(group)
    }
}

/// `int4, groups of 128, symmetric`.
impl std::fmt::Display for Scheme {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "int{}, ", self.bits)?;
        match self.group {
            Some(group) => write!(formatter, "groups of {group}, ")?,
            None => write!(formatter, "per channel, ")?,
        }
        formatter.write_str(if self.symmetric { "symmetric" } else { "asymmetric" })
    }
}

//! [`Nature`]: what planners, devices and tests have to know of an elementwise op besides its values.

use crate::DType;

/// A row's properties in the table of elementwise ops.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Nature {
    /// Cost of one element, in units of an addition.
    pub cost: usize,
    /// How near to the exact value a device comes.
    pub accuracy: Accuracy,
    /// How far a result goes that belongs to operands within a distance.
    pub variation: Variation,
    /// Which results of integers may lie outside of their dtype.
    pub wraps: Wraps,
    /// Where the op is smooth, and neither it nor its derivatives are large: what tests draw from.
    pub domain: Domain,
}

/// How near to the exact value a device comes. The errors are units in the last place of the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accuracy {
    /// Nothing is rounded.
    Exact,
    /// One addition or multiplication.
    Basic,
    /// One division or root: rounded once on the CPU, a few units on GPUs.
    Quotient,
    /// Two of them.
    TwoQuotients,
    /// Exact but for the rounding of the quotient, which decides between far values.
    Remainder,
    /// A few units.
    Elementary,
    /// As [`Accuracy::Elementary`], and near its zeros as much as an operand of one.
    ThroughZero,
    /// As [`Accuracy::ThroughZero`], and below zero a few units of the result for the magnitude, which
    /// is a term there.
    Reflected,
    /// A few units, and more for each unit of the operand.
    Exponential,
    /// As [`Accuracy::Exponential`] of a power's logarithm.
    Power,
    /// Between -1 and 1; a few units, and near zero what is lost of the angle.
    Periodic,
}

/// How far a result goes that belongs to operands within a distance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Variation {
    /// No farther than at one of the ends.
    Monotonic,
    /// No farther than this often the distance.
    Slope(f64),
    /// No farther than at one of the ends or at zero, where it is least.
    Even,
    /// As [`Variation::Monotonic`], but for a pole where the (last) operand is zero.
    Pole,
    /// As [`Variation::Monotonic`], but for poles at zero and all negative integers.
    Poles,
}

/// Which results of integers may lie outside of their dtype, so that they wrap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wraps {
    /// None.
    Never,
    /// Of the least signed integer.
    Signed,
    /// Any.
    Always,
}

impl Wraps {
    /// True if a result of this dtype may lie outside of it.
    pub fn of(self, dtype: DType) -> bool {
        match self {
            Wraps::Never => false,
            Wraps::Signed => !dtype.is_unsigned_int(),
            Wraps::Always => true,
        }
    }
}

/// Where tests draw operands from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Domain {
    /// All numbers.
    Every,
    /// Numbers well above zero.
    Positive,
    /// Numbers well between -1 and 1.
    Unit,
}

impl Nature {
    /// Of an op that rounds nothing.
    pub(super) const EXACT: Nature = Nature::new(1, Accuracy::Exact);

    /// Of an op with a cost in units of an addition, monotonic for all numbers.
    pub(super) const fn new(cost: usize, accuracy: Accuracy) -> Nature {
        Nature {
            cost,
            accuracy,
            variation: Variation::Monotonic,
            wraps: Wraps::Never,
            domain: Domain::Every,
        }
    }

    pub(super) const fn wraps(self, wraps: Wraps) -> Nature {
        Nature { wraps, ..self }
    }

    pub(super) const fn varies(self, variation: Variation) -> Nature {
        Nature { variation, ..self }
    }

    pub(super) const fn on(self, domain: Domain) -> Nature {
        Nature { domain, ..self }
    }
}

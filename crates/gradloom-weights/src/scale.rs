//! [`Meaning`]: what elements stand for, and [`Scale`]: small integers that stand for numbers between a least and a greatest one.

use gradloom_tensor::{DType, Element};

use crate::Stored;

/// What stored elements stand for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum Meaning {
    /// Themselves.
    #[default]
    Itself,
    /// Floats of 32 bits, of which fewer bits were kept.
    F32,
    /// Other numbers.
    Scaled(Scale),
}

/// `least + factor * n`, for integers `n` of 8 or 16 bits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    pub(crate) factor: f64,
    pub(crate) least: f64,
    /// The numbers are integers.
    pub(crate) rounded: bool,
}

impl Scale {
    /// Element type of the tensor.
    pub(crate) fn dtype(self) -> DType {
        if self.rounded { DType::I32 } else { DType::F32 }
    }

    /// The numbers, in host order, of little-endian integers.
    pub(crate) fn apply(self, stored: &Stored, bytes: &[u8]) -> Vec<u8> {
        let number = |n: f64| n * self.factor + self.least;
        match stored.size() {
            Some(2) => {
                let integers = bytes.as_chunks::<2>().0.iter();
                self.numbers(integers.map(|&n| number(u16::from_le_bytes(n).into())))
            }
            _ => self.numbers(bytes.iter().map(|&n| number(n.into()))),
        }
    }

    fn numbers(self, numbers: impl Iterator<Item = f64>) -> Vec<u8> {
        if self.rounded {
            // Halves up, as JavaScript rounds.
            let rounded: Vec<i32> = numbers.map(|number| (number + 0.5).floor() as i32).collect();
            return i32::to_bytes(&rounded).into_owned();
        }
        let numbers: Vec<f32> = numbers.map(|number| number as f32).collect();
        f32::to_bytes(&numbers).into_owned()
    }
}

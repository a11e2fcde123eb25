//! [`Pattern`]: what the elements of a leaf are.

use gradloom_tensor::DType;

use super::dice::Dice;

/// What elements are drawn from, for a dtype in which they are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// Floats between -2 and 2; integers between -9 and 9, or 0 and 9.
    Small,
    /// Floats between 0.25 and 2.25; integers between 1 and 9.
    Positive,
    /// Numbers near the limits of a dtype: f16 around 300 and 60,000, bytes near their ends, integers that wrap.
    Far,
    /// NaN, infinities, zeros of both signs, and few other values, so that there are ties.
    Special,
    /// Whole numbers in `0..n`.
    Index(usize),
}

impl Pattern {
    /// The elements, as numbers that the dtype has or rounds.
    pub fn values(self, dtype: DType, count: usize, seed: u64) -> Vec<f64> {
        let mut dice = Dice::new(seed);
        (0..count).map(|_| self.value(dtype, &mut dice)).collect()
    }

    fn value(self, dtype: DType, dice: &mut Dice) -> f64 {
        if let Pattern::Index(size) = self {
            return dice.below(size) as f64;
        }
        if dtype == DType::Bool {
            return dice.below(2) as f64;
        }
        if dtype.is_int() {
            return self.integer(dtype, dice);
        }
        // Multiples of 2^-18, which f32 has and narrow types round.
        let unit = dice.below(1 << 20) as f64 / f64::from(1 << 20);
        match self {
            Pattern::Small => unit * 4.0 - 2.0,
            Pattern::Positive => unit * 2.0 + 0.25,
            Pattern::Far => {
                let size = dice.pick(&[250.0, 300.0, 3_000.0, 60_000.0]);
                size * (unit * 0.25 + 0.875) * dice.pick(&[1.0, 1.0, -1.0])
            }
            Pattern::Special | Pattern::Index(_) => {
                let (nan, infinity) = (f64::NAN, f64::INFINITY);
                dice.pick(&[nan, infinity, -infinity, 0.0, -0.0, 1.0, 1.0, -1.0, 0.5, 2.0, -2.5])
            }
        }
    }

    fn integer(self, dtype: DType, dice: &mut Dice) -> f64 {
        let small = dice.below(10) as f64;
        match (self, dtype) {
            (Pattern::Positive, _) => small.max(1.0),
            (Pattern::Far | Pattern::Special, DType::U8) => 255.0 - dice.below(120) as f64,
            (Pattern::Far | Pattern::Special, DType::I8) => {
                dice.pick(&[127.0 - small, small - 128.0, -1.0])
            }
            (Pattern::Far | Pattern::Special, DType::I64) => {
                // Beyond the largest number is the largest number.
                let limit = 2f64.powi(63);
                dice.pick(&[
                    limit,
                    -limit,
                    -1.0,
                    small * 1_234_567_890_123.0,
                    2f64.powi(53) - small,
                ])
            }
            (Pattern::Far | Pattern::Special, DType::U32) => f64::from(u32::MAX) - small * 1e7,
            (Pattern::Far | Pattern::Special, _) => {
                let limit = dice.pick(&[f64::from(i32::MAX) - small, f64::from(i32::MIN) + small]);
                dice.pick(&[limit, small * 65_537.0])
            }
            (_, DType::I32 | DType::I64 | DType::I8) => small * dice.pick(&[1.0, -1.0]),
            _ => small,
        }
    }
}

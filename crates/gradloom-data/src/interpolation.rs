//! [`Interpolation`]: the filters that pixels between others are made with, and [`Weights`], what they give
//! for one pixel. They equal Pillow's: weights in f64, of bytes in fixed point.

/// What a pixel between others is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Interpolation {
    /// The nearest pixel.
    Nearest,
    /// The mean of the pixels that are covered.
    Box,
    /// A triangle, two pixels wide.
    Bilinear,
    /// As sharp as bicubic when reducing, at the cost of bilinear.
    Hamming,
    /// A cubic with a = -0.5, four pixels wide.
    Bicubic,
    /// A windowed sinc, six pixels wide.
    Lanczos,
}

impl Interpolation {
    /// Half the width of the filter, in pixels of the larger picture.
    fn support(self) -> f64 {
        match self {
            Interpolation::Nearest => 0.0,
            Interpolation::Box => 0.5,
            Interpolation::Bilinear | Interpolation::Hamming => 1.0,
            Interpolation::Bicubic => 2.0,
            Interpolation::Lanczos => 3.0,
        }
    }

    fn weight(self, x: f64) -> f64 {
        let sinc = |x: f64| {
            let x = x * std::f64::consts::PI;
            if x == 0.0 { 1.0 } else { x.sin() / x }
        };
        match self {
            Interpolation::Nearest => 0.0,
            Interpolation::Box => f64::from(u8::from(x > -0.5 && x <= 0.5)),
            Interpolation::Bilinear => (1.0 - x.abs()).max(0.0),
            Interpolation::Hamming => {
                let x = x.abs();
                if x >= 1.0 {
                    return 0.0;
                }
                // The constants are f32 in Pillow.
                let (base, wave) = (f64::from(0.54f32), f64::from(0.46f32));
                sinc(x) * (base + wave * (x * std::f64::consts::PI).cos())
            }
            Interpolation::Bicubic => {
                const A: f64 = -0.5;
                let x = x.abs();
                if x < 1.0 {
                    ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
                } else if x < 2.0 {
                    (((x - 5.0) * x + 8.0) * x - 4.0) * A
                } else {
                    0.0
                }
            }
            Interpolation::Lanczos => {
                if (-3.0..3.0).contains(&x) {
                    sinc(x) * sinc(x / 3.0)
                } else {
                    0.0
                }
            }
        }
    }
}

/// The pixels that one pixel of the result is made of.
#[doc(hidden)]
#[derive(Clone, Debug)]
pub struct Weights {
    first: usize,
    exact: Vec<f64>,
    fixed: Vec<i32>,
}

/// Bits after the point of the weights of bytes.
const PRECISION: u32 = 32 - 8 - 2;

impl Weights {
    pub(crate) fn of(interpolation: Interpolation, from: usize, to: usize) -> Vec<Weights> {
        let scale = from as f64 / to as f64;
        let stretch = scale.max(1.0);
        let support = interpolation.support() * stretch;
        let inverse = 1.0 / stretch;
        let weights = |place: usize| {
            let centre = (place as f64 + 0.5) * scale;
            // A cast from float takes what is negative to zero.
            let first = (centre - support + 0.5) as usize;
            let past = ((centre + support + 0.5) as usize).min(from);
            let at = |pixel: usize| interpolation.weight((pixel as f64 - centre + 0.5) * inverse);
            let mut exact: Vec<f64> = (first..past).map(at).collect();
            let mut total = 0.0;
            exact.iter().for_each(|weight| total += weight);
            if total != 0.0 {
                exact.iter_mut().for_each(|weight| *weight /= total);
            }
            let one = f64::from(1u32 << PRECISION);
            // Halves away from zero.
            let fixed = |&weight: &f64| (weight * one + 0.5f64.copysign(weight)) as i32;
            Weights { first, fixed: exact.iter().map(fixed).collect(), exact }
        };
        (0..to).map(weights).collect()
    }

    /// The pixels of a line that are covered, and their weights.
    fn covered<'a, T, W>(
        &self,
        line: &'a [T],
        weights: &'a [W],
    ) -> impl Iterator<Item = (&'a T, &'a W)> {
        line[self.first..self.first + weights.len()].iter().zip(weights)
    }

    /// The weighted sum of bytes of a line.
    pub(crate) fn bytes(&self, line: &[u8]) -> u8 {
        let mut sum = HALF;
        for (&pixel, &weight) in self.covered(line, &self.fixed) {
            sum = sum.wrapping_add(i32::from(pixel).wrapping_mul(weight));
        }
        rounded(sum)
    }

    /// The weighted sum of floats of a line.
    pub(crate) fn floats(&self, line: &[f32]) -> f32 {
        let sum = |sum: f64, (&pixel, weight): (&f32, &f64)| sum + f64::from(pixel) * weight;
        self.covered(line, &self.exact).fold(0.0, sum) as f32
    }

    /// The weighted sums of lines of bytes, place by place.
    pub(crate) fn lines_of_bytes(&self, plane: &[u8], width: usize, result: &mut Vec<u8>) {
        let mut sums = vec![HALF; width];
        for (line, &weight) in plane.chunks_exact(width).skip(self.first).zip(&self.fixed) {
            for (sum, &pixel) in sums.iter_mut().zip(line) {
                *sum = sum.wrapping_add(i32::from(pixel).wrapping_mul(weight));
            }
        }
        result.extend(sums.into_iter().map(rounded));
    }

    /// The weighted sums of lines of floats, place by place.
    pub(crate) fn lines_of_floats(&self, plane: &[f32], width: usize, result: &mut Vec<f32>) {
        let mut sums = vec![0.0f64; width];
        for (line, &weight) in plane.chunks_exact(width).skip(self.first).zip(&self.exact) {
            for (sum, &pixel) in sums.iter_mut().zip(line) {
                *sum += f64::from(pixel) * weight;
            }
        }
        result.extend(sums.into_iter().map(|sum| sum as f32));
    }
}

/// What rounds a sum to the nearest byte.
const HALF: i32 = 1 << (PRECISION - 1);

fn rounded(sum: i32) -> u8 {
    (sum >> PRECISION).clamp(0, 255) as u8
}

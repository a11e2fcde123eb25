//! Signals, images and volumes of other sizes, by interpolation between elements.
//!
//! Axis by axis, as every mode is a product over the axes. Along one axis each element of the result is a
//! weighted sum of few elements, whose places and weights are computed here in f64: a gather and a sum, not a
//! product with a matrix, whose zeros would make NaN of an infinity far away.
//!
//! Letters: N batch, C channels.

use crate::called::{Called, demand};
use crate::error::OrFail;
use crate::{DType, Shape, Tensor, shape_rules};

/// How elements between elements are made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Interpolation {
    /// The element whose place, rounded down, is meant. PyTorch: `mode="nearest"`.
    #[default]
    Nearest,
    /// The element whose middle is nearest. PyTorch: `mode="nearest-exact"`.
    NearestExact,
    /// Between two neighbours along each axis. PyTorch: `linear`, `bilinear`, `trilinear`.
    Linear,
    /// Cubic convolution of four neighbours along each axis, Keys's with `a = -0.75` (with antialiasing
    /// `-0.5`). PyTorch: `bicubic`. Keys, "Cubic convolution interpolation", 1981.
    Cubic,
    /// The mean of the elements that fall into each place. PyTorch: `area`.
    Area,
}

/// Options of [`Tensor::interpolate`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct InterpolateOptions {
    /// How elements between elements are made.
    pub mode: Interpolation,
    /// Whether the middles of the first and last elements stay where they are, instead of their outer edges.
    /// Linear and cubic.
    pub align_corners: bool,
    /// Whether a smaller result averages over all that it stands for. Linear and cubic.
    pub antialias: bool,
    /// What the sizes were multiplied with, for each axis, where places are to follow from that and not from
    /// the sizes themselves. PyTorch: `scale_factor` without `recompute_scale_factor`.
    pub factors: Option<Vec<f64>>,
}

impl InterpolateOptions {
    /// Of a mode.
    pub fn new(mode: Interpolation) -> Self {
        InterpolateOptions { mode, ..Default::default() }
    }

    /// Sets whether the middles of the first and last elements stay where they are.
    #[must_use]
    pub fn align_corners(self, align_corners: bool) -> Self {
        InterpolateOptions { align_corners, ..self }
    }

    /// Sets whether a smaller result averages over all that it stands for.
    #[must_use]
    pub fn antialias(self, antialias: bool) -> Self {
        InterpolateOptions { antialias, ..self }
    }

    /// Sets what the sizes were multiplied with.
    #[must_use]
    pub fn factors(self, factors: &[f64]) -> Self {
        InterpolateOptions { factors: Some(factors.to_vec()), ..self }
    }
}

impl Tensor {
    /// The same signal, image or volume in other sizes: `[N, C, ..] -> [N, C, sizes..]`, one to three axes
    /// after the first two.
    ///
    /// Float dtypes; the nearest modes any. Panics if there is not one size (and factor) for each axis, an axis
    /// or a size is zero, or the mode has not the option. PyTorch: `F.interpolate(size=...)`,
    /// `F.upsample_bilinear`.
    ///
    /// ```
    /// # use gradloom_tensor::Tensor;
    /// # use gradloom_tensor::ops::interpolation::{InterpolateOptions, Interpolation};
    /// # fn example(device: &gradloom_tensor::Device) -> gradloom_tensor::Result<()> {
    /// let x = Tensor::from_vec(vec![0f32, 2.0], [1, 1, 2], device)?;
    /// let options = InterpolateOptions::new(Interpolation::Linear).align_corners(true);
    /// assert_eq!(x.interpolate(&[3], &options).to_vec::<f32>()?, [0.0, 1.0, 2.0]);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    #[must_use]
    pub fn interpolate(&self, sizes: &[usize], options: &InterpolateOptions) -> Tensor {
        const OP: &str = "interpolate";
        let (shape, mode) = (*self.shape(), options.mode);
        let axes = shape.rank().wrapping_sub(2);
        demand!(
            (1..=3).contains(&axes) && sizes.len() == axes,
            "{OP}: needs [N, C, ..] with one to three axes and a size for each, got {shape} and {sizes:?}"
        );
        let near = matches!(mode, Interpolation::Nearest | Interpolation::NearestExact);
        let smooth = matches!(mode, Interpolation::Linear | Interpolation::Cubic);
        demand!(
            smooth || !(options.align_corners || options.antialias),
            "{OP}: mode {mode:?} has neither aligned corners nor antialiasing"
        );
        demand!(
            shape[2..].iter().chain(sizes).all(|&size| size > 0),
            "{OP}: sizes {sizes:?} of {shape}; none may be zero"
        );
        demand!(
            shape[2..].iter().chain(sizes).all(|&size| i32::try_from(size).is_ok()),
            "{OP}: sizes {sizes:?} of {shape} are more than i32 counts"
        );
        if let Some(factors) = &options.factors {
            demand!(
                factors.len() == axes && factors.iter().all(|&factor| factor > 0.0),
                "{OP}: factors {factors:?} for {axes} axes; each is positive"
            );
        }
        if !near {
            shape_rules::float(OP, self.dtype()).or_fail();
        }
        if mode == Interpolation::Area {
            return match *sizes {
                [length] => self.adaptive_avg_pool1d([length]),
                [height, width] => self.adaptive_avg_pool2d([height, width]),
                [depth, height, width] => self.adaptive_avg_pool3d([depth, height, width]),
                _ => unreachable!("one to three axes were asked for"),
            };
        }
        let mut result = if near { self.clone() } else { self.wide() };
        for (place, &size) in sizes.iter().enumerate() {
            let factor = options.factors.as_ref().map(|factors| factors[place]);
            let line = Line { from: shape[place + 2], to: size, factor };
            result = line.apply(&result, place + 2, options);
        }
        result.cast(self.dtype())
    }

    /// [`Tensor::interpolate`] to sizes that are those of the axes times factors, rounded down; with
    /// `recompute` places follow from the sizes. PyTorch: `F.interpolate(scale_factor=..., recompute_scale_factor=...)`.
    ///
    /// Panics as it does.
    #[track_caller]
    #[must_use]
    pub fn interpolate_by(
        &self,
        factors: &[f64],
        recompute: bool,
        options: &InterpolateOptions,
    ) -> Tensor {
        let axes = self.shape().iter().skip(2);
        let sizes: Vec<usize> =
            axes.zip(factors).map(|(&size, factor)| (size as f64 * factor) as usize).collect();
        let factors = (!recompute).then(|| factors.to_vec());
        self.interpolate(&sizes, &InterpolateOptions { factors, ..options.clone() })
    }
}

/// One axis.
struct Line {
    from: usize,
    to: usize,
    factor: Option<f64>,
}

/// Numbers in the dtype and on the device of a tensor.
#[track_caller]
fn filled(numbers: Vec<f64>, shape: Shape, like: &Tensor) -> Tensor {
    let made = match like.dtype() {
        DType::F64 => Tensor::from_vec(numbers, shape, like.device()),
        dtype => {
            let numbers: Vec<f32> = numbers.into_iter().map(|number| number as f32).collect();
            Tensor::from_vec(numbers, shape, like.device()).map(|numbers| numbers.cast(dtype))
        }
    };
    match made {
        Ok(numbers) => numbers,
        Err(error) => Called::fail(format_args!("interpolate: {error}")),
    }
}

/// Places and weights that one element of the result is made of.
type Taps = Vec<(usize, f64)>;

impl Line {
    #[track_caller]
    fn apply(&self, x: &Tensor, axis: usize, options: &InterpolateOptions) -> Tensor {
        let taps: Vec<Taps> = (0..self.to).map(|at| self.taps(at, options)).collect();
        let same = |(at, taps): (usize, &Taps)| matches!(taps[..], [(place, _)] if place == at);
        if self.from == self.to && taps.iter().enumerate().all(same) {
            return x.clone();
        }
        let count = taps.iter().map(Vec::len).max().unwrap_or(1);
        // What has fewer than others takes its last once more, for nothing.
        let at = |taps: &Taps, number: usize| match taps.get(number) {
            Some(&tap) => tap,
            None => (taps[taps.len() - 1].0, 0.0),
        };
        let all = taps.iter().flat_map(|taps| (0..count).map(move |number| at(taps, number)));
        let (places, weights): (Vec<i32>, Vec<f64>) =
            all.map(|(place, weight)| (place as i32, weight)).unzip();
        let taken = x.taken_at("interpolate", axis as isize, places);
        if count == 1 {
            return taken;
        }
        let mut split = x.shape().to_vec();
        split[axis] = self.to;
        split.insert(axis + 1, count);
        let mut aligned = vec![1; split.len()];
        aligned[axis] = self.to;
        aligned[axis + 1] = count;
        let weights = filled(weights, Shape::new(&aligned), x);
        let split = Shape::new(&split);
        let weights = weights.expand_to(split);
        let terms = taken.reshape_to(split).mul(&weights);
        weights.eq(0.0).select(terms.constant_like(0.0), terms).sum(axis as isize + 1)
    }

    /// Distance of the result's elements, counted in those of the axis.
    fn step(&self, align_corners: bool) -> f64 {
        match (align_corners, self.factor) {
            (true, _) if self.to == 1 => 0.0,
            (true, _) => (self.from - 1) as f64 / (self.to - 1) as f64,
            (false, Some(factor)) => 1.0 / factor,
            (false, None) => self.from as f64 / self.to as f64,
        }
    }

    fn taps(&self, at: usize, options: &InterpolateOptions) -> Taps {
        let step = self.step(options.align_corners);
        let last = self.from - 1;
        let nearest = |place: f64| vec![((place.max(0.0) as usize).min(last), 1.0)];
        match options.mode {
            // Rounded to f32 on the way, as PyTorch does, because a place decides here.
            Interpolation::Nearest => nearest(f64::from((at as f32 * step as f32).floor())),
            Interpolation::NearestExact => {
                nearest(f64::from(((at as f32 + 0.5) * step as f32).floor()))
            }
            Interpolation::Linear if options.antialias => self.smoothed(at, step, 1.0, triangle),
            Interpolation::Cubic if options.antialias => {
                self.smoothed(at, step, 2.0, |x| cubic(x, -0.5))
            }
            Interpolation::Linear => {
                let place = match options.align_corners {
                    true => at as f64 * step,
                    false => ((at as f64 + 0.5) * step - 0.5).max(0.0),
                };
                let first = (place as usize).min(last);
                let share = (place - first as f64).clamp(0.0, 1.0);
                vec![(first, 1.0 - share), ((first + 1).min(last), share)]
            }
            Interpolation::Cubic => {
                let place = match options.align_corners {
                    true => at as f64 * step,
                    false => (at as f64 + 0.5) * step - 0.5,
                };
                let first = place.floor();
                let tap = |number: i32| {
                    let own = first + f64::from(number);
                    (own.clamp(0.0, last as f64) as usize, cubic(place - own, -0.75))
                };
                (-1..3).map(tap).collect()
            }
            Interpolation::Area => unreachable!("means are pooling"),
        }
    }

    /// A filter as wide as what an element of the result stands for, `reach` elements on each side at least.
    fn smoothed(&self, at: usize, step: f64, reach: f64, filter: impl Fn(f64) -> f64) -> Taps {
        let width = step.max(1.0);
        let (middle, reach) = (step * (at as f64 + 0.5), reach * width);
        let first = ((middle - reach + 0.5).max(0.0) as usize).min(self.from - 1);
        let end =
            ((middle + reach + 0.5).max(0.0) as usize).clamp(first + 1, self.from.max(first + 1));
        let weight = |place: usize| filter((place as f64 - middle + 0.5) / width);
        let total: f64 = (first..end).map(weight).sum();
        let total = if total == 0.0 { 1.0 } else { total };
        (first..end).map(|place| (place, weight(place) / total)).collect()
    }
}

fn triangle(x: f64) -> f64 {
    (1.0 - x.abs()).max(0.0)
}

fn cubic(x: f64, a: f64) -> f64 {
    let x = x.abs();
    if x < 1.0 {
        ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        ((x - 5.0) * x + 8.0) * x * a - 4.0 * a
    } else {
        0.0
    }
}

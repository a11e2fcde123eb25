//! Learning rates over time: functions from a step to a number, without state.
//!
//! A learning rate enters the graph as an argument of the plan, so another one at every step costs
//! nothing. One that watches the loss is [`Plateau`](crate::Plateau).

/// A learning rate for every step.
///
/// ```
/// # use gradloom_nn::Schedule;
/// let schedule = Schedule::cosine(0.1, 1000).warmup(100);
/// assert_eq!(schedule.at(50), 0.05);
/// assert_eq!(schedule.at(100), 0.1);
/// assert!(schedule.at(1100) < 1e-9);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    shape: Shape,
    warmup: u64,
}

#[derive(Clone, Debug, PartialEq)]
enum Shape {
    Constant { rate: f64 },
    Step { rate: f64, every: u64, factor: f64 },
    Milestones { rate: f64, steps: Vec<u64>, factor: f64 },
    Exponential { rate: f64, factor: f64 },
    Cosine { rate: f64, last: f64, steps: u64 },
    Linear { rate: f64, last: f64, steps: u64 },
    Polynomial { rate: f64, steps: u64, power: f64 },
    CosineRestarts { rate: f64, last: f64, first: u64, longer: u64 },
    Cyclic { low: f64, high: f64, up: u64, down: u64, fall: CycleFall },
    OneCycle { rate: f64, steps: u64, rise: f64, start_divisor: f64, end_divisor: f64 },
}

/// How the height of the cycles of [`Schedule::cyclic`] changes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum CycleFall {
    /// All are equal. PyTorch: `triangular`.
    None,
    /// Each is half as high as the one before. PyTorch: `triangular2`.
    Halving,
    /// Times this to the power of the step. PyTorch: `exp_range`.
    Exponential(f64),
}

impl Schedule {
    fn new(shape: Shape) -> Self {
        Schedule { shape, warmup: 0 }
    }

    /// Always `rate`.
    pub fn constant(rate: f64) -> Self {
        Schedule::new(Shape::Constant { rate })
    }

    /// `rate`, multiplied by `factor` after every `every` steps. PyTorch: `StepLR`.
    ///
    /// # Panics
    /// If `every` is zero.
    #[track_caller]
    pub fn step(rate: f64, every: u64, factor: f64) -> Self {
        assert!(every > 0, "schedule: a rate that changes every 0 steps");
        Schedule::new(Shape::Step { rate, every, factor })
    }

    /// `rate`, multiplied by `factor` at each of the `steps`. PyTorch: `MultiStepLR`.
    pub fn milestones(rate: f64, steps: impl Into<Vec<u64>>, factor: f64) -> Self {
        Schedule::new(Shape::Milestones { rate, steps: steps.into(), factor })
    }

    /// `rate * factor^step`. PyTorch: `ExponentialLR`.
    pub fn exponential(rate: f64, factor: f64) -> Self {
        Schedule::new(Shape::Exponential { rate, factor })
    }

    /// From `rate` to zero along half a cosine in `steps` steps. PyTorch: `CosineAnnealingLR`.
    pub fn cosine(rate: f64, steps: u64) -> Self {
        Schedule::cosine_to(rate, 0.0, steps)
    }

    /// As [`cosine`](Schedule::cosine), to `last` instead of zero.
    pub fn cosine_to(rate: f64, last: f64, steps: u64) -> Self {
        Schedule::new(Shape::Cosine { rate, last, steps })
    }

    /// From `rate` to `last` along a line in `steps` steps. PyTorch: `LinearLR`.
    pub fn linear(rate: f64, last: f64, steps: u64) -> Self {
        Schedule::new(Shape::Linear { rate, last, steps })
    }

    /// From `rate` to zero in `steps` steps as `(1 - step / steps)^power`. PyTorch: `PolynomialLR`.
    pub fn polynomial(rate: f64, steps: u64, power: f64) -> Self {
        Schedule::new(Shape::Polynomial { rate, steps, power })
    }

    /// From `rate` to `last` along half a cosine in `first` steps, again from `rate` in `longer` times as
    /// many, and so on (Loshchilov and Hutter, "SGDR", 2016). PyTorch: `CosineAnnealingWarmRestarts`.
    ///
    /// # Panics
    /// If `first` or `longer` is zero.
    #[track_caller]
    pub fn cosine_restarts(rate: f64, last: f64, first: u64, longer: u64) -> Self {
        assert!(first > 0 && longer > 0, "schedule: restarts after 0 steps");
        Schedule::new(Shape::CosineRestarts { rate, last, first, longer })
    }

    /// From `low` to `high` along a line in `up` steps, back in `down` steps, and again (Smith, "Cyclical
    /// learning rates", 2015). PyTorch: `CyclicLR`, without its momentum.
    ///
    /// # Panics
    /// If both numbers of steps are zero.
    #[track_caller]
    pub fn cyclic(low: f64, high: f64, up: u64, down: u64, fall: CycleFall) -> Self {
        assert!(up + down > 0, "schedule: cycles of 0 steps");
        Schedule::new(Shape::Cyclic { low, high, up, down, fall })
    }

    /// From `rate / 25` up to `rate` in the first 30% of `steps`, then down to `rate / 250000`, both
    /// along a cosine (Smith and Topin, "Super-convergence", 2018). PyTorch: `OneCycleLR`, without its
    /// momentum.
    pub fn one_cycle(rate: f64, steps: u64) -> Self {
        let (rise, start_divisor, end_divisor) = (0.3, 25.0, 1e4);
        Schedule::new(Shape::OneCycle { rate, steps, rise, start_divisor, end_divisor })
    }

    /// A line from zero up to the first rate during `steps` steps before the schedule itself begins.
    #[must_use]
    pub fn warmup(mut self, steps: u64) -> Self {
        self.warmup = steps;
        self
    }

    /// The learning rate of a step, counted from 0. After its end a schedule stays at its last rate.
    pub fn at(&self, step: u64) -> f64 {
        match step.checked_sub(self.warmup) {
            None => self.shape.at(0) * step as f64 / self.warmup as f64,
            Some(step) => self.shape.at(step),
        }
    }
}

impl Shape {
    fn at(&self, step: u64) -> f64 {
        match *self {
            Shape::Constant { rate } => rate,
            Shape::Step { rate, every, factor } => rate * factor.powf((step / every) as f64),
            Shape::Milestones { rate, ref steps, factor } => {
                let passed = steps.iter().filter(|&&milestone| milestone <= step).count();
                rate * factor.powf(passed as f64)
            }
            Shape::Exponential { rate, factor } => rate * factor.powf(step as f64),
            Shape::Cosine { rate, last, steps } => between(rate, last, share(step, steps as f64)),
            Shape::Linear { rate, last, steps } => rate + (last - rate) * share(step, steps as f64),
            Shape::Polynomial { rate, steps, power } => {
                rate * (1.0 - share(step, steps as f64)).powf(power)
            }
            Shape::CosineRestarts { rate, last, first, longer } => {
                let (mut passed, mut length) = (step, first);
                if longer == 1 {
                    passed %= first;
                }
                while passed >= length {
                    passed -= length;
                    length = length.saturating_mul(longer);
                }
                between(rate, last, passed as f64 / length as f64)
            }
            Shape::Cyclic { low, high, up, down, fall } => {
                let (cycle, at) = (step / (up + down), step % (up + down));
                let height = match at < up {
                    true => at as f64 / up as f64,
                    false => 1.0 - (at - up) as f64 / down as f64,
                };
                let factor = match fall {
                    CycleFall::None => 1.0,
                    CycleFall::Halving => 0.5f64.powf(cycle as f64),
                    CycleFall::Exponential(factor) => factor.powf(step as f64),
                };
                low + (high - low) * height * factor
            }
            Shape::OneCycle { rate, steps, rise, start_divisor, end_divisor } => {
                // PyTorch's counting: the peak is at `rise * steps - 1`, the end at `steps - 1`.
                let peak = (rise * steps as f64 - 1.0).max(0.0);
                let end = (steps as f64 - 1.0).max(peak);
                let start = rate / start_divisor;
                if step as f64 <= peak {
                    between(start, rate, share(step, peak))
                } else {
                    let fall = ((step as f64).min(end) - peak) / (end - peak).max(1e-9);
                    between(rate, start / end_divisor, fall)
                }
            }
        }
    }
}

/// How much of `steps` has passed, at most all.
fn share(step: u64, steps: f64) -> f64 {
    if steps > 0.0 { (step as f64 / steps).min(1.0) } else { 1.0 }
}

/// From `first` to `last` along half a cosine.
fn between(first: f64, last: f64, share: f64) -> f64 {
    last + (first - last) * (1.0 + (std::f64::consts::PI * share).cos()) / 2.0
}

#[cfg(test)]
mod tests {
    use super::Schedule;

    fn close(actual: f64, expected: f64) {
        assert!((actual - expected).abs() < 1e-12, "{actual} is not {expected}");
    }

    #[test]
    fn schedules_pass_through_their_corners() {
        close(Schedule::constant(0.3).at(1_000_000), 0.3);
        let step = Schedule::step(1.0, 10, 0.5);
        for (at, expected) in [(0, 1.0), (9, 1.0), (10, 0.5), (25, 0.25)] {
            close(step.at(at), expected);
        }
        let milestones = Schedule::milestones(1.0, [5, 7], 0.1);
        for (at, expected) in [(4, 1.0), (5, 0.1), (7, 0.01)] {
            close(milestones.at(at), expected);
        }
        close(Schedule::exponential(2.0, 0.9).at(3), 2.0 * 0.729);
        let cosine = Schedule::cosine_to(1.0, 0.2, 100);
        for (at, expected) in [(0, 1.0), (50, 0.6), (100, 0.2), (200, 0.2)] {
            close(cosine.at(at), expected);
        }
        close(Schedule::linear(1.0, 0.0, 4).at(1), 0.75);
        close(Schedule::cosine(1.0, 0).at(0), 0.0);
    }

    #[test]
    fn warmup_rises_to_the_first_rate_and_then_counts_from_zero() {
        let schedule = Schedule::step(0.8, 10, 0.5).warmup(4);
        for (at, expected) in [(0, 0.0), (1, 0.2), (4, 0.8), (13, 0.8), (14, 0.4)] {
            close(schedule.at(at), expected);
        }
    }

    #[test]
    fn one_cycle_is_pytorchs() {
        // torch.optim.lr_scheduler.OneCycleLR(max_lr=1, total_steps=10), its rates in order.
        let expected = [
            0.04,
            0.52,
            1.0,
            0.950_484_632_013_473_7,
            0.811_745_653_949_763_1,
            0.611_262_021_936_289_3,
            0.388_741_978_063_710_75,
            0.188_258_346_050_236_97,
            0.049_519_367_986_526_29,
            4e-6,
        ];
        let schedule = Schedule::one_cycle(1.0, 10);
        for (step, expected) in (0..).zip(expected) {
            let actual = schedule.at(step);
            assert!((actual - expected).abs() < 1e-12, "step {step}: {actual}, not {expected}");
        }
        close(schedule.at(11), 4e-6);
    }
}

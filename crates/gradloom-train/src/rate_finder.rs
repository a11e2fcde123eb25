//! [`RateFinder`]: which learning rate to begin with, found by trying all of them in one short run.

use std::fmt::Write as _;

use gradloom_nn::{Context, Module, Optimizer};
use gradloom_tensor::Key;

use crate::evaluate::check_batches;
use crate::{Batches, Result, Task, Trainer, error};

/// A test of learning rates: from small to large, exponentially, one step each, on a copy of the model (Smith,
/// "Cyclical learning rates", 2015). It ends when the smoothed loss is four times the best. fastai: `lr_find`.
#[derive(Clone, Debug)]
pub struct RateFinder {
    low: f64,
    high: f64,
    steps: usize,
    smoothing: f64,
}

impl Default for RateFinder {
    /// From 1e-7 to 10 in 100 steps.
    fn default() -> Self {
        RateFinder { low: 1e-7, high: 10.0, steps: 100, smoothing: 0.98 }
    }
}

/// The smoothed loss at each learning rate.
#[derive(Clone, Debug, PartialEq)]
pub struct RateCurve {
    /// Learning rates, rising.
    pub rates: Vec<f64>,
    /// Smoothed losses, one for each rate.
    pub losses: Vec<f64>,
    /// What to begin with: a place in the middle of the longest fall. `None` if the loss never falls. fastai:
    /// `SuggestionMethod.Valley`, its own choice.
    pub suggestion: Option<f64>,
    /// Where the loss falls fastest, which is often larger than what is safe. fastai: `SuggestionMethod.Steep`.
    pub steepest: Option<f64>,
}

/// Losses at the end that are no part of the curve that is looked at.
const LAST: usize = 5;

/// The loss, as a multiple of the best, at which the test ends.
const WORST: f64 = 4.0;

impl RateFinder {
    /// Sets the range of rates.
    ///
    /// # Panics
    /// If it is empty, or does not begin above zero.
    #[must_use]
    #[track_caller]
    pub fn range(mut self, low: f64, high: f64) -> Self {
        assert!(0.0 < low && low < high, "rate finder: no rates between {low} and {high}");
        (self.low, self.high) = (low, high);
        self
    }

    /// Sets the number of steps.
    ///
    /// # Panics
    /// If there are fewer than two.
    #[must_use]
    #[track_caller]
    pub fn steps(mut self, steps: usize) -> Self {
        assert!(steps > 1, "rate finder: {steps} steps");
        self.steps = steps;
        self
    }

    /// Sets how much of the mean loss is kept at each step.
    #[must_use]
    pub fn smoothing(mut self, smoothing: f64) -> Self {
        self.smoothing = smoothing;
        self
    }

    /// Runs the test with the model, optimizer and task of a trainer, all of which are left as they are.
    ///
    /// # Errors
    /// If the training set has no batches, or the device fails.
    pub fn run<M, O, K, T>(&self, trainer: &Trainer<M, O, K>, train: &T) -> Result<RateCurve>
    where
        M: Module + Clone,
        O: Optimizer + Clone,
        T: Batches,
        K: Task<M, T::Batch>,
    {
        check_batches("training", train)?;
        let setting = trainer.setting()?;
        let (mut model, mut optimizer) = (trainer.model.clone(), trainer.optimizer.clone());
        let mut step = trainer.step.alike().check_loss(false);
        let mut ctx = Context::train(Key::new(0));
        let (mut rates, mut losses) = (Vec::new(), Vec::new());
        let (mut mean, mut best) = (0.0, f64::INFINITY);
        let mut epoch = 0;
        'test: loop {
            for batch in train.batches(epoch, 0) {
                let batch = batch?;
                let place = rates.len() as f64 / (self.steps - 1) as f64;
                let rate = self.low * (self.high / self.low).powf(place);
                optimizer.set_learning_rate(rate);
                let report = step.run(&mut model, &mut optimizer, &mut ctx, |model, ctx| {
                    trainer.task.run(model, &batch, ctx, &setting)
                })?;
                mean = self.smoothing * mean + (1.0 - self.smoothing) * report.loss;
                // Without this the first losses would look small.
                let smoothed = mean / (1.0 - self.smoothing.powi(rates.len() as i32 + 1));
                if !smoothed.is_finite() || smoothed > WORST * best {
                    break 'test;
                }
                best = best.min(smoothed);
                rates.push(rate);
                losses.push(smoothed);
                if rates.len() == self.steps {
                    break 'test;
                }
            }
            if rates.is_empty() {
                return Err(error::invalid("rate finder: the training set has no batches"));
            }
            epoch += 1;
        }
        // The first losses are of almost no step, the last of a model that is lost.
        let (first, last) = (self.steps / 10, losses.len().saturating_sub(LAST));
        let middle = losses.get(first..last).unwrap_or_default();
        let rate = |place: usize| rates[first + place];
        let [suggestion, steepest] =
            [valley(middle), steepest(middle)].map(|place| place.map(rate));
        Ok(RateCurve { rates, losses, suggestion, steepest })
    }
}

/// Where a curve begins its fastest fall to the next point, if it falls anywhere. Points are equally far apart, as
/// rates grow by the same factor.
fn steepest(losses: &[f64]) -> Option<usize> {
    let slopes = losses.windows(2).map(|pair| pair[1] - pair[0]).enumerate();
    let falls = slopes.filter(|(_, slope)| *slope < 0.0);
    falls.min_by(|(_, a), (_, b)| a.total_cmp(b)).map(|(place, _)| place)
}

/// A third and a half of one along the longest fall of a curve, which is its longest subsequence of ever smaller
/// losses, as fastai has it. `None` if nothing falls.
fn valley(losses: &[f64]) -> Option<usize> {
    let mut longest = vec![1usize; losses.len()];
    let (mut start, mut end) = (0usize, 0usize);
    for place in 1..losses.len() {
        for before in 0..place {
            if losses[place] < losses[before] && longest[place] < longest[before] + 1 {
                longest[place] = longest[before] + 1;
            }
            if longest[end] < longest[place] {
                end = place;
                start = end.saturating_sub(longest[end]);
            }
        }
    }
    let third = (end - start) as f64 / 3.0;
    (end > 0).then_some(start + third as usize + (third / 2.0) as usize)
}

impl RateCurve {
    /// A picture of the curve as SVG, with axes and the suggestion marked.
    pub fn to_svg(&self) -> String {
        const WIDTH: f64 = 640.0;
        const HEIGHT: f64 = 400.0;
        const MARGIN: f64 = 72.0;
        let ends = |values: &mut dyn Iterator<Item = f64>| {
            values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
                (low.min(value), high.max(value))
            })
        };
        let (first, last) = ends(&mut self.rates.iter().map(|rate| rate.log10()));
        let (low, high) = ends(&mut self.losses.iter().copied());
        let across = |rate: f64| {
            let share = (rate.log10() - first) / (last - first).max(1e-9);
            MARGIN + share * (WIDTH - 2.0 * MARGIN)
        };
        let up = |loss: f64| {
            HEIGHT - MARGIN - (loss - low) / (high - low).max(1e-9) * (HEIGHT - 2.0 * MARGIN)
        };
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
             font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" \
             fill=\"white\"/>\n"
        );
        let points = self.rates.iter().zip(&self.losses);
        let points: Vec<String> =
            points.map(|(&rate, &loss)| format!("{:.1},{:.1}", across(rate), up(loss))).collect();
        let (left, right, base) = (MARGIN, WIDTH - MARGIN, HEIGHT - MARGIN);
        // Writing to a string cannot fail.
        let _ = writeln!(
            svg,
            "<path d=\"M{left} {MARGIN}V{base}H{right}\" fill=\"none\" stroke=\"black\"/>\n\
             <polyline points=\"{}\" fill=\"none\" stroke=\"#1f77b4\" stroke-width=\"2\"/>\n\
             <text x=\"{}\" y=\"{}\" text-anchor=\"middle\">learning rate</text>\n\
             <text x=\"16\" y=\"{}\" transform=\"rotate(-90 16 {})\" text-anchor=\"middle\">\
             smoothed loss</text>",
            points.join(" "),
            WIDTH / 2.0,
            HEIGHT - 16.0,
            HEIGHT / 2.0,
            HEIGHT / 2.0
        );
        for power in (first.ceil() as i32)..=(last.floor() as i32) {
            let x = across(10f64.powi(power));
            let _ = writeln!(
                svg,
                "<path d=\"M{x:.1} {base}v5\" stroke=\"black\"/>\
                 <text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">1e{power}</text>",
                base + 18.0
            );
        }
        for loss in [low, (low + high) / 2.0, high] {
            let y = up(loss);
            let _ = writeln!(
                svg,
                "<path d=\"M{left} {y:.1}h-5\" stroke=\"black\"/>\
                 <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{loss:.3}</text>",
                left - 8.0,
                y + 4.0
            );
        }
        if let Some(rate) = self.suggestion {
            let x = across(rate);
            let _ = writeln!(
                svg,
                "<path d=\"M{x:.1} {MARGIN}V{base}\" stroke=\"#d62728\" stroke-dasharray=\"4 3\"/>\
                 <text x=\"{:.1}\" y=\"{}\" fill=\"#d62728\">{rate:.1e}</text>",
                x + 5.0,
                MARGIN + 12.0
            );
        }
        svg.push_str("</svg>\n");
        svg
    }
}

#[cfg(test)]
mod tests {
    use super::{RateCurve, steepest, valley};

    #[test]
    fn the_steepest_fall_is_found() {
        assert_eq!(steepest(&[5.0, 4.9, 4.0, 2.0, 1.9, 3.0]), Some(2));
        // fastai 2.8.12: valley(range(30), losses, 0), of a curve with a plain, a fall and a rise.
        let curve = |x: i32| match x {
            0..8 => 2.3 + 0.01 * f64::from(x % 3),
            8..20 => 2.3 - 0.15 * f64::from(x - 7) + 0.01 * f64::from(x % 2),
            _ => 0.6 + 0.4 * f64::from(x - 19),
        };
        assert_eq!(valley(&(0..30).map(curve).collect::<Vec<_>>()), Some(11));
        assert_eq!((valley(&[1.0, 2.0, 3.0]), valley(&[]), valley(&[1.0])), (None, None, None));
        assert_eq!(steepest(&[1.0, 2.0, 3.0]), None);
        assert_eq!(steepest(&[1.0]), None);
    }

    #[test]
    fn a_picture_has_axes_and_the_suggestion() {
        let curve = RateCurve {
            rates: vec![1e-3, 1e-2, 1e-1],
            losses: vec![2.0, 1.0, 3.0],
            suggestion: Some(1e-2),
            steepest: None,
        };
        let svg = curve.to_svg();
        for part in ["<svg", "learning rate", "smoothed loss", "1e-3", "1.0e-2", "</svg>"] {
            assert!(svg.contains(part), "{part} in {svg}");
        }
    }
}

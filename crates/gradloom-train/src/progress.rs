//! [`Reporter`]: what a run says while it goes on: a bar in a terminal, plain lines elsewhere.

use std::time::Duration;

use crate::bar::Bar;
use crate::clock::Clock;

/// How a run shows its progress, on the standard error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Progress {
    /// A bar in a terminal, else lines.
    #[default]
    Auto,
    /// Lines: one for each epoch, and one every ten seconds.
    Lines,
    /// Nothing.
    Silent,
}

/// Between two messages.
const BAR_INTERVAL: Duration = Duration::from_millis(100);
const LINE_INTERVAL: Duration = Duration::from_secs(10);

/// Shows loss, metrics, samples per second and the time left.
///
/// ```
/// use gradloom_train::{Progress, Reporter};
///
/// let mut reporter = Reporter::new(Progress::Silent, Some(100));
/// for step in 1..=100 {
///     reporter.step(step, 64, || format!("loss {:.4}", 1.0 / step as f64));
/// }
/// reporter.line("epoch 1/1  loss 0.0100");
/// ```
#[derive(Debug)]
pub struct Reporter {
    shows: bool,
    total: Option<u64>,
    bar: Option<Bar>,
    start: Clock,
    /// The step before the first one here.
    first: Option<u64>,
    shown: Clock,
    samples: u64,
    /// Time of learning before the last pause, and since then.
    learning: Duration,
    since: Clock,
}

impl Reporter {
    /// Of a run of so many steps, if that is known.
    pub fn new(progress: Progress, total: Option<u64>) -> Self {
        let now = Clock::start();
        Reporter {
            shows: progress != Progress::Silent,
            total,
            bar: if progress == Progress::Auto { Bar::new(total) } else { None },
            start: now,
            first: None,
            shown: now,
            samples: 0,
            learning: Duration::ZERO,
            since: now,
        }
    }

    /// Learning goes on: what was between, such as validation, does not count for samples per second.
    pub fn resume(&mut self) {
        self.since = Clock::start();
    }

    /// Learning pauses.
    pub fn pause(&mut self) {
        self.learning += self.since.elapsed();
        self.since = Clock::start();
    }

    /// A step was done on so many samples. `message` is only asked for if it is shown.
    pub fn step(&mut self, step: u64, samples: usize, message: impl FnOnce() -> String) {
        self.samples += samples as u64;
        let first = *self.first.get_or_insert(step.saturating_sub(1));
        if !self.shows {
            return;
        }
        let interval = if self.bar.is_some() { BAR_INTERVAL } else { LINE_INTERVAL };
        if self.shown.elapsed() < interval {
            return;
        }
        self.shown = Clock::start();
        let message = format!("{}  {:.0} samples/s", message(), self.samples_per_s());
        if let Some(bar) = &self.bar {
            bar.show(step, message);
            return;
        }
        let left = self.total.map(|total| {
            let each =
                self.start.elapsed().as_secs_f64() / step.saturating_sub(first).max(1) as f64;
            format!("  {} left", time(each * total.saturating_sub(step) as f64))
        });
        let of = self.total.map(|total| format!("/{total}")).unwrap_or_default();
        eprintln!("step {step}{of}  {message}{}", left.unwrap_or_default());
    }

    /// A line that stays.
    pub fn line(&self, text: &str) {
        match &self.bar {
            _ if !self.shows => {}
            Some(bar) => bar.line(text),
            None => eprintln!("{text}"),
        }
    }

    /// Samples per second of learning.
    pub fn samples_per_s(&self) -> f64 {
        self.samples as f64 / (self.learning + self.since.elapsed()).as_secs_f64().max(1e-9)
    }

    /// Ends the bar.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish();
        }
    }
}

/// Figures as `loss 0.1234  accuracy 0.9500`.
pub(crate) fn figures(scalars: &[(String, f64)]) -> String {
    let figure = |(name, value): &(String, f64)| match value.abs() {
        size if size != 0.0 && !(1e-3..1e5).contains(&size) => format!("{name} {value:.3e}"),
        _ => format!("{name} {value:.4}"),
    };
    scalars.iter().map(figure).collect::<Vec<_>>().join("  ")
}

/// `1 h 02 min`, `3 min 20 s` or `12.3 s`.
pub(crate) fn time(seconds: f64) -> String {
    let whole = seconds as u64;
    match whole {
        0..60 => format!("{seconds:.1} s"),
        60..3600 => format!("{} min {:02} s", whole / 60, whole % 60),
        _ => format!("{} h {:02} min", whole / 3600, whole / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::{figures, time};

    #[test]
    fn figures_and_times_are_short() {
        let scalars = [("loss".into(), 0.123_456), ("learning_rate".into(), 3e-5)];
        assert_eq!(figures(&scalars), "loss 0.1235  learning_rate 3.000e-5");
        assert_eq!(
            [3.25, 200.0, 3725.0].map(time),
            ["3.2 s", "3 min 20 s", "1 h 02 min"].map(String::from)
        );
    }
}

//! [`Reporter`]: what a run says while it goes on: a bar in a terminal, plain lines elsewhere.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

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

/// Between two looks at the clock's other hand.
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
    #[cfg(feature = "progress")]
    bar: Option<indicatif::ProgressBar>,
    start: Instant,
    first: Option<u64>,
    last: Instant,
    samples: u64,
    learning: Duration,
    since: Instant,
}

impl Reporter {
    /// Of a run of so many steps, if that is known.
    pub fn new(progress: Progress, total: Option<u64>) -> Self {
        let now = Instant::now();
        Reporter {
            shows: progress != Progress::Silent,
            total,
            #[cfg(feature = "progress")]
            bar: (progress == Progress::Auto && std::io::stderr().is_terminal())
                .then(|| bar(total)),
            start: now,
            first: None,
            last: now,
            samples: 0,
            learning: Duration::ZERO,
            since: now,
        }
    }

    /// Learning goes on: what was between, such as validation, does not count for samples per second.
    pub fn resume(&mut self) {
        self.since = Instant::now();
    }

    /// Learning pauses.
    pub fn pause(&mut self) {
        self.learning += self.since.elapsed();
        self.since = Instant::now();
    }

    /// A step was done on so many samples. `message` is only asked for if it is shown.
    pub fn step(&mut self, step: u64, samples: usize, message: impl FnOnce() -> String) {
        self.samples += samples as u64;
        let first = *self.first.get_or_insert(step.saturating_sub(1));
        if !self.shows {
            return;
        }
        let interval = if self.has_bar() { BAR_INTERVAL } else { LINE_INTERVAL };
        let done = self.total.is_some_and(|total| step == total);
        if self.last.elapsed() < interval && !(done && self.has_bar()) {
            return;
        }
        self.last = Instant::now();
        let message = format!("{}  {:.0} samples/s", message(), self.samples_per_s());
        #[cfg(feature = "progress")]
        if let Some(bar) = &self.bar {
            bar.set_position(step);
            bar.set_message(message);
            return;
        }
        let left = self.total.map(|total| {
            let each = self.start.elapsed().as_secs_f64() / (step - first).max(1) as f64;
            format!("  {} left", time(each * total.saturating_sub(step) as f64))
        });
        let of = self.total.map(|total| format!("/{total}")).unwrap_or_default();
        eprintln!("step {step}{of}  {message}{}", left.unwrap_or_default());
    }

    /// A line that stays.
    pub fn line(&self, text: &str) {
        if !self.shows {
            return;
        }
        #[cfg(feature = "progress")]
        if let Some(bar) = &self.bar {
            bar.println(text);
            return;
        }
        eprintln!("{text}");
    }

    /// Samples per second of learning.
    pub fn samples_per_s(&self) -> f64 {
        self.samples as f64 / (self.learning + self.since.elapsed()).as_secs_f64().max(1e-9)
    }

    /// Ends the bar.
    pub fn finish(&self) {
        #[cfg(feature = "progress")]
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    #[cfg(feature = "progress")]
    fn has_bar(&self) -> bool {
        self.bar.is_some()
    }

    #[cfg(not(feature = "progress"))]
    fn has_bar(&self) -> bool {
        false
    }
}

#[cfg(feature = "progress")]
fn bar(total: Option<u64>) -> indicatif::ProgressBar {
    use indicatif::{ProgressBar, ProgressStyle};
    let (bar, template) = match total {
        Some(total) => {
            (ProgressBar::new(total), "{elapsed_precise} [{bar:30}] {pos}/{len}  {msg}  {eta} left")
        }
        None => (ProgressBar::new_spinner(), "{elapsed_precise} {pos}  {msg}"),
    };
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
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

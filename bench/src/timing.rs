//! Timing: repeated samples, their median, and the figures they become.

use std::time::Instant;

/// Any failure, for `?`.
pub(crate) type Failure = Box<dyn std::error::Error>;

/// The samples of one figure.
#[derive(Clone, Debug)]
pub(crate) struct Figure {
    /// What is measured, `value` unless a case has several.
    pub(crate) metric: &'static str,
    /// Unit of the samples.
    pub(crate) unit: &'static str,
    /// One value per repeat.
    pub(crate) samples: Vec<f64>,
    /// Anything a reader should know.
    pub(crate) note: String,
}

impl Figure {
    pub(crate) fn new(unit: &'static str, samples: Vec<f64>) -> Figure {
        Figure { metric: "value", unit, samples, note: String::new() }
    }

    pub(crate) fn note(self, note: impl Into<String>) -> Figure {
        Figure { note: note.into(), ..self }
    }

    /// The middle sample.
    pub(crate) fn median(&self) -> f64 {
        let mut sorted = self.samples.clone();
        sorted.sort_by(f64::total_cmp);
        match sorted.len() {
            0 => f64::NAN,
            n if n % 2 == 1 => sorted[n / 2],
            n => (sorted[n / 2 - 1] + sorted[n / 2]) / 2.0,
        }
    }

    /// One line of JSON, as the peers print it.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "metric": self.metric,
            "value": self.median(),
            "unit": self.unit,
            "samples": self.samples,
            "note": self.note,
        })
    }
}

/// Work per second of `call`, once for each of `repeats` repeats of about `seconds`.
pub(crate) fn rates(
    work_per_call: f64,
    repeats: usize,
    seconds: f64,
    mut call: impl FnMut() -> Result<(), Failure>,
) -> Result<Vec<f64>, Failure> {
    let start = Instant::now();
    let mut count = 0;
    while count < 2 || start.elapsed().as_secs_f64() < seconds {
        call()?;
        count += 1;
    }
    let each = start.elapsed().as_secs_f64() / f64::from(count);
    let calls = ((seconds / each).round() as usize).max(1);
    let mut samples = Vec::with_capacity(repeats);
    for _ in 0..repeats {
        let start = Instant::now();
        for _ in 0..calls {
            call()?;
        }
        samples.push(work_per_call * calls as f64 / start.elapsed().as_secs_f64());
    }
    Ok(samples)
}

/// Work per second over `steps` calls of `step(i)`, after five to warm up, `repeats` times.
pub(crate) fn step_rates(
    work_per_step: f64,
    steps: usize,
    repeats: usize,
    mut step: impl FnMut(usize) -> Result<(), Failure>,
) -> Result<Vec<f64>, Failure> {
    for index in 0..5 {
        step(index)?;
    }
    let mut samples = Vec::with_capacity(repeats);
    for _ in 0..repeats {
        let start = Instant::now();
        for index in 0..steps {
            step(index)?;
        }
        samples.push(work_per_step * steps as f64 / start.elapsed().as_secs_f64());
    }
    Ok(samples)
}

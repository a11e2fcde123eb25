//! The page that a training run leaves: curves of training and validation, settings, versions.

use std::sync::{Arc, Mutex, PoisonError};

use gradloom::prelude::*;
use gradloom::track::{Curve, Report};
use gradloom::train::{Callback, History, Run};

use crate::Failure;
use crate::options::Options;

/// The loss of every step.
#[derive(Clone, Debug, Default)]
pub struct StepLosses(Arc<Mutex<Vec<f64>>>);

impl StepLosses {
    /// Each of them, and their running mean.
    pub fn curve(&self) -> Curve {
        let losses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let each = |(step, loss): (usize, &f64)| ((step + 1) as f64, *loss);
        let mut mean = losses.first().copied().unwrap_or(0.0);
        let means = losses.iter().enumerate().map(|(step, loss)| {
            mean += 0.05 * (loss - mean);
            ((step + 1) as f64, mean)
        });
        Curve {
            title: "loss of steps".into(),
            x: "step".into(),
            y: "loss".into(),
            lines: vec![
                ("each step".into(), losses.iter().enumerate().map(each).collect()),
                ("running mean".into(), means.collect()),
            ],
        }
    }
}

impl<M> Callback<M> for StepLosses {
    fn name(&self) -> String {
        "step losses".into()
    }

    fn on_batch_end(&mut self, run: &mut Run<M>) -> Result<()> {
        let loss = run.scalars.iter().find(|(name, _)| name == "loss");
        let mut losses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        losses.extend(loss.map(|(_, loss)| *loss));
        Ok(())
    }
}

/// A page with what every run says.
pub fn page(options: &Options, history: &History, steps: &StepLosses, device: &Device) -> Report {
    let mut curves = history.charts();
    curves.push(steps.curve());
    let text = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    Report {
        title: options.name.clone(),
        curves,
        settings: [
            ("epochs".into(), options.epochs.into()),
            ("batch size".into(), options.batch_size.into()),
            ("seed".into(), options.seed.into()),
            ("tiny".into(), options.tiny.into()),
        ]
        .into(),
        versions: vec![
            text("gradloom", env!("CARGO_PKG_VERSION")),
            text("device", &device.name()),
            text("system", &format!("{} {}", std::env::consts::OS, std::env::consts::ARCH)),
        ],
        ..Report::default()
    }
}

/// Writes the weights and the page, and says so.
///
/// # Errors
/// If they cannot be written.
pub fn save(options: &Options, model: &impl Module, page: &Report) -> Result<(), Failure> {
    let weights_file = options.out.join("model.safetensors");
    model.save(&weights_file)?;
    let page_file = options.out.join("report.html");
    page.save(&page_file)?;
    println!("wrote {} and {}", weights_file.display(), page_file.display());
    Ok(())
}

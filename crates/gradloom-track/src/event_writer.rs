//! [`EventWriter`]: a run for TensorBoard.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, ErrorKind as Io, Write};
use std::path::{Path, PathBuf};

use crate::clock::seconds;
use crate::event::{Content, Event, Histogram, Value, encode, framed};
use crate::{Error, Picture, Result, Settings, Summary, Tracker, hyper_parameters, model_graph};

/// Writes a run's events into a file of its folder, which `tensorboard --logdir` of the folder above shows.
/// Each run has a folder of its own; a run that is resumed may go on in the same folder, with a new writer.
///
/// ```
/// use gradloom_track::{EventWriter, Tracker};
///
/// # fn main() -> gradloom_track::Result<()> {
/// # let runs = tempfile::tempdir()?;
/// # let runs = runs.path();
/// let mut writer = EventWriter::new(runs.join("first"))?;
/// writer.hyper_parameters(&[("learning_rate".to_owned(), 1e-3.into())].into(), &["loss/valid"])?;
/// for step in 0..3 {
///     writer.scalar("loss/valid", step, 1.0 / (step + 1) as f64)?;
/// }
/// writer.finish(true)?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct EventWriter {
    file: BufWriter<File>,
    path: PathBuf,
    settings: bool,
}

impl EventWriter {
    /// Makes the folder, if it is not there, and a new file in it.
    ///
    /// # Errors
    /// If they cannot be made.
    pub fn new(folder: impl AsRef<Path>) -> Result<Self> {
        let folder = folder.as_ref();
        let failed = |error: std::io::Error| {
            Error::from(error).context(format!("event writer: {}", folder.display()))
        };
        std::fs::create_dir_all(folder).map_err(failed)?;
        let (time, process) = (seconds(), std::process::id());
        let mut number = 0_u32;
        let (file, path) = loop {
            let name = format!(
                "events.out.tfevents.{:010}.{}.{process}.{number}",
                time as u64,
                host_name()
            );
            let path = folder.join(name);
            match OpenOptions::new().write(true).create_new(true).open(&path) {
                Ok(file) => break (file, path),
                Err(error) if error.kind() == Io::AlreadyExists => number += 1,
                Err(error) => return Err(failed(error)),
            }
        };
        let mut writer = EventWriter { file: BufWriter::new(file), path, settings: false };
        let version = Content::FileVersion("brain.Event:2".to_owned());
        writer.put(&Event { wall_time: time, step: 0, content: version })?;
        writer.flush()?;
        Ok(writer)
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn put(&mut self, event: &Event) -> Result<()> {
        let written = self.file.write_all(&framed(&encode(event)));
        written.map_err(|error| self.failed(error))
    }

    fn summary(&mut self, step: u64, values: Vec<(String, Value)>) -> Result<()> {
        let step = i64::try_from(step)
            .map_err(|_| Error::invalid(format!("event writer: step {step} is beyond 63 bits")))?;
        self.put(&Event { wall_time: seconds(), step, content: Content::Summary(values) })
    }

    fn failed(&self, error: std::io::Error) -> Error {
        Error::from(error).context(format!("event writer: {}", self.path.display()))
    }
}

/// As the system tells it; the name is for people only.
fn host_name() -> String {
    let told = std::env::var("HOSTNAME")
        .or_else(|_| std::env::var("COMPUTERNAME"))
        .or_else(|_| std::fs::read_to_string("/proc/sys/kernel/hostname"));
    let told = told.unwrap_or_default();
    let name: String =
        told.trim().chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
    if name.is_empty() { "localhost".to_owned() } else { name }
}

impl Tracker for EventWriter {
    fn scalar(&mut self, tag: &str, step: u64, value: f64) -> Result<()> {
        self.summary(step, vec![(tag.to_owned(), Value::Scalar(value as f32))])
    }

    fn histogram(&mut self, tag: &str, step: u64, values: &[f32]) -> Result<()> {
        match Histogram::of(values) {
            Some(histogram) => {
                self.summary(step, vec![(tag.to_owned(), Value::Histogram(histogram))])
            }
            None => Ok(()),
        }
    }

    fn image(&mut self, tag: &str, step: u64, picture: &Picture) -> Result<()> {
        let image = Value::Image {
            width: picture.width(),
            height: picture.height(),
            channels: picture.channels(),
            png: picture.png()?,
        };
        self.summary(step, vec![(tag.to_owned(), image)])
    }

    /// TensorBoard reads it as Markdown, so indent by four spaces what must keep its lines.
    fn text(&mut self, tag: &str, step: u64, text: &str) -> Result<()> {
        self.summary(step, vec![(format!("{tag}/text_summary"), Value::Text(text.to_owned()))])
    }

    /// Shown on the page of graphs. PyTorch: `SummaryWriter.add_graph`.
    fn graph(&mut self, summary: &Summary) -> Result<()> {
        let content = Content::Graph(model_graph::encoded(summary));
        self.put(&Event { wall_time: seconds(), step: 0, content })?;
        self.flush()
    }

    fn hyper_parameters(&mut self, settings: &Settings, figures: &[&str]) -> Result<()> {
        self.settings = true;
        for value in hyper_parameters::start(settings, figures, seconds()) {
            self.summary(0, vec![value])?;
        }
        self.flush()
    }

    fn flush(&mut self) -> Result<()> {
        self.file.flush().map_err(|error| self.failed(error))
    }

    fn finish(&mut self, success: bool) -> Result<()> {
        if self.settings {
            for value in hyper_parameters::end(success, seconds()) {
                self.summary(0, vec![value])?;
            }
        }
        self.flush()
    }
}

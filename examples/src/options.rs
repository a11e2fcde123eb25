//! The command line of the training examples.

use std::path::PathBuf;

use gradloom::prelude::*;

use crate::Failure;

/// What can be chosen.
#[derive(Clone, Debug)]
pub struct Options {
    /// Passes over the data.
    pub epochs: u32,
    /// Seed of everything random.
    pub seed: u64,
    /// Samples per step.
    pub batch_size: usize,
    /// Folder for weights and picture.
    pub out: PathBuf,
    /// Folder with the data, where data is not embedded.
    pub data: PathBuf,
    /// Device by name; without it `GRADLOOM_DEVICE` or the best one.
    pub device: Option<String>,
    /// A few steps on a few samples, to show that everything works.
    pub tiny: bool,
    /// The example's own options that were given.
    pub flags: Vec<String>,
}

impl Options {
    /// Reads the command line; `GRADLOOM_TINY=1` is the same as `--tiny`.
    ///
    /// # Errors
    /// If an option is unknown or its value does not fit.
    pub fn read(example: &str, epochs: u32, data: &str) -> Result<Options, Failure> {
        Options::read_with(example, epochs, data, &[])
    }

    /// As [`read`](Options::read), for an example with options of its own, which have no values.
    ///
    /// # Errors
    /// If an option is unknown or its value does not fit.
    pub fn read_with(
        example: &str,
        epochs: u32,
        data: &str,
        own: &[&str],
    ) -> Result<Options, Failure> {
        let mut options = Options {
            epochs,
            seed: 0,
            batch_size: 64,
            out: PathBuf::from("out").join(example),
            data: PathBuf::from(data),
            device: None,
            tiny: std::env::var_os("GRADLOOM_TINY").is_some_and(|value| value == "1"),
            flags: Vec::new(),
        };
        let mut words = std::env::args().skip(1);
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or(format!("{word}: a value is missing"));
            match word.as_str() {
                "--epochs" => options.epochs = number(&word, &value()?)?,
                "--seed" => options.seed = number(&word, &value()?)?,
                "--batch-size" => options.batch_size = number(&word, &value()?)?,
                "--out" => options.out = value()?.into(),
                "--data" => options.data = value()?.into(),
                "--device" => options.device = Some(value()?),
                "--tiny" => options.tiny = true,
                other if own.contains(&other) => options.flags.push(word),
                _ => {
                    let own: String = own.iter().map(|flag| format!(", {flag}")).collect();
                    return Err(format!(
                        "{word}: unknown option; there are --epochs N, --seed N, --batch-size N, \
                         --out FOLDER, --data FOLDER, --device NAME, --tiny{own}"
                    )
                    .into());
                }
            }
        }
        if options.epochs == 0 || options.batch_size == 0 {
            return Err("--epochs and --batch-size must be at least 1".into());
        }
        Ok(options)
    }

    /// True if an option of the example's own was given.
    pub fn flag(&self, name: &str) -> bool {
        self.flags.iter().any(|flag| flag == name)
    }

    /// The device that was asked for.
    ///
    /// # Errors
    /// If there is no such device.
    pub fn device(&self) -> Result<Device, Failure> {
        Ok(match &self.device {
            Some(name) => Device::named(name)?,
            None => Device::best()?,
        })
    }
}

fn number<T: std::str::FromStr>(option: &str, text: &str) -> Result<T, Failure> {
    text.parse().map_err(|_| format!("{option}: {text:?} is not a whole number that fits").into())
}

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

/// What an example says of itself.
#[derive(Clone, Copy, Debug)]
pub struct Program<'a> {
    /// Its name, and the folder below `out` for what it writes.
    pub name: &'a str,
    /// Its source, whose first lines `--help` prints.
    pub source: &'a str,
    /// Passes over the data, if nobody says otherwise.
    pub epochs: u32,
    /// Folder with the data, where data is not embedded.
    pub data: &'a str,
    /// Options of its own, which have no values, and what they do.
    pub own: &'a [(&'a str, &'a str)],
}

impl Options {
    /// Reads the command line; `GRADLOOM_TINY=1` is the same as `--tiny`. `--help` prints what there is and
    /// ends the program.
    ///
    /// # Errors
    /// If an option is unknown or its value does not fit.
    pub fn read(program: &Program<'_>) -> Result<Options, Failure> {
        let mut options = Options {
            epochs: program.epochs,
            seed: 0,
            batch_size: 64,
            out: PathBuf::from("out").join(program.name),
            data: PathBuf::from(program.data),
            device: None,
            tiny: wants_tiny(),
            flags: Vec::new(),
        };
        let mut words = words();
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
                "--help" | "-h" => help(program.source, &program.usage()),
                other if program.own.iter().any(|(own, _)| *own == other) => {
                    options.flags.push(word);
                }
                _ => return Err(unknown(&word)),
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

impl Program<'_> {
    fn usage(&self) -> String {
        let Program { name, epochs, data, own, .. } = self;
        let mut usage = format!(
            "  --epochs N       passes over the data ({epochs})
  --batch-size N   samples of a step (64)
  --seed N         seed of everything random (0)
  --device NAME    cpu, gpu, a backend or a part of an adapter's name; else the best there is
  --out FOLDER     for what is written (out/{name})
  --tiny           a few steps, to see that everything works
"
        );
        if !data.is_empty() {
            usage += &format!("  --data FOLDER    where the data is ({data})\n");
        }
        for (flag, does) in *own {
            usage += &format!("  {flag:<16} {does}\n");
        }
        usage
    }
}

/// The device and whether a few steps are enough, for an example that has nothing else to choose.
///
/// # Errors
/// If an option is unknown or there is no such device.
pub fn device_and_tiny(source: &str) -> Result<(Device, bool), Failure> {
    let (mut device, mut tiny) = (None, wants_tiny());
    let mut words = words();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--device" => {
                let name = words.next().ok_or("--device: a value is missing")?;
                device = Some(Device::named(&name)?);
            }
            "--tiny" => tiny = true,
            "--help" | "-h" => help(
                source,
                "  --device NAME    cpu, gpu, a backend or a part of an adapter's name; else the best there is
  --tiny           a few steps, to see that everything works
",
            ),
            _ => return Err(unknown(&word)),
        }
    }
    Ok((device.map_or_else(Device::best, Ok)?, tiny))
}

/// For an example that has nothing to choose.
///
/// # Errors
/// If anything but `--help` is asked for.
pub fn only_help(source: &str) -> Result<(), Failure> {
    match words().next() {
        None => Ok(()),
        Some(word) if word == "--help" || word == "-h" => help(source, ""),
        Some(word) => Err(unknown(&word)),
    }
}

/// The words of the command line, `--name=value` as two.
pub fn words() -> impl Iterator<Item = String> {
    std::env::args().skip(1).flat_map(|word| match word.split_once('=') {
        Some((name, value)) if name.starts_with("--") => vec![name.to_owned(), value.to_owned()],
        _ => vec![word],
    })
}

/// True if the environment asks for a few steps.
pub fn wants_tiny() -> bool {
    std::env::var_os("GRADLOOM_TINY").is_some_and(|value| value == "1")
}

/// Prints what an example's first lines say of it, and its options, and ends the program.
pub fn help(source: &str, options: &str) -> ! {
    let about = source.lines().take_while(|line| line.starts_with("//!"));
    for line in about.map(|line| line.trim_start_matches("//!").trim_start_matches(' ')) {
        println!("{line}");
    }
    println!("\noptions, as `--name value` or `--name=value`:\n{options}  --help           this");
    std::process::exit(0);
}

fn unknown(word: &str) -> Failure {
    format!("{word}: unknown option; `--help` lists those that there are").into()
}

fn number<T: std::str::FromStr>(option: &str, text: &str) -> Result<T, Failure> {
    text.parse().map_err(|_| format!("{option}: {text:?} is not a whole number that fits").into())
}

//! The command line of the examples.

use std::collections::BTreeMap;
use std::path::PathBuf;

use gradloom::prelude::*;

use crate::Failure;

/// An option as `--help` shows it, `--name VALUE` or `--name`, and what it does.
pub type Known<'a> = (&'a str, &'a str);

/// Where it runs.
pub const DEVICE: Known =
    ("--device NAME", "cpu, gpu, a backend or a part of an adapter's name; else the best there is");
/// A few steps on a few samples.
pub const TINY: Known = ("--tiny", "a few steps, to see that everything works");

/// What was given on the command line.
#[derive(Clone, Debug, Default)]
pub struct Arguments(BTreeMap<String, String>);

impl Arguments {
    /// Reads the command line. `--help` prints the first lines of the example's source and its options, and
    /// ends the program.
    ///
    /// # Errors
    /// If an option is unknown, or lacks its value.
    pub fn read(source: &str, known: &[Known]) -> Result<Self, Failure> {
        match Arguments::of(std::env::args().skip(1), known)? {
            Some(arguments) => Ok(arguments),
            None => {
                print!("{}", help(source, known));
                std::process::exit(0);
            }
        }
    }

    /// `None` if help is asked for.
    fn of(words: impl Iterator<Item = String>, known: &[Known]) -> Result<Option<Self>, Failure> {
        let mut given = BTreeMap::new();
        let mut words = words.peekable();
        while let Some(word) = words.next() {
            if word == "--help" || word == "-h" {
                return Ok(None);
            }
            let (name, value) = match word.split_once('=') {
                Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
                None => (word, None),
            };
            let same = |known: &&Known| known.0.split(' ').next() == Some(name.as_str());
            let Some((shown, _)) = known.iter().find(same) else {
                return Err(
                    format!("{name}: unknown option; `--help` lists those that there are").into()
                );
            };
            let value = match (shown.contains(' '), value) {
                (true, Some(value)) => value,
                (true, None) => words
                    .next_if(|next| !next.starts_with("--"))
                    .ok_or_else(|| format!("{name}: a value is missing, as in `{shown}`"))?,
                (false, None) => String::new(),
                (false, Some(_)) => return Err(format!("{name}: it takes no value").into()),
            };
            given.insert(name, value);
        }
        Ok(Some(Arguments(given)))
    }

    /// True if the option was given.
    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// The value of an option that was given.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The number that was given, or else this one.
    ///
    /// # Errors
    /// If it is no number of this kind.
    pub fn number<T: std::str::FromStr>(&self, name: &str, otherwise: T) -> Result<T, Failure> {
        let Some(text) = self.text(name) else { return Ok(otherwise) };
        let kind = if text.parse::<f64>().is_ok() { "does not fit" } else { "is no number" };
        text.parse().map_err(|_| format!("{name}: {text:?} {kind}").into())
    }

    /// The device that was asked for; without it `GRADLOOM_DEVICE` or the best one.
    ///
    /// # Errors
    /// If there is no such device.
    pub fn device(&self) -> Result<Device, Failure> {
        Ok(self.text("--device").map_or_else(Device::best, Device::named)?)
    }

    /// True if a few steps are enough: `--tiny` was given, or the environment has `GRADLOOM_TINY=1`.
    pub fn tiny(&self) -> bool {
        self.has("--tiny") || std::env::var_os("GRADLOOM_TINY").is_some_and(|value| value == "1")
    }
}

fn help(source: &str, known: &[Known]) -> String {
    let about = source.lines().take_while(|line| line.starts_with("//!"));
    let about = about.map(|line| line.trim_start_matches("//!").trim_start_matches(' '));
    let options = known.iter().chain(&[("--help", "this")]);
    let width = options.clone().map(|(shown, _)| shown.len()).max().unwrap_or(0);
    about
        .map(|line| format!("{line}\n"))
        .chain(["\noptions, as `--name value` or `--name=value`:\n".to_owned()])
        .chain(options.map(|(shown, does)| format!("  {shown:<width$}  {does}\n")))
        .collect()
}

/// The device and whether a few steps are enough, for an example that has nothing else to choose.
///
/// # Errors
/// If an option is unknown or there is no such device.
pub fn device_and_tiny(source: &str) -> Result<(Device, bool), Failure> {
    let arguments = Arguments::read(source, &[DEVICE, TINY])?;
    Ok((arguments.device()?, arguments.tiny()))
}

/// What a training example says of itself.
#[derive(Clone, Copy, Debug)]
pub struct Program<'a> {
    /// Its name, and the folder below `out` for what it writes.
    pub name: &'a str,
    /// Its source, whose first lines `--help` prints.
    pub source: &'a str,
    /// How many epochs, if nobody says otherwise.
    pub epochs: u32,
    /// What they are: passes over the data.
    pub epoch: &'a str,
    /// Samples of a step, if nobody says otherwise.
    pub batch_size: usize,
    /// Folder with the data, where data is not embedded.
    pub data: &'a str,
    /// Options of its own.
    pub own: &'a [Known<'a>],
}

/// What can be chosen of a training run.
#[derive(Clone, Debug)]
pub struct Options {
    /// The example's name.
    pub name: String,
    /// Passes over the data.
    pub epochs: u32,
    /// Seed of everything random.
    pub seed: u64,
    /// Samples of a step.
    pub batch_size: usize,
    /// Folder for what the run leaves.
    pub out: PathBuf,
    /// Folder with the data, where data is not embedded.
    pub data: PathBuf,
    /// A few steps on a few samples, to show that everything works.
    pub tiny: bool,
    /// All that was given.
    pub arguments: Arguments,
}

impl Options {
    /// Reads the command line of a training example, as [`Arguments::read`].
    ///
    /// # Errors
    /// If an option is unknown or its value does not fit.
    pub fn read(program: &Program<'_>) -> Result<Options, Failure> {
        let Program { name, source, epochs, epoch, batch_size, data, own } = *program;
        let texts = [
            format!("{epoch} ({epochs})"),
            format!("samples of a step ({batch_size})"),
            format!("for what is written (out/{name})"),
            format!("where the data is ({data})"),
        ];
        let mut known = vec![
            ("--epochs N", texts[0].as_str()),
            ("--batch-size N", texts[1].as_str()),
            ("--seed N", "seed of everything random (0)"),
            DEVICE,
            ("--out FOLDER", texts[2].as_str()),
            TINY,
        ];
        if !data.is_empty() {
            known.push(("--data FOLDER", texts[3].as_str()));
        }
        known.extend(own);
        let arguments = Arguments::read(source, &known)?;
        let options = Options {
            name: name.to_owned(),
            epochs: arguments.number("--epochs", epochs)?,
            seed: arguments.number("--seed", 0)?,
            batch_size: arguments.number("--batch-size", batch_size)?,
            out: arguments
                .text("--out")
                .map_or_else(|| PathBuf::from("out").join(name), PathBuf::from),
            data: arguments.text("--data").unwrap_or(data).into(),
            tiny: arguments.tiny(),
            arguments,
        };
        if options.epochs == 0 || options.batch_size == 0 {
            return Err("--epochs and --batch-size must be at least 1".into());
        }
        // Found out before the training, not after it.
        std::fs::create_dir_all(&options.out)
            .map_err(|error| format!("--out {}: {error}", options.out.display()))?;
        Ok(options)
    }

    /// Samples of a step, all of them at most.
    pub fn batch_size_of(&self, samples: usize) -> usize {
        if self.batch_size > samples && !self.tiny {
            eprintln!(
                "--batch-size {}: there are {samples} samples, so a step takes them all",
                self.batch_size
            );
        }
        self.batch_size.min(samples)
    }
}

#[cfg(test)]
mod tests {
    use super::{Arguments, DEVICE, Known, TINY, help};

    const KNOWN: [Known; 3] = [("--epochs N", "passes"), DEVICE, TINY];

    fn read(words: &[&str]) -> Result<Option<Arguments>, String> {
        let words = words.iter().map(|word| (*word).to_owned());
        Arguments::of(words, &KNOWN).map_err(|failure| format!("{failure:?}"))
    }

    #[test]
    fn values_come_after_a_space_or_a_sign_and_the_last_one_counts() {
        for words in [&["--epochs", "7", "--tiny"][..], &["--tiny", "--epochs=3", "--epochs=7"]] {
            let arguments = read(words).unwrap().unwrap();
            assert_eq!(arguments.number("--epochs", 1).unwrap_or(0), 7);
            assert!(arguments.tiny() && arguments.text("--device").is_none());
        }
        let minus = read(&["--epochs", "-7"]).unwrap().unwrap();
        assert_eq!(
            format!("{:?}", minus.number("--epochs", 1u32).err().unwrap()),
            "--epochs: \"-7\" does not fit"
        );
        assert!(minus.number("--epochs", 1.5).is_ok_and(|number| number == -7.0));
    }

    #[test]
    fn what_is_not_known_or_has_no_value_is_refused() {
        let refused = |words: &[&str]| read(words).err().unwrap();
        assert!(refused(&["--epoch", "7"]).starts_with("--epoch: unknown option"));
        assert!(refused(&["7"]).starts_with("7: unknown option"));
        assert_eq!(refused(&["--epochs"]), "--epochs: a value is missing, as in `--epochs N`");
        assert!(refused(&["--epochs", "--tiny"]).contains("a value is missing"));
        assert_eq!(refused(&["--tiny=1"]), "--tiny: it takes no value");
    }

    #[test]
    fn help_says_what_the_example_does_and_what_there_is() {
        assert!(read(&["--tiny", "-h"]).unwrap().is_none());
        let text = help("//! Does it.\n//!\n//! In 3 s.\nfn main() {}\n", &KNOWN);
        assert!(text.starts_with("Does it.\n\nIn 3 s.\n\noptions"), "{text}");
        assert!(text.contains("  --epochs N     passes\n") && !text.contains("main"), "{text}");
    }
}

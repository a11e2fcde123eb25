//! A [`FittedPreparation`] as JSON: what is saved beside a model gives the same numbers after loading.

use std::path::Path;

use super::steps::{FittedPreparation, Step};
use crate::table::ColumnKind;
use crate::{Error, Result, Source};
use gradloom_tensor::ErrorKind;
use serde::{Deserialize, Serialize};

const FORMAT: &str = "gradloom-preparation";
const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Saved {
    format: String,
    version: u32,
    inputs: Vec<(String, ColumnKind)>,
    steps: Vec<Step>,
    outputs: Vec<String>,
}

impl FittedPreparation {
    /// The steps and what they learnt, as JSON. Numbers are written with all their digits.
    pub fn to_json(&self) -> String {
        let saved = Saved {
            format: FORMAT.to_owned(),
            version: VERSION,
            inputs: self.inputs.clone(),
            steps: self.steps.clone(),
            outputs: self.outputs.clone(),
        };
        // Only maps with keys that are no strings, and numbers that are not finite, cannot be written:
        // there are no such maps, and `fit` refuses such numbers.
        serde_json::to_string_pretty(&saved).unwrap_or_default()
    }

    /// What [`to_json`](FittedPreparation::to_json) wrote.
    ///
    /// # Errors
    /// If the text is no such JSON, or of a newer version.
    pub fn from_json(text: &str) -> Result<Self> {
        FittedPreparation::parse("preparation", text)
    }

    fn parse(file: &str, text: &str) -> Result<Self> {
        let malformed =
            |message: String| Error::new(ErrorKind::Malformed, format!("{file}: {message}"));
        let value: serde_json::Value = serde_json::from_str(text)
            .map_err(|error| malformed(format!("no JSON of a preparation: {error}")))?;
        if value["format"] != FORMAT {
            return Err(malformed(format!("no preparation: its format is not {FORMAT:?}")));
        }
        if value["version"] != VERSION {
            return Err(malformed(format!(
                "a preparation of version {}, this library reads version {VERSION}",
                value["version"]
            )));
        }
        let saved: Saved = serde_json::from_value(value)
            .map_err(|error| malformed(format!("a damaged preparation: {error}")))?;
        Ok(FittedPreparation { inputs: saved.inputs, steps: saved.steps, outputs: saved.outputs })
    }

    /// Writes the JSON into a file, whole or not at all.
    ///
    /// # Errors
    /// If the folder or the file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        gradloom_files::write(path, self.to_json().as_bytes())
            .map_err(|error| error.context("save preparation"))
    }

    /// Reads what [`save`](FittedPreparation::save) wrote.
    ///
    /// # Errors
    /// If the file is not there, cannot be read, or is no preparation of this version.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        let mut input = Source::from_path(path).open()?;
        let bytes = input.rest()?;
        let name = input.name();
        let text = std::str::from_utf8(&bytes).map_err(|error| {
            Error::new(ErrorKind::Malformed, format!("{name}: no text in UTF-8: {error}"))
        })?;
        FittedPreparation::parse(name, text)
    }
}

#[cfg(test)]
mod tests {
    use crate::Table;
    use crate::preparation::{Encoder, FittedPreparation, Imputer, Preparation, Scaler};

    #[test]
    fn what_was_saved_gives_the_same_bits() {
        let numbers: Vec<f64> = (1..200).map(|i| (f64::from(i) * 0.37).exp().recip()).collect();
        let names: Vec<String> = (1..200).map(|i| format!("k \"{}\"", i % 7)).collect();
        let table = Table::new().with("n", numbers).unwrap().with("c", names).unwrap();
        let preparation = Preparation::new()
            .impute(["n"], Imputer::mean())
            .scale(["n"], Scaler::standard())
            .scale(["n"], Scaler::min_max(-0.1, 0.7))
            .scale(["n"], Scaler::robust())
            .encode(["c"], Encoder::ordinal())
            .fit(&table)
            .unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("preparation.json");
        preparation.save(&path).unwrap();
        preparation.save(&path).unwrap();
        let loaded = FittedPreparation::load(&path).unwrap();
        assert_eq!(loaded, preparation);
        let bits = |preparation: &FittedPreparation| -> Vec<u64> {
            let prepared = preparation.transform(&table).unwrap();
            prepared.numbers("n").unwrap().iter().map(|value| value.to_bits()).collect()
        };
        assert_eq!(bits(&loaded), bits(&preparation));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn other_files_are_refused_by_name() {
        let message = |text: &str| FittedPreparation::from_json(text).unwrap_err().to_string();
        assert!(message("{").contains("no JSON"));
        assert!(message("{}").contains("format is not"));
        let future = r#"{"format":"gradloom-preparation","version":2}"#;
        assert!(message(future).contains("version 2, this library reads version 1"));
        let damaged = r#"{"format":"gradloom-preparation","version":1,"steps":3}"#;
        assert!(message(damaged).contains("damaged"));
        assert!(FittedPreparation::load("no/such/file").unwrap_err().is_not_found());
        let preparation = Preparation::new().fit(&Table::new()).unwrap();
        assert!(preparation.save("no/such/folder/file").unwrap_err().is_io());
    }
}

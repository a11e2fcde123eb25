//! [`ImportanceMatrix`]: mean squares of inputs, by which errors of blocks count.
//!
//! The files are llama.cpp's, of both forms, under the names that weights have in GGUF.

use std::collections::BTreeMap;
use std::path::Path;

use super::Statistics;
use gradloom_nn::{Module, ModuleExt, Role};
use gradloom_tensor::{BlockFormat, DType, Device, Error, ErrorKind, Result, Tensor};
use gradloom_weights::imatrix::{LegacyEntry, LegacyImportance};
use gradloom_weights::{Checkpoint, Value, gguf};

/// Files that are larger are no importance matrices.
const BYTES_MAX: u64 = 1 << 32;

/// Mean squares of the inputs of weights, by the weights' names.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ImportanceMatrix {
    entries: BTreeMap<String, Importance>,
    /// The names of the texts.
    pub datasets: Vec<String>,
    /// Chunks of text that were read.
    pub chunks: u32,
    /// Tokens of a chunk.
    pub chunk_size: u32,
}

/// The importance of a weight's columns.
#[derive(Clone, Debug, PartialEq)]
pub struct Importance {
    /// The mean square of each input.
    pub mean_squares: Vec<f32>,
    /// Vectors that were seen, or calls in files of the old form.
    pub count: f32,
}

impl ImportanceMatrix {
    /// Of calibration, under the names that `rename` gives; those it gives none are left out.
    pub fn of(statistics: &Statistics, rename: impl Fn(&str) -> Option<String>) -> Self {
        let mut matrix = ImportanceMatrix::default();
        for (name, inputs) in &statistics.inputs {
            if let Some(name) = rename(name) {
                let (mean_squares, count) = (inputs.mean_squares(), inputs.count() as f32);
                matrix.entries.insert(name, Importance { mean_squares, count });
            }
        }
        matrix
    }

    /// Of a weight.
    pub fn get(&self, name: &str) -> Option<&Importance> {
        self.entries.get(name)
    }

    /// Adds that of a weight.
    pub fn insert(&mut self, name: impl Into<String>, importance: Importance) {
        self.entries.insert(name.into(), importance);
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Importance)> {
        self.entries.iter().map(|(name, importance)| (name.as_str(), importance))
    }

    /// Reads a file of either form.
    ///
    /// # Errors
    /// If it is missing, damaged, or no importance matrix.
    pub fn open(path: impl AsRef<Path>, device: &Device) -> Result<Self> {
        let path = path.as_ref();
        let name = path.display().to_string();
        let failed = |error: std::io::Error| Error::from(error).context(&name);
        let size = std::fs::metadata(path).map_err(failed)?.len();
        if size > BYTES_MAX {
            return Err(Error::new(ErrorKind::TooLarge, format!("{name}: {size} bytes")));
        }
        ImportanceMatrix::from_bytes(&name, std::fs::read(path).map_err(failed)?, device)
    }

    /// Of the bytes of a file; errors give it the name.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn from_bytes(name: &str, bytes: Vec<u8>, device: &Device) -> Result<Self> {
        let matrix = match bytes.starts_with(b"GGUF") {
            true => of_gguf(&Checkpoint::from_bytes(name, bytes)?, device)
                .map_err(|error| error.context(name))?,
            false => of_legacy(LegacyImportance::from_bytes(name, &bytes)?),
        };
        for (weight, importance) in matrix.iter() {
            if !importance.mean_squares.iter().all(|value| value.is_finite() && *value >= 0.0) {
                let message =
                    format!("{name}: a mean square of {weight} is negative or not finite");
                return Err(Error::new(ErrorKind::Malformed, message));
            }
        }
        Ok(matrix)
    }

    /// Writes the form in GGUF.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let mut writer = gguf::Writer::new();
        writer
            .metadata("general.type", "imatrix")
            .metadata("imatrix.datasets", self.datasets.clone())
            .metadata("imatrix.chunk_count", self.chunks)
            .metadata("imatrix.chunk_size", self.chunk_size);
        for (name, Importance { mean_squares, count }) in self.iter() {
            let bytes =
                |values: &mut dyn Iterator<Item = f32>| values.flat_map(f32::to_le_bytes).collect();
            let sums = bytes(&mut mean_squares.iter().map(|mean| mean * count));
            let stored = gradloom_weights::Stored::F32;
            writer.stored(format!("{name}.in_sum2"), &[mean_squares.len()], stored.clone(), sums);
            writer.stored(format!("{name}.counts"), &[1], stored, bytes(&mut [*count].into_iter()));
        }
        writer.save(path)
    }

    /// Writes the old form, `.dat`.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn save_legacy(&self, path: impl AsRef<Path>) -> Result<()> {
        let calls = self.chunks.max(1);
        let entries = self.iter().map(|(name, importance)| LegacyEntry {
            name: name.to_owned(),
            calls,
            values: importance.mean_squares.iter().map(|mean| mean * calls as f32).collect(),
        });
        let dataset = self.datasets.first().cloned().unwrap_or_default();
        let bytes = LegacyImportance { entries: entries.collect(), chunks: self.chunks, dataset }
            .to_bytes()?;
        gradloom_files::write(path, &bytes)
    }
}

fn of_legacy(file: LegacyImportance) -> ImportanceMatrix {
    let entry = |entry: LegacyEntry| {
        let calls = entry.calls.max(1) as f32;
        let mean_squares = entry.values.iter().map(|value| value / calls).collect();
        (entry.name, Importance { mean_squares, count: calls })
    };
    ImportanceMatrix {
        entries: file.entries.into_iter().map(entry).collect(),
        datasets: vec![file.dataset],
        chunks: file.chunks,
        chunk_size: 0,
    }
}

fn of_gguf(file: &Checkpoint, device: &Device) -> Result<ImportanceMatrix> {
    let metadata = file.metadata();
    if metadata.get("general.type").and_then(Value::as_str) != Some("imatrix") {
        let message = "general.type is not imatrix; this is another GGUF file";
        return Err(Error::new(ErrorKind::Unsupported, message));
    }
    let number = |key: &str| {
        metadata
            .get(key)
            .and_then(Value::as_u64)
            .and_then(|number| u32::try_from(number).ok())
            .unwrap_or(0)
    };
    let mut matrix = ImportanceMatrix {
        datasets: metadata
            .get("imatrix.datasets")
            .and_then(Value::as_strings)
            .unwrap_or_default()
            .to_vec(),
        chunks: number("imatrix.chunk_count"),
        chunk_size: number("imatrix.chunk_size"),
        ..ImportanceMatrix::default()
    };
    for name in file.names() {
        let Some(weight) = name.strip_suffix(".in_sum2") else { continue };
        let floats = |name: &str| file.tensor(name, device)?.cast(DType::F32).to_vec::<f32>();
        let sums = floats(name)?;
        let counts = floats(&format!("{weight}.counts"))?;
        // Experts of a mixture have a row and a count each; their mean stands for all.
        if counts.is_empty() || !sums.len().is_multiple_of(counts.len()) {
            let message = format!("{weight}: {} sums for {} counts", sums.len(), counts.len());
            return Err(Error::new(ErrorKind::Malformed, message));
        }
        let columns = sums.len() / counts.len();
        let mut mean_squares = vec![0.0; columns];
        for (row, count) in sums.chunks_exact(columns.max(1)).zip(&counts) {
            let share = 1.0 / (count.max(1.0) * counts.len() as f32);
            mean_squares.iter_mut().zip(row).for_each(|(mean, sum)| *mean += sum * share);
        }
        matrix.insert(weight, Importance { mean_squares, count: counts.iter().sum() });
    }
    Ok(matrix)
}

/// Puts the matrices that `format` gives a format into blocks, by their importance where there is one: errors of
/// columns whose inputs are large count more. Returns how many matrices were quantized. Names are those of the model.
///
/// # Errors
/// If rows are no whole blocks, an importance is of another length, or a weight cannot be computed; those before it
/// are then quantized.
pub fn quantize_blocks(
    model: &mut impl Module,
    format: impl Fn(&str) -> Option<BlockFormat>,
    importance: &ImportanceMatrix,
) -> Result<usize> {
    let (mut count, mut outcome) = (0, Ok(()));
    model.for_each_parameter(|name, parameter| {
        let suits = parameter.role() != Role::State
            && parameter.rank() == 2
            && parameter.dtype().is_float();
        let Some(format) = format(name).filter(|_| suits && outcome.is_ok()) else { return };
        let importance = importance.get(name).map(|importance| importance.mean_squares.as_slice());
        match blocks(parameter.tensor(), format, importance) {
            Ok(quantized) => {
                parameter.replace(&quantized);
                count += 1;
            }
            Err(error) => outcome = Err(error.context(format!("quantize: {name}"))),
        }
    });
    outcome.map(|()| count)
}

fn blocks(weight: &Tensor, format: BlockFormat, importance: Option<&[f32]>) -> Result<Tensor> {
    let weight = weight.detach().cast(DType::F32);
    let Some(importance) = importance else { return weight.quantize(format) };
    let (rows, columns) = (weight.size(0), weight.size(1));
    if importance.len() != columns || !columns.is_multiple_of(format.elements()) {
        let (len, elements) = (importance.len(), format.elements());
        return Err(Error::shape(format!(
            "an importance of {len} inputs for rows of {columns}, which must be whole {format} blocks of {elements}"
        )));
    }
    let values = weight.to_vec::<f32>()?;
    let mut blocks = vec![0; values.len() / format.elements() * format.bytes()];
    format.encode_weighted(&values, importance, &mut blocks);
    Tensor::from_blocks(format, [rows, columns], &blocks, weight.device())
}

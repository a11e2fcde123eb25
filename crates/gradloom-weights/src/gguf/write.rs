//! [`Writer`]: writing GGUF.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;

use super::{ALIGNMENT, ALIGNMENT_KEY, VERSION, types};
use crate::contents;
use crate::convert::little_endian;
use crate::{Array, Error, Result, Stored, Value, error};
use gradloom_tensor::{DType, Element, Tensor, bf16, f16};

/// Collects metadata and tensors, then writes them as a file. Both keep the order in which they are
/// added; elements are computed and encoded one tensor at a time while the file is written.
///
/// ```no_run
/// # use gradloom_tensor::{BlockFormat, Tensor};
/// # use gradloom_weights::{Stored, gguf};
/// # fn f(embedding: Tensor, norm: Tensor) -> gradloom_weights::Result<()> {
/// let mut writer = gguf::Writer::new();
/// writer.metadata("general.architecture", "llama");
/// writer.tensor_as("token_embd.weight", &embedding, Stored::Blocks(BlockFormat::Q4_K));
/// writer.tensor("output_norm.weight", &norm);
/// writer.save("model.gguf")?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Default)]
pub struct Writer {
    metadata: Vec<(String, Value)>,
    tensors: Vec<Pending>,
}

#[derive(Debug)]
struct Pending {
    name: String,
    shape: Vec<usize>,
    stored: Stored,
    elements: Elements,
}

#[derive(Debug)]
enum Elements {
    Tensor(Tensor),
    Stored(Vec<u8>),
}

impl Writer {
    /// Without tensors.
    pub fn new() -> Self {
        Writer::default()
    }

    /// Adds an entry; readers expect `general.architecture` at least.
    pub fn metadata(&mut self, key: impl Into<String>, value: impl Into<Value>) -> &mut Self {
        self.metadata.push((key.into(), value.into()));
        self
    }

    /// Adds a tensor as it is: a quantised one by its blocks.
    pub fn tensor(&mut self, name: impl Into<String>, tensor: &Tensor) -> &mut Self {
        let stored = match tensor.block_format() {
            Some(format) => Stored::Blocks(format),
            None => tensor.dtype().into(),
        };
        self.tensor_as(name, tensor, stored)
    }

    /// Adds a tensor of floats as `f32`, `f16`, `bf16` or blocks; rows must be whole blocks.
    pub fn tensor_as(
        &mut self,
        name: impl Into<String>,
        tensor: &Tensor,
        stored: Stored,
    ) -> &mut Self {
        let (shape, elements) = (tensor.shape().to_vec(), Elements::Tensor(tensor.clone()));
        self.tensors.push(Pending { name: name.into(), shape, stored, elements });
        self
    }

    /// Adds a tensor by its bytes, which are as the file is to have them: row-major, little-endian.
    pub fn stored(
        &mut self,
        name: impl Into<String>,
        shape: &[usize],
        stored: Stored,
        bytes: Vec<u8>,
    ) -> &mut Self {
        let (shape, elements) = (shape.to_vec(), Elements::Stored(bytes));
        self.tensors.push(Pending { name: name.into(), shape, stored, elements });
        self
    }

    /// Writes the file, and replaces an older one only when the new one is complete.
    ///
    /// # Errors
    /// If a name is there twice, a tensor cannot be stored as asked or computed, or the file cannot be
    /// written; the old file is then unchanged and nothing else is left behind.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let name = path.display().to_string();
        gradloom_files::replace(path, |writer| self.write(writer, &name))
    }

    /// The bytes of the file.
    ///
    /// # Errors
    /// As [`Writer::save`].
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.write(&mut bytes, "gguf")?;
        Ok(bytes)
    }

    fn write(&self, writer: &mut dyn Write, file: &str) -> Result<()> {
        let failed = |error| error::io(file, "writing", error);
        let alignment = self.alignment(file)?;
        let (header, sizes) = self.header(file, alignment)?;
        writer.write_all(&header).map_err(failed)?;
        for (tensor, size) in self.tensors.iter().zip(sizes) {
            let mut bytes = tensor.bytes(file)?;
            if bytes.len() != size {
                let (name, found) = (&tensor.name, bytes.len());
                let message = format!("{name}: {found} bytes, but its shape and type need {size}");
                return Err(error::unsupported(file, message));
            }
            bytes.resize(size.next_multiple_of(alignment), 0);
            writer.write_all(&bytes).map_err(failed)?;
        }
        Ok(())
    }

    fn alignment(&self, file: &str) -> Result<usize> {
        let Some((_, value)) = self.metadata.iter().find(|(key, _)| key == ALIGNMENT_KEY) else {
            return Ok(ALIGNMENT as usize);
        };
        match value {
            Value::U32(value) if value.is_power_of_two() && *value >= 8 => Ok(*value as usize),
            _ => {
                let message = format!("{ALIGNMENT_KEY} must be a u32, a power of two from 8 on");
                Err(error::unsupported(file, message))
            }
        }
    }

    /// Everything before the data, and each tensor's bytes.
    fn header(&self, file: &str, alignment: usize) -> Result<(Vec<u8>, Vec<usize>)> {
        let wrong = |message: String| error::unsupported(file, message);
        let mut names = BTreeSet::new();
        let mut header = b"GGUF".to_vec();
        header.extend(VERSION.to_le_bytes());
        header.extend((self.tensors.len() as u64).to_le_bytes());
        header.extend((self.metadata.len() as u64).to_le_bytes());
        for (key, value) in &self.metadata {
            if !names.insert(key) {
                return Err(wrong(format!("metadata {key} is there twice")));
            }
            put_text(&mut header, key);
            put_value(&mut header, value);
        }
        names.clear();
        let (mut offset, mut sizes) = (0, Vec::new());
        for Pending { name, shape, stored, .. } in &self.tensors {
            if !names.insert(name) {
                return Err(wrong(format!("{name}: two tensors have this name")));
            }
            let number = types::number(stored)
                .ok_or_else(|| wrong(format!("{name}: GGUF has no {stored}; cast the tensor")))?;
            let place = contents::place(shape, stored, 0, usize::MAX);
            let size = place.map_err(|message| wrong(format!("{name}: {message}")))?;
            let size = size.map_or(0, |place| place.range.len());
            put_text(&mut header, name);
            header.extend((shape.len() as u32).to_le_bytes());
            for size in shape.iter().rev() {
                header.extend((*size as u64).to_le_bytes());
            }
            header.extend(number.to_le_bytes());
            header.extend((offset as u64).to_le_bytes());
            offset += size.next_multiple_of(alignment);
            sizes.push(size);
        }
        header.resize(header.len().next_multiple_of(alignment), 0);
        Ok((header, sizes))
    }
}

impl Pending {
    /// The elements as the file has them.
    fn bytes(&self, file: &str) -> Result<Vec<u8>> {
        let tensor = match &self.elements {
            Elements::Stored(bytes) => return Ok(bytes.clone()),
            Elements::Tensor(tensor) => tensor,
        };
        let refused = |error| error::tensor(file, &self.name, error);
        match &self.stored {
            Stored::Blocks(format) if tensor.block_format() == Some(*format) => {
                Ok(tensor.to_blocks().map_err(refused)?.unwrap_or_default())
            }
            stored if *stored == Stored::from(tensor.dtype()) => {
                let bytes = tensor.to_bytes().map_err(refused)?;
                Ok(little_endian(bytes, tensor.dtype().size()))
            }
            stored => {
                let values = floats(tensor).map_err(refused)?;
                let values = values.ok_or_else(|| self.no_conversion(file, tensor.dtype()))?;
                encode(&values, stored).ok_or_else(|| self.no_conversion(file, tensor.dtype()))
            }
        }
    }

    fn no_conversion(&self, file: &str, dtype: DType) -> Error {
        let Pending { name, stored, .. } = self;
        error::unsupported(file, format!("{name}: {dtype} is not converted to {stored}; cast it"))
    }
}

/// The numbers of a tensor of floats.
fn floats(tensor: &Tensor) -> gradloom_tensor::Result<Option<Vec<f32>>> {
    let bytes = tensor.to_bytes()?;
    Ok(match tensor.dtype() {
        DType::F32 => Some(f32::from_bytes(&bytes)),
        DType::F64 => Some(f64::from_bytes(&bytes).into_iter().map(|value| value as f32).collect()),
        DType::F16 => Some(f16::from_bytes(&bytes).into_iter().map(f16::to_f32).collect()),
        DType::BF16 => Some(bf16::from_bytes(&bytes).into_iter().map(bf16::to_f32).collect()),
        DType::I32 | DType::I64 | DType::I8 | DType::U32 | DType::U8 | DType::Bool => None,
    })
}

fn encode(values: &[f32], stored: &Stored) -> Option<Vec<u8>> {
    Some(match stored {
        Stored::F32 => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
        Stored::F16 => {
            values.iter().flat_map(|value| f16::from_f32(*value).to_le_bytes()).collect()
        }
        Stored::BF16 => {
            values.iter().flat_map(|value| bf16::from_f32(*value).to_le_bytes()).collect()
        }
        Stored::Blocks(format) => {
            let mut blocks = vec![0; values.len() / format.elements() * format.bytes()];
            format.encode(values, &mut blocks);
            blocks
        }
        _ => return None,
    })
}

fn put_text(header: &mut Vec<u8>, text: &str) {
    header.extend((text.len() as u64).to_le_bytes());
    header.extend(text.as_bytes());
}

fn put_value(header: &mut Vec<u8>, value: &Value) {
    if let Value::Array(array) = value {
        header.extend(9u32.to_le_bytes());
        return put_array(header, array);
    }
    // Written as an array of one would be, without the length.
    let alone = value.alone();
    header.extend(kind(&alone).to_le_bytes());
    put_values(header, &alone);
}

fn put_array(header: &mut Vec<u8>, array: &Array) {
    header.extend(kind(array).to_le_bytes());
    header.extend((array.len() as u64).to_le_bytes());
    put_values(header, array);
}

/// The number of a type of values.
fn kind(array: &Array) -> u32 {
    match array {
        Array::U8(_) => 0,
        Array::I8(_) => 1,
        Array::U16(_) => 2,
        Array::I16(_) => 3,
        Array::U32(_) => 4,
        Array::I32(_) => 5,
        Array::F32(_) => 6,
        Array::Bool(_) => 7,
        Array::String(_) => 8,
        Array::Array(_) => 9,
        Array::U64(_) => 10,
        Array::I64(_) => 11,
        Array::F64(_) => 12,
    }
}

fn put_values(header: &mut Vec<u8>, array: &Array) {
    macro_rules! numbers {
        ($values:expr) => {
            header.extend($values.iter().flat_map(|value| value.to_le_bytes()))
        };
    }
    match array {
        Array::U8(values) => header.extend(values),
        Array::I8(values) => numbers!(values),
        Array::U16(values) => numbers!(values),
        Array::I16(values) => numbers!(values),
        Array::U32(values) => numbers!(values),
        Array::I32(values) => numbers!(values),
        Array::U64(values) => numbers!(values),
        Array::I64(values) => numbers!(values),
        Array::F32(values) => numbers!(values),
        Array::F64(values) => numbers!(values),
        Array::Bool(values) => header.extend(values.iter().map(|&value| u8::from(value))),
        Array::String(texts) => texts.iter().for_each(|text| put_text(header, text)),
        Array::Array(arrays) => arrays.iter().for_each(|array| put_array(header, array)),
    }
}

//! safetensors: a header of JSON, then plain elements.
//!
//! The header of a file that is read is checked against the file's length before anything is allocated.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;

use crate::contents::{self, Contents, Located, TENSORS_MAX};
use crate::convert::little_endian;
use crate::error::Fault;
use crate::{Entry, Result, Stored, Value, error};
use ::safetensors::Dtype;
use ::safetensors::tensor::{Metadata, TensorInfo};
use gradloom_tensor::{DType, Element, Tensor};

/// The format's own limit on headers.
const HEADER_BYTES_MAX: u64 = 100_000_000;
/// The key of the header that no tensor has.
const METADATA: &str = "__metadata__";

/// Writes tensors with their names to a file, and replaces an older one only when the new one is
/// complete. Quantised tensors are written as the numbers that they stand for: the format has no blocks.
///
/// Equal tensors and metadata are equal bytes, in whatever order they are given.
///
/// # Errors
/// If a name is there twice, a tensor cannot be computed, or the file cannot be written; the old file is then
/// unchanged and nothing else is left behind.
pub fn save<'a>(
    path: impl AsRef<Path>,
    tensors: impl IntoIterator<Item = (&'a str, &'a Tensor)>,
    metadata: &BTreeMap<String, String>,
) -> Result<()> {
    let (path, tensors) = (path.as_ref(), tensors.into_iter().collect());
    let name = path.display().to_string();
    gradloom_files::replace(path, |writer| write(writer, &name, tensors, metadata))
}

/// The bytes of a file of these tensors.
///
/// # Errors
/// If a name is there twice, or a tensor cannot be computed.
pub fn to_bytes<'a>(
    tensors: impl IntoIterator<Item = (&'a str, &'a Tensor)>,
    metadata: &BTreeMap<String, String>,
) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    write(&mut bytes, "safetensors", tensors.into_iter().collect(), metadata)?;
    Ok(bytes)
}

fn write(
    writer: &mut dyn Write,
    name: &str,
    mut tensors: Vec<(&str, &Tensor)>,
    metadata: &BTreeMap<String, String>,
) -> Result<()> {
    let failed = |error| error::io(name, "writing", error);
    // Widest elements first, so that every tensor is aligned.
    tensors.sort_by_key(|(name, tensor)| (std::cmp::Reverse(dtype_of(tensor.dtype())), *name));
    let header = header(name, &tensors, metadata)?;
    writer.write_all(&(header.len() as u64).to_le_bytes()).map_err(failed)?;
    writer.write_all(&header).map_err(failed)?;
    for (tensor_name, tensor) in tensors {
        let bytes = numbers(tensor).map_err(|error| error::tensor(name, tensor_name, error))?;
        writer.write_all(&little_endian(bytes, tensor.dtype().size())).map_err(failed)?;
    }
    Ok(())
}

/// The elements in host order. Blocks are decoded here: computed on the device, the tensor would no
/// longer be one of blocks.
fn numbers(tensor: &Tensor) -> gradloom_tensor::Result<Vec<u8>> {
    let Some(format) = tensor.block_format() else { return tensor.to_bytes() };
    let blocks = tensor.to_blocks()?.unwrap_or_default();
    let mut values = vec![0.0; tensor.count()];
    format.decode(&blocks, &mut values);
    Ok(f32::to_bytes(&values).into_owned())
}

/// The header, padded to a multiple of eight bytes. The library's own has its texts in another order each
/// time.
fn header(
    name: &str,
    tensors: &[(&str, &Tensor)],
    metadata: &BTreeMap<String, String>,
) -> Result<Vec<u8>> {
    let damaged = |error: serde_json::Error| error::malformed(name, error.to_string());
    let mut header = String::from("{");
    let mut separator = "";
    if !metadata.is_empty() {
        header += &format!("{METADATA:?}:{}", serde_json::to_string(metadata).map_err(damaged)?);
        separator = ",";
    }
    let mut names = BTreeSet::new();
    let mut offset = 0;
    for (tensor_name, tensor) in tensors {
        if *tensor_name == METADATA {
            return Err(error::unsupported(name, "a tensor cannot be named __metadata__"));
        }
        if !names.insert(*tensor_name) {
            return Err(error::unsupported(name, format!("two tensors are named {tensor_name}")));
        }
        let end = offset + tensor.count() * tensor.dtype().size();
        let info = TensorInfo {
            dtype: dtype_of(tensor.dtype()),
            shape: tensor.shape().to_vec(),
            data_offsets: (offset, end),
        };
        let key = serde_json::to_string(tensor_name).map_err(damaged)?;
        let info = serde_json::to_string(&info).map_err(damaged)?;
        header += &format!("{separator}{key}:{info}");
        (separator, offset) = (",", end);
    }
    header.push('}');
    let mut header = header.into_bytes();
    header.resize(header.len().next_multiple_of(8), b' ');
    Ok(header)
}

/// How the format calls a dtype.
fn dtype_of(dtype: DType) -> Dtype {
    match dtype {
        DType::F32 => Dtype::F32,
        DType::F64 => Dtype::F64,
        DType::F16 => Dtype::F16,
        DType::BF16 => Dtype::BF16,
        DType::I32 => Dtype::I32,
        DType::I64 => Dtype::I64,
        DType::I8 => Dtype::I8,
        DType::U32 => Dtype::U32,
        DType::U8 => Dtype::U8,
        DType::Bool => Dtype::BOOL,
    }
}

fn stored(dtype: Dtype) -> Stored {
    match dtype {
        Dtype::F32 => Stored::F32,
        Dtype::F64 => Stored::F64,
        Dtype::F16 => Stored::F16,
        Dtype::BF16 => Stored::BF16,
        Dtype::I8 => Stored::I8,
        Dtype::I16 => Stored::I16,
        Dtype::I32 => Stored::I32,
        Dtype::I64 => Stored::I64,
        Dtype::U8 => Stored::U8,
        Dtype::U16 => Stored::U16,
        Dtype::U32 => Stored::U32,
        Dtype::U64 => Stored::U64,
        Dtype::BOOL => Stored::Bool,
        other => Stored::Other(other.to_string()),
    }
}

/// True if the first bytes are a length and the brace that begins a header.
pub(crate) fn recognise(bytes: &[u8]) -> bool {
    bytes.get(8) == Some(&b'{')
}

/// As [`recognise`], and the file is long enough for the header.
pub(crate) fn recognise_whole(bytes: &[u8]) -> bool {
    recognise(bytes)
        && bytes.first_chunk().is_some_and(|&size| {
            u64::from_le_bytes(size) <= HEADER_BYTES_MAX.min(bytes.len() as u64 - 8)
        })
}

/// Lists the tensors of a file.
pub(crate) fn parse(bytes: &[u8]) -> Result<Contents, Fault> {
    let len = bytes.len();
    let (size, rest) = bytes.split_first_chunk().ok_or("no whole header; get it again")?;
    let size = u64::from_le_bytes(*size);
    if size > HEADER_BYTES_MAX || size > rest.len() as u64 {
        return Err(format!(
            "a header of {size} bytes in a file of {len}: no safetensors file, or cut short; get it again"
        )
        .into());
    }
    let (header, data) = rest.split_at(size as usize);
    let header: Metadata = serde_json::from_slice(header)
        .map_err(|error| format!("the header is damaged: {error}"))?;
    if header.data_len() != data.len() {
        let (declared, found) = (header.data_len(), data.len());
        return Err(format!(
            "the header declares {declared} bytes of data, the file has {found}; get it again"
        )
        .into());
    }
    let mut contents = Contents::default();
    for (name, info) in header.tensors() {
        let entry = Entry { shape: info.shape.clone(), stored: stored(info.dtype) };
        let place = contents::place(
            &entry.shape,
            &entry.stored,
            len - data.len() + info.data_offsets.0,
            len,
        )
        .map_err(|message| format!("{name}: {message}"))?;
        contents.tensors.insert(name, Located::new(entry, place));
    }
    if contents.tensors.len() > TENSORS_MAX {
        return Err(format!("{} tensors are absurd", contents.tensors.len()).into());
    }
    let texts = header.metadata().iter().flatten();
    contents.metadata =
        texts.map(|(key, text)| (key.clone(), Value::String(text.clone()))).collect();
    Ok(contents)
}

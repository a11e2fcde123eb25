//! Weights in files of the safetensors format, as published models have them.
//!
//! A file is written beside its place and renamed into it, so a crash leaves the old file or the new
//! one. A file that is read is not trusted: its header is checked against its length before anything
//! is allocated. Pickled checkpoints are absent on purpose: reading one runs code that it brings.

use std::collections::{BTreeMap, HashMap};
use std::io::{Read, Write};
use std::path::Path;

use crate::weights_dtype::{self, Plan};
use crate::{Error, Result, StateDict};
use ::safetensors::tensor::{Metadata, TensorInfo};
use gradloom_tensor::{Device, RANK_MAX, Tensor};

/// The format's own limit on headers.
const HEADER_BYTES_MAX: u64 = 100_000_000;

/// Writes tensors to a file, and replaces an older one only when the new one is complete.
///
/// # Errors
/// If a tensor cannot be computed, or the file cannot be written; the old file is then unchanged and
/// nothing else is left behind.
pub fn save(path: impl AsRef<Path>, dict: &StateDict) -> Result<()> {
    save_with(path, dict, &BTreeMap::new())
}

/// As [`save`], with a table of texts in the file's header.
///
/// # Errors
/// As [`save`].
pub fn save_with(
    path: impl AsRef<Path>,
    dict: &StateDict,
    metadata: &BTreeMap<String, String>,
) -> Result<()> {
    let path = path.as_ref();
    let name = path.display().to_string();
    gradloom_tensor::eval(dict.iter().map(|(_, tensor)| tensor))
        .map_err(|error| Error::tensor(format!("{name}: computing the weights failed"), error))?;
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let failed = |error| Error::io(&name, "writing", error);
    let mut file = new_file_in(folder).map_err(failed)?;
    {
        let mut writer = std::io::BufWriter::with_capacity(1 << 20, file.as_file_mut());
        write_into(&mut writer, &name, dict, metadata)?;
        writer.flush().map_err(failed)?;
    }
    file.as_file().sync_all().map_err(failed)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    Ok(())
}

/// A temporary file with the rights of an ordinary new one.
fn new_file_in(folder: &Path) -> std::io::Result<tempfile::NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".gradloom-");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // The process's mask takes away from these, as it does for any file.
        builder.permissions(std::fs::Permissions::from_mode(0o666)).tempfile_in(folder)
    }
    #[cfg(not(unix))]
    builder.tempfile_in(folder)
}

/// The bytes of a file of these tensors.
///
/// # Errors
/// If a tensor cannot be computed.
pub fn to_bytes(dict: &StateDict) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    write_into(&mut bytes, "safetensors", dict, &BTreeMap::new())?;
    Ok(bytes)
}

fn write_into(
    writer: &mut dyn Write,
    name: &str,
    dict: &StateDict,
    metadata: &BTreeMap<String, String>,
) -> Result<()> {
    let failed = |error| Error::io(name, "writing", error);
    let (header, order) = header(name, dict, metadata)?;
    writer.write_all(&(header.len() as u64).to_le_bytes()).map_err(failed)?;
    writer.write_all(&header).map_err(failed)?;
    for (tensor_name, tensor) in order {
        let bytes = tensor
            .to_bytes()
            .map_err(|error| Error::tensor(format!("{name}: {tensor_name}"), error))?;
        let bytes = weights_dtype::little_endian(bytes, tensor.dtype());
        writer.write_all(&bytes).map_err(failed)?;
    }
    Ok(())
}

type Ordered<'a> = Vec<(&'a str, &'a Tensor)>;

/// The header, padded to a multiple of eight bytes, and the tensors in the order of their data: widest
/// elements first, so that every tensor is aligned.
fn header<'a>(
    name: &str,
    dict: &'a StateDict,
    metadata: &BTreeMap<String, String>,
) -> Result<(Vec<u8>, Ordered<'a>)> {
    let mut order: Ordered<'a> = dict.iter().collect();
    order.sort_by_key(|(_, tensor)| std::cmp::Reverse(weights_dtype::stored(tensor.dtype())));
    let mut offset = 0;
    let mut infos = Vec::with_capacity(order.len());
    for (tensor_name, tensor) in &order {
        if *tensor_name == "__metadata__" {
            return Err(Error::mismatch("save: a tensor cannot be named __metadata__"));
        }
        let end = offset + tensor.count() * tensor.dtype().size();
        let info = TensorInfo {
            dtype: weights_dtype::stored(tensor.dtype()),
            shape: tensor.shape().to_vec(),
            data_offsets: (offset, end),
        };
        infos.push(((*tensor_name).to_owned(), info));
        offset = end;
    }
    let texts: HashMap<String, String> =
        metadata.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
    let texts = (!texts.is_empty()).then_some(texts);
    let header = Metadata::new(texts, infos)
        .map_err(|error| Error::malformed(name, error.to_string()))
        .and_then(|metadata| {
            serde_json::to_vec(&metadata).map_err(|error| Error::malformed(name, error.to_string()))
        });
    let mut header = header?;
    header.resize(header.len().next_multiple_of(8), b' ');
    Ok((header, order))
}

/// Reads all tensors of a file to a device.
///
/// Integers of other widths become `i32`; a 64-bit one that does not fit is an error. `f64` becomes
/// `f32` on a device without it, and `f16` likewise.
///
/// # Errors
/// If the file is missing, is no such file, is shorter or longer than its header says, or holds a dtype
/// that tensors cannot have.
pub fn load(path: impl AsRef<Path>, device: &Device) -> Result<StateDict> {
    let path = path.as_ref();
    let name = path.display().to_string();
    let failed = |error| Error::io(&name, "reading", error);
    let file = std::fs::File::open(path).map_err(failed)?;
    let len = file.metadata().map_err(failed)?.len();
    let mut reader = std::io::BufReader::with_capacity(1 << 20, file);
    read_from(&mut reader, len, &name, device)
}

/// As [`load`], from bytes; errors give them the name.
///
/// # Errors
/// As [`load`].
pub fn from_bytes(name: &str, bytes: &[u8], device: &Device) -> Result<StateDict> {
    read_from(&mut &bytes[..], bytes.len() as u64, name, device)
}

/// The table of texts in a file's header.
///
/// # Errors
/// As [`load`].
pub fn metadata(path: impl AsRef<Path>) -> Result<BTreeMap<String, String>> {
    let path = path.as_ref();
    let name = path.display().to_string();
    let failed = |error| Error::io(&name, "reading", error);
    let mut file = std::fs::File::open(path).map_err(failed)?;
    let len = file.metadata().map_err(failed)?.len();
    let texts = read_header(&mut file, len, &name)?.metadata().clone();
    Ok(texts.unwrap_or_default().into_iter().collect())
}

fn read_header(reader: &mut dyn Read, len: u64, name: &str) -> Result<Metadata> {
    let failed = |error| Error::io(name, "reading", error);
    let damaged = |message: String| Error::malformed(name, message);
    let mut size = [0; 8];
    if len < 8 {
        return Err(damaged(format!("{len} bytes are no safetensors file; get it again")));
    }
    reader.read_exact(&mut size).map_err(failed)?;
    let size = u64::from_le_bytes(size);
    if size > HEADER_BYTES_MAX || size > len - 8 {
        return Err(damaged(format!(
            "a header of {size} bytes in a file of {len}: no safetensors file, or cut short; get it again"
        )));
    }
    let mut header = vec![0; size as usize];
    reader.read_exact(&mut header).map_err(failed)?;
    let metadata: Metadata = serde_json::from_slice(&header)
        .map_err(|error| damaged(format!("the header is damaged: {error}")))?;
    let expected = (metadata.data_len() as u64).checked_add(8 + size);
    if expected != Some(len) {
        return Err(damaged(format!(
            "the header declares {} bytes of data, the file has {}; get it again",
            metadata.data_len(),
            len - 8 - size
        )));
    }
    Ok(metadata)
}

fn read_from(reader: &mut dyn Read, len: u64, name: &str, device: &Device) -> Result<StateDict> {
    let metadata = read_header(reader, len, name)?;
    let mut dict = StateDict::new();
    // Data lie one after another in the order of their offsets: validation of the header said so.
    for tensor_name in metadata.offset_keys() {
        let Some(info) = metadata.info(&tensor_name) else { continue };
        let wrong = |message: String| Error::malformed(name, format!("{tensor_name}: {message}"));
        if info.shape.len() > RANK_MAX {
            let rank = info.shape.len();
            return Err(wrong(format!("{rank} axes, but at most {RANK_MAX} are supported")));
        }
        let plan = Plan::new(info.dtype, device).map_err(wrong)?;
        let mut bytes = vec![0; info.data_offsets.1 - info.data_offsets.0];
        reader.read_exact(&mut bytes).map_err(|error| Error::io(name, "reading", error))?;
        let bytes = plan.convert(bytes).map_err(wrong)?;
        let buffer = device.backend().upload(plan.dtype(), &bytes);
        let buffer =
            buffer.map_err(|error| Error::tensor(format!("{name}: {tensor_name}"), error))?;
        dict.insert(tensor_name, Tensor::from_buffer(buffer, &info.shape[..], device));
    }
    Ok(dict)
}

//! Weights in files: any format that [`gradloom_weights`] reads, and safetensors to write.
//!
//! A file is written beside its place and renamed into it, so a crash leaves the old file or the new
//! one. A file that is read is not trusted; nothing that a pickled checkpoint brings is run.

use std::collections::BTreeMap;
use std::path::Path;

use crate::{Result, StateDict};
use gradloom_tensor::Device;
use gradloom_weights::{Checkpoint, Value, safetensors};

/// Writes tensors to a safetensors file, and replaces an older one only when the new one is complete.
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
    // Computed, blocks would no longer be blocks.
    let plain = dict.iter().map(|(_, tensor)| tensor).filter(|tensor| !tensor.is_quantized());
    gradloom_tensor::eval(plain).map_err(|error| {
        error.context(format!("{}: computing the weights failed", path.display()))
    })?;
    safetensors::save(path, dict.iter(), metadata)
}

/// The bytes of a safetensors file of these tensors.
///
/// # Errors
/// If a tensor cannot be computed.
pub fn to_bytes(dict: &StateDict) -> Result<Vec<u8>> {
    safetensors::to_bytes(dict.iter(), &BTreeMap::new())
}

/// Reads all tensors to a device: of safetensors, a PyTorch checkpoint or GGUF, of a set of such files
/// by its index, or of a folder with one of these. [`Checkpoint`] reads single tensors.
///
/// Integers of other widths become `i32`; a 64-bit one that does not fit is an error. `f64` becomes
/// `f32` on a device without it, and `f16` likewise. Blocks of GGUF stay blocks. For weights that stay in
/// their file until they are needed, collect [`Checkpoint::tensors`] of one that
/// [`Checkpoint::open_mapped`] has opened.
///
/// # Errors
/// If the file is missing, is of no known format, is damaged, or holds elements that tensors cannot
/// have.
pub fn load(path: impl AsRef<Path>, device: &Device) -> Result<StateDict> {
    Ok(Checkpoint::open(path)?.tensors(device)?.into_iter().collect())
}

/// As [`load`], from bytes; errors give them the name.
///
/// # Errors
/// As [`load`].
pub fn from_bytes(name: &str, bytes: &[u8], device: &Device) -> Result<StateDict> {
    let checkpoint = Checkpoint::from_bytes(name, bytes.to_vec())?;
    Ok(checkpoint.tensors(device)?.into_iter().collect())
}

/// The texts that a file holds beside its tensors: the table in the header of safetensors.
///
/// # Errors
/// As [`load`].
pub fn metadata(path: impl AsRef<Path>) -> Result<BTreeMap<String, String>> {
    let checkpoint = Checkpoint::open(path)?;
    let text = |(key, value): (&String, &Value)| Some((key.clone(), value.as_str()?.to_owned()));
    Ok(checkpoint.metadata().iter().filter_map(text).collect())
}

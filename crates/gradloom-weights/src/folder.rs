//! Models in several files: the index of a set of files, the manifest of TensorFlow.js, and what to look for in a folder.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use crate::contents::TENSORS_MAX;
use crate::error::Fault;
use crate::tfjs::{self, Manifest};
use crate::{Result, Value, error};

/// Files that a folder is searched for, best first.
const WANTED: [&str; 6] = [
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
    "model.json",
    "weights_manifest.json",
];

/// The largest index, in bytes.
const INDEX_BYTES_MAX: usize = 100_000_000;

/// The largest number of files of a set.
const FILES_MAX: usize = 10_000;

/// The file of a model in a folder.
pub(crate) fn find(folder: &Path) -> Result<PathBuf> {
    let name = folder.display().to_string();
    if let Some(found) = WANTED.iter().map(|file| folder.join(file)).find(|path| path.is_file()) {
        return Ok(found);
    }
    let failed = |error| error::io(&name, "listing", error);
    let mut found = Vec::new();
    for file in std::fs::read_dir(folder).map_err(failed)? {
        let path = file.map_err(failed)?.path();
        if path.extension().is_some_and(|extension| extension == "gguf") && path.is_file() {
            found.push(path);
        }
    }
    found.sort();
    match &found[..] {
        [path] => Ok(path.clone()),
        [] => {
            let wanted = WANTED.join(", ");
            Err(error::missing(&name, format!("none of {wanted}, *.gguf is in this folder")))
        }
        [first, ..] => {
            let (count, first) = (found.len(), first.display());
            Err(error::missing(&name, format!("{count} files *.gguf are here; open one: {first}")))
        }
    }
}

/// What names other files that have the tensors.
pub(crate) enum Set {
    /// Whole files of tensors.
    Index(Index),
    /// Files that make sense together.
    Manifest(Manifest),
}

/// The index of a set of files.
pub(crate) struct Index {
    /// The file of each tensor, beside the index.
    pub(crate) files: BTreeMap<String, String>,
    pub(crate) metadata: BTreeMap<String, Value>,
}

/// Reads an index or a manifest; `None` for files that are something else.
pub(crate) fn set(bytes: &[u8]) -> Result<Option<Set>, Fault> {
    let mut signs = bytes.iter().filter(|byte| !byte.is_ascii_whitespace());
    match (signs.next(), signs.next()) {
        // The ninth byte of safetensors is a brace; the eight before it are a length, which is absurd if
        // they are text.
        (Some(b'{'), _) if !crate::safetensors::recognise_whole(bytes) => {}
        (Some(b'['), Some(b'{')) => {}
        _ => return Ok(None),
    }
    if bytes.len() > INDEX_BYTES_MAX {
        return Err(format!("an index of {} bytes is absurd", bytes.len()).into());
    }
    let json: serde_json::Value = serde_json::from_slice(bytes).map_err(|error| {
        format!("begins like the index of a set of files, but is damaged: {error}")
    })?;
    if !tfjs::recognise(&json) {
        return Ok(Some(Set::Index(index(&json)?)));
    }
    let manifest = tfjs::parse(&json, is_plain)?;
    let files: usize = manifest.groups.iter().map(|group| group.files.len()).sum();
    if files > FILES_MAX {
        return Err(format!("a set of {files} files is absurd").into());
    }
    Ok(Some(Set::Manifest(manifest)))
}

fn index(json: &serde_json::Value) -> Result<Index, Fault> {
    let map = json["weight_map"]
        .as_object()
        .ok_or("JSON without a weight_map or a weightsManifest is no index of weights")?;
    if map.len() > TENSORS_MAX {
        return Err(format!("an index of {} tensors is absurd", map.len()).into());
    }
    let mut files = BTreeMap::new();
    for (tensor, file) in map {
        let file = file.as_str().filter(|file| is_plain(file)).ok_or_else(|| {
            format!("{tensor}: {file} is not the name of a file beside the index")
        })?;
        files.insert(tensor.clone(), file.to_owned());
    }
    let distinct: std::collections::BTreeSet<&String> = files.values().collect();
    if distinct.len() > FILES_MAX {
        return Err(format!("a set of {} files is absurd", distinct.len()).into());
    }
    let metadata = json["metadata"].as_object().into_iter().flatten();
    let metadata =
        metadata.filter_map(|(key, value)| Some((key.clone(), scalar(value)?))).collect();
    Ok(Index { files, metadata })
}

/// True for a file's name without any folder: an index must not reach elsewhere.
fn is_plain(file: &str) -> bool {
    let mut components = Path::new(file).components();
    matches!((components.next(), components.next()), (Some(Component::Normal(name)), None) if name == file)
}

fn scalar(value: &serde_json::Value) -> Option<Value> {
    match value {
        serde_json::Value::String(text) => Some(text.as_str().into()),
        serde_json::Value::Bool(value) => Some((*value).into()),
        serde_json::Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => Some(number.into()),
            (None, Some(number)) => Some(number.into()),
            (None, None) => number.as_f64().map(Value::from),
        },
        _ => None,
    }
}

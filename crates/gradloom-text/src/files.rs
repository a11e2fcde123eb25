//! Files that belong to a model, read whole.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde_json::{Map, Value};

use crate::{Result, error};

/// No file of text that belongs to a model is larger.
const BYTES_MAX: u64 = 128 << 20;

const ADVICE: &str = "give the file of a downloaded model; cargo xtask assets minilm fetches one";

/// The object in a JSON file, if the file is there.
pub(crate) fn config(path: &Path) -> Result<Option<Map<String, Value>>> {
    let bytes = match read(path) {
        Err(error) if error.is_not_found() => return Ok(None),
        bytes => bytes?,
    };
    object(&path.display().to_string(), &bytes).map(Some)
}

/// The object in the bytes of a JSON file.
pub(crate) fn object(name: &str, bytes: &[u8]) -> Result<Map<String, Value>> {
    serde_json::from_slice(bytes)
        .map_err(|error| error::malformed(name, format!("not an object of JSON: {error}")))
}

/// Reads a file whole, unless it is absurdly large.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>> {
    let name = path.display().to_string();
    let file = File::open(path).map_err(|error| error::read(&name, ADVICE, error))?;
    let mut bytes = Vec::new();
    file.take(BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| error::read(&name, ADVICE, error))?;
    if bytes.len() as u64 > BYTES_MAX {
        return Err(error::too_large(&name, format!("more than {BYTES_MAX} bytes")));
    }
    Ok(bytes)
}

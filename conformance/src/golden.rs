//! Golden samples as `golden.py` writes them.

use std::io::Read as _;
use std::path::Path;

use flate2::read::GzDecoder;
use serde_json::Value as Json;

/// The samples of one operator.
#[derive(Debug)]
pub struct Golden {
    /// The operator's name in PyTorch's database.
    pub op: String,
    /// Its samples.
    pub samples: Vec<Json>,
}

/// The committed slice.
///
/// # Errors
/// If it is not what `golden.py` writes.
pub fn slice() -> Result<Vec<Golden>, String> {
    const SLICE: &[u8] = include_bytes!("../golden/slice.jsonl.gz");
    let mut text = String::new();
    GzDecoder::new(SLICE).read_to_string(&mut text).map_err(|error| format!("slice: {error}"))?;
    parse(&text)
}

/// Every file of a folder.
///
/// # Errors
/// If one cannot be read, or is not what `golden.py` writes.
pub fn folder(path: &Path) -> Result<Vec<Golden>, String> {
    let failed = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let mut found = Vec::new();
    for entry in std::fs::read_dir(path).map_err(|error| failed(&error))? {
        let file = entry.map_err(|error| failed(&error))?.path();
        if file.extension().is_some_and(|extension| extension == "jsonl") {
            let text = std::fs::read_to_string(&file).map_err(|error| failed(&error))?;
            found.extend(parse(&text).map_err(|error| format!("{}: {error}", file.display()))?);
        }
    }
    found.sort_by(|a: &Golden, b| a.op.cmp(&b.op));
    Ok(found)
}

fn parse(text: &str) -> Result<Vec<Golden>, String> {
    let mut found: Vec<Golden> = Vec::new();
    for line in text.lines() {
        let line: Json = serde_json::from_str(line).map_err(|error| error.to_string())?;
        match (line["op"].as_str(), found.last_mut()) {
            (Some(op), _) => found.push(Golden { op: op.to_owned(), samples: Vec::new() }),
            (None, Some(last)) => last.samples.push(line),
            (None, None) => return Err("a sample before any operator".into()),
        }
    }
    Ok(found)
}

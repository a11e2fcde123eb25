//! Files before PyTorch 1.6: five pickles (a magic number, a version, facts about the machine, the
//! object, the keys of its storages), then each storage's length and bytes.

use std::collections::HashMap;
use std::ops::Range;

use super::machine::{Machine, PICKLE_BYTES_MAX};
use super::state;
use super::value::{Object, Value};
use crate::contents::{Contents, Part};
use crate::error::Fault;
use crate::reader::Reader;

/// `0x1950a86a20f9469cfc6c`, as a pickled integer has it.
const MAGIC: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];

/// The version that follows the magic number.
const VERSION: i64 = 1001;

/// True for pickles of protocol 2 and later.
pub(super) fn recognise(bytes: &[u8]) -> bool {
    matches!(bytes, [0x80, 2..=5, ..])
}

/// Lists the tensors of a file.
pub(super) fn parse(bytes: &[u8], part: Option<&str>) -> Result<Contents, Fault> {
    let pickles = &bytes[..bytes.len().min(PICKLE_BYTES_MAX)];
    let mut reader = Reader::new(pickles, 0);
    let mut machine = Machine::new();
    if !matches!(machine.run(&mut reader)?, Value::Long(magic) if magic == MAGIC) {
        return Err(Fault::Unsupported("a pickle, but not one that PyTorch saved".to_owned()));
    }
    match machine.run(&mut reader)? {
        Value::Int(VERSION) => {}
        other => return Err(Fault::Unsupported(format!("version {other:?} of PyTorch's format"))),
    }
    let facts = machine.run(&mut reader)?;
    if let Some(Object::Dict(facts)) = machine.object(facts)
        && facts
            .iter()
            .any(|fact| matches!(fact, (Value::Text("little_endian"), Value::Bool(false))))
    {
        let message = "a big-endian checkpoint; save it again on a little-endian machine";
        return Err(Fault::Unsupported(message.to_owned()));
    }
    let root = machine.run(&mut reader)?;
    let keys = machine.run(&mut reader)?;
    let storages = storages(&machine, keys, bytes, reader.at())?;
    let locate = |key: &str| {
        let range = storages.get(key).ok_or_else(|| format!("storage {key} is not in the file"))?;
        Ok((Part::File, range.clone()))
    };
    Ok(state::collect(&machine, root, part, &locate, bytes.len())?)
}

/// Where the bytes of each storage lie.
fn storages<'a>(
    machine: &Machine<'a>,
    keys: Value<'a>,
    bytes: &[u8],
    start: usize,
) -> Result<HashMap<&'a str, Range<usize>>, String> {
    let Some(Object::List(keys)) = machine.object(keys) else {
        return Err("the keys of the storages are no list".to_owned());
    };
    let mut sizes = HashMap::new();
    for object in &machine.objects {
        if let Object::Storage(storage) = object {
            // Lengths count elements of the class under which a storage was saved first.
            sizes.entry(storage.key).or_insert(storage.kind.size);
        }
    }
    let mut reader = Reader::new(bytes, start);
    let mut storages = HashMap::new();
    for key in keys {
        let Value::Text(key) = *key else {
            return Err("the key of a storage is no text".to_owned());
        };
        let wrong = |message| format!("storage {key}: {message}");
        let size = sizes.get(key).ok_or_else(|| wrong("no tensor tells its type".to_owned()))?;
        let count = reader.u64().map_err(wrong)?;
        let len = count.checked_mul(*size as u64);
        let len = len.ok_or_else(|| wrong(format!("{count} elements are absurd")))?;
        let start = reader.at();
        reader.take(len).map_err(wrong)?;
        storages.insert(key, start..reader.at());
    }
    Ok(storages)
}

//! Reading GGUF.

use std::collections::BTreeMap;

use super::{ALIGNMENT, ALIGNMENT_KEY, types};
use crate::contents::{self, Contents, Located, TENSORS_MAX};
use crate::error::Fault;
use crate::reader::Reader;
use crate::{Array, Entry, Value};

/// The largest number of metadata entries.
const METADATA_MAX: u64 = 1 << 16;

/// The longest text, in bytes.
const TEXT_BYTES_MAX: u64 = 1 << 24;

/// The longest name of a tensor or an entry, in bytes.
const NAME_BYTES_MAX: u64 = 1 << 16;

/// How deep arrays may lie in arrays.
const ARRAY_DEPTH_MAX: usize = 4;

/// The largest number of dimensions.
const DIMENSIONS_MAX: u32 = 8;

/// Lists the tensors of a file.
pub(crate) fn parse(bytes: &[u8]) -> Result<Contents, Fault> {
    let mut reader = Reader::new(bytes, 4);
    let version = reader.u32()?;
    if version.swap_bytes() <= 0xff && version > 0xff {
        return Err(Fault::Unsupported("a big-endian GGUF file; get the little-endian one".into()));
    }
    if !(2..=3).contains(&version) {
        let message = format!("GGUF version {version}; versions 2 and 3 are supported");
        return Err(Fault::Unsupported(message));
    }
    let (tensors, entries) = (reader.u64()?, reader.u64()?);
    if tensors > TENSORS_MAX as u64 || entries > METADATA_MAX {
        return Err(format!("{tensors} tensors and {entries} metadata entries are absurd").into());
    }
    let mut contents = Contents::default();
    for _ in 0..entries {
        let key = name(&mut reader)?;
        let value = value(&mut reader).map_err(|message| format!("metadata {key}: {message}"))?;
        if contents.metadata.insert(key.clone(), value).is_some() {
            return Err(format!("metadata {key} is there twice").into());
        }
    }
    let mut infos = Vec::new();
    for _ in 0..tensors {
        infos.push(info(&mut reader)?);
    }
    let alignment = alignment(&contents.metadata)?;
    let data = reader.at().next_multiple_of(alignment);
    contents.tensors = place(infos, data, alignment, bytes.len())?;
    Ok(contents)
}

fn alignment(metadata: &BTreeMap<String, Value>) -> Result<usize, String> {
    let Some(value) = metadata.get(ALIGNMENT_KEY) else { return Ok(ALIGNMENT as usize) };
    let alignment = value.as_u64().filter(|value| value.is_power_of_two() && *value <= 1 << 20);
    let alignment =
        alignment.ok_or_else(|| format!("{ALIGNMENT_KEY} {value:?} is no power of two"))?;
    Ok(alignment as usize)
}

/// A tensor's name, entry, and offset in the data.
struct Info {
    name: String,
    entry: Entry,
    offset: u64,
}

fn info(reader: &mut Reader<'_>) -> Result<Info, String> {
    let name = name(reader)?;
    let rank = reader.u32()?;
    if rank > DIMENSIONS_MAX {
        return Err(format!(
            "{name}: {rank} dimensions, but at most {DIMENSIONS_MAX} are possible"
        ));
    }
    let sizes = (0..rank).map(|_| {
        let size = reader.u64()?;
        usize::try_from(size).map_err(|_| format!("{name}: a size of {size} is absurd"))
    });
    let mut shape = sizes.collect::<Result<Vec<usize>, String>>()?;
    shape.reverse();
    let stored = types::of_number(reader.u32()?);
    Ok(Info { name, entry: Entry { shape, stored }, offset: reader.u64()? })
}

/// Finds the places of all tensors and that they do not overlap.
fn place(
    infos: Vec<Info>,
    data: usize,
    alignment: usize,
    len: usize,
) -> Result<BTreeMap<String, Located>, String> {
    let mut tensors = BTreeMap::new();
    let mut ranges = Vec::with_capacity(infos.len());
    for Info { name, entry, offset } in infos {
        let wrong = |message: String| format!("{name}: {message}");
        if offset % alignment as u64 != 0 {
            return Err(wrong(format!("offset {offset} is no multiple of {alignment}")));
        }
        let start = usize::try_from(offset).ok().and_then(|offset| data.checked_add(offset));
        let start = start.ok_or_else(|| wrong(format!("offset {offset} is absurd")))?;
        let place = contents::place(&entry.shape, &entry.stored, start, len).map_err(wrong)?;
        if let Some(place) = &place
            && !place.range.is_empty()
        {
            ranges.push(place.range.clone());
        }
        if tensors.insert(name.clone(), Located::new(entry, place)).is_some() {
            return Err(format!("{name}: two tensors have this name"));
        }
    }
    ranges.sort_by_key(|range| range.start);
    if let Some([_, second]) =
        ranges.array_windows().find(|[first, second]| first.end > second.start)
    {
        return Err(format!("tensors overlap at byte {}", second.start));
    }
    Ok(tensors)
}

fn name(reader: &mut Reader<'_>) -> Result<String, String> {
    let (at, bytes) = (reader.at(), text(reader, NAME_BYTES_MAX)?);
    let name =
        std::str::from_utf8(bytes).map_err(|_| format!("the name at byte {at} is no UTF-8"))?;
    Ok(name.to_owned())
}

fn text<'a>(reader: &mut Reader<'a>, bytes_max: u64) -> Result<&'a [u8], String> {
    let (at, len) = (reader.at(), reader.u64()?);
    if len > bytes_max {
        return Err(format!("a text of {len} bytes at byte {at} is absurd"));
    }
    reader.take(len)
}

/// A text; tokens that are no UTF-8 on their own get replacement characters.
fn string(reader: &mut Reader<'_>) -> Result<String, String> {
    Ok(String::from_utf8_lossy(text(reader, TEXT_BYTES_MAX)?).into_owned())
}

fn value(reader: &mut Reader<'_>) -> Result<Value, String> {
    let kind = reader.u32()?;
    if kind == 9 {
        return Ok(Value::Array(array(reader, 0)?));
    }
    one(reader, kind)
}

/// A value that is no array.
fn one(reader: &mut Reader<'_>, kind: u32) -> Result<Value, String> {
    // An array of one: its reading knows all types.
    values(reader, kind, 1)?.get(0).ok_or_else(|| "a value is missing".to_owned())
}

fn array(reader: &mut Reader<'_>, depth: usize) -> Result<Array, String> {
    let (kind, len) = (reader.u32()?, reader.u64()?);
    if kind != 9 {
        return values(reader, kind, len);
    }
    if depth == ARRAY_DEPTH_MAX {
        return Err(format!("arrays lie more than {ARRAY_DEPTH_MAX} deep in each other"));
    }
    // Nothing is reserved: the length is not yet known to be true.
    let arrays = (0..len).map(|_| array(reader, depth + 1));
    Ok(Array::Array(arrays.collect::<Result<_, String>>()?))
}

/// Values of a type that is no array.
fn values(reader: &mut Reader<'_>, kind: u32, len: u64) -> Result<Array, String> {
    fn numbers<const N: usize, T>(
        reader: &mut Reader<'_>,
        len: u64,
        parse: fn([u8; N]) -> T,
    ) -> Result<Vec<T>, String> {
        let bytes =
            len.checked_mul(N as u64).ok_or_else(|| format!("an array of {len} is absurd"))?;
        let bytes = reader.take(bytes)?;
        Ok(bytes.as_chunks().0.iter().map(|&bytes| parse(bytes)).collect())
    }
    Ok(match kind {
        0 => Array::U8(numbers(reader, len, u8::from_le_bytes)?),
        1 => Array::I8(numbers(reader, len, i8::from_le_bytes)?),
        2 => Array::U16(numbers(reader, len, u16::from_le_bytes)?),
        3 => Array::I16(numbers(reader, len, i16::from_le_bytes)?),
        4 => Array::U32(numbers(reader, len, u32::from_le_bytes)?),
        5 => Array::I32(numbers(reader, len, i32::from_le_bytes)?),
        6 => Array::F32(numbers(reader, len, f32::from_le_bytes)?),
        7 => Array::Bool(numbers(reader, len, |[byte]| byte != 0)?),
        8 => Array::String((0..len).map(|_| string(reader)).collect::<Result<_, String>>()?),
        10 => Array::U64(numbers(reader, len, u64::from_le_bytes)?),
        11 => Array::I64(numbers(reader, len, i64::from_le_bytes)?),
        12 => Array::F64(numbers(reader, len, f64::from_le_bytes)?),
        _ => return Err(format!("values of type {kind} are unknown: damaged, or a newer format")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Stored;

    #[test]
    fn every_type_is_known_once() {
        for number in 0..64 {
            let stored = types::of_number(number);
            match &stored {
                Stored::Other(_) => assert_eq!(types::number(&stored), None),
                _ => assert_eq!(types::number(&stored), Some(number)),
            }
        }
    }
}

//! Files of PyTorch 1.6 and later: a zip archive with `data.pkl` and one record for each storage.

use std::borrow::Cow;
use std::collections::HashMap;

use super::machine::{Machine, PICKLE_BYTES_MAX};
use super::state;
use crate::contents::{Contents, Part};
use crate::deflated::{Deflated, GROWTH_MAX};
use crate::error::Fault;
use crate::reader::Reader;
use crate::zip::{Archive, Record};

/// True for zip archives.
pub(super) fn recognise(bytes: &[u8]) -> bool {
    bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(b"PK\x05\x06")
}

/// Lists the tensors of an archive.
pub(super) fn parse(bytes: &[u8], part: Option<&str>) -> Result<Contents, Fault> {
    let archive = Archive::new(bytes)?;
    let pickle = archive.records.iter().find(|(name, _)| is_pickle(name));
    let Some((name, pickle)) = pickle else {
        let keras = archive.records.contains_key("model.weights.h5");
        let message = if keras {
            "a Keras model; load it in Python and save model.get_weights() by numpy.savez"
        } else {
            "a zip archive without data.pkl is no PyTorch checkpoint, and without *.npy not NumPy's"
        };
        return Err(Fault::Unsupported(message.to_owned()));
    };
    let folder = name.strip_suffix("data.pkl").unwrap_or_default();
    if let Some(order) = archive.records.get(format!("{folder}byteorder").as_str())
        && *content(bytes, order)? == *b"big"
    {
        let message = "a big-endian checkpoint; save it again on a little-endian machine";
        return Err(Fault::Unsupported(message.to_owned()));
    }
    // Compressed records, and their places in the list of them.
    let (mut deflated, mut places) = (Vec::new(), HashMap::new());
    for (name, record) in &archive.records {
        if let Some(len) = record.inflated_len {
            places.insert(*name, deflated.len());
            deflated.push(Deflated::new(record.range.clone(), len));
        }
    }
    let inflated = deflated.iter().fold(0usize, |sum, part| sum.saturating_add(part.len()));
    if inflated > bytes.len().saturating_mul(GROWTH_MAX) {
        let message =
            format!("its records would inflate to {inflated} bytes; save it uncompressed");
        return Err(message.into());
    }
    let pickle = content(bytes, pickle)?;
    if pickle.len() > PICKLE_BYTES_MAX {
        return Err(format!("a pickle of {} bytes is absurd", pickle.len()).into());
    }
    let mut machine = Machine::new();
    let root = machine.run(&mut Reader::new(&pickle, 0))?;
    let locate = |key: &str| {
        let name = format!("{folder}data/{key}");
        let record = archive.records.get(name.as_str());
        let record = record.ok_or_else(|| format!("there is no record {name}; get it again"))?;
        Ok(match (record.inflated_len, places.get(name.as_str())) {
            (Some(len), Some(&place)) => (Part::Deflated(place), 0..len),
            _ => (Part::File, record.range.clone()),
        })
    };
    let mut contents = state::collect(&machine, root, part, &locate, bytes.len())?;
    contents.deflated = deflated;
    Ok(contents)
}

/// True for `data.pkl` in the archive's only folder, or in none.
fn is_pickle(name: &str) -> bool {
    let folder = name.strip_suffix("data.pkl");
    folder.is_some_and(|folder| folder.is_empty() || folder.find('/') == Some(folder.len() - 1))
}

/// The bytes of a small record.
fn content<'a>(bytes: &'a [u8], record: &Record) -> Result<Cow<'a, [u8]>, Fault> {
    match record.inflated_len {
        None => Ok(bytes[record.range.clone()].into()),
        Some(len) if len <= PICKLE_BYTES_MAX.min(bytes.len().saturating_mul(GROWTH_MAX)) => {
            let deflated = Deflated::new(record.range.clone(), len);
            Ok(deflated.bytes(bytes)?.to_vec().into())
        }
        Some(len) => Err(format!("a record of {len} bytes is absurd").into()),
    }
}

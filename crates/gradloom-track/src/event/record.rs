//! TFRecord: a length, its checksum, data, its checksum.

use super::checksum::masked;
use super::protobuf::malformed;
use crate::Result;

/// Bytes before the data.
const HEAD: usize = 12;

pub(crate) fn framed(data: &[u8]) -> Vec<u8> {
    let len = (data.len() as u64).to_le_bytes();
    let mut record = Vec::with_capacity(data.len() + HEAD + 4);
    record.extend(len);
    record.extend(masked(&len).to_le_bytes());
    record.extend(data);
    record.extend(masked(data).to_le_bytes());
    record
}

/// The data of all whole records. A last record that is cut off is not there: its writer was killed.
///
/// # Errors
/// If a checksum is wrong.
pub(super) fn records(mut bytes: &[u8]) -> Result<Vec<&[u8]>> {
    let mut records = Vec::new();
    while let Some((len, rest)) = bytes.split_first_chunk::<8>() {
        let Some((sum, rest)) = rest.split_first_chunk::<4>() else { break };
        if u32::from_le_bytes(*sum) != masked(len) {
            return Err(malformed(&format!(
                "record {}: wrong checksum of its length",
                records.len()
            )));
        }
        let len = usize::try_from(u64::from_le_bytes(*len)).unwrap_or(usize::MAX);
        let Some((data, rest)) = rest.split_at_checked(len) else { break };
        let Some((sum, rest)) = rest.split_first_chunk::<4>() else { break };
        if u32::from_le_bytes(*sum) != masked(data) {
            return Err(malformed(&format!("record {}: wrong checksum", records.len())));
        }
        records.push(data);
        bytes = rest;
    }
    Ok(records)
}

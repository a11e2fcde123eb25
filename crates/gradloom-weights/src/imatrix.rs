//! Importance matrices as llama.cpp wrote them before it put them into GGUF: `.dat` files.
//!
//! For each weight the sums over calls of the mean squares of its inputs, then the number of calls and the name of the
//! text. The form in GGUF has tensors and is read as other files are.

use crate::error::{self, Fault};
use crate::reader::Reader;
use crate::{Error, Result};

/// Names of tensors are no longer.
const NAME_BYTES_MAX: u64 = 4096;

/// What such a file holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LegacyImportance {
    /// In the order of the file.
    pub entries: Vec<LegacyEntry>,
    /// Chunks of text that were read.
    pub chunks: u32,
    /// The name of the text.
    pub dataset: String,
}

/// The importance of a weight.
#[derive(Clone, Debug, PartialEq)]
pub struct LegacyEntry {
    /// The weight's name.
    pub name: String,
    /// Calls that were added up.
    pub calls: u32,
    /// For each input, the mean square times the number of calls.
    pub values: Vec<f32>,
}

impl LegacyImportance {
    /// Reads a file's bytes; errors give it the name.
    ///
    /// # Errors
    /// If they end too early, or are no such file.
    pub fn from_bytes(name: &str, bytes: &[u8]) -> Result<Self> {
        parse(bytes).map_err(|fault| error::of(name, fault))
    }

    /// The bytes of a file.
    ///
    /// # Errors
    /// If there is more of something than 31 bits can count, or a name is too long.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let mut bytes = size(self.entries.len())?.to_vec();
        for LegacyEntry { name, calls, values } in &self.entries {
            if name.len() as u64 > NAME_BYTES_MAX {
                return Err(Error::invalid(format!("imatrix: a name of {} bytes", name.len())));
            }
            bytes.extend(size(name.len())?);
            bytes.extend(name.as_bytes());
            bytes.extend(size(*calls as usize)?);
            bytes.extend(size(values.len())?);
            bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        }
        bytes.extend(size(self.chunks as usize)?);
        bytes.extend(size(self.dataset.len())?);
        bytes.extend(self.dataset.as_bytes());
        Ok(bytes)
    }
}

fn size(count: usize) -> Result<[u8; 4]> {
    let count = i32::try_from(count)
        .map_err(|_| Error::invalid(format!("imatrix: {count} is too much to count")))?;
    Ok(count.to_le_bytes())
}

/// A number that is not negative.
fn count(reader: &mut Reader<'_>, what: &str) -> Result<u32, String> {
    let count = reader.u32()?;
    if i32::try_from(count).is_err() {
        return Err(format!("{what} is {}: damaged, or no importance matrix", count.cast_signed()));
    }
    Ok(count)
}

fn text(reader: &mut Reader<'_>, what: &str) -> Result<String, String> {
    let len = count(reader, what)?;
    if u64::from(len) > NAME_BYTES_MAX {
        return Err(format!("{what} has {len} bytes: damaged, or no importance matrix"));
    }
    let bytes = reader.take(len.into())?;
    String::from_utf8(bytes.to_vec()).map_err(|_| format!("{what} is no text"))
}

fn parse(bytes: &[u8]) -> Result<LegacyImportance, Fault> {
    let reader = &mut Reader::new(bytes, 0);
    let entries = count(reader, "the number of weights")?;
    let mut result = LegacyImportance::default();
    for _ in 0..entries {
        let name = text(reader, "a name")?;
        let calls = count(reader, "a number of calls")?;
        let values = count(reader, "a number of values")?;
        let values = reader.take(4 * u64::from(values))?.as_chunks().0.iter();
        let values = values.map(|&value| f32::from_le_bytes(value)).collect();
        result.entries.push(LegacyEntry { name, calls, values });
    }
    // The oldest files end here.
    if reader.left() > 0 {
        result.chunks = count(reader, "the number of chunks")?;
        result.dataset = text(reader, "the name of the text")?;
    }
    if reader.left() > 0 {
        return Err(
            format!("{} bytes are left: damaged, or no importance matrix", reader.left()).into()
        );
    }
    Ok(result)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some() -> LegacyImportance {
        let entry = |name: &str, values: &[f32]| LegacyEntry {
            name: name.into(),
            calls: 3,
            values: values.into(),
        };
        LegacyImportance {
            entries: vec![
                entry("blk.0.attn_q.weight", &[1.0, 2.5]),
                entry("output.weight", &[0.0]),
            ],
            chunks: 3,
            dataset: "wiki.txt".into(),
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let bytes = some().to_bytes().unwrap();
        assert_eq!(LegacyImportance::from_bytes("x", &bytes).unwrap(), some());
        // Byte for byte: the count of weights, and the length of the first name.
        assert_eq!(bytes[..8], [2, 0, 0, 0, 19, 0, 0, 0]);
    }

    #[test]
    fn damaged_files_are_errors() {
        let bytes = some().to_bytes().unwrap();
        let chunks = bytes.len() - 16;
        for cut in (0..bytes.len()).filter(|cut| *cut != chunks) {
            let error = LegacyImportance::from_bytes("cut.dat", &bytes[..cut]).unwrap_err();
            assert!(error.to_string().starts_with("cut.dat: "), "{error}");
        }
        for place in 0..bytes.len() {
            for bits in [0x80, 0xff, 1] {
                let mut damaged = bytes.clone();
                damaged[place] ^= bits;
                drop(LegacyImportance::from_bytes("damaged", &damaged));
            }
        }
        let many = [0xff, 0xff, 0xff, 0x7f];
        assert!(LegacyImportance::from_bytes("many", &many).is_err());
    }
}

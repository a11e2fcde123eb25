//! [`Archive`]: the records of a zip file, as PyTorch writes them.
//!
//! Read-only, from memory; stored and deflated records, also beyond 4 GiB. Encryption, several disks and
//! checksums are absent on purpose: no checkpoint has the first two, and the third would mean to read
//! every weight twice.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::error::Fault;
use crate::reader::Reader;

/// The largest number of records.
const RECORDS_MAX: u64 = 1 << 21;

/// The end record, without its comment, and the comment's largest length.
const END_BYTES: usize = 22;
const COMMENT_BYTES_MAX: usize = u16::MAX as usize;

/// The records of an archive by name.
pub(crate) struct Archive<'a> {
    pub(crate) records: BTreeMap<&'a str, Record>,
}

/// Where a record lies.
#[derive(Clone)]
pub(crate) struct Record {
    /// In the file.
    pub(crate) range: Range<usize>,
    /// Bytes when inflated; `None` if the range is the content.
    pub(crate) inflated_len: Option<usize>,
}

/// Where the directory lies.
struct Directory {
    records: u64,
    offset: u64,
}

impl<'a> Archive<'a> {
    /// Lists the records of a file.
    pub(crate) fn new(bytes: &'a [u8]) -> Result<Self, Fault> {
        let directory = Directory::find(bytes)?;
        if directory.records > RECORDS_MAX {
            return Err(format!("{} records are absurd", directory.records).into());
        }
        let start = usize::try_from(directory.offset).unwrap_or(usize::MAX);
        let mut reader = Reader::new(bytes, start);
        let mut records = BTreeMap::new();
        for _ in 0..directory.records {
            let (name, record) = record(&mut reader, bytes)?;
            if records.insert(name, record).is_some() {
                return Err(format!("two records are called {name}").into());
            }
        }
        Ok(Archive { records })
    }
}

impl Directory {
    fn find(bytes: &[u8]) -> Result<Directory, Fault> {
        let first = bytes.len().saturating_sub(END_BYTES + COMMENT_BYTES_MAX);
        let last = bytes.len().checked_sub(END_BYTES);
        let end = last.and_then(|last| {
            (first..=last).rev().find(|&at| bytes[at..].starts_with(b"PK\x05\x06"))
        });
        let end = end.ok_or("a zip file without its end: cut short; get it again")?;
        let mut reader = Reader::new(bytes, end + 10);
        let (records, _size, offset) = (reader.u16()?, reader.u32()?, reader.u32()?);
        if records != u16::MAX && offset != u32::MAX {
            return Ok(Directory { records: records.into(), offset: offset.into() });
        }
        // A larger end record lies somewhere before; a locator right before this one says where.
        let locator = end.checked_sub(20).filter(|&at| bytes[at..].starts_with(b"PK\x06\x07"));
        let Some(locator) = locator else {
            return Ok(Directory { records: records.into(), offset: offset.into() });
        };
        let large = Reader::new(bytes, locator + 8).u64()?;
        let large = usize::try_from(large).unwrap_or(usize::MAX);
        let mut reader = Reader::new(bytes, large);
        if reader.take(4)? != b"PK\x06\x06" {
            return Err("the zip file's end is damaged; get it again".into());
        }
        let mut reader = Reader::new(bytes, large + 32);
        let (records, _size, offset) = (reader.u64()?, reader.u64()?, reader.u64()?);
        Ok(Directory { records, offset })
    }
}

/// The next entry of the directory.
fn record<'a>(reader: &mut Reader<'a>, bytes: &'a [u8]) -> Result<(&'a str, Record), Fault> {
    if reader.take(4)? != b"PK\x01\x02" {
        return Err("the zip file's directory is damaged; get it again".into());
    }
    reader.take(4)?;
    let (flags, method) = (reader.u16()?, reader.u16()?);
    reader.take(8)?;
    let (compressed, len) = (reader.u32()?, reader.u32()?);
    let lens = [reader.u16()?, reader.u16()?, reader.u16()?];
    reader.take(8)?;
    let offset = reader.u32()?;
    let name = reader.take(lens[0].into())?;
    let name = std::str::from_utf8(name).map_err(|_| "a record's name is no UTF-8")?;
    let extra = reader.take(lens[1].into())?;
    reader.take(lens[2].into())?;
    let [len, compressed, offset] = widen(extra, [len, compressed, offset])?;
    if flags & 1 != 0 {
        return Err(Fault::Unsupported(format!("{name} is encrypted")));
    }
    let range = data(bytes, offset, compressed).map_err(|message| format!("{name}: {message}"))?;
    let record = match method {
        0 if len == compressed => Record { range, inflated_len: None },
        0 => return Err(format!("{name}: {compressed} bytes are stored as {len}").into()),
        8 => {
            let len = usize::try_from(len).map_err(|_| "a record's length is absurd")?;
            Record { range, inflated_len: Some(len) }
        }
        _ => return Err(Fault::Unsupported(format!("{name}: compression method {method}"))),
    };
    Ok((name, record))
}

/// Numbers that do not fit 32 bits are all ones there, and stand in an extra field.
fn widen(extra: &[u8], narrow: [u32; 3]) -> Result<[u64; 3], String> {
    let mut wide = narrow.map(u64::from);
    let mut fields = Reader::new(extra, 0);
    while fields.left() >= 4 {
        let (kind, len) = (fields.u16()?, fields.u16()?);
        // Writers leave broken padding behind the fields that they mean.
        let Ok(content) = fields.take(len.into()) else { break };
        if kind == 1 {
            let mut content = Reader::new(content, 0);
            for wide in wide.iter_mut().filter(|wide| **wide == u64::from(u32::MAX)) {
                *wide = content.u64()?;
            }
        }
    }
    Ok(wide)
}

/// Where the bytes of a record lie, behind their own header.
fn data(bytes: &[u8], offset: u64, len: u64) -> Result<Range<usize>, String> {
    let offset = usize::try_from(offset).unwrap_or(usize::MAX);
    let mut header = Reader::new(bytes, offset);
    if header.take(4)? != b"PK\x03\x04" {
        return Err("its header is damaged; get the file again".to_owned());
    }
    header.take(22)?;
    let (name, extra) = (header.u16()?, header.u16()?);
    header.take(u64::from(name) + u64::from(extra))?;
    let start = header.at();
    header.take(len)?;
    Ok(start..header.at())
}

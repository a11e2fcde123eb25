//! What a Parquet file may ask for, looked at before the `parquet` crate believes it.
//!
//! That crate takes memory for what headers claim: elements of lists in the footer, entries of dictionaries, sizes of
//! pages, whatever a gzip stream becomes. Here the footer and the headers of pages are walked (Thrift's compact
//! protocol), and each claim is held against the bytes that are there and against a limit.

use std::io::Read;

/// Structs within structs.
const DEPTH_MAX: usize = 32;
/// Bytes that an element of a list in the footer may become.
const ELEMENT_BYTES: u64 = 256;

/// Why a file is not read.
pub(super) enum Fault {
    /// It contradicts itself.
    Damaged(String),
    /// It asks for more than the limit.
    TooLarge(String),
}

fn damaged<T>(message: impl Into<String>) -> Result<T, Fault> {
    Err(Fault::Damaged(message.into()))
}

/// The part of a file that a column's pages of one row group are in.
pub(super) struct Chunk {
    pub(super) start: u64,
    pub(super) len: u64,
    pub(super) gzip: bool,
}

/// Walks the footer.
pub(super) fn check_footer(file: &[u8], bytes_max: u64) -> Result<(), Fault> {
    let Some((rest, magic)) = file.split_last_chunk::<4>() else {
        return damaged(format!("{} bytes are no Parquet file", file.len()));
    };
    let Some((rest, len)) = rest.split_last_chunk::<4>() else {
        return damaged("it ends before the length of its footer");
    };
    if magic != b"PAR1" || !file.starts_with(b"PAR1") {
        return damaged("it does not begin and end with PAR1");
    }
    let len = u32::from_le_bytes(*len) as usize;
    let Some(start) = rest.len().checked_sub(len) else {
        return damaged(format!("a footer of {len} bytes in a file of {}", file.len()));
    };
    let mut thrift = Thrift { rest: &rest[start..], elements: 0 };
    thrift.skip_struct(0)?;
    let asked = thrift.elements.saturating_mul(ELEMENT_BYTES);
    if asked > bytes_max {
        let elements = thrift.elements;
        return Err(Fault::TooLarge(format!("a footer with lists of {elements} elements")));
    }
    Ok(())
}

/// Walks the headers of a column's pages.
pub(super) fn check_pages(file: &[u8], chunk: &Chunk, bytes_max: u64) -> Result<(), Fault> {
    let range = usize::try_from(chunk.start)
        .ok()
        .zip(usize::try_from(chunk.len).ok())
        .and_then(|(start, len)| file.get(start..start.checked_add(len)?));
    let Some(mut rest) = range else {
        return damaged(format!("pages at {} of {} bytes are not there", chunk.start, chunk.len));
    };
    while !rest.is_empty() {
        let mut thrift = Thrift { rest, elements: 0 };
        let page = thrift.page()?;
        let Some((body, after)) = thrift.rest.split_at_checked(page.packed) else {
            return damaged(format!("a page of {} bytes ends beyond its column", page.packed));
        };
        rest = after;
        if page.size as u64 > bytes_max {
            return Err(Fault::TooLarge(format!("a page of {} bytes", page.size)));
        }
        if page.dictionary && page.values > page.size {
            let (values, size) = (page.values, page.size);
            return damaged(format!("a dictionary of {values} values in {size} bytes"));
        }
        // Their own headers, inside what is compressed, say how much memory is taken.
        if matches!(page.encoding, 6 | 7) {
            return damaged(
                "texts encoded as differences, whose sizes cannot be checked; write them plain or with a dictionary, \
                 or say ParquetReader::trusted of a file of people you know",
            );
        }
        if chunk.gzip && page.compressed {
            let Some(packed) = body.get(page.levels..) else {
                return damaged("levels of a page that end beyond it");
            };
            let limit = (page.size - page.levels.min(page.size)) as u64;
            let mut unpacked = flate2::read::MultiGzDecoder::new(packed).take(limit + 1);
            let len = std::io::copy(&mut unpacked, &mut std::io::sink());
            if len.is_ok_and(|len| len > limit) {
                return damaged(format!("a page that is larger than the {limit} bytes it says"));
            }
        }
    }
    Ok(())
}

/// What matters of a page's header.
struct Page {
    /// Bytes in the file.
    packed: usize,
    /// Bytes when unpacked.
    size: usize,
    dictionary: bool,
    values: usize,
    encoding: i64,
    /// Bytes before what is compressed.
    levels: usize,
    compressed: bool,
}

/// A walk through bytes in Thrift's compact protocol.
struct Thrift<'a> {
    rest: &'a [u8],
    /// Of all lists so far.
    elements: u64,
}

const TRUE: u8 = 1;
const FALSE: u8 = 2;
const STRUCT: u8 = 12;

impl Thrift<'_> {
    fn byte(&mut self) -> Result<u8, Fault> {
        let Some((&byte, rest)) = self.rest.split_first() else {
            return damaged("a header that ends within a field");
        };
        self.rest = rest;
        Ok(byte)
    }

    fn skip_bytes(&mut self, count: u64) -> Result<(), Fault> {
        let rest = usize::try_from(count).ok().and_then(|count| self.rest.get(count..));
        let Some(rest) = rest else {
            return damaged("a field that ends beyond its header");
        };
        self.rest = rest;
        Ok(())
    }

    fn varint(&mut self) -> Result<u64, Fault> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        damaged("a number of more than ten bytes")
    }

    fn integer(&mut self) -> Result<i64, Fault> {
        let number = self.varint()?;
        Ok((number >> 1) as i64 ^ -((number & 1) as i64))
    }

    /// The next field's number and type; none at the end of the struct.
    fn field(&mut self, last: &mut i64) -> Result<Option<u8>, Fault> {
        let head = self.byte()?;
        if head == 0 {
            return Ok(None);
        }
        *last = match head >> 4 {
            0 => self.integer()?,
            step => last.saturating_add(i64::from(step)),
        };
        Ok(Some(head & 0xf))
    }

    fn skip_struct(&mut self, depth: usize) -> Result<(), Fault> {
        if depth > DEPTH_MAX {
            return damaged(format!("structs within structs, {DEPTH_MAX} deep"));
        }
        let mut last = 0;
        while let Some(kind) = self.field(&mut last)? {
            // The value of a truth is its type.
            if !matches!(kind, TRUE | FALSE) {
                self.skip(kind, depth)?;
            }
        }
        Ok(())
    }

    fn skip(&mut self, kind: u8, depth: usize) -> Result<(), Fault> {
        match kind {
            TRUE | FALSE | 3 => self.skip_bytes(1),
            4..=6 => self.varint().map(|_| ()),
            7 => self.skip_bytes(8),
            8 => {
                let len = self.varint()?;
                self.skip_bytes(len)
            }
            9 | 10 => self.skip_list(depth + 1),
            11 => self.skip_map(depth + 1),
            STRUCT => self.skip_struct(depth + 1),
            13 => self.skip_bytes(16),
            kind => damaged(format!("a field of type {kind}")),
        }
    }

    /// Every element takes a byte at least, so a number of them beyond the bytes is none.
    fn elements(&mut self, count: u64) -> Result<(), Fault> {
        if count > self.rest.len() as u64 {
            return damaged(format!("a list of {count} elements in {} bytes", self.rest.len()));
        }
        self.elements += count;
        Ok(())
    }

    fn skip_list(&mut self, depth: usize) -> Result<(), Fault> {
        if depth > DEPTH_MAX {
            return damaged(format!("lists within lists, {DEPTH_MAX} deep"));
        }
        let head = self.byte()?;
        let count = match head >> 4 {
            15 => self.varint()?,
            count => u64::from(count),
        };
        self.elements(count)?;
        (0..count).try_for_each(|_| self.skip(head & 0xf, depth))
    }

    fn skip_map(&mut self, depth: usize) -> Result<(), Fault> {
        if depth > DEPTH_MAX {
            return damaged(format!("maps within maps, {DEPTH_MAX} deep"));
        }
        let count = self.varint()?;
        if count == 0 {
            return Ok(());
        }
        let kinds = self.byte()?;
        self.elements(count)?;
        for _ in 0..count {
            self.skip(kinds >> 4, depth)?;
            self.skip(kinds & 0xf, depth)?;
        }
        Ok(())
    }

    fn size(&mut self, what: &str) -> Result<usize, Fault> {
        let number = self.integer()?;
        // The crate keeps them in 32 bits.
        match i32::try_from(number).ok().and_then(|number| usize::try_from(number).ok()) {
            Some(size) => Ok(size),
            None => damaged(format!("{what} of {number}")),
        }
    }

    fn page(&mut self) -> Result<Page, Fault> {
        let mut page = Page {
            packed: 0,
            size: 0,
            dictionary: false,
            values: 0,
            encoding: 0,
            levels: 0,
            compressed: true,
        };
        let mut last = 0;
        while let Some(kind) = self.field(&mut last)? {
            match (last, kind) {
                (2, 5) => page.size = self.size("a page's size")?,
                (3, 5) => page.packed = self.size("a page's size in the file")?,
                (5 | 7 | 8, STRUCT) => {
                    page.dictionary = last == 7;
                    self.page_kind(&mut page, last == 8)?;
                }
                (_, TRUE | FALSE) => {}
                (_, kind) => self.skip(kind, 0)?,
            }
        }
        Ok(page)
    }

    /// The header within a header that is of its kind of page.
    fn page_kind(&mut self, page: &mut Page, second_version: bool) -> Result<(), Fault> {
        let encoding_field = if second_version { 4 } else { 2 };
        let mut last = 0;
        while let Some(kind) = self.field(&mut last)? {
            match (last, kind) {
                (1, 5) => page.values = self.size("a page's number of values")?,
                (field, 5) if field == encoding_field => page.encoding = self.integer()?,
                (5 | 6, 5) if second_version => {
                    page.levels = page.levels.saturating_add(self.size("bytes of levels")?);
                }
                (7, TRUE | FALSE) if second_version => page.compressed = kind == TRUE,
                (_, TRUE | FALSE) => {}
                (_, kind) => self.skip(kind, 1)?,
            }
        }
        Ok(())
    }
}

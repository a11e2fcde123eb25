//! NumPy's `.npy` and `.npz`: an array behind a header that is a dictionary of Python, and a zip archive of such.
//!
//! Arrays of pickled objects, texts and records are listed and cannot be read.

use std::io::Read;

use crate::contents::{Contents, Located, Part, Place, TENSORS_MAX};
use crate::deflated::{Deflated, GROWTH_MAX};
use crate::error::Fault;
use crate::reader::Reader;
use crate::zip::{Archive, Record};
use crate::{Entry, Stored, entry};

const MAGIC: &[u8] = b"\x93NUMPY";

/// The longest header; NumPy itself refuses longer ones.
const HEADER_BYTES_MAX: u64 = 10_000;
/// What stands before the header.
const PREFIX_BYTES_MAX: u64 = 12;

/// True for one array.
pub(crate) fn recognise(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC)
}

/// True for the name of an array in an archive.
fn is_array(name: &str) -> bool {
    name.ends_with(".npy")
}

/// True for archives that have an array and nothing of PyTorch's.
pub(crate) fn recognise_archive(bytes: &[u8]) -> bool {
    bytes.starts_with(b"PK")
        && Archive::new(bytes).is_ok_and(|archive| {
            let mut names = archive.records.keys();
            names.clone().any(|name| is_array(name))
                && !names.any(|name| name.ends_with("data.pkl"))
        })
}

/// Lists the one array of a file, which is called `tensor`.
pub(crate) fn parse(bytes: &[u8]) -> Result<Contents, Fault> {
    let header = Header::read(bytes)?;
    let mut contents = Contents::default();
    let located = header.locate(Part::File, 0, bytes.len())?;
    contents.tensors.insert("tensor".to_owned(), located);
    Ok(contents)
}

/// Lists the arrays of an archive by their names without `.npy`.
pub(crate) fn parse_archive(bytes: &[u8]) -> Result<Contents, Fault> {
    let archive = Archive::new(bytes)?;
    let mut contents = Contents::default();
    let mut inflated = 0usize;
    for (name, record) in archive.records.iter().filter(|(name, _)| is_array(name)) {
        let located =
            array(bytes, record, &mut contents.deflated).map_err(|fault| fault.within(name))?;
        inflated = inflated.saturating_add(record.inflated_len.unwrap_or(0));
        if inflated > bytes.len().saturating_mul(GROWTH_MAX) {
            let message =
                format!("its arrays would inflate to {inflated} bytes; save it by numpy.savez");
            return Err(message.into());
        }
        contents.tensors.insert(name.trim_end_matches(".npy").to_owned(), located);
        if contents.tensors.len() > TENSORS_MAX {
            return Err(format!("more than {TENSORS_MAX} arrays").into());
        }
    }
    Ok(contents)
}

fn array(bytes: &[u8], record: &Record, deflated: &mut Vec<Deflated>) -> Result<Located, Fault> {
    let Some(len) = record.inflated_len else {
        let header = Header::read(&bytes[record.range.clone()])?;
        return Ok(header.locate(Part::File, record.range.start, record.range.end)?);
    };
    let mut start = Vec::new();
    flate2::read::DeflateDecoder::new(&bytes[record.range.clone()])
        .take(HEADER_BYTES_MAX + PREFIX_BYTES_MAX)
        .read_to_end(&mut start)
        .map_err(|error| format!("a compressed part is damaged: {error}"))?;
    let header = Header::read(&start)?;
    deflated.push(Deflated::new(record.range.clone(), len));
    Ok(header.locate(Part::Deflated(deflated.len() - 1), 0, len)?)
}

/// What stands before the elements.
struct Header {
    shape: Vec<usize>,
    stored: Stored,
    fortran: bool,
    /// Where the elements begin.
    len: usize,
}

impl Header {
    fn read(bytes: &[u8]) -> Result<Header, Fault> {
        let mut reader = Reader::new(bytes, 0);
        if reader.take(6)? != MAGIC {
            return Err("no array of NumPy; get it again".into());
        }
        let (major, _minor) = (reader.u8()?, reader.u8()?);
        let len = match major {
            1 => u64::from(reader.u16()?),
            2 | 3 => u64::from(reader.u32()?),
            _ => return Err(Fault::Unsupported(format!("version {major} of NumPy's format"))),
        };
        if len > HEADER_BYTES_MAX {
            return Err(format!("a header of {len} bytes is absurd").into());
        }
        let text = std::str::from_utf8(reader.take(len)?).map_err(|_| "the header is no text")?;
        let field = |name: &str| {
            let at = text.find(&format!("'{name}':"));
            let rest = at.map(|at| text[at + name.len() + 3..].trim_start());
            rest.ok_or_else(|| format!("the header has no {name}"))
        };
        let fortran = field("fortran_order")?.starts_with("True");
        Ok(Header {
            shape: shape(field("shape")?)?,
            stored: stored(field("descr")?)?,
            fortran,
            len: reader.at(),
        })
    }

    /// The array in a part, from `start` to `end`.
    fn locate(self, part: Part, start: usize, end: usize) -> Result<Located, String> {
        let Header { shape, stored, fortran, len } = self;
        let count =
            entry::count(&shape).ok_or_else(|| format!("a shape of {shape:?} is absurd"))?;
        let place = match stored.size() {
            None => None,
            Some(size) => {
                let start = start + len;
                let range = start..start.saturating_add(count * size);
                if range.end > end {
                    let left = end.saturating_sub(start);
                    let bytes = count * size;
                    return Err(format!(
                        "{bytes} bytes are expected, {left} are there; get it again"
                    ));
                }
                let strides =
                    (fortran && shape.len() > 1 && count > 0).then(|| column_major(&shape));
                Some(Place { part, range, strides })
            }
        };
        Ok(Located::new(Entry { shape, stored }, place))
    }
}

fn column_major(shape: &[usize]) -> Vec<usize> {
    let mut next = 1;
    shape
        .iter()
        .map(|size| {
            let stride = next;
            next *= size;
            stride
        })
        .collect()
}

/// `(2, 3), ...` as sizes; Python 2 wrote an `L` behind them.
fn shape(text: &str) -> Result<Vec<usize>, String> {
    let wrong = || "the shape in the header is damaged".to_owned();
    let inner = text.strip_prefix('(').and_then(|text| text.split_once(')')).ok_or_else(wrong)?.0;
    let sizes = inner.split(',').map(|size| size.trim().trim_end_matches('L'));
    let sizes = sizes.filter(|size| !size.is_empty()).map(|size| size.parse().map_err(|_| wrong()));
    let sizes: Vec<usize> = sizes.collect::<Result<_, String>>()?;
    // NumPy has at most 64 axes.
    if sizes.len() > 64 { Err(wrong()) } else { Ok(sizes) }
}

/// `'<f4', ...` as the kind of the elements.
fn stored(text: &str) -> Result<Stored, String> {
    let Some(quote) = text.chars().next().filter(|sign| matches!(sign, '\'' | '"')) else {
        return Ok(Stored::Other("record".to_owned()));
    };
    let kind = text[1..].split_once(quote).ok_or("the type in the header is damaged")?.0;
    // One byte has no order; what the machine that wrote it has was little-endian.
    Ok(match kind.trim_start_matches(['<', '|', '=']) {
        "f4" => Stored::F32,
        "f8" => Stored::F64,
        "f2" => Stored::F16,
        "i1" => Stored::I8,
        "i2" => Stored::I16,
        "i4" => Stored::I32,
        "i8" => Stored::I64,
        "u1" => Stored::U8,
        "u2" => Stored::U16,
        "u4" => Stored::U32,
        "u8" => Stored::U64,
        "b1" | "?" => Stored::Bool,
        _ => Stored::Other(format!("NumPy's {kind}")),
    })
}

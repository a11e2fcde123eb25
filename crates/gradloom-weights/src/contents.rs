//! [`Contents`]: what a parser found in one file, the same for every format.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;

use crate::deflated::Deflated;
use crate::error::Fault;
use crate::scale::Meaning;
use crate::{Entry, Stored, Value, entry};

/// The largest number of tensors in a file.
pub(crate) const TENSORS_MAX: usize = 1 << 20;

/// The tensors of one file and what it says beside them.
#[derive(Default)]
pub(crate) struct Contents {
    pub(crate) tensors: BTreeMap<String, Located>,
    pub(crate) metadata: BTreeMap<String, Value>,
    /// Parts of the file that are compressed.
    pub(crate) deflated: Vec<Deflated>,
}

/// A tensor and where it lies; `None` if its elements are of an unknown kind.
pub(crate) struct Located {
    pub(crate) entry: Entry,
    pub(crate) place: Option<Place>,
    pub(crate) meaning: Meaning,
}

impl Located {
    /// Elements that stand for themselves.
    pub(crate) fn new(entry: Entry, place: Option<Place>) -> Self {
        Located { entry, place, meaning: Meaning::Itself }
    }
}

/// Where elements lie. Parsers have checked that the range is within the part and has room for the
/// shape at the strides.
#[derive(Clone)]
pub(crate) struct Place {
    pub(crate) part: Part,
    /// From the first element's first byte to the last element's end.
    pub(crate) range: Range<usize>,
    /// In elements; `None` for row-major order without gaps.
    pub(crate) strides: Option<Vec<usize>>,
}

/// What a range counts in.
#[derive(Clone, Copy)]
pub(crate) enum Part {
    /// The file.
    File,
    /// One of the compressed parts, inflated.
    Deflated(usize),
}

impl Contents {
    /// The elements of a tensor in row-major order, as the file has them.
    pub(crate) fn bytes<'a>(
        &'a self,
        file: &'a [u8],
        located: &Located,
    ) -> Result<Cow<'a, [u8]>, Fault> {
        let stored = &located.entry.stored;
        let Some(place) = &located.place else {
            return Err(Fault::Unsupported(unreadable(stored)));
        };
        let part = match place.part {
            Part::File => file,
            Part::Deflated(index) => self.deflated[index].bytes(file)?,
        };
        let bytes = part.get(place.range.clone()).ok_or("the data end before the tensor does")?;
        match (&place.strides, stored.size()) {
            (Some(strides), Some(size)) => Ok(gather(bytes, &located.entry.shape, strides, size)),
            _ => Ok(bytes.into()),
        }
    }
}

/// Why elements cannot be read, and what to do.
fn unreadable(stored: &Stored) -> String {
    let advice = match stored.name() {
        "sparse" => "save it after to_dense()",
        "quantized" => "save it after dequantize()",
        "meta" => "it has no elements; save the model after its weights were loaded",
        "nested" => "save it after to_padded_tensor()",
        "tensor of an unknown class" => "save it as a plain tensor",
        name => return format!("elements of type {name} are not supported"),
    };
    format!("a tensor of kind {stored}, which cannot be read; {advice}")
}

/// Where a tensor without gaps lies, if it fits.
pub(crate) fn place(
    shape: &[usize],
    stored: &Stored,
    start: usize,
    len: usize,
) -> Result<Option<Place>, String> {
    let count = entry::count(shape).ok_or_else(|| format!("a shape of {shape:?} is absurd"))?;
    let bytes = match stored {
        Stored::Blocks(format) => {
            let columns = shape.last().copied().unwrap_or(1);
            if !columns.is_multiple_of(format.elements()) {
                let elements = format.elements();
                return Err(format!(
                    "rows of {columns} are no whole {format} blocks of {elements}"
                ));
            }
            count / format.elements() * format.bytes()
        }
        stored => match stored.size() {
            Some(size) => count * size,
            None => return Ok(None),
        },
    };
    let end = start.checked_add(bytes).filter(|&end| end <= len).ok_or_else(|| {
        format!(
            "{bytes} bytes should be at byte {start} of {len}: damaged or cut short; get it again"
        )
    })?;
    Ok(Some(Place { part: Part::File, range: start..end, strides: None }))
}

/// Elements at strides, in row-major order. The caller has checked the bounds.
fn gather<'a>(bytes: &[u8], shape: &[usize], strides: &[usize], size: usize) -> Cow<'a, [u8]> {
    let count: usize = shape.iter().product();
    let mut gathered = Vec::with_capacity(count * size);
    let mut index = vec![0; shape.len()];
    for _ in 0..count {
        let at: usize = index.iter().zip(strides).map(|(index, stride)| index * stride).sum();
        gathered.extend_from_slice(&bytes[at * size..(at + 1) * size]);
        for axis in (0..shape.len()).rev() {
            index[axis] += 1;
            if index[axis] < shape[axis] {
                break;
            }
            index[axis] = 0;
        }
    }
    gathered.into()
}

//! IDX, the format of MNIST: two zero bytes, an element type, the number of axes, big-endian sizes,
//! then the elements in row-major order, big-endian.
//!
//! The whole array is read at once: the published files fit in memory many times over.

use std::io::Write;

use crate::source::Input;
use crate::{Error, ImageDataset, Result, Source, error};
use gradloom_tensor::RANK_MAX;

/// An array read from an IDX file.
#[derive(Clone, Debug, PartialEq)]
pub struct IdxArray {
    shape: Vec<usize>,
    elements: IdxElements,
}

/// The elements of an [`IdxArray`], by their type in the file.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum IdxElements {
    /// Type byte `0x08`.
    U8(Vec<u8>),
    /// Type byte `0x09`.
    I8(Vec<i8>),
    /// Type byte `0x0b`.
    I16(Vec<i16>),
    /// Type byte `0x0c`.
    I32(Vec<i32>),
    /// Type byte `0x0d`.
    F32(Vec<f32>),
    /// Type byte `0x0e`.
    F64(Vec<f64>),
}

impl IdxElements {
    /// Number of elements.
    pub fn len(&self) -> usize {
        match self {
            IdxElements::U8(values) => values.len(),
            IdxElements::I8(values) => values.len(),
            IdxElements::I16(values) => values.len(),
            IdxElements::I32(values) => values.len(),
            IdxElements::F32(values) => values.len(),
            IdxElements::F64(values) => values.len(),
        }
    }

    /// True without elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn type_byte(&self) -> u8 {
        match self {
            IdxElements::U8(_) => 0x08,
            IdxElements::I8(_) => 0x09,
            IdxElements::I16(_) => 0x0b,
            IdxElements::I32(_) => 0x0c,
            IdxElements::F32(_) => 0x0d,
            IdxElements::F64(_) => 0x0e,
        }
    }
}

impl IdxArray {
    /// An array from its parts, to write.
    ///
    /// # Errors
    /// If the shape does not fit the number of elements, has more than 8 axes, or a size that 32 bits
    /// cannot hold.
    pub fn new(shape: Vec<usize>, elements: IdxElements) -> Result<Self> {
        let count = shape.iter().try_fold(1usize, |product, &size| product.checked_mul(size));
        let sizes_fit = shape.iter().all(|&size| u32::try_from(size).is_ok());
        if count != Some(elements.len()) || !sizes_fit || shape.len() > RANK_MAX {
            let len = elements.len();
            return Err(Error::invalid(format!("idx: {len} elements do not make {shape:?}")));
        }
        Ok(IdxArray { shape, elements })
    }

    /// Sizes of the axes.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The elements in row-major order.
    pub fn elements(&self) -> &IdxElements {
        &self.elements
    }

    /// The shape and the elements.
    pub fn into_parts(self) -> (Vec<usize>, IdxElements) {
        (self.shape, self.elements)
    }

    /// Reads an IDX file, plain or gzipped.
    ///
    /// # Errors
    /// If it is not one, ends too early, goes on after its elements, or is larger than the source's
    /// limit.
    pub fn read<'a>(source: impl Into<Source<'a>>) -> Result<IdxArray> {
        read_open(&mut source.into().open()?)
    }

    /// Writes the array as an IDX file.
    ///
    /// # Errors
    /// Whatever the writer reports.
    pub fn write(&self, writer: &mut dyn Write) -> std::io::Result<()> {
        writer.write_all(&[0, 0, self.elements.type_byte(), self.shape.len() as u8])?;
        for &size in &self.shape {
            writer.write_all(&(size as u32).to_be_bytes())?;
        }
        match &self.elements {
            IdxElements::U8(values) => writer.write_all(values),
            IdxElements::I8(values) => write_each(writer, values, |value| value.to_be_bytes()),
            IdxElements::I16(values) => write_each(writer, values, |value| value.to_be_bytes()),
            IdxElements::I32(values) => write_each(writer, values, |value| value.to_be_bytes()),
            IdxElements::F32(values) => write_each(writer, values, |value| value.to_be_bytes()),
            IdxElements::F64(values) => write_each(writer, values, |value| value.to_be_bytes()),
        }
    }
}

fn write_each<T: Copy, const N: usize>(
    writer: &mut dyn Write,
    values: &[T],
    bytes: fn(T) -> [u8; N],
) -> std::io::Result<()> {
    let packed: Vec<u8> = values.iter().flat_map(|&value| bytes(value)).collect();
    writer.write_all(&packed)
}

fn read_open(input: &mut Input<'_>) -> Result<IdxArray> {
    let magic = input.exactly(4, &|| "an IDX header has at least 4 bytes".to_owned())?;
    let (element_size, rank) = match magic[..] {
        [0, 0, kind @ (0x08 | 0x09), rank] => (kind_size(kind), rank),
        [0, 0, kind @ 0x0b..=0x0e, rank] => (kind_size(kind), rank),
        _ => {
            return Err(error::malformed(
                input.name(),
                0,
                format!(
                    "not an IDX file: it begins with {magic:02x?}, expected two zero bytes, a type \
                     (08, 09, 0b..0e) and the number of axes"
                ),
            ));
        }
    };
    let rank = usize::from(rank);
    if rank > RANK_MAX {
        return Err(error::malformed(
            input.name(),
            3,
            format!("{rank} axes declared, at most {RANK_MAX} are supported"),
        ));
    }
    let sizes = input.exactly(4 * rank as u64, &|| format!("the header declares {rank} axes"))?;
    let shape: Vec<usize> = sizes
        .chunks_exact(4)
        .map(|word| u32::from_be_bytes([word[0], word[1], word[2], word[3]]) as usize)
        .collect();
    let bytes_len = shape
        .iter()
        .try_fold(element_size as u64, |product, &size| product.checked_mul(size as u64))
        .ok_or_else(|| {
            error::malformed(input.name(), 4, format!("the sizes {shape:?} overflow 64 bits"))
        })?;
    let declared = || format!("the header declares {shape:?} elements, {bytes_len} bytes");
    let bytes = input.exactly(bytes_len, &declared)?;
    input.end(&declared)?;
    let elements = match magic[2] {
        0x08 => IdxElements::U8(bytes),
        0x09 => IdxElements::I8(parse_each(&bytes, i8::from_be_bytes)),
        0x0b => IdxElements::I16(parse_each(&bytes, i16::from_be_bytes)),
        0x0c => IdxElements::I32(parse_each(&bytes, i32::from_be_bytes)),
        0x0d => IdxElements::F32(parse_each(&bytes, f32::from_be_bytes)),
        _ => IdxElements::F64(parse_each(&bytes, f64::from_be_bytes)),
    };
    Ok(IdxArray { shape, elements })
}

fn kind_size(kind: u8) -> usize {
    match kind {
        0x0b => 2,
        0x0c | 0x0d => 4,
        0x0e => 8,
        _ => 1,
    }
}

fn parse_each<T, const N: usize>(bytes: &[u8], parse: fn([u8; N]) -> T) -> Vec<T> {
    bytes.as_chunks::<N>().0.iter().map(|&chunk| parse(chunk)).collect()
}

/// Reads a pair of IDX files: bytes `[N, H, W]` (or `[N, C, H, W]`) and `N` byte labels.
///
/// # Errors
/// As [`IdxArray::read`], and if the arrays are of other types or shapes, or their counts differ.
pub fn read_images<'a, 'b>(
    images: impl Into<Source<'a>>,
    labels: impl Into<Source<'b>>,
) -> Result<ImageDataset> {
    let (mut images, mut labels) = (images.into().open()?, labels.into().open()?);
    let (shape, pixels) = read_open(&mut images)?.into_parts();
    let (size, pixels) = match (&shape[..], pixels) {
        (&[_, height, width], IdxElements::U8(pixels)) => ([1, height, width], pixels),
        (&[_, channels, height, width], IdxElements::U8(pixels)) => {
            ([channels, height, width], pixels)
        }
        (shape, _) => {
            return Err(error::malformed(
                images.name(),
                4,
                format!("an array of shape {shape:?} holds no images; expected bytes [N, H, W]"),
            ));
        }
    };
    let (label_shape, label_bytes) = read_open(&mut labels)?.into_parts();
    let label_bytes = match (&label_shape[..], label_bytes) {
        (&[_], IdxElements::U8(bytes)) => bytes,
        (shape, _) => {
            return Err(error::malformed(
                labels.name(),
                4,
                format!("an array of shape {shape:?} holds no labels; expected bytes [N]"),
            ));
        }
    };
    if label_bytes.len() != shape[0] {
        return Err(error::malformed(
            labels.name(),
            4,
            format!(
                "{} labels for the {} images of {}; pair an image file with its own label file",
                label_bytes.len(),
                shape[0],
                images.name()
            ),
        ));
    }
    ImageDataset::new(pixels, size, label_bytes.into_iter().map(i32::from).collect())
        .map_err(|error| error.context(images.name().to_owned()))
}

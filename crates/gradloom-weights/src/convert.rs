//! [`Plan`]: how the elements of a file become those of a tensor.

use std::borrow::Cow;

use crate::Stored;
use gradloom_tensor::{DType, Device, Element, f16};

/// Files are little-endian; this host may not be.
pub(crate) fn little_endian(mut bytes: Vec<u8>, size: usize) -> Vec<u8> {
    if cfg!(target_endian = "big") {
        bytes.chunks_exact_mut(size).for_each(<[u8]>::reverse);
    }
    bytes
}

/// From the stored type to the dtype that a device has for it.
pub(crate) struct Plan<'a> {
    source: &'a Stored,
    target: DType,
}

impl<'a> Plan<'a> {
    /// For elements of `source` on a device.
    pub(crate) fn new(source: &'a Stored, device: &Device) -> Result<Plan<'a>, String> {
        let capabilities = device.capabilities();
        let target = match source {
            Stored::F32 => DType::F32,
            Stored::BF16 => DType::BF16,
            Stored::F16 if capabilities.f16 => DType::F16,
            Stored::F64 if capabilities.f64 => DType::F64,
            Stored::F16 | Stored::F64 => DType::F32,
            Stored::U8 => DType::U8,
            Stored::Bool => DType::Bool,
            Stored::U32 => DType::U32,
            Stored::I8 | Stored::I16 | Stored::U16 | Stored::I32 | Stored::I64 | Stored::U64 => {
                DType::I32
            }
            Stored::Blocks(_) | Stored::Other(_) => {
                return Err(format!("elements of type {source} are not supported"));
            }
        };
        Ok(Plan { source, target })
    }

    /// Element type of the tensor.
    pub(crate) fn dtype(&self) -> DType {
        self.target
    }

    /// The tensor's elements in host order from the file's.
    pub(crate) fn convert<'b>(&self, bytes: Cow<'b, [u8]>) -> Result<Cow<'b, [u8]>, String> {
        let bytes = match self.source.size() {
            Some(size) if cfg!(target_endian = "big") && size > 1 => {
                little_endian(bytes.into_owned(), size).into()
            }
            _ => bytes,
        };
        Ok(match self.source {
            Stored::F64 if self.target == DType::F32 => {
                each(&bytes, |value| f64::from_ne_bytes(value) as f32)
            }
            Stored::F16 if self.target == DType::F32 => {
                each(&bytes, |value| f16::from_ne_bytes(value).to_f32())
            }
            Stored::I64 => checked(&bytes, i64::from_ne_bytes)?,
            Stored::U64 => checked(&bytes, u64::from_ne_bytes)?,
            Stored::I8 => each(&bytes, |value| i32::from(i8::from_ne_bytes(value))),
            Stored::I16 => each(&bytes, |value| i32::from(i16::from_ne_bytes(value))),
            Stored::U16 => each(&bytes, |value| i32::from(u16::from_ne_bytes(value))),
            Stored::Bool => bytes.iter().map(|&byte| u8::from(byte != 0)).collect(),
            _ => bytes,
        })
    }
}

fn each<const N: usize, T: Element>(
    bytes: &[u8],
    convert: impl Fn([u8; N]) -> T,
) -> Cow<'static, [u8]> {
    let values: Vec<T> = bytes.as_chunks::<N>().0.iter().map(|&value| convert(value)).collect();
    T::to_bytes(&values).into_owned().into()
}

/// Into `i32`, or an error that names the first element that does not fit.
fn checked<const N: usize, T: Copy + std::fmt::Display + TryInto<i32>>(
    bytes: &[u8],
    parse: fn([u8; N]) -> T,
) -> Result<Cow<'static, [u8]>, String> {
    let values = bytes.as_chunks::<N>().0.iter().enumerate().map(|(index, &chunk)| {
        let value = parse(chunk);
        value.try_into().map_err(|_| format!("element {index} is {value}, too large for i32"))
    });
    let values = values.collect::<Result<Vec<i32>, String>>()?;
    Ok(i32::to_bytes(&values).into_owned().into())
}

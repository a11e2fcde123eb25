//! [`Plan`]: how the elements of a file become those of a tensor.

use std::borrow::Cow;

use crate::Stored;
use gradloom_tensor::{DType, Device, Element, bf16, f16};

/// Files are little-endian; this host may not be.
pub(crate) fn little_endian(mut bytes: Vec<u8>, size: usize) -> Vec<u8> {
    if cfg!(target_endian = "big") {
        bytes.chunks_exact_mut(size).for_each(<[u8]>::reverse);
    }
    bytes
}

/// What becomes of 64-bit integers in files, which most files use for small numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WideIntegers {
    /// They become `i32`, on every device the same; one that does not fit is an error.
    #[default]
    Narrowed,
    /// They become `i64`, which only the CPU has; unsigned ones that do not fit are an error.
    Kept,
}

/// From the stored type to the dtype that a device has for it.
pub(crate) struct Plan<'a> {
    source: &'a Stored,
    target: DType,
}

impl<'a> Plan<'a> {
    /// For elements of `source` on a device.
    pub(crate) fn new(
        source: &'a Stored,
        wide: WideIntegers,
        floats_as_f32: bool,
        device: &Device,
    ) -> Result<Plan<'a>, String> {
        let capabilities = device.capabilities();
        let target = match source {
            Stored::F32 => DType::F32,
            Stored::BF16 | Stored::F16 | Stored::F64 if floats_as_f32 => DType::F32,
            Stored::BF16 => DType::BF16,
            Stored::F16 if capabilities.f16 => DType::F16,
            Stored::F64 if capabilities.f64 => DType::F64,
            Stored::F16 | Stored::F64 => DType::F32,
            Stored::U8 => DType::U8,
            Stored::Bool => DType::Bool,
            Stored::U32 => DType::U32,
            Stored::I8 => DType::I8,
            Stored::I64 | Stored::U64 if wide == WideIntegers::Kept => DType::I64,
            Stored::I16 | Stored::U16 | Stored::I32 | Stored::I64 | Stored::U64 => DType::I32,
            Stored::ScaledU8 | Stored::ScaledU16 | Stored::Blocks(_) | Stored::Other(_) => {
                return Err(format!("elements of type {source} are not supported"));
            }
        };
        Ok(Plan { source, target })
    }

    /// From elements of `source` to a dtype that [`Plan::new`] has found for them.
    pub(crate) fn between(source: &'a Stored, target: DType) -> Plan<'a> {
        Plan { source, target }
    }

    /// True if the elements in the file are those of the tensor as they are.
    pub(crate) fn changes_nothing(&self) -> bool {
        // Any byte but zero is a truth in files.
        let same = *self.source == Stored::from(self.target) && *self.source != Stored::Bool;
        same && (cfg!(target_endian = "little") || self.source.size() == Some(1))
    }

    /// True if there are elements that do not fit the tensor's dtype.
    pub(crate) fn may_fail(&self) -> bool {
        match self.source {
            Stored::I64 => self.target != DType::I64,
            Stored::U64 => true,
            _ => false,
        }
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
            Stored::BF16 if self.target == DType::F32 => {
                each(&bytes, |value| bf16::from_ne_bytes(value).to_f32())
            }
            Stored::I64 if self.target == DType::I64 => bytes,
            Stored::I64 => checked::<8, i64, i32>(&bytes, i64::from_ne_bytes)?,
            Stored::U64 if self.target == DType::I64 => {
                checked::<8, u64, i64>(&bytes, u64::from_ne_bytes)?
            }
            Stored::U64 => checked::<8, u64, i32>(&bytes, u64::from_ne_bytes)?,
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

/// Into narrower integers, or an error that names the first element that does not fit.
fn checked<const N: usize, T: Copy + std::fmt::Display + TryInto<R>, R: Element>(
    bytes: &[u8],
    parse: fn([u8; N]) -> T,
) -> Result<Cow<'static, [u8]>, String> {
    let values = bytes.as_chunks::<N>().0.iter().enumerate().map(|(index, &chunk)| {
        let value = parse(chunk);
        value.try_into().map_err(|_| {
            let advice = match R::DTYPE {
                DType::I32 => "; WideIntegers::Kept reads i64 on the CPU",
                _ => "",
            };
            format!("element {index} is {value}, too large for {}{advice}", R::DTYPE)
        })
    });
    let values = values.collect::<Result<Vec<R>, String>>()?;
    Ok(R::to_bytes(&values).into_owned().into())
}

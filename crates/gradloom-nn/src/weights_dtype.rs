//! Dtypes of weight files and of tensors, and the conversions between them on load.

use ::safetensors::Dtype;
use gradloom_tensor::{DType, Device, Element, f16};

/// How a dtype is called in files.
pub(crate) fn stored(dtype: DType) -> Dtype {
    match dtype {
        DType::F32 => Dtype::F32,
        DType::F64 => Dtype::F64,
        DType::F16 => Dtype::F16,
        DType::BF16 => Dtype::BF16,
        DType::I32 => Dtype::I32,
        DType::U32 => Dtype::U32,
        DType::U8 => Dtype::U8,
        DType::Bool => Dtype::BOOL,
    }
}

/// Files are little-endian; this host may not be.
pub(crate) fn little_endian(mut bytes: Vec<u8>, dtype: DType) -> Vec<u8> {
    if cfg!(target_endian = "big") {
        bytes.chunks_exact_mut(dtype.size()).for_each(<[u8]>::reverse);
    }
    bytes
}

/// How the elements of a file become those of a tensor.
pub(crate) struct Plan {
    source: Dtype,
    target: DType,
}

impl Plan {
    /// For elements of `source` on a device.
    pub(crate) fn new(source: Dtype, device: &Device) -> Result<Plan, String> {
        let capabilities = device.capabilities();
        let target = match source {
            Dtype::F32 => DType::F32,
            Dtype::BF16 => DType::BF16,
            Dtype::F16 if capabilities.f16 => DType::F16,
            Dtype::F64 if capabilities.f64 => DType::F64,
            Dtype::F16 | Dtype::F64 => DType::F32,
            Dtype::U8 => DType::U8,
            Dtype::BOOL => DType::Bool,
            Dtype::U32 => DType::U32,
            Dtype::I8 | Dtype::I16 | Dtype::U16 | Dtype::I32 | Dtype::I64 | Dtype::U64 => {
                DType::I32
            }
            other => return Err(format!("elements of type {other} are not supported")),
        };
        Ok(Plan { source, target })
    }

    /// Element type of the tensor.
    pub(crate) fn dtype(&self) -> DType {
        self.target
    }

    /// The tensor's elements in host order from the file's.
    pub(crate) fn convert(&self, mut bytes: Vec<u8>) -> Result<Vec<u8>, String> {
        if cfg!(target_endian = "big") {
            bytes.chunks_exact_mut(self.source.bitsize() / 8).for_each(<[u8]>::reverse);
        }
        match self.source {
            Dtype::F64 if self.target == DType::F32 => {
                Ok(each(&bytes, |value| f64::from_ne_bytes(value) as f32))
            }
            Dtype::F16 if self.target == DType::F32 => {
                Ok(each(&bytes, |value| f16::from_ne_bytes(value).to_f32()))
            }
            Dtype::I64 => checked(&bytes, i64::from_ne_bytes),
            Dtype::U64 => checked(&bytes, u64::from_ne_bytes),
            Dtype::I8 => Ok(each(&bytes, |value| i32::from(i8::from_ne_bytes(value)))),
            Dtype::I16 => Ok(each(&bytes, |value| i32::from(i16::from_ne_bytes(value)))),
            Dtype::U16 => Ok(each(&bytes, |value| i32::from(u16::from_ne_bytes(value)))),
            Dtype::BOOL => {
                bytes.iter_mut().for_each(|byte| *byte = u8::from(*byte != 0));
                Ok(bytes)
            }
            _ => Ok(bytes),
        }
    }
}

fn each<const N: usize, T: Element>(bytes: &[u8], convert: impl Fn([u8; N]) -> T) -> Vec<u8> {
    let values: Vec<T> = bytes.as_chunks::<N>().0.iter().map(|&value| convert(value)).collect();
    T::to_bytes(&values).into_owned()
}

/// Into `i32`, or an error that names the first element that does not fit.
fn checked<const N: usize, T: Copy + std::fmt::Display + TryInto<i32>>(
    bytes: &[u8],
    parse: fn([u8; N]) -> T,
) -> Result<Vec<u8>, String> {
    let values = bytes.as_chunks::<N>().0.iter().enumerate().map(|(index, &chunk)| {
        let value = parse(chunk);
        value.try_into().map_err(|_| format!("element {index} is {value}, too large for i32"))
    });
    let values = values.collect::<Result<Vec<i32>, String>>()?;
    Ok(i32::to_bytes(&values).into_owned())
}

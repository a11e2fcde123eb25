//! Elements between host and device: layouts, and the staging buffer that downloads go through.
//!
//! On the device every element is a 32-bit word, but for f16, which is packed. Words hold f32, i32 and
//! u32 as they are, bf16 as the f32 of the same value, i8, u8 and bool as numbers.

use std::borrow::Cow;
use std::sync::{Arc, Mutex, PoisonError};

use gradloom_tensor::{DType, Result};
use half::bf16;

use crate::gpu::{self, Gpu};

/// Most bytes that the staging buffer grows to; larger downloads go in pieces.
const STAGING_MAX: u64 = 64 << 20;

/// Bytes of `len` elements on the device.
pub(crate) fn device_bytes(dtype: DType, len: usize) -> u64 {
    let element = if dtype == DType::F16 { 2 } else { 4 };
    (len as u64 * element).next_multiple_of(4)
}

/// Packed host bytes in device layout.
pub(crate) fn to_device(dtype: DType, bytes: &[u8]) -> Cow<'_, [u8]> {
    match dtype {
        DType::F32 | DType::I32 | DType::U32 | DType::F64 | DType::I64 => Cow::Borrowed(bytes),
        DType::F16 if bytes.len().is_multiple_of(4) => Cow::Borrowed(bytes),
        DType::F16 => {
            let mut padded = bytes.to_vec();
            padded.resize(bytes.len().next_multiple_of(4), 0);
            Cow::Owned(padded)
        }
        DType::BF16 => bytes
            .chunks_exact(2)
            .flat_map(|pair| {
                bf16::from_ne_bytes([pair[0], pair[1]]).to_f32().to_bits().to_ne_bytes()
            })
            .collect(),
        DType::I8 => bytes.iter().flat_map(|&byte| i32::from(byte as i8).to_ne_bytes()).collect(),
        DType::U8 => bytes.iter().flat_map(|&byte| u32::from(byte).to_ne_bytes()).collect(),
        DType::Bool => bytes.iter().flat_map(|&byte| u32::from(byte != 0).to_ne_bytes()).collect(),
    }
}

/// Device bytes as packed host bytes, appended.
fn append_from_device(dtype: DType, bytes: &[u8], host: &mut Vec<u8>) {
    let words = || {
        bytes.chunks_exact(4).map(|word| u32::from_ne_bytes([word[0], word[1], word[2], word[3]]))
    };
    match dtype {
        DType::F32 | DType::I32 | DType::U32 | DType::F64 | DType::I64 | DType::F16 => {
            host.extend_from_slice(bytes);
        }
        DType::BF16 => {
            host.extend(words().flat_map(|word| bf16::from_f32(f32::from_bits(word)).to_ne_bytes()))
        }
        DType::I8 | DType::U8 | DType::Bool => host.extend(words().map(|word| word as u8)),
    }
}

/// The kept buffer that the host reads from.
#[derive(Debug)]
pub(crate) struct Staging {
    gpu: Arc<Gpu>,
    buffer: Mutex<Option<wgpu::Buffer>>,
}

impl Staging {
    pub(crate) fn new(gpu: Arc<Gpu>) -> Self {
        Staging { gpu, buffer: Mutex::default() }
    }

    /// Gives the staging memory back.
    pub(crate) fn trim(&self) {
        *self.buffer.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Copies `len` elements to the host. Gives the host bytes and the number of submissions.
    pub(crate) fn read(
        &self,
        source: &wgpu::Buffer,
        dtype: DType,
        len: usize,
    ) -> Result<(Vec<u8>, u64)> {
        let total = device_bytes(dtype, len);
        let mut host = Vec::with_capacity(len * dtype.size() + 4);
        let mut kept = self.buffer.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut offset, mut submissions) = (0, 0);
        while offset < total {
            let piece = (total - offset).min(STAGING_MAX);
            let staging = self.grown(&mut kept, piece)?;
            let mut encoder = self.gpu.device.create_command_encoder(&Default::default());
            encoder.copy_buffer_to_buffer(source, offset, &staging, 0, piece);
            let mapped = match self.map(encoder, &staging, piece) {
                Ok(mapped) => mapped,
                Err(error) => {
                    // It may be mapped or not; a new one is certain.
                    *kept = None;
                    return Err(error);
                }
            };
            append_from_device(dtype, &mapped, &mut host);
            drop(mapped);
            staging.unmap();
            offset += piece;
            submissions += 1;
        }
        host.truncate(len * dtype.size());
        Ok((host, submissions))
    }

    fn grown(&self, kept: &mut Option<wgpu::Buffer>, bytes: u64) -> Result<wgpu::Buffer> {
        if let Some(buffer) = kept
            && buffer.size() >= bytes
        {
            return Ok(buffer.clone());
        }
        let size = bytes.next_power_of_two().clamp(1 << 16, STAGING_MAX);
        let buffer = self.gpu.scoped("allocating the staging buffer", || {
            self.gpu.device.create_buffer(&wgpu::BufferDescriptor {
                label: Some("gradloom staging"),
                size,
                usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
                mapped_at_creation: false,
            })
        })?;
        *kept = Some(buffer.clone());
        Ok(buffer)
    }

    fn map(
        &self,
        encoder: wgpu::CommandEncoder,
        staging: &wgpu::Buffer,
        bytes: u64,
    ) -> Result<wgpu::BufferView> {
        self.gpu.queue.submit([encoder.finish()]);
        gpu::map_for_reading(&self.gpu, staging, bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::{append_from_device, device_bytes, to_device};
    use gradloom_tensor::DType;

    #[test]
    fn layouts_survive_the_round_trip() {
        for (dtype, bytes) in [
            (DType::F32, vec![1, 2, 3, 4, 5, 6, 7, 8]),
            (DType::U8, vec![0, 1, 200, 255, 7]),
            (DType::I8, vec![0, 1, 200, 255, 127]),
            (DType::Bool, vec![0, 1, 1]),
            (DType::BF16, vec![0x80, 0x3f, 0x00, 0xc0]),
            (DType::F16, vec![0, 0x3c, 0, 0x40, 1, 0]),
        ] {
            let len = bytes.len() / dtype.size();
            let device = to_device(dtype, &bytes);
            assert_eq!(device.len() as u64, device_bytes(dtype, len));
            let mut host = Vec::new();
            append_from_device(dtype, &device, &mut host);
            assert_eq!(host[..bytes.len()], bytes, "{dtype}");
        }
    }
}

//! Elements between host and device, and the staging buffer that downloads go through.
//!
//! On the device elements lie as on the host, packed from the lowest bits of each word; the last word is
//! filled up.

use std::borrow::Cow;
use std::sync::{Arc, Mutex, PoisonError};

use gradloom_tensor::{DType, Result};

use crate::gpu::{self, Gpu};

/// Most bytes that the staging buffer grows to; larger downloads go in pieces.
const STAGING_MAX: u64 = 64 << 20;

/// Bytes of `len` elements on the device.
pub(crate) fn device_bytes(dtype: DType, len: usize) -> u64 {
    (len as u64 * dtype.size() as u64).next_multiple_of(4)
}

/// Host bytes in whole words; truth values as 0 and 1.
pub(crate) fn to_device(dtype: DType, bytes: &[u8]) -> Cow<'_, [u8]> {
    let is_clean = dtype != DType::Bool || bytes.iter().all(|&byte| byte <= 1);
    if is_clean && bytes.len().is_multiple_of(4) {
        return Cow::Borrowed(bytes);
    }
    let mut words = bytes.to_vec();
    if !is_clean {
        words.iter_mut().for_each(|byte| *byte = u8::from(*byte != 0));
    }
    words.resize(bytes.len().next_multiple_of(4), 0);
    Cow::Owned(words)
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
            host.extend_from_slice(&mapped);
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
    use super::{device_bytes, to_device};
    use gradloom_tensor::DType;

    #[test]
    fn the_last_word_is_filled_up() {
        for (dtype, bytes) in [
            (DType::F32, vec![1, 2, 3, 4, 5, 6, 7, 8]),
            (DType::U8, vec![0, 1, 200, 255, 7]),
            (DType::I8, vec![0, 1, 200, 255, 127]),
            (DType::Bool, vec![0, 1, 1]),
            (DType::BF16, vec![0x80, 0x3f, 0x00, 0xc0]),
            (DType::F16, vec![0, 0x3c, 0, 0x40, 1, 0]),
        ] {
            let device = to_device(dtype, &bytes);
            assert_eq!(device.len() as u64, device_bytes(dtype, bytes.len() / dtype.size()));
            assert_eq!(device[..bytes.len()], bytes, "{dtype}");
        }
        assert_eq!(*to_device(DType::Bool, &[0, 7, 255, 1]), [0, 1, 1, 1]);
    }
}

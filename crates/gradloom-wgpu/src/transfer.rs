//! Elements between host and device, and the staging buffers that downloads go through.
//!
//! On the device elements lie as on the host, packed from the lowest bits of each word; the last word is
//! filled up.

use std::borrow::Cow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gradloom_tensor::{DType, Result};

use crate::gpu::Gpu;
use crate::wait::{After, Wait};

/// Most bytes of a staging buffer, and of those that are kept; larger downloads go in pieces.
const STAGING_MAX: u64 = 64 << 20;
/// The smallest staging buffer.
const SMALLEST: u64 = 1 << 12;

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

/// The buffers that the host reads from. One is taken for each read and kept for the next; if the read is
/// given up, it goes with it.
#[derive(Debug)]
pub(crate) struct Staging {
    gpu: Arc<Gpu>,
    kept: Mutex<Vec<wgpu::Buffer>>,
}

impl Staging {
    pub(crate) fn new(gpu: Arc<Gpu>) -> Self {
        Staging { gpu, kept: Mutex::default() }
    }

    /// Gives the staging memory back.
    pub(crate) fn trim(&self) {
        self.kept().clear();
    }

    /// Copies `len` elements to the host. Gives the host bytes and the number of submissions.
    pub(crate) async fn download(
        &self,
        source: &wgpu::Buffer,
        dtype: DType,
        len: usize,
        wait: Wait,
    ) -> Result<(Vec<u8>, u64)> {
        let total = device_bytes(dtype, len);
        let mut host = Vec::with_capacity(len * dtype.size() + 4);
        let (mut offset, mut submissions) = (0, 0);
        while offset < total {
            let piece = (total - offset).min(STAGING_MAX);
            let staging = self.take(piece)?;
            let mut encoder = self.gpu.device.create_command_encoder(&Default::default());
            encoder.copy_buffer_to_buffer(source, offset, &staging, 0, piece);
            let after = Some(self.gpu.queue.submit([encoder.finish()]));
            self.read(staging, piece, after, wait, |bytes| host.extend_from_slice(bytes)).await?;
            offset += piece;
            submissions += 1;
        }
        host.truncate(len * dtype.size());
        Ok((host, submissions))
    }

    /// A buffer of at least so many bytes for a submission to write.
    pub(crate) fn take(&self, bytes: u64) -> Result<wgpu::Buffer> {
        let mut kept = self.kept();
        if let Some(position) = kept.iter().position(|buffer| buffer.size() >= bytes) {
            return Ok(kept.remove(position));
        }
        // A larger one takes the place of one that is too small.
        drop(kept.pop());
        drop(kept);
        self.gpu.scoped("allocating a staging buffer", || {
            self.gpu.device.create_buffer(&wgpu::BufferDescriptor {
                label: Some("gradloom staging"),
                size: bytes.next_power_of_two().clamp(SMALLEST, STAGING_MAX),
                usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
                mapped_at_creation: false,
            })
        })
    }

    /// What `look` makes of the first `bytes` of a buffer that was taken, once a submission has written
    /// them.
    pub(crate) async fn read<T>(
        &self,
        staging: wgpu::Buffer,
        bytes: u64,
        after: After,
        wait: Wait,
        look: impl FnOnce(&[u8]) -> T,
    ) -> Result<T> {
        let seen = look(&self.gpu.mapped(&staging, bytes, after, wait).await?);
        staging.unmap();
        let mut kept = self.kept();
        if kept.iter().map(wgpu::Buffer::size).sum::<u64>() + staging.size() <= STAGING_MAX {
            kept.push(staging);
            // The smallest that is large enough is found first.
            kept.sort_unstable_by_key(wgpu::Buffer::size);
        }
        Ok(seen)
    }

    fn kept(&self) -> MutexGuard<'_, Vec<wgpu::Buffer>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
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

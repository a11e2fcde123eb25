//! A backend that only stores bytes, for tests that compute nothing.

use std::any::Any;
use std::sync::Arc;

use gradloom_tensor::{
    Backend, Buffer, Capabilities, DType, Device, Error, Result, Retention, Statistics, Tensor,
};

struct Storage;

impl Backend for Storage {
    fn name(&self) -> String {
        "storage".to_owned()
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            host: true,
            f16: true,
            f64: true,
            i64: true,
            buffer_bytes_max: 1 << 40,
            subgroup_size: None,
        }
    }

    fn upload(&self, dtype: DType, bytes: &[u8]) -> Result<Buffer> {
        Ok(Buffer::new(Arc::new(bytes.to_vec()), dtype, bytes.len() / dtype.size()))
    }

    fn download(&self, buffer: &Buffer) -> Result<Vec<u8>> {
        buffer.storage::<Vec<u8>>().cloned().ok_or_else(|| Error::backend("no bytes"))
    }

    fn evaluate(&self, _roots: &[Tensor], _retention: Retention) -> Result<()> {
        Err(Error::unsupported("storage computes nothing"))
    }

    fn synchronize(&self) -> Result<()> {
        Ok(())
    }

    fn statistics(&self) -> Statistics {
        Statistics::default()
    }

    fn trim(&self) {}

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// A new device that only stores bytes.
pub fn device() -> Device {
    Device::new(Arc::new(Storage))
}

/// A tensor of the numbers `first`, `first + 1`...
pub fn counting(device: &Device, shape: &[usize], first: f32) -> Tensor {
    let count = shape.iter().product::<usize>();
    let values: Vec<u8> = (0..count).flat_map(|i| (first + i as f32).to_ne_bytes()).collect();
    let buffer = device.backend().upload(DType::F32, &values).expect("storage takes any bytes");
    Tensor::from_buffer(buffer, shape, device)
}

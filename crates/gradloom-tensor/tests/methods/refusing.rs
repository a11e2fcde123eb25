//! A backend that holds elements but computes nothing, so that tests reach everything before it.

use std::any::Any;
use std::sync::Arc;

use gradloom_tensor::{
    Backend, Buffer, Capabilities, DType, Device, Error, Result, Retention, Statistics, Tensor,
};

struct Refusing;

impl Backend for Refusing {
    fn name(&self) -> String {
        "refusing".to_owned()
    }

    fn capabilities(&self) -> Capabilities {
        let buffer_bytes_max = u64::MAX;
        let (host, f16, f64, i64) = (true, true, true, true);
        Capabilities { host, f16, f64, i64, buffer_bytes_max, subgroup_size: None }
    }

    fn upload(&self, dtype: DType, bytes: &[u8]) -> Result<Buffer> {
        Ok(Buffer::new(Arc::new(bytes.to_vec()), dtype, bytes.len() / dtype.size()))
    }

    fn download(&self, buffer: &Buffer) -> Result<Vec<u8>> {
        buffer.storage::<Vec<u8>>().cloned().ok_or_else(|| Error::backend("foreign buffer"))
    }

    fn evaluate(&self, _roots: &[Tensor], _retention: Retention) -> Result<()> {
        Err(Error::backend("this backend computes nothing"))
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

/// A fresh device, different from all others.
pub(crate) fn device() -> Device {
    Device::new(Arc::new(Refusing))
}

/// A leaf of zeros with elements in memory, unlike [`Tensor::zeros`], which is a constant.
pub(crate) fn leaf(shape: &[usize], dtype: DType, device: &Device) -> Tensor {
    let count: usize = shape.iter().product();
    Tensor::from_bytes(dtype, &vec![0; count * dtype.size()], shape, device).unwrap()
}

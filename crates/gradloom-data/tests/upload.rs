//! Batches on a device: a backend that only stores bytes stands in for a real one.

use std::any::Any;
use std::sync::Arc;

use gradloom_data::Batch;
use gradloom_tensor::{
    Backend, Buffer, Capabilities, DType, Device, Error, Result, Retention, Statistics, Tensor,
};

struct Storage {
    full: bool,
}

impl Backend for Storage {
    fn name(&self) -> String {
        "storage".to_owned()
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            host: true,
            f16: false,
            f64: false,
            i64: false,
            buffer_bytes_max: 1 << 20,
            subgroup_size: None,
        }
    }

    fn upload(&self, dtype: DType, bytes: &[u8]) -> Result<Buffer> {
        if self.full {
            return Err(Error::out_of_memory("storage is full"));
        }
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

#[test]
fn a_batch_becomes_two_tensors() {
    let device = Device::new(Arc::new(Storage { full: false }));
    let batch = Batch::new(vec![0.5, 1.5, 2.5, 3.5], vec![2, 1, 2, 1], vec![7, 8]).unwrap();
    let (images, labels) = batch.to_tensors(&device).unwrap();
    assert_eq!((images.shape().dims(), images.dtype()), (&[2, 1, 2, 1][..], DType::F32));
    assert_eq!(images.to_vec::<f32>().unwrap(), batch.images);
    assert_eq!((labels.shape().dims(), labels.dtype()), (&[2][..], DType::I32));
    assert_eq!(labels.to_vec::<i32>().unwrap(), [7, 8]);
}

#[test]
fn a_full_device_is_an_error_with_its_source() {
    let device = Device::new(Arc::new(Storage { full: true }));
    let batch = Batch::new(vec![0.5], vec![1, 1], vec![7]).unwrap();
    let error = batch.to_tensors(&device).unwrap_err();
    assert!(error.is_device());
    assert_eq!(error.to_string(), "batch: upload failed: storage is full");
}

//! Batches on a device: a backend that only stores bytes stands in for a real one.

use std::any::Any;
use std::sync::Arc;

use gradloom_data::sequences::PadSequences;
use gradloom_data::transform::Mixing;
use gradloom_data::{Batch, Collate, Labelled, Table};
use gradloom_tensor::{
    Backend, Buffer, Capabilities, DType, Device, Error, Key, Result, Retention, Statistics, Tensor,
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

#[test]
fn tables_sequences_and_mixed_batches_become_tensors() {
    let device = Device::new(Arc::new(Storage { full: false }));
    let table = Table::new().with("a", vec![1.5, -2.0, 0.0]).unwrap();
    let table = table.with("flag", vec![true, false, true]).unwrap();
    let features = table.features(&["flag", "a"]).unwrap().to_tensor(&device).unwrap();
    assert_eq!((features.shape().dims(), features.dtype()), (&[3, 2][..], DType::F32));
    assert_eq!(features.to_vec::<f32>().unwrap(), [1.0, 1.5, 0.0, -2.0, 1.0, 0.0]);
    let labels = table.labels("flag").unwrap().to_tensor(&device).unwrap();
    assert_eq!(labels.to_vec::<i32>().unwrap(), [1, 0, 1]);
    let none = table.take(&[]).unwrap().features(&["a"]).unwrap().to_tensor(&device).unwrap();
    assert_eq!(none.shape().dims(), [0, 1]);

    let texts =
        vec![Labelled { input: vec![5i32, 6], label: 1 }, Labelled { input: vec![7], label: 0 }];
    let (tokens, lengths, labels) =
        PadSequences::new(0).collate(texts).unwrap().to_tensors(&device).unwrap();
    assert_eq!(tokens.to_vec::<i32>().unwrap(), [5, 6, 7, 0]);
    assert_eq!(lengths.to_vec::<i32>().unwrap(), [2, 1]);
    assert_eq!(labels.to_vec::<i32>().unwrap(), [1, 0]);

    let batch = Batch::new(vec![0.0, 1.0], vec![2, 1, 1, 1], vec![0, 2]).unwrap();
    let mixed = Mixing::MixUp(1.0).apply(&batch, 3, Key::new(1)).unwrap();
    let (images, shares) = mixed.to_tensors(&device).unwrap();
    assert_eq!((images.shape().dims(), shares.shape().dims()), (&[2, 1, 1, 1][..], &[2, 3][..]));
    let full = Device::new(Arc::new(Storage { full: true }));
    assert!(table.features(&["a"]).unwrap().to_tensor(&full).is_err());
}

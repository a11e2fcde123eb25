//! [`Batches`]: what a trainer reads epoch by epoch, and [`SupervisedBatch`]: a batch of inputs with targets.

use gradloom_data::sequences::Padded;
use gradloom_data::tensor_dataset::RowBatch;
use gradloom_data::transform::Transform;
use gradloom_data::{Batch, Collate, Dataset, Loader};
use gradloom_tensor::{Device, Element, Tensor};

use crate::Result;

/// Batches by epoch: a [`Loader`], or anything that gives the same batches for the same epoch.
pub trait Batches {
    /// One batch.
    type Batch;

    /// Batches of an epoch; `None` if that is not known before its end.
    fn batch_count(&self) -> Option<usize>;

    /// Samples of an epoch, as far as known.
    fn sample_count(&self) -> Option<usize>;

    /// The batches of an epoch from number `first` on.
    fn batches(&self, epoch: u32, first: usize) -> impl Iterator<Item = Result<Self::Batch>>;

    /// What the batches depend on beside the samples themselves, as text. A run only goes on with batches of
    /// the same order.
    fn order(&self) -> String;

    /// What is done to samples, augmentation above all, as text. A run only goes on with the same.
    fn preparation(&self) -> String {
        String::new()
    }

    /// Samples of the last batch of an epoch, if that is known before.
    fn last_batch_size(&self) -> Option<usize> {
        None
    }
}

impl<D, T, C> Batches for Loader<D, T, C>
where
    D: Dataset + 'static,
    T: Transform<D::Item> + 'static,
    C: Collate<T::Output> + 'static,
    C::Batch: 'static,
{
    type Batch = C::Batch;

    fn batch_count(&self) -> Option<usize> {
        Some(Loader::batch_count(self))
    }

    fn sample_count(&self) -> Option<usize> {
        Some(self.dataset().len())
    }

    fn batches(&self, epoch: u32, first: usize) -> impl Iterator<Item = Result<Self::Batch>> {
        self.epoch_from(epoch, first)
    }

    fn order(&self) -> String {
        Loader::order(self)
    }

    fn preparation(&self) -> String {
        Loader::preparation(self)
    }

    fn last_batch_size(&self) -> Option<usize> {
        Loader::last_batch_size(self)
    }
}

/// Batches in memory, the same in every epoch: for what is on the device already.
impl<B: Clone> Batches for [B] {
    type Batch = B;

    fn batch_count(&self) -> Option<usize> {
        Some(self.len())
    }

    fn sample_count(&self) -> Option<usize> {
        None
    }

    fn batches(&self, _epoch: u32, first: usize) -> impl Iterator<Item = Result<B>> {
        self.iter().skip(first).map(|batch| Ok(batch.clone()))
    }

    fn order(&self) -> String {
        format!("{} batches in memory", self.len())
    }
}

/// As those of a slice.
impl<B: Clone> Batches for Vec<B> {
    type Batch = B;

    fn batch_count(&self) -> Option<usize> {
        Some(self.len())
    }

    fn sample_count(&self) -> Option<usize> {
        None
    }

    fn batches(&self, epoch: u32, first: usize) -> impl Iterator<Item = Result<B>> {
        self.as_slice().batches(epoch, first)
    }

    fn order(&self) -> String {
        self.as_slice().order()
    }
}

/// A batch of inputs with what a model shall make of them.
pub trait SupervisedBatch {
    /// Number of samples.
    fn sample_count(&self) -> usize;

    /// Inputs and targets on a device.
    ///
    /// # Errors
    /// If the device has no memory left, or not the dtype.
    fn to_tensors(&self, device: &Device) -> Result<(Tensor, Tensor)>;
}

impl SupervisedBatch for Batch {
    fn sample_count(&self) -> usize {
        self.len()
    }

    fn to_tensors(&self, device: &Device) -> Result<(Tensor, Tensor)> {
        Batch::to_tensors(self, device)
    }
}

impl SupervisedBatch for RowBatch {
    fn sample_count(&self) -> usize {
        self.len()
    }

    fn to_tensors(&self, device: &Device) -> Result<(Tensor, Tensor)> {
        RowBatch::to_tensors(self, device)
    }
}

/// Sequences filled up, and their classes. The model is not told the lengths: it knows padding by its value, or the
/// task is a closure that reads [`Padded::lengths`].
impl<T: Element> SupervisedBatch for Padded<T> {
    fn sample_count(&self) -> usize {
        self.labels.len()
    }

    fn to_tensors(&self, device: &Device) -> Result<(Tensor, Tensor)> {
        let (values, _, labels) = Padded::to_tensors(self, device)?;
        Ok((values, labels))
    }
}

/// Tensors that are there already; the first axis of the first counts the samples.
impl SupervisedBatch for (Tensor, Tensor) {
    fn sample_count(&self) -> usize {
        self.0.shape().first().copied().unwrap_or(1)
    }

    fn to_tensors(&self, _device: &Device) -> Result<(Tensor, Tensor)> {
        Ok(self.clone())
    }
}

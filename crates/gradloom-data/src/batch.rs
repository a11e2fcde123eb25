//! [`Batch`]: samples side by side in host memory, ready for a device, and [`Collate`], what makes
//! batches of samples.

use std::sync::{Arc, Mutex};

use crate::dataset::Labelled;
use crate::{Error, Image, Result};
use gradloom_tensor::{DType, Device, Key, Tensor};

/// Images (or other inputs of one size) and their labels, in host memory.
///
/// A batch that is dropped gives its memory back to the loader that made it.
#[derive(Debug)]
pub struct Batch {
    /// All inputs, one after another.
    pub images: Vec<f32>,
    /// Shape of [`images`](Batch::images); the first axis counts the samples.
    pub shape: Vec<usize>,
    /// The class of each sample.
    pub labels: Vec<i32>,
    home: Option<Arc<Pool>>,
}

impl Batch {
    /// A batch from its parts.
    ///
    /// # Errors
    /// If the counts do not fit.
    pub fn new(images: Vec<f32>, shape: Vec<usize>, labels: Vec<i32>) -> Result<Self> {
        let count = shape.iter().try_fold(1usize, |product, &size| product.checked_mul(size));
        if count != Some(images.len()) || shape.first() != Some(&labels.len()) {
            return Err(Error::invalid(format!(
                "batch: {} numbers and {} labels do not make {shape:?}",
                images.len(),
                labels.len()
            )));
        }
        Ok(Batch { images, shape, labels, home: None })
    }

    /// Number of samples.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// True without samples.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The inputs (`f32`) and the labels (`i32`) on a device.
    ///
    /// # Errors
    /// If the device has no memory left or is lost.
    ///
    /// # Panics
    /// If the public fields were changed so that they do not fit each other.
    #[track_caller]
    pub fn to_tensors(&self, device: &Device) -> Result<(Tensor, Tensor)> {
        let upload = |dtype, bytes| {
            let buffer = device.backend().upload(dtype, bytes);
            buffer.map_err(|error| error.context("batch: upload failed"))
        };
        let images = upload(DType::F32, bytemuck::cast_slice(&self.images))?;
        let labels = upload(DType::I32, bytemuck::cast_slice(&self.labels))?;
        Ok((
            Tensor::from_buffer(images, &self.shape[..], device),
            Tensor::from_buffer(labels, self.labels.len(), device),
        ))
    }
}

impl Clone for Batch {
    fn clone(&self) -> Self {
        Batch {
            images: self.images.clone(),
            shape: self.shape.clone(),
            labels: self.labels.clone(),
            home: None,
        }
    }
}

impl PartialEq for Batch {
    fn eq(&self, other: &Self) -> bool {
        (&self.images, &self.shape, &self.labels) == (&other.images, &other.shape, &other.labels)
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        if let Some(home) = &self.home {
            home.put(std::mem::take(&mut self.images), std::mem::take(&mut self.labels));
        }
    }
}

/// Memory of batches that were dropped.
#[derive(Debug, Default)]
struct Pool(Mutex<Vec<(Vec<f32>, Vec<i32>)>>);

impl Pool {
    /// More batches than this are rarely alive at once, so more memory is not kept.
    const KEPT_MAX: usize = 16;

    fn put(&self, images: Vec<f32>, labels: Vec<i32>) {
        if let Ok(mut kept) = self.0.lock()
            && kept.len() < Pool::KEPT_MAX
        {
            kept.push((images, labels));
        }
    }

    fn take(&self) -> (Vec<f32>, Vec<i32>) {
        let kept = self.0.lock().ok().and_then(|mut kept| kept.pop());
        let (mut images, mut labels) = kept.unwrap_or_default();
        images.clear();
        labels.clear();
        (images, labels)
    }
}

/// What makes one batch of samples. Closures `Fn(Vec<S>) -> Result<B>` are this.
pub trait Collate<S>: Send + Sync {
    /// What a loader yields.
    type Batch: Send;

    /// Puts samples side by side.
    ///
    /// # Errors
    /// If the samples do not fit each other.
    fn collate(&self, samples: Vec<S>) -> Result<Self::Batch>;

    /// As [`collate`](Collate::collate), with a key of the batch's own for what mixes samples, such as
    /// [`Mix`](crate::transform::Mix). Loaders call this.
    ///
    /// # Errors
    /// If the samples do not fit each other.
    fn collate_with(&self, samples: Vec<S>, _key: Key) -> Result<Self::Batch> {
        self.collate(samples)
    }

    /// What it is, with its settings, as text: a run that goes on from a checkpoint compares it. One of your own
    /// that does not say is known by the name of its type alone.
    fn describe(&self) -> String {
        std::any::type_name::<Self>().to_owned()
    }
}

impl<S, B: Send, F: Fn(Vec<S>) -> Result<B> + Send + Sync> Collate<S> for F {
    type Batch = B;

    fn collate(&self, samples: Vec<S>) -> Result<B> {
        self(samples)
    }
}

/// Makes a [`Batch`] of labelled images, or of labelled rows of numbers.
#[derive(Clone, Debug, Default)]
pub struct CollateImages {
    pool: Arc<Pool>,
}

impl CollateImages {
    fn gather<'a, T: 'a>(
        &self,
        samples: &'a [Labelled<T>],
        size: impl Fn(&'a T) -> Vec<usize>,
        numbers: impl Fn(&'a T) -> &'a [f32],
    ) -> Result<Batch> {
        let (mut images, mut labels) = self.pool.take();
        let sample_size = samples.first().map(|sample| size(&sample.input)).unwrap_or_default();
        for (position, sample) in samples.iter().enumerate() {
            let other = size(&sample.input);
            if other != sample_size {
                return Err(Error::invalid(format!(
                    "batch: sample {position} has size {other:?}, the first has {sample_size:?}; \
                     crop or resize them to one size"
                )));
            }
            images.extend_from_slice(numbers(&sample.input));
            labels.push(sample.label);
        }
        let shape = std::iter::once(samples.len()).chain(sample_size).collect();
        Ok(Batch { images, shape, labels, home: Some(Arc::clone(&self.pool)) })
    }
}

impl Collate<Labelled<Image<f32>>> for CollateImages {
    type Batch = Batch;

    fn collate(&self, samples: Vec<Labelled<Image<f32>>>) -> Result<Batch> {
        self.gather(&samples, |image| image.size().to_vec(), Image::pixels)
    }
}

impl Collate<Labelled<Vec<f32>>> for CollateImages {
    type Batch = Batch;

    fn collate(&self, samples: Vec<Labelled<Vec<f32>>>) -> Result<Batch> {
        self.gather(&samples, |row| vec![row.len()], Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use super::{Batch, Collate, CollateImages};
    use crate::dataset::Labelled;

    #[test]
    fn samples_of_different_sizes_are_refused() {
        let row = |len| Labelled { input: vec![1.0f32; len], label: 1 };
        let collate = CollateImages::default();
        assert_eq!(collate.collate(vec![row(2), row(2)]).unwrap().shape, [2, 2]);
        let message = collate.collate(vec![row(2), row(3)]).unwrap_err().to_string();
        assert!(message.contains("[3]") && message.contains("[2]"), "{message}");
    }

    #[test]
    fn a_dropped_batch_gives_its_memory_to_the_next() {
        let collate = CollateImages::default();
        let make =
            || collate.collate(vec![Labelled { input: vec![1.0f32; 64], label: 0 }]).unwrap();
        let first = make();
        let address = first.images.as_ptr();
        drop(first);
        assert_eq!(make().images.as_ptr(), address);
    }

    #[test]
    fn a_batch_checks_its_parts() {
        assert!(Batch::new(vec![0.0; 6], vec![2, 3], vec![0, 1]).is_ok());
        assert!(Batch::new(vec![0.0; 6], vec![2, 3], vec![0]).is_err());
        assert!(Batch::new(vec![0.0; 5], vec![2, 3], vec![0, 1]).is_err());
        assert!(Batch::new(vec![0.0; 1], vec![], vec![]).is_err());
    }
}

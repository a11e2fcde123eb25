//! [`Loader`]: batches of a dataset, made on background threads, in order.
//!
//! Worker `w` of `n` makes batches `w`, `w + n`, `w + 2n`... and has a short queue of its own, so the
//! order needs no sorting and memory is bounded; an epoch may begin at any batch. Threads live for one epoch. Processes and asynchronous
//! I/O are absent on purpose.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::JoinHandle;

use crate::batch::{Collate, CollateImages};
use crate::dataset::Dataset;
use crate::random::sample_key;
use crate::sampler::{BatchSampler, Order, Sampler};
use crate::tensor_dataset::{CollateRows, TensorRow};
use crate::transform::{Identity, OnInput, Transform, key_of_sample};
use crate::{Error, Result, error};
use gradloom_tensor::Key;

/// Batches of a dataset: samples are read, transformed and put side by side on background threads.
///
/// The batches of an epoch depend on the dataset, the options and the key, not on the number of
/// workers. PyTorch: `torch.utils.data.DataLoader`.
#[derive(Debug)]
pub struct Loader<D, T, C> {
    dataset: Arc<D>,
    transform: Arc<T>,
    collate: Arc<C>,
    batch_size: usize,
    order: Order,
    key: Key,
    drop_last: bool,
    workers: usize,
    prefetch: usize,
}

impl<D, T, C> Clone for Loader<D, T, C> {
    fn clone(&self) -> Self {
        Loader {
            dataset: Arc::clone(&self.dataset),
            transform: Arc::clone(&self.transform),
            collate: Arc::clone(&self.collate),
            order: self.order.clone(),
            ..*self
        }
    }
}

impl<D, T> Loader<D, OnInput<T>, CollateImages> {
    /// A loader of labelled images (or rows of numbers): `transform` acts on the inputs.
    pub fn images(dataset: D, transform: T) -> Self {
        Loader::new(dataset, OnInput(transform), CollateImages::default())
    }
}

impl<D: Dataset<Item = TensorRow>> Loader<D, Identity, CollateRows> {
    /// A loader of a [`TensorDataset`](crate::TensorDataset), or of a part of one.
    ///
    /// ```
    /// use gradloom_data::{Loader, TensorDataset};
    ///
    /// # fn main() -> gradloom_data::Result<()> {
    /// let dataset = TensorDataset::from_rows([4, 2], vec![0.0f32; 8], [4], vec![1i32, 0, 1, 1])?;
    /// let batch = Loader::rows(dataset).batch_size(3).epoch(0).next().unwrap()?;
    /// assert_eq!(batch.inputs.shape, [3, 2]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn rows(dataset: D) -> Self {
        Loader::new(dataset, Identity, CollateRows)
    }
}

impl<D, T, C> Loader<D, T, C> {
    /// A loader from its parts, in batches of 32, in the dataset's order, with one worker.
    pub fn new(dataset: D, transform: T, collate: C) -> Self {
        Loader {
            dataset: Arc::new(dataset),
            transform: Arc::new(transform),
            collate: Arc::new(collate),
            batch_size: 32,
            order: Order::Given,
            key: Key::new(0),
            drop_last: false,
            workers: 1,
            prefetch: 2,
        }
    }

    /// Samples per batch.
    ///
    /// # Panics
    /// If it is zero.
    #[must_use]
    #[track_caller]
    pub fn batch_size(mut self, batch_size: usize) -> Self {
        assert!(batch_size > 0, "loader: the batch size is zero");
        self.batch_size = batch_size;
        self
    }

    /// A new order in every epoch, drawn from `key`, as is what transforms draw.
    #[must_use]
    pub fn shuffle(mut self, key: Key) -> Self {
        self.order = Order::Shuffled;
        self.key(key)
    }

    /// The samples of an epoch as a sampler says, drawn from `key`: some more often, some not at all.
    /// PyTorch: `DataLoader(sampler=...)`.
    #[must_use]
    pub fn sampler(mut self, sampler: impl Sampler + 'static, key: Key) -> Self {
        self.order = Order::Samples(Arc::new(sampler));
        self.key(key)
    }

    /// The batches of an epoch as a sampler says, drawn from `key`; the batch size and
    /// [`drop_last`](Loader::drop_last) say nothing then. PyTorch: `DataLoader(batch_sampler=...)`.
    #[must_use]
    pub fn batch_sampler(mut self, sampler: impl BatchSampler + 'static, key: Key) -> Self {
        self.order = Order::Batches(Arc::new(sampler));
        self.key(key)
    }

    /// What transforms draw from, without shuffling.
    #[must_use]
    pub fn key(mut self, key: Key) -> Self {
        self.key = key;
        self
    }

    /// Leaves out a last batch that is not full.
    #[must_use]
    pub fn drop_last(mut self, drop_last: bool) -> Self {
        self.drop_last = drop_last;
        self
    }

    /// Number of background threads. With zero, and on wasm32, which has no threads, batches are made when
    /// they are asked for.
    #[must_use]
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = workers;
        self
    }

    /// How many batches each worker may be ahead.
    ///
    /// # Panics
    /// If it is zero.
    #[must_use]
    #[track_caller]
    pub fn prefetch(mut self, batches: usize) -> Self {
        assert!(batches > 0, "loader: the prefetch is zero");
        self.prefetch = batches;
        self
    }

    /// The dataset.
    pub fn dataset(&self) -> &D {
        &self.dataset
    }
}

impl<D, T, C> Loader<D, T, C>
where
    D: Dataset + 'static,
    T: Transform<D::Item> + 'static,
    C: Collate<T::Output> + 'static,
    C::Batch: 'static,
{
    /// Number of batches in an epoch.
    pub fn batch_count(&self) -> usize {
        self.order.batch_count(self.dataset.len(), self.batch_size, self.drop_last)
    }

    /// What the batches depend on beside the samples themselves, as text: runs that go on compare it.
    pub fn order(&self) -> String {
        let [low, high] = self.key.words();
        format!(
            "{} samples in batches of {}, {}, key {low:08x}{high:08x}{}",
            self.dataset.len(),
            self.batch_size,
            self.order,
            if self.drop_last { ", the last one left out if it is not full" } else { "" }
        )
    }

    /// What is done to the samples of a batch, as text: the transform and what puts samples side by side, with
    /// their settings. Runs that go on compare it.
    pub fn preparation(&self) -> String {
        format!("{}; {}", self.transform.describe(), self.collate.describe())
    }

    /// Samples of the last batch of an epoch, if that is known before: the others are full.
    pub fn last_batch_size(&self) -> Option<usize> {
        self.order.last_batch_size(self.dataset.len(), self.batch_size, self.drop_last)
    }

    /// Starts the workers of epoch number `epoch`, which also seeds its order and its transforms.
    pub fn epoch(&self, epoch: u32) -> Epoch<C::Batch> {
        self.epoch_from(epoch, 0)
    }

    /// As [`epoch`](Loader::epoch), from batch number `first` on: the same batches as the whole epoch has
    /// there, and nothing is read for those before. What a run that goes on begins with.
    pub fn epoch_from(&self, epoch: u32, first: usize) -> Epoch<C::Batch> {
        let loader = self.clone();
        let plan = match self.order.plan(self.dataset.len(), self.key.fold(0), epoch) {
            Ok(plan) => plan,
            Err(error) => return Epoch::failed(error),
        };
        if self.batch_count() == 0 && !self.dataset.is_empty() {
            return Epoch::failed(Error::invalid(format!(
                "loader: no batch of {} among {} samples, as the last one is left out if it is not full; \
                 use a smaller batch size",
                self.batch_size,
                self.dataset.len()
            )));
        }
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let make = move |batch: usize| {
            let chosen = plan.batch(batch, loader.batch_size);
            let mut samples = Vec::with_capacity(chosen.len());
            for (place, index) in chosen {
                if stopped.load(Ordering::Relaxed) {
                    return Err(Error::invalid("loader: the epoch was dropped"));
                }
                // A sample that a sampler draws twice is not twice the same.
                let number = if loader.order.may_repeat() { place } else { index };
                let key = key_of_sample(loader.key, epoch, number);
                let sample = loader
                    .dataset
                    .get(index)
                    .and_then(|sample| loader.transform.apply(sample, key))
                    .map_err(|error| error.context(format!("loader: sample {index}")))?;
                samples.push(sample);
            }
            let key = sample_key(loader.key.fold(2).fold(epoch), batch);
            loader.collate.collate_with(samples, key)
        };
        let batches = first.min(self.batch_count())..self.batch_count();
        Epoch::start(Arc::new(make), stop, batches, self.workers, self.prefetch)
    }
}

type Make<B> = dyn Fn(usize) -> Result<B> + Send + Sync;

/// The batches of one epoch, in order. The first error ends it; dropping it stops the workers.
pub struct Epoch<B> {
    make: Arc<Make<B>>,
    stop: Arc<AtomicBool>,
    queues: Vec<Receiver<Result<B>>>,
    workers: Vec<JoinHandle<()>>,
    failure: Option<Error>,
    first: usize,
    next: usize,
    count: usize,
}

impl<B: Send + 'static> Epoch<B> {
    /// An epoch that has nothing but an error.
    fn failed(error: Error) -> Self {
        let make = Arc::new(|_| Err(Error::invalid("loader: the epoch has no batches")));
        let mut epoch = Epoch::start(make, Arc::default(), 0..0, 0, 1);
        epoch.failure = Some(error);
        epoch
    }

    fn start(
        make: Arc<Make<B>>,
        stop: Arc<AtomicBool>,
        batches: Range<usize>,
        workers: usize,
        prefetch: usize,
    ) -> Self {
        let Range { start: first, end: count } = batches;
        let mut epoch = Epoch {
            make,
            stop,
            queues: Vec::new(),
            workers: Vec::new(),
            failure: None,
            first,
            next: first,
            count,
        };
        let workers = if cfg!(target_family = "wasm") { 0 } else { workers.min(count - first) };
        for worker in 0..workers {
            let (sender, receiver) = sync_channel(prefetch);
            let make = Arc::clone(&epoch.make);
            let work = move || {
                for batch in (first + worker..count).step_by(workers) {
                    let result = guarded(&*make, batch);
                    let failed = result.is_err();
                    // Nobody receives any more when the epoch was dropped.
                    if sender.send(result).is_err() || failed {
                        break;
                    }
                }
            };
            let thread = std::thread::Builder::new().name(format!("loader {worker}"));
            match thread.spawn(work) {
                Ok(handle) => {
                    epoch.workers.push(handle);
                    epoch.queues.push(receiver);
                }
                Err(error) => {
                    epoch.failure = Some(error::thread("no thread for a worker", error));
                    break;
                }
            }
        }
        epoch
    }
}

/// Makes a batch; a panic in the dataset, a transform or the collation becomes an error.
fn guarded<B>(make: &Make<B>, batch: usize) -> Result<B> {
    // What a panic may leave half-done belongs to the caller's dataset, which sees the error.
    catch_unwind(AssertUnwindSafe(|| make(batch)))
        .unwrap_or_else(|payload| Err(error::worker_panic(format!("batch {batch}"), &*payload)))
}

impl<B> Epoch<B> {
    fn finish(&mut self) {
        self.next = self.count;
        self.stop.store(true, Ordering::Relaxed);
        // Workers that wait for room in their queue wake up when it is gone.
        self.queues.clear();
        for worker in self.workers.drain(..) {
            // A worker cannot panic: `guarded` catches it.
            let _ = worker.join();
        }
    }
}

impl<B> Iterator for Epoch<B> {
    type Item = Result<B>;

    fn next(&mut self) -> Option<Result<B>> {
        if let Some(error) = self.failure.take() {
            self.finish();
            return Some(Err(error));
        }
        if self.next >= self.count {
            return None;
        }
        let batch = self.next;
        self.next += 1;
        let result = if self.queues.is_empty() {
            guarded(&*self.make, batch)
        } else {
            self.queues[(batch - self.first) % self.queues.len()].recv().unwrap_or_else(|_| {
                Err(Error::invalid(format!("loader: the worker of batch {batch} is gone")))
            })
        };
        if result.is_err() || self.next == self.count {
            self.finish();
        }
        Some(result)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.count - self.next;
        (left.min(1), Some(left))
    }
}

impl<B> Drop for Epoch<B> {
    fn drop(&mut self) {
        self.finish();
    }
}

//! [`Cached`]: samples that were costly to make, kept in memory up to a number of bytes.
//!
//! What is kept stays: an epoch reads every sample once, so giving one up for another would win nothing.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::dataset::{Dataset, Labelled};
use crate::{Error, Image, Result};

/// What a sample takes in memory.
pub trait SampleBytes {
    /// Bytes, those on the heap among them.
    fn sample_bytes(&self) -> usize;
}

impl<T> SampleBytes for Image<T> {
    fn sample_bytes(&self) -> usize {
        size_of::<Self>() + size_of_val(self.pixels())
    }
}

impl<T: Copy> SampleBytes for Vec<T> {
    fn sample_bytes(&self) -> usize {
        size_of::<Self>() + self.capacity() * size_of::<T>()
    }
}

impl SampleBytes for String {
    fn sample_bytes(&self) -> usize {
        size_of::<Self>() + self.capacity()
    }
}

impl<T: SampleBytes> SampleBytes for Labelled<T> {
    fn sample_bytes(&self) -> usize {
        size_of::<i32>() + self.input.sample_bytes()
    }
}

/// A dataset whose samples are kept when they are read first, until the memory that they may take is used
/// up; the others are read each time. Put it below random transforms, which belong to the loader.
///
/// ```
/// use gradloom_data::cached::Cached;
/// use gradloom_data::{Dataset, InMemory};
///
/// let slow = InMemory(vec![1u32, 2, 3]).map(|count| Ok(vec![0u8; count as usize]));
/// let cached = Cached::new(slow, 1 << 20);
/// assert_eq!(cached.get(2)?.len(), 3);
/// assert!(cached.bytes() > 0);
/// # Ok::<(), gradloom_data::Error>(())
/// ```
#[derive(Debug)]
pub struct Cached<D: Dataset> {
    dataset: D,
    kept: Vec<OnceLock<D::Item>>,
    bytes: AtomicUsize,
    bytes_max: usize,
}

impl<D: Dataset> Cached<D> {
    /// Keeps samples of up to `bytes_max` bytes together.
    pub fn new(dataset: D, bytes_max: usize) -> Self {
        let kept = (0..dataset.len()).map(|_| OnceLock::new()).collect();
        Cached { dataset, kept, bytes: AtomicUsize::new(0), bytes_max }
    }

    /// Bytes of the samples that are kept.
    pub fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// How many samples are kept.
    pub fn kept(&self) -> usize {
        self.kept.iter().filter(|sample| sample.get().is_some()).count()
    }
}

impl<D: Dataset> Dataset for Cached<D>
where
    D::Item: Clone + SampleBytes + Send + Sync,
{
    type Item = D::Item;

    fn len(&self) -> usize {
        self.kept.len()
    }

    fn get(&self, index: usize) -> Result<D::Item> {
        let Some(place) = self.kept.get(index) else {
            return Err(Error::sample_out_of_range("cached", index, self.kept.len()));
        };
        if let Some(sample) = place.get() {
            return Ok(sample.clone());
        }
        let sample = self.dataset.get(index)?;
        let bytes = sample.sample_bytes();
        let room = |used: usize| used.checked_add(bytes).filter(|&used| used <= self.bytes_max);
        let taken = self.bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, room).is_ok();
        if taken && place.set(sample.clone()).is_err() {
            // Another thread read the same sample meanwhile.
            self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        }
        Ok(sample)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::{Cached, SampleBytes};
    use crate::{Dataset, InMemory};

    #[test]
    fn samples_are_made_once_until_the_memory_is_used_up() {
        let made = AtomicUsize::new(0);
        let dataset = InMemory((0..10u8).collect()).map(|value| {
            made.fetch_add(1, Ordering::Relaxed);
            Ok(vec![value; 1000])
        });
        let one = vec![0u8; 1000].sample_bytes();
        let cached = Cached::new(dataset, 4 * one + one / 2);
        for _ in 0..3 {
            for index in 0..10 {
                assert_eq!(cached.get(index).unwrap(), vec![index as u8; 1000]);
            }
        }
        assert_eq!((cached.kept(), cached.bytes()), (4, 4 * one));
        assert_eq!(made.load(Ordering::Relaxed), 10 + 6 + 6);
        assert!(cached.get(10).unwrap_err().is_index_out_of_range());
    }

    #[test]
    fn threads_that_meet_count_a_sample_once() {
        let cached = Cached::new(InMemory(vec![vec![1u8; 100]; 50]), 1 << 20);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..50).for_each(|index| drop(cached.get(index).unwrap())));
            }
        });
        assert_eq!(cached.bytes(), 50 * vec![1u8; 100].sample_bytes());
    }
}

//! [`Dataset`]: samples by index, and the adapters on it: subset, map, concatenation.
//!
//! Datasets of unknown length are [`stream`](crate::stream)s instead: an epoch of a loader is a permutation.

use std::sync::Arc;

use crate::split::split_indices;
use crate::{Error, Result};
use gradloom_tensor::Key;

/// Samples by index. Loaders call [`get`](Dataset::get) from several threads.
///
/// ```
/// use gradloom_data::{Dataset, InMemory};
///
/// let squares = InMemory(vec![1, 2, 3, 4]).map(|number| Ok(number * number));
/// assert_eq!((squares.len(), squares.get(2)?), (4, 9));
/// let some = squares.subset(vec![3, 0])?;
/// assert_eq!(some.get(0)?, 16);
/// # Ok::<(), gradloom_data::Error>(())
/// ```
pub trait Dataset: Send + Sync {
    /// One sample.
    type Item;

    /// Number of samples.
    fn len(&self) -> usize;

    /// Sample number `index`; the same index gives the same sample.
    ///
    /// # Errors
    /// If there is no such sample, or it cannot be read.
    fn get(&self, index: usize) -> Result<Self::Item>;

    /// True without samples.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The samples at `indices`, in that order.
    ///
    /// # Errors
    /// If an index is out of range.
    fn subset(self, indices: Vec<usize>) -> Result<Subset<Self>>
    where
        Self: Sized,
    {
        Subset::new(Arc::new(self), indices)
    }

    /// Each sample through `map`.
    fn map<F, O>(self, map: F) -> Map<Self, F>
    where
        Self: Sized,
        F: Fn(Self::Item) -> Result<O> + Send + Sync,
    {
        Map { dataset: self, map }
    }

    /// The samples of this dataset, then those of `other`.
    fn concat<D: Dataset<Item = Self::Item>>(self, other: D) -> Concat<Self, D>
    where
        Self: Sized,
    {
        Concat { first: self, second: other }
    }

    /// `train_len` samples drawn at random, and the rest. The same key gives the same split.
    ///
    /// # Errors
    /// If there are fewer than `train_len` samples.
    fn split(self, train_len: usize, key: Key) -> Result<(Subset<Self>, Subset<Self>)>
    where
        Self: Sized,
    {
        let (train, test) = split_indices(self.len(), train_len, key)?;
        let dataset = Arc::new(self);
        Ok((Subset::new(Arc::clone(&dataset), train)?, Subset::new(dataset, test)?))
    }
}

impl<D: Dataset + ?Sized> Dataset for Arc<D> {
    type Item = D::Item;

    fn len(&self) -> usize {
        (**self).len()
    }

    fn get(&self, index: usize) -> Result<D::Item> {
        (**self).get(index)
    }
}

impl<D: Dataset + ?Sized> Dataset for Box<D> {
    type Item = D::Item;

    fn len(&self) -> usize {
        (**self).len()
    }

    fn get(&self, index: usize) -> Result<D::Item> {
        (**self).get(index)
    }
}

/// Samples in a vector.
///
/// `Vec` itself is no dataset, because `get` would then shadow the slice's own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InMemory<T>(pub Vec<T>);

impl<T: Clone + Send + Sync> Dataset for InMemory<T> {
    type Item = T;

    fn len(&self) -> usize {
        self.0.len()
    }

    fn get(&self, index: usize) -> Result<T> {
        let sample = self.0.get(index).cloned();
        sample.ok_or_else(|| Error::sample_out_of_range("in-memory dataset", index, self.0.len()))
    }
}

/// A sample with its class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Labelled<T> {
    /// What a model reads.
    pub input: T,
    /// Index of the class.
    pub label: i32,
}

/// Some samples of a shared dataset.
#[derive(Debug)]
pub struct Subset<D> {
    dataset: Arc<D>,
    indices: Arc<[usize]>,
}

impl<D> Clone for Subset<D> {
    fn clone(&self) -> Self {
        Subset { dataset: Arc::clone(&self.dataset), indices: Arc::clone(&self.indices) }
    }
}

impl<D: Dataset> Subset<D> {
    /// The samples at `indices`, in that order.
    ///
    /// # Errors
    /// If an index is out of range.
    pub fn new(dataset: Arc<D>, indices: Vec<usize>) -> Result<Self> {
        let len = dataset.len();
        match indices.iter().find(|&&index| index >= len) {
            Some(&index) => Err(Error::sample_out_of_range("subset", index, len)),
            None => Ok(Subset { dataset, indices: indices.into() }),
        }
    }

    /// Indices in the whole dataset.
    pub fn indices(&self) -> &[usize] {
        &self.indices
    }

    /// The whole dataset.
    pub fn dataset(&self) -> &D {
        &self.dataset
    }
}

impl<D: Dataset> Dataset for Subset<D> {
    type Item = D::Item;

    fn len(&self) -> usize {
        self.indices.len()
    }

    fn get(&self, index: usize) -> Result<D::Item> {
        let Some(&index) = self.indices.get(index) else {
            return Err(Error::sample_out_of_range("subset", index, self.indices.len()));
        };
        self.dataset.get(index)
    }
}

/// Each sample of a dataset through a function.
#[derive(Clone, Debug)]
pub struct Map<D, F> {
    dataset: D,
    map: F,
}

impl<D, F, O> Dataset for Map<D, F>
where
    D: Dataset,
    F: Fn(D::Item) -> Result<O> + Send + Sync,
{
    type Item = O;

    fn len(&self) -> usize {
        self.dataset.len()
    }

    fn get(&self, index: usize) -> Result<O> {
        (self.map)(self.dataset.get(index)?)
    }
}

/// One dataset after another.
#[derive(Clone, Debug)]
pub struct Concat<A, B> {
    first: A,
    second: B,
}

impl<A: Dataset, B: Dataset<Item = A::Item>> Dataset for Concat<A, B> {
    type Item = A::Item;

    fn len(&self) -> usize {
        self.first.len() + self.second.len()
    }

    fn get(&self, index: usize) -> Result<A::Item> {
        match index.checked_sub(self.first.len()) {
            None => self.first.get(index),
            Some(rest) if rest < self.second.len() => self.second.get(rest),
            Some(_) => Err(Error::sample_out_of_range("concat", index, self.len())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Dataset, InMemory};
    use gradloom_tensor::Key;

    #[test]
    fn adapters_address_the_samples_they_name() {
        let dataset =
            InMemory(vec![10, 11, 12]).concat(InMemory(vec![20, 21])).map(|value| Ok(value * 2));
        assert_eq!(dataset.len(), 5);
        assert_eq!(dataset.get(2).unwrap(), 24);
        assert_eq!(dataset.get(3).unwrap(), 40);
        assert!(dataset.get(5).unwrap_err().is_index_out_of_range());
        let subset = dataset.subset(vec![4, 0]).unwrap();
        assert_eq!((subset.get(0).unwrap(), subset.get(1).unwrap()), (42, 20));
        assert!(subset.get(2).unwrap_err().is_index_out_of_range());
        assert!(subset.subset(vec![2]).err().unwrap().is_index_out_of_range());
    }

    #[test]
    fn a_split_shares_out_every_sample_once() {
        let (train, test) =
            InMemory((0..100).collect::<Vec<i32>>()).split(70, Key::new(7)).unwrap();
        assert_eq!((train.len(), test.len()), (70, 30));
        let mut all: Vec<usize> = [train.indices(), test.indices()].concat();
        all.sort_unstable();
        assert!(all.into_iter().eq(0..100));
        let (again, _) = InMemory((0..100).collect::<Vec<i32>>()).split(70, Key::new(7)).unwrap();
        assert_eq!(train.indices(), again.indices());
        assert!(InMemory(vec![1]).split(2, Key::new(7)).is_err());
    }
}

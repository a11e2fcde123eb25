//! [`Sampler`] and [`BatchSampler`]: which samples an epoch has, in which order, in which batches.
//!
//! A sampler has no state: the order of an epoch depends on the key and the number of the epoch, so a run
//! that goes on in the middle of an epoch finds the same order.

use crate::random::{RandomStream, permutation};
use crate::split::class_weights;
use crate::text::LengthGroups;
use crate::{Error, Result};
use gradloom_tensor::Key;

/// The order of the samples of an epoch. PyTorch: `torch.utils.data.Sampler`.
pub trait Sampler: Send + Sync {
    /// How many samples an epoch has, of a dataset of `samples`.
    fn len(&self, samples: usize) -> usize {
        samples
    }

    /// The samples of an epoch, as many as [`len`](Sampler::len) says; a sample may come several times or
    /// not at all. The same arguments give the same order.
    ///
    /// # Errors
    /// If the sampler is not made for a dataset of this size.
    fn order(&self, samples: usize, key: Key, epoch: u32) -> Result<Vec<usize>>;

    /// What the order depends on beside the arguments, as text: runs that go on compare it.
    fn describe(&self) -> String {
        std::any::type_name::<Self>().to_owned()
    }
}

/// The batches of an epoch. PyTorch: `batch_sampler` of a `DataLoader`.
pub trait BatchSampler: Send + Sync {
    /// How many batches an epoch has, of a dataset of `samples`.
    fn batch_count(&self, samples: usize) -> usize;

    /// The samples of each batch, as many batches as [`batch_count`](BatchSampler::batch_count) says. The
    /// same arguments give the same batches.
    ///
    /// # Errors
    /// If the sampler is not made for a dataset of this size.
    fn batches(&self, samples: usize, key: Key, epoch: u32) -> Result<Vec<Vec<usize>>>;

    /// What the batches depend on beside the arguments, as text: runs that go on compare it.
    fn describe(&self) -> String {
        std::any::type_name::<Self>().to_owned()
    }
}

/// A checksum of numbers that an order depends on.
fn checksum<T: bytemuck::NoUninit>(numbers: &[T]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytemuck::cast_slice(numbers));
    crc.sum()
}

/// Draws samples with replacement, each as often as its weight says. PyTorch:
/// `WeightedRandomSampler(weights, count)`.
///
/// ```
/// use gradloom_data::sampler::{Sampler, WeightedSampler};
/// use gradloom_tensor::Key;
///
/// let sampler = WeightedSampler::new(&[0.0, 1.0, 3.0])?.count(400);
/// let order = sampler.order(3, Key::new(1), 0)?;
/// let twos = order.iter().filter(|&&index| index == 2).count();
/// assert!((270..330).contains(&twos) && !order.contains(&0));
/// # Ok::<(), gradloom_data::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct WeightedSampler {
    /// The sum of the weights up to and with each sample.
    sums: Vec<f64>,
    count: usize,
}

impl WeightedSampler {
    /// A weight for each sample; an epoch has as many samples as the dataset.
    ///
    /// # Errors
    /// If there are no weights, one is negative or not finite, or all are zero.
    pub fn new(weights: &[f64]) -> Result<Self> {
        let wrong = weights.iter().position(|weight| !(*weight >= 0.0 && weight.is_finite()));
        if let Some(place) = wrong {
            return Err(Error::invalid(format!(
                "weighted sampler: weight {place} is {}; weights are finite and not negative",
                weights[place]
            )));
        }
        let mut sum = 0.0;
        let sums: Vec<f64> = weights
            .iter()
            .map(|weight| {
                sum += weight;
                sum
            })
            .collect();
        if !(sum > 0.0 && sum.is_finite()) {
            return Err(Error::invalid(format!(
                "weighted sampler: the sum of {} weights is {sum}",
                weights.len()
            )));
        }
        Ok(WeightedSampler { count: weights.len(), sums })
    }

    /// Every class as often as every other, by the class of each sample.
    ///
    /// # Errors
    /// If there are no labels, or one is negative.
    pub fn balanced(labels: &[i32]) -> Result<Self> {
        let weights = class_weights(labels)?;
        let of_sample: Vec<f64> =
            labels.iter().map(|&label| f64::from(weights[label as usize])).collect();
        WeightedSampler::new(&of_sample)
    }

    /// Draws this many samples for an epoch.
    #[must_use]
    pub fn count(mut self, samples: usize) -> Self {
        self.count = samples;
        self
    }
}

impl Sampler for WeightedSampler {
    fn len(&self, _samples: usize) -> usize {
        self.count
    }

    fn order(&self, samples: usize, key: Key, epoch: u32) -> Result<Vec<usize>> {
        if samples != self.sums.len() {
            return Err(Error::invalid(format!(
                "weighted sampler: {} weights for a dataset of {samples} samples",
                self.sums.len()
            )));
        }
        let mut stream = RandomStream::new(key.fold(epoch));
        let total = self.sums[samples - 1];
        let draw = |_| {
            let point = (stream.next_u64() >> 11) as f64 / (1u64 << 53) as f64 * total;
            // The first sample whose sum is beyond the point; one of weight zero adds nothing to the sum,
            // and rounding up to the total must not find what is behind the last weight.
            let place = self.sums.partition_point(|&sum| sum <= point);
            place.min(self.sums.partition_point(|&sum| sum < total))
        };
        Ok((0..self.count).map(draw).collect())
    }

    fn describe(&self) -> String {
        format!("{} samples by weights {:08x}", self.count, checksum(&self.sums))
    }
}

/// Batches of samples of about one length: texts, recordings, series. [`LengthGroups`] says how.
///
/// ```
/// use gradloom_data::sampler::{BatchSampler, Bucketed};
/// use gradloom_data::text::LengthGroups;
/// use gradloom_tensor::Key;
///
/// let sampler = Bucketed::new(LengthGroups::new([8, 16], 2), vec![3, 12, 5, 7]);
/// let batches = sampler.batches(4, Key::new(0), 0)?;
/// assert_eq!(batches.len(), sampler.batch_count(4));
/// # Ok::<(), gradloom_data::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Bucketed {
    groups: LengthGroups,
    lengths: Vec<usize>,
    count: usize,
}

impl Bucketed {
    /// Groups, and the length of each sample.
    pub fn new(groups: LengthGroups, lengths: Vec<usize>) -> Self {
        let count = groups.batches(&lengths, None).len();
        Bucketed { groups, lengths, count }
    }
}

impl BatchSampler for Bucketed {
    fn batch_count(&self, _samples: usize) -> usize {
        self.count
    }

    fn batches(&self, samples: usize, key: Key, epoch: u32) -> Result<Vec<Vec<usize>>> {
        if samples != self.lengths.len() {
            return Err(Error::invalid(format!(
                "bucketed: {} lengths for a dataset of {samples} samples",
                self.lengths.len()
            )));
        }
        let batches = self.groups.batches(&self.lengths, Some(key.fold(epoch)));
        Ok(batches.into_iter().map(|batch| batch.texts).collect())
    }

    fn describe(&self) -> String {
        format!("{:?} of lengths {:08x}", self.groups, checksum(&self.lengths))
    }
}

/// How a loader orders an epoch.
#[derive(Clone)]
pub(crate) enum Order {
    Given,
    Shuffled,
    Samples(std::sync::Arc<dyn Sampler>),
    Batches(std::sync::Arc<dyn BatchSampler>),
}

/// What the order depends on, as text: runs that go on compare it.
impl std::fmt::Display for Order {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Order::Given => formatter.write_str("in order"),
            Order::Shuffled => formatter.write_str("shuffled"),
            Order::Samples(sampler) => formatter.write_str(&sampler.describe()),
            Order::Batches(sampler) => formatter.write_str(&sampler.describe()),
        }
    }
}

impl std::fmt::Debug for Order {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{self}")
    }
}

/// The samples of one epoch.
pub(crate) enum Plan {
    Given(usize),
    Order(Vec<usize>),
    Batches(Vec<Vec<usize>>),
}

impl Order {
    /// True if a sample may come several times in an epoch.
    pub(crate) fn may_repeat(&self) -> bool {
        matches!(self, Order::Samples(_) | Order::Batches(_))
    }

    /// How many batches an epoch has.
    pub(crate) fn batch_count(&self, samples: usize, size: usize, drop_last: bool) -> usize {
        let count = match self {
            Order::Given | Order::Shuffled => samples,
            Order::Samples(sampler) => sampler.len(samples),
            Order::Batches(sampler) => return sampler.batch_count(samples),
        };
        if drop_last { count / size } else { count.div_ceil(size) }
    }

    /// Samples of the last batch; `None` without batches, and where a sampler makes the batches itself.
    pub(crate) fn last_batch_size(
        &self,
        samples: usize,
        size: usize,
        drop_last: bool,
    ) -> Option<usize> {
        let count = match self {
            Order::Given | Order::Shuffled => samples,
            Order::Samples(sampler) => sampler.len(samples),
            Order::Batches(_) => return None,
        };
        match count % size {
            rest if rest > 0 && !drop_last => Some(rest),
            _ => (count >= size).then_some(size),
        }
    }

    /// The samples of an epoch. What a sampler says is held against the dataset.
    pub(crate) fn plan(&self, samples: usize, key: Key, epoch: u32) -> Result<Plan> {
        let inside = |indices: &[usize]| match indices.iter().find(|&&index| index >= samples) {
            Some(&index) => Err(Error::sample_out_of_range("loader: sampler", index, samples)),
            None => Ok(()),
        };
        let counted = |what: &str, given: usize, said: usize| {
            let message = format!("loader: the sampler gave {given} {what}, but had said {said}");
            if given == said { Ok(()) } else { Err(Error::invalid(message)) }
        };
        Ok(match self {
            Order::Given => Plan::Given(samples),
            Order::Shuffled => Plan::Order(permutation(samples, key.fold(epoch))),
            Order::Samples(sampler) => {
                let order = sampler.order(samples, key, epoch)?;
                counted("samples", order.len(), sampler.len(samples))?;
                inside(&order)?;
                Plan::Order(order)
            }
            Order::Batches(sampler) => {
                let batches = sampler.batches(samples, key, epoch)?;
                counted("batches", batches.len(), sampler.batch_count(samples))?;
                batches.iter().try_for_each(|batch| inside(batch))?;
                Plan::Batches(batches)
            }
        })
    }
}

impl Plan {
    /// The samples of a batch, each with its place in the epoch.
    pub(crate) fn batch(&self, batch: usize, size: usize) -> Vec<(usize, usize)> {
        let range = |len: usize| {
            let first = (batch * size).min(len);
            first..(first + size).min(len)
        };
        match self {
            Plan::Given(len) => range(*len).map(|place| (place, place)).collect(),
            Plan::Order(order) => range(order.len()).map(|place| (place, order[place])).collect(),
            Plan::Batches(batches) => {
                let before: usize = batches[..batch].iter().map(Vec::len).sum();
                (before..).zip(batches[batch].iter().copied()).collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Sampler, WeightedSampler};
    use gradloom_tensor::Key;

    #[test]
    fn rare_classes_are_drawn_as_often_as_others() {
        let labels: Vec<i32> = (0..1000).map(|i| if i < 900 { 0 } else { 1 + i % 2 }).collect();
        let sampler = WeightedSampler::balanced(&labels).unwrap().count(9000);
        let order = sampler.order(1000, Key::new(2), 0).unwrap();
        for class in 0..3 {
            let count = order.iter().filter(|&&index| labels[index] == class).count();
            assert!((2800..3200).contains(&count), "class {class}: {count}");
        }
        assert_eq!(order, sampler.order(1000, Key::new(2), 0).unwrap());
        assert_ne!(order, sampler.order(1000, Key::new(2), 1).unwrap());
        let (all, other) =
            (WeightedSampler::balanced(&labels), WeightedSampler::balanced(&labels[1..]));
        let (all, other) = (all.unwrap().describe(), other.unwrap().count(1000).describe());
        assert!(all.starts_with("1000 samples by weights") && all != other, "{all} {other}");
    }

    #[test]
    fn weights_that_cannot_be_are_refused() {
        assert!(WeightedSampler::new(&[]).is_err());
        assert!(WeightedSampler::new(&[0.0, 0.0]).is_err());
        assert!(WeightedSampler::new(&[f64::MAX, f64::MAX]).is_err());
        let message = WeightedSampler::new(&[1.0, f64::NAN]).unwrap_err().to_string();
        assert!(message.contains("weight 1 is NaN"), "{message}");
        let sampler = WeightedSampler::new(&[1.0]).unwrap();
        assert!(sampler.order(2, Key::new(0), 0).is_err());
        let last = WeightedSampler::new(&[1.0, 1e-300, 0.0]).unwrap().count(5000);
        assert!(last.order(3, Key::new(0), 0).unwrap().iter().all(|&index| index < 2));
    }
}

//! Folds for cross-validation: each sample is in the test of one fold. The folds without a key are those of
//! scikit-learn.

use std::collections::BTreeMap;

use crate::random::{RandomStream, permutation};
use crate::{Error, Result};
use gradloom_tensor::Key;

/// One division into training and test, as indices of samples.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fold {
    /// What a model learns from.
    pub train: Vec<usize>,
    /// What it is measured on.
    pub test: Vec<usize>,
}

/// The folds of a number of each sample's fold, in ascending order.
fn folds(of_sample: &[usize], count: usize) -> Vec<Fold> {
    let fold = |fold: usize| {
        let (test, train) = (0..of_sample.len()).partition(|&index| of_sample[index] == fold);
        Fold { train, test }
    };
    (0..count).map(fold).collect()
}

fn check(op: &str, count: usize, samples: usize) -> Result<()> {
    if count < 2 || count > samples {
        return Err(Error::invalid(format!(
            "{op}: {count} folds of {samples} samples; there are 2 folds at least and one sample for each"
        )));
    }
    Ok(())
}

/// `count` folds of neighbouring samples, or of random ones with a key. scikit-learn: `KFold`.
///
/// ```
/// use gradloom_data::split::k_fold;
///
/// let folds = k_fold(5, 2, None)?;
/// assert_eq!((&folds[0].test[..], &folds[1].test[..]), (&[0, 1, 2][..], &[3, 4][..]));
/// # Ok::<(), gradloom_data::Error>(())
/// ```
///
/// # Errors
/// If there are fewer than two folds, or more than samples.
pub fn k_fold(samples: usize, count: usize, key: Option<Key>) -> Result<Vec<Fold>> {
    check("k-fold", count, samples)?;
    let order = key.map(|key| permutation(samples, key));
    let mut of_sample = vec![0; samples];
    for place in 0..samples {
        let sample = order.as_ref().map_or(place, |order| order[place]);
        // The first folds have one more where the samples do not share out.
        let (size, longer) = (samples / count, samples % count);
        let of_longer = longer * (size + 1);
        of_sample[sample] = if place < of_longer {
            place / (size + 1)
        } else {
            longer + (place - of_longer) / size
        };
    }
    Ok(folds(&of_sample, count))
}

/// As [`k_fold`], with nearly the same share of every class in each fold. scikit-learn:
/// `StratifiedKFold`.
///
/// # Errors
/// As [`k_fold`], and if all samples are of one class, or a class has fewer samples than there are
/// folds.
pub fn stratified_k_fold(labels: &[i32], count: usize, key: Option<Key>) -> Result<Vec<Fold>> {
    const OP: &str = "stratified k-fold";
    check(OP, count, labels.len())?;
    // Classes are numbered as they first appear, which is what makes the folds scikit-learn's.
    let mut number = BTreeMap::new();
    for &label in labels {
        let next = number.len();
        number.entry(label).or_insert(next);
    }
    if number.len() < 2 {
        return Err(super::one_class(OP, labels));
    }
    let classes: Vec<usize> = labels.iter().map(|label| number[label]).collect();
    let mut sorted = classes.clone();
    sorted.sort_unstable();
    let mut shares = vec![vec![0usize; number.len()]; count];
    for (place, &class) in sorted.iter().enumerate() {
        shares[place % count][class] += 1;
    }
    let mut queues: Vec<Vec<usize>> = vec![Vec::new(); number.len()];
    for (class, queue) in queues.iter_mut().enumerate() {
        for (fold, share) in shares.iter().enumerate() {
            queue.extend(std::iter::repeat_n(fold, share[class]));
        }
        if queue.len() < count {
            let label = number.iter().find(|(_, other)| **other == class).map(|(label, _)| label);
            return Err(Error::invalid(format!(
                "{OP}: class {} has {} samples, fewer than the {count} folds",
                label.copied().unwrap_or_default(),
                queue.len()
            )));
        }
        if let Some(key) = key {
            RandomStream::new(key.fold(class as u32)).shuffle(queue);
        }
        queue.reverse();
    }
    let of_sample: Vec<usize> =
        classes.iter().map(|&class| queues[class].pop().unwrap_or_default()).collect();
    Ok(folds(&of_sample, count))
}

/// As [`k_fold`], with all samples of a group (a patient, a speaker) in one fold: the largest groups
/// first, each into the fold with the fewest samples. scikit-learn: `GroupKFold`.
///
/// # Errors
/// If there are fewer than two folds, or more than groups.
pub fn group_k_fold<G: Ord>(groups: &[G], count: usize) -> Result<Vec<Fold>> {
    let mut members = BTreeMap::<&G, Vec<usize>>::new();
    for (index, group) in groups.iter().enumerate() {
        members.entry(group).or_default().push(index);
    }
    if count < 2 || count > members.len() {
        return Err(Error::invalid(format!(
            "group k-fold: {count} folds of {} groups; there are 2 folds at least and one group for each",
            members.len()
        )));
    }
    let mut by_size: Vec<Vec<usize>> = members.into_values().collect();
    by_size.sort_by_key(|members| std::cmp::Reverse(members.len()));
    let mut sizes = vec![0usize; count];
    let mut of_sample = vec![0; groups.len()];
    for members in by_size {
        let lightest = (0..count).min_by_key(|&fold| sizes[fold]).unwrap_or_default();
        sizes[lightest] += members.len();
        members.into_iter().for_each(|index| of_sample[index] = lightest);
    }
    Ok(folds(&of_sample, count))
}

/// Folds of samples in order of time: each test comes after its training part. scikit-learn:
/// `TimeSeriesSplit`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeSeriesSplit {
    count: usize,
    test_len: Option<usize>,
    train_len_max: Option<usize>,
    gap: usize,
}

impl TimeSeriesSplit {
    /// `count` tests of one length at the end of the samples, each with all samples before it.
    pub fn new(count: usize) -> Self {
        TimeSeriesSplit { count, test_len: None, train_len_max: None, gap: 0 }
    }

    /// The length of each test; without, the samples divided by the number of folds plus one.
    #[must_use]
    pub fn test_len(mut self, samples: usize) -> Self {
        self.test_len = Some(samples);
        self
    }

    /// Learns from the last `samples` before each test only.
    #[must_use]
    pub fn train_len_max(mut self, samples: usize) -> Self {
        self.train_len_max = Some(samples);
        self
    }

    /// Leaves out `samples` between training and test, whose values may be known to both.
    #[must_use]
    pub fn gap(mut self, samples: usize) -> Self {
        self.gap = samples;
        self
    }

    /// The folds of this many samples.
    ///
    /// # Errors
    /// If there are too few samples.
    pub fn folds(&self, samples: usize) -> Result<Vec<Fold>> {
        let test_len = self.test_len.unwrap_or(samples / self.count.saturating_add(1));
        let needed = self.count.checked_mul(test_len).and_then(|tests| tests.checked_add(self.gap));
        let enough = needed.is_some_and(|needed| needed < samples);
        if self.count == 0 || test_len == 0 || !enough {
            return Err(Error::invalid(format!(
                "time series split: {samples} samples are too few for {} tests of {test_len} and a gap \
                 of {}",
                self.count, self.gap
            )));
        }
        let fold = |number: usize| {
            let start = samples - (self.count - number) * test_len;
            let past = start - self.gap;
            let first = self.train_len_max.map_or(0, |len| past.saturating_sub(len));
            Fold { train: (first..past).collect(), test: (start..start + test_len).collect() }
        };
        Ok((0..self.count).map(fold).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::{Fold, TimeSeriesSplit, group_k_fold, k_fold, stratified_k_fold};
    use gradloom_tensor::Key;

    fn each_once(folds: &[Fold], samples: usize) {
        let mut tests: Vec<usize> = folds.iter().flat_map(|fold| fold.test.clone()).collect();
        tests.sort_unstable();
        assert!(tests.into_iter().eq(0..samples));
        for fold in folds {
            let mut all = [&fold.train[..], &fold.test].concat();
            all.sort_unstable();
            assert!(all.into_iter().eq(0..samples));
        }
    }

    #[test]
    fn each_sample_is_tested_once() {
        for key in [None, Some(Key::new(3))] {
            for (samples, count) in [(10, 3), (7, 7), (100, 9)] {
                each_once(&k_fold(samples, count, key).unwrap(), samples);
            }
            let labels: Vec<i32> = (0..50).map(|i| i32::from(i % 5 == 0)).collect();
            let folds = stratified_k_fold(&labels, 4, key).unwrap();
            each_once(&folds, 50);
            for fold in &folds {
                let ones = fold.test.iter().filter(|&&index| labels[index] == 1).count();
                assert!((2..=3).contains(&ones), "{ones}");
            }
        }
        let groups: Vec<&str> = (0..30).map(|i| ["a", "b", "c", "d"][i % 7 % 4]).collect();
        let folds = group_k_fold(&groups, 3).unwrap();
        each_once(&folds, 30);
        for fold in &folds {
            assert!(fold.test.iter().all(|&i| fold.train.iter().all(|&j| groups[i] != groups[j])));
        }
    }

    #[test]
    fn folds_that_cannot_be_are_refused() {
        assert!(k_fold(3, 4, None).is_err());
        assert!(k_fold(3, 1, None).is_err());
        let message =
            |labels: &[i32], count| stratified_k_fold(labels, count, None).unwrap_err().to_string();
        assert!(message(&[1, 1, 1, 1], 2).contains("all 4 labels are class 1"));
        assert!(message(&[0, 0, 0, 7], 2).contains("class 7 has 1 samples"));
        assert!(group_k_fold(&[1, 1, 1], 2).is_err());
        assert!(TimeSeriesSplit::new(3).folds(3).is_err());
        assert!(TimeSeriesSplit::new(3).gap(usize::MAX).folds(30).is_err());
        assert!(TimeSeriesSplit::new(0).folds(30).is_err());
    }
}

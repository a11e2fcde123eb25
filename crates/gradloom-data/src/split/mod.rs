//! Splits into training and test samples: at random, by class, by group, by time, and folds. What is
//! random is drawn from a key.

mod class_weights;
mod folds;
mod grouped;

pub use class_weights::{class_weights, sample_weights};
pub use folds::{Fold, TimeSeriesSplit, group_k_fold, k_fold, stratified_k_fold};
pub use grouped::grouped_indices;

use crate::random::RandomStream;
use crate::{Error, Result};
use gradloom_tensor::Key;

/// Which published part of a dataset to load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Split {
    /// What a model learns from.
    Train,
    /// What it is measured on.
    Test,
}

/// `train_len` of the indices `0..len` drawn at random, and the rest, both in random order.
///
/// # Errors
/// If `len` is less than `train_len`.
pub fn split_indices(len: usize, train_len: usize, key: Key) -> Result<(Vec<usize>, Vec<usize>)> {
    if train_len > len {
        return Err(Error::invalid(format!(
            "split: {train_len} training samples asked of a dataset of {len}"
        )));
    }
    let mut train = crate::random::permutation(len, key);
    let test = train.split_off(train_len);
    Ok((train, test))
}

/// As [`split_indices`], with the same share of every class in both parts, as nearly as whole samples
/// allow: classes with the largest remainder get one more until `train_len` is reached.
///
/// # Errors
/// If there are fewer than `train_len` labels, all are of one class, or a class has one sample, which
/// cannot be in both parts.
pub fn stratified_indices(
    labels: &[i32],
    train_len: usize,
    key: Key,
) -> Result<(Vec<usize>, Vec<usize>)> {
    let (train, test) = split_indices(labels.len(), train_len, key)?;
    let mut classes = std::collections::BTreeMap::<i32, Vec<usize>>::new();
    for index in train.into_iter().chain(test) {
        classes.entry(labels[index]).or_default().push(index);
    }
    if 0 < train_len && train_len < labels.len() {
        if classes.len() < 2 {
            return Err(one_class("stratified split", labels));
        }
        if let Some((class, _)) = classes.iter().find(|(_, samples)| samples.len() < 2) {
            return Err(Error::invalid(format!(
                "stratified split: class {class} has one sample, which cannot be in both parts; leave it \
                 out or use split_indices"
            )));
        }
    }
    let share = |count: usize| train_len as u128 * count as u128;
    let total = labels.len().max(1) as u128;
    let mut quotas: Vec<usize> =
        classes.values().map(|class| (share(class.len()) / total) as usize).collect();
    let mut by_remainder: Vec<usize> = (0..classes.len()).collect();
    let remainders: Vec<u128> = classes.values().map(|class| share(class.len()) % total).collect();
    by_remainder.sort_by_key(|&class| std::cmp::Reverse(remainders[class]));
    let missing = train_len - quotas.iter().sum::<usize>();
    for &class in by_remainder.iter().take(missing) {
        quotas[class] += 1;
    }
    let (mut train, mut test) = (Vec::with_capacity(train_len), Vec::new());
    for (mut class, quota) in classes.into_values().zip(quotas) {
        test.extend(class.split_off(quota));
        train.append(&mut class);
    }
    // Without this the parts would be sorted by class.
    let mut stream = RandomStream::new(key.fold(1));
    stream.shuffle(&mut train);
    stream.shuffle(&mut test);
    Ok((train, test))
}

fn one_class(op: &str, labels: &[i32]) -> Error {
    Error::invalid(format!(
        "{op}: all {} labels are class {}; check the labels, or split without them",
        labels.len(),
        labels[0]
    ))
}

#[cfg(test)]
mod tests {
    use super::stratified_indices;
    use gradloom_tensor::Key;

    #[test]
    fn a_stratified_split_keeps_the_share_of_every_class() {
        let labels: Vec<i32> = (0..1000).map(|i| if i < 900 { 0 } else { 1 + i % 2 }).collect();
        let (train, test) = stratified_indices(&labels, 801, Key::new(5)).unwrap();
        assert_eq!((train.len(), test.len()), (801, 199));
        let count = |class| train.iter().filter(|&&i| labels[i] == class).count();
        assert_eq!(count(0), 721);
        assert_eq!((count(1), count(2)), (40, 40));
        let mut all = [train, test].concat();
        all.sort_unstable();
        assert!(all.into_iter().eq(0..1000));
    }

    #[test]
    fn splits_of_nothing_are_empty() {
        let (train, test) = stratified_indices(&[], 0, Key::new(5)).unwrap();
        assert!(train.is_empty() && test.is_empty());
        assert!(stratified_indices(&[1], 2, Key::new(5)).is_err());
    }

    #[test]
    fn classes_that_cannot_be_in_both_parts_are_refused() {
        let message =
            |labels: &[i32]| stratified_indices(labels, 2, Key::new(5)).unwrap_err().to_string();
        assert!(message(&[3; 4]).contains("all 4 labels are class 3"));
        assert!(message(&[0, 0, 0, 9]).contains("class 9 has one sample"));
    }
}

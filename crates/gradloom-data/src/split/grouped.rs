//! A split that keeps groups together: no patient, speaker or document is in both parts.

use std::collections::BTreeMap;

use crate::random::permutation;
use crate::{Error, Result};
use gradloom_tensor::Key;

/// Whole groups in a random order for the training part until it has `train_len` samples or would have
/// more, and the rest, both in ascending order. scikit-learn: `GroupShuffleSplit`, which counts groups.
///
/// Groups that would go beyond `train_len` are passed over, so that smaller ones fill the part up.
///
/// # Errors
/// If there are fewer than `train_len` samples, or one part would be empty: groups are too few or too
/// large.
pub fn grouped_indices<G: Ord>(
    groups: &[G],
    train_len: usize,
    key: Key,
) -> Result<(Vec<usize>, Vec<usize>)> {
    let len = groups.len();
    if train_len > len {
        return Err(Error::invalid(format!(
            "grouped split: {train_len} training samples asked of {len}"
        )));
    }
    let mut members = BTreeMap::<&G, Vec<usize>>::new();
    for (index, group) in groups.iter().enumerate() {
        members.entry(group).or_default().push(index);
    }
    let members: Vec<Vec<usize>> = members.into_values().collect();
    let (mut train, mut test) = (Vec::with_capacity(train_len), Vec::new());
    for group in permutation(members.len(), key) {
        let part =
            if train.len() + members[group].len() <= train_len { &mut train } else { &mut test };
        part.extend_from_slice(&members[group]);
    }
    if (train.is_empty() && train_len > 0) || (test.is_empty() && train_len < len) {
        return Err(Error::invalid(format!(
            "grouped split: {} groups of {len} samples do not make parts of about {train_len} and {}",
            members.len(),
            len - train_len
        )));
    }
    train.sort_unstable();
    test.sort_unstable();
    Ok((train, test))
}

#[cfg(test)]
mod tests {
    use super::grouped_indices;
    use gradloom_tensor::Key;

    #[test]
    fn no_group_is_in_both_parts() {
        let groups: Vec<usize> = (0..200).map(|i| i * i % 23).collect();
        for seed in 0..20 {
            let (train, test) = grouped_indices(&groups, 140, Key::new(seed)).unwrap();
            assert!(train.iter().all(|&i| test.iter().all(|&j| groups[i] != groups[j])));
            assert_eq!(train.len() + test.len(), 200);
            assert!((100..=140).contains(&train.len()), "{}", train.len());
        }
    }

    #[test]
    fn one_group_cannot_be_split() {
        let message = grouped_indices(&[1, 1, 1], 2, Key::new(0)).unwrap_err().to_string();
        assert!(message.contains("1 groups of 3 samples"), "{message}");
        assert!(grouped_indices(&[1], 2, Key::new(0)).is_err());
        assert!(grouped_indices::<i32>(&[], 0, Key::new(0)).unwrap().0.is_empty());
    }
}

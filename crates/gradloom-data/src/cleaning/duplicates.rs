//! Samples that are equal, within one part and between parts.
//!
//! Equal samples in training and test make a model look better than it is. Keys are compared whole, so
//! nothing is taken for equal by a hash.

use std::collections::HashMap;
use std::hash::Hash;

/// A sample of one part that another part has too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Leak {
    /// The sample's place in the second part, the test.
    pub test: usize,
    /// The first like it in the first part, the training.
    pub train: usize,
}

/// Each sample that is equal to an earlier one, and the first such: `(place, first)`, by place.
///
/// ```
/// use gradloom_data::cleaning::duplicates;
///
/// assert_eq!(duplicates(&["a", "b", "a", "a"]), [(2, 0), (3, 0)]);
/// ```
pub fn duplicates<K: Hash + Eq>(keys: &[K]) -> Vec<(usize, usize)> {
    let mut first = HashMap::with_capacity(keys.len());
    let mut found = Vec::new();
    for (place, key) in keys.iter().enumerate() {
        match first.get(key) {
            Some(&earlier) => found.push((place, earlier)),
            None => drop(first.insert(key, place)),
        }
    }
    found
}

/// The samples of the test that the training part has too.
///
/// ```
/// use gradloom_data::cleaning::{Leak, leaks};
///
/// assert_eq!(leaks(&["a", "b"], &["c", "b"]), [Leak { test: 1, train: 1 }]);
/// ```
pub fn leaks<K: Hash + Eq>(train: &[K], test: &[K]) -> Vec<Leak> {
    let mut first = HashMap::with_capacity(train.len());
    for (place, key) in train.iter().enumerate() {
        first.entry(key).or_insert(place);
    }
    let found = test.iter().enumerate();
    found.filter_map(|(test, key)| Some(Leak { test, train: *first.get(key)? })).collect()
}

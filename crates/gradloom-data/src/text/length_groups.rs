//! [`LengthGroups`]: batches of texts of about one length, filled up to one of a few lengths.
//!
//! A batch of short texts beside a long one would be mostly padding; a batch of every length there is
//! would be planned anew each time. A few lengths avoid both.

use crate::random::permutation;
use gradloom_tensor::Key;

/// The lengths that texts are filled up to, and the number of texts of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LengthGroups {
    lengths: Vec<usize>,
    batch_size: usize,
}

/// Texts that share a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LengthGroup {
    /// Tokens that each is filled up to, or cut to if it is longer than any length.
    pub length: usize,
    /// The numbers of the texts.
    pub texts: Vec<usize>,
}

impl LengthGroups {
    /// Batches of `batch_size` texts, filled up to the shortest of `lengths` that holds them.
    ///
    /// # Panics
    /// If there are no lengths, or the batch size is zero.
    #[track_caller]
    pub fn new(lengths: impl Into<Vec<usize>>, batch_size: usize) -> Self {
        let mut lengths = lengths.into();
        lengths.sort_unstable();
        lengths.dedup();
        assert!(!lengths.is_empty() && batch_size > 0, "length groups: no lengths or no texts");
        LengthGroups { lengths, batch_size }
    }

    /// All texts in batches, given the length of each. With a key, texts and batches come in a random
    /// order; without, in theirs.
    ///
    /// Texts that are left over of a length join the next longer one, so at most the last batch of the
    /// greatest length has fewer texts than the others. It comes last.
    ///
    /// ```
    /// use gradloom_data::text::LengthGroups;
    ///
    /// let batches = LengthGroups::new([8, 16], 2).batches(&[3, 12, 5, 7], None);
    /// let shapes: Vec<_> = batches.iter().map(|batch| (batch.length, batch.texts.clone())).collect();
    /// assert_eq!(shapes, [(8, vec![0, 2]), (16, vec![3, 1])]);
    /// ```
    pub fn batches(&self, text_lengths: &[usize], key: Option<Key>) -> Vec<LengthGroup> {
        let order = match key {
            Some(key) => permutation(text_lengths.len(), key.fold(0)),
            None => (0..text_lengths.len()).collect(),
        };
        let mut batches = Vec::new();
        let mut left: Vec<usize> = Vec::new();
        for (position, &length) in self.lengths.iter().enumerate() {
            let shorter = if position == 0 { 0 } else { self.lengths[position - 1] + 1 };
            let last = position + 1 == self.lengths.len();
            let mut texts = std::mem::take(&mut left);
            let fits = |text: &usize| {
                text_lengths[*text] >= shorter && (last || text_lengths[*text] <= length)
            };
            texts.extend(order.iter().copied().filter(fits));
            let whole = texts.len() / self.batch_size * self.batch_size;
            left = texts.split_off(whole);
            let groups = texts.chunks_exact(self.batch_size);
            batches.extend(groups.map(|texts| LengthGroup { length, texts: texts.to_vec() }));
        }
        if let Some(key) = key {
            let order = permutation(batches.len(), key.fold(1));
            batches = order.into_iter().map(|index| batches[index].clone()).collect();
        }
        if let (Some(&length), false) = (self.lengths.last(), left.is_empty()) {
            batches.push(LengthGroup { length, texts: left });
        }
        batches
    }
}

#[cfg(test)]
mod tests {
    use super::LengthGroups;
    use gradloom_tensor::Key;

    #[test]
    fn every_text_is_in_one_batch_that_holds_it() {
        let lengths: Vec<usize> = (0..103).map(|index| 1 + index * 37 % 50).collect();
        for key in [None, Some(Key::new(5))] {
            let batches = LengthGroups::new([30, 10, 20, 40], 8).batches(&lengths, key);
            let mut seen: Vec<usize> = batches.iter().flat_map(|b| b.texts.clone()).collect();
            seen.sort_unstable();
            assert!(seen.into_iter().eq(0..103));
            let (last, full) = batches.split_last().unwrap();
            assert!(full.iter().all(|batch| batch.texts.len() == 8));
            assert_eq!((last.length, last.texts.len()), (40, 103 % 8));
            for batch in &batches {
                let longest = batch.texts.iter().map(|&text| lengths[text]).max().unwrap();
                assert!(longest <= batch.length || batch.length == 40);
            }
        }
    }

    #[test]
    fn another_key_gives_another_order() {
        let lengths = [5; 64];
        let groups = LengthGroups::new([8], 4);
        let of = |seed| groups.batches(&lengths, Some(Key::new(seed)));
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
        assert!(groups.batches(&[], None).is_empty());
    }
}

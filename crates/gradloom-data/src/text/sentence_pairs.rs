//! [`SentencePairs`]: two sentences each, of which the second follows the first or does not.

use crate::random::{RandomStream, sample_key};
use gradloom_tensor::Key;

/// Pairs `[CLS] A [SEP] B [SEP]` out of documents of sentences: half of the time B is the sentence after
/// A, else one of another document. For each A there is one pair.
///
/// Devlin et al., "BERT", 2018, where it is called next-sentence prediction.
///
/// ```
/// use gradloom_data::text::SentencePairs;
/// use gradloom_tensor::Key;
///
/// let documents = vec![vec![vec![10, 11], vec![12]], vec![vec![20], vec![21, 22], vec![23]]];
/// let pairs = SentencePairs::new(documents, 2, 3, 16);
/// assert_eq!(pairs.len(), 3);
/// let pair = pairs.get(0, Key::new(0));
/// assert_eq!(pair.tokens[..4], [2, 10, 11, 3]);
/// assert_eq!(pair.types[..5], [0, 0, 0, 0, 1]);
/// ```
#[derive(Clone, Debug)]
pub struct SentencePairs {
    documents: Vec<Vec<Vec<u32>>>,
    /// Document and sentence of each A.
    first: Vec<(usize, usize)>,
    /// Documents with sentences.
    filled: Vec<usize>,
    class: u32,
    separator: u32,
    length_max: usize,
}

/// Two sentences.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentencePair {
    /// `[CLS] A [SEP] B [SEP]`
    pub tokens: Vec<u32>,
    /// 0 for the tokens of A, 1 for those of B; each separator belongs to the sentence before it.
    pub types: Vec<u32>,
    /// Whether B follows A.
    pub follows: bool,
}

impl SentencePairs {
    /// Out of documents, which are lists of sentences, which are lists of tokens. Pairs have at most
    /// `length_max` tokens: the longer sentence loses its end first. Without a second document, what
    /// does not follow is another sentence of the same one.
    ///
    /// # Panics
    /// If `length_max` leaves no room for two tokens.
    #[track_caller]
    pub fn new(
        documents: Vec<Vec<Vec<u32>>>,
        class: u32,
        separator: u32,
        length_max: usize,
    ) -> Self {
        assert!(
            length_max >= 5,
            "sentence pairs: {length_max} tokens hold no pair; give at least 5"
        );
        let first = documents.iter().enumerate().flat_map(|(document, sentences)| {
            (0..sentences.len().saturating_sub(1)).map(move |sentence| (document, sentence))
        });
        let first = first.collect();
        let filled = (0..documents.len()).filter(|&index| !documents[index].is_empty()).collect();
        SentencePairs { documents, first, filled, class, separator, length_max }
    }

    /// Number of pairs.
    pub fn len(&self) -> usize {
        self.first.len()
    }

    /// True without pairs.
    pub fn is_empty(&self) -> bool {
        self.first.is_empty()
    }

    /// Pair number `index`. The key decides what B is, anew for each index.
    ///
    /// # Panics
    /// If there are not so many.
    #[track_caller]
    pub fn get(&self, index: usize, key: Key) -> SentencePair {
        let (document, sentence) = self.first[index];
        let mut stream = RandomStream::new(sample_key(key, index));
        let follows = stream.chance(0.5);
        let second = if follows {
            &self.documents[document][sentence + 1]
        } else {
            self.other(document, sentence, &mut stream)
        };
        let follows = std::ptr::eq(second, &self.documents[document][sentence + 1]);
        self.joined(&self.documents[document][sentence], second, follows)
    }

    /// A sentence that does not follow, if there is any.
    fn other(&self, document: usize, sentence: usize, stream: &mut RandomStream) -> &Vec<u32> {
        let place = self.filled.binary_search(&document).unwrap_or(0);
        if self.filled.len() > 1 {
            let step = 1 + stream.below(self.filled.len() - 1);
            let other = &self.documents[self.filled[(place + step) % self.filled.len()]];
            return &other[stream.below(other.len())];
        }
        let sentences = &self.documents[document];
        let step = 1 + stream.below((sentences.len() - 1).max(1));
        &sentences[(sentence + 1 + step) % sentences.len()]
    }

    fn joined(&self, first: &[u32], second: &[u32], follows: bool) -> SentencePair {
        let room = self.length_max - 3;
        let (mut one, mut two) = (first.len(), second.len());
        if one + two > room {
            let half = room / 2;
            (one, two) = match (one <= half, two <= room - half) {
                (true, _) => (one, room - one),
                (_, true) => (room - two, two),
                _ => (half, room - half),
            };
        }
        let mut tokens = vec![self.class];
        tokens.extend(&first[..one]);
        tokens.push(self.separator);
        let mut types = vec![0; tokens.len()];
        tokens.extend(&second[..two]);
        tokens.push(self.separator);
        types.resize(tokens.len(), 1);
        SentencePair { tokens, types, follows }
    }
}

#[cfg(test)]
mod tests {
    use super::SentencePairs;
    use gradloom_tensor::Key;

    fn documents() -> Vec<Vec<Vec<u32>>> {
        // Sentence s of document d is made of the token 100 d + s + 10.
        let sentence = |d: u32, s: u32| vec![100 * d + s + 10; 1 + (s as usize * 5) % 9];
        (0..4).map(|d| (0..20 * d).map(|s| sentence(d, s)).collect()).collect()
    }

    #[test]
    fn half_of_the_seconds_follow_and_the_others_are_of_other_documents() {
        let pairs = SentencePairs::new(documents(), 1, 2, 12);
        assert_eq!(pairs.len(), 19 + 39 + 59);
        let mut follow = 0;
        for round in 0..20 {
            for index in 0..pairs.len() {
                let pair = pairs.get(index, Key::new(round));
                assert!(pair.tokens.len() <= 12 && pair.types.len() == pair.tokens.len());
                let of = |kind| {
                    let mut both = pair.tokens.iter().zip(&pair.types);
                    *both.find(|(token, of)| **of == kind && **token >= 10).unwrap().0
                };
                let (one, two) = (of(0), of(1));
                assert_eq!(pair.follows, two == one + 1, "{one} and {two}");
                assert!(pair.follows || one / 100 != two / 100);
                follow += usize::from(pair.follows);
            }
        }
        let share = follow as f64 / (20 * pairs.len()) as f64;
        assert!((share - 0.5).abs() < 0.03, "{share}");
        assert_eq!(pairs.get(5, Key::new(1)), pairs.get(5, Key::new(1)));
    }

    #[test]
    fn one_document_pairs_with_itself() {
        let pairs = SentencePairs::new(vec![vec![vec![10], vec![11], vec![12]]], 1, 2, 8);
        for round in 0..50 {
            let pair = pairs.get(0, Key::new(round));
            assert_eq!(pair.follows, pair.tokens[3] == 11, "{:?}", pair.tokens);
        }
    }
}

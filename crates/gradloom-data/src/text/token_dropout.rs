//! [`TokenDropout`]: tokens left out, or replaced by one, at random.

use crate::random::RandomStream;
use crate::{Result, Transform};
use gradloom_tensor::Key;

/// Leaves out each token of a text with some probability, so that no single word is relied on. A text
/// keeps one token at least.
///
/// Iyyer et al., "Deep unordered composition rivals syntactic methods for text classification", 2015
/// (word dropout).
#[derive(Clone, Copy, Debug)]
pub struct TokenDropout<T> {
    probability: f32,
    replacement: Option<T>,
}

impl<T> TokenDropout<T> {
    /// Each token with the given probability.
    ///
    /// # Panics
    /// If it is not within `0..=1`.
    #[track_caller]
    pub fn new(probability: f32) -> Self {
        assert!((0.0..=1.0).contains(&probability), "token dropout: probability {probability}");
        TokenDropout { probability, replacement: None }
    }

    /// Puts this token in their places instead, such as that of unknown words; lengths stay.
    #[must_use]
    pub fn replace_with(mut self, token: T) -> Self {
        self.replacement = Some(token);
        self
    }
}

impl<T: Copy + Send + Sync> Transform<Vec<T>> for TokenDropout<T> {
    type Output = Vec<T>;

    fn describe(&self) -> String {
        let replaces = if self.replacement.is_some() { " by another" } else { "" };
        format!("TokenDropout {:?}{replaces}", self.probability)
    }

    /// ```
    /// use gradloom_data::Transform;
    /// use gradloom_data::text::TokenDropout;
    /// use gradloom_tensor::Key;
    ///
    /// let dropout = TokenDropout::new(0.5).replace_with(0);
    /// assert_eq!(dropout.apply(vec![7; 100], Key::new(1))?.len(), 100);
    /// # Ok::<(), gradloom_data::Error>(())
    /// ```
    fn apply(&self, tokens: Vec<T>, key: Key) -> Result<Vec<T>> {
        let mut stream = RandomStream::new(key);
        if let Some(replacement) = self.replacement {
            let change = |token| if stream.chance(self.probability) { replacement } else { token };
            return Ok(tokens.into_iter().map(change).collect());
        }
        let mut kept: Vec<T> =
            tokens.iter().copied().filter(|_| !stream.chance(self.probability)).collect();
        if kept.is_empty() && !tokens.is_empty() {
            kept.push(tokens[stream.below(tokens.len())]);
        }
        Ok(kept)
    }
}

#[cfg(test)]
mod tests {
    use super::TokenDropout;
    use crate::Transform;
    use gradloom_tensor::Key;

    #[test]
    fn tokens_go_as_often_as_asked_for() {
        let tokens: Vec<u32> = (0..10_000).collect();
        let kept = TokenDropout::new(0.3).apply(tokens.clone(), Key::new(1)).unwrap();
        assert!((6_800..7_200).contains(&kept.len()) && kept.is_sorted());
        let replaced = TokenDropout::new(0.3)
            .replace_with(u32::MAX)
            .apply(tokens.clone(), Key::new(1))
            .unwrap();
        let gone = replaced.iter().filter(|&&token| token == u32::MAX).count();
        assert_eq!(gone, 10_000 - kept.len());
        assert_eq!(TokenDropout::new(1.0).apply(tokens, Key::new(1)).unwrap().len(), 1);
        assert!(TokenDropout::<u32>::new(1.0).apply(vec![], Key::new(1)).unwrap().is_empty());
    }
}

//! [`TokenStream`]: one long text, for a model that learns to say which token comes next.
//!
//! Letters: B windows, T tokens.

use crate::random::RandomStream;
use gradloom_tensor::{Device, Key, Result, Tensor};

/// A text, read in windows of one length. The target of each token is the one after it.
///
/// ```
/// use gradloom_data::text::TokenStream;
///
/// let stream = TokenStream::new((0..10).collect::<Vec<u32>>(), 4);
/// assert_eq!(stream.windows(), 2);
/// assert_eq!(stream.window(1), (&[4, 5, 6, 7][..], &[5, 6, 7, 8][..]));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenStream {
    tokens: Vec<u32>,
    length: usize,
}

impl TokenStream {
    /// Windows of `length` tokens out of a text.
    ///
    /// # Panics
    /// If the text is too short for one window and the target of its last token.
    #[track_caller]
    pub fn new(tokens: impl Into<Vec<u32>>, length: usize) -> Self {
        let tokens = tokens.into();
        assert!(
            length > 0 && tokens.len() > length,
            "token stream: {} tokens hold no window of {length} and the token after it",
            tokens.len()
        );
        TokenStream { tokens, length }
    }

    /// The whole text.
    pub fn tokens(&self) -> &[u32] {
        &self.tokens
    }

    /// Number of windows beside each other.
    pub fn windows(&self) -> usize {
        (self.tokens.len() - 1) / self.length
    }

    /// Window number `index` of those beside each other, and its targets.
    ///
    /// # Panics
    /// If there are not so many.
    #[track_caller]
    pub fn window(&self, index: usize) -> (&[u32], &[u32]) {
        self.at(index * self.length)
    }

    #[track_caller]
    fn at(&self, start: usize) -> (&[u32], &[u32]) {
        (&self.tokens[start..start + self.length], &self.tokens[start + 1..][..self.length])
    }

    /// Windows from random places, and their targets: `i32 [B, T]` each.
    ///
    /// # Errors
    /// If the device has no memory.
    pub fn random_batch(
        &self,
        count: usize,
        key: Key,
        device: &Device,
    ) -> Result<(Tensor, Tensor)> {
        let mut stream = RandomStream::new(key);
        let places = self.tokens.len() - self.length;
        let starts: Vec<usize> = (0..count).map(|_| stream.below(places)).collect();
        self.batch(&starts, device)
    }

    /// The windows `first .. first + count` of those beside each other, and their targets:
    /// `i32 [B, T]` each.
    ///
    /// # Errors
    /// If the device has no memory.
    ///
    /// # Panics
    /// If there are not so many.
    #[track_caller]
    pub fn batch_of_windows(
        &self,
        first: usize,
        count: usize,
        device: &Device,
    ) -> Result<(Tensor, Tensor)> {
        let starts: Vec<usize> = (first..first + count).map(|index| index * self.length).collect();
        self.batch(&starts, device)
    }

    #[track_caller]
    fn batch(&self, starts: &[usize], device: &Device) -> Result<(Tensor, Tensor)> {
        let [mut tokens, mut targets] = [Vec::new(), Vec::new()];
        for &start in starts {
            let (window, next) = self.at(start);
            tokens.extend(window.iter().map(|&token| token as i32));
            targets.extend(next.iter().map(|&token| token as i32));
        }
        let shape = [starts.len(), self.length];
        Ok((
            Tensor::from_slice(&tokens, shape, device)?,
            Tensor::from_slice(&targets, shape, device)?,
        ))
    }
}

//! [`TokenBatch`]: texts of a batch, filled up to one length.
//!
//! Letters: B texts, T tokens.

use gradloom_tensor::{Device, Result, Tensor};

/// Token ids `[B, T]`, and which are real.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenBatch {
    /// B and T.
    pub shape: [usize; 2],
    /// `[B, T]`
    pub tokens: Vec<i32>,
    /// `[B, T]`: 1 for real tokens, 0 for padding.
    pub mask: Vec<i32>,
}

impl TokenBatch {
    /// Texts filled up with `padding` to `length` tokens; longer ones are cut.
    ///
    /// ```
    /// use gradloom_data::text::TokenBatch;
    ///
    /// let batch = TokenBatch::new(&[&[5, 6, 7], &[8]], 2, 0);
    /// assert_eq!(batch.tokens, [5, 6, 8, 0]);
    /// assert_eq!(batch.mask, [1, 1, 1, 0]);
    /// ```
    pub fn new(texts: &[&[u32]], length: usize, padding: u32) -> Self {
        TokenBatch::with_rows(texts, texts.len(), length, padding)
    }

    /// As [`new`](TokenBatch::new), with empty texts up to `rows` of them, so that a last batch has the
    /// shape of the others and needs no plan of its own.
    ///
    /// # Panics
    /// If there are more texts than rows.
    #[track_caller]
    pub fn with_rows(texts: &[&[u32]], rows: usize, length: usize, padding: u32) -> Self {
        assert!(texts.len() <= rows, "token batch: {} texts for {rows} rows", texts.len());
        let mut tokens = vec![padding as i32; rows * length];
        let mut mask = vec![0; rows * length];
        for (row, text) in texts.iter().enumerate() {
            for (place, &token) in text.iter().take(length).enumerate() {
                tokens[row * length + place] = token as i32;
                mask[row * length + place] = 1;
            }
        }
        TokenBatch { shape: [rows, length], tokens, mask }
    }

    /// Tokens and mask on a device, `i32 [B, T]` each.
    ///
    /// # Errors
    /// If the device has no memory.
    pub fn to_tensors(&self, device: &Device) -> Result<(Tensor, Tensor)> {
        let tensor = |values: &[i32]| Tensor::from_slice(values, self.shape, device);
        Ok((tensor(&self.tokens)?, tensor(&self.mask)?))
    }
}

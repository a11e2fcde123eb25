//! [`BertInput`]: tokens, and what else BERT is told about them.

use gradloom_tensor::Tensor;

/// Tokens `[B, T]`, and what else is known of them. All integers; the mask may be bool.
///
/// ```
/// use gradloom_tensor::Tensor;
/// use gradloom_zoo::BertInput;
///
/// # fn main() -> gradloom_tensor::Result<()> {
/// # let device = gradloom_testkit::reference::device();
/// let tokens = Tensor::new([[101, 7592, 102], [101, 102, 0]], &device)?;
/// let mask = Tensor::new([[1, 1, 1], [1, 1, 0]], &device)?;
/// let input = BertInput::new(&tokens).mask(&mask);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct BertInput {
    /// `[B, T]`
    pub tokens: Tensor,
    /// `[B, T]`: true or nonzero for real tokens; all are without it.
    pub mask: Option<Tensor>,
    /// `[B, T]`: 0 for the first sentence, 1 for the second; 0 everywhere without it.
    pub token_types: Option<Tensor>,
    /// `[P, E]`: vectors that stand before the rows of the tokens, for all texts the same, and belong to
    /// the first sentence. Hidden states are then of `P + T` places.
    pub prompt: Option<Tensor>,
}

impl BertInput {
    /// Texts of equal length, one sentence each.
    pub fn new(tokens: &Tensor) -> Self {
        BertInput { tokens: tokens.clone(), mask: None, token_types: None, prompt: None }
    }

    /// Sets which tokens are real, where short texts were filled up.
    #[must_use]
    pub fn mask(mut self, mask: &Tensor) -> Self {
        self.mask = Some(mask.clone());
        self
    }

    /// Sets which sentence each token belongs to.
    #[must_use]
    pub fn token_types(mut self, token_types: &Tensor) -> Self {
        self.token_types = Some(token_types.clone());
        self
    }

    /// Sets vectors that stand before the rows of the tokens, such as a
    /// [`SoftPrompt`](crate::adapters::SoftPrompt)'s.
    #[must_use]
    pub fn prompt(mut self, vectors: &Tensor) -> Self {
        self.prompt = Some(vectors.clone());
        self
    }
}

//! [`CausalInput`]: what models are told that write a text from left to right, and what they answer.

use crate::Result;
use crate::prompt::prompt_length;
use gradloom_nn::layers::KeyValueCache;
use gradloom_nn::{Context, Module};
use gradloom_tensor::Tensor;

/// A model that writes a text from left to right, a token at a time.
pub trait CausalLanguageModel: Module + Clone {
    /// Tokens that a text may have.
    fn positions_max(&self) -> usize;

    /// Number of tokens that there are.
    fn vocabulary(&self) -> usize;

    /// The rows of tokens, `[B, T] -> [B, T, E]`: what the first layer begins with, or is added to
    /// positions there.
    fn embed(&self, tokens: &Tensor) -> Tensor;

    /// An empty cache for `batch` texts of at most `capacity` tokens.
    ///
    /// # Errors
    /// If the device has no memory for it.
    fn cache(&self, batch: usize, capacity: usize) -> Result<KeyValueCache>;

    /// Hidden states `[B, T, E]` of the next tokens `[B, T]` of texts whose beginning is in the cache.
    /// The pass through the cache begins here; the caller ends it.
    ///
    /// # Errors
    /// If the cache has no room for them.
    fn hidden(
        &self,
        tokens: &Tensor,
        cache: &mut KeyValueCache,
        ctx: &mut Context,
    ) -> Result<Tensor> {
        self.hidden_embedded(&self.embed(tokens), cache, ctx)
    }

    /// As [`hidden`](CausalLanguageModel::hidden), of vectors `[B, T, E]` in the place of the rows of
    /// tokens.
    ///
    /// # Errors
    /// If the cache has no room for them.
    fn hidden_embedded(
        &self,
        embedded: &Tensor,
        cache: &mut KeyValueCache,
        ctx: &mut Context,
    ) -> Result<Tensor>;

    /// Hidden states `[.., E]` to logits `[.., V]` of the token after each.
    fn logits(&self, hidden: &Tensor) -> Tensor;
}

/// Tokens `[B, T]` of texts, and what else is known of them. All integers; the mask may be bool.
///
/// ```
/// use gradloom_tensor::Tensor;
/// use gradloom_zoo::CausalInput;
///
/// # fn main() -> gradloom_tensor::Result<()> {
/// # let device = gradloom_testkit::reference::device();
/// let tokens = Tensor::new([[464, 3139, 286]], &device)?;
/// let input = CausalInput::new(&tokens);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct CausalInput {
    /// `[B, T]`
    pub tokens: Tensor,
    /// `[B, T]`: true or nonzero for real tokens; all are without it. What the model makes of a token
    /// that sees no real one has no meaning.
    pub mask: Option<Tensor>,
    /// `[T]` or `[B, T]`: the tokens' places in their texts; 0, 1, 2, ... without it. With a prompt, the
    /// places of its vectors come first.
    pub positions: Option<Tensor>,
    /// `[P, E]`: vectors that stand before the rows of the tokens, for all texts the same. Hidden states
    /// and logits are then of `P + T` places.
    pub prompt: Option<Tensor>,
}

impl CausalInput {
    /// Texts of equal length from their beginning.
    pub fn new(tokens: &Tensor) -> Self {
        CausalInput { tokens: tokens.clone(), mask: None, positions: None, prompt: None }
    }

    /// Sets which tokens are real, where short texts were filled up.
    #[must_use]
    pub fn mask(mut self, mask: &Tensor) -> Self {
        self.mask = Some(mask.clone());
        self
    }

    /// Sets the tokens' places in their texts.
    #[must_use]
    pub fn positions(mut self, positions: &Tensor) -> Self {
        self.positions = Some(positions.clone());
        self
    }

    /// Sets vectors that stand before the rows of the tokens, such as a
    /// [`SoftPrompt`](crate::adapters::SoftPrompt)'s.
    #[must_use]
    pub fn prompt(mut self, vectors: &Tensor) -> Self {
        self.prompt = Some(vectors.clone());
        self
    }

    /// The number of places: of the prompt's vectors and the tokens.
    pub(crate) fn length(&self) -> usize {
        self.tokens.size(1) + prompt_length(self.prompt.as_ref())
    }

    /// The places, `[T]` or `[B, T]`.
    ///
    /// # Panics
    /// If those that were set have another shape.
    #[track_caller]
    pub(crate) fn places(&self, model: &str) -> Tensor {
        let length = self.length();
        let Some(positions) = &self.positions else {
            return Tensor::arange(length, self.tokens.device());
        };
        let (found, tokens) = (positions.shape(), self.tokens.shape());
        assert!(
            found[..] == [length] || found[..] == [tokens[0], length],
            "{model}: positions of shape {found} for tokens of shape {tokens}, {length} with the prompt"
        );
        positions.clone()
    }
}

/// What a language model makes of tokens `[B, T]`.
#[derive(Clone, Debug)]
pub struct CausalOutput {
    /// `[B, T, V]`: of the token after each.
    pub logits: Tensor,
    /// `[B, T, E]`
    pub last_hidden_state: Tensor,
}

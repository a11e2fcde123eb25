//! Explanations of texts: of tokens that went in, for classes or for tokens that came out.

use gradloom_tensor::{Error, Result, Tensor};

use crate::{Attribution, Forward, Inputs, Method, Target};

/// The log-probability of each token of a continuation, after a prompt of `prompt` tokens: from logits
/// `[B, T, V]` of the whole text to `[B, N]`, where `T >= prompt + N - 1`. It makes a language model a
/// function whose classes are the generated tokens.
///
/// # Errors
/// If the logits are not `[B, T, V]`, there is no token before the continuation or none in it, the text is
/// too short, or a token is not in the vocabulary.
///
/// ```
/// use gradloom_explain::continuation_log_probabilities;
/// use gradloom_tensor::{DType, Tensor};
///
/// # fn main() -> gradloom_tensor::Result<()> {
/// # let device = gradloom_testkit::reference::device();
/// let logits = Tensor::zeros([1, 5, 10], DType::F32, &device);
/// let found = continuation_log_probabilities(&logits, 3, &[7, 1, 4])?;
/// assert_eq!(found.shape(), &[1, 3]);
/// assert!((found.to_vec::<f32>()?[0] + 10f32.ln()).abs() < 1e-6);
/// # Ok(())
/// # }
/// ```
pub fn continuation_log_probabilities(
    logits: &Tensor,
    prompt: usize,
    continuation: &[u32],
) -> Result<Tensor> {
    let op = "continuation_log_probabilities";
    let [batch, length, vocabulary] = logits.shape()[..] else {
        return Err(Error::shape(format!(
            "{op}: logits of shape {}, not [B, T, V]",
            logits.shape()
        )));
    };
    let count = continuation.len();
    if prompt == 0 || count == 0 || prompt + count - 1 > length {
        return Err(Error::invalid(format!(
            "{op}: {count} tokens after {prompt} of a text of {length}; both must be at least 1, and all but \
             the last token in the text"
        )));
    }
    if let Some(token) = continuation.iter().find(|&&token| token as usize >= vocabulary) {
        return Err(Error::invalid(format!("{op}: token {token} of a vocabulary of {vocabulary}")));
    }
    // The logits at a place are about the token after it.
    let before = logits.narrow(1, prompt - 1, count).log_softmax(-1);
    let index: Vec<i32> = continuation.iter().map(|&token| token as i32).collect();
    let index = Tensor::from_vec(index, [1, count, 1], logits.device())?;
    Ok(before.gather(2, &index.broadcast_to([batch, count, 1])).squeeze(2))
}

/// The attributions of each of `count` classes of the output `[B, count]`: for generated text one for each
/// token.
///
/// # Errors
/// As the method's own.
pub fn attribute_each(
    method: &dyn Method,
    forward: &Forward,
    inputs: &Inputs,
    count: usize,
) -> Result<Vec<Attribution>> {
    (0..count).map(|class| method.attribute(forward, inputs, &Target::Class(class))).collect()
}

/// One number for each token from attributions of embeddings: `[B, T, E] -> [B, T]`.
///
/// # Errors
/// If the attributions have another rank.
pub fn per_token(attributions: &Tensor) -> Result<Tensor> {
    match attributions.rank() {
        3 => Ok(attributions.sum(2)),
        _ => {
            let shape = attributions.shape();
            Err(Error::shape(format!("per_token: attributions of shape {shape}, not [B, T, E]")))
        }
    }
}

//! Vectors that stand before the rows of tokens: how models put them there.
//!
//! Letters: B batch, P vectors of the prompt, T tokens, E features.

use gradloom_tensor::{DType, Tensor};

/// Number of vectors.
pub(crate) fn prompt_length(prompt: Option<&Tensor>) -> usize {
    prompt.map_or(0, |vectors| vectors.size(0))
}

/// Rows of tokens `[B, T, E]` after the vectors of a prompt `[P, E]`: `[B, P + T, E]`.
///
/// # Panics
/// If the vectors have another size than the rows.
#[track_caller]
pub(crate) fn after_prompt(model: &str, prompt: Option<&Tensor>, rows: Tensor) -> Tensor {
    let Some(vectors) = prompt else { return rows };
    let (found, size) = (vectors.shape(), rows.size(2));
    assert!(
        found.rank() == 2 && found[1] == size,
        "{model}: a prompt of shape {found}, but tokens have {size} features"
    );
    let vectors = vectors.unsqueeze(0).broadcast_to([rows.size(0), found[0], size]);
    Tensor::concat(&[&vectors, &rows], 1)
}

/// A mask of keys `[B, 1, 1, T]` that also keeps the vectors of a prompt: `[B, 1, 1, P + T]`.
pub(crate) fn mask_after_prompt(prompt: Option<&Tensor>, mask: Tensor) -> Tensor {
    match prompt_length(prompt) {
        0 => mask,
        length => {
            let kept = Tensor::ones([mask.size(0), 1, 1, length], DType::Bool, mask.device());
            Tensor::concat(&[&kept, &mask], -1)
        }
    }
}

//! Texts as lists of token ids: batches of few lengths, and what models learn from text without labels.
//!
//! How a text becomes ids is the matter of a tokenizer and not seen here; any list of numbers will do.
//! Everything random is drawn from a key, so a sample is the same in every run and on any thread.

mod length_groups;
mod token_batch;

mod masked_tokens;
mod sentence_pairs;
mod token_dropout;
mod token_stream;

pub use length_groups::{LengthGroup, LengthGroups};
pub use masked_tokens::{IGNORED, MaskedText, MaskedTokens};
pub use sentence_pairs::{SentencePair, SentencePairs};
pub use token_batch::TokenBatch;
pub use token_dropout::TokenDropout;
pub use token_stream::TokenStream;

//! Figures of texts: translations, summaries, transcriptions.

mod whitespace;
mod tokens_13a;
mod ngrams;
mod bleu;
mod chrf;
mod rouge;
mod error_rate;

pub use bleu::{Bleu, BleuReport, bleu};
pub use chrf::{ChrF, chrf};
pub use error_rate::{EditCounts, ErrorRate, Unit, cer, wer};
pub use rouge::{Rouge, RougeReport, RougeScore, rouge};
pub use tokens_13a::tokenize_13a;

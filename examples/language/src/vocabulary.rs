//! A vocabulary of word pieces, learnt from the texts at hand, for models that begin from nothing.

use gradloom::text::Tokenizer;
use tokenizers::models::wordpiece::{WordPiece, WordPieceTrainer};
use tokenizers::normalizers::BertNormalizer;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::processors::bert::BertProcessing;
use tokenizers::{AddedToken, TokenizerBuilder, decoders};

use examples::Failure;

/// BERT's special tokens, which get the first ids.
pub const SPECIAL: [&str; 5] = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];

/// Learns at most `size` word pieces, special tokens included (Schuster, Nakajima, "Japanese and Korean
/// voice search", 2012).
///
/// # Errors
/// If the texts cannot be learnt from.
pub fn train(texts: &[&str], size: usize) -> Result<Tokenizer, Failure> {
    let json = learn(texts, size).map_err(|error| format!("learning a vocabulary: {error}"))?;
    Ok(Tokenizer::from_bytes("the learnt vocabulary", json.as_bytes())?)
}

/// The text of a `tokenizer.json`.
fn learn(texts: &[&str], size: usize) -> tokenizers::Result<String> {
    let special = SPECIAL.iter().map(|&token| AddedToken::from(token, true)).collect();
    let mut trainer = WordPieceTrainer::builder()
        .vocab_size(size)
        .special_tokens(special)
        .show_progress(false)
        .build();
    let decoder = decoders::wordpiece::WordPiece::default();
    let processor = BertProcessing::new(("[SEP]".to_owned(), 3), ("[CLS]".to_owned(), 2));
    let mut library = TokenizerBuilder::new()
        .with_model(WordPiece::builder().unk_token("[UNK]".to_owned()).build()?)
        .with_normalizer(Some(BertNormalizer::default()))
        .with_pre_tokenizer(Some(BertPreTokenizer))
        .with_post_processor(Some(processor))
        .with_decoder(Some(decoder))
        .build()?;
    library.train(&mut trainer, texts.iter().copied())?;
    library.to_string(false)
}

//! [`Tokenizer`]: text to ids and back.
//!
//! The rules are those of the `tokenizers` crate; files and vocabularies are read in
//! [`reading`](crate::reading).

use std::sync::Arc;

use tokenizers::utils::truncation::TruncationDirection;
use tokenizers::{Decoder, PostProcessor, PostProcessorWrapper};

use crate::guarded::guarded;
use crate::pieces::Pieces;
use crate::{EncodeOptions, Encoding, Error, Padding, Result, SpecialTokens, error};

/// Turns text into ids of a model's vocabulary and back. Cheap to clone, and shared between threads.
///
/// ```no_run
/// use gradloom_text::{EncodeOptions, Tokenizer};
///
/// # fn main() -> gradloom_text::Result<()> {
/// let tokenizer = Tokenizer::from_file("model/tokenizer.json")?;
/// let encoding = tokenizer.encode("Hello there", &EncodeOptions::new())?;
/// let text = tokenizer.decode(&encoding.ids, true)?;
/// # let _ = text;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Tokenizer {
    inner: Arc<Inner>,
}

#[derive(Clone)]
struct Inner {
    /// Without its post-processor, which would shift offsets each time it runs.
    library: tokenizers::Tokenizer,
    post_processor: Option<PostProcessorWrapper>,
    pieces: Pieces,
    special_tokens: SpecialTokens,
    /// Tokens that end a text beside the one with that role.
    more_ends: Vec<u32>,
    vocabulary_len: usize,
}

impl std::fmt::Debug for Tokenizer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Tokenizer")
            .field("vocabulary_len", &self.vocabulary_len())
            .field("special_tokens", &self.special_tokens())
            .finish_non_exhaustive()
    }
}

impl Tokenizer {
    pub(crate) fn new(
        library: tokenizers::Tokenizer,
        post_processor: Option<PostProcessorWrapper>,
        pieces: Pieces,
    ) -> Self {
        let special_tokens = SpecialTokens::guess(|token| library.token_to_id(token));
        let vocabulary_len = library.get_vocab_size(true);
        let more_ends = Vec::new();
        let inner =
            Inner { library, post_processor, pieces, special_tokens, more_ends, vocabulary_len };
        Tokenizer { inner: Arc::new(inner) }
    }

    /// The same tokenizer with these roles of special tokens.
    #[must_use]
    pub fn with_special_tokens(mut self, special_tokens: SpecialTokens) -> Self {
        Arc::make_mut(&mut self.inner).special_tokens = special_tokens;
        self
    }

    /// The same tokenizer with these tokens that end a text or a turn, beside the end of text.
    #[must_use]
    pub fn with_end_tokens(mut self, ends: &[u32]) -> Self {
        Arc::make_mut(&mut self.inner).more_ends = ends.to_vec();
        self
    }

    /// Whether the names of special tokens in a text become those tokens, as they do by default. Say `false`
    /// for text of strangers: `<|im_end|>` is then nine ordinary characters and more.
    #[must_use]
    pub fn with_special_tokens_in_text(mut self, recognised: bool) -> Self {
        Arc::make_mut(&mut self.inner).library.set_encode_special_tokens(!recognised);
        self
    }

    /// Encodes a text. Offsets are in bytes. The empty text has only special tokens.
    ///
    /// # Errors
    /// The vocabulary has no way to write the text, or the options contradict themselves.
    pub fn encode(&self, text: &str, options: &EncodeOptions) -> Result<Encoding> {
        self.finish(vec![(self.encode_raw(text)?, None)], options).map(first)
    }

    /// A function from a text to its ids, for what makes samples of texts, such as `Loader::texts` of
    /// `gradloom-data`. Its errors are those of [`encode`](Self::encode).
    pub fn encoder(
        &self,
        options: EncodeOptions,
    ) -> impl Fn(&str) -> Result<Vec<u32>> + Clone + Send + Sync + use<> {
        let tokenizer = self.clone();
        move |text| Ok(tokenizer.encode(text, &options)?.ids)
    }

    /// Encodes two texts that belong together, such as a question and a passage.
    ///
    /// # Errors
    /// As of [`encode`](Self::encode).
    pub fn encode_pair(
        &self,
        first_text: &str,
        second_text: &str,
        options: &EncodeOptions,
    ) -> Result<Encoding> {
        let pair = (self.encode_raw(first_text)?, Some(self.encode_raw(second_text)?));
        self.finish(vec![pair], options).map(first)
    }

    /// Encodes texts on several threads, in order.
    ///
    /// # Errors
    /// As of [`encode`](Self::encode).
    pub fn encode_batch<T: AsRef<str>>(
        &self,
        texts: &[T],
        options: &EncodeOptions,
    ) -> Result<Vec<Encoding>> {
        let raw = self.encode_raw_batch(texts.iter().map(AsRef::as_ref).collect())?;
        self.finish(raw.into_iter().map(|encoding| (encoding, None)).collect(), options)
    }

    /// Encodes pairs of texts on several threads, in order.
    ///
    /// # Errors
    /// As of [`encode`](Self::encode).
    pub fn encode_pair_batch<T: AsRef<str>, U: AsRef<str>>(
        &self,
        pairs: &[(T, U)],
        options: &EncodeOptions,
    ) -> Result<Vec<Encoding>> {
        let firsts = self.encode_raw_batch(pairs.iter().map(|pair| pair.0.as_ref()).collect())?;
        let seconds = self.encode_raw_batch(pairs.iter().map(|pair| pair.1.as_ref()).collect())?;
        self.finish(firsts.into_iter().zip(seconds.into_iter().map(Some)).collect(), options)
    }

    /// The text of ids; `skip_special` leaves special tokens out. Bytes that are no UTF-8 become `�`.
    ///
    /// # Errors
    /// An id is not in the vocabulary.
    pub fn decode(&self, ids: &[u32], skip_special: bool) -> Result<String> {
        let mut tokens = Vec::with_capacity(ids.len());
        for &id in ids {
            let token = self.token_for_decoding(id)?;
            if !(skip_special && self.is_special(id)) {
                tokens.push(token);
            }
        }
        let decoder = match self.inner.library.get_decoder() {
            // A decoder may count on a last token.
            Some(decoder) if !tokens.is_empty() => decoder,
            _ => return Ok(tokens.join(" ")),
        };
        guarded(|| decoder.decode(tokens))
            .unwrap_or_else(|message| Err(message.into()))
            .map_err(|error| error::malformed("decode", error.to_string()))
    }

    /// The id of a token, as the vocabulary writes it (`Ġthe`, `##ing`).
    pub fn token_to_id(&self, token: &str) -> Option<u32> {
        self.inner.library.token_to_id(token)
    }

    /// The token of an id, as the vocabulary writes it.
    pub fn id_to_token(&self, id: u32) -> Option<String> {
        self.inner.library.id_to_token(id)
    }

    /// Whether an id is a special token, which [`decode`](Self::decode) can leave out.
    pub fn is_special(&self, id: u32) -> bool {
        self.id_to_token(id)
            .is_some_and(|token| self.inner.library.get_added_vocabulary().is_special_token(&token))
    }

    /// Number of tokens, added ones included.
    pub fn vocabulary_len(&self) -> usize {
        self.inner.vocabulary_len
    }

    /// Ids of the tokens with a role.
    pub fn special_tokens(&self) -> SpecialTokens {
        self.inner.special_tokens
    }

    /// Ids of all tokens at which a model stops writing: the end of text, and what the model's files say
    /// beside it, `generation_config.json` of a folder, the end of a turn or of a message in GGUF.
    pub fn end_tokens(&self) -> Vec<u32> {
        let mut ends: Vec<u32> = self.inner.special_tokens.eos.into_iter().collect();
        for &end in &self.inner.more_ends {
            if !ends.contains(&end) {
                ends.push(end);
            }
        }
        ends
    }

    /// Whether a model with embeddings for this many tokens can take every id. Models often have a few rows
    /// more than the vocabulary has tokens; fewer is an error.
    ///
    /// # Errors
    /// The vocabulary has more tokens than the model.
    pub fn check_fits(&self, embedding_rows: usize) -> Result<()> {
        if self.vocabulary_len() <= embedding_rows {
            return Ok(());
        }
        Err(error::vocabulary_mismatch(format!(
            "tokenizer: {} tokens, but the model has {embedding_rows} embeddings; take the tokenizer \
             of the same model",
            self.vocabulary_len()
        )))
    }

    pub(crate) fn pieces(&self) -> &Pieces {
        &self.inner.pieces
    }

    /// The form of a token that decoding starts from.
    pub(crate) fn token_for_decoding(&self, id: u32) -> Result<String> {
        let added = self.inner.library.get_added_vocabulary().simple_id_to_token(id);
        added.or_else(|| self.id_to_token(id)).ok_or_else(|| self.unknown_id(id))
    }

    fn unknown_id(&self, id: u32) -> Error {
        error::unknown_token(format!(
            "decode: id {id} is not in the vocabulary of {} tokens",
            self.vocabulary_len()
        ))
    }

    fn encode_raw(&self, text: &str) -> Result<tokenizers::Encoding> {
        guarded(|| self.inner.library.encode(text, false))
            .unwrap_or_else(|message| Err(message.into()))
            .map_err(encode_error)
    }

    fn encode_raw_batch(&self, texts: Vec<&str>) -> Result<Vec<tokenizers::Encoding>> {
        guarded(|| self.inner.library.encode_batch(texts, false))
            .unwrap_or_else(|message| Err(message.into()))
            .map_err(encode_error)
    }

    /// Truncates, adds special tokens and pads.
    fn finish(
        &self,
        raw: Vec<(tokenizers::Encoding, Option<tokenizers::Encoding>)>,
        options: &EncodeOptions,
    ) -> Result<Vec<Encoding>> {
        let mut encodings = Vec::with_capacity(raw.len());
        for (mut one, mut two) in raw {
            self.truncate(&mut one, two.as_mut(), options)?;
            encodings.push(Encoding::from_library(&self.post_process(one, two, options)?));
        }
        self.pad(&mut encodings, options)?;
        Ok(encodings)
    }

    fn truncate(
        &self,
        one: &mut tokenizers::Encoding,
        two: Option<&mut tokenizers::Encoding>,
        options: &EncodeOptions,
    ) -> Result<()> {
        let Some(length_max) = options.length_max else { return Ok(()) };
        let added = match &self.inner.post_processor {
            Some(processor) if !options.without_special_tokens => {
                processor.added_tokens(two.is_some())
            }
            _ => 0,
        };
        let Some(room) = length_max.checked_sub(added) else {
            return Err(Error::invalid(format!(
                "encode: truncation to {length_max} tokens leaves no room for the {added} special \
                 tokens"
            )));
        };
        let direction = if options.truncate_start {
            TruncationDirection::Left
        } else {
            TruncationDirection::Right
        };
        // What is cut off is dropped at once: post-processors would combine every rest with every other.
        let cut = |encoding: &mut tokenizers::Encoding, length: usize| {
            encoding.truncate(length, 0, direction);
            encoding.take_overflowing();
        };
        let Some(two) = two else {
            cut(one, room);
            return Ok(());
        };
        let (one_length, two_length) = shares(one.len(), two.len(), room);
        cut(one, one_length);
        cut(two, two_length);
        Ok(())
    }

    fn post_process(
        &self,
        one: tokenizers::Encoding,
        two: Option<tokenizers::Encoding>,
        options: &EncodeOptions,
    ) -> Result<tokenizers::Encoding> {
        let Some(processor) = &self.inner.post_processor else {
            let mut merged = one;
            if let Some(mut two) = two {
                two.set_type_ids(vec![1; two.len()]);
                merged.merge_with(two, false);
            }
            return Ok(merged);
        };
        guarded(|| processor.process(one, two, !options.without_special_tokens))
            .unwrap_or_else(|message| Err(message.into()))
            .map_err(encode_error)
    }

    fn pad(&self, encodings: &mut [Encoding], options: &EncodeOptions) -> Result<()> {
        let longest = encodings.iter().map(Encoding::len).max().unwrap_or(0);
        let length = match options.padding {
            Padding::None => return Ok(()),
            Padding::Longest => longest,
            Padding::To(length) => length,
            Padding::MultipleOf(multiple) => {
                longest.checked_next_multiple_of(multiple).ok_or_else(|| {
                    Error::invalid(format!("encode: padding to a multiple of {multiple}"))
                })?
            }
        };
        let id = self.inner.special_tokens.pad.ok_or_else(|| {
            Error::invalid(
                "encode: padding was asked for, but the tokenizer has no padding token; name one with \
                 with_special_tokens",
            )
        })?;
        for encoding in encodings {
            encoding.pad(length, id, options.pad_start);
        }
        Ok(())
    }
}

/// Lengths of two texts that share `room`: the longer is cut first, then both evenly.
fn shares(one: usize, two: usize, room: usize) -> (usize, usize) {
    if one + two <= room {
        return (one, two);
    }
    let (short, long) = (one.min(two), one.max(two));
    let (short, long) = if 2 * short <= room {
        (short, long.min(room - short))
    } else {
        (room / 2, room - room / 2)
    };
    if one <= two { (short, long) } else { (long, short) }
}

fn first(encodings: Vec<Encoding>) -> Encoding {
    encodings.into_iter().next().unwrap_or_default()
}

fn encode_error(error: tokenizers::Error) -> Error {
    error::unknown_token(format!(
        "encode: the text cannot be written with this vocabulary: {error}"
    ))
}

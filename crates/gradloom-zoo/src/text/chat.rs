//! [`Chat`]: a conversation with a language model.

use std::path::Path;

use crate::generation::{Generator, Sampler, Stop, Timing};
use crate::text::{TextStream, vocabulary};
use crate::{CausalLanguageModel, LlamaForCausalLanguageModel, Pretrained, Result, error};
use gradloom_tensor::{Device, Statistics};
use gradloom_text::{ChatMessage, ChatTemplate, EncodeOptions, Tokenizer};
use gradloom_weights::Checkpoint;

/// A conversation: what was said so far stays in the model's cache, so that each turn
/// prefills only what is new.
pub struct Chat<M> {
    generator: Generator<M>,
    tokenizer: Tokenizer,
    template: ChatTemplate,
    messages: Vec<ChatMessage>,
    ends: Vec<u32>,
}

impl Chat<LlamaForCausalLanguageModel> {
    /// Opens a GGUF file that has a model of Llama's kind, its tokenizer and its chat template.
    ///
    /// # Errors
    /// If the file is missing or damaged, of another kind, or lacks a part; if the conversation is to
    /// be longer than the model's texts.
    pub fn from_gguf(path: impl AsRef<Path>, capacity: usize, device: &Device) -> Result<Self> {
        let path = path.as_ref();
        let checkpoint = Checkpoint::open(path)?;
        Self::from_gguf_checkpoint(&checkpoint, capacity, device)
            .map_err(|error| error.context(path.display().to_string()))
    }

    /// As [`from_gguf`](Self::from_gguf), of a file that is open. Where [`Checkpoint::open_mapped`] has
    /// opened it, weights stay in the file until the first question.
    ///
    /// # Errors
    /// As [`from_gguf`](Self::from_gguf).
    pub fn from_gguf_checkpoint(
        checkpoint: &Checkpoint,
        capacity: usize,
        device: &Device,
    ) -> Result<Self> {
        let tokenizer = Tokenizer::from_gguf(&vocabulary(checkpoint)?)?;
        let template = checkpoint.metadata().get("tokenizer.chat_template");
        let Some(template) = template.and_then(|template| template.as_str()) else {
            return Err(error::generation("the file has no chat template"));
        };
        let template = ChatTemplate::new(template)?;
        let model = LlamaForCausalLanguageModel::from_gguf_checkpoint(checkpoint, device)?;
        Chat::new(&model, tokenizer, template, capacity)
    }
}

impl<M: CausalLanguageModel + Pretrained> Chat<M> {
    /// Opens a folder that has a model, its tokenizer and its chat template.
    ///
    /// # Errors
    /// If a file is missing or damaged; if the conversation is to be longer than the model's texts.
    pub fn from_folder(path: impl AsRef<Path>, capacity: usize, device: &Device) -> Result<Self> {
        let path = path.as_ref();
        let tokenizer = Tokenizer::from_folder(path)?;
        let template = ChatTemplate::from_folder(path)?;
        Chat::new(&M::from_folder(path, device)?, tokenizer, template, capacity)
    }
}

impl<M: CausalLanguageModel> Chat<M> {
    /// A conversation of at most `capacity` tokens. Answers end at the tokenizer's
    /// [`end_tokens`](Tokenizer::end_tokens).
    ///
    /// # Errors
    /// If the tokenizer does not fit the model, or the model has fewer positions.
    pub fn new(
        model: &M,
        tokenizer: Tokenizer,
        template: ChatTemplate,
        capacity: usize,
    ) -> Result<Self> {
        tokenizer.check_fits(model.vocabulary())?;
        let generator = Generator::new(model, 1, capacity)?;
        let template = template.with_tokenizer(&tokenizer);
        let ends = tokenizer.end_tokens();
        Ok(Chat { generator, tokenizer, template, messages: Vec::new(), ends })
    }

    /// Says something before the first question: how the model is to behave.
    pub fn system(&mut self, text: &str) {
        self.messages.push(ChatMessage::new("system", text));
    }

    /// Asks, and gives the answer in pieces as it is written. Tell the conversation the whole answer
    /// with [`answered`](Chat::answered) before asking again.
    ///
    /// # Errors
    /// If the template refuses the conversation, or it does not fit the model's cache any more.
    pub fn ask<'a>(
        &'a mut self,
        question: &str,
        sampler: &'a mut Sampler,
        tokens_max: usize,
    ) -> Result<TextStream<'a, M>> {
        self.messages.push(ChatMessage::new("user", question));
        let text = self.template.render(&self.messages, true)?;
        let options = EncodeOptions::new().special_tokens(false);
        let tokens = self.tokenizer.encode(&text, &options)?.ids;
        let known = self.generator.tokens(0);
        // What the cache holds is kept if the new text goes on from it.
        let new = match tokens.starts_with(known) && tokens.len() > known.len() {
            true => tokens[known.len()..].to_vec(),
            false => {
                self.generator.clear();
                tokens
            }
        };
        self.generator.prefill(&[&new])?;
        let left = self.generator.capacity() - self.generator.tokens(0).len();
        let stop = Stop { tokens_max: tokens_max.min(left + 1), tokens: self.ends.clone() };
        self.generator.decode_text(&self.tokenizer, sampler, &stop, &[])
    }

    /// Notes the answer to the last question.
    pub fn answered(&mut self, text: &str) {
        self.messages.push(ChatMessage::new("assistant", text));
    }

    /// What the last token that was decoded cost the device.
    pub fn last_step(&self) -> Option<Statistics> {
        self.generator.last_step()
    }

    /// How long prefill and decoding took so far.
    pub fn timing(&self) -> Timing {
        self.generator.timing()
    }
}

//! A classifier of film reviews on MiniLM, and texts in batches to teach it and to measure it with.

use examples::Failure;
use gradloom::data::text::{LengthGroups, TokenBatch};
use gradloom::metrics::ConfusionMatrix;
use gradloom::nn::layers::{Dropout, Linear};
use gradloom::prelude::*;
use gradloom::text::{EncodeOptions, Tokenizer};
use gradloom::train::{Batches, Outcome, Progress, Setting};
use gradloom::zoo::bert::mean_pooled;
use gradloom::zoo::{BertInput, BertModel};

use crate::reviews::{CLASSES, Review};

/// The lengths that texts are filled up to; the last is where they are cut.
pub const LENGTHS: [usize; 5] = [16, 24, 32, 48, 64];

/// An encoder, and what sorts the mean of its hidden states into classes.
#[derive(Module, Clone, Debug)]
pub struct Classifier {
    /// Tokens to hidden states.
    pub bert: BertModel,
    /// Of the mean hidden state.
    pub dropout: Dropout,
    /// The mean hidden state to logits.
    pub classifier: Linear,
}

impl Classifier {
    /// On an encoder of this width, whose pooler it does not need.
    pub fn new(mut bert: BertModel, width: usize, init: &mut Init) -> Self {
        bert.pooler = None;
        let mut classifier = Linear::new(width, CLASSES.len(), init);
        classifier.weight = init.normal([CLASSES.len(), width], 0.02);
        Classifier { bert, dropout: Dropout::new(0.1), classifier }
    }

    /// Logits `[B, 2]` of tokens `[B, T]`.
    pub fn forward(&self, input: &BertInput, ctx: &mut Context) -> Tensor {
        let hidden = self.bert.forward(input, ctx).last_hidden_state;
        let pooled = mean_pooled(&hidden, input.mask.as_ref());
        self.classifier.forward(&self.dropout.forward(&pooled, ctx), ctx)
    }
}

/// Texts as tokens, with their classes, in batches of about one length.
#[derive(Debug)]
pub struct Texts {
    tokens: Vec<Vec<u32>>,
    classes: Vec<i32>,
    padding: u32,
    batch_size: usize,
    /// Of the order, for texts that are learnt from: then batches that are not full are left out.
    key: Option<Key>,
    device: Device,
}

impl Texts {
    /// Tokens of reviews. With a key they are for learning.
    ///
    /// # Errors
    /// If a text has no tokens.
    pub fn new(
        reviews: &[Review],
        tokenizer: &Tokenizer,
        batch_size: usize,
        key: Option<Key>,
        device: &Device,
    ) -> Result<Self, Failure> {
        let texts: Vec<&str> = reviews.iter().map(|review| review.text.as_str()).collect();
        let options = EncodeOptions::new().truncate(LENGTHS[LENGTHS.len() - 1]);
        let encodings = tokenizer.encode_batch(&texts, &options)?;
        Ok(Texts {
            tokens: encodings.into_iter().map(|encoding| encoding.ids).collect(),
            classes: reviews.iter().map(|review| review.class).collect(),
            padding: tokenizer.special_tokens().pad.unwrap_or(0),
            batch_size,
            key,
            device: device.clone(),
        })
    }

    /// Number of texts.
    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    /// Some of the texts as the input of a model, and their classes `[B]`.
    fn batch(&self, texts: &[usize], length: usize) -> Result<(BertInput, Tensor)> {
        let tokens: Vec<&[u32]> = texts.iter().map(|&text| &self.tokens[text][..]).collect();
        let classes: Vec<i32> = texts.iter().map(|&text| self.classes[text]).collect();
        let (tokens, mask) =
            TokenBatch::new(&tokens, length, self.padding).to_tensors(&self.device)?;
        let classes = Tensor::from_slice(&classes, [classes.len()], &self.device)?;
        Ok((BertInput::new(&tokens).mask(&mask), classes))
    }
}

impl Batches for Texts {
    type Batch = (BertInput, Tensor);

    fn batch_count(&self) -> Option<usize> {
        let texts = self.tokens.len();
        Some(if self.key.is_some() {
            texts / self.batch_size
        } else {
            texts.div_ceil(self.batch_size)
        })
    }

    fn sample_count(&self) -> Option<usize> {
        Some(self.tokens.len())
    }

    fn batches(&self, epoch: u32, first: usize) -> impl Iterator<Item = Result<Self::Batch>> {
        let lengths: Vec<usize> = self.tokens.iter().map(Vec::len).collect();
        let groups = LengthGroups::new(LENGTHS, self.batch_size);
        let mut batches = groups.batches(&lengths, self.key.map(|key| key.fold(epoch)));
        batches.truncate(self.batch_count().unwrap_or_default());
        batches.into_iter().skip(first).map(|batch| self.batch(&batch.texts, batch.length))
    }

    fn order(&self) -> String {
        format!(
            "{} texts by length, {} a batch, key {:?}",
            self.tokens.len(),
            self.batch_size,
            self.key
        )
    }
}

/// A classifier that has learnt once from each text: AdamW, whose rate rises for a tenth of the steps and falls from then
/// on.
///
/// # Errors
/// If the device fails or the loss is not finite.
pub fn teach<T>(model: Classifier, texts: &Texts, rate: f64, task: T) -> Result<Classifier, Failure>
where
    T: Fn(&Classifier, &(BertInput, Tensor), &mut Context, &Setting) -> Result<Outcome>,
{
    let optimizer = AdamW::new(rate).decay_only(|_, weight| weight.rank() > 1);
    let mut trainer = Trainer::with_task(model, optimizer, task)
        .epochs(1)
        .key(Key::new(4))
        .schedule_over(move |steps| {
            Schedule::linear(rate, 0.0, steps - steps / 10).warmup(steps / 10)
        })
        .clip_norm(1.0)
        .progress(Progress::Silent);
    trainer.fit_train(texts)?;
    Ok(trainer.model)
}

/// A step of learning: the cross-entropy of a batch.
///
/// # Errors
/// None of its own.
pub fn task(
    model: &Classifier,
    batch: &(BertInput, Tensor),
    ctx: &mut Context,
    _: &Setting,
) -> Result<Outcome> {
    let (input, classes) = batch;
    let logits = model.forward(input, ctx);
    let loss = logits.cross_entropy(classes);
    Ok(Outcome::new(loss, classes.count()).with_outputs(&logits, classes))
}

/// What was taken for what.
///
/// # Errors
/// If the device fails.
pub fn measure(model: &Classifier, texts: &Texts) -> Result<ConfusionMatrix> {
    let mut confusion = ConfusionMatrix::new(CLASSES.len());
    for batch in texts.batches(0, 0) {
        let (input, classes) = batch?;
        let predicted = model.forward(&input, &mut Context::eval()).argmax(-1);
        confusion.update(&classes.to_vec::<i32>()?, &predicted.to_vec::<i32>()?)?;
    }
    Ok(confusion)
}

//! Trains a small BERT from nothing on Shakespeare's plays, as the large one was: it says which words
//! were hidden, and whether one speech follows another.
//!
//! `cargo xtask assets shakespeare`, then
//! `cargo run --release -p language-examples --example 14-pretrain-bert`, a few minutes on two cores
//!
//! Learns its vocabulary of word pieces, too. Ends with the accuracies on unseen plays, and a report.
#![forbid(unsafe_code)]

use examples::Failure;
use examples::options::{Options, Program};
use examples::report::{self, StepLosses};
use gradloom::data::random::permutation;
use gradloom::data::text::{IGNORED, MaskedText, MaskedTokens, SentencePairs, TokenBatch};
use gradloom::ops::loss::CrossEntropyOptions;
use gradloom::prelude::*;
use gradloom::text::{EncodeOptions, Tokenizer};
use gradloom::train::{Batches, Outcome, Setting};
use gradloom::zoo::{BertConfig, BertForPreTraining, BertInput, Pretrained};
use language_examples::shakespeare;
use language_examples::vocabulary::{self, SPECIAL};

/// Tokens of a pair of speeches.
const LENGTH: usize = 64;
/// Hidden tokens of a pair, on average and at most: a few more than the share that is hidden.
const HIDDEN: usize = LENGTH / 5;

/// What a batch asks.
struct Question {
    input: BertInput,
    /// Where tokens are hidden, `[M]`, counted through the batch.
    places: Tensor,
    /// What stood there, `[M]`.
    targets: Tensor,
    /// `[B]`: 0 where the second speech follows.
    relations: Tensor,
}

/// Pairs of speeches, and how their tokens are hidden.
struct Questions {
    pairs: SentencePairs,
    masking: MaskedTokens,
}

impl Questions {
    fn new(works: &[String], tokenizer: &Tokenizer) -> Result<Self, Failure> {
        let options = EncodeOptions::new().special_tokens(false);
        let mut documents = Vec::new();
        for work in works {
            // Speeches stand between empty lines, after the name of who speaks.
            let speeches: Vec<&str> = work.split("\n\n").map(str::trim).collect();
            let speeches: Vec<&str> = speeches.into_iter().filter(|text| text.len() > 30).collect();
            let encodings = tokenizer.encode_batch(&speeches, &options)?;
            documents.push(encodings.into_iter().map(|encoding| encoding.ids).collect());
        }
        let id = |token: &str| tokenizer.token_to_id(token).unwrap_or_default();
        let special = SPECIAL.map(id);
        Ok(Questions {
            pairs: SentencePairs::new(documents, id("[CLS]"), id("[SEP]"), LENGTH),
            masking: MaskedTokens::new(id("[MASK]"), tokenizer.vocabulary_len(), special),
        })
    }

    /// A batch of the pairs with these numbers.
    fn ask(&self, indices: &[usize], key: Key, device: &Device) -> Result<Question> {
        let pairs: Vec<_> =
            indices.iter().map(|&index| self.pairs.get(index, key.fold(0))).collect();
        let masked: Vec<_> = pairs
            .iter()
            .enumerate()
            .map(|(row, pair)| self.masking.apply(&pair.tokens, key.fold(1).fold(row as u32)))
            .collect();
        let rows: Vec<&[u32]> = masked.iter().map(|text| &text.tokens[..]).collect();
        let (tokens, mask) = TokenBatch::new(&rows, LENGTH, 0).to_tensors(device)?;
        let rows: Vec<&[u32]> = pairs.iter().map(|pair| &pair.types[..]).collect();
        let (types, _) = TokenBatch::new(&rows, LENGTH, 0).to_tensors(device)?;
        let count = HIDDEN * indices.len();
        let (places, targets) = MaskedText::places(&masked, LENGTH, count);
        let relations: Vec<i32> = pairs.iter().map(|pair| i32::from(!pair.follows)).collect();
        Ok(Question {
            input: BertInput::new(&tokens).mask(&mask).token_types(&types),
            places: Tensor::from_slice(&places, [count], device)?,
            targets: Tensor::from_slice(&targets, [count], device)?,
            relations: Tensor::from_slice(&relations, [indices.len()], device)?,
        })
    }
}

/// Pairs in random order, a hundred batches an epoch, or fewer that are always the same.
struct Asked {
    questions: Questions,
    batch_size: usize,
    batches: usize,
    key: Key,
    is_fixed: bool,
    device: Device,
}

impl Batches for Asked {
    type Batch = Question;

    fn batch_count(&self) -> Option<usize> {
        Some(self.batches)
    }

    fn sample_count(&self) -> Option<usize> {
        Some(self.batches * self.batch_size)
    }

    fn batches(&self, epoch: u32, first: usize) -> impl Iterator<Item = Result<Question>> {
        let pairs = self.questions.pairs.len();
        let key = self.key.fold(if self.is_fixed { 0 } else { epoch });
        // As often through the pairs as an epoch needs.
        let rounds = (self.batches * self.batch_size).div_ceil(pairs) as u32;
        let order: Vec<usize> =
            (0..rounds).flat_map(|round| permutation(pairs, key.fold(0).fold(round))).collect();
        (first..self.batches).map(move |batch| {
            let chosen = &order[batch * self.batch_size..][..self.batch_size];
            self.questions.ask(chosen, key.fold(1).fold(batch as u32), &self.device)
        })
    }

    fn order(&self) -> String {
        format!("{} x {} of {} pairs", self.batches, self.batch_size, self.questions.pairs.len())
    }
}

fn main() -> Result<(), Failure> {
    let options = Options::read(&Program {
        name: "14-pretrain-bert",
        source: include_str!("14-pretrain-bert.rs"),
        epochs: 20,
        epoch: "hundreds of steps",
        batch_size: 32,
        data: "assets/shakespeare",
        own: &[],
    })?;
    let device = options.arguments.device()?;
    let works = shakespeare::works(&options)?;
    let (size, words) = if options.tiny { (32, 150) } else { (128, 2000) };
    let texts: Vec<&str> = works.iter().flat_map(|work| work.lines()).collect();
    let tokenizer = vocabulary::train(&texts, words)?;
    let (train, test) = works.split_at(works.len() - works.len().div_ceil(10));
    let asked = |works: &[String], stream: u32, is_fixed: bool| -> Result<Asked, Failure> {
        let questions = Questions::new(works, &tokenizer)?;
        let batch_size = options.batch_size.min(questions.pairs.len());
        let batches = if is_fixed { (questions.pairs.len() / batch_size).min(60) } else { 100 };
        Ok(Asked {
            batch_size,
            batches: if options.tiny { 10 } else { batches },
            key: Key::new(options.seed).fold(stream),
            is_fixed,
            device: device.clone(),
            questions,
        })
    };
    let (train, test) = (asked(train, 2, false)?, asked(test, 3, true)?);
    let config = BertConfig {
        vocab_size: tokenizer.vocabulary_len(),
        hidden_size: size,
        num_hidden_layers: if options.tiny { 1 } else { 3 },
        num_attention_heads: 4,
        intermediate_size: 4 * size,
        max_position_embeddings: LENGTH,
        hidden_dropout_prob: 0.0,
        attention_probs_dropout_prob: 0.0,
        ..BertConfig::default()
    };
    let mut init = Init::new(Key::new(options.seed), &device);
    let model = BertForPreTraining::new(&config, &mut init)?;
    println!(
        "{} parameters, {} word pieces, {} + {} pairs of speeches, on {}",
        model.parameter_count(),
        tokenizer.vocabulary_len(),
        train.questions.pairs.len(),
        test.questions.pairs.len(),
        device.name()
    );

    let before = measure(&model, &test)?;
    let optimizer = AdamW::new(0.0).decay_only(|_, weight| weight.rank() > 1);
    let ignoring = CrossEntropyOptions::default().ignore_index(IGNORED);
    let task = |model: &BertForPreTraining, asked: &Question, ctx: &mut Context, _: &Setting| {
        let output = model.forward_at(&asked.input, &asked.places, ctx);
        let of_words = output.logits.cross_entropy_with(&asked.targets, &ignoring);
        let of_pairs = output.relation_logits.cross_entropy(&asked.relations);
        Ok(Outcome::new(of_words + of_pairs, asked.relations.count()))
    };
    let steps = StepLosses::default();
    let mut trainer = Trainer::with_task(model, optimizer, task)
        .epochs(if options.tiny { 1 } else { options.epochs })
        .key(Key::new(options.seed).fold(1))
        .schedule_over(|steps| Schedule::linear(1e-3, 0.0, steps - steps / 10).warmup(steps / 10))
        .clip_norm(1.0)
        .callback(steps.clone());
    let fit = trainer.fit(&train, &test)?;
    let after = measure(&trainer.model, &test)?;

    let figure = format!(
        "hidden words named: {:.1}% before, {:.1}% after; pairs told apart: {:.1}% before, {:.1}% after",
        100.0 * before.words,
        100.0 * after.words,
        100.0 * before.relations,
        100.0 * after.relations
    );
    let mut page = report::page(&options, &fit.history, &steps, &device);
    page.figures = vec![("at the end".into(), figure.clone())];
    report::save(&options, &trainer.model, &page)?;
    println!("{figure}");
    Ok(())
}

/// Shares of right answers.
struct Accuracy {
    words: f64,
    relations: f64,
}

/// Shares of hidden words that are named and of pairs that are told apart.
fn measure(model: &BertForPreTraining, test: &Asked) -> Result<Accuracy> {
    let [mut named, mut hidden, mut apart] = [0.0; 3];
    for question in test.batches(0, 0) {
        let Question { input, places, targets, relations } = question?;
        let output = model.forward_at(&input, &places, &mut Context::eval());
        let right = output.logits.argmax(-1).eq(&targets).sum(..);
        let asked = targets.ne(targets.constant_like(i64::from(IGNORED))).sum(..);
        let told = output.relation_logits.argmax(-1).eq(&relations).sum(..);
        eval([&right, &asked, &told])?;
        named += right.item()?;
        hidden += asked.item()?;
        apart += told.item()?;
    }
    let pairs = (test.batches * test.batch_size) as f64;
    Ok(Accuracy { words: named / hidden, relations: apart / pairs })
}

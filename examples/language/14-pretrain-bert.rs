//! Trains a small BERT from nothing on Shakespeare's plays, as the large one was: it says which words
//! were hidden, and whether one speech follows another.
//!
//! `cargo xtask assets shakespeare`, then `cargo run --release -p language-examples --example 14-pretrain-bert`
//!
//! Learns its vocabulary of word pieces, too. Ends with the accuracies on unseen plays.
#![forbid(unsafe_code)]

use std::time::Instant;

use examples::options::{Options, Program};
use examples::{Failure, picture};
use gradloom::data::random::permutation;
use gradloom::data::text::{IGNORED, MaskedText, MaskedTokens, SentencePairs, TokenBatch};
use gradloom::ops::loss::CrossEntropyOptions;
use gradloom::prelude::*;
use gradloom::text::{EncodeOptions, Tokenizer};
use gradloom::zoo::{BertConfig, BertForPreTraining, BertInput, Pretrained};
use indicatif::{ProgressBar, ProgressStyle};
use language_examples::shakespeare;
use language_examples::vocabulary::{self, SPECIAL};

/// Tokens of a pair of speeches.
const LENGTH: usize = 64;
/// Pairs of a batch.
const BATCH: usize = 32;
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

/// Shares of right answers.
struct Accuracy {
    tokens: f64,
    relations: f64,
}

fn main() -> Result<(), Failure> {
    let options = Options::read(&Program {
        name: "14-pretrain-bert",
        source: include_str!("14-pretrain-bert.rs"),
        epochs: 20,
        data: "assets/shakespeare",
        own: &[],
    })?;
    let device = options.device()?;
    let works = shakespeare::works(&options)?;
    let (size, words) = if options.tiny { (32, 150) } else { (128, 2000) };
    let texts: Vec<&str> = works.iter().flat_map(|work| work.lines()).collect();
    let tokenizer = vocabulary::train(&texts, words)?;
    let unseen = works.len().div_ceil(10);
    let train = Questions::new(&works[..works.len() - unseen], &tokenizer)?;
    let test = Questions::new(&works[works.len() - unseen..], &tokenizer)?;
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
    let mut model = BertForPreTraining::new(&config, &mut init)?;
    println!(
        "{} parameters, {} word pieces, {} + {} pairs of speeches, on {}",
        model.parameter_count(),
        tokenizer.vocabulary_len(),
        train.pairs.len(),
        test.pairs.len(),
        device.name()
    );

    let before = measure(&model, &test, &options, &device)?;
    let [tokens, relations] = learn(&mut model, &train, &options, &device)?;
    let after = measure(&model, &test, &options, &device)?;

    std::fs::create_dir_all(&options.out)?;
    let file = options.out.join("loss.png");
    picture::curves(&file, &[("loss of hidden words", &tokens), ("loss of pairs", &relations)])?;
    model.save(options.out.join("model.safetensors"))?;
    println!("wrote {}", file.display());
    println!(
        "hidden words named: {:.1}% before, {:.1}% after; pairs told apart: {:.1}% before, {:.1}% after",
        100.0 * before.tokens,
        100.0 * after.tokens,
        100.0 * before.relations,
        100.0 * after.relations
    );
    Ok(())
}

/// Trains, a hundred steps for each epoch that was asked for, and returns both losses of every step.
fn learn(
    model: &mut BertForPreTraining,
    questions: &Questions,
    options: &Options,
    device: &Device,
) -> Result<[Vec<f64>; 2], Failure> {
    let batch = BATCH.min(questions.pairs.len());
    let steps = if options.tiny { 10 } else { 100 * u64::from(options.epochs) };
    let schedule = Schedule::linear(1e-3, 0.0, steps - steps / 10).warmup(steps / 10);
    let mut optimizer = AdamW::new(0.0).decay_only(|_, weight| weight.rank() > 1);
    let bar = ProgressBar::new(steps);
    bar.set_style(ProgressStyle::with_template(
        "{elapsed_precise} [{bar:30}] {pos}/{len} {msg} eta {eta}",
    )?);
    let mut ctx = Context::train(Key::new(options.seed).fold(1));
    let ignoring = CrossEntropyOptions::default().ignore_index(IGNORED);
    let (mut of_tokens, mut of_relations) = (Vec::new(), Vec::new());
    let mut order = Vec::new();
    let start = Instant::now();
    for step in 0..steps {
        let key = Key::new(options.seed).fold(2).fold(step as u32);
        if order.len() < batch {
            order = permutation(questions.pairs.len(), key.fold(2));
        }
        let chosen = order.split_off(order.len() - batch);
        let Question { input, places, targets, relations } = questions.ask(&chosen, key, device)?;
        let output = model.forward_at(&input, &places, &mut ctx);
        let mut token_loss = output.logits.cross_entropy_with(&targets, &ignoring);
        let mut relation_loss = output.relation_logits.cross_entropy(&relations);
        optimizer.set_learning_rate(schedule.at(step));
        let sum = &token_loss + &relation_loss;
        let (gradients, _) = gradients(&sum, model).clip_norm(1.0);
        optimizer.step(&gradients, model);
        drop((output, gradients, sum));
        commit((&mut *model, &mut optimizer, &mut token_loss, &mut relation_loss))?;
        of_tokens.push(check_finite(token_loss.item()?, step)?);
        of_relations.push(check_finite(relation_loss.item()?, step)?);
        let pairs_per_s = ((step + 1) as usize * batch) as f64 / start.elapsed().as_secs_f64();
        bar.set_message(format!(
            "words {:.3} pairs {:.3}, {pairs_per_s:.0} pairs/s",
            of_tokens[of_tokens.len() - 1],
            of_relations[of_relations.len() - 1]
        ));
        bar.inc(1);
    }
    bar.finish();
    println!("trained in {:.1} s", start.elapsed().as_secs_f64());
    Ok([of_tokens, of_relations])
}

/// Shares of hidden words that are named and of pairs that are told apart, in at most 2,000 pairs.
fn measure(
    model: &BertForPreTraining,
    questions: &Questions,
    options: &Options,
    device: &Device,
) -> Result<Accuracy, Failure> {
    let key = Key::new(options.seed).fold(3);
    let mut order = permutation(questions.pairs.len(), key);
    order.truncate(2000.min(order.len() / BATCH * BATCH).max(BATCH.min(order.len())));
    let [mut named, mut hidden, mut apart] = [0.0; 3];
    for (number, chosen) in order.chunks(BATCH).enumerate() {
        let Question { input, places, targets, relations } =
            questions.ask(chosen, key.fold(number as u32), device)?;
        let output = model.forward_at(&input, &places, &mut Context::eval());
        let right = output.logits.argmax(-1).eq(&targets).sum(..);
        let asked = targets.ne(targets.constant_like(i64::from(IGNORED))).sum(..);
        let told = output.relation_logits.argmax(-1).eq(&relations).sum(..);
        eval([&right, &asked, &told])?;
        named += right.item()?;
        hidden += asked.item()?;
        apart += told.item()?;
    }
    Ok(Accuracy { tokens: named / hidden, relations: apart / order.len() as f64 })
}

//! Asks MiniLM why it takes a film review for positive or negative, word by word, by seven methods, and measures which of
//! them finds the words that matter.
//!
//! `cargo xtask assets minilm sentiment`, then
//! `cargo run --release -p language-examples --features explain --example 35-explain-sentiment`, a few minutes on two cores
//!
//! First the model learns from 3,000 snippets. Then words of reviews that it has not seen are taken away, those first that
//! a method says matter most: the faster the answer falls, the better the method. Writes a page with coloured words, forces
//! and attention into `out/35-explain-sentiment`.
#![forbid(unsafe_code)]

use examples::Failure;
use examples::options::{Arguments, DEVICE, TINY};
use gradloom::data::random::permutation;
use gradloom::explain::report::{HeatMap, Page, coloured_text, force_plot};
use gradloom::explain::*;
use gradloom::prelude::*;
use gradloom::text::{EncodeOptions, Tokenizer};
use gradloom::track::{Curve, Picture};
use gradloom::zoo::BertInput;
use language_examples::minilm;
use language_examples::reviews::{self, CLASSES, Review};
use language_examples::sentiment::{self, Classifier, Texts};

/// The layer that words are explained through, by the name of its tap.
const EMBEDDINGS: &str = "embeddings";
/// Reviews that are shown; the others are only measured.
const SHOWN: usize = 6;
/// Points of the mean curves.
const POINTS: usize = 11;

fn main() -> Result<(), Failure> {
    let data = ("--data FOLDER", "where the model is (assets/minilm)");
    let known = [data, ("--texts N", "snippets to learn from (3000)"), DEVICE, TINY];
    let arguments = Arguments::read(include_str!("35-explain-sentiment.rs"), &known)?;
    let (device, tiny) = (arguments.device()?, arguments.tiny());
    let (train, test) = reviews::of(&arguments)?;
    let texts: Vec<&str> = train.iter().map(|review| review.text.as_str()).collect();
    let (config, bert, tokenizer) = minilm::load(&arguments, Key::new(1), &texts, &device)?;
    let model = Classifier::new(bert, config.hidden_size, &mut Init::new(Key::new(2), &device));
    let measured = &test[..test.len().min(1000)];
    let model = taught(model, &train, measured, &tokenizer, &device, tiny)?;

    let reader = Reader { model: &model, tokenizer: &tokenizer, device: &device };
    let count = if tiny { 3 } else { 30 };
    let asked = test.iter().filter(|review| review.text.split_whitespace().count() > 3);
    let questions = asked.take(count).map(|review| reader.question(review));
    let questions = questions.collect::<Result<Vec<Question>, Failure>>()?;
    let samples = if tiny { 20 } else { 128 };
    let mut page = Page::new("Why these reviews");
    page.paragraph(
        "Words in red speak for the class that was answered, words in blue against it, compared with a text of which every \
         word is masked. The reviews were not learnt from.",
    );
    let mut found: Vec<(&str, Vec<Vec<f64>>)> = Vec::new();
    for name in METHODS {
        let scores = questions.iter().map(|question| question.words_by(name, samples));
        found.push((name, scores.collect::<Result<_>>()?));
    }
    for (number, question) in questions.iter().enumerate().take(SHOWN) {
        page.heading(&question.title());
        for (name, scores) in &found {
            page.paragraph(name);
            page.piece(&coloured_text(&question.word_texts(), &scores[number])?);
        }
    }
    let shown = &questions[0];
    page.heading("One review as forces on the log-odds, by integrated gradients");
    let (_, integrated) = &found[INTEGRATED];
    page.piece(&force_plot(shown.base()?, &shown.word_texts(), &integrated[0], 12)?);
    page.heading(
        "What each head of each layer looks at in this review: a row for a word, bright is much",
    );
    page.pictures(&shown.heads()?)?;
    let best = compare(&mut page, &questions, &found)?;

    let out = std::path::Path::new("out/35-explain-sentiment");
    std::fs::create_dir_all(out)?;
    std::fs::write(out.join("report.html"), page.html())?;
    println!("wrote {}", out.join("report.html").display());
    println!("{best}");
    Ok(())
}

/// Learns once from each review, and says how well that went.
fn taught(
    model: Classifier,
    train: &[Review],
    test: &[Review],
    tokenizer: &Tokenizer,
    device: &Device,
    tiny: bool,
) -> Result<Classifier, Failure> {
    let batch_size = if tiny { 4 } else { 32 };
    let train = Texts::new(train, tokenizer, batch_size, Some(Key::new(3)), device)?;
    let test = Texts::new(test, tokenizer, batch_size, None, device)?;
    let model = sentiment::teach(model, &train, 2e-4, sentiment::task)?;
    let accuracy = 100.0 * sentiment::measure(&model, &test)?.accuracy();
    println!(
        "learnt from {} reviews; of {} others {accuracy:.1} % are right",
        train.len(),
        test.len()
    );
    Ok(model)
}

/// A model, and what reads texts for it.
#[derive(Clone, Copy)]
struct Reader<'r> {
    model: &'r Classifier,
    tokenizer: &'r Tokenizer,
    device: &'r Device,
}

impl<'r> Reader<'r> {
    fn tensor(&self, ids: &[u32]) -> Result<Tensor> {
        let ids: Vec<i32> = ids.iter().map(|&id| id as i32).collect();
        Tensor::from_slice(&ids, [1, ids.len()], self.device)
    }

    /// How far the logit of each class is above the other one's, `[B, 2]`.
    fn log_odds(&self) -> Forward<'r> {
        let model = self.model;
        Forward::new(move |x, ctx| {
            let logits = model.forward(&BertInput::new(&x[0]), ctx);
            logits.sub(logits.flip(1))
        })
    }

    fn question(&self, review: &Review) -> Result<Question<'r>, Failure> {
        let encoding = self.tokenizer.encode(&review.text, &EncodeOptions::new().truncate(64))?;
        // Pieces that nothing stands between are one word. Special tokens are the same in the baseline, so it does
        // not matter whose part they are.
        let (mut words, mut labels) = (Vec::<std::ops::Range<usize>>::new(), Vec::new());
        for (offsets, &special) in encoding.offsets.iter().zip(&encoding.special_mask) {
            if special == 0 {
                match words.last_mut().filter(|word| word.end == offsets.start) {
                    Some(word) => word.end = offsets.end,
                    None => words.push(offsets.clone()),
                }
            }
            labels.push(words.len().saturating_sub(1));
        }
        let mask = self.tokenizer.special_tokens().mask.ok_or("the tokenizer has no mask")?;
        let masked = encoding.ids.iter().zip(&encoding.special_mask);
        let masked: Vec<u32> =
            masked.map(|(&id, &special)| if special == 1 { id } else { mask }).collect();
        let whole = self.log_odds();
        let (text, empty) = (self.tensor(&encoding.ids)?, self.tensor(&masked)?);
        let text = Inputs::from(&text);
        let logits = whole.run(&[text.features[0].clone()])?;
        let class = logits.argmax(1).to_vec::<i32>()?[0] as usize;
        let embedded = whole.layer_inputs(EMBEDDINGS, &text)?;
        let width = embedded.features[0].size(2);
        let elements = labels.iter().flat_map(|&word| std::iter::repeat_n(word, width));
        let nothing = whole.activation(EMBEDDINGS, &Inputs::from(&empty))?;
        nothing.eval()?;
        Ok(Question {
            review: review.clone(),
            words,
            features: Features::new([elements.collect()])?,
            labels,
            behind: whole.from_layer(EMBEDDINGS),
            whole,
            text,
            embedded,
            baseline: nothing.detach().into(),
            class,
        })
    }
}

/// By name, in the order of the page.
const METHODS: [&str; 7] = [
    "input x gradient",
    "integrated gradients",
    "DeepLIFT",
    "LIME",
    "KernelSHAP",
    "attention rollout",
    "at random",
];
/// Where integrated gradients are among them.
const INTEGRATED: usize = 1;

/// A review and what is asked about it: why that class?
struct Question<'q> {
    review: Review,
    /// Bytes of the review.
    words: Vec<std::ops::Range<usize>>,
    /// The word of each token.
    labels: Vec<usize>,
    /// The same for the elements of the embeddings.
    features: Features,
    whole: Forward<'q>,
    /// The part behind the embeddings.
    behind: Forward<'q>,
    text: Inputs,
    embedded: Inputs,
    baseline: Baseline,
    class: usize,
}

impl Question<'_> {
    fn title(&self) -> String {
        let (is, said) = (CLASSES[self.review.class as usize], CLASSES[self.class]);
        format!("{is}, read as {said}")
    }

    fn word_texts(&self) -> Vec<&str> {
        self.words.iter().map(|word| &self.review.text[word.clone()]).collect()
    }

    /// The log-odds of the class where every word is masked.
    fn base(&self) -> Result<f64> {
        let Baseline::Tensors(nothing) = &self.baseline else { return Ok(0.0) };
        let inputs = [nothing[0].clone(), self.text.features[0].clone()];
        self.behind.run(&inputs)?.index(1, self.class as isize).item()
    }

    /// What each word does, by a method.
    fn words_by(&self, name: &str, samples: usize) -> Result<Vec<f64>> {
        let (baseline, features) = (self.baseline.clone(), Some(self.features.clone()));
        let key = Key::new(5);
        let method: Box<dyn Method> = match name {
            "input x gradient" => Box::new(InputXGradient),
            "integrated gradients" => {
                Box::new(IntegratedGradients { baseline, ..Default::default() })
            }
            "DeepLIFT" => Box::new(DeepLift { baseline, ..Default::default() }),
            "LIME" => Box::new(Lime { baseline, features, samples, ..Lime::new(key) }),
            "KernelSHAP" => {
                Box::new(KernelShap { baseline, features, samples, ..KernelShap::new(key) })
            }
            "attention rollout" => return self.rollout(),
            _ => {
                let order = permutation(self.words.len(), key.fold(self.words.len() as u32));
                return Ok(order.into_iter().map(|place| place as f64).collect());
            }
        };
        let found = method.attribute(&self.behind, &self.embedded, &Target::Class(self.class))?;
        let mut words = vec![0.0; self.words.len()];
        if matches!(name, "LIME" | "KernelSHAP") {
            // Words are their features: each element of a word has the word's number.
            let tokens = found.first().index(2, 0).to_vec::<f32>()?;
            self.labels
                .iter()
                .zip(tokens)
                .for_each(|(&word, number)| words[word] = f64::from(number));
        } else {
            let tokens = per_token(found.first())?.to_vec::<f32>()?;
            self.labels
                .iter()
                .zip(tokens)
                .for_each(|(&word, number)| words[word] += f64::from(number));
        }
        Ok(words)
    }

    /// What the mean over all places draws from each word, through all layers.
    fn rollout(&self) -> Result<Vec<f64>> {
        let maps = attention_maps(&self.whole, &self.text)?;
        let maps: Vec<Tensor> = maps.into_iter().map(|(_, map)| map).collect();
        let drawn = attention_rollout(&maps)?.mean(1).to_vec::<f32>()?;
        let mut words = vec![0.0; self.words.len()];
        // Without the special tokens, which take most.
        let last = self.labels.len() - 1;
        let inner =
            self.labels.iter().zip(drawn).enumerate().filter(|(at, _)| *at > 0 && *at < last);
        inner.for_each(|(_, (&word, share))| words[word] += f64::from(share));
        Ok(words)
    }

    /// The attention of every head as a picture.
    fn heads(&self) -> Result<Vec<(String, Picture)>> {
        let picture = HeatMap { scale: 4, ..HeatMap::sizes() };
        let mut pictures = Vec::new();
        for (layer, (_, map)) in attention_maps(&self.whole, &self.text)?.iter().enumerate() {
            for head in 0..map.size(1) {
                let own = map.index(0, 0).index(0, head as isize);
                pictures.push((format!("{layer}.{head}"), picture.over(&own, None)?));
            }
        }
        Ok(pictures)
    }

    /// The probability of the class as words are masked, those of the highest scores first: from 0 to 1 of them.
    fn deletion(&self, scores: &[f64]) -> Result<Vec<(f64, f64)>> {
        let embedded = &self.embedded.features[0];
        // A word's score stands at one of its elements, as the elements of a word are summed.
        let mut left: Vec<Option<f64>> = scores.iter().copied().map(Some).collect();
        let labels = self.features.labels()[0].iter();
        let spread = labels.map(|&word| left[word].take().unwrap_or(0.0) as f32).collect();
        let spread = Tensor::from_vec(spread, *embedded.shape(), embedded.device())?;
        let curve = removal_curve(
            CurveOrder::Deletion,
            &self.behind,
            &self.embedded,
            &[spread],
            &Target::Class(self.class),
            &self.baseline,
            Some(&self.features),
            self.words.len(),
        )?;
        let probabilities = curve.values[0].iter().map(|log_odds| 1.0 / (1.0 + (-log_odds).exp()));
        Ok(curve.shares.into_iter().zip(probabilities).collect())
    }
}

/// Measures all methods on all reviews, draws their mean curves, and says which is best.
fn compare(
    page: &mut Page,
    questions: &[Question],
    found: &[(&str, Vec<Vec<f64>>)],
) -> Result<String> {
    let (mut lines, mut areas) = (Vec::new(), Vec::new());
    for (name, scores) in found {
        let mut mean = [0.0; POINTS];
        for (question, scores) in questions.iter().zip(scores) {
            let curve = question.deletion(scores)?;
            for (point, mean) in mean.iter_mut().enumerate() {
                let share = point as f64 / (POINTS - 1) as f64;
                *mean += between(&curve, share) / questions.len() as f64;
            }
        }
        let pairs = mean.windows(2).map(|pair| (pair[0] + pair[1]) / 2.0);
        let area = pairs.sum::<f64>() / (POINTS - 1) as f64;
        println!("{name:<22} area under the deletion curve {area:.3}");
        areas.push((*name, area));
        let points = mean.iter().enumerate().map(|(at, p)| (at as f64 / (POINTS - 1) as f64, *p));
        lines.push(((*name).to_owned(), points.collect()));
    }
    page.heading("What happens as the words that matter most are masked first");
    page.curve(&Curve {
        title: format!("Deletion, mean of {} reviews", questions.len()),
        x: "share of words that are masked".into(),
        y: "probability of the class".into(),
        lines,
    });
    let random = areas.pop().map_or(f64::NAN, |(_, area)| area);
    areas.sort_by(|one, other| one.1.total_cmp(&other.1));
    let (name, area) = areas[0];
    Ok(format!("{name} names the words best: area {area:.3}, at random {random:.3}"))
}

/// A curve's value at a share, straight between its points.
fn between(curve: &[(f64, f64)], share: f64) -> f64 {
    let after = curve.iter().position(|(at, _)| *at >= share).unwrap_or(curve.len() - 1);
    let (one, other) = (curve[after.saturating_sub(1)], curve[after]);
    let width = other.0 - one.0;
    if width <= 0.0 { other.1 } else { one.1 + (share - one.0) / width * (other.1 - one.1) }
}

//! Turns sentences into vectors with MiniLM and finds those that mean nearly the same.
//!
//! `cargo xtask assets minilm`, then `cargo run --release -p language-examples --example 10-sentence-embeddings`
//!
//! Takes a second. Ends with two cosines that Python's `sentence-transformers` gives to four digits: 0.6411, 0.0851.
#![forbid(unsafe_code)]

use examples::Failure;
use examples::options::{Arguments, DEVICE, TINY};
use gradloom::prelude::*;
use gradloom::text::{EncodeOptions, Padding};
use gradloom::zoo::BertInput;
use language_examples::minilm;

const SENTENCES: [&str; 12] = [
    "The cat sits on the mat.",
    "A kitten is resting on a rug.",
    "The stock market fell sharply today.",
    "Share prices dropped across the board.",
    "How do I reset my password?",
    "I forgot the code for my account.",
    "The orchestra played a symphony by Mahler.",
    "She practises the violin every evening.",
    "Heavy rain is expected over the weekend.",
    "Bring an umbrella on Saturday.",
    "The recipe needs two eggs and a cup of flour.",
    "Water boils at a lower temperature on a mountain.",
];

fn main() -> Result<(), Failure> {
    let data = ("--data FOLDER", "where the model is (assets/minilm)");
    let arguments =
        Arguments::read(include_str!("10-sentence-embeddings.rs"), &[data, DEVICE, TINY])?;
    let device = arguments.device()?;
    let (_, model, tokenizer) = minilm::load(&arguments, Key::new(0), &SENTENCES, &device)?;
    println!("{} parameters, on {}", model.parameter_count(), device.name());

    let encodings =
        tokenizer.encode_batch(&SENTENCES, &EncodeOptions::new().pad(Padding::Longest))?;
    let length = encodings[0].len();
    let tensor = |values: Vec<u32>| {
        let values: Vec<i32> = values.into_iter().map(|value| value as i32).collect();
        Tensor::from_slice(&values, [SENTENCES.len(), length], &device)
    };
    let tokens = tensor(encodings.iter().flat_map(|encoding| encoding.ids.clone()).collect())?;
    let mask =
        tensor(encodings.iter().flat_map(|encoding| encoding.attention_mask.clone()).collect())?;
    let input = BertInput::new(&tokens).mask(&mask);
    let embeddings = model.sentence_embeddings(&input, &mut Context::eval());
    // Vectors have length 1, so their products are the cosines of the angles between them.
    let cosines = embeddings.matmul(&embeddings.t()).to_vec::<f32>()?;
    let cosine = |one: usize, other: usize| cosines[one * SENTENCES.len() + other];

    for (index, sentence) in SENTENCES.iter().enumerate() {
        let others = (0..SENTENCES.len()).filter(|&other| other != index);
        let nearest = others.max_by(|&a, &b| cosine(index, a).total_cmp(&cosine(index, b)));
        let nearest = nearest.unwrap_or(index);
        println!("{:.3}  {sentence:50} {}", cosine(index, nearest), SENTENCES[nearest]);
    }
    println!("cat and kitten {:.4}, cat and stocks {:.4}", cosine(0, 1), cosine(0, 2));
    Ok(())
}

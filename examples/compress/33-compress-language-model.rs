//! Makes a language model smaller: a Llama that learns the characters of Shakespeare's works, or one in GGUF. Its
//! weights are quantized by four methods, and trained rounded with the whole model as their teacher, to 4, 3 and 2 bits,
//! and written as transformers, vLLM and llama.cpp load them. What was written is then asked for a text.
//!
//! `cargo xtask assets shakespeare smollm2`, then, a few minutes each on two cores,
//!
//! ```text
//! cargo run --release -p compress-examples --example 33-compress-language-model
//! cargo run --release -p compress-examples --example 33-compress-language-model -- \
//!     --model assets/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf --bits 4 --out out/33-smollm2
//! ```
//!
//! Ends with a table of sizes, qualities and speeds (`report.txt`, with the errors of all layers), a picture of it,
//! folders of compressed-tensors that `33-check-folder.py` holds against Python, GGUF files and importance matrices that
//! `33-check-gguf.py` holds against llama.cpp.
#![forbid(unsafe_code)]

mod characters;
mod files;
mod subject;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use examples::Failure;
use examples::options::{Options, Program};
use gradloom::compress::distil::{Teacher, distillation_loss};
use gradloom::compress::language::fold::{self, Fold};
use gradloom::compress::language::gptq::Gptq;
use gradloom::compress::language::hqq::Hqq;
use gradloom::compress::language::{
    Calibration, Method, QuantizedWeights, Scheme, Selection, Statistics, TradeOff, Variant,
    bytes_with, layer_errors, quantize, quantize_in_order,
};
use gradloom::compress::quantize as trained;
use gradloom::compress::quantize::{Calibrator, FakeQuantized, LayerScheme, Recipe, Scales};
use gradloom::prelude::*;
use gradloom::zoo::CausalInput;

use subject::{Llama, Subject, learn, run};

/// Weights that share a scale: as many as a block of GGUF has.
const GROUP: usize = 32;

fn main() -> Result<(), Failure> {
    let options = Options::read(&Program {
        name: "33-compress-language-model",
        source: include_str!("33-compress-language-model.rs"),
        epochs: 6,
        epoch: "hundreds of steps",
        batch_size: 12,
        data: "assets/shakespeare",
        own: &[
            ("--model FILE", "a Llama in GGUF; else one is trained"),
            ("--bits LIST", "of quantized weights, from 2 to 7 (4,3,2)"),
        ],
    })?;
    let widths = widths(options.arguments.text("--bits").unwrap_or("4,3,2"))?;
    let device = options.arguments.device()?;
    let opened = options.arguments.text("--model").map(Path::new);
    let subject = match opened {
        Some(path) => Subject::opened(path, &options, &device)?,
        None => Subject::trained(&options, &device)?,
    };
    let mut trade_off = TradeOff::default();
    trade_off.variants.push(subject.measure("f32", &subject.model)?);
    trade_off.variants.extend(files::blocks(&options, &subject)?);
    for bits in widths {
        for name in ["nearest", "HQQ", "AWQ", "GPTQ", "QAT"] {
            // Training takes a text and hours that a model that was opened is not given here.
            if name == "QAT" && opened.is_some() {
                continue;
            }
            let begin = Instant::now();
            let found = compress(&subject, name, bits, &options)?;
            println!("{name} int{bits} in {:.1} s", begin.elapsed().as_secs_f64());
            trade_off.variants.push(found.variant(&subject, &format!("{name} int{bits}"))?);
            if name == "GPTQ" && bits == 4 {
                files::folder("compressed-tensors", &options, &subject, &found)?;
                files::gguf(&options, &subject, &found.weights)?;
            }
            if name == "GPTQ" && bits == 3 {
                files::folder("compressed-tensors-asymmetric", &options, &subject, &found)?;
            }
        }
    }
    let found = compress(&subject, "nearest", 8, &options)?;
    trade_off.variants.push(found.variant(&subject, "nearest int8")?);
    files::folder("compressed-tensors-int8", &options, &subject, &found)?;
    files::text(&options, &subject, "q4_0-imatrix.gguf")?;
    println!("{}", trade_off.table());
    let report = format!(
        "{}\nErrors of layers in percent of their outputs' mean squares\n\n{}",
        trade_off.table(),
        trade_off.sensitivity()
    );
    std::fs::write(options.out.join("report.txt"), report)?;
    let picture = options.out.join("trade-off.svg");
    trade_off.save_svg(&picture)?;
    println!("wrote {} and what lies beside it", picture.display());
    Ok(())
}

fn widths(list: &str) -> Result<Vec<u32>, Failure> {
    let width = |text: &str| match text.parse() {
        Ok(bits @ 2..=7) => Ok(bits),
        _ => Err(format!("--bits {text}: from 2 to 7, with commas between several").into()),
    };
    list.split(',').map(width).collect()
}

/// A model with quantized weights.
pub(crate) struct Compressed {
    pub(crate) model: Llama,
    pub(crate) weights: QuantizedWeights,
    layers: BTreeMap<String, f64>,
}

impl Compressed {
    fn new(of: &Llama, statistics: &Statistics, weights: QuantizedWeights) -> Result<Self> {
        let layers = layer_errors(of, &weights, statistics)?;
        let mut model = of.clone();
        weights.apply(&mut model)?;
        Ok(Compressed { model, weights, layers })
    }

    /// What became of it; it is run where blocks have its codes.
    fn variant(&self, subject: &Subject, name: &str) -> Result<Variant, Failure> {
        let mut running = None;
        if self.weights.iter().all(|(_, matrix)| matrix.block_format().is_some()) {
            let mut model = self.model.clone();
            self.weights.apply_blocks(&mut model)?;
            running = Some(subject.running(&model)?);
        }
        Ok(Variant {
            name: name.to_owned(),
            bytes: bytes_with(&self.model, &self.weights),
            quality: subject.quality(&self.model)?,
            layers: self.layers.clone(),
            running,
        })
    }
}

fn compress(
    subject: &Subject,
    name: &str,
    bits: u32,
    options: &Options,
) -> Result<Compressed, Failure> {
    let (model, statistics) = (&subject.model, &subject.statistics);
    let asymmetric = Scheme::new(bits).group(GROUP).asymmetric();
    // Zeros are worth more the fewer bits there are; without them transformers loads a folder as it is.
    let scheme = match bits {
        8 => Scheme::new(8).per_channel(),
        4 => Scheme::new(4).group(GROUP),
        _ => asymmetric,
    };
    let selection = Selection::default();
    let of = |model: &Llama, method: Method, statistics: &Statistics| {
        let weights = quantize(model, &method, Some(statistics), selection)?;
        Compressed::new(model, statistics, weights)
    };
    let found = match name {
        "nearest" => of(model, Method::Nearest(scheme), statistics)?,
        "HQQ" => of(model, Method::Hqq(Hqq::new(asymmetric)), statistics)?,
        "AWQ" => {
            // Scales first, then ranges for the inputs that the scaled model has.
            let mut scaled = model.clone();
            fold::apply_awq(&mut scaled, &Fold::known(model), statistics, scheme)?;
            let calibration = subject.calibration.iter().cloned();
            let statistics =
                Calibration::new().with_hessians().measure(&scaled, calibration, run)?;
            of(&scaled, Method::Clipped(scheme), &statistics)?
        }
        "QAT" => {
            let weights = learn_rounded(subject, bits, options)?;
            Compressed::new(model, statistics, weights)?
        }
        // Layer by layer, each with the inputs that those before it make, is many runs: not here for large models.
        _ if options.arguments.has("--model") => {
            of(model, Method::Gptq(Gptq::new(scheme).by_activation_static()), statistics)?
        }
        _ => {
            let method = Method::Gptq(Gptq::new(scheme).by_activation_static());
            let mut quantized = model.clone();
            let batches = &subject.calibration;
            let weights = quantize_in_order(&mut quantized, &method, batches, run, selection)?;
            Compressed::new(model, statistics, weights)?
        }
    };
    Ok(found)
}

/// Weights that learn, rounded, to answer as the whole model does.
fn learn_rounded(
    subject: &Subject,
    bits: u32,
    options: &Options,
) -> Result<QuantizedWeights, Failure> {
    let teacher = Teacher::new(subject.model.clone());
    let mut student = subject.model.clone();
    student.unfreeze();
    let scheme = trained::Scheme::symmetric(bits).per_group(GROUP);
    let recipe =
        Recipe::new(LayerScheme::weights(scheme)).without("model.embed_tokens").without("lm_head");
    let mut calibrator = Calibrator::new(&student, &recipe)?;
    let forward = |model: &Llama, tokens: &Tensor, ctx: &mut Context| {
        model.forward(&CausalInput::new(tokens), ctx).logits
    };
    let tokens = &subject.calibration[0];
    calibrator.batch(&[tokens], |model, ctx| forward(model, tokens, ctx))?;
    let calibration = calibrator.finish()?;
    let mut student = FakeQuantized::new(student, &recipe, &calibration, Scales::Fixed)?;
    let steps = if options.tiny { 5 } else { 25 * options.epochs };
    learn(&mut student, &subject.text, options, steps, 5e-4, |student, inputs, _, ctx| {
        let wanted = teacher.output(&inputs, forward);
        let logits = student.run(ctx, |model, ctx| forward(model, &inputs, ctx));
        Ok(distillation_loss(&logits, &wanted, 1.0))
    })?;
    Ok(QuantizedWeights::of_trained(&student)?)
}

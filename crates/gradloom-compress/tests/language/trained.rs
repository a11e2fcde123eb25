//! Weights that are trained rounded go into the formats of language models.

use crate::models::{distance, llama, run, tokens};
use gradloom_compress::language::{QuantizedWeights, quantize_blocks};
use gradloom_compress::quantize::{Calibrator, FakeQuantized, LayerScheme, Recipe, Scales, Scheme};
use gradloom_nn::{AdamW, Context, ModuleExt, Optimizer, dequantize, gradients};
use gradloom_tensor::{BlockFormat, Device, Tensor, commit};
use gradloom_zoo::LlamaForCausalLanguageModel;

type Rounded = FakeQuantized<LlamaForCausalLanguageModel>;

fn rounded(device: &Device, layers: LayerScheme, scales: Scales) -> Rounded {
    let model = llama(device);
    let recipe = Recipe::new(layers).without("model.embed_tokens");
    let mut calibrator = Calibrator::new(&model, &recipe).unwrap();
    let tokens = tokens(device, 1);
    calibrator.batch(&[&tokens], |model, ctx| run(model, tokens.clone(), ctx).unwrap()).unwrap();
    FakeQuantized::new(llama(device), &recipe, &calibrator.finish().unwrap(), scales).unwrap()
}

fn learn(model: &mut Rounded, device: &Device) {
    let mut optimizer = AdamW::new(1e-3);
    for step in 0..3 {
        let tokens = tokens(device, step);
        let ctx = &mut Context::eval();
        let logits = model.run(ctx, |model, ctx| run(model, tokens.clone(), ctx).unwrap());
        let loss = logits.cross_entropy(&tokens);
        optimizer.step(&gradients(&loss, model), model);
        commit((&mut *model, &mut optimizer)).unwrap();
    }
}

#[test]
fn rounded_weights_that_learnt_are_the_integers_of_the_formats() {
    let device = gradloom_cpu::device();
    let logits = |logits: Tensor| logits.to_vec::<f32>().unwrap();
    for (scheme, scales, format) in [
        (Scheme::symmetric(4).per_group(32), Scales::Fixed, Some(BlockFormat::Q4_0)),
        (Scheme::affine(4).per_group(32), Scales::Fixed, Some(BlockFormat::Q4_1)),
        (Scheme::symmetric(3).per_channel(), Scales::Learned, None),
        (Scheme::symmetric(8), Scales::Moving(0.1), Some(BlockFormat::Q8_0)),
    ] {
        let mut model = rounded(&device, LayerScheme::weights(scheme), scales);
        learn(&mut model, &device);
        let weights = QuantizedWeights::of_trained(&model).unwrap();
        assert_eq!(weights.iter().len(), 14);
        let ctx = &mut Context::eval();
        let tokens = tokens(&device, 9);
        let learnt = model.run(ctx, |model, ctx| run(model, tokens.clone(), ctx).unwrap());
        let learnt = logits(learnt);
        let mut plain = model.model.clone();
        weights.apply(&mut plain).unwrap();
        let found = logits(run(&plain, tokens, ctx).unwrap());
        let size = distance(&learnt, &vec![0.0; learnt.len()]);
        let difference = distance(&found, &learnt);
        assert!(difference < 1e-5 * size, "{scheme}: {difference} of {size}");
        assert!(weights.iter().all(|(_, matrix)| matrix.block_format() == format), "{scheme}");
    }
}

#[test]
fn rounded_inputs_have_no_place_in_the_formats() {
    let device = gradloom_cpu::device();
    let model = rounded(&device, LayerScheme::bits(8, 8), Scales::Fixed);
    let error = QuantizedWeights::of_trained(&model).unwrap_err().to_string();
    assert!(error.contains("the input of model.layers.0") && error.contains("weights alone"));
}

#[test]
fn a_model_of_blocks_becomes_plain_and_goes_into_other_blocks() {
    let device = gradloom_cpu::device();
    let mut model = llama(&device);
    let chosen = |format| move |name: &str| name.contains("_proj").then_some(format);
    let none = Default::default();
    quantize_blocks(&mut model, chosen(BlockFormat::Q8_0), &none).unwrap();
    let weight = "model.layers.1.mlp.down_proj.weight";
    let numbers = |model: &LlamaForCausalLanguageModel| {
        model.parameter(weight).unwrap().to_vec::<f32>().unwrap()
    };
    let rounded = numbers(&model);
    assert_eq!(dequantize(&mut model).unwrap(), 14);
    assert_eq!(dequantize(&mut model).unwrap(), 0);
    assert_eq!(numbers(&model), rounded);
    assert!(!model.parameter(weight).unwrap().is_trainable());
    assert_eq!(quantize_blocks(&mut model, chosen(BlockFormat::Q4_1), &none).unwrap(), 14);
    assert_ne!(numbers(&model), rounded);
}

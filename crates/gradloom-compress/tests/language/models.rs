//! Whole models: calibration, folds, and folders of compressed-tensors.

use gradloom_compress::language::compressed_tensors::{Export, Folder, Format};
use gradloom_compress::language::fold::{self, Fold, InputScales};
use gradloom_compress::language::gptq::Gptq;
use gradloom_compress::language::hqq::Hqq;
use gradloom_compress::language::{
    Calibration, Method, QuantizedWeights, Scheme, Selection, quantize, quantize_in_order,
};
use gradloom_nn::{Context, Init, ModuleExt};
use gradloom_tensor::{Device, Key, Result, Tensor};
use gradloom_zoo::{
    CausalInput, Gpt2Config, Gpt2ForCausalLanguageModel, LlamaConfig, LlamaForCausalLanguageModel,
    ModelConfig, Pretrained,
};

const CONFIG: &str = r#"{"architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": 40,
    "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 64, "tie_word_embeddings": true, "initializer_range": 0.2}"#;

fn llama(device: &Device) -> LlamaForCausalLanguageModel {
    let config = LlamaConfig::from_json(CONFIG).unwrap();
    LlamaForCausalLanguageModel::new(&config, &mut Init::new(Key::new(5), device)).unwrap()
}

fn tokens(device: &Device, batch: i32) -> Tensor {
    let tokens: Vec<i32> = (0..48).map(|at| (at * at * 7 + at * batch + 3 * batch) % 40).collect();
    Tensor::from_slice(&tokens, [2, 24], device).unwrap()
}

fn run(model: &LlamaForCausalLanguageModel, tokens: Tensor, ctx: &mut Context) -> Result<Tensor> {
    Ok(model.forward(&CausalInput::new(&tokens), ctx).logits)
}

fn logits(model: &LlamaForCausalLanguageModel, device: &Device) -> Vec<f32> {
    run(model, tokens(device, 99), &mut Context::eval()).unwrap().to_vec::<f32>().unwrap()
}

fn distance(a: &[f32], b: &[f32]) -> f32 {
    (a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum::<f32>() / a.len() as f32).sqrt()
}

fn batches(device: &Device) -> Vec<Tensor> {
    (1..5).map(|batch| tokens(device, batch)).collect()
}

#[test]
fn calibration_sees_each_input_once_in_the_order_of_reading() {
    let device = gradloom_cpu::device();
    let model = llama(&device);
    let calibration = Calibration::new().with_hessians();
    let found = calibration.measure(&model, batches(&device), run).unwrap();
    let first: Vec<&str> = found.stages().iter().map(|stage| stage[0].as_str()).collect();
    let layer = ["self_attn.q_proj", "self_attn.o_proj", "mlp.gate_proj", "mlp.down_proj"];
    let expected: Vec<String> = (0..2)
        .flat_map(|number| layer.map(|part| format!("model.layers.{number}.{part}.weight")))
        .collect();
    assert_eq!(first, expected);
    assert_eq!(found.stages()[0].len(), 3);
    let inputs = found.of("model.layers.0.self_attn.v_proj.weight").unwrap();
    assert_eq!((inputs.inputs(), inputs.count()), (64, 4 * 48));
    // The input of the first layer is a norm's output with a weight of ones: mean squares of 1 over features.
    let mean = inputs.mean_squares().iter().sum::<f32>() / 64.0;
    assert!((mean - 1.0).abs() < 1e-3, "{mean}");
    let hessian = inputs.hessian().unwrap();
    for (at, square) in inputs.mean_squares().iter().enumerate() {
        assert!((hessian[at * 65] as f32 - square).abs() < 1e-4 * square);
        assert!((hessian[at] - hessian[at * 64]).abs() < 1e-9);
    }
    assert!(
        inputs
            .largest()
            .iter()
            .zip(inputs.mean_magnitudes())
            .all(|(largest, mean)| *largest >= mean)
    );
}

#[test]
fn weights_that_have_their_inputs_first_are_quantized_along_them() {
    let device = gradloom_cpu::device();
    let config = Gpt2Config {
        vocab_size: 40,
        n_positions: 32,
        n_embd: 32,
        n_layer: 1,
        n_head: 2,
        ..Gpt2Config::default()
    };
    let mut model =
        Gpt2ForCausalLanguageModel::new(&config, &mut Init::new(Key::new(1), &device)).unwrap();
    let run = |model: &Gpt2ForCausalLanguageModel, tokens: Tensor, ctx: &mut Context| {
        Ok(model.forward(&CausalInput::new(&tokens), ctx).logits)
    };
    let method = Method::Gptq(Gptq::new(Scheme::new(4).group(16)));
    let before =
        model.parameter("transformer.h.0.mlp.c_fc.weight").unwrap().to_vec::<f32>().unwrap();
    let found =
        quantize_in_order(&mut model, &method, &batches(&device), run, Selection::default())
            .unwrap();
    let matrix = found.get("transformer.h.0.mlp.c_fc.weight").unwrap();
    assert_eq!((matrix.outputs(), matrix.inputs(), matrix.groups()), (128, 32, 2));
    assert_eq!(found.iter().len(), 4);
    let after =
        model.parameter("transformer.h.0.mlp.c_fc.weight").unwrap().to_vec::<f32>().unwrap();
    let (moved, size) = (distance(&before, &after), distance(&before, &vec![0.0; before.len()]));
    assert!(moved > 0.0 && moved < 0.2 * size, "{moved} {size}");
}

#[test]
fn gptq_in_order_keeps_logits_better_than_rounding() {
    let device = gradloom_cpu::device();
    let whole = logits(&llama(&device), &device);
    let scheme = Scheme::new(3).group(32);
    let mut nearest = llama(&device);
    let weights = quantize(&nearest, &Method::Nearest(scheme), None, Selection::default()).unwrap();
    assert_eq!(weights.iter().len(), 14);
    weights.apply(&mut nearest).unwrap();
    let mut model = llama(&device);
    let method = Method::Gptq(Gptq::new(scheme).by_activation_static());
    quantize_in_order(&mut model, &method, &batches(&device), run, Selection::default()).unwrap();
    let (ours, theirs) =
        (distance(&logits(&model, &device), &whole), distance(&logits(&nearest, &device), &whole));
    assert!(ours < theirs, "{ours} {theirs}");
}

#[test]
fn folded_scales_leave_the_function_as_it_is() {
    let device = gradloom_cpu::device();
    let whole = logits(&llama(&device), &device);
    let calibration = Calibration::new().with_hessians();
    let statistics = calibration.measure(&llama(&device), batches(&device), run).unwrap();
    let scheme = Scheme::new(3).group(32).asymmetric();
    let mut model = llama(&device);
    let folds = Fold::known(&model);
    // Values are narrower than what attention gives with two heads of keys for four of queries.
    assert_eq!(folds.len(), 6);
    assert!(folds.iter().all(|fold| !fold.makers[0].contains("v_proj")));
    let searches = fold::apply_awq(&mut model, &folds, &statistics, scheme).unwrap();
    assert!(searches.iter().all(|search| search.error <= search.error_before));
    assert!(searches.iter().any(|search| search.exponent > 0.0));
    assert!(distance(&logits(&model, &device), &whole) < 1e-4);
    let mut model = llama(&device);
    fold::apply_smooth(&mut model, &folds, &statistics, 0.5).unwrap();
    assert!(distance(&logits(&model, &device), &whole) < 1e-4);

    // Where nothing can be divided the inputs are.
    let mut model = llama(&device);
    let mut scales = InputScales::new();
    let weight = "model.layers.1.self_attn.o_proj.weight";
    let values: Vec<f32> = (0..64).map(|at| 0.5 + at as f32 / 32.0).collect();
    scales.scale(&mut model, weight, false, &values).unwrap();
    assert!(distance(&logits(&model, &device), &whole) > 1e-2);
    let mut ctx = Context::eval();
    let scaled =
        ctx.with_products(scales.shared(), |ctx| run(&model, tokens(&device, 99), ctx)).unwrap();
    assert!(distance(&scaled.to_vec::<f32>().unwrap(), &whole) < 1e-4);
}

fn round_trip(
    method: &Method,
    format: Format,
) -> (LlamaForCausalLanguageModel, QuantizedWeights, Folder) {
    let device = gradloom_cpu::device();
    let mut model = llama(&device);
    let weights = quantize(&model, method, None, Selection::default()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("tokenizer.json"), "{}").unwrap();
    let target = folder.path().join("compressed");
    let export = Export::new(CONFIG).unwrap().format(format).tokenizer_of(folder.path());
    export.save(&model, &weights, &target).unwrap();
    assert!(target.join("tokenizer.json").is_file());
    weights.apply(&mut model).unwrap();
    (model, weights, Folder::open(&target, &device).unwrap())
}

fn of_dict(folder: &Folder, blocks: bool) -> LlamaForCausalLanguageModel {
    let weights = if blocks { folder.state_dict_of_blocks() } else { folder.state_dict() }.unwrap();
    let config = LlamaConfig::from_json(CONFIG).unwrap();
    LlamaForCausalLanguageModel::from_weights(&config, &weights, &gradloom_cpu::device()).unwrap()
}

#[test]
fn a_folder_that_is_written_is_read_as_it_was() {
    let device = gradloom_cpu::device();
    let hqq = Hqq::new(Scheme::new(2).group(32).asymmetric()).whole_zeros();
    for method in [
        Method::Nearest(Scheme::new(4).group(32)),
        Method::Nearest(Scheme::new(4).group(32).asymmetric()),
        Method::Nearest(Scheme::new(3).per_channel()),
        Method::Hqq(hqq),
    ] {
        let (model, weights, folder) = round_trip(&method, Format::PackQuantized);
        for (name, matrix) in weights.iter() {
            assert_eq!(folder.quantized().get(name), Some(matrix), "{name}");
        }
        assert_eq!(logits(&of_dict(&folder, false), &device), logits(&model, &device));
    }
    let int8 = Method::Nearest(Scheme::new(8).per_channel());
    let (model, _, folder) = round_trip(&int8, Format::IntQuantized);
    assert_eq!(logits(&of_dict(&folder, false), &device), logits(&model, &device));
}

#[test]
fn a_folder_of_four_bits_runs_on_blocks() {
    let device = gradloom_cpu::device();
    let (model, ..) = round_trip(&Method::Nearest(Scheme::new(4).group(32)), Format::PackQuantized);
    let (.., folder) =
        round_trip(&Method::Nearest(Scheme::new(4).group(32)), Format::PackQuantized);
    let blocks = of_dict(&folder, true);
    let quantized =
        blocks.parameters().into_iter().filter(|(_, parameter)| parameter.is_quantized()).count();
    assert_eq!(quantized, 14);
    let (ours, theirs) = (logits(&blocks, &device), logits(&model, &device));
    let size = distance(&theirs, &vec![0.0; theirs.len()]);
    assert!(distance(&ours, &theirs) < 3e-3 * size, "{} {size}", distance(&ours, &theirs));
}

#[test]
fn weights_go_into_a_model_as_blocks_where_a_format_has_them() {
    let device = gradloom_cpu::device();
    let mut model = llama(&device);
    let scheme = Scheme::new(8).group(32);
    let weights = quantize(&model, &Method::Nearest(scheme), None, Selection::default()).unwrap();
    assert_eq!(weights.apply_blocks(&mut model).unwrap(), 14);
    let whole = logits(&llama(&device), &device);
    assert!(
        distance(&logits(&model, &device), &whole)
            < 0.02 * distance(&whole, &vec![0.0; whole.len()])
    );
}

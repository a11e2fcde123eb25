//! Adapters against Python's `peft`: its files are read, logits and gradients are its own, and what is
//! written is read again. `golden/adapters/make.py` made the files.

use std::path::{Path, PathBuf};

use gradloom_nn::lora::{self, Lora};
use gradloom_nn::{
    AdamW, Context, Init, Module, ModuleExt, Optimizer, StateDict, gradients, quantize_where,
    weights,
};
use gradloom_tensor::{BlockFormat, Device, Key, Tensor, Tensors, commit};
use gradloom_zoo::adapters::{load_lora, save_lora};
use gradloom_zoo::{
    BertForSequenceClassification, BertInput, CausalInput, Gpt2ForCausalLanguageModel, LlamaConfig,
    LlamaForCausalLanguageModel, ModelConfig, Pretrained,
};

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

fn distance(actual: &Tensor, expected: &Tensor) -> f64 {
    assert_eq!(actual.shape(), expected.shape());
    (actual - expected).abs().max(..).item().unwrap()
}

type Forward<M> = fn(&M, &Tensor) -> Tensor;

fn llama(model: &LlamaForCausalLanguageModel, tokens: &Tensor) -> Tensor {
    model.forward(&CausalInput::new(tokens), &mut Context::eval()).logits
}

fn gpt2(model: &Gpt2ForCausalLanguageModel, tokens: &Tensor) -> Tensor {
    model.forward(&CausalInput::new(tokens), &mut Context::eval()).logits
}

fn bert(model: &BertForSequenceClassification, tokens: &Tensor) -> Tensor {
    model.forward(&BertInput::new(tokens), &mut Context::eval())
}

/// The base model, with the adapter of the folder of the same name, is what Python says.
fn check<M: Pretrained + Clone>(name: &str, forward: Forward<M>) {
    let device = gradloom_cpu::device();
    let base = M::from_folder(golden(name), &device).unwrap();
    let folder = golden("adapters").join(name);
    let expected = weights::load(folder.join("expected.safetensors"), &device).unwrap();
    let get = |name: &str| expected.get(name).unwrap();
    let mut model = base.clone();
    let lora = load_lora(&folder, &mut model).unwrap();
    let logits = forward(&model, get("tokens"));
    assert!(distance(&logits, get("logits")) < 1e-5, "{name}: logits");
    gradients_are_pythons(&model, &logits.cross_entropy(get("labels")), &expected);

    let before = model.state_dict();
    assert!(lora::merge(&mut model).unwrap() > 0);
    assert_eq!(lora::merge(&mut model).unwrap(), 0, "merged once");
    assert!(distance(&forward(&model, get("tokens")), get("logits")) < 1e-5, "{name}: merged");
    lora::unmerge(&mut model).unwrap();
    for (weight, value) in model.state_dict().iter() {
        let old = before.get(weight).unwrap();
        assert_eq!(value.to_bytes().unwrap(), old.to_bytes().unwrap(), "{weight} after unmerge");
    }

    let written = tempfile::tempdir().unwrap();
    save_lora(written.path(), &model, &lora, None).unwrap();
    let mut again = base.clone();
    assert_eq!(load_lora(written.path(), &mut again).unwrap(), lora);
    assert!(distance(&forward(&again, get("tokens")), get("logits")) < 1e-5, "{name}: reread");

    lora::merge(&mut again).unwrap();
    lora::detach(&mut again);
    let names = |model: &M| model.parameters().into_iter().map(|(name, _)| name).collect();
    let [left, published]: [Vec<String>; 2] = [names(&again), names(&base)];
    assert_eq!(left, published);
    assert!(distance(&forward(&again, get("tokens")), get("logits")) < 1e-5, "{name}: detached");
}

fn gradients_are_pythons(model: &impl Module, loss: &Tensor, expected: &StateDict) {
    let gradients = gradients(loss, model);
    let golden = expected.iter().filter(|(name, _)| name.starts_with("grad.")).count();
    assert_eq!(gradients.len(), golden);
    for (name, gradient) in gradients.iter() {
        let expected = expected.get(&format!("grad.{name}")).unwrap();
        assert!(distance(gradient, expected) < 1e-5, "gradient of {name}");
    }
}

#[test]
fn updates_of_llama_are_pythons() {
    check("llama", llama);
}

#[test]
fn updates_of_gpt2_with_ranks_and_alphas_of_their_own_are_pythons() {
    check("gpt2", gpt2);
}

#[test]
fn updates_of_bert_and_its_saved_classifier_are_pythons() {
    check("bert-classifier", bert);
}

fn small_llama(device: &Device) -> LlamaForCausalLanguageModel {
    let json = r#"{"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 40}"#;
    let config = LlamaConfig::from_json(json).unwrap();
    LlamaForCausalLanguageModel::new(&config, &mut Init::new(Key::new(3), device)).unwrap()
}

fn train<M: Module + Tensors>(model: &mut M, forward: Forward<M>, steps: usize) -> [f64; 2] {
    let device = model.parameters()[0].1.device().clone();
    let ids: Vec<i32> = (0..60).map(|index| index * 7 % 40).collect();
    let tokens = Tensor::from_slice(&ids, [4, 15], &device).unwrap();
    let mut optimizer = AdamW::new(0.02);
    let mut losses = Vec::new();
    for _ in 0..steps {
        let logits = forward(model, &tokens.narrow(1, 0, 14));
        let mut loss = logits.cross_entropy(&tokens.narrow(1, 1, 14));
        let gradients = gradients(&loss, model);
        optimizer.step(&gradients, model);
        drop((logits, gradients));
        commit((&mut *model, &mut optimizer, &mut loss)).unwrap();
        losses.push(loss.item().unwrap());
    }
    [losses[0], losses[losses.len() - 1]]
}

#[test]
fn updates_learn_beside_weights_in_blocks() {
    let device = gradloom_cpu::device();
    let mut model = small_llama(&device);
    let count = quantize_where(&mut model, BlockFormat::Q8_0, |name| name.contains("proj"));
    assert!(count.unwrap() > 0);
    let lora = Lora::new(4).alpha(8.0).dropout(0.1).targets(["q_proj", "v_proj", "up_proj"]);
    let init = &mut Init::new(Key::new(4), &device);
    assert_eq!(lora.attach(&mut model, init).unwrap(), 6);
    let blocks = |model: &LlamaForCausalLanguageModel| {
        let weight = &model.model.layers[0].self_attn.q_proj.weight;
        (weight.is_quantized(), weight.tensor().to_blocks().unwrap())
    };
    let before = blocks(&model);
    assert!(before.0);
    let [first, last] = train(&mut model, llama, 40);
    assert!(last < 0.8 * first, "{first} to {last}");
    assert!(blocks(&model) == before, "the frozen blocks have changed");
    let tokens = Tensor::from_slice(&[1, 2, 3], [1, 3], &device).unwrap();
    let beside = llama(&model, &tokens);
    lora::merge(&mut model).unwrap();
    assert!(!blocks(&model).0, "a merged weight is no longer quantized");
    assert!(
        distance(&llama(&model, &tokens), &beside) < 0.05 * beside.abs().max(..).item().unwrap()
    );
    lora::unmerge(&mut model).unwrap();
    assert!(blocks(&model) == before, "unmerged blocks");
}

#[test]
fn what_does_not_fit_is_named_and_the_model_stays_as_it_was() {
    let device = gradloom_cpu::device();
    let mut model = small_llama(&device);
    let init = &mut Init::new(Key::new(4), &device);
    let names = |model: &LlamaForCausalLanguageModel| model.parameters().len();
    let count = names(&model);
    let error = Lora::new(2).targets(["query"]).attach(&mut model, init).unwrap_err().to_string();
    assert_eq!(
        error,
        "lora: no layer is named \"query\"; there are down_proj, gate_proj, k_proj, lm_head, o_proj, \
         q_proj, up_proj, v_proj"
    );
    let lora = Lora::new(2).targets(["q_proj"]).train_also(["score"]);
    assert!(lora.attach(&mut model, init).is_err());
    let error = load_lora(golden("adapters/llama"), &mut model).unwrap_err().to_string();
    assert!(error.contains("model.layers.0.mlp.down_proj has 96 inputs and 64 outputs"), "{error}");
    let error = load_lora(golden("adapters/gpt2"), &mut model).unwrap_err().to_string();
    assert!(error.contains("no layer transformer.h.0.attn.c_attn"), "{error}");
    assert!(load_lora(golden("llama"), &mut model).unwrap_err().is_not_found());
    assert_eq!(names(&model), count);
    assert!(model.trainable().len() == count);
    let lora = Lora::new(2).targets(["q_proj"]);
    lora.attach(&mut model, init).unwrap();
    let error = lora.attach(&mut model, init).unwrap_err().to_string();
    assert!(error.contains("has an update already"), "{error}");
}

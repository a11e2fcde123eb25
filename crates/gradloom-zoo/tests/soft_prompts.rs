//! Soft prompts against Python's `peft`, in training and while a text is written.
//! `golden/adapters/make.py` made the files.

use std::path::{Path, PathBuf};

use gradloom_nn::{Context, Init, ModuleExt, gradients, weights};
use gradloom_tensor::{Key, Tensor};
use gradloom_zoo::adapters::{Prompted, SoftPrompt, load_soft_prompt, save_soft_prompt};
use gradloom_zoo::generation::Generator;
use gradloom_zoo::{
    BertForSequenceClassification, BertInput, CausalInput, CausalLanguageModel,
    Gpt2ForCausalLanguageModel, LlamaForCausalLanguageModel, Pretrained,
};

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

fn distance(actual: &Tensor, expected: &Tensor) -> f64 {
    assert_eq!(actual.shape(), expected.shape());
    (actual - expected).abs().max(..).item().unwrap()
}

#[test]
fn a_prompt_of_gpt2_is_pythons() {
    let device = gradloom_cpu::device();
    let folder = golden("adapters/gpt2-prompt");
    let mut model = Gpt2ForCausalLanguageModel::from_folder(golden("gpt2"), &device).unwrap();
    let prompt = load_soft_prompt(&folder, &mut model).unwrap();
    assert_eq!(model.trainable().len(), 0);
    let expected = weights::load(folder.join("expected.safetensors"), &device).unwrap();
    let get = |name: &str| expected.get(name).unwrap();
    let logits = |prompt: &SoftPrompt| {
        let input = CausalInput::new(get("tokens")).prompt(&prompt.prompt_embeddings);
        model.forward(&input, &mut Context::eval()).logits
    };
    assert!(distance(&logits(&prompt), get("logits")) < 1e-5);
    let loss = logits(&prompt).cross_entropy(get("labels"));
    let gradients = gradients(&loss, &prompt);
    let gradient = gradients.get("prompt_embeddings").unwrap();
    assert!(distance(gradient, get("grad.prompt_encoder.embedding.weight")) < 1e-5);
    let written = tempfile::tempdir().unwrap();
    save_soft_prompt(written.path(), &prompt, &model, &[], None).unwrap();
    let again = load_soft_prompt(written.path(), &mut model.clone()).unwrap();
    assert_eq!(distance(&logits(&again), &logits(&prompt)), 0.0);
}

#[test]
fn a_prompt_of_bert_with_a_classifier_is_pythons() {
    let device = gradloom_cpu::device();
    let folder = golden("adapters/bert-classifier-prompt");
    let base = BertForSequenceClassification::from_folder(golden("bert-classifier"), &device);
    let mut model = base.unwrap();
    let prompt = load_soft_prompt(&folder, &mut model).unwrap();
    assert_eq!(model.trainable().len(), 2);
    let expected = weights::load(folder.join("expected.safetensors"), &device).unwrap();
    let get = |name: &str| expected.get(name).unwrap();
    let input = BertInput::new(get("tokens")).prompt(&prompt.prompt_embeddings);
    let logits = model.forward(&input, &mut Context::eval());
    assert!(distance(&logits, get("logits")) < 1e-5);
    // A mask that keeps everything, and types that are all the first, change nothing.
    let ones = get("tokens").ones_like();
    let input = input.mask(&ones).token_types(&(&ones - &ones));
    assert!(distance(&model.forward(&input, &mut Context::eval()), get("logits")) < 1e-5);
    let loss = logits.cross_entropy(get("labels"));
    for (name, gradient) in gradients(&loss, &model).iter() {
        assert!(distance(gradient, get(&format!("grad.base_model.{name}"))) < 1e-5, "{name}");
    }
    let error = load_soft_prompt(golden("adapters/llama"), &mut model).unwrap_err().to_string();
    assert!(error.contains("peft_type is \"LORA\", not PROMPT_TUNING"), "{error}");
}

fn a_cache_begins_with_the_prompt<M: CausalLanguageModel>(
    model: M,
    forward: impl Fn(&M, &CausalInput) -> Tensor,
) {
    let device = gradloom_cpu::device();
    let features = model.embed(&Tensor::new([[3]], &device).unwrap()).size(2);
    let prompt = SoftPrompt::new(3, features, &mut Init::new(Key::new(5), &device));
    let prompted = Prompted { model, prompt };
    let texts: [&[u32]; 2] = [&[4, 5, 6, 7], &[8, 9]];
    let mut generator = Generator::new(&prompted, 2, 8).unwrap();
    generator.prefill(&texts).unwrap();
    generator.step(&[10, 11]).unwrap();
    for (index, text) in texts.iter().enumerate() {
        let mut ids: Vec<i32> = text.iter().map(|&id| id as i32).collect();
        ids.push(10 + index as i32);
        let tokens = Tensor::from_slice(&ids, [1, ids.len()], &device).unwrap();
        let input = CausalInput::new(&tokens).prompt(&prompted.prompt.prompt_embeddings);
        let logits = forward(&prompted.model, &input);
        assert_eq!(logits.size(1), 3 + ids.len());
        let expected = logits.index(1, -1).to_vec::<f32>().unwrap();
        let far = generator.logits(index).iter().zip(&expected).map(|(a, b)| (a - b).abs());
        assert!(far.fold(0.0, f32::max) < 1e-4, "text {index}");
    }
}

#[test]
fn texts_of_gpt2_are_written_after_the_prompt() {
    let model = Gpt2ForCausalLanguageModel::from_folder(golden("gpt2"), &gradloom_cpu::device());
    a_cache_begins_with_the_prompt(model.unwrap(), |model, input| {
        model.forward(input, &mut Context::eval()).logits
    });
}

#[test]
fn texts_of_llama_are_written_after_the_prompt() {
    let model = LlamaForCausalLanguageModel::from_folder(golden("llama"), &gradloom_cpu::device());
    a_cache_begins_with_the_prompt(model.unwrap(), |model, input| {
        model.forward(input, &mut Context::eval()).logits
    });
}

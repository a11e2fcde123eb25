//! Loading from folders: what is missing, left over or of another shape is named; buffers and tables
//! that old checkpoints carry are passed over.

use std::sync::LazyLock;

use gradloom_nn::{Context, Init, ModuleExt, StateDict, weights};
use gradloom_tensor::{DType, Device, Key, Tensor};
use gradloom_zoo::{
    BertConfig, BertForMaskedLanguageModel, BertForPreTraining, BertInput, BertModel, CausalInput,
    Gpt2Config, Gpt2ForCausalLanguageModel, Gpt2Model, LlamaConfig, LlamaForCausalLanguageModel,
    ModelConfig, Pretrained, T5ForConditionalGeneration, config_in,
};

fn device() -> Device {
    static DEVICE: LazyLock<Device> = LazyLock::new(gradloom_testkit::reference::device);
    DEVICE.clone()
}

fn folder(case: &str) -> String {
    format!("{}/tests/golden/{case}", env!("CARGO_MANIFEST_DIR"))
}

fn checkpoint<C: ModelConfig>(case: &str) -> (C, StateDict) {
    let path = format!("{}/model.safetensors", folder(case));
    (config_in(folder(case)).unwrap(), weights::load(path, &device()).unwrap())
}

#[track_caller]
fn fails<M: Pretrained + std::fmt::Debug>(config: &M::Config, weights: &StateDict, parts: &[&str]) {
    let error = M::from_weights(config, weights, &device()).unwrap_err();
    assert!(error.is_weights(), "{error}");
    for part in parts {
        assert!(error.to_string().contains(part), "{error}\ndoes not say {part:?}");
    }
}

fn zeros(shape: &[usize]) -> Tensor {
    Tensor::zeros(shape, DType::F32, &device())
}

#[test]
fn misfitting_weights_are_named() {
    let (config, weights) = checkpoint::<BertConfig>("bert");
    let mut missing = weights.clone();
    missing.remove("bert.encoder.layer.1.output.dense.bias");
    let name = "encoder.layer.1.output.dense.bias";
    fails::<BertModel>(&config, &missing, &["1 names are missing", name]);
    let mut more = weights.clone();
    more.insert("bert.encoder.layer.2.output.dense.bias", zeros(&[16]));
    fails::<BertModel>(&config, &more, &["not in the model", "encoder.layer.2.output.dense.bias"]);
    let wider = BertConfig { intermediate_size: 24, ..config.clone() };
    fails::<BertModel>(&wider, &weights, &["intermediate.dense.weight has shape [20, 16]"]);
    // A model without a file's head loads; one with a head that the file lacks does not.
    let (config, weights) = checkpoint::<BertConfig>("bert-classifier");
    assert!(BertModel::from_weights(&config, &weights, &device()).is_ok());
    let parts = ["missing", "cls.predictions.bias", "cls.seq_relationship.weight"];
    fails::<BertForPreTraining>(&config, &weights, &parts);
}

#[test]
fn missing_files_are_named() {
    let empty = tempfile::tempdir().unwrap();
    let error = BertModel::from_folder(empty.path(), &device()).unwrap_err();
    assert!(error.is_not_found() && error.to_string().contains("config.json"), "{error}");
    let config = format!("{}/config.json", folder("bert"));
    std::fs::copy(config, empty.path().join("config.json")).unwrap();
    let error = BertModel::from_folder(empty.path(), &device()).unwrap_err();
    assert!(error.is_not_found() || error.is_weights(), "{error}");
    std::fs::write(empty.path().join("model.safetensors"), b"no weights").unwrap();
    let error = BertModel::from_folder(empty.path(), &device()).unwrap_err();
    assert!(error.is_weights() && error.to_string().contains("model.safetensors"), "{error}");
    // Of another family.
    let error = BertModel::from_folder(folder("gpt2"), &device()).unwrap_err();
    assert!(error.is_config() && error.to_string().contains("gpt2"), "{error}");
}

#[test]
fn what_old_checkpoints_carry_is_passed_over() {
    let (config, weights) = checkpoint::<BertConfig>("bert");
    let mut old: StateDict = weights
        .into_iter()
        .map(|(name, tensor)| {
            let name = name.replace("LayerNorm.weight", "LayerNorm.gamma");
            (name.replace("LayerNorm.bias", "LayerNorm.beta"), tensor)
        })
        .collect();
    old.insert("bert.embeddings.position_ids", zeros(&[1, 12]));
    old.insert("cls.predictions.decoder.weight", zeros(&[29, 16]));
    old.insert("cls.predictions.decoder.bias", zeros(&[29]));
    assert!(BertForPreTraining::from_weights(&config, &old, &device()).is_ok());
    assert!(BertForMaskedLanguageModel::from_weights(&config, &old, &device()).is_ok());

    let (config, weights) = checkpoint::<Gpt2Config>("gpt2");
    // The first files have no prefix, but masks.
    let mut old = weights.rename(|name| Some(name.replace("transformer.", "")));
    old.insert("h.0.attn.bias", zeros(&[1, 1, 12, 12]));
    old.insert("h.0.attn.masked_bias", zeros(&[]));
    old.insert("lm_head.weight", zeros(&[29, 16]));
    assert!(Gpt2ForCausalLanguageModel::from_weights(&config, &old, &device()).is_ok());
    assert!(Gpt2Model::from_weights(&config, &old, &device()).is_ok());

    let (config, mut weights) = checkpoint::<LlamaConfig>("llama3");
    weights.insert("model.layers.0.self_attn.rotary_emb.inv_freq", zeros(&[4]));
    weights.insert("lm_head.weight", zeros(&[29, 16]));
    assert!(LlamaForCausalLanguageModel::from_weights(&config, &weights, &device()).is_ok());
    let (config, mut weights) = checkpoint::<LlamaConfig>("llama");
    weights.remove("lm_head.weight");
    fails::<LlamaForCausalLanguageModel>(&config, &weights, &["missing", "lm_head.weight"]);

    let (config, mut weights) = checkpoint("t5");
    weights.insert("encoder.embed_tokens.weight", zeros(&[29, 16]));
    weights.insert("decoder.embed_tokens.weight", zeros(&[29, 16]));
    let unused = "decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight";
    weights.insert(unused, zeros(&[8, 3]));
    weights.insert("lm_head.weight", zeros(&[29, 16]));
    assert!(T5ForConditionalGeneration::from_weights(&config, &weights, &device()).is_ok());
}

#[test]
fn half_precision_becomes_f32_and_saved_models_load_again() {
    let (config, weights) = checkpoint::<BertConfig>("bert");
    let half: StateDict =
        weights.iter().map(|(name, tensor)| (name.to_owned(), tensor.cast(DType::BF16))).collect();
    let model = BertForPreTraining::from_weights(&config, &half, &device()).unwrap();
    assert!(model.parameters().iter().all(|(_, parameter)| parameter.dtype() == DType::F32));

    let copy = tempfile::tempdir().unwrap();
    model.save(copy.path().join("model.safetensors")).unwrap();
    let config = format!("{}/config.json", folder("bert"));
    std::fs::copy(config, copy.path().join("config.json")).unwrap();
    let again = BertForPreTraining::from_folder(copy.path(), &device()).unwrap();
    let tokens = Tensor::new([[5, 6, 7]], &device()).unwrap();
    let logits = [&model, &again].map(|model| {
        let output = model.forward(&BertInput::new(&tokens), &mut Context::eval());
        output.logits.to_vec::<f32>().unwrap()
    });
    assert_eq!(logits[0], logits[1]);
}

/// The message of a panic.
fn panics(run: impl FnOnce() + std::panic::UnwindSafe) -> String {
    let payload = std::panic::catch_unwind(run).unwrap_err();
    payload.downcast_ref::<String>().expect("a message").clone()
}

#[test]
fn wrong_inputs_are_named() {
    let device = device();
    let tokens = |length: usize| Tensor::zeros([1, length], DType::I32, &device);
    let model = BertModel::from_folder(folder("roberta"), &device).unwrap();
    let run = |input: BertInput| {
        let model = model.clone();
        panics(std::panic::AssertUnwindSafe(move || {
            model.forward(&input, &mut Context::eval());
        }))
    };
    let message = run(BertInput::new(&tokens(11)));
    assert_eq!(message, "bert: 11 tokens, but the model has 10 positions; shorten the text");
    let message = run(BertInput::new(&tokens(0)));
    assert_eq!(message, "bert: no tokens in shape [1, 0]; give at least one");
    let message = run(BertInput::new(&tokens(3).cast(DType::F32)));
    assert_eq!(message, "bert: tokens are integers [batch, length], got f32 [1, 3]");
    let message = run(BertInput::new(&tokens(3)).mask(&tokens(4)));
    assert_eq!(message, "bert: a mask of shape [1, 4] for tokens of shape [1, 3]");

    let model =
        Gpt2Model::new(&config_in(folder("gpt2")).unwrap(), &mut Init::new(Key::new(0), &device));
    let model = model.unwrap();
    let outside = Tensor::new([[3, 29]], &device).unwrap();
    let hidden = model.forward(&CausalInput::new(&outside), &mut Context::eval());
    let error = hidden.eval().unwrap_err().to_string();
    assert!(error.contains("embedding") && error.contains("29"), "{error}");
}

//! Llama and Qwen2 through GGUF files that are made here of the golden checkpoints: rows in the order
//! of such files, other names, the configuration as metadata.

use gradloom_nn::layers::{Rotary, RotaryScaling};
use gradloom_nn::{Context, Init, ModuleExt, StateDict, quantize, weights};
use gradloom_tensor::{BlockFormat, DType, Device, Key, Tensor};
use gradloom_weights::Checkpoint;
use gradloom_weights::gguf::Writer;
use gradloom_zoo::{
    CausalInput, LlamaConfig, LlamaForCausalLanguageModel, ModelConfig, Pretrained, config_in,
};

const NAMES: [(&str, &str); 12] = [
    ("model.embed_tokens", "token_embd"),
    ("model.norm", "output_norm"),
    ("lm_head", "output"),
    ("model.layers", "blk"),
    ("input_layernorm", "attn_norm"),
    ("self_attn.q_proj", "attn_q"),
    ("self_attn.k_proj", "attn_k"),
    ("self_attn.v_proj", "attn_v"),
    ("self_attn.o_proj", "attn_output"),
    ("post_attention_layernorm", "ffn_norm"),
    ("mlp.gate_proj", "ffn_gate"),
    ("mlp.", "ffn_"),
];

fn theirs(name: &str) -> String {
    let name =
        NAMES.iter().fold(name.to_owned(), |name, (ours, theirs)| name.replace(ours, theirs));
    name.replace("up_proj", "up").replace("down_proj", "down")
}

/// Rows of heads in pairs, as the files have them.
fn in_pairs(tensor: &Tensor, heads: usize) -> Tensor {
    let rows = tensor.size(0);
    let halves = tensor.reshape([heads, 2, rows / heads / 2, tensor.count() / rows]);
    halves.transpose(1, 2).reshape(*tensor.shape())
}

fn writer(config: &LlamaConfig) -> Writer {
    let mut writer = Writer::new();
    let architecture = config.model_type.as_str();
    writer.metadata("general.architecture", architecture);
    let mut size = |name: &str, size: usize| {
        writer.metadata(format!("{architecture}.{name}"), size as u32);
    };
    size("block_count", config.num_hidden_layers);
    size("context_length", config.max_position_embeddings);
    size("embedding_length", config.hidden_size);
    size("feed_forward_length", config.intermediate_size);
    size("attention.head_count", config.num_attention_heads);
    size("attention.head_count_kv", config.key_value_heads());
    size("attention.key_length", config.head_size());
    size("rope.dimension_count", config.head_size());
    writer.metadata(format!("{architecture}.rope.freq_base"), config.theta() as f32);
    let epsilon = config.rms_norm_eps as f32;
    writer.metadata(format!("{architecture}.attention.layer_norm_rms_epsilon"), epsilon);
    writer
}

fn ordered(config: &LlamaConfig, name: &str, tensor: &Tensor) -> Tensor {
    match (config.model_type.as_str(), name) {
        ("llama", name) if name.contains("q_proj") => in_pairs(tensor, config.num_attention_heads),
        ("llama", name) if name.contains("k_proj") => in_pairs(tensor, config.key_value_heads()),
        _ => tensor.clone(),
    }
}

fn load(writer: &Writer, device: &Device) -> gradloom_zoo::Result<LlamaForCausalLanguageModel> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.gguf");
    writer.save(&path).unwrap();
    LlamaForCausalLanguageModel::from_gguf(path, device)
}

#[test]
fn files_in_other_order_give_the_same_logits() {
    let device = gradloom_testkit::reference::device();
    for case in ["llama", "llama3", "qwen2"] {
        let folder = format!("{}/tests/golden/{case}", env!("CARGO_MANIFEST_DIR"));
        let config: LlamaConfig = config_in(&folder).unwrap();
        let mut writer = writer(&config);
        let file = weights::load(format!("{folder}/model.safetensors"), &device).unwrap();
        for (name, tensor) in file.iter() {
            writer.tensor(theirs(name), &ordered(&config, name, tensor));
        }
        if config.scaling() != RotaryScaling::None {
            let table = |scaling| {
                let rotary = Rotary::new(config.head_size(), config.theta(), scaling, &device);
                rotary.unwrap().frequencies(0)
            };
            let (plain, scaled) = (table(RotaryScaling::None), table(config.scaling()));
            let divisors = plain.iter().zip(scaled).map(|(plain, scaled)| (plain / scaled) as f32);
            let divisors: Vec<f32> = divisors.collect();
            let count = divisors.len();
            let divisors = Tensor::from_vec(divisors, count, &device).unwrap();
            writer.tensor("rope_freqs.weight", &divisors);
        }
        let model = load(&writer, &device).unwrap();
        let expected = weights::load(format!("{folder}/expected.safetensors"), &device).unwrap();
        let tokens = expected.get("tokens").unwrap().narrow(0, 0, 1);
        let logits = model.forward(&CausalInput::new(&tokens), &mut Context::eval()).logits;
        let expected = expected.get("logits").unwrap().narrow(0, 0, 1);
        let distance = (logits - expected).abs().max(..).item().unwrap();
        assert!(distance < 1e-4, "{case}: {distance} away from Python's");
    }
}

fn blocks(model: &LlamaForCausalLanguageModel) -> Vec<(String, Vec<u8>)> {
    let parameters = model.parameters().into_iter();
    let blocks = parameters
        .filter_map(|(name, parameter)| Some((name, parameter.tensor().to_blocks().unwrap()?)));
    blocks.collect()
}

#[test]
fn blocks_move_whole() {
    let device = gradloom_testkit::reference::device();
    let config = LlamaConfig::from_json(
        r#"{"vocab_size": 8, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1,
            "num_attention_heads": 4, "num_key_value_heads": 2}"#,
    )
    .unwrap();
    let init = &mut Init::new(Key::new(3), &device);
    let mut model = LlamaForCausalLanguageModel::new(&config, init).unwrap();
    let mut writer = writer(&config);
    for (name, tensor) in model.state_dict().iter() {
        let tensor = ordered(&config, name, tensor);
        if tensor.rank() == 2 {
            let blocks = tensor.quantize(BlockFormat::Q8_0).unwrap();
            writer.tensor(theirs(name), &blocks);
        } else {
            writer.tensor(theirs(name), &tensor);
        }
    }
    let loaded = load(&writer, &device).unwrap();
    assert_eq!(quantize(&mut model, BlockFormat::Q8_0).unwrap(), 9);
    assert_eq!(blocks(&loaded), blocks(&model));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.gguf");
    writer.save(&path).unwrap();
    #[expect(unsafe_code, reason = "the file is mapped")]
    // SAFETY: the file is this test's own.
    let checkpoint = unsafe { Checkpoint::open_mapped(&path) }.unwrap();
    let mapped = LlamaForCausalLanguageModel::from_gguf_checkpoint(&checkpoint, &device).unwrap();
    assert_eq!(blocks(&mapped), blocks(&model));
}

#[test]
fn what_is_wrong_with_a_file_is_named() {
    let device = gradloom_testkit::reference::device();
    let config = LlamaConfig { num_hidden_layers: 1, ..LlamaConfig::default() };
    let fails = |writer: &Writer, part: &str| {
        let error = load(writer, &device).unwrap_err().to_string();
        assert!(error.contains(part), "{error}\ndoes not say {part:?}");
    };
    let table = Tensor::zeros([5, 4096], DType::F32, &device);
    fails(&writer(&config), "token_embd.weight is missing");
    let mut one = writer(&config);
    one.tensor("token_embd.weight", &table).tensor("blk.0.attn_q.other", &table);
    fails(&one, "model.layers.0.mlp.gate_proj.weight");
    fails(&one, "not in the model: model.layers.0.self_attn.q_proj.other");
    let mut other = Writer::new();
    other.metadata("general.architecture", "gptneox");
    fails(&other, "the architecture is \"gptneox\"");
    let mut experts = writer(&config);
    experts.metadata("llama.expert_count", 8u32);
    fails(&experts, "expert_count is not 0");
    let mut part = Writer::new();
    part.metadata("general.architecture", "llama").tensor("token_embd.weight", &table);
    fails(&part, "llama.attention.head_count is missing");
    // Nothing of another kind passes for GGUF.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    weights::save(&path, &StateDict::new()).unwrap();
    let error = LlamaForCausalLanguageModel::from_gguf(&path, &device).unwrap_err();
    assert!(error.to_string().contains("general.architecture is missing"), "{error}");
}

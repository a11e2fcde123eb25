//! Configurations are foreign text: what is wrong is named, and nothing panics.

mod support;

use gradloom_nn::layers::RotaryScaling;
use gradloom_nn::{Init, ModuleExt};
use gradloom_tensor::Key;
use gradloom_zoo::{
    BertConfig, BertForPreTraining, BertModel, FAMILIES, Gpt2Config, Gpt2ForCausalLanguageModel,
    LlamaConfig, LlamaForCausalLanguageModel, ModelConfig, Pretrained, T5Config,
    T5ForConditionalGeneration,
};

use support::assert_wrong;

#[test]
fn wrong_values_are_named() {
    assert_wrong::<BertConfig>(r#"{"hidden_size": 0}"#, "hidden_size is 0");
    assert_wrong::<BertConfig>(r#"{"num_attention_heads": 0}"#, "num_attention_heads is 0");
    assert_wrong::<BertConfig>(
        r#"{"hidden_size": 100, "num_attention_heads": 7}"#,
        "num_attention_heads is 7, which does not divide hidden_size = 100",
    );
    assert_wrong::<BertConfig>(r#"{"vocab_size": 99999999999}"#, "vocab_size is 99999999999");
    assert_wrong::<BertConfig>(r#"{"num_hidden_layers": 100000}"#, "num_hidden_layers is 100000");
    assert_wrong::<BertConfig>(r#"{"hidden_act": "sinus"}"#, r#"hidden_act is "sinus""#);
    assert_wrong::<BertConfig>(r#"{"hidden_dropout_prob": 1.5}"#, "hidden_dropout_prob is 1.5");
    assert_wrong::<BertConfig>(r#"{"layer_norm_eps": 0}"#, "layer_norm_eps is 0");
    assert_wrong::<BertConfig>(r#"{"model_type": "gpt2"}"#, "model_type");
    assert_wrong::<BertConfig>(r#"{"position_embedding_type": "relative_key"}"#, "relative_key");
    assert_wrong::<BertConfig>(r#"{"is_decoder": true}"#, "is_decoder");
    assert_wrong::<BertConfig>(r#"{"tie_word_embeddings": false}"#, "tie_word_embeddings");
    assert_wrong::<BertConfig>(r#"{"id2label": {}}"#, "labels is 0");
    let positions = r#"{"model_type": "roberta", "pad_token_id": 1, "max_position_embeddings": 2}"#;
    assert_wrong::<BertConfig>(positions, "leaves no position");
    let padding = r#"{"model_type": "roberta", "pad_token_id": 18446744073709551615}"#;
    assert_wrong::<BertConfig>(padding, "pad_token_id");

    assert_wrong::<Gpt2Config>(r#"{"n_head": 5}"#, "n_head is 5, which does not divide n_embd");
    assert_wrong::<Gpt2Config>(r#"{"n_inner": 0}"#, "n_inner is 0");
    assert_wrong::<Gpt2Config>(r#"{"n_embd": 18446744073709551615, "n_head": 1}"#, "n_embd");
    assert_wrong::<Gpt2Config>(r#"{"add_cross_attention": true}"#, "add_cross_attention");

    assert_wrong::<LlamaConfig>(r#"{"num_key_value_heads": 3}"#, "num_key_value_heads is 3");
    assert_wrong::<LlamaConfig>(r#"{"num_attention_heads": 0}"#, "num_attention_heads is 0");
    assert_wrong::<LlamaConfig>(r#"{"head_dim": 5}"#, "do not pair");
    assert_wrong::<LlamaConfig>(r#"{"head_dim": 0}"#, "head_dim is 0");
    assert_wrong::<LlamaConfig>(r#"{"rope_theta": 0.5}"#, "rope_theta is 0.5");
    assert_wrong::<LlamaConfig>(r#"{"rope_scaling": {"type": "longrope"}}"#, "longrope");
    assert_wrong::<LlamaConfig>(r#"{"rope_scaling": {"type": "linear"}}"#, "factor is missing");
    let scaling = r#"{"rope_scaling": {"type": "linear", "factor": 0}}"#;
    assert_wrong::<LlamaConfig>(scaling, "factor is 0");
    let scaling = r#"{"rope_scaling": {"rope_type": "llama3", "factor": 8}}"#;
    assert_wrong::<LlamaConfig>(scaling, "low_freq_factor");
    let scaling = r#"{"rope_scaling": {"type": "yarn", "factor": 8,
        "original_max_position_embeddings": 0}}"#;
    assert_wrong::<LlamaConfig>(scaling, "original_max_position_embeddings is 0");
    assert_wrong::<LlamaConfig>(r#"{"layer_types": ["full_attention"]}"#, "layer_types names 1");
    assert_wrong::<LlamaConfig>(r#"{"sliding_window": 0}"#, "sliding_window is 0");

    assert_wrong::<T5Config>(r#"{"d_kv": 0}"#, "d_kv is 0");
    assert_wrong::<T5Config>(r#"{"feed_forward_proj": "gated-sinus"}"#, "feed_forward_proj");
    assert_wrong::<T5Config>(r#"{"relative_attention_num_buckets": 2}"#, "num_buckets is 2");
    assert_wrong::<T5Config>(r#"{"relative_attention_max_distance": 3}"#, "max_distance is 3");
    assert_wrong::<T5Config>(r#"{"decoder_start_token_id": 99999999}"#, "decoder_start_token_id");
}

#[test]
fn broken_text_is_quoted() {
    assert_wrong::<BertConfig>("", "EOF");
    assert_wrong::<BertConfig>(" []", "an array");
    assert_wrong::<BertConfig>(
        "{\n  \"hidden_size\": \"many\"\n}",
        r#"after `"hidden_size": "many"`"#,
    );
    assert_wrong::<LlamaConfig>(r#"{"head_dim": -1}"#, r#"{"head_dim": -1"#);
    assert_wrong::<T5Config>("7", "t5 configuration");
    let deep = format!(r#"{{"unknown": {}"#, "[".repeat(100_000));
    assert_wrong::<T5Config>(&deep, "EOF");
    for family in FAMILIES {
        let wrong: [&[u8]; 5] =
            [b"", b"[]", b"7", &[0xff, 0xfe, 0], br#"{"model_type": "unheard of"}"#];
        for json in wrong {
            let error = (family.check)(json).unwrap_err();
            assert!(error.is_config() && error.to_string().contains(family.name), "{error}");
        }
        assert!((family.check)(b"{}").is_ok(), "{}", family.name);
    }
}

#[test]
fn unknown_keys_are_ignored_and_missing_ones_have_the_originals_values() {
    let config = BertConfig::from_json(r#"{"unknown": [1, {"deep": null}]}"#).unwrap();
    assert_eq!(config, BertConfig::default());
    let config = LlamaConfig::from_json(r#"{"head_dim": null, "rope_scaling": null}"#).unwrap();
    assert_eq!(config, LlamaConfig::default());
    assert_eq!(config.head_size(), 128);
    let both = r#"{"rope_scaling": {"type": "linear", "rope_type": "linear", "factor": 2}}"#;
    let scaling = LlamaConfig::from_json(both).unwrap().scaling();
    assert_eq!(scaling, RotaryScaling::Linear { factor: 2.0 });
}

#[test]
fn windows_are_where_the_families_have_them() {
    let windows = |json: &str| {
        let config = LlamaConfig::from_json(json).unwrap();
        [config.window(0), config.window(31)]
    };
    assert_eq!(windows(r#"{"model_type": "mistral", "sliding_window": 7}"#), [Some(7), Some(7)]);
    assert_eq!(windows(r#"{"model_type": "mistral", "sliding_window": null}"#), [None, None]);
    assert_eq!(windows(r#"{"model_type": "llama", "sliding_window": 7}"#), [None, None]);
    let qwen = r#"{"model_type": "qwen2", "sliding_window": 7, "max_window_layers": 4"#;
    assert_eq!(windows(&format!("{qwen}}}")), [None, None]);
    assert_eq!(windows(&format!(r#"{qwen}, "use_sliding_window": true}}"#)), [None, Some(7)]);
}

/// Numbers of weights that the originals are known to have.
#[test]
fn default_models_have_the_originals_number_of_weights() {
    let device = gradloom_testkit::reference::device();
    let init = &mut Init::new(Key::new(0), &device);
    let bert = BertModel::new(&BertConfig::default(), init).unwrap();
    assert_eq!(bert.parameter_count(), 109_482_240);
    let bert = BertForPreTraining::new(&BertConfig::default(), init).unwrap();
    assert_eq!(bert.parameter_count(), 110_106_428);
    let gpt2 = Gpt2ForCausalLanguageModel::new(&Gpt2Config::default(), init).unwrap();
    assert_eq!(gpt2.parameter_count(), 124_439_808);
    let llama = LlamaForCausalLanguageModel::new(&LlamaConfig::default(), init).unwrap();
    assert_eq!(llama.parameter_count(), 6_738_415_616);
    let t5 = T5ForConditionalGeneration::new(&T5Config::default(), init).unwrap();
    assert_eq!(t5.parameter_count(), 60_506_624);
}

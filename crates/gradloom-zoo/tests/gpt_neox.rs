//! GPT-NeoX against Python's, while it learns, and with wrong configurations.

mod support;

use gradloom_nn::{Init, ModuleExt};
use gradloom_tensor::Key;
use gradloom_zoo::gpt_neox::{GptNeoxConfig, GptNeoxForCausalLanguageModel};
use gradloom_zoo::{CausalInput, ModelConfig, Pretrained};

use support::{assert_wrong, check_causal, check_learning};

#[test]
fn gpt_neox_is_pythons() {
    for case in ["gpt_neox", "gpt_neox-sequential"] {
        check_causal(case, ["gpt_neox", "layers"], GptNeoxForCausalLanguageModel::forward);
    }
}

#[test]
fn gpt_neox_learns() {
    check_learning::<GptNeoxForCausalLanguageModel>(
        r#"{"vocab_size": 8, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
            "intermediate_size": 16, "attention_dropout": 0.1, "hidden_dropout": 0.1}"#,
        |model, text, ctx| model.forward(&CausalInput::new(text), ctx).logits,
    );
}

#[test]
fn wrong_values_are_named() {
    let wrong = assert_wrong::<GptNeoxConfig>;
    wrong(r#"{"num_attention_heads": 5}"#, "num_attention_heads is 5, which does not divide");
    wrong(r#"{"rotary_pct": 0.01}"#, "rotary_pct turns 0 of 96");
    wrong(r#"{"rotary_pct": 1.5}"#, "rotary_pct turns 144 of 96");
    wrong(r#"{"rope_parameters": {"partial_rotary_factor": 0.1}}"#, "do not pair");
    wrong(r#"{"rope_parameters": {"rope_type": "linear"}}"#, "rope_type");
    wrong(r#"{"rope_scaling": {"type": "linear", "factor": 2}}"#, "rope_scaling");
    wrong(r#"{"rotary_emb_base": 1}"#, "rotary_emb_base is 1");
    let config = GptNeoxConfig::from_json(r#"{"rope_scaling": null}"#).unwrap();
    assert_eq!(config, GptNeoxConfig::default());
}

/// The number of weights that Pythia of 70 million is known to have.
#[test]
fn pythia_has_the_originals_number_of_weights() {
    let device = gradloom_testkit::reference::device();
    let config = GptNeoxConfig::from_json(
        r#"{"vocab_size": 50304, "hidden_size": 512, "num_hidden_layers": 6,
            "num_attention_heads": 8, "intermediate_size": 2048}"#,
    );
    let init = &mut Init::new(Key::new(0), &device);
    let model = GptNeoxForCausalLanguageModel::new(&config.unwrap(), init).unwrap();
    assert_eq!(model.parameter_count(), 70_426_624);
}

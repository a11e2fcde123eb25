//! Models against Python's `transformers`: `golden/make.py` made the checkpoints and wrote what is
//! expected of them: logits, hidden states, attention maps, and gradients of a loss.

mod support;

use gradloom_nn::layers::Rotary;
use gradloom_nn::{Context, weights};
use gradloom_tensor::Tensor;
use gradloom_zoo::{
    BertForMaskedLanguageModel, BertForPreTraining, BertForSequenceClassification, BertInput,
    BertModel, Gpt2ForCausalLanguageModel, LlamaConfig, LlamaForCausalLanguageModel, ModelConfig,
    T5ForConditionalGeneration, T5Input,
};

use support::{Golden, assert_close, check_causal, layers};

fn embeddings_and(prefix: &str, path: &str) -> Vec<String> {
    let mut names = vec![format!("{prefix}embeddings")];
    names.extend(layers(&format!("{prefix}{path}"), "output"));
    names
}

fn logits_of_places_are_those_of_all(
    model: &BertForPreTraining,
    masked: &BertForMaskedLanguageModel,
    input: &BertInput,
) {
    let ctx = &mut Context::eval();
    let count = input.tokens.count() as i32;
    let places = Tensor::new([count - 1, 0, 3, 0], input.tokens.device()).unwrap();
    let all = model.forward(input, ctx).logits.flatten(0, 1);
    let expected = all.index_select(0, &places);
    for logits in [
        model.forward_at(input, &places, ctx).logits,
        masked.forward_at(input, &places, ctx).logits,
    ] {
        assert_close("logits of places", &logits, &expected, None);
    }
}

#[test]
fn bert_is_pythons() {
    Golden::each("bert", |golden| {
        let model: BertForPreTraining = golden.load();
        let input = BertInput::new(&golden.get("tokens"))
            .mask(&golden.get("mask"))
            .token_types(&golden.get("token_types"));
        let ctx = &mut Context::eval().with_taps();
        let output = model.forward(&input, ctx);
        golden.assert("logits", &output.logits);
        golden.assert("relation_logits", &output.relation_logits);
        golden.assert_taps("hidden", ctx, &embeddings_and("bert.", "encoder.layer"));
        golden.assert_taps("attention", ctx, &layers("bert.encoder.layer", "attention"));

        let output = model.forward(&input, &mut Context::eval());
        golden.assert("logits", &output.logits);
        let relations = output.relation_logits.cross_entropy(&golden.get("relations"));
        golden.assert_gradients(&model, &(golden.token_loss(&output.logits) + relations));

        // The same file serves models with fewer heads.
        let masked: BertForMaskedLanguageModel = golden.load();
        golden.assert("logits", &masked.forward(&input, &mut Context::eval()).logits);
        logits_of_places_are_those_of_all(&model, &masked, &input);
        let encoder: BertModel = golden.load();
        let output = encoder.forward(&input, &mut Context::eval());
        golden.assert("pooled", &output.pooled.unwrap());
        golden.assert("sentence", &encoder.sentence_embeddings(&input, &mut Context::eval()));
    });
}

#[test]
fn roberta_is_pythons() {
    Golden::each("roberta", |golden| {
        let model: BertForMaskedLanguageModel = golden.load();
        let input = BertInput::new(&golden.get("tokens")).mask(&golden.get("mask"));
        let ctx = &mut Context::eval().with_taps();
        golden.assert("logits", &model.forward(&input, ctx).logits);
        golden.assert_taps("hidden", ctx, &embeddings_and("bert.", "encoder.layer"));
        golden.assert_taps("attention", ctx, &layers("bert.encoder.layer", "attention"));
        let output = model.forward(&input, &mut Context::eval());
        golden.assert_gradients(&model, &golden.token_loss(&output.logits));
        assert!(golden.load::<BertModel>().pooler.is_none());
    });
}

#[test]
fn classifiers_are_pythons() {
    for case in ["bert-classifier", "roberta-classifier"] {
        Golden::each(case, |golden| {
            let model: BertForSequenceClassification = golden.load();
            let input = BertInput::new(&golden.get("tokens")).mask(&golden.get("mask"));
            let logits = model.forward(&input, &mut Context::eval());
            golden.assert("logits", &logits);
            golden.assert_gradients(&model, &logits.cross_entropy(&golden.get("labels")));
        });
    }
}

#[test]
fn gpt2_is_pythons() {
    check_causal("gpt2", ["transformer", "h"], Gpt2ForCausalLanguageModel::forward);
}

#[test]
fn llama_and_its_kin_are_pythons() {
    for case in ["llama", "llama3", "qwen2", "mistral"] {
        check_causal(case, ["model", "layers"], LlamaForCausalLanguageModel::forward);
    }
}

#[test]
fn t5_is_pythons() {
    for case in ["t5", "t5-gated"] {
        Golden::each(case, |golden| {
            let model: T5ForConditionalGeneration = golden.load();
            assert_eq!(model.lm_head.is_some(), case == "t5-gated");
            let input = T5Input::new(&golden.get("tokens"), &golden.get("decoder_tokens"))
                .mask(&golden.get("mask"));
            let ctx = &mut Context::eval().with_taps();
            golden.assert("logits", &model.forward(&input, ctx).logits);
            for (stack, prefix) in [("encoder", "encoder_"), ("decoder", "")] {
                let hidden = ["embeddings", "block.0.output", "output"];
                let hidden = hidden.map(|name| format!("{stack}.{name}"));
                golden.assert_taps(&format!("{prefix}hidden"), ctx, &hidden);
                let maps = layers(&format!("{stack}.block"), "attention");
                golden.assert_taps(&format!("{prefix}attention"), ctx, &maps);
            }
            let maps = layers("decoder.block", "cross_attention");
            golden.assert_taps("cross_attention", ctx, &maps);

            let output = model.forward(&input, &mut Context::eval());
            golden.assert("logits", &output.logits);
            golden.assert_gradients(&model, &golden.token_loss(&output.logits));
        });
    }
}

/// The configurations that `make.py` names, and the lengths of texts that frequencies are asked for.
const ROPE_CASES: [(&str, &str, usize); 7] = [
    ("linear", r#"{"type": "linear", "factor": 4}"#, 9),
    ("dynamic_short", r#"{"rope_type": "dynamic", "factor": 4.0}"#, 200),
    ("dynamic_long", r#"{"rope_type": "dynamic", "factor": 4.0}"#, 700),
    (
        "llama3",
        r#"{"rope_type": "llama3", "factor": 4.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
            "original_max_position_embeddings": 64}"#,
        9,
    ),
    ("yarn", r#"{"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64}"#, 9),
    (
        "yarn_mscale",
        r#"{"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64,
            "mscale": 0.8, "mscale_all_dim": 0.3, "truncate": false}"#,
        9,
    ),
    (
        "yarn_beta",
        r#"{"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64,
            "beta_fast": 4.0, "beta_slow": 2.0, "attention_factor": 0.7}"#,
        9,
    ),
];

#[test]
fn rotary_scalings_are_pythons() {
    let device = gradloom_testkit::reference::device();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/rope.safetensors");
    let expected = weights::load(path, &device).unwrap();
    for (case, scaling, length) in ROPE_CASES {
        let config = LlamaConfig::from_json(format!(
            r#"{{"hidden_size": 64, "num_attention_heads": 4, "max_position_embeddings": 256,
                "rope_theta": 10000.0, "rope_scaling": {scaling}}}"#
        ))
        .unwrap();
        let rotary = Rotary::new(16, config.theta(), config.scaling(), &device).unwrap();
        let values = |name: &str| {
            let tensor = expected.get(&format!("{case}.{name}")).unwrap();
            tensor.to_vec::<f32>().unwrap()
        };
        assert!((rotary.attention_factor() - f64::from(values("factor")[0])).abs() < 1e-6);
        for (actual, expected) in rotary.frequencies(length).into_iter().zip(values("frequencies"))
        {
            let expected = f64::from(expected);
            assert!((actual - expected).abs() < 1e-5 * expected, "{case}: {actual}, {expected}");
        }
    }
}

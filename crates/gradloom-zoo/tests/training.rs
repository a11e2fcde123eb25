//! Models while they learn: dropout drops, another key drops others, and a few steps lower the loss.

mod support;

use gradloom_zoo::{
    BertForMaskedLanguageModel, BertInput, CausalInput, Gpt2ForCausalLanguageModel,
    LlamaForCausalLanguageModel, T5ForConditionalGeneration, T5Input,
};

use support::check_learning;

#[test]
fn bert_learns() {
    check_learning::<BertForMaskedLanguageModel>(
        r#"{"vocab_size": 8, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2,
            "intermediate_size": 16, "max_position_embeddings": 8}"#,
        |model, text, ctx| model.forward(&BertInput::new(text), ctx).logits,
    );
}

#[test]
fn gpt2_learns() {
    check_learning::<Gpt2ForCausalLanguageModel>(
        r#"{"vocab_size": 8, "n_embd": 8, "n_layer": 1, "n_head": 2, "n_positions": 8}"#,
        |model, text, ctx| model.forward(&CausalInput::new(text), ctx).logits,
    );
}

#[test]
fn llama_learns() {
    check_learning::<LlamaForCausalLanguageModel>(
        r#"{"vocab_size": 8, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 4,
            "num_key_value_heads": 2, "intermediate_size": 16, "attention_dropout": 0.3}"#,
        |model, text, ctx| model.forward(&CausalInput::new(text), ctx).logits,
    );
}

#[test]
fn t5_learns() {
    check_learning::<T5ForConditionalGeneration>(
        r#"{"vocab_size": 8, "d_model": 8, "d_kv": 4, "d_ff": 16, "num_layers": 1, "num_heads": 2,
            "feed_forward_proj": "gated-gelu", "tie_word_embeddings": false}"#,
        |model, text, ctx| {
            let begun = model.decoder_tokens(text);
            assert_eq!(begun.to_vec::<i32>().unwrap(), [0, 3, 1, 4, 1]);
            model.forward(&T5Input::new(text, &begun), ctx).logits
        },
    );
}

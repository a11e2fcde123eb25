//! Models while they learn: dropout drops, another key drops others, and a few steps lower the loss.

use gradloom_nn::{Adam, Context, Init, ModuleExt, Optimizer, gradients};
use gradloom_tensor::{Device, Key, Tensor, Tensors, commit};
use gradloom_zoo::{
    BertForMaskedLanguageModel, BertInput, CausalInput, Gpt2ForCausalLanguageModel,
    LlamaForCausalLanguageModel, ModelConfig, Pretrained, T5ForConditionalGeneration, T5Input,
};

/// Five tokens that are to be learnt by heart.
const TEXT: [[i32; 5]; 1] = [[3, 1, 4, 1, 5]];

fn check<M: Pretrained + Tensors + Clone>(
    json: &str,
    logits: fn(&M, &Tensor, &mut Context) -> Tensor,
) {
    let device: Device = gradloom_cpu::device();
    let config = M::Config::from_json(json).unwrap();
    let mut model = M::new(&config, &mut Init::new(Key::new(0), &device)).unwrap();
    let text = Tensor::new(TEXT, &device).unwrap();
    let loss = |model: &M, ctx: &mut Context| logits(model, &text, ctx).cross_entropy(&text);
    let value = |seed| loss(&model, &mut Context::train(Key::new(seed))).item().unwrap();
    assert_eq!(value(1), value(1));
    assert_ne!(value(1), value(2));

    let before = loss(&model, &mut Context::eval()).item().unwrap();
    let mut optimizer = Adam::new(0.02);
    let mut ctx = Context::train(Key::new(3));
    for _ in 0..20 {
        let mut loss = loss(&model, &mut ctx);
        let gradients = gradients(&loss, &model);
        assert_eq!(gradients.len(), model.trainable().len());
        optimizer.step(&gradients, &mut model);
        commit((&mut model, &mut optimizer, &mut loss)).unwrap();
    }
    let after = loss(&model, &mut Context::eval()).item().unwrap();
    assert!(after < 0.7 * before, "{before} became {after}");
}

#[test]
fn bert_learns() {
    check::<BertForMaskedLanguageModel>(
        r#"{"vocab_size": 8, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2,
            "intermediate_size": 16, "max_position_embeddings": 8}"#,
        |model, text, ctx| model.forward(&BertInput::new(text), ctx).logits,
    );
}

#[test]
fn gpt2_learns() {
    check::<Gpt2ForCausalLanguageModel>(
        r#"{"vocab_size": 8, "n_embd": 8, "n_layer": 1, "n_head": 2, "n_positions": 8}"#,
        |model, text, ctx| model.forward(&CausalInput::new(text), ctx).logits,
    );
}

#[test]
fn llama_learns() {
    check::<LlamaForCausalLanguageModel>(
        r#"{"vocab_size": 8, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 4,
            "num_key_value_heads": 2, "intermediate_size": 16, "attention_dropout": 0.3}"#,
        |model, text, ctx| model.forward(&CausalInput::new(text), ctx).logits,
    );
}

#[test]
fn t5_learns() {
    check::<T5ForConditionalGeneration>(
        r#"{"vocab_size": 8, "d_model": 8, "d_kv": 4, "d_ff": 16, "num_layers": 1, "num_heads": 2,
            "feed_forward_proj": "gated-gelu", "tie_word_embeddings": false}"#,
        |model, text, ctx| {
            let begun = model.decoder_tokens(text);
            assert_eq!(begun.to_vec::<i32>().unwrap(), [0, 3, 1, 4, 1]);
            model.forward(&T5Input::new(text, &begun), ctx).logits
        },
    );
}

//! The published SmolLM2 quantized to four bits against Python: `cargo xtask assets smollm2` gets it.
//! Without it, the test says so and passes.

use std::path::Path;

use gradloom_nn::{Context, ModuleExt, weights};
use gradloom_tensor::{Tensor, commit};
use gradloom_weights::Checkpoint;
use gradloom_zoo::{CausalInput, CausalLanguageModel, LlamaForCausalLanguageModel};

/// The tokens that the model itself finds likeliest after these, as many as of `answer`.
fn write_on(model: &LlamaForCausalLanguageModel, tokens: &Tensor, answer: &[i32]) -> Vec<i32> {
    let mut cache = model.cache(1, tokens.size(1) + answer.len()).unwrap();
    let mut next = tokens.clone();
    let mut written = Vec::new();
    for _ in answer {
        let hidden = model.hidden(&next, &mut cache, &mut Context::eval()).unwrap();
        cache.end();
        let mut token = model.logits(&hidden.index(1, -1)).argmax(-1).unsqueeze(1);
        commit((&mut cache, &mut token)).unwrap();
        written.extend(token.to_vec::<i32>().unwrap());
        next = token;
    }
    written
}

#[test]
fn smollm2_is_pythons() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let file = here.join("../../assets/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf");
    if !file.is_file() {
        println!("skipped: {} is missing; `cargo xtask assets smollm2` gets it", file.display());
        return;
    }
    let device = gradloom_cpu::device();
    let expected = weights::load(here.join("tests/golden/smollm2.safetensors"), &device).unwrap();
    let get = |name: &str| expected.get(name).unwrap();
    let answer = get("answer").to_vec::<i32>().unwrap();
    let mut model = LlamaForCausalLanguageModel::from_gguf(&file, &device).unwrap();
    assert_eq!(model.parameter_count(), 134_515_008);

    let distance = |model: &LlamaForCausalLanguageModel, name: &str| {
        let input = CausalInput::new(get("tokens"));
        let output = model.forward(&input, &mut Context::eval());
        let last = output.logits.index(0, 0).index(0, -1).narrow(0, 0, 2048);
        (last - get(name)).abs().max(..).item().unwrap()
    };
    // Products with blocks round their other side to 16 bits.
    let blocks = distance(&model, "logits");
    assert!(blocks < 0.02, "{blocks} away from Python's with blocks");
    assert_eq!(write_on(&model, get("tokens"), &answer), answer);

    // Left in its file, it says the same to the last bit.
    let logits = |model: &LlamaForCausalLanguageModel| {
        let output = model.forward(&CausalInput::new(get("tokens")), &mut Context::eval());
        output.logits.to_vec::<f32>().unwrap()
    };
    #[expect(unsafe_code, reason = "the file is mapped")]
    // SAFETY: nobody writes to the assets while tests run.
    let checkpoint = unsafe { Checkpoint::open_mapped(&file) }.unwrap();
    let before = device.statistics().bytes_outside;
    let mapped = LlamaForCausalLanguageModel::from_gguf_checkpoint(&checkpoint, &device).unwrap();
    assert!(device.statistics().bytes_outside - before > 90 << 20);
    assert!(logits(&mapped) == logits(&model), "a mapped model is another");
    drop((mapped, checkpoint));

    // With the numbers that the quantized blocks stand for, nothing is rounded.
    model.for_each_parameter(|_, parameter| {
        let plain = parameter.tensor() * 1.0;
        plain.eval().unwrap();
        parameter.replace(&plain);
    });
    let plain = distance(&model, "logits");
    assert!(plain < 1e-3, "{plain} away from Python's");
    assert_eq!(write_on(&model, get("tokens"), &answer), answer);
}

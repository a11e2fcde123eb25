//! The published MiniLM against Python: `cargo xtask assets minilm` gets it. Without it, the test says
//! so and passes.

use std::path::Path;

use gradloom_nn::{Context, Layer, weights};
use gradloom_tensor::Tensor;
use gradloom_zoo::{BertInput, BertModel, Pretrained, SentenceEncoder};

#[test]
fn minilm_is_pythons() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = here.join("../../assets/minilm");
    if !folder.join("model.safetensors").is_file() {
        println!("skipped: {} is missing; `cargo xtask assets minilm` gets it", folder.display());
        return;
    }
    let device = gradloom_cpu::device();
    let expected = weights::load(here.join("tests/golden/minilm.safetensors"), &device).unwrap();
    let get = |name: &str| expected.get(name).unwrap();
    let close = |what: &str, actual: &Tensor| {
        let error = (actual - get(what)).abs().max(..).item().unwrap();
        assert!(error < 1e-4, "{what}: {error} away from Python's");
    };
    let model = BertModel::from_folder(&folder, &device).unwrap();
    let input = BertInput::new(get("tokens")).mask(get("mask"));
    close("hidden", &model.forward(&input, &mut Context::eval()).last_hidden_state);
    close("sentences", &model.sentence_embeddings(&input, &mut Context::eval()));
    // As a layer that finds the padding itself.
    let layer = SentenceEncoder::from_folder(folder, &device).unwrap().normalized(true);
    close("sentences", &layer.forward(get("tokens"), &mut Context::eval()));
}

//! Importance matrices of llama.cpp's llama-imatrix: see `golden/importance/make.sh`.

use crate::models::{distance, run};
use gradloom_compress::language::{Calibration, ImportanceMatrix};
use gradloom_tensor::Tensor;
use gradloom_weights::{Checkpoint, Value};
use gradloom_zoo::LlamaForCausalLanguageModel;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/language/golden/importance");
/// Tokens of a chunk.
const LENGTH: usize = 32;

/// The text in whole chunks `[C, LENGTH]`: tokens are characters in the signs of GPT-2's vocabulary.
fn chunks(model: &Checkpoint, text: &str) -> Vec<i32> {
    let tokens = model.metadata()["tokenizer.ggml.tokens"].as_strings().unwrap();
    let id = |character: char| {
        let sign = match character {
            ' ' => "\u{120}".to_owned(),
            '\n' => "\u{10a}".to_owned(),
            other => other.to_string(),
        };
        tokens.iter().position(|token| *token == sign).unwrap() as i32
    };
    let mut ids: Vec<i32> = text.chars().map(id).collect();
    ids.truncate(ids.len() / LENGTH * LENGTH);
    ids
}

#[test]
fn files_of_llama_imatrix_are_read_and_say_what_calibration_finds() {
    let device = gradloom_cpu::device();
    let checkpoint = Checkpoint::open(format!("{FOLDER}/model.gguf")).unwrap();
    let model = LlamaForCausalLanguageModel::from_gguf_checkpoint(&checkpoint, &device).unwrap();
    let text = std::fs::read_to_string(format!("{FOLDER}/text.txt")).unwrap();
    let ids = chunks(&checkpoint, &text);
    let count = ids.len() / LENGTH;
    let tokens = Tensor::from_slice(&ids, [count, LENGTH], &device).unwrap();
    let statistics = Calibration::new().measure(&model, [tokens], run).unwrap();
    let ours = ImportanceMatrix::of(&statistics, LlamaForCausalLanguageModel::gguf_name);

    let of_gguf = ImportanceMatrix::open(format!("{FOLDER}/imatrix.gguf"), &device).unwrap();
    assert_eq!((of_gguf.chunks, of_gguf.chunk_size), (count as u32, LENGTH as u32));
    let of_dat = ImportanceMatrix::open(format!("{FOLDER}/imatrix.dat"), &device).unwrap();
    assert_eq!((of_dat.chunks, of_dat.chunk_size), (count as u32, 0));
    for theirs in [&of_gguf, &of_dat] {
        assert_eq!(theirs.datasets, ["text.txt"]);
        // They leave the head out.
        let names: Vec<&str> = theirs.iter().map(|(name, _)| name).collect();
        assert_eq!(names.len(), 7);
        for name in names {
            let (found, wanted) = (ours.get(name).unwrap(), theirs.get(name).unwrap());
            let zeros = vec![0.0; wanted.mean_squares.len()];
            let size = distance(&wanted.mean_squares, &zeros);
            let off = distance(&found.mean_squares, &wanted.mean_squares);
            assert!(off < 1e-4 * size, "{name}: {off} of {size}");
        }
    }
    let name = "blk.0.ffn_down.weight";
    let counts = [&of_gguf, &of_dat, &ours].map(|matrix| matrix.get(name).unwrap().count);
    assert_eq!(counts, [(count * LENGTH) as f32, count as f32, (count * LENGTH) as f32]);
}

#[test]
fn files_are_written_as_llama_imatrix_writes_them() {
    let device = gradloom_cpu::device();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("imatrix");
    let theirs = Checkpoint::open(format!("{FOLDER}/imatrix.gguf")).unwrap();
    let matrix = ImportanceMatrix::open(format!("{FOLDER}/imatrix.gguf"), &device).unwrap();
    matrix.save(&path).unwrap();
    let ours = Checkpoint::open(&path).unwrap();
    let entries = |file: &Checkpoint| {
        let entries = file.entries();
        entries.map(|(name, entry)| (name.to_owned(), entry.shape.clone())).collect::<Vec<_>>()
    };
    assert_eq!(entries(&ours), entries(&theirs));
    let said = |file: &Checkpoint| -> Vec<(String, Value)> {
        let metadata = file.metadata().iter().filter(|(key, _)| key.starts_with("imatrix."));
        metadata.map(|(key, value)| (key.clone(), value.clone())).collect()
    };
    assert_eq!(said(&ours), said(&theirs));
    // In the old form even the bytes are the same, but for the last bits of sums.
    let theirs = std::fs::read(format!("{FOLDER}/imatrix.dat")).unwrap();
    let matrix = ImportanceMatrix::open(format!("{FOLDER}/imatrix.dat"), &device).unwrap();
    matrix.save_legacy(&path).unwrap();
    let ours = std::fs::read(&path).unwrap();
    assert_eq!(ours.len(), theirs.len());
    let off = |(ours, theirs): (&u8, &u8)| ours.abs_diff(*theirs) > 1;
    assert_eq!(ours.iter().zip(&theirs).filter(|pair| off(*pair)).count(), 0);
}

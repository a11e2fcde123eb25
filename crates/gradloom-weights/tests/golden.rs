//! Files that PyTorch, safetensors and gguf wrote, against the values that they were to hold.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use gradloom_tensor::{DType, Element, Tensor};
use gradloom_testkit::storage::device;
use gradloom_weights::{Array, Checkpoint, Format, Stored, Value};

fn golden(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(file)
}

fn open(file: &str) -> Checkpoint {
    Checkpoint::open(golden(file)).unwrap()
}

/// Values of a tensor, decoded if it is quantised.
fn bytes(tensor: &Tensor) -> Vec<u8> {
    // What this device holds are the blocks; a view of them is not computed here.
    let matrix = if tensor.value().is_none() && !tensor.is_quantized() {
        &tensor.inputs()[0]
    } else {
        tensor
    };
    match (matrix.to_blocks().unwrap(), matrix.block_format()) {
        (Some(blocks), Some(format)) => {
            let mut values = vec![0.0; matrix.count()];
            format.decode(&blocks, &mut values);
            f32::to_bytes(&values).into_owned()
        }
        _ => matrix.to_bytes().unwrap(),
    }
}

/// Every tensor of `expected` is in the file, with the same shape, dtype and bits; signed bytes stand there
/// as i32.
#[track_caller]
fn assert_holds(file: &Checkpoint, expected: &str, rename: impl Fn(&str) -> String) {
    let device = device();
    let expected = open(expected).tensors(&device).unwrap();
    for (name, expected) in &expected {
        let name = rename(name);
        let found = file.tensor(&name, &device).unwrap();
        assert_eq!(found.shape(), expected.shape(), "{name}");
        assert_eq!(found.shape()[..], file.entry(&name).unwrap().shape, "{name}");
        if found.dtype() == DType::I8 {
            let found = found.to_vec::<i8>().unwrap().into_iter().map(i32::from);
            assert_eq!(found.collect::<Vec<i32>>(), expected.to_vec::<i32>().unwrap(), "{name}");
            continue;
        }
        assert_eq!(found.dtype(), expected.dtype(), "{name}");
        assert_eq!(bytes(&found), bytes(expected), "{name}");
    }
}

#[test]
fn state_dicts_hold_what_was_saved() {
    for file in ["state.pt", "protocol_5.pt", "legacy.pt", "deflated.pt"] {
        let checkpoint = open(file);
        assert_eq!(checkpoint.format(), Format::Torch);
        assert_eq!(checkpoint.names().len(), 20, "{file}");
        assert_holds(&checkpoint, "expected.safetensors", str::to_owned);
    }
}

#[test]
fn entries_say_how_elements_are_stored() {
    let checkpoint = open("state.pt");
    let stored = |name| checkpoint.entry(name).unwrap().stored.clone();
    assert_eq!(stored("long"), Stored::I64);
    assert_eq!(stored("word"), Stored::U16);
    assert_eq!(stored("brain"), Stored::BF16);
    assert_eq!(checkpoint.entry("no such name"), None);
    let error = checkpoint.tensor("no such name", &device()).unwrap_err();
    assert!(error.is_missing() && error.to_string().contains("no such name"), "{error}");
}

#[test]
fn state_dicts_are_found_in_checkpoints() {
    let checkpoint = open("nested.pt");
    assert_holds(&checkpoint, "expected_model.safetensors", str::to_owned);
    assert_eq!(checkpoint.names().len(), 7);
    let expected = [
        ("epoch", Value::I64(3)),
        ("loss", Value::F64(0.5)),
        ("note", Value::String("trained".to_owned())),
    ];
    let expected: BTreeMap<String, Value> =
        expected.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    assert_eq!(*checkpoint.metadata(), expected);
}

#[test]
fn dicts_in_dicts_have_names_with_dots() {
    let checkpoint = open("dicts.pt");
    assert_holds(&checkpoint, "expected_model.safetensors", |name| format!("encoder.{name}"));
    assert_eq!(checkpoint.entry("heads.0").unwrap().shape, [3, 4]);
}

#[test]
fn modules_saved_whole_have_the_names_of_their_state_dict() {
    for file in ["module.pt", "script.pt"] {
        let checkpoint = open(file);
        assert_holds(&checkpoint, "expected_model.safetensors", str::to_owned);
        assert_eq!(checkpoint.names().len(), 7, "{file}");
    }
}

#[test]
fn sets_of_files_are_read_by_index_and_by_folder() {
    for path in ["sharded", "sharded/model.safetensors.index.json"] {
        let checkpoint = open(path);
        assert_holds(&checkpoint, "expected_model.safetensors", str::to_owned);
        assert_eq!(checkpoint.names().len(), 7);
        assert_eq!(checkpoint.metadata()["total_size"].as_u64(), Some(96));
    }
    let shard = open("sharded/model-00001-of-00002.safetensors");
    assert_eq!(shard.metadata()["format"].as_str(), Some("pt"));
}

#[test]
fn gguf_holds_what_was_saved() {
    let (device, checkpoint) = (device(), open("tiny.gguf"));
    assert_eq!(checkpoint.format(), Format::Gguf);
    assert_holds(&checkpoint, "expected_gguf.safetensors", str::to_owned);
    let quantized = checkpoint.tensor("Q4_K", &device).unwrap();
    assert_eq!((quantized.is_quantized(), quantized.dtype()), (true, DType::F32));
    assert_eq!(checkpoint.entry("unknown").unwrap().stored, Stored::Other("IQ4_NL".to_owned()));
    let error = checkpoint.tensor("unknown", &device).unwrap_err();
    assert!(error.is_unsupported() && error.to_string().contains("IQ4_NL"), "{error}");
}

#[test]
fn gguf_metadata_keep_their_types() {
    let checkpoint = open("tiny.gguf");
    let metadata = checkpoint.metadata();
    let expected = [
        ("general.architecture", Value::String("llama".to_owned())),
        ("types.u8", Value::U8(200)),
        ("types.i8", Value::I8(-100)),
        ("types.u16", Value::U16(60000)),
        ("types.i16", Value::I16(-30000)),
        ("types.u32", Value::U32(4_000_000_000)),
        ("types.i32", Value::I32(-2_000_000_000)),
        ("types.u64", Value::U64(1 << 63)),
        ("types.i64", Value::I64(-(1 << 62))),
        ("types.f32", Value::F32(0.5)),
        ("types.f64", Value::F64(0.1)),
        ("types.bool", Value::Bool(true)),
        ("types.string", Value::String("Grüße".to_owned())),
    ];
    for (key, value) in expected {
        assert_eq!(metadata[key], value, "{key}");
    }
    assert_eq!(metadata["types.strings"].as_strings().unwrap(), ["a", "", "ccc"]);
    assert_eq!(metadata["types.i32s"].as_array().unwrap().to_i64s().unwrap(), [1, -2, 3]);
    assert_eq!(metadata["types.f32s"].as_array().unwrap().to_f64s().unwrap(), [0.5, 1.5]);
    let Value::Array(Array::Array(nested)) = &metadata["types.nested"] else { panic!() };
    assert_eq!(nested[0].to_i64s().unwrap(), [1, 2]);
    assert_eq!(nested[1].to_i64s().unwrap(), [3]);
}

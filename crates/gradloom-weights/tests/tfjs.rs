//! Manifests of TensorFlow.js against what TensorFlow.js reads from them, and such as are made to do harm.

use std::path::{Path, PathBuf};

use gradloom_tensor::DType;
use gradloom_testkit::storage::device;
use gradloom_weights::{Checkpoint, Error, Format, ReadOptions, Result};
use serde_json::{Value, json};

fn golden(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/tfjs").join(file)
}

#[track_caller]
fn assert_reads(checkpoint: &Checkpoint) {
    let expected = std::fs::read(golden("expected.json")).unwrap();
    let expected: Value = serde_json::from_slice(&expected).unwrap();
    let expected = expected.as_object().unwrap();
    assert_eq!(checkpoint.names().len(), expected.len());
    for (name, expected) in expected {
        let tensor = checkpoint.tensor(name, &device()).unwrap();
        let shape: Vec<usize> = serde_json::from_value(expected["shape"].clone()).unwrap();
        assert_eq!(tensor.shape()[..], shape, "{name}");
        let dtype = match expected["dtype"].as_str().unwrap() {
            "float32" => DType::F32,
            "int32" => DType::I32,
            _ => DType::Bool,
        };
        assert_eq!(tensor.dtype(), dtype, "{name}");
        let bytes: Vec<f64> = match dtype {
            DType::F32 => tensor.to_vec::<f32>().unwrap().into_iter().map(f64::from).collect(),
            DType::I32 => tensor.to_vec::<i32>().unwrap().into_iter().map(f64::from).collect(),
            _ => tensor.to_bytes().unwrap().into_iter().map(f64::from).collect(),
        };
        let values: Vec<f64> = serde_json::from_value(expected["values"].clone()).unwrap();
        assert_eq!(bytes, values, "{name}");
    }
}

#[test]
fn manifests_are_read_as_tensorflow_js_reads_them() {
    let checkpoint = Checkpoint::open(golden("weights_manifest.json")).unwrap();
    assert_eq!(checkpoint.format(), Format::TensorFlowJs);
    assert_reads(&checkpoint);
    // The folder has both; the model is found first, and its graph is not read.
    for path in [golden("model.json"), golden("")] {
        let checkpoint = Checkpoint::open(path).unwrap();
        assert_reads(&checkpoint);
        assert_eq!(checkpoint.metadata()["format"].as_str(), Some("layers-model"));
    }
    #[expect(unsafe_code, reason = "what is tested is unsafe")]
    // SAFETY: nothing writes to the files of the repository while tests run.
    let mapped = unsafe { Checkpoint::open_mapped(golden("model.json")) }.unwrap();
    assert_reads(&mapped);
}

#[test]
fn quantised_rows_and_parts_are_read() {
    let checkpoint = Checkpoint::open(golden("model.json")).unwrap();
    assert_eq!(checkpoint.entry("layer/kernel").unwrap().stored.name(), "scaled u8");
    assert_eq!(checkpoint.entry("layer/kernel").unwrap().bytes(), Some(12));
    let whole = checkpoint.tensor("layer/fine", &device()).unwrap().to_vec::<f32>().unwrap();
    let options = ReadOptions::new().rows(&[4, 0]);
    let rows = checkpoint.tensor_with("layer/fine", &options, &device()).unwrap();
    assert_eq!(rows.to_vec::<f32>().unwrap(), [whole[4], whole[0]]);
}

/// Reads all tensors of a manifest whose files hold so many zeros each.
fn read(manifest: &Value, zeros: usize) -> Result<()> {
    let bytes = manifest.to_string().into_bytes();
    let checkpoint = Checkpoint::from_bytes_with("file", bytes, |_| Ok(vec![0; zeros]))?;
    checkpoint.tensors(&device()).map(drop)
}

#[track_caller]
fn refused(manifest: &Value, zeros: usize, part: &str) -> Error {
    let error = read(manifest, zeros).expect_err(part);
    assert!(error.to_string().contains(part), "{error} does not say {part:?}");
    error
}

fn one(weights: &Value) -> Value {
    json!([{"paths": ["a"], "weights": weights}])
}

fn shaped(shape: &Value) -> Value {
    one(&json!([{"name": "t", "shape": shape, "dtype": "float32"}]))
}

#[test]
fn shapes_are_held_against_the_files() {
    read(&shaped(&json!([2, 3])), 24).unwrap();
    assert!(refused(&shaped(&json!([2, 3])), 23, "cut short").is_malformed());
    assert!(refused(&shaped(&json!([2, 3])), 25, "do not belong together").is_malformed());
    refused(&shaped(&json!([1u64 << 40, 1u64 << 40])), 8, "absurd");
    refused(&shaped(&json!([0, u64::MAX])), 0, "absurd");
    refused(&shaped(&json!([1u64 << 40])), 8, "cut short");
    for shape in [json!([-1]), json!([1.5]), json!(["2"]), json!([1e300])] {
        refused(&shaped(&shape), 4, "no sizes");
    }
    refused(&shaped(&json!(vec![1; 65])), 4, "65 axes");
    refused(&shaped(&json!(vec![1; 9])), 4, "at most");
    refused(&shaped(&json!(4)), 4, "no shape");
}

#[test]
fn quantisations_must_make_sense() {
    let quantised = |dtype: &str, how: Value| {
        one(&json!([{"name": "t", "shape": [2], "dtype": dtype, "quantization": how}]))
    };
    read(&quantised("float32", json!({"dtype": "uint8", "scale": 1, "min": 0})), 2).unwrap();
    refused(&quantised("float32", json!({"dtype": "uint8", "scale": 1})), 2, "no numbers");
    let texts = json!({"dtype": "uint16", "scale": "1", "min": 0});
    refused(&quantised("float32", texts), 4, "no numbers");
    refused(&quantised("float32", json!({"dtype": "uint4"})), 2, "is not known");
    refused(&quantised("float32", json!("uint8")), 2, "is not known");
    refused(&quantised("int32", json!({"dtype": "float16"})), 4, "is not known");
    let scale = json!({"dtype": "uint8", "scale": 1e300, "min": 1e300});
    read(&quantised("int32", scale.clone()), 2).unwrap();
    refused(&quantised("bool", scale), 2, "cannot be quantised");
}

#[test]
fn other_elements_are_passed_over_or_refused() {
    let text = json!({"name": "text", "shape": [2], "dtype": "string"});
    let last = json!({"name": "t", "shape": [1], "dtype": "float32"});
    let manifest = one(&json!([text, last]));
    let mut bytes = [&[3, 0, 0, 0][..], b"abc", &[0; 4], &[0, 0, 128, 63]].concat();
    let read = |bytes: Vec<u8>| {
        let manifest = manifest.to_string().into_bytes();
        Checkpoint::from_bytes_with("file", manifest, |_| Ok(bytes.clone()))
    };
    let checkpoint = read(bytes.clone()).unwrap();
    assert_eq!(checkpoint.tensor("t", &device()).unwrap().to_vec::<f32>().unwrap(), [1.0]);
    assert!(checkpoint.tensor("text", &device()).unwrap_err().is_unsupported());
    bytes[0] = 255;
    assert!(read(bytes).unwrap_err().to_string().contains("text: 255 bytes should follow"));
    let huge = json!([{"name": "t", "shape": [1u64 << 50], "dtype": "string"}]);
    refused(&one(&huge), 1 << 16, "should follow");
    let unknown = json!([{"name": "t", "shape": [1], "dtype": "float8"}]);
    assert!(refused(&one(&unknown), 4, "t: elements of type float8").is_unsupported());
}

#[test]
fn manifests_say_what_is_wrong_with_them() {
    let weight = json!({"name": "t", "shape": [1], "dtype": "float32"});
    refused(&one(&json!([weight, weight])), 8, "two tensors are named t");
    let group = |path: &str| json!({"paths": [path], "weights": [weight]});
    refused(&json!([group("a"), group("b")]), 4, "two tensors are named t");
    refused(&json!([group("a"), group("a")]), 4, "twice");
    refused(&json!([{"paths": ["a", "a"], "weights": []}]), 4, "twice");
    refused(&json!([{"weights": []}]), 4, "no paths");
    refused(&json!([{"paths": ["a"]}]), 4, "no paths");
    refused(&json!({"weightsManifest": []}), 4, "no groups");
    refused(&one(&json!([{"shape": [1]}])), 4, "no name");
    refused(&one(&json!([{"name": "t", "shape": [1]}])), 4, "t: there is no dtype");
    refused(&one(&json!(["t"])), 4, "no name");
    let error = Checkpoint::from_bytes("file", one(&json!([weight])).to_string().into_bytes());
    assert!(error.unwrap_err().to_string().contains("open it by its path"));
}

#[test]
fn a_manifest_does_not_leave_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.json");
    for file in ["../other", "/etc/passwd", "a/b", "..", ".", "", "a/../b"] {
        let manifest = json!({"weightsManifest": [{"paths": [file], "weights": []}]});
        std::fs::write(&path, manifest.to_string()).unwrap();
        let error = Checkpoint::open(&path).unwrap_err();
        assert!(error.is_malformed() && error.to_string().contains("beside the manifest"));
    }
    let manifest = json!({"weightsManifest": [{"paths": ["group1-shard1of1.bin"], "weights": []}]});
    std::fs::write(&path, manifest.to_string()).unwrap();
    assert!(Checkpoint::open(folder.path()).unwrap_err().is_not_found());
}

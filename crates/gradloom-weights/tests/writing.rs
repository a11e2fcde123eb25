//! What is written is read again.

use gradloom_tensor::{BlockFormat, Device, Element, Tensor, bf16, f16};
use gradloom_testkit::storage::{counting, device};
use gradloom_weights::{Array, Checkpoint, Stored, Value, WideIntegers, gguf, safetensors};

fn tensor<T: Element>(device: &Device, values: &[T]) -> Tensor {
    let buffer = device.backend().upload(T::DTYPE, &T::to_bytes(values)).unwrap();
    Tensor::from_buffer(buffer, values.len(), device)
}

#[test]
fn gguf_goes_round() {
    let device = device();
    let tensors = [
        ("f32", counting(&device, &[2, 3], -1.5)),
        ("f64", tensor(&device, &[f64::MIN_POSITIVE])),
        ("f16", tensor(&device, &[f16::from_f32(0.5), f16::INFINITY])),
        ("bf16", tensor(&device, &[bf16::from_f32(-2.0)])),
        ("i32", tensor(&device, &[i32::MIN, 7])),
        ("empty", counting(&device, &[0, 4], 0.0)),
        ("scalar", counting(&device, &[], 3.0)),
        ("cube", counting(&device, &[2, 1, 4], 0.0)),
    ];
    let nested = Array::Array(vec![Array::U8(vec![1]), Array::String(vec!["x".to_owned()])]);
    let metadata: [(&str, Value); 7] = [
        ("general.architecture", "llama".into()),
        ("count", 7u32.into()),
        ("small", (-1i8).into()),
        ("eps", 1e-5f32.into()),
        ("yes", true.into()),
        ("tokens", vec!["a".to_owned(), String::new()].into()),
        ("nested", Value::Array(nested)),
    ];
    let mut writer = gguf::Writer::new();
    for (key, value) in &metadata {
        writer.metadata(*key, value.clone());
    }
    for (name, tensor) in &tensors {
        writer.tensor(*name, tensor);
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.gguf");
    writer.save(&path).unwrap();
    let read = Checkpoint::open(&path).unwrap();
    assert_eq!(read.names().len(), tensors.len());
    assert_eq!(read.metadata().len(), metadata.len());
    for (key, value) in &metadata {
        assert_eq!(read.metadata()[*key], *value);
    }
    for (name, tensor) in &tensors {
        let found = read.tensor(name, &device).unwrap();
        assert_eq!((found.dtype(), found.shape()), (tensor.dtype(), tensor.shape()), "{name}");
        assert_eq!(found.to_bytes().unwrap(), tensor.to_bytes().unwrap(), "{name}");
    }
}

#[test]
fn integers_go_round_and_wide_ones_are_kept_if_asked() {
    let device = device();
    let wide = tensor(&device, &[i64::MIN, -1, 1 << 40]);
    let tensors = [
        ("small", tensor(&device, &[7i64, -7])),
        ("wide", wide.clone()),
        ("signed", tensor(&device, &[i8::MIN, 0, i8::MAX])),
    ];
    let named = tensors.iter().map(|(name, tensor)| (*name, tensor));
    let bytes = safetensors::to_bytes(named, &Default::default()).unwrap();
    let read = Checkpoint::from_bytes("integers", bytes).unwrap();
    assert_eq!(read.entry("wide").unwrap().stored, Stored::I64);
    assert_eq!(read.tensor("small", &device).unwrap().to_vec::<i32>().unwrap(), [7, -7]);
    let signed = read.tensor("signed", &device).unwrap();
    assert_eq!(signed.to_vec::<i8>().unwrap(), [i8::MIN, 0, i8::MAX]);
    let error = read.tensor("wide", &device).unwrap_err().to_string();
    assert!(error.contains("element 0 is -9223372036854775808, too large for i32"), "{error}");
    let kept = read.wide_integers(WideIntegers::Kept);
    let found = kept.tensor("wide", &device).unwrap();
    assert_eq!(found.to_vec::<i64>().unwrap(), wide.to_vec::<i64>().unwrap());
}

#[test]
fn an_opened_file_may_change_and_a_mapped_one_reads_the_same() {
    let device = device();
    let tensor = Tensor::from_slice(&[1f32, 2.0, 3.0], 3, &device).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    safetensors::save(&path, [("t", &tensor)], &Default::default()).unwrap();
    let values =
        |checkpoint: &Checkpoint| checkpoint.tensor("t", &device).unwrap().to_vec::<f32>().unwrap();
    #[expect(unsafe_code, reason = "what is tested is unsafe")]
    // SAFETY: the file is this test's own, and is not written before the checkpoint is dropped.
    let mapped = unsafe { Checkpoint::open_mapped(&path) }.unwrap();
    assert_eq!(values(&mapped), [1.0, 2.0, 3.0]);
    drop(mapped);
    let read = Checkpoint::open(&path).unwrap();
    std::fs::write(&path, b"cut").unwrap();
    assert_eq!(values(&read), [1.0, 2.0, 3.0]);
    assert!(Checkpoint::open(&path).is_err());
}

#[test]
fn tensors_are_stored_as_asked() {
    let device = device();
    let rows = counting(&device, &[3, 256], -300.0);
    let values: Vec<f32> = f32::from_bytes(&rows.to_bytes().unwrap());
    for format in BlockFormat::ALL {
        let mut writer = gguf::Writer::new();
        writer.tensor_as("rows", &rows, Stored::Blocks(format));
        let read = Checkpoint::from_bytes("file", writer.to_bytes().unwrap()).unwrap();
        assert_eq!(read.entry("rows").unwrap().stored, Stored::Blocks(format));
        let blocks = read.tensor("rows", &device).unwrap();
        assert_eq!((blocks.block_format(), &blocks.shape()[..]), (Some(format), &[3, 256][..]));
        let mut expected = vec![0; 768 / format.elements() * format.bytes()];
        format.encode(&values, &mut expected);
        assert_eq!(blocks.to_blocks().unwrap().unwrap(), expected);
        // Blocks are written again as they are, and to safetensors as numbers.
        let mut again = gguf::Writer::new();
        again.tensor("rows", &blocks);
        assert_eq!(again.to_bytes().unwrap(), writer.to_bytes().unwrap());
        let plain = safetensors::to_bytes([("rows", &blocks)], &Default::default()).unwrap();
        let plain = Checkpoint::from_bytes("file", plain).unwrap().tensor("rows", &device).unwrap();
        let mut decoded = vec![0.0; 768];
        format.decode(&expected, &mut decoded);
        assert_eq!(f32::from_bytes(&plain.to_bytes().unwrap()), decoded);
        assert!(blocks.is_quantized(), "writing leaves blocks as they are");
    }
    for (stored, size) in [(Stored::F16, 2), (Stored::BF16, 2), (Stored::F32, 4)] {
        let mut writer = gguf::Writer::new();
        writer.tensor_as("rows", &rows, stored.clone());
        let read = Checkpoint::from_bytes("file", writer.to_bytes().unwrap()).unwrap();
        assert_eq!(read.entry("rows").unwrap().stored, stored);
        assert_eq!(read.tensor("rows", &device).unwrap().to_bytes().unwrap().len(), 768 * size);
    }
}

#[test]
fn what_gguf_cannot_hold_is_an_error() {
    let device = device();
    let refused = |writer: &gguf::Writer, part: &str| {
        let error = writer.to_bytes().unwrap_err();
        assert!(error.is_unsupported() && error.to_string().contains(part), "{error}");
    };
    refused(gguf::Writer::new().tensor("t", &tensor(&device, &[true])), "no bool");
    refused(gguf::Writer::new().tensor("t", &tensor(&device, &[1u32])), "no u32");
    let rows = counting(&device, &[2, 31], 0.0);
    refused(gguf::Writer::new().tensor_as("t", &rows, Stored::Blocks(BlockFormat::Q4_0)), "31");
    refused(gguf::Writer::new().tensor("t", &rows).tensor("t", &rows), "two tensors");
    refused(gguf::Writer::new().metadata("k", 1u8).metadata("k", 2u8), "twice");
    refused(gguf::Writer::new().metadata("general.alignment", 7u32), "power of two");
    refused(gguf::Writer::new().stored("t", &[2], Stored::F32, vec![0; 7]), "need 8");
    let ints = tensor(&device, &[1i32]);
    refused(gguf::Writer::new().tensor_as("t", &ints, Stored::F32), "i32 is not converted");
}

#[test]
fn alignment_is_as_the_metadata_say() {
    let device = device();
    let mut writer = gguf::Writer::new();
    writer.metadata("general.alignment", 256u32);
    writer.tensor("a", &counting(&device, &[3], 0.0)).tensor("b", &counting(&device, &[3], 5.0));
    let bytes = writer.to_bytes().unwrap();
    assert!(bytes.len().is_multiple_of(256));
    let read = Checkpoint::from_bytes("file", bytes).unwrap().tensor("b", &device).unwrap();
    assert_eq!(f32::from_bytes(&read.to_bytes().unwrap()), [5.0, 6.0, 7.0]);
}

#[test]
fn a_failed_save_leaves_the_old_file_and_nothing_else() {
    let (device, folder) = (device(), tempfile::tempdir().unwrap());
    let path = folder.path().join("model.gguf");
    std::fs::write(&path, "old").unwrap();
    let mut writer = gguf::Writer::new();
    writer.tensor("good", &counting(&device, &[3], 0.0));
    // This device computes nothing.
    let lazy = counting(&device, &[3], 0.0).exp();
    assert!(writer.tensor("lazy", &lazy).save(&path).unwrap_err().is_device());
    assert_eq!(std::fs::read(&path).unwrap(), b"old");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

/// The file that a child process shall write.
const FILE: &str = "GRADLOOM_TEST_WEIGHTS_FILE";

/// Twelve tensors with metadata; names come in one order or in the other.
fn save_many(path: &std::path::Path, reversed: bool) {
    let device = device();
    let mut tensors: Vec<(String, Tensor)> = (0..12)
        .map(|number| (format!("layer.{number}"), counting(&device, &[2, 3], number as f32)))
        .collect();
    tensors.push(("count".to_owned(), tensor(&device, &[7i64])));
    tensors.push(("half \"quoted\"".to_owned(), tensor(&device, &[f16::ONE])));
    if reversed {
        tensors.reverse();
    }
    let metadata =
        (0..12).map(|number| (format!("key {number}"), format!("\u{1}\"{number}"))).collect();
    safetensors::save(path, tensors.iter().map(|(name, tensor)| (&name[..], tensor)), &metadata)
        .unwrap();
}

/// Not a test by itself: a child process, whose maps have seeds of their own.
#[test]
fn the_file_of_a_child() {
    if let Some(path) = std::env::var_os(FILE) {
        save_many(path.as_ref(), true);
    }
}

#[test]
fn equal_weights_are_equal_bytes_in_any_order_and_process() {
    let folder = tempfile::tempdir().unwrap();
    let [own, child] = ["own", "child"].map(|name| folder.path().join(name));
    save_many(&own, false);
    let bytes = std::fs::read(&own).unwrap();
    for _ in 0..3 {
        let mut command = std::process::Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "the_file_of_a_child"]).env(FILE, &child);
        assert!(command.output().unwrap().status.success());
        assert_eq!(std::fs::read(&child).unwrap(), bytes);
    }
    let read = Checkpoint::open(&own).unwrap();
    assert_eq!(read.metadata()["key 7"], Value::String("\u{1}\"7".to_owned()));
    let half = read.tensor("half \"quoted\"", &device()).unwrap();
    assert_eq!(half.to_vec::<f16>().unwrap(), [f16::ONE]);
    assert_eq!((read.names().len(), read.metadata().len()), (14, 12));
}

#[test]
fn two_tensors_of_one_name_are_refused() {
    let device = device();
    let one = counting(&device, &[2], 0.0);
    let error = safetensors::to_bytes([("a", &one), ("a", &one)], &Default::default()).unwrap_err();
    assert!(error.to_string().contains("two tensors are named a"), "{error}");
}

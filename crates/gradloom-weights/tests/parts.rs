//! Parts of checkpoints, tensors that cannot be read, NumPy's arrays, and files of other kinds.

use std::io::Write;

use gradloom_testkit::storage::device;
use gradloom_weights::{Checkpoint, Format};

mod pickle;

use pickle::{call, dict, file, int, tensor, text, tuple};

fn open(object: &[u8]) -> Checkpoint {
    Checkpoint::from_bytes("file", file(object)).unwrap()
}

fn names(checkpoint: &Checkpoint) -> Vec<&str> {
    checkpoint.names().collect()
}

fn weights() -> Vec<u8> {
    dict(&[("a.weight", tensor(0, &[2], &[1])), ("b.weight", tensor(0, &[1], &[1]))])
}

#[test]
fn state_dicts_are_found_under_more_names() {
    let optimizer = || dict(&[("state", dict(&[("x", tensor(0, &[1], &[1]))]))]);
    for name in [
        "model_state",
        "netG_state_dict",
        "net",
        "params",
        "params_ema",
        "ema",
        "module",
        "encoder_state_dict",
        "student_state",
        "generator",
    ] {
        let object =
            dict(&[("epoch", int(3)), (name, weights()), ("optimizer_state_dict", optimizer())]);
        let checkpoint = open(&object);
        assert_eq!(names(&checkpoint), ["a.weight", "b.weight"], "{name}");
        assert_eq!(checkpoint.metadata()["epoch"].as_i64(), Some(3));
    }
    // What was trained goes before its mean.
    let ema = || dict(&[("c", tensor(0, &[1], &[1]))]);
    let object = dict(&[("ema", ema()), ("model", weights())]);
    assert_eq!(names(&open(&object)), ["a.weight", "b.weight"]);
    assert_eq!(names(&open(&object).part("ema").unwrap()), ["c"]);
    // Two models, and parts of one model: nothing is left out.
    let object = dict(&[("x_state_dict", weights()), ("y_state_dict", ema())]);
    assert_eq!(names(&open(&object)).len(), 3);
    assert_eq!(names(&open(&object).part("y_state_dict").unwrap()), ["c"]);
    let object = dict(&[("net", weights()), ("head", ema())]);
    assert_eq!(names(&open(&object)), ["head.c", "net.a.weight", "net.b.weight"]);
}

#[test]
fn a_part_has_its_own_names() {
    let object = dict(&[("model", weights()), ("teacher", dict(&[("model", weights())]))]);
    assert_eq!(names(&open(&object).part("a").unwrap()), ["weight"]);
    assert_eq!(names(&open(&object).part("teacher").unwrap()), ["a.weight", "b.weight"]);
    assert_eq!(names(&open(&object).part("teacher.model").unwrap()), ["a.weight", "b.weight"]);
    let part = open(&object).part("teacher").unwrap();
    assert_eq!(part.tensor("a.weight", &device()).unwrap().to_vec::<f32>().unwrap(), [0.0; 2]);
    for part in ["student", "teacher.x", "a.weight.x", "."] {
        let error = open(&object).part(part).unwrap_err();
        assert!(error.to_string().contains("no tensor in a part"), "{error}");
    }
    let folder = tempfile::tempdir().unwrap();
    let (path, device) = (folder.path().join("x"), device());
    let one = gradloom_tensor::Tensor::from_slice(&[1.0f32, 2.0], [2], &device).unwrap();
    let tensors = ["encoder.a", "encoder.b", "decoder.a"].map(|name| (name, one.clone()));
    let pairs = tensors.iter().map(|(name, tensor)| (*name, tensor));
    gradloom_weights::safetensors::save(&path, pairs, &std::collections::BTreeMap::new()).unwrap();
    assert_eq!(names(&Checkpoint::open(&path).unwrap().part("encoder").unwrap()), ["a", "b"]);
}

#[test]
fn tensors_that_cannot_be_read_are_named() {
    let size = tuple(&[int(2), int(3)]);
    let sparse = call(
        "torch._utils\n_rebuild_sparse_tensor",
        &[
            text("torch.sparse_coo"),
            tuple(&[tensor(0, &[1], &[1]), tensor(0, &[1], &[1]), size.clone()]),
        ],
    );
    let quantized = call(
        "torch._utils\n_rebuild_qtensor",
        &[b"N".to_vec(), int(0), size.clone(), tuple(&[int(3), int(1)])],
    );
    let meta = call("torch._utils\n_rebuild_meta_tensor_no_storage", &[b"N".to_vec(), size]);
    let wrapped = call("torch._utils\n_rebuild_wrapper_subclass", &[]);
    for (object, advice) in [
        (sparse, "to_dense()"),
        (quantized, "dequantize()"),
        (meta, "no elements"),
        (wrapped, "plain tensor"),
    ] {
        let checkpoint = open(&dict(&[("w", object), ("x", tensor(0, &[1], &[1]))]));
        assert_eq!(names(&checkpoint), ["w", "x"]);
        let error = checkpoint.tensor("w", &device()).unwrap_err();
        assert!(error.to_string().contains(advice) && error.to_string().contains("w: "), "{error}");
        assert!(checkpoint.tensor("x", &device()).is_ok());
        if advice != "plain tensor" {
            assert_eq!(checkpoint.entry("w").unwrap().shape, [2, 3], "{advice}");
        }
    }
}

/// An array of NumPy.
fn array(descr: &str, fortran: bool, shape: &str, data: &[u8]) -> Vec<u8> {
    let fortran = if fortran { "True" } else { "False" };
    let mut header =
        format!("{{'descr': {descr}, 'fortran_order': {fortran}, 'shape': {shape}, }}");
    while (header.len() + 11) % 64 != 0 {
        header.push(' ');
    }
    header.push('\n');
    [b"\x93NUMPY\x01\0", &(header.len() as u16).to_le_bytes()[..], header.as_bytes(), data].concat()
}

/// A zip archive of these records.
fn archive(records: &[(&str, Vec<u8>)], deflate: bool) -> Vec<u8> {
    let (mut bytes, mut directory) = (Vec::new(), Vec::new());
    for (name, content) in records {
        let mut packed = content.clone();
        if deflate {
            let mut encoder =
                flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(content).unwrap();
            packed = encoder.finish().unwrap();
        }
        let method: u16 = if deflate { 8 } else { 0 };
        let sizes = [packed.len() as u32, content.len() as u32].map(u32::to_le_bytes).concat();
        let offset = bytes.len() as u32;
        let common = [
            &[0, 0][..],
            &method.to_le_bytes(),
            &[0; 8],
            &sizes,
            &(name.len() as u16).to_le_bytes(),
            &[0, 0],
        ]
        .concat();
        bytes.extend([b"PK\x03\x04\x14\0", &common[..], name.as_bytes(), &packed].concat());
        directory.extend(
            [
                b"PK\x01\x02\x14\0\x14\0",
                &common[..],
                &[0; 10],
                &offset.to_le_bytes(),
                name.as_bytes(),
            ]
            .concat(),
        );
    }
    let (at, len, count) = (bytes.len() as u32, directory.len() as u32, records.len() as u16);
    bytes.extend(&directory);
    bytes.extend(b"PK\x05\x06\0\0\0\0");
    bytes.extend([count.to_le_bytes(), count.to_le_bytes()].concat());
    bytes.extend([len.to_le_bytes(), at.to_le_bytes()].concat());
    bytes.extend([0, 0]);
    bytes
}

fn floats(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

#[test]
fn arrays_of_numpy_are_read() {
    let device = device();
    let six = floats(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    let records = [
        ("w.npy", array("'<f4'", false, "(2, 3)", &six)),
        ("fortran.npy", array("'<f4'", true, "(2, 3)", &six)),
        ("scalar.npy", array("'<f8'", false, "()", &2.5f64.to_le_bytes())),
        ("empty.npy", array("'<i4'", false, "(0, 4)", &[])),
        ("old.npy", array("'|u1'", false, "(3L,)", &[1, 2, 3])),
        ("big.npy", array("'>f4'", false, "(1,)", &[0; 4])),
        ("object.npy", array("'|O'", false, "(1,)", b"\x80\x04.")),
        ("record.npy", array("[('a', '<f4')]", false, "(1,)", &[0; 4])),
        ("readme.txt", b"hello".to_vec()),
    ];
    for deflate in [false, true] {
        let checkpoint = Checkpoint::from_bytes("x.npz", archive(&records, deflate)).unwrap();
        assert_eq!(checkpoint.format(), Format::Numpy);
        assert_eq!(checkpoint.names().len(), 8);
        let read = |name: &str| checkpoint.tensor(name, &device).unwrap();
        assert_eq!(read("w").to_vec::<f32>().unwrap(), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        assert_eq!(read("fortran").to_vec::<f32>().unwrap(), [1.0, 3.0, 5.0, 2.0, 4.0, 6.0]);
        assert_eq!(read("fortran").shape().dims(), [2, 3]);
        assert_eq!(read("scalar").item().unwrap(), 2.5);
        assert_eq!(read("empty").shape().dims(), [0, 4]);
        assert_eq!(read("old").to_vec::<u8>().unwrap(), [1, 2, 3]);
        for name in ["big", "object", "record"] {
            let error = checkpoint.tensor(name, &device).unwrap_err().to_string();
            assert!(error.contains(name) && error.contains("not supported"), "{error}");
        }
    }
    let one = Checkpoint::from_bytes("x.npy", records[0].1.clone()).unwrap();
    assert_eq!(one.tensor("tensor", &device).unwrap().shape().dims(), [2, 3]);
}

#[test]
fn damaged_arrays_are_errors() {
    let good = array("'<f4'", false, "(2, 3)", &[0; 24]);
    for end in 0..good.len() {
        let checkpoint = Checkpoint::from_bytes("cut", good[..end].to_vec());
        assert!(checkpoint.is_err(), "{end}");
    }
    for (descr, shape) in [
        ("'<f4'", "(99999999999999999999,)"),
        ("'<f4'", "(4611686018427387904, 4)"),
        ("'<f4'", "(-1,)"),
        ("'<f4'", "2, 3"),
        ("'<f4'", "(1000,)"),
    ] {
        let bytes = array(descr, false, shape, &[0; 24]);
        assert!(Checkpoint::from_bytes("x", bytes.clone()).is_err(), "{descr} {shape}");
        let archive = archive(&[("x.npy", bytes)], true);
        assert!(Checkpoint::from_bytes("x", archive).is_err(), "{descr} {shape}");
    }
    let zeros = array("'<f4'", false, "(4000000,)", &vec![0; 16_000_000]);
    let error = Checkpoint::from_bytes("x", archive(&[("x.npy", zeros)], true)).unwrap_err();
    assert!(error.to_string().contains("savez"), "{error}");
}

#[test]
fn other_formats_are_named() {
    let named = |bytes: &[u8], what: &str| {
        let bytes = [bytes, &[0; 64]].concat();
        let error = Checkpoint::from_bytes("file", bytes).unwrap_err();
        assert!(error.is_unsupported() && error.to_string().contains(what), "{error}");
    };
    named(b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\n", "git lfs pull");
    named(b"\x08\x07\x12\x07pytorch", "ONNX");
    named(b"\x1c\0\0\0TFL3\x14\0", "TensorFlow Lite");
    named(b"\x89HDF\r\n\x1a\n", "HDF5");
    named(b"\x06\0\0\0\x10\0TransformerSpec\0", "CTranslate2");
    named(&[0xba, 0x16, 0x4f, 0x2f, 12, 0, 0, 0], "fastText");
    named(b"\x0a\x0e\x0a\x05<unk>\x15\0\0\0\0\x18\x02", "SentencePiece");
    named(b"[PAD]\n[unused0]\n", "vocab.txt");
    named(b"\x1f\x8b\x08", "gzip");
    named(b"<!DOCTYPE html>", "web site");
    let keras = archive(&[("model.weights.h5", vec![1, 2, 3])], false);
    let error = Checkpoint::from_bytes("x.keras", keras).unwrap_err();
    assert!(error.to_string().contains("Keras"), "{error}");
}

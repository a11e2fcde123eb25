//! Weight files: round trips, conversions, atomic writing, and damaged or hostile files.

use std::collections::BTreeMap;

use gradloom_nn::{LoadOptions, Module, ModuleExt, Parameter, Result, StateDict, weights};
use gradloom_tensor::{DType, Device, Element, Key, Tensor, bf16, f16};
use gradloom_testkit::storage::{counting, device};

fn tensor<T: Element>(device: &Device, values: &[T]) -> Tensor {
    let buffer = device.backend().upload(T::DTYPE, &T::to_bytes(values)).unwrap();
    Tensor::from_buffer(buffer, values.len(), device)
}

fn sample(device: &Device) -> StateDict {
    let mut dict = StateDict::new();
    dict.insert("layer.weight", counting(device, &[2, 3], -1.5));
    dict.insert("half", tensor(device, &[f16::from_f32(0.5), f16::INFINITY]));
    dict.insert("brain", tensor(device, &[bf16::from_f32(-2.0)]));
    dict.insert("double", tensor(device, &[f64::MIN_POSITIVE]));
    dict.insert("ints", tensor(device, &[i32::MIN, 7]));
    dict.insert("words", tensor(device, &[u32::MAX]));
    dict.insert("bytes", tensor(device, &[1u8, 2, 255]));
    dict.insert("mask", tensor(device, &[true, false, true]));
    dict.insert("empty", counting(device, &[0, 4], 0.0));
    dict.insert("scalar", counting(device, &[], 3.0));
    dict
}

fn assert_same(left: &StateDict, right: &StateDict) {
    let names = |dict: &StateDict| dict.iter().map(|(n, _)| n.to_owned()).collect::<Vec<_>>();
    assert_eq!(names(left), names(right));
    for (name, tensor) in left.iter() {
        let other = right.get(name).unwrap();
        assert_eq!((tensor.dtype(), tensor.shape()), (other.dtype(), other.shape()), "{name}");
        assert_eq!(tensor.to_bytes().unwrap(), other.to_bytes().unwrap(), "{name}");
    }
}

#[test]
fn every_dtype_goes_round() {
    let (device, folder) = (device(), tempfile::tempdir().unwrap());
    let dict = sample(&device);
    let path = folder.path().join("model.safetensors");
    let texts = BTreeMap::from([("format".to_owned(), "pt".to_owned())]);
    weights::save_with(&path, &dict, &texts).unwrap();
    assert_same(&weights::load(&path, &device).unwrap(), &dict);
    assert_eq!(weights::metadata(&path).unwrap(), texts);
    // The format's own crate reads the file, too.
    let bytes = std::fs::read(&path).unwrap();
    let parsed = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(parsed.tensor("layer.weight").unwrap().shape(), [2, 3]);
    let memory = weights::to_bytes(&dict).unwrap();
    assert_same(&weights::from_bytes("memory", &memory, &device).unwrap(), &dict);
    weights::save(&path, &StateDict::new()).unwrap();
    assert!(weights::load(&path, &device).unwrap().is_empty());
}

/// A file with one tensor, from its parts.
fn file(dtype: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    let header = format!(
        "{{\"t\":{{\"dtype\":\"{dtype}\",\"shape\":{shape},\"data_offsets\":[0,{}]}}}}",
        data.len()
    );
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), data].concat()
}

fn read(bytes: &[u8]) -> Result<StateDict> {
    weights::from_bytes("file", bytes, &device())
}

#[test]
fn wide_integers_are_checked_into_i32() {
    let longs = |values: &[i64]| values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
    let dict = read(&file("I64", "[2]", &longs(&[-5, i64::from(i32::MAX)]))).unwrap();
    assert_eq!(dict.get("t").unwrap().to_vec::<i32>().unwrap(), [-5, i32::MAX]);
    let error = read(&file("I64", "[2]", &longs(&[1, 1 << 31]))).unwrap_err();
    assert_eq!(
        error.to_string(),
        "file: t: element 1 is 2147483648, too large for i32; WideIntegers::Kept reads i64 on the CPU"
    );
    let dict = read(&file("I8", "[3]", &[0xff, 0, 1])).unwrap();
    assert_eq!(dict.get("t").unwrap().to_vec::<i8>().unwrap(), [-1, 0, 1]);
    let dict = read(&file("U16", "[1]", &[0xff, 0xff])).unwrap();
    assert_eq!(dict.get("t").unwrap().to_vec::<i32>().unwrap(), [65535]);
    let dict = read(&file("BOOL", "[3]", &[0, 1, 7])).unwrap();
    assert_eq!(dict.get("t").unwrap().to_bytes().unwrap(), [0, 1, 1]);
    let error = read(&file("F8_E4M3", "[1]", &[0])).unwrap_err();
    assert!(error.is_unsupported() && error.to_string().contains("F8_E4M3"), "{error}");
}

#[test]
fn damaged_and_hostile_headers_are_errors() {
    let whole = file("F32", "[2]", &[0; 8]);
    for len in 0..whole.len() {
        assert!(read(&whole[..len]).unwrap_err().is_malformed(), "{len} bytes");
    }
    assert!(read(&[&whole[..], &[0]].concat()).unwrap_err().is_malformed());
    let headers = [
        file("F32", "[3]", &[0; 8]),
        file("F32", "[18446744073709551615, 18446744073709551615]", &[0; 8]),
        file("F32", "[1,1,1,1,1,1,1,1,1,2]", &[0; 8]),
        file("F32", "[-2]", &[0; 8]),
        file("Q32", "[2]", &[0; 8]),
        [&u64::MAX.to_le_bytes()[..], &[b'{'; 64]].concat(),
        [&(1u64 << 40).to_le_bytes()[..], b"{}"].concat(),
        b"PK\x03\x04 this is a pickled checkpoint".to_vec(),
    ];
    for bytes in headers {
        let error = read(&bytes).unwrap_err();
        assert!(error.is_malformed() || error.is_unsupported(), "{error}");
    }
}

#[test]
fn mutated_files_never_panic() {
    let device = device();
    let whole = weights::to_bytes(&sample(&device)).unwrap();
    let mut key = Key::new(7);
    for _ in 0..4000 {
        let mut bytes = whole.clone();
        for _ in 0..3 {
            let ([place, value], next) = (key.words(), key.fold(0));
            let at = place as usize % bytes.len();
            match value % 4 {
                0 => bytes.truncate(at.max(9)),
                1 => bytes.insert(at, (value >> 8) as u8),
                _ => bytes[at] = (value >> 8) as u8,
            }
            key = next;
        }
        drop(weights::from_bytes("mutant", &bytes, &device));
    }
}

#[derive(Module, Clone)]
struct Model {
    weight: Parameter,
}

#[test]
fn a_model_is_saved_and_loaded_by_path() {
    let (device, folder) = (device(), tempfile::tempdir().unwrap());
    let path = folder.path().join("model.safetensors");
    let first = Model { weight: Parameter::new(counting(&device, &[4], 5.0)) };
    first.save(&path).unwrap();
    let mut second = Model { weight: Parameter::new(counting(&device, &[4], 0.0)) };
    second.load(&path, &LoadOptions::strict()).unwrap();
    assert_eq!(second.weight.to_vec::<f32>().unwrap(), [5.0, 6.0, 7.0, 8.0]);
    let mut third = Model { weight: Parameter::new(counting(&device, &[2, 2], 0.0)) };
    let error = third.load(&path, &LoadOptions::strict()).unwrap_err();
    assert!(error.is_mismatch());
    let message = error.to_string();
    assert!(message.contains("model.safetensors") && message.contains("weight"), "{message}");
    assert!(third.load("no/such/file", &LoadOptions::strict()).unwrap_err().is_not_found());
}

#[test]
fn a_failed_save_leaves_the_old_file_and_nothing_else() {
    let (device, folder) = (device(), tempfile::tempdir().unwrap());
    let path = folder.path().join("model.safetensors");
    weights::save(&path, &sample(&device)).unwrap();
    let old = std::fs::read(&path).unwrap();
    // A tensor that this backend cannot compute stops the save.
    let mut broken = sample(&device);
    let constant = gradloom_tensor::Op::Constant(gradloom_tensor::Scalar::Float(0.0));
    broken.insert("x", Tensor::from_op(constant, vec![], [2].into(), DType::F32, &device));
    assert!(weights::save(&path, &broken).unwrap_err().is_device());
    // A folder in the place of the file cannot be replaced.
    let taken = folder.path().join("taken");
    std::fs::create_dir(&taken).unwrap();
    std::fs::write(taken.join("inside"), b"x").unwrap();
    assert!(weights::save(&taken, &sample(&device)).unwrap_err().is_io());
    assert!(weights::save(folder.path().join("none/model"), &sample(&device)).unwrap_err().is_io());
    assert_eq!(std::fs::read(&path).unwrap(), old);
    let mut left: Vec<_> =
        std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["model.safetensors", "taken"]);
}

#[cfg(unix)]
#[test]
fn a_saved_file_has_the_rights_of_an_ordinary_one() {
    use std::os::unix::fs::PermissionsExt;
    let (device, folder) = (device(), tempfile::tempdir().unwrap());
    let (saved, plain) = (folder.path().join("saved"), folder.path().join("plain"));
    weights::save(&saved, &sample(&device)).unwrap();
    std::fs::write(&plain, b"x").unwrap();
    let mode = |path| std::fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode(&saved), mode(&plain));
}

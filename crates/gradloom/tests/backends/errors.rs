//! Bad input to devices: each a clear error, and the device works afterwards.

use gradloom::nn;
use gradloom::prelude::*;
use gradloom_zoo as zoo;

use crate::devices;

#[test]
fn an_unknown_device_is_named() {
    let error = Device::named("abacus:3").unwrap_err();
    assert!(error.is_device_not_found(), "{error}");
    assert!(error.to_string().contains("abacus:3"), "{error}");
}

#[test]
fn tensors_of_two_devices_do_not_mix() {
    let devices = devices();
    if let [first, second, ..] = &devices[..] {
        let (a, b) = (Tensor::ones([1], DType::F32, first), Tensor::ones([1], DType::F32, second));
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| &a + &b));
        let message = *result.unwrap_err().downcast::<String>().unwrap();
        assert!(
            message.contains("different devices") && message.contains("to_device"),
            "{message}"
        );
    }
}

#[test]
fn empty_tensors_are_ordinary() {
    for device in devices() {
        let empty = Tensor::from_vec(Vec::<f32>::new(), [0, 3], &device).unwrap();
        assert_eq!((&empty * 2.0).to_vec::<f32>().unwrap(), Vec::<f32>::new());
        assert_eq!(empty.sum(..).item().unwrap(), 0.0);
        assert_eq!(empty.sum(0).to_vec::<f32>().unwrap(), vec![0.0; 3]);
        let product = empty.matmul(&Tensor::ones([3, 2], DType::F32, &device));
        assert_eq!(product.shape().dims(), [0, 2]);
        assert_eq!(product.to_vec::<f32>().unwrap(), Vec::<f32>::new());
    }
}

/// Whatever went wrong, one function can pass it on.
fn everything(step: usize) -> gradloom::Result<()> {
    let device = Device::cpu();
    match step {
        0 => drop(std::fs::read("no such file")?),
        1 => drop(nn::weights::load("no such file", &device)?),
        2 => drop(<zoo::BertConfig as zoo::ModelConfig>::from_json("7")?),
        3 => drop(gradloom::text::Tokenizer::from_file("no such file")?),
        4 => drop(gradloom::data::mnist::load("no such folder", gradloom::data::Split::Train)?),
        _ => drop(Tensor::ones([1], DType::F32, &device).to_vec::<i32>()?),
    }
    Ok(())
}

#[test]
fn errors_of_all_crates_are_one() {
    use gradloom::ErrorKind::{Config, NotFound, Shape};
    let kinds: Vec<_> = (0..6).map(|step| everything(step).unwrap_err().kind()).collect();
    assert_eq!(kinds, [NotFound, NotFound, Config, NotFound, NotFound, Shape]);
}

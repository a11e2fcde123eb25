//! What cannot be compressed, said so that it can be mended.

use gradloom_compress::language::compressed_tensors::{Export, Folder};
use gradloom_compress::language::gptq::Gptq;
use gradloom_compress::language::{
    Calibration, InputStatistics, Matrix, Method, QuantizedMatrix, Scheme, Selection, awq,
    quantize, rounding,
};
use gradloom_nn::layers::Linear;
use gradloom_nn::{Context, Init, Layer};
use gradloom_tensor::{DType, Device, ErrorKind, Key, Result, Tensor};
use gradloom_weights::Checkpoint;

use crate::golden::Golden;

fn layer(device: &Device) -> Linear {
    Linear::new(8, 4, &mut Init::new(Key::new(0), device))
}

fn run(layer: &Linear, x: Tensor, ctx: &mut Context) -> Result<Tensor> {
    Ok(layer.forward(&x, ctx))
}

fn calibrated(batches: Vec<Tensor>) -> String {
    let device = gradloom_cpu::device();
    Calibration::new().measure(&layer(&device), batches, run).unwrap_err().to_string()
}

#[test]
fn calibration_needs_finite_data() {
    let device = gradloom_cpu::device();
    assert!(calibrated(Vec::new()).contains("no batches"));
    let x = Tensor::ones([3, 8], DType::F32, &device);
    let bad = &x * f64::NAN;
    let message = calibrated(vec![x.clone(), bad]);
    assert!(
        message.contains("batch 1") && message.contains("weight") && message.contains("not finite"),
        "{message}"
    );
    let none = Calibration::new().only(["other"]).measure(&layer(&device), [x], run).unwrap_err();
    assert!(none.to_string().contains("other"), "{none}");
}

#[test]
fn sizes_that_do_not_fit_are_named() {
    let golden = Golden::open();
    let weight = golden.matrix("weight");
    let message = rounding::quantize(&weight, Scheme::new(4).group(48)).unwrap_err().to_string();
    assert!(message.contains("48") && message.contains("64"), "{message}");
    let gptq = Gptq::new(Scheme::new(4).group(32));
    let error = |inputs: &InputStatistics| gptq.quantize(&weight, inputs).unwrap_err().to_string();
    assert!(error(&InputStatistics::new(12, true)).contains("inputs first"));
    assert!(error(&InputStatistics::new(64, true)).contains("no vectors"));
    let mut plain = InputStatistics::new(64, false);
    plain.add(&golden.values("x")).unwrap();
    assert!(error(&plain).contains("with_hessians"));
    assert!(awq::quantize_clipped(&weight, &plain, Scheme::new(4).group(32)).is_err());
    assert!(plain.add(&[0.0; 63]).is_err());
    let device = gradloom_cpu::device();
    let missing =
        quantize(&layer(&device), &Method::Gptq(gptq), None, Selection::default()).unwrap_err();
    assert!(missing.to_string().contains("calibrate"), "{missing}");
    let none = Selection::default().choose(&|_| false);
    assert!(quantize(&layer(&device), &Method::Nearest(Scheme::new(4)), None, none).is_err());
    let nan = Tensor::ones([4, 8], DType::F32, &device) * f64::INFINITY;
    assert_eq!(Matrix::of(&nan, false).unwrap_err().kind(), ErrorKind::NotFinite);
}

#[test]
fn dead_inputs_and_fewer_vectors_than_inputs_are_no_failure() {
    let golden = Golden::open();
    let weight = golden.matrix("weight");
    // Three vectors: a Hessian of rank three, with one input that is always zero.
    let mut inputs = InputStatistics::new(64, true);
    inputs.add(&golden.values("x")[..3 * 64]).unwrap();
    let gptq = Gptq::new(Scheme::new(4).group(32));
    let found = gptq.quantize(&weight, &inputs).unwrap().dequantize();
    assert!(found.rows().all(|row| row[5] == 0.0));
    let nothing = InputStatistics::new(64, true);
    let mut zeros = nothing.clone();
    zeros.add(&[0.0; 128]).unwrap();
    assert!(
        gptq.quantize(&weight, &zeros)
            .unwrap()
            .dequantize()
            .values()
            .iter()
            .all(|value| *value == 0.0)
    );
}

#[test]
fn parts_that_do_not_fit_make_no_matrix() {
    let scheme = Scheme::new(2).group(4).asymmetric();
    let make = |codes: Vec<u8>, scales: Vec<f32>, order: Option<Vec<u32>>| {
        QuantizedMatrix::from_parts(scheme, [1, 8], codes, scales, vec![1.0; 2], order)
    };
    assert!(make(vec![3; 8], vec![1.0; 2], Some(vec![1, 1, 1, 1, 0, 0, 0, 0])).is_ok());
    assert!(make(vec![4; 8], vec![1.0; 2], None).is_err());
    assert!(make(vec![3; 7], vec![1.0; 2], None).is_err());
    assert!(make(vec![3; 8], vec![1.0; 3], None).is_err());
    assert!(make(vec![3; 8], vec![f32::NAN; 2], None).is_err());
    assert!(make(vec![3; 8], vec![1.0; 2], Some(vec![2; 8])).is_err());
}

#[test]
fn an_order_of_columns_is_not_exported() {
    let golden = Golden::open();
    let device = gradloom_cpu::device();
    let mut model = Linear::new(64, 12, &mut Init::new(Key::new(0), &device)).without_bias();
    model.weight.set(&golden.matrix("weight").to_tensor(false, &device).unwrap());
    let inputs = golden.inputs();
    let matrix = Gptq::new(Scheme::new(4).group(32))
        .by_activation()
        .quantize(&golden.matrix("weight"), &inputs);
    let matrix = matrix.unwrap();
    assert!(matrix.order().is_some() && matrix.block_format().is_none());
    let weights = gradloom_compress::language::QuantizedWeights::from_matrices([(
        "weight".to_owned(),
        matrix,
    )]);
    let folder = tempfile::tempdir().unwrap();
    let error =
        Export::new("{}").unwrap().save(&model, &weights, folder.path().join("out")).unwrap_err();
    assert!(error.to_string().contains("by_activation_static"), "{error}");
    assert!(!folder.path().join("out").exists());
    assert!(Export::new("[]").is_err());
}

#[test]
fn damaged_folders_are_errors() {
    let golden = Golden::open();
    let device = gradloom_cpu::device();
    let mut model = Linear::new(64, 12, &mut Init::new(Key::new(0), &device)).without_bias();
    model.weight.set(&golden.matrix("weight").to_tensor(false, &device).unwrap());
    let model = vec![model];
    let scheme = Scheme::new(3).group(32).asymmetric();
    let weights = quantize(&model, &Method::Nearest(scheme), None, Selection::default()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    Export::new("{}").unwrap().save(&model, &weights, folder.path()).unwrap();
    let config = std::fs::read_to_string(folder.path().join("config.json")).unwrap();
    let bytes = std::fs::read(folder.path().join("model.safetensors")).unwrap();
    let open = |config: &str, bytes: Vec<u8>| {
        let checkpoint = Checkpoint::from_bytes("model.safetensors", bytes)?;
        Folder::of(config.as_bytes(), checkpoint, &device)
    };
    assert!(open(&config, bytes.clone()).is_ok());
    let refused = |from: &str, to: &str| {
        open(&config.replace(from, to), bytes.clone()).unwrap_err().to_string()
    };
    assert!(refused("\"num_bits\": 3", "\"num_bits\": 4").contains("weight_packed has shape"));
    assert!(refused("\"group_size\": 32", "\"group_size\": 16").contains("weight_scale has shape"));
    assert!(refused("\"Linear\"", "\"Other\"").contains("no group has it"));
    assert!(open("{", bytes.clone()).is_err());
    for cut in [0, 7, 9, bytes.len() / 2, bytes.len() - 1] {
        assert!(open(&config, bytes[..cut].to_vec()).is_err(), "{cut}");
    }
    // Damage anywhere is an error or another number, never a panic.
    let mut key = Key::new(4);
    for _ in 0..400 {
        let [place, bits] = key.words();
        key = key.fold(1);
        let mut damaged = bytes.clone();
        let place = place as usize % damaged.len().min(900);
        damaged[place] ^= (bits as u8) | 1;
        drop(open(&config, damaged));
        let mut text = config.clone().into_bytes();
        let place = place % text.len();
        text[place] = bits as u8;
        let checkpoint = Checkpoint::from_bytes("model.safetensors", bytes.clone()).unwrap();
        drop(Folder::of(&text, checkpoint, &device));
    }
    let missing = Folder::open(folder.path().join("nowhere"), &device).unwrap_err();
    assert!(missing.to_string().contains("config.json"), "{missing}");
}

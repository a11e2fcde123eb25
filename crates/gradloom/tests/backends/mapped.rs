//! Weights that stay in their file: the same numbers as those of a file that is read, a file that is
//! never written, and errors where it was cut.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use gradloom::nn::layers::Linear;
use gradloom::nn::{LoadOptions, StateDict};
use gradloom::prelude::*;
use gradloom::weights::{Checkpoint, ReadOptions, Stored, gguf, safetensors};
use gradloom::{BlockFormat, bf16, f16};
use gradloom_zoo::{
    CausalInput, LlamaConfig, LlamaForCausalLanguageModel, ModelConfig, Pretrained,
};

use crate::devices;

#[expect(unsafe_code, reason = "what is tested is unsafe")]
fn mapped(path: &Path) -> Checkpoint {
    // SAFETY: the files are these tests' own. Where one is cut, nothing reads it in place meanwhile.
    unsafe { Checkpoint::open_mapped(path) }.unwrap()
}

/// A file in a folder that goes with it.
fn file(name: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    (folder, path)
}

/// Elements between -0.5 and 0.5.
fn numbers(count: usize) -> Vec<f32> {
    (0..count).map(|i| (i * 7919 % 997) as f32 / 997.0 - 0.5).collect()
}

fn save(path: &Path, tensors: &[(&str, &Tensor)]) {
    safetensors::save(path, tensors.iter().copied(), &BTreeMap::new()).unwrap();
}

/// Bytes of leaves that a device has left outside, made by this test alone on a device of its own.
fn outside(device: &Device) -> u64 {
    device.statistics().bytes_outside
}

fn own_cpu() -> Device {
    gradloom_cpu::CpuBackend::new(Some(2)).unwrap().into_device()
}

#[test]
fn every_kind_of_element_is_the_same_from_a_map() {
    let (_folder, path) = file("model.gguf");
    let values = numbers(37 * 64);
    let halves: Vec<f16> = values.iter().map(|&value| f16::from_f32(value)).collect();
    let short: Vec<bf16> = values.iter().map(|&value| bf16::from_f32(value)).collect();
    let bytes = |values: &[i16]| values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let cpu = Device::cpu();
    let floats = Tensor::from_slice(&values, [37, 64], &cpu).unwrap();
    let mut writer = gguf::Writer::new();
    writer.tensor("f32", &floats);
    writer.tensor("f16", &Tensor::from_slice(&halves, [37, 64], &cpu).unwrap());
    writer.tensor("bf16", &Tensor::from_slice(&short, [37, 64], &cpu).unwrap());
    writer.tensor("i32", &Tensor::from_slice(&[1, -2, 3], 3, &cpu).unwrap());
    writer.tensor("i8", &Tensor::from_slice(&[1i8, -2, 3, 4, 5], 5, &cpu).unwrap());
    writer.stored("i16", &[3], Stored::I16, bytes(&[5, -6, 7]));
    writer.tensor("q8_0", &floats.quantize(BlockFormat::Q8_0).unwrap());
    writer.tensor("q4_1", &floats.quantize(BlockFormat::Q4_1).unwrap());
    writer.save(&path).unwrap();
    // Long enough for several pieces on a GPU, and of an odd number of elements.
    let (_other, long) = file("long.safetensors");
    let count = (20 << 20) + 3;
    let tensor = Tensor::from_vec(numbers(count), count, &cpu).unwrap();
    save(&long, &[("short", &tensor.cast(DType::BF16)), ("long", &tensor)]);

    for device in devices() {
        for path in [&path, &long] {
            let (read, mapped) = (Checkpoint::open(path).unwrap(), mapped(path));
            for name in read.names() {
                let [read, mapped] = [&read, &mapped].map(|one| one.tensor(name, &device).unwrap());
                assert_eq!(read.dtype(), mapped.dtype(), "{name}");
                assert_eq!(read.is_quantized(), mapped.is_quantized(), "{name}");
                assert!(read.to_bytes().unwrap() == mapped.to_bytes().unwrap(), "{name}");
                assert_eq!(read.to_blocks().unwrap(), mapped.to_blocks().unwrap(), "{name}");
            }
        }
        let (read, mapped) = (Checkpoint::open(&path).unwrap(), mapped(&path));
        let order: Vec<usize> = (0..37).rev().chain([5, 5]).collect();
        let options = ReadOptions::new().rows(&order).floats_as_f32();
        for name in ["f32", "f16", "bf16", "q8_0"] {
            let [read, mapped] =
                [&read, &mapped].map(|one| one.tensor_with(name, &options, &device).unwrap());
            assert_eq!((read.dtype(), read.size(0)), (DType::F32, 39), "{name}");
            let (read, mapped) = (read.to_vec::<f32>().unwrap(), mapped.to_vec::<f32>().unwrap());
            assert!(read == mapped, "{name}");
            if name == "f32" {
                assert_eq!(mapped[..64], values[36 * 64..]);
            }
        }
    }
}

#[test]
fn what_is_not_asked_for_stays_in_the_file() {
    let (_folder, path) = file("model.safetensors");
    let device = own_cpu();
    let a = Tensor::from_vec(numbers(64 * 64), [64, 64], &device).unwrap();
    let half = a.cast(DType::F16);
    save(&path, &[("a", &a), ("b", &a), ("half", &half)]);
    drop((a, half));

    let checkpoint = mapped(&path);
    let before = device.statistics().bytes_in_use;
    let [a, b] = ["a", "b"].map(|name| checkpoint.tensor(name, &device).unwrap());
    let options = ReadOptions::new().floats_as_f32();
    let half = checkpoint.tensor_with("half", &options, &device).unwrap();
    assert_eq!(outside(&device), 3 * 64 * 64 * 4);
    assert_eq!(device.statistics().bytes_in_use, before);
    // In place: nothing is copied, also not by a view that is evaluated.
    assert!(a.sum(..).item().unwrap().is_finite());
    let view = b.reshape([64 * 64]);
    view.eval().unwrap();
    assert_eq!(outside(&device), 3 * 64 * 64 * 4);
    // Converted at the first use.
    assert!(half.sum(..).item().unwrap().is_finite());
    assert_eq!(outside(&device), 2 * 64 * 64 * 4);
    drop((checkpoint, a, b));
    assert_eq!(outside(&device), 64 * 64 * 4);
    drop((view, half));
    assert_eq!(outside(&device), 0);
}

#[test]
fn what_is_not_aligned_is_copied() {
    let header = r#"{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},
        "b":{"dtype":"F32","shape":[3],"data_offsets":[1,13]}}"#;
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.push(7);
    bytes.extend([1f32, 2.0, 3.0].iter().flat_map(|value| value.to_le_bytes()));
    let (_folder, path) = file("model.safetensors");
    for padding in 0..4 {
        // Some of these make the floats lie at a multiple of four.
        let mut padded = bytes.clone();
        padded.splice(8 + header.len()..8 + header.len(), vec![b' '; padding]);
        padded[..8].copy_from_slice(&((header.len() + padding) as u64).to_le_bytes());
        std::fs::write(&path, &padded).unwrap();
        for device in devices() {
            let checkpoint = mapped(&path);
            let b = checkpoint.tensor("b", &device).unwrap();
            assert_eq!((&b * 2.0).to_vec::<f32>().unwrap(), [2.0, 4.0, 6.0]);
            assert_eq!(checkpoint.tensor("a", &device).unwrap().to_vec::<u8>().unwrap(), [7]);
        }
    }
}

/// Weights after some steps, and losses.
fn trained(checkpoint: &Checkpoint, device: &Device) -> (Vec<f64>, Vec<Vec<u8>>) {
    let mut model = Linear::new(16, 4, &mut Init::new(Key::new(1), device));
    let weights: StateDict = checkpoint.tensors(device).unwrap().into_iter().collect();
    model.load_state_dict(&weights, &LoadOptions::strict()).unwrap();
    drop(weights);
    commit(&mut model).unwrap();
    let x = Tensor::from_vec(numbers(8 * 16), [8, 16], device).unwrap();
    let mut optimizer = AdamW::new(0.01);
    let mut losses = Vec::new();
    for _ in 0..5 {
        let mut loss = model.forward(&x, &mut Context::train(Key::new(2))).square().mean(..);
        let gradients = gradients(&loss, &model);
        optimizer.step(&gradients, &mut model);
        drop(gradients);
        commit((&mut model, &mut optimizer, &mut loss)).unwrap();
        losses.push(loss.item().unwrap());
    }
    let parameters = model.parameters();
    (losses, parameters.iter().map(|(_, parameter)| parameter.to_bytes().unwrap()).collect())
}

#[test]
fn training_from_a_map_leaves_the_file_as_it_was() {
    let (_folder, path) = file("model.safetensors");
    let cpu = Device::cpu();
    let weight = Tensor::from_vec(numbers(64), [4, 16], &cpu).unwrap();
    let bias = Tensor::from_vec(numbers(4), 4, &cpu).unwrap();
    save(&path, &[("weight", &weight), ("bias", &bias)]);
    let bytes = std::fs::read(&path).unwrap();
    for device in devices() {
        let read = trained(&Checkpoint::open(&path).unwrap(), &device);
        let from_map = trained(&mapped(&path), &device);
        assert_eq!(read, from_map, "{}", device.name());
        assert!(read.0[4] < read.0[0]);

        // Updates that nobody else would keep from the memory of the leaf.
        let mut data = mapped(&path).tensor("weight", &device).unwrap();
        for _ in 0..2 {
            let start = Tensor::from_slice(&[3, 1, 0, 2], 4, &device).unwrap();
            data = data.write(1, &start, &Tensor::full([4, 1], 9.0, DType::F32, &device));
            commit(&mut data).unwrap();
        }
        assert_eq!(data.to_vec::<f32>().unwrap().iter().filter(|&&value| value == 9.0).count(), 4);
        let mut data = mapped(&path).tensor("bias", &device).unwrap();
        for _ in 0..2 {
            data = &data + 1.0;
            commit(&mut data).unwrap();
        }
        assert!((data.to_vec::<f32>().unwrap()[0] - 1.5).abs() < 1e-6);
        assert!(std::fs::read(&path).unwrap() == bytes, "{} wrote to the file", device.name());
    }
}

#[test]
fn a_file_that_was_cut_is_an_error_of_the_op_that_reads_it() {
    let (_folder, path) = file("model.safetensors");
    let weight = Tensor::from_vec(numbers(64 * 64), [64, 64], &Device::cpu()).unwrap();
    let counts = Tensor::from_slice(&[1, 2], 2, &Device::cpu()).unwrap();
    save(&path, &[("weight", &weight), ("counts", &counts)]);
    let bytes = std::fs::read(&path).unwrap();
    for device in devices() {
        std::fs::write(&path, &bytes).unwrap();
        let checkpoint = mapped(&path);
        let weight = checkpoint.tensor("weight", &device).unwrap();
        let x = Tensor::ones([2, 64], DType::F32, &device);
        let (product, line) = (x.matmul(&weight), line!());
        let cut = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
        cut.set_len(4096).unwrap();
        let error = product.eval().unwrap_err().to_string();
        let name = device.name();
        let device_name = name.split(':').next().unwrap();
        let place = format!("mapped.rs:{line}:");
        for part in ["matmul of shape", &place, device_name, "model.safetensors was cut to 4096"] {
            assert!(error.contains(part), "{name}: {error}\ndoes not say {part:?}");
        }
        let error = weight.to_vec::<f32>().unwrap_err().to_string();
        assert!(error.contains("was cut") && error.contains("mapped.rs"), "{error}");
        let error = weight.reshape([64 * 64]).to_vec::<f32>().unwrap_err().to_string();
        assert!(error.contains("was cut") && error.contains("reshape"), "{error}");
        let mut owned = weight.clone() * 2.0;
        assert!(commit(&mut owned).is_err());

        // The evaluation has left everything as it was, and the device goes on.
        std::fs::write(&path, &bytes).unwrap();
        let sum = product.sum(..).item().unwrap();
        let expected = 2.0 * numbers(64 * 64).iter().map(|&value| f64::from(value)).sum::<f64>();
        assert!((sum - expected).abs() < 1e-2, "{name}: {sum} instead of {expected}");
    }
    // What a truncated file cannot give at all is an error at opening, as for one that is read.
    std::fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
    #[expect(unsafe_code, reason = "what is tested is unsafe")]
    // SAFETY: nobody writes to the file.
    let error = unsafe { Checkpoint::open_mapped(&path) }.unwrap_err();
    assert!(error.is_malformed(), "{error}");
}

#[test]
fn a_mapped_model_gives_the_same_logits() {
    let config = LlamaConfig::from_json(
        r#"{"vocab_size": 40, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
            "num_attention_heads": 4, "num_key_value_heads": 2}"#,
    )
    .unwrap();
    let cpu = Device::cpu();
    let init = &mut Init::new(Key::new(3), &cpu);
    let mut model = LlamaForCausalLanguageModel::new(&config, init).unwrap();
    commit(&mut model).unwrap();
    let [(_first, plain), (_second, halves), (_third, blocks)] =
        ["plain.safetensors", "halves.safetensors", "blocks.gguf"].map(file);
    model.save(&plain).unwrap();
    let dict = model.state_dict();
    let short: Vec<(&str, Tensor)> =
        dict.iter().map(|(name, tensor)| (name, tensor.cast(DType::BF16))).collect();
    let short: Vec<(&str, &Tensor)> = short.iter().map(|(name, tensor)| (*name, tensor)).collect();
    save(&halves, &short);
    let mut writer = gguf::Writer::new();
    for (name, tensor) in dict.iter() {
        let quantized = tensor.rank() == 2;
        let tensor =
            if quantized { tensor.quantize(BlockFormat::Q8_0).unwrap() } else { tensor.clone() };
        writer.tensor(name, &tensor);
    }
    writer.save(&blocks).unwrap();
    for device in devices() {
        let tokens = Tensor::from_slice(&[1, 30, 7, 12], [1, 4], &device).unwrap();
        for path in [&plain, &halves, &blocks] {
            let logits = |checkpoint: Checkpoint| {
                type Model = LlamaForCausalLanguageModel;
                let model = Model::from_checkpoint(&config, &checkpoint, &device).unwrap();
                drop(checkpoint);
                let input = CausalInput::new(&tokens);
                let logits = model.forward(&input, &mut Context::eval()).logits;
                logits.to_vec::<f32>().unwrap()
            };
            let (read, from_map) = (logits(Checkpoint::open(path).unwrap()), logits(mapped(path)));
            assert!(read == from_map, "{}: {}", device.name(), path.display());
        }
    }
}

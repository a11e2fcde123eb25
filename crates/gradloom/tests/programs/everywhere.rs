//! On every device: a run that is stopped and goes on ends with the same bits, and the first NaN is named.

use gradloom::data::{Loader, TensorDataset};
use gradloom::nn::layers::{BatchNorm, Dropout, Linear};
use gradloom::prelude::*;
use gradloom::train::callbacks::EachEpoch;
use gradloom::train::metrics::Accuracy;
use gradloom::train::{Ema, Outcome, Precision, Progress, Run, TrainStep};

fn devices() -> Vec<Device> {
    let gpus = Device::gpus();
    let required = std::env::var_os("GRADLOOM_REQUIRE_GPU").is_some_and(|value| value == "1");
    assert!(!gpus.is_empty() || !required, "GRADLOOM_REQUIRE_GPU=1, but there is no GPU adapter");
    if gpus.is_empty() {
        eprintln!("SKIPPED on GPUs: no adapter found; install a Vulkan driver to run this test");
    }
    std::iter::once(Device::cpu()).chain(gpus).collect()
}

/// Epochs of a run in a folder, up to one at which it is stopped.
fn run(folder: &std::path::Path, device: &Device, stop: u32) -> Result<Vec<u8>> {
    let inputs: Vec<f32> = (0..150).map(|place| (place * 37 % 101) as f32 / 50.0 - 1.0).collect();
    let targets = inputs.chunks(3).map(|row| i32::from(row[0] + row[1] > 0.1)).collect::<Vec<_>>();
    let dataset = TensorDataset::from_rows([50, 3], inputs, [50], targets)?;
    let loader = Loader::rows(dataset).batch_size(8).shuffle(Key::new(4)).workers(2);
    let init = &mut Init::new(Key::new(2), device);
    let model = Sequential::new()
        .with(Linear::new(3, 16, init))
        .with(BatchNorm::new(16, init))
        .with(Activation::Relu)
        .with(Dropout::new(0.1))
        .with(Linear::new(16, 2, init));
    let stops = EachEpoch::new("stops", move |run: &mut Run<Sequential>| {
        if run.epoch == stop {
            run.stop("here");
        }
        Ok(())
    });
    let checkpoints = Checkpoints::in_folder(folder).best("val_loss").every_steps(1).resume(true);
    let last = checkpoints.last_file();
    let mut trainer = Trainer::new(model, AdamW::new(0.01), Tensor::cross_entropy)
        .epochs(4)
        .accumulate(2)
        .clip_norm(1.0)
        .precision(Precision::Bf16)
        .ema(Ema::new(0.9))
        .metric(Accuracy::new())
        .callback(stops)
        .checkpoints(checkpoints)
        .progress(Progress::Silent);
    let fit = trainer.fit(&loader, &loader)?;
    let losses = fit.history.curve("loss");
    assert!(losses.iter().all(|loss| loss.is_finite()), "{losses:?}");
    Ok(std::fs::read(last)?)
}

#[test]
fn a_run_goes_on_with_the_same_bits_on_every_device() {
    for device in devices() {
        let folders = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let whole = run(folders[0].path(), &device, 9).unwrap();
        for stop in [0, 2, 9] {
            let state = run(folders[1].path(), &device, stop).unwrap();
            assert!((state == whole) == (stop == 9), "{}: stopped after {stop}", device.name());
        }
    }
}

#[test]
fn the_op_and_line_of_the_first_nan_are_named_on_every_device() {
    for device in devices() {
        let mut model = Linear::new(3, 1, &mut Init::new(Key::new(1), &device));
        let before = model.weight.to_vec::<f32>().unwrap();
        let x = Tensor::ones([4, 3], DType::F32, &device);
        let (mut optimizer, mut ctx) = (AdamW::new(0.1), Context::train(Key::new(0)));
        let line = line!() + 2;
        let run = |model: &Linear, ctx: &mut Context| {
            Ok(Outcome::new((model.forward(&x, ctx).abs() - 1e3).sqrt().mean(..), 4))
        };
        let error = TrainStep::new().run(&mut model, &mut optimizer, &mut ctx, run).unwrap_err();
        let place = format!("everywhere.rs:{line}");
        let message = error.to_string();
        assert!(error.is_not_finite() && message.contains("made by sqrt at"), "{message}");
        assert!(message.contains(&place), "{}: {message} lacks {place}", device.name());
        assert_eq!(model.weight.to_vec::<f32>().unwrap(), before);
    }
}

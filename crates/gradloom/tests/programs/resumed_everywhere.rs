//! A run that is stopped and goes on ends with the same bits, on every device.

use gradloom::data::{Loader, TensorDataset};
use gradloom::nn::layers::{BatchNorm, Dropout, Linear};
use gradloom::prelude::*;
use gradloom::train::callbacks::EachEpoch;
use gradloom::train::metrics::Accuracy;
use gradloom::train::{Ema, Precision, Progress, Run};

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

//! Checkpoints that do not fit, are damaged, or cannot be written.

use std::path::Path;
use std::process::Command;

use gradloom_data::{Loader, TensorDataset};
use gradloom_nn::layers::Linear;
use gradloom_nn::{
    AdamW, Init, Layer, LoadOptions, ModuleExt, Optimizer, Sequential, Sgd, StateDict,
};
use gradloom_tensor::{Key, Result, Tensor};
use gradloom_train::metrics::Mean;
use gradloom_train::{Checkpoints, Ema, Precision, Progress, Supervised, Trainer, checkpoint};

use crate::runs::files;

type Mse = Supervised<fn(&Tensor, &Tensor) -> Tensor>;

fn mse(outputs: &Tensor, targets: &Tensor) -> Tensor {
    outputs.mse_loss(targets)
}

fn model(width: usize) -> Linear {
    Linear::new(3, width, &mut Init::new(Key::new(1), &gradloom_cpu::device()))
}

fn trainer<M, O>(model: M, optimizer: O, folder: &Path) -> Trainer<M, O, Mse>
where
    M: Layer + Clone,
    O: Optimizer,
{
    Trainer::new(model, optimizer, mse as fn(&Tensor, &Tensor) -> Tensor)
        .epochs(2)
        .checkpoints(Checkpoints::in_folder(folder).resume(true))
        .progress(Progress::Silent)
}

fn fit<M: Layer + Clone, O: Optimizer>(
    mut trainer: Trainer<M, O, Mse>,
    width: usize,
    batch_size: usize,
) -> Result<()> {
    let inputs: Vec<f32> = (0..30).map(|number| (number % 7) as f32).collect();
    let targets = vec![1f32; 10 * width];
    let dataset = TensorDataset::from_rows([10, 3], inputs, [10, width], targets)?;
    trainer.fit_train(&Loader::rows(dataset).batch_size(batch_size)).map(drop)
}

#[test]
fn a_checkpoint_of_another_run_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    fit(trainer(model(2), Sgd::new(0.1).momentum(0.9), at), 2, 5).unwrap();
    let before = files(at);
    let sgd = || Sgd::new(0.1).momentum(0.9);
    let cases = [
        (
            fit(trainer(model(4), sgd(), at), 4, 5),
            "of another model: load: weight has shape [2, 3], the model's has [4, 3]",
        ),
        (fit(trainer(Sequential::new().with(model(2)), sgd(), at), 2, 5), "0.weight"),
        (
            fit(trainer(model(2), AdamW::new(0.1), at), 2, 5),
            "optimizer: \"Sgd\" in the checkpoint, \"AdamW\" in this run",
        ),
        (fit(trainer(model(2), sgd(), at), 2, 2), "in batches of 5"),
        (
            fit(trainer(model(2), sgd(), at).ema(Ema::new(0.9)), 2, 5),
            "ema: false in the checkpoint, true in this run",
        ),
        (fit(trainer(model(2), sgd(), at).accumulate(2), 2, 5), "accumulated batches"),
        (
            fit(trainer(model(2), sgd(), at).precision(Precision::Bf16), 2, 5),
            "precision: \"full precision\"",
        ),
        (fit(trainer(model(2), sgd(), at).metric(Mean::new("mae", mse)), 2, 5), "the metrics []"),
        (
            // Another option of the same optimizer remembers other things.
            fit(trainer(model(2), Sgd::new(0.1), at), 2, 5),
            "unexpected bias.momentum_buffer",
        ),
    ];
    for (going_on, part) in cases {
        let message = going_on.unwrap_err().to_string();
        assert!(message.contains(part), "{message}\nlacks {part}");
        assert!(message.contains("last.safetensors"), "{message}");
    }
    assert!(before == files(at));
    fit(trainer(model(2), sgd(), at).epochs(3), 2, 5).unwrap();
}

#[test]
fn damaged_files_and_other_versions_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (at, last) = (folder.path(), folder.path().join("last.safetensors"));
    let go_on = || fit(trainer(model(2), Sgd::new(0.1).momentum(0.9), at), 2, 5);
    go_on().unwrap();
    let whole = std::fs::read(&last).unwrap();
    for length in [0, 7, 8, 100, whole.len() / 2, whole.len() - 1] {
        std::fs::write(&last, &whole[..length]).unwrap();
        let message = go_on().unwrap_err().to_string();
        assert!(message.contains("last.safetensors"), "{length} bytes: {message}");
    }
    let replaced = |from: &str, to: &str| {
        assert_eq!(from.len(), to.len());
        let place = whole.windows(from.len()).position(|w| w == from.as_bytes()).unwrap();
        let mut bytes = whole.clone();
        bytes[place..place + to.len()].copy_from_slice(to.as_bytes());
        std::fs::write(&last, bytes).unwrap();
        go_on().unwrap_err().to_string()
    };
    let message = replaced("\\\"version\\\":1", "\\\"version\\\":2");
    assert!(message.contains("version 2 of the format"), "{message}");
    let message = replaced("gradloom_training", "gradloom_drainage");
    assert!(message.contains("no checkpoint of a training run"), "{message}");
    let message = replaced("\\\"drawn\\\"", "\\\"drown\\\"");
    assert!(message.contains("drawn of context is missing"), "{message}");
    // Any byte of the header changed: an error or another number, never a panic.
    let header = 8 + u64::from_le_bytes(whole[..8].try_into().unwrap()) as usize;
    for place in 8..header {
        let mut bytes = whole.clone();
        bytes[place] ^= 1 << (place % 8);
        std::fs::write(&last, bytes).unwrap();
        let _ = go_on();
    }
}

#[test]
fn the_weights_of_a_checkpoint_are_read_alone() {
    let folder = tempfile::tempdir().unwrap();
    let ema = Ema::new(0.5);
    let mut trainer = trainer(model(2), Sgd::new(0.1), folder.path()).ema(ema);
    let dataset = TensorDataset::from_rows([4, 3], vec![1f32; 12], [4, 2], vec![3f32; 8]).unwrap();
    trainer.fit_train(&Loader::rows(dataset).batch_size(2)).unwrap();
    let (last, device) = (folder.path().join("last.safetensors"), gradloom_cpu::device());
    let values = |weights: &StateDict| weights.get("bias").unwrap().to_vec::<f32>().unwrap();
    let weights = checkpoint::model_weights(&last, &device).unwrap();
    assert_eq!(values(&weights), trainer.model.bias.as_ref().unwrap().to_vec::<f32>().unwrap());
    let mut other = model(2);
    other.load_state_dict(&weights, &LoadOptions::strict()).unwrap();
    let averaged = checkpoint::averaged_weights(&last, &device).unwrap().unwrap();
    let measured = trainer.measured_model().bias.unwrap().to_vec::<f32>().unwrap();
    assert_eq!(values(&averaged), measured);
    assert!(values(&averaged) != values(&weights));
    let plain = folder.path().join("plain.safetensors");
    other.save(&plain).unwrap();
    let message = checkpoint::model_weights(&plain, &device).unwrap_err().to_string();
    assert!(message.contains("no checkpoint of a training run"), "{message}");
}

#[test]
fn what_killed_runs_left_half_written_is_removed_and_a_second_run_is_kept_out() {
    let folder = tempfile::tempdir().unwrap();
    let left = folder.path().join(".gradloom-0123456789abcdef");
    std::fs::write(&left, b"half").unwrap();
    fit(trainer(model(2), Sgd::new(0.1), folder.path()), 2, 5).unwrap();
    assert!(!left.exists());
    let lock = std::fs::File::open(folder.path().join(".training-lock")).unwrap();
    lock.lock().unwrap();
    let message = fit(trainer(model(2), Sgd::new(0.1), folder.path()), 2, 5).unwrap_err();
    assert!(message.to_string().contains("another run writes to"), "{message}");
}

#[test]
fn a_folder_that_cannot_be_written_is_an_error_before_the_first_step() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, b"no folder").unwrap();
    let message = fit(trainer(model(2), Sgd::new(0.1), &file), 2, 5).unwrap_err().to_string();
    assert!(message.contains("file") && message.contains("checkpoint"), "{message}");
    assert_eq!(std::fs::read(&file).unwrap(), b"no folder");
}

#[cfg(unix)]
#[test]
fn a_folder_that_becomes_read_only_keeps_its_checkpoint() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    fit(trainer(model(2), Sgd::new(0.1), at), 2, 5).unwrap();
    let before = files(at);
    let rights = |mode| std::fs::set_permissions(at, std::fs::Permissions::from_mode(mode));
    rights(0o555).unwrap();
    // Whoever may do everything is not kept out by rights; the test of full disks holds for them.
    let kept_out = std::fs::write(at.join("probe"), b"").is_err();
    if kept_out {
        let going_on = fit(trainer(model(2), Sgd::new(0.1), at).epochs(4), 2, 5);
        let message = going_on.unwrap_err().to_string();
        assert!(message.contains("checkpoint") && message.contains("ermission"), "{message}");
        assert!(before == files(at));
    }
    rights(0o755).unwrap();
    let _ = std::fs::remove_file(at.join("probe"));
    fit(trainer(model(2), Sgd::new(0.1), at).epochs(4), 2, 5).unwrap();
}

/// The folder of the run of the child process whose files may not grow.
const FOLDER: &str = "GRADLOOM_TEST_FULL_FOLDER";

/// Not a test by itself: the run of a child process.
#[test]
fn the_run_on_a_full_disk() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let going_on = fit(trainer(model(2), Sgd::new(0.1), Path::new(&folder)).epochs(9), 2, 5);
    println!("error: {}", going_on.unwrap_err());
}

#[cfg(unix)]
#[test]
fn a_full_disk_is_an_error_and_keeps_the_older_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    fit(trainer(model(2), Sgd::new(0.1), folder.path()), 2, 5).unwrap();
    let before = files(folder.path());
    // A limit on the size of files fails writes in their middle, as a full disk does.
    let child = Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 1; exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "damage::the_run_on_a_full_disk", "--nocapture"])
        .env(FOLDER, folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stdout).into_owned();
    assert!(child.status.success(), "{said}{}", String::from_utf8_lossy(&child.stderr));
    assert!(said.contains("error: checkpoint: ") && said.contains("too large"), "{said}");
    assert!(before == files(folder.path()));
}

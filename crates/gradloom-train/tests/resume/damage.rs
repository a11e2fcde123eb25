//! Checkpoints that do not fit, are damaged, or cannot be written.

use std::path::Path;
use std::process::Command;

use gradloom_data::tensor_dataset::{CollateRows, TensorRow};
use gradloom_data::{Loader, TensorDataset};
use gradloom_nn::layers::Linear;
use gradloom_nn::{
    AdamW, Init, Layer, LoadOptions, ModuleExt, Optimizer, Schedule, Sequential, Sgd, StateDict,
};
use gradloom_tensor::{Key, Result, Tensor};
use gradloom_train::metrics::Mean;
use gradloom_train::{
    Callback, Checkpoints, EarlyStopping, Ema, LossScaler, Precision, Progress, Supervised,
    Trainer, checkpoint,
};

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
            "optimizer.kind: Sgd in the checkpoint, AdamW in this run; \"optimizer.kind\" cannot become another",
        ),
        (fit(trainer(model(2), sgd(), at), 2, 2), "in batches of 5"),
        (
            fit(trainer(model(2), sgd(), at).ema(Ema::new(0.9)), 2, 5),
            "ema: none in the checkpoint, {\"decay\":\"0.9\",\"warmup\":true} in this run; \"ema\" cannot",
        ),
        (fit(trainer(model(2), sgd(), at).metric(Mean::new("mae", mse)), 2, 5), "the metrics []"),
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
    let message = replaced("\\\"version\\\":2", "\\\"version\\\":3");
    assert!(message.contains("version 3 of the format"), "{message}");
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

/// What the other run has, one setting after another, and how it is told.
#[test]
fn other_hyper_parameters_are_refused_by_name_unless_they_are_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let sgd = || Sgd::new(0.1).momentum(0.9);
    let decays = |name: &str, _: &gradloom_nn::Parameter| name != "bias";
    let schedule = || Schedule::cosine(0.1, 9);
    let stopping = |epochs| EarlyStopping::new("loss").patience(epochs);
    let scaler = || LossScaler::default().growth_interval(7);
    let first = || {
        trainer(model(2), sgd().weight_decay(0.01), at)
            .schedule(schedule())
            .ema(Ema::new(0.9))
            .scaler(scaler())
            .callback(stopping(4))
    };
    fit(first(), 2, 5).unwrap();
    let before = files(at);
    let with = |optimizer: Sgd| {
        let mut run = first();
        run.optimizer = optimizer;
        run
    };
    let cases: Vec<(Trainer<Linear, Sgd, Mse>, &str, &str)> = vec![
        (with(sgd()), "optimizer.weight_decay", "0.01 in the checkpoint, 0.0 in this run"),
        (with(sgd().weight_decay(0.01).nesterov(true)), "optimizer.nesterov", "false in the"),
        (with(sgd().weight_decay(0.01).dampening(0.5)), "optimizer.dampening", "0.5 in this run"),
        (with(sgd().weight_decay(0.01).maximize(true)), "optimizer.maximize", "true in this run"),
        (
            with(sgd().weight_decay(0.01).decay_only(decays)),
            "optimizer.no_decay",
            "bias in this run",
        ),
        (
            with(sgd().weight_decay(0.01).rate_factor(|_| 0.5)),
            "optimizer.rate_factors",
            "weight 0.5, bias 0.5 in this run",
        ),
        (first().schedule(Schedule::cosine(0.1, 10)), "schedule", "steps: 10"),
        (first().ema(Ema::new(0.99)), "ema.decay", "0.9 in the checkpoint, 0.99 in this run"),
        (first().ema(Ema::new(0.9).without_warmup()), "ema.warmup", "true in the checkpoint"),
        (first().scaler(scaler().growth(4.0)), "scaler.growth", "2.0 in the checkpoint, 4.0"),
        (first().scaler(scaler().initial(8.0)), "scaler.initial", "65536.0 in the checkpoint, 8.0"),
        (first().accumulate(2), "accumulate", "1 in the checkpoint, 2 in this run"),
        (first().clip_norm(1.0), "clip_norm", "none in the checkpoint, 1.0 in this run"),
        (first().clip_value(1.0), "clip_value", "none in the checkpoint, 1.0 in this run"),
        (first().precision(Precision::Bf16).scaler(scaler()), "precision", "full precision in the"),
        (first().key(Key::new(5)), "key", "in the checkpoint"),
        (first().batches_per_epoch(1), "batches_per_epoch", "none in the checkpoint, 1 in"),
    ];
    let mut seen = 0;
    for (changed, name, part) in cases {
        let message = fit(changed.epochs(3), 2, 5).unwrap_err().to_string();
        assert!(message.contains(&format!("{name}: ")) && message.contains(part), "{message}");
        let todo = format!("to go on with what this run says, call accept_changes([\"{name}\"])");
        assert!(message.ends_with(&todo), "{message}");
        seen += 1;
    }
    assert_eq!(seen, 17);
    assert!(before == files(at));
    let accepted = with(sgd().weight_decay(0.5))
        .callback(Quiet)
        .ema(Ema::new(0.99))
        .accept_changes(["optimizer", "ema.decay"]);
    fit(accepted.epochs(3), 2, 5).unwrap();
    let message = fit(first().accept_changes(["optimiser"]), 2, 5).unwrap_err().to_string();
    let said = "accept_changes: there is no setting \"optimiser\"; there are ";
    assert!(
        message.contains(said) && message.contains("optimizer.momentum, optimizer"),
        "{message}"
    );
}

/// Changes nothing, so it may come and go.
struct Quiet;

impl<M> Callback<M> for Quiet {
    fn name(&self) -> String {
        "quiet".into()
    }
}

#[test]
fn other_callbacks_augmentation_and_learning_rates_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let plain = || trainer(model(2), Sgd::new(0.1), at);
    let rows =
        || TensorDataset::from_rows([10, 3], vec![0.5f32; 30], [10, 2], vec![1f32; 20]).unwrap();
    let kept = || {
        let keep = |row: TensorRow, _: Key| -> Result<TensorRow> { Ok(row) };
        Loader::new(rows(), keep, CollateRows).batch_size(5)
    };
    let mut run = plain().callback(EarlyStopping::new("loss").patience(4));
    run.fit_train(&kept()).unwrap();
    let go_on = |mut run: Trainer<Linear, Sgd, Mse>| {
        run.fit_train(&kept()).map(drop).map_err(|error| error.to_string())
    };
    let message = go_on(plain()).unwrap_err();
    assert!(
        message.contains("callbacks.early stopping: {") && message.contains("none in this run"),
        "{message}"
    );
    let message = go_on(plain().callback(EarlyStopping::new("loss").patience(5))).unwrap_err();
    assert!(
        message.contains("callbacks.early stopping.patience: 4 in the checkpoint, 5"),
        "{message}"
    );
    let same = || EarlyStopping::new("loss").patience(4);
    let slower = trainer(model(2), Sgd::new(0.01), at).callback(same());
    let message = go_on(slower).unwrap_err();
    assert!(
        message.contains("learning_rate: 0.1 in the checkpoint, 0.01 in this run"),
        "{message}"
    );
    let mut other = plain().callback(same());
    let message = other.fit_train(&Loader::rows(rows()).batch_size(5)).unwrap_err().to_string();
    assert!(message.contains("preparation: ") && message.contains("Identity"), "{message}");
    let slower = trainer(model(2), Sgd::new(0.01), at).callback(same());
    let mut slower = slower.accept_changes(["learning_rate"]).epochs(3);
    slower.fit_train(&kept()).unwrap();
    assert_eq!(slower.optimizer.learning_rate(), 0.01);
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

//! What a stranger may hand to a trainer: each is an error that says what and where, or is harmless; none panics.

use std::time::Duration;

use gradloom_data::{Loader, TensorDataset};
use gradloom_nn::{AdamW, Plateau, Schedule, Sgd};
use gradloom_train::metrics::{Accuracy, roc_auc};
use gradloom_train::{Checkpoints, EarlyStopping, Fit, Result, Swa};

use crate::sets::{Classifier, Rows, plain, trainer};

/// Eight rows of three numbers, with labels.
fn labelled(numbers: impl Fn(usize) -> f32, labels: impl Fn(usize) -> i32) -> Rows {
    let inputs: Vec<f32> = (0..24).map(numbers).collect();
    let targets: Vec<i32> = (0..8).map(labels).collect();
    Loader::rows(TensorDataset::from_rows([8, 3], inputs, [8], targets).unwrap()).batch_size(4)
}

fn fit() -> Classifier<AdamW> {
    trainer(plain(), AdamW::new(0.01)).epochs(2)
}

#[track_caller]
fn told(result: Result<Fit>, parts: &[&str]) {
    let message = result.unwrap_err().to_string();
    println!("{message}");
    for part in parts {
        assert!(message.contains(part), "{message}\nlacks {part}");
    }
}

#[test]
fn strange_data_is_told_by_batch() {
    let sound = || labelled(|place| place as f32 / 24.0, |row| (row % 2) as i32);
    let nan = labelled(|place| if place == 20 { f32::NAN } else { 0.5 }, |row| (row % 2) as i32);
    told(
        fit().fit(&nan, &sound()),
        &["epoch 0, batch 1, step 1", "an input of the step holds NaN", "clean the data"],
    );
    let infinite = labelled(|place| if place == 2 { f32::INFINITY } else { 0.5 }, |_| 1);
    // The network's bounded activation hides it from the loss, so its own step is only found by its gradients.
    told(fit().fit(&infinite, &sound()), &["epoch 0, batch 1", "check_gradients"]);
    let checked = fit().check_gradients(true).fit(&infinite, &sound());
    told(checked, &["epoch 0, batch 0, step 0", "is not finite"]);
    let outside = labelled(|_| 0.5, |row| if row == 6 { 2 } else { 1 });
    told(fit().fit(&outside, &sound()), &["epoch 0, batch 1", "cross_entropy", "2"]);
    told(fit().fit(&sound(), &outside), &["validation of epoch 0", "2"]);
    let negative = labelled(|_| 0.5, |row| if row == 6 { -1 } else { 1 });
    told(fit().fit(&negative, &sound()), &["epoch 0, batch 1", "-1"]);
    // A loss that is not finite for validation alone does not end a run; its figure says so.
    let history = fit().fit(&sound(), &nan).unwrap().history;
    assert!(history.last("val_loss").unwrap().is_nan());
}

#[test]
fn one_class_alone_is_learnt_and_what_is_undefined_is_nan() {
    let alone = || labelled(|place| place as f32 / 24.0, |_| 1);
    let mut fitted = fit().metric(Accuracy::new());
    assert!(fitted.fit(&alone(), &alone()).unwrap().history.last("val_accuracy").unwrap() >= 0.0);
    let column = |row: usize| if row == usize::MAX { 0.0 } else { 1.0f32 };
    let inputs: Vec<f32> = (0..24).map(|place| place as f32 / 24.0).collect();
    let targets: Vec<f32> = (0..8).map(column).collect();
    let dataset = TensorDataset::from_rows([8, 3], inputs, [8, 1], targets).unwrap();
    let device = gradloom_cpu::device();
    let init = &mut gradloom_nn::Init::new(gradloom_tensor::Key::new(0), &device);
    let model = gradloom_nn::layers::Linear::new(3, 1, init);
    let loss = |x: &gradloom_tensor::Tensor, y: &gradloom_tensor::Tensor| x.bce_with_logits(y);
    let mut fitted = gradloom_train::Trainer::new(model, Sgd::new(0.1), loss)
        .metric(roc_auc())
        .progress(gradloom_train::Progress::Silent);
    let history = fitted.fit_train(&Loader::rows(dataset).batch_size(4)).unwrap().history;
    let names: Vec<&str> =
        history.records[0].scalars.iter().map(|(name, _)| name.as_str()).collect();
    assert!(history.records[0].scalars.iter().any(|(_, value)| value.is_nan()), "{names:?}");
}

#[test]
fn strange_settings_are_told_before_the_first_step_or_harmless() {
    let sound = || labelled(|place| place as f32 / 24.0, |row| (row % 2) as i32);
    told(fit().epochs(0).fit_train(&sound()), &["0 epochs"]);
    told(fit().steps(0).fit_train(&sound()), &["0 epochs or steps"]);
    told(fit().batches_per_epoch(0).fit_train(&sound()), &["0 batches per epoch"]);
    told(
        fit().callback(EarlyStopping::new("vall_loss")).fit(&sound(), &sound()),
        &["vall_loss", "val_loss"],
    );
    told(
        fit().callback(EarlyStopping::new("val_loss")).fit_train(&sound()),
        &["val_loss", "there are loss"],
    );
    let plateau = fit().plateau(Plateau::new(0.1), "acuracy");
    told({ plateau }.fit_train(&sound()), &["acuracy"]);
    let twice = fit().metric(Accuracy::new()).metric(Accuracy::new());
    told({ twice }.fit_train(&sound()), &["two figures are called \"accuracy\""]);
    told(
        fit().resume_from("no/such/file.safetensors").fit_train(&sound()),
        &["no/such/file.safetensors"],
    );
    let folder = tempfile::tempdir().unwrap();
    told(fit().resume_from(folder.path()).fit_train(&sound()), &["checkpoint"]);
    let both = fit().schedule(Schedule::constant(0.1)).plateau(Plateau::new(0.1), "loss");
    told({ both }.fit_train(&sound()), &["a schedule and a plateau"]);
    // An infinite learning rate spoils the weights in its first step, and the second says so.
    let mut wild = trainer(plain(), Sgd::new(f64::INFINITY)).epochs(2);
    told(wild.fit_train(&sound()), &["step 1", "in the weight ", "lower the learning rate"]);
    // No time at all is one step, which is saved.
    let files = Checkpoints::in_folder(folder.path());
    let mut hurried = fit().time_budget(Duration::ZERO).checkpoints(files.clone());
    let ended = hurried.fit_train(&sound()).unwrap();
    assert_eq!((ended.steps, files.last_file().exists()), (1, true));
    assert!(ended.stopped.unwrap().contains("time limit"));
    // More batches than an epoch has are one step an epoch.
    assert_eq!(fit().accumulate(1000).fit_train(&sound()).unwrap().steps, 2);
    // Averages that never begin leave the model as it is.
    assert_eq!(fit().swa(Swa::from_epoch(9)).fit_train(&sound()).unwrap().steps, 4);
    assert_eq!(fit().steps(1).epochs(5).fit_train(&sound()).unwrap().steps, 1);
}

//! Where runs end: in the middle of an epoch, of a set that ends before it said, with averages; and what is
//! measured and saved then.

use gradloom_nn::layers::{BatchNorm, Linear};
use gradloom_nn::{Context, Init, Layer, ModuleExt, Sequential, Sgd};
use gradloom_tensor::{DType, Key, Tensor};
use gradloom_train::metrics::{Accuracy, Mean, MultilabelF1};
use gradloom_train::{
    Batches, Checkpoints, EarlyStopping, Ema, Metric, Mode, Monitor, Outcome, Result, Swa,
    TrainStep, checkpoint,
};

use crate::sets::{close, network, plain, rows, trainer, weights};

/// A set whose number of batches is said to be this.
struct Said {
    rows: crate::sets::Rows,
    count: Option<usize>,
}

impl Batches for Said {
    type Batch = gradloom_data::tensor_dataset::RowBatch;

    fn batch_count(&self) -> Option<usize> {
        self.count
    }

    fn sample_count(&self) -> Option<usize> {
        None
    }

    fn batches(&self, epoch: u32, first: usize) -> impl Iterator<Item = Result<Self::Batch>> {
        self.rows.epoch_from(epoch, first)
    }

    fn order(&self) -> String {
        "said".into()
    }
}

#[test]
fn the_state_after_the_last_of_so_many_steps_is_saved() {
    let folder = tempfile::tempdir().unwrap();
    let at = || Checkpoints::in_folder(folder.path()).resume(true);
    // Epochs of five steps: the seventh is in the middle of the second.
    let mut first = trainer(plain(), Sgd::new(0.1)).steps(7).checkpoints(at());
    first.fit_train(&rows(40)).unwrap();
    let device = gradloom_cpu::device();
    let saved = checkpoint::model_weights(at().last_file(), &device).unwrap();
    let saved: Vec<f32> =
        saved.iter().flat_map(|(_, weight)| weight.to_vec::<f32>().unwrap()).collect();
    let mut own: Vec<(String, Vec<f32>)> = Vec::new();
    for (name, weight) in first.model.parameters() {
        own.push((name, weight.to_vec().unwrap()));
    }
    own.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(saved, own.into_iter().flat_map(|(_, weight)| weight).collect::<Vec<f32>>());
    let mut rest = trainer(plain(), Sgd::new(0.1)).steps(12).checkpoints(at());
    rest.fit_train(&rows(40)).unwrap();
    let mut whole = trainer(plain(), Sgd::new(0.1)).steps(12);
    whole.fit_train(&rows(40)).unwrap();
    assert_eq!(weights(&rest.model), weights(&whole.model));
}

#[test]
fn a_set_that_ends_before_its_most_batches_ends_with_a_step() {
    let fit = |count, most| {
        let mut fitted = trainer(plain(), Sgd::new(0.1)).epochs(2).accumulate(2);
        if let Some(most) = most {
            fitted = fitted.batches_per_epoch(most);
        }
        let fit = fitted.fit_train(&Said { rows: rows(40), count })?;
        Ok::<_, gradloom_train::Error>((fit.steps, weights(&fitted.model)))
    };
    // Five batches an epoch, the last one alone in its step.
    let known = fit(Some(5), None).unwrap();
    assert_eq!(known.0, 6);
    assert_eq!(fit(None, None).unwrap(), known);
    assert_eq!(fit(None, Some(9)).unwrap(), known);
    assert_eq!(fit(Some(5), Some(9)).unwrap(), known);
    let message = fit(Some(7), None).unwrap_err().to_string();
    assert!(message.contains("epoch 0") && message.contains("5 of its 7 batches"), "{message}");
}

#[test]
fn what_is_evaluated_after_a_fit_is_the_best_epoch_that_was_restored() {
    // The largest loss is to be kept: that of the first epoch, whatever the others come to.
    let stopping = EarlyStopping::new("val_loss").mode(Mode::Max).patience(2).restore_best(true);
    let mut fitted =
        trainer(plain(), Sgd::new(0.5)).epochs(9).ema(Ema::new(0.5)).callback(stopping);
    let valid = rows(24);
    let fit = fitted.fit(&rows(40), &valid).unwrap();
    let best = fit.history.curve("val_loss")[0];
    assert!(fit.stopped.is_some() && fit.history.last("val_loss").unwrap() < best);
    assert_eq!(fitted.evaluate(&valid).unwrap()[0].1, best);
    assert_eq!(weights(&fitted.measured_model()), weights(&fitted.model));
}

#[test]
fn what_is_evaluated_after_a_fit_is_the_mean_of_the_epochs() {
    let mut fitted =
        trainer(plain(), Sgd::new(0.5)).epochs(4).ema(Ema::new(0.9)).swa(Swa::from_epoch(1));
    fitted.fit_train(&rows(40)).unwrap();
    assert_eq!(weights(&fitted.measured_model()), weights(&fitted.model));
}

#[test]
fn a_second_fit_has_averages_of_its_own() {
    let mut twice = trainer(plain(), Sgd::new(0.5)).epochs(3).swa(Swa::from_epoch(1));
    twice.fit_train(&rows(40)).unwrap();
    let between = twice.model.clone();
    twice.fit_train(&rows(40)).unwrap();
    let mut once = trainer(between, Sgd::new(0.5)).epochs(3).swa(Swa::from_epoch(1));
    once.fit_train(&rows(40)).unwrap();
    assert_eq!(weights(&twice.model), weights(&once.model));
}

#[test]
fn statistics_of_averaged_weights_are_those_of_the_training_set_alone() {
    // A norm alone: its statistics are of the inputs, however far the weights have come.
    let init = &mut Init::new(Key::new(2), &gradloom_cpu::device());
    let model = Sequential::new().with(BatchNorm::new(3, init)).with(Linear::new(3, 2, init));
    let mut fitted = trainer(model, Sgd::new(0.1)).epochs(2).swa(Swa::from_epoch(0));
    let loader = rows(40);
    fitted.fit_train(&loader).unwrap();
    let mut expected = [[0f64; 3]; 2];
    for batch in loader.epoch(0) {
        let (x, _) = batch.unwrap().to_tensors(&gradloom_cpu::device()).unwrap();
        let (mean, count) = (x.mean(0), x.size(0) as f64);
        let variance = (&x - &mean).square().sum(0) / (count - 1.0);
        for (sums, of_batch) in expected.iter_mut().zip([mean, variance]) {
            let of_batch = of_batch.to_vec::<f32>().unwrap();
            sums.iter_mut().zip(of_batch).for_each(|(sum, value)| *sum += f64::from(value) / 5.0);
        }
    }
    for (name, expected) in ["0.running_mean", "0.running_var"].into_iter().zip(expected) {
        let found = fitted.model.parameter(name).unwrap().to_vec::<f32>().unwrap();
        close(&found, &expected.map(|value| value as f32), 1e-5);
    }
    // Other layers with and without statistics go on as they did.
    let mut other = trainer(network(), Sgd::new(0.1)).epochs(2).swa(Swa::from_epoch(0));
    other.fit_train(&loader).unwrap();
    let variance = other.model.parameter("1.running_var").unwrap().to_vec::<f32>().unwrap();
    assert!(variance.iter().all(|value| value.is_finite() && *value > 0.0));
}

#[test]
fn batches_without_any_weight_do_not_reach_the_weights() {
    let device = gradloom_cpu::device();
    let x = Tensor::ones([2, 3], DType::F32, &device);
    let (mut model, mut optimizer) = (plain(), Sgd::new(0.1));
    let before = weights(&model);
    for weight in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let mut step = TrainStep::new().accumulate(2);
        let mut ctx = Context::train(Key::new(0));
        let mut run = |weight: f64| {
            step.run(&mut model, &mut optimizer, &mut ctx, |model, ctx| {
                Ok(Outcome::new(model.forward(&x, ctx).square().mean(..), 2).weight(weight))
            })
        };
        let failed = [run(weight), run(weight)].into_iter().find_map(Result::err);
        let message = failed.expect("no step of such a weight").to_string();
        assert!(message.contains("weight"), "{message}");
        assert_eq!(weights(&model), before, "{weight}");
    }
    // One of several batches may have none: it does not count.
    let mut step = TrainStep::new().accumulate(2);
    let mut ctx = Context::train(Key::new(0));
    for (factor, weight) in [(1.0, 2.0), (1000.0, 0.0)] {
        step.run(&mut model, &mut optimizer, &mut ctx, |model, ctx| {
            let loss = model.forward(&x, ctx).square().mean(..) * factor;
            Ok(Outcome::new(loss, 2).weight(weight))
        })
        .unwrap();
    }
    let with_none = weights(&model);
    model = plain();
    TrainStep::new()
        .run(&mut model, &mut optimizer, &mut ctx, |model, ctx| {
            Ok(Outcome::new(model.forward(&x, ctx).square().mean(..), 2))
        })
        .unwrap();
    close(&with_none, &weights(&model), 1e-6);
}

#[test]
fn the_best_epoch_is_of_the_folder_that_is_written_to() {
    let (old, new) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let most = || Monitor::new("loss").mode(Mode::Max);
    let at = |folder: &tempfile::TempDir| Checkpoints::in_folder(folder.path()).best(most());
    let mut first = trainer(plain(), Sgd::new(0.1)).epochs(2).checkpoints(at(&old));
    first.fit_train(&rows(40)).unwrap();
    // The largest loss is that of the first epoch, whose file is in the first folder.
    let mut second = trainer(plain(), Sgd::new(0.1))
        .epochs(4)
        .resume_from(at(&old).last_file())
        .checkpoints(at(&new));
    second.fit_train(&rows(40)).unwrap();
    assert!(at(&new).best_file().is_file());
}

#[test]
fn two_figures_of_one_name_are_refused() {
    let named = |name: &str| Mean::new(name, |x: &Tensor, y: &Tensor| x.cross_entropy(y));
    for name in ["loss", "learning_rate", "val_loss"] {
        let mut fitted = trainer(plain(), Sgd::new(0.1)).metric(named(name));
        let message = fitted.fit(&rows(8), &rows(8)).unwrap_err().to_string();
        assert!(message.contains("two figures are called") && message.contains(name), "{message}");
    }
}

#[test]
fn what_is_better_follows_the_word_however_it_is_written() {
    for name in ["MAE", "val_RMSE", "log-loss", "nll", "val_bce", "cross_entropy", "mape"] {
        assert_eq!(Monitor::new(name).mode, Mode::Min, "{name}");
    }
    for name in ["hit_rate", "true_positive_rate", "R2", "val_accuracy", "auc"] {
        assert_eq!(Monitor::new(name).mode, Mode::Max, "{name}");
    }
}

/// What a panic says.
fn panics(run: impl FnOnce() -> Vec<Tensor>) -> String {
    let payload = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).unwrap_err();
    match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(payload) => payload.downcast::<&str>().map(|text| text.to_string()).unwrap(),
    }
}

#[test]
fn metrics_refuse_targets_that_do_not_go_with_the_outputs() {
    let device = gradloom_cpu::device();
    let zeros = |shape: &[usize], dtype| Tensor::zeros(shape, dtype, &device);
    let (f32, i32) = (DType::F32, DType::I32);
    let accuracy = Accuracy::new();
    for (outputs, targets) in [
        (zeros(&[4, 3], f32), zeros(&[4, 1], i32)),
        (zeros(&[4, 3], f32), zeros(&[4], f32)),
        (zeros(&[4, 3], f32), zeros(&[4, 3], f32)),
        // One output has one class: a share of nothing.
        (zeros(&[4, 1], f32), zeros(&[4], i32)),
        (zeros(&[4], f32), zeros(&[4], i32)),
    ] {
        let message = panics(|| accuracy.observe(&outputs, &targets));
        assert!(message.contains("accuracy") && message.contains("[4"), "{message}");
    }
    assert_eq!(accuracy.observe(&zeros(&[4, 5, 3], f32), &zeros(&[4, 5], i32)).len(), 2);
    let f1 = MultilabelF1::micro();
    let message = panics(|| f1.observe(&zeros(&[3, 3], f32), &zeros(&[3], f32)));
    assert!(message.contains("f1") && message.contains("[3]"), "{message}");
}

#[test]
fn bounds_of_clipping_that_turn_gradients_round_are_refused() {
    for bound in [-1.0, f64::NAN] {
        let norm = panics(|| {
            let _ = TrainStep::new().clip_norm(bound);
            Vec::new()
        });
        let value = panics(|| {
            let _ = TrainStep::new().clip_value(bound);
            Vec::new()
        });
        assert!(norm.contains("clip") && value.contains("clip"), "{norm} {value}");
    }
}

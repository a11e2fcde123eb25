//! Bad input and steps that go wrong: what is said, and that nothing is changed.

use gradloom_data::{Loader, TensorDataset};
use gradloom_nn::layers::Linear;
use gradloom_nn::{Context, Init, Layer, Module, Schedule, Sgd};
use gradloom_tensor::{Key, Tensor};
use gradloom_train::metrics::Accuracy;
use gradloom_train::{Checkpoints, EarlyStopping, Outcome, Progress, TrainStep, Trainer};

use crate::sets::{network, plain, rows, trainer, weights};

#[track_caller]
fn says<T: std::fmt::Debug>(result: gradloom_train::Result<T>, parts: &[&str]) {
    let message = result.unwrap_err().to_string();
    for part in parts {
        assert!(message.contains(part), "{message}\nlacks {part}");
    }
}

#[test]
fn sets_that_make_no_batches_are_refused() {
    let fit = || trainer(plain(), Sgd::new(0.1));
    says(fit().fit_train(&rows(0)), &["fit: the training set is empty"]);
    says(fit().fit(&rows(8), &rows(0)), &["fit: the validation set is empty"]);
    let too_few = rows(12).batch_size(32).drop_last(true);
    let parts = ["12 samples in batches of 32", "lower the batch size", "drop_last(false)"];
    says(fit().fit_train(&too_few), &parts);
    says(fit().fit(&rows(8), &too_few), &["the validation set makes no batch"]);
    says(fit().epochs(0).fit_train(&rows(8)), &["0 epochs"]);
    says(fit().evaluate(&rows(0)), &["evaluate: there are no samples"]);
}

#[test]
fn figures_that_do_not_exist_are_refused_before_the_first_step() {
    let folder = tempfile::tempdir().unwrap();
    let fit = || trainer(plain(), Sgd::new(0.1)).metric(Accuracy::new());
    let names = "there are loss, accuracy, val_loss, val_accuracy, learning_rate";
    let stopping = fit().callback(EarlyStopping::new("val_f1")).fit(&rows(8), &rows(8));
    says(stopping, &["early stopping: there is no figure \"val_f1\"", names]);
    let files = Checkpoints::in_folder(folder.path()).best("val_acc");
    let best = fit().checkpoints(files).fit(&rows(8), &rows(8));
    says(best, &["checkpoints: there is no figure \"val_acc\"", names]);
    let plateau = fit().plateau(gradloom_nn::Plateau::new(0.1), "val_loss").fit_train(&rows(8));
    says(plateau, &["plateau", "there are loss, accuracy, learning_rate"]);
    let both =
        fit().plateau(gradloom_nn::Plateau::new(0.1), "loss").schedule(Schedule::constant(0.1));
    says({ both }.fit_train(&rows(8)), &["a schedule and a plateau"]);
    let twice = fit().callback(EarlyStopping::new("loss")).callback(EarlyStopping::new("loss"));
    says({ twice }.fit_train(&rows(8)), &["two callbacks are called \"early stopping\""]);
}

#[test]
fn errors_say_of_which_set_and_batch_they_are() {
    let labelled = |wrong: usize| {
        let labels =
            (0..16).map(|sample| if sample == wrong { 9 } else { 0 }).collect::<Vec<i32>>();
        let dataset = TensorDataset::from_rows([16, 3], vec![0.5f32; 48], [16], labels);
        Loader::rows(dataset.unwrap()).batch_size(8)
    };
    let fit = || trainer(plain(), Sgd::new(0.1));
    says(fit().fit(&rows(16), &labelled(3)), &["fit: validation of epoch 0", "index 9"]);
    says(fit().fit(&labelled(12), &rows(16)), &["fit: epoch 0, batch 1, step 1", "index 9"]);
    let texts = gradloom_data::sampler::WeightedSampler::new(&[1.0; 15]).unwrap();
    let unfit = rows(16).sampler(texts, Key::new(1));
    says(fit().fit_train(&unfit), &["fit: epoch 0, batch 0: ", "15 weights for a dataset of 16"]);
}

#[test]
fn a_last_batch_of_one_sample_is_refused_before_the_first_step_where_a_norm_needs_more() {
    let drops = "Loader::drop_last(true) leaves out a last batch that is not full";
    let fit = || trainer(network(), Sgd::new(0.1));
    let mut refused = fit();
    let before = weights(&refused.model);
    says(
        refused.fit(&rows(33), &rows(8)),
        &[
            "fit: the last batch of each epoch, number 4, has one sample (33 samples in batches of 8",
            "batch_norm: needs more than one value of each channel",
            drops,
        ],
    );
    assert_eq!(weights(&refused.model), before);
    assert_eq!(fit().fit_train(&rows(33).drop_last(true)).unwrap().steps, 4);
    assert_eq!(fit().batches_per_epoch(3).fit_train(&rows(33)).unwrap().steps, 3);
    assert_eq!(fit().fit(&rows(32), &rows(9)).unwrap().steps, 4);
    assert_eq!(trainer(plain(), Sgd::new(0.1)).fit_train(&rows(33)).unwrap().steps, 5);
    // Where nobody says how large the last batch is, it is named when it comes.
    let one = |batch: usize| {
        let size = if batch == 2 { 1 } else { 4 };
        let x = Tensor::normal(Key::new(1), [size, 3], 0.0, 1.0, &gradloom_cpu::device());
        (x, Tensor::zeros([size], gradloom_tensor::DType::I32, &gradloom_cpu::device()))
    };
    let batches: Vec<(Tensor, Tensor)> = (0..4).map(one).collect();
    let mut late = fit();
    says(
        late.fit_train(&batches),
        &["fit: epoch 0, batch 2, step 2: batch_norm: needs more", drops],
    );
    // A loop of one's own panics at its line, as any layer does.
    let own =
        std::panic::catch_unwind(|| network().forward(&one(2).0, &mut Context::train(Key::new(0))));
    assert!(own.is_err());
}

#[test]
fn labels_outside_the_classes_are_named() {
    let dataset = TensorDataset::from_rows([4, 3], vec![0.5f32; 12], [4], vec![0, 1, 2, 1]);
    let loader = Loader::rows(dataset.unwrap()).batch_size(4);
    for accumulated in [1, 2] {
        let mut fit = trainer(plain(), Sgd::new(0.1).momentum(0.9)).accumulate(accumulated);
        says(fit.fit_train(&loader), &["fit: epoch 0, batch 0, step 0", "cross_entropy", "2"]);
        says(fit.evaluate(&loader), &["cross_entropy"]);
        assert_eq!(weights(&fit.model), weights(&plain()));
    }
}

/// A model with a line that makes a NaN of inputs below zero.
#[derive(Module, Clone)]
struct Logarithm {
    linear: Linear,
}

/// The line of `log` below.
const LINE: u32 = line!() + 5;

impl Layer for Logarithm {
    fn forward(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
        // A NaN, and an infinity where the output is zero.
        self.linear.forward(x, ctx).log()
    }
}

#[test]
fn the_op_and_line_of_the_first_nan_are_named_and_the_weights_stay() {
    let device = gradloom_cpu::device();
    let mut linear = Linear::new(3, 1, &mut Init::new(Key::new(1), &device));
    linear.weight.set(&linear.weight.ones_like());
    let model = Logarithm { linear };
    let before = model.linear.weight.to_vec::<f32>().unwrap();
    let inputs: Vec<f32> = (0..30).map(|place| if place < 24 { 1.0 } else { -9.0 }).collect();
    let dataset = TensorDataset::from_rows([10, 3], inputs, [10, 1], vec![0f32; 10]).unwrap();
    let mut trainer = Trainer::new(model, Sgd::new(0.0).momentum(0.9), Tensor::mse_loss)
        .progress(Progress::Silent);
    let here = format!("{}:{LINE}", file!().replace('\\', "/"));
    let result = trainer.fit_train(&Loader::rows(dataset).batch_size(2));
    let message = result.unwrap_err().to_string();
    assert!(message.contains("batch 4, step 4"), "{message}");
    assert!(message.contains("the loss is NaN: the first NaN was made by log at"), "{message}");
    assert!(message.contains(&here), "{message} lacks {here}");
    assert_eq!(trainer.model.linear.weight.to_vec::<f32>().unwrap(), before);
}

#[test]
fn nans_of_data_weights_and_gradients_are_told_apart() {
    let device = gradloom_cpu::device();
    let (mut optimizer, mut ctx) = (Sgd::new(0.1), Context::train(Key::new(0)));
    let mut model = plain();
    let before = weights(&model);
    let y = Tensor::zeros([2], gradloom_tensor::DType::I32, &device);
    let data = Tensor::from_slice(&[1.0, f32::NAN, 1.0, 1.0, 1.0, 1.0], [2, 3], &device).unwrap();
    let forward = |x: &Tensor| {
        let (x, y) = (x.clone(), y.clone());
        move |model: &gradloom_nn::Sequential, ctx: &mut Context| {
            Ok(Outcome::new(model.forward(&x, ctx).cross_entropy(&y), 2))
        }
    };
    let mut step = TrainStep::new();
    let learnt = step.run(&mut model, &mut optimizer, &mut ctx, forward(&data));
    says(learnt, &["an input of the step holds NaN (f32 [2, 3]): clean the data"]);
    assert_eq!(weights(&model), before);

    // The slope of a root at zero is infinite while the root is zero.
    let root = |model: &gradloom_nn::Sequential, ctx: &mut Context| {
        let x = Tensor::ones([2, 3], gradloom_tensor::DType::F32, &gradloom_cpu::device());
        Ok(Outcome::new((model.forward(&x, ctx) * 0.0).sqrt().sum(..), 2))
    };
    let mut checked = TrainStep::new().check_gradients(true);
    let learnt = checked.run(&mut model, &mut optimizer, &mut ctx, root);
    says(learnt, &["the gradient of", "is not finite", "in the gradient of its sqrt"]);
    assert_eq!(weights(&model), before);
    // Unchecked, the weights become NaN, and the next step says that they were.
    step.run(&mut model, &mut optimizer, &mut ctx, root).unwrap();
    let x = Tensor::ones([2, 3], gradloom_tensor::DType::F32, &device);
    let learnt = step.run(&mut model, &mut optimizer, &mut ctx, forward(&x));
    says(learnt, &["the weight ", "was NaN before the step", "check_gradients"]);
}

#[test]
fn a_nan_of_an_infinity_names_both_lines() {
    let device = gradloom_cpu::device();
    let (mut optimizer, mut ctx) = (Sgd::new(0.1), Context::train(Key::new(0)));
    let mut model = plain();
    let x = Tensor::full([2, 3], 900.0, gradloom_tensor::DType::F32, &device);
    let softmax = |model: &gradloom_nn::Sequential, ctx: &mut Context| {
        let large = (x.exp() + model.forward(&x, ctx).sum(..)) * 1.0;
        Ok(Outcome::new((&large / &large).mean(..), 2))
    };
    let learnt = TrainStep::new().run(&mut model, &mut optimizer, &mut ctx, softmax);
    says(learnt, &["the first NaN was made by div", "of an infinity that exp made at"]);
}

#[test]
fn a_schedule_over_steps_needs_their_number() {
    let mut fit =
        trainer(plain(), Sgd::new(0.1)).schedule_over(|steps| Schedule::cosine(0.1, steps));
    assert_eq!(fit.fit_train(&rows(24)).unwrap().steps, 3);
}

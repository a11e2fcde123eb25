//! Steps: the trainer's is a loop's own, and accumulated batches are one large one.

use gradloom_nn::optimizers::{Grouped, Muon};
use gradloom_nn::{
    AdamW, Context, Layer, ModuleExt, Optimizer, Parameter, Schedule, Sgd, gradients,
};
use gradloom_tensor::{DType, Key, Tensor, commit};
use gradloom_train::metrics::Accuracy;
use gradloom_train::{Ema, LossScaler, Outcome, Precision, Swa, TrainStep};

use crate::sets::{close, network, plain, rows, trainer, weights};

#[test]
fn a_fit_has_the_bits_of_a_loop_by_hand() {
    let loader = rows(44).shuffle(Key::new(4)).workers(2);
    let mut fitted = trainer(network(), AdamW::new(0.01))
        .epochs(3)
        .key(Key::new(7))
        .schedule(Schedule::cosine(0.01, 18))
        .clip_norm(0.5)
        .metric(Accuracy::new());
    let fit = fitted.fit(&loader, &rows(20)).unwrap();
    let (mut model, mut optimizer) = (network(), AdamW::new(0.01));
    let (schedule, mut ctx) = (Schedule::cosine(0.01, 18), Context::train(Key::new(7)));
    let (mut step, mut losses) = (0, Vec::new());
    for epoch in 0..3 {
        let (mut sum, mut seen) = (0.0, 0);
        for batch in loader.epoch(epoch) {
            let batch = batch.unwrap();
            let (x, y) = batch.to_tensors(&gradloom_cpu::device()).unwrap();
            let loss = model.forward(&x, &mut ctx).cross_entropy(&y);
            optimizer.set_learning_rate(schedule.at(step));
            let (clipped, _) = gradients(&loss, &model).clip_norm(0.5);
            optimizer.step(&clipped, &mut model);
            ctx.apply_updates(&mut model);
            commit((&mut model, &mut optimizer)).unwrap();
            sum += loss.item().unwrap() * batch.len() as f64;
            seen += batch.len();
            step += 1;
        }
        losses.push(sum / seen as f64);
    }
    assert_eq!(fit.steps, step);
    assert_eq!(weights(&fitted.model), weights(&model));
    assert_eq!(fit.history.curve("loss"), losses);
    assert!(losses[2] < losses[0]);
}

/// The weights after two epochs of 22 rows in batches and groups of them.
fn accumulated(batch_size: usize, batches: usize) -> Vec<f32> {
    let loader = rows(22).batch_size(batch_size).shuffle(Key::new(1));
    let mut fitted = trainer(plain(), Sgd::new(0.5).momentum(0.9)).epochs(2).accumulate(batches);
    fitted.fit_train(&loader).unwrap();
    weights(&fitted.model)
}

#[test]
fn accumulated_batches_are_one_large_batch_also_if_the_last_is_short() {
    let large = accumulated(22, 1);
    // 8, 8, 6 make one step of 22.
    close(&accumulated(8, 3), &large, 2e-6);
    close(&accumulated(22, 4), &large, 0.0);
    close(&accumulated(5, 5), &large, 2e-6);
    // Two steps of 12 and 10, the second of two and a half micro-batches.
    close(&accumulated(4, 3), &accumulated(12, 1), 2e-6);
    // Without the weights of samples the short batch would count too much: the test can fail.
    let (unweighted, short) = (accumulated(20, 2), accumulated(22, 1));
    close(&unweighted, &short, 2e-6);
    let different = accumulated(11, 1);
    assert!(different.iter().zip(&large).any(|(a, b)| (a - b).abs() > 1e-3));
}

#[test]
fn weights_of_tokens_count_where_a_loss_is_a_mean_over_them() {
    let device = gradloom_cpu::device();
    let x = Tensor::normal(Key::new(3), [10, 3], 0.0, 1.0, &device).detach();
    let y = Tensor::randint(Key::new(4), [10], 0, 2, &device).detach();
    let learn = |parts: &[(usize, usize)]| {
        let (mut model, mut optimizer) = (plain(), Sgd::new(0.3));
        let mut step = TrainStep::new().accumulate(parts.len());
        let mut ctx = Context::train(Key::new(0));
        for &(start, len) in parts {
            let part = |t: &Tensor| t.narrow(0, start, len);
            let run = |model: &gradloom_nn::Sequential, ctx: &mut Context| {
                let loss = model.forward(&part(&x), ctx).cross_entropy(&part(&y));
                Ok(Outcome::new(loss, 1).weight(len as f64))
            };
            step.run(&mut model, &mut optimizer, &mut ctx, run).unwrap();
        }
        assert!(!step.is_accumulating());
        weights(&model)
    };
    close(&learn(&[(0, 7), (7, 3)]), &learn(&[(0, 10)]), 1e-6);
}

#[test]
fn clipping_acts_on_the_gradient_of_the_whole_group() {
    let learn = |batch_size, batches, clip_norm: f64, clip_value: f64| {
        let loader = rows(16).batch_size(batch_size);
        let mut fitted = trainer(plain(), Sgd::new(1.0))
            .accumulate(batches)
            .clip_norm(clip_norm)
            .clip_value(clip_value);
        fitted.fit_train(&loader).unwrap();
        weights(&fitted.model)
    };
    let before = weights(&plain());
    let moved = |after: &[f32]| {
        let squares = before.iter().zip(after).map(|(a, b)| f64::from(a - b).powi(2));
        squares.sum::<f64>().sqrt()
    };
    let clipped = learn(16, 1, 0.01, f64::INFINITY);
    assert!((moved(&clipped) - 0.01).abs() < 1e-4, "{}", moved(&clipped));
    close(&learn(4, 4, 0.01, f64::INFINITY), &clipped, 1e-6);
    let bounded = learn(16, 1, f64::INFINITY, 1e-3);
    let largest = before.iter().zip(&bounded).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!((largest - 1e-3).abs() < 1e-5, "{largest}");
}

#[test]
fn averages_follow_their_formulas() {
    let device = gradloom_cpu::device();
    let x = Tensor::normal(Key::new(3), [8, 3], 0.0, 1.0, &device).detach();
    let y = Tensor::randint(Key::new(4), [8], 0, 2, &device).detach();
    let (mut model, mut optimizer) = (plain(), Sgd::new(0.1));
    let mut step = TrainStep::new().ema(Ema::new(0.7));
    let mut ctx = Context::train(Key::new(0));
    let mut mean: Vec<f64> = weights(&model).into_iter().map(f64::from).collect();
    let decays = [0.1f64, 2.0 / 11.0, 0.25, 4.0 / 13.0, 5.0 / 14.0];
    for (n, decay) in decays.into_iter().enumerate() {
        assert_eq!(step.average().unwrap().decay(), decay.min(0.7), "{n}");
        let run = |model: &gradloom_nn::Sequential, ctx: &mut Context| {
            Ok(Outcome::new(model.forward(&x, ctx).cross_entropy(&y), 8))
        };
        step.run(&mut model, &mut optimizer, &mut ctx, run).unwrap();
        for (mean, weight) in mean.iter_mut().zip(weights(&model)) {
            *mean = decay * *mean + (1.0 - decay) * f64::from(weight);
        }
    }
    let averaged = step.average().unwrap().model(&model);
    let expected: Vec<f32> = mean.iter().map(|&mean| mean as f32).collect();
    close(&weights(&averaged), &expected, 1e-6);
    assert!(weights(&model) != weights(&averaged));

    let mut swa = Swa::from_epoch(0);
    let (first, second) = (plain(), averaged);
    swa.update(&first).unwrap();
    swa.update(&second).unwrap();
    let pairs = weights(&first).into_iter().zip(weights(&second));
    let expected: Vec<f32> = pairs.map(|(a, b)| (a + b) / 2.0).collect();
    close(&weights(&swa.model(&first)), &expected, 1e-6);
}

#[test]
fn swa_ends_with_the_mean_and_measures_its_statistics_anew() {
    let mut averaged = trainer(network(), Sgd::new(0.1)).epochs(3).swa(Swa::from_epoch(1));
    averaged.fit_train(&rows(40)).unwrap();
    let (mut by_epoch, mut means) = (Vec::new(), Vec::new());
    for epochs in [2, 3] {
        let mut other = trainer(network(), Sgd::new(0.1)).epochs(epochs);
        other.fit_train(&rows(40)).unwrap();
        by_epoch.push(other.model.parameter("0.weight").unwrap().to_vec::<f32>().unwrap());
        means.push(other.model.parameter("1.running_mean").unwrap().to_vec::<f32>().unwrap());
    }
    let expected: Vec<f32> =
        by_epoch[0].iter().zip(&by_epoch[1]).map(|(a, b)| (a + b) / 2.0).collect();
    let found = averaged.model.parameter("0.weight").unwrap().to_vec::<f32>().unwrap();
    close(&found, &expected, 1e-6);
    let running = averaged.model.parameter("1.running_mean").unwrap().to_vec::<f32>().unwrap();
    assert!(running != means[1]);
}

#[test]
fn halves_learn_with_weights_and_statistics_of_f32() {
    let full = {
        let mut fitted = trainer(network(), AdamW::new(0.01)).epochs(6).metric(Accuracy::new());
        fitted.fit(&rows(64), &rows(32)).unwrap().history
    };
    for precision in [Precision::Bf16, Precision::F16] {
        let mut fitted = trainer(network(), AdamW::new(0.01))
            .epochs(6)
            .precision(precision)
            .metric(Accuracy::new());
        let history = fitted.fit(&rows(64), &rows(32)).unwrap().history;
        assert!(fitted.model.parameters().iter().all(|(_, weight)| weight.dtype() == DType::F32));
        let running = fitted.model.parameter("1.running_mean").unwrap().to_vec::<f32>().unwrap();
        assert!(running.iter().all(|mean| *mean != 0.0), "{running:?}");
        let state = fitted.optimizer.state_dict();
        let halves = state.iter().filter(|(_, tensor)| tensor.dtype() != DType::F32);
        assert!(halves.map(|(_, tensor)| tensor.dtype()).all(|dtype| dtype == DType::I32));
        let (found, expected) = (history.last("loss").unwrap(), full.last("loss").unwrap());
        assert!((found - expected).abs() < 0.05, "{precision:?}: {found}, not {expected}");
        assert!(history.curve("loss") != full.curve("loss"));
    }
}

#[test]
fn groups_of_optimizers_are_one_optimizer_to_a_trainer() {
    let matrices = |name: &str, weight: &Parameter| weight.rank() == 2 && name != "2.weight";
    let optimizer = Grouped::new(AdamW::new(0.01)).group(matrices, Muon::new(0.02));
    let mut fitted = trainer(plain(), optimizer).epochs(8);
    let fit = fitted.fit_train(&rows(64)).unwrap();
    assert_eq!(fitted.optimizer.kind(), "AdamW+Muon");
    assert!(fit.history.last("loss").unwrap() < 0.5 * fit.history.curve("loss")[0]);
}

#[test]
fn a_step_count_ends_a_run_in_the_middle_of_an_epoch() {
    let mut fitted = trainer(plain(), Sgd::new(0.1)).steps(7);
    let fit = fitted.fit_train(&rows(40)).unwrap();
    // Epochs of five steps: one was finished.
    assert_eq!((fit.steps, fit.history.records.len()), (7, 1));
    let mut fitted = trainer(plain(), Sgd::new(0.1)).epochs(3).batches_per_epoch(2);
    assert_eq!(fitted.fit_train(&rows(40)).unwrap().steps, 6);
}

#[test]
fn a_step_whose_gradients_overflow_is_left_out_until_the_scale_fits() {
    let device = gradloom_cpu::device();
    let x = Tensor::normal(Key::new(3), [8, 3], 0.0, 1.0, &device).detach();
    let y = Tensor::randint(Key::new(4), [8], 0, 2, &device).detach();
    let (mut model, mut optimizer) = (plain(), Sgd::new(0.1).momentum(0.9));
    let scaler = LossScaler::default().initial(2f64.powi(22)).growth_interval(3);
    let mut step = TrainStep::new().precision(Precision::F16).scaler(scaler);
    let mut ctx = Context::train(Key::new(0));
    let run = |model: &gradloom_nn::Sequential, ctx: &mut Context| {
        let logits = model.forward(&x.cast(DType::F16), ctx).wide();
        Ok(Outcome::new(logits.cross_entropy(&y), 8))
    };
    let (mut skipped, mut expected) = (0, 2f64.powi(22));
    for _ in 0..12 {
        let before = weights(&model);
        let report = step.run(&mut model, &mut optimizer, &mut ctx, run).unwrap();
        assert!(report.loss.is_finite() && report.stepped != report.skipped);
        assert_eq!(weights(&model) == before, report.skipped);
        if report.skipped {
            (skipped, expected) = (skipped + 1, expected / 2.0);
            assert_eq!(step.loss_scale(), Some(expected));
        }
        expected = step.loss_scale().unwrap();
    }
    assert!((1..10).contains(&skipped), "{skipped}");
    // The optimizer has counted steps that were done, not those that were left out.
    let counted = optimizer.state_dict().get("0.weight.step").unwrap().item().unwrap();
    assert_eq!(counted, f64::from(12 - skipped));
}

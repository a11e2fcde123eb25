//! Every optimizer and every schedule, each with other parts of a run that have a state: what was stopped goes on
//! with the same bits.

use gradloom_metrics::Average;
use gradloom_nn::optimizers::{
    Adadelta, Adafactor, Adagrad, Adamax, Asgd, Grouped, Lamb, Lion, Muon, NAdam, RAdam, Rprop,
};
use gradloom_nn::{Adam, AdamW, CycleFall, Optimizer, Parameter, Plateau, RmsProp, Schedule, Sgd};
use gradloom_train::callbacks::Unfreezing;
use gradloom_train::metrics::{Accuracy, f1, top_k_accuracy};
use gradloom_train::{Checkpoints, EarlyStopping, Ema, LossScaler, Mode, Monitor, Precision, Swa};

use crate::runs::{At, Pictures, fit, trainer};
use crate::stops::stopped;

/// One run, stopped after two of its steps in turn.
fn row<O: Optimizer>(
    optimizer: impl Fn() -> O,
    schedule: Option<Schedule>,
    parts: impl Fn(Pictures<O>) -> Pictures<O>,
) {
    let what = format!("{} with {schedule:?}", optimizer().kind());
    let fit = stopped(&what, [3, 10], &|folder, stop| {
        let mut trainer = parts(trainer(optimizer()).epochs(2));
        if let Some(schedule) = &schedule {
            trainer = trainer.schedule(schedule.clone());
        }
        let files = Checkpoints::in_folder(folder).best("val_loss");
        fit(trainer, files, At { stop, wait_ms: 0 })
    });
    assert!(fit.steps > 10, "{what}: {} steps", fit.steps);
    let losses = fit.history.curve("loss");
    assert!(losses.iter().all(|loss| loss.is_finite()), "{what}: {losses:?}");
}

fn matrices(_: &str, weight: &Parameter) -> bool {
    weight.rank() == 2
}

/// What is there in any case: metrics with a state.
fn figures<O: Optimizer>(trainer: Pictures<O>) -> Pictures<O> {
    trainer.metric(Accuracy::new()).metric(f1(2, Average::Macro)).metric(top_k_accuracy(1))
}

/// Two batches a step, over twice the epochs.
fn accumulated<O: Optimizer>(trainer: Pictures<O>) -> Pictures<O> {
    figures(trainer).accumulate(2).epochs(4)
}

#[test]
fn optimizers_with_momentum_and_schedules_without_an_end() {
    let sgd = || Sgd::new(0.05).momentum(0.9).nesterov(true).weight_decay(1e-3);
    row(sgd, Some(Schedule::constant(0.05)), |run| figures(run).ema(Ema::new(0.8)));
    row(
        || RmsProp::new(1e-3).centered(true).momentum(0.5),
        Some(Schedule::step(1e-3, 4, 0.5)),
        accumulated,
    );
    row(|| Rprop::new(1e-3), None, |run| figures(run).swa(Swa::from_epoch(0)));
    row(
        || Lion::new(1e-3),
        Some(Schedule::milestones(1e-3, [3, 9], 0.1)),
        |run| figures(run).clip_norm(0.1),
    );
    row(
        || Asgd::new(0.05).start(2.0),
        Some(Schedule::exponential(0.05, 0.9)),
        |run| figures(run).clip_value(0.01),
    );
}

#[test]
fn kin_of_adam_and_schedules_with_an_end() {
    row(
        || Adam::new(0.01).amsgrad(true),
        Some(Schedule::cosine_to(0.01, 1e-4, 12)),
        |run| figures(run).precision(Precision::Bf16),
    );
    row(
        || AdamW::new(0.01),
        Some(Schedule::linear(0.01, 1e-3, 9)),
        |run| {
            figures(run).precision(Precision::F16).scaler(LossScaler::default().growth_interval(3))
        },
    );
    row(
        || Adamax::new(0.01),
        Some(Schedule::polynomial(0.01, 14, 2.0).warmup(2)),
        |run| accumulated(run).ema(Ema::new(0.9).without_warmup()),
    );
    row(
        || NAdam::new(0.01),
        Some(Schedule::one_cycle(0.01, 16)),
        |run| figures(run).callback(Unfreezing::of("0.").and("1.").at(1, "1.")),
    );
    row(
        || RAdam::new(0.01),
        Some(Schedule::cosine(0.01, 16)),
        |run| {
            let worse = EarlyStopping::new("val_accuracy").mode(Mode::Min).patience(9);
            figures(run).callback(worse.restore_best(true))
        },
    );
}

#[test]
fn other_optimizers_and_schedules_that_begin_again() {
    let cyclic = |fall| Some(Schedule::cyclic(1e-3, 0.05, 3, 2, fall));
    row(
        || Adagrad::new(0.05).rate_decay(0.1),
        cyclic(CycleFall::None),
        |run| figures(run).swa(Swa::from_epoch(1)),
    );
    row(|| Adadelta::new(1.0), cyclic(CycleFall::Halving), |run| accumulated(run).clip_norm(0.5));
    row(|| Adafactor::new(0.01), cyclic(CycleFall::Exponential(0.9)), figures);
    let restarts = |longer| Some(Schedule::cosine_restarts(0.02, 1e-4, 3, longer));
    row(|| Lamb::new(0.02), restarts(2), |run| figures(run).ema(Ema::new(0.5)));
    let grouped = || Grouped::new(AdamW::new(0.01)).group(matrices, Muon::new(0.02));
    row(grouped, restarts(1), |run| figures(run).precision(Precision::Bf16).ema(Ema::new(0.9)));
    row(
        || AdamW::new(0.01),
        None,
        |run| {
            let plateau = Plateau::new(0.01).patience(0).factor(0.5).cooldown(1);
            figures(run).plateau(plateau, Monitor::new("val_accuracy").mode(Mode::Min)).epochs(4)
        },
    );
}

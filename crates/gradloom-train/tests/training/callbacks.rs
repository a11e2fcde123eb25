//! Callbacks: their order, and what the ones of the kit do.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use gradloom_nn::{AdamW, ModuleExt, Optimizer, Plateau, Sequential, Sgd};
use gradloom_tensor::Tensor;
use gradloom_train::callbacks::{EachEpoch, Unfreezing};
use gradloom_train::metrics::{Accuracy, Mean};
use gradloom_train::{Callback, EarlyStopping, RateFinder, Result, Run};

use crate::sets::{plain, rows, trainer, weights};

/// Writes down what it is called with.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn note<M>(&self, event: &str, run: &Run<M>) -> Result<()> {
        let names: Vec<&str> = run.scalars.iter().map(|(name, _)| name.as_str()).collect();
        let line = format!("{event} {} {} {}", run.epoch, run.step, names.join(","));
        self.0.lock().unwrap().push(line.trim_end().to_owned());
        Ok(())
    }
}

impl<M> Callback<M> for Log {
    fn name(&self) -> String {
        "log".into()
    }

    fn on_fit_begin(&mut self, run: &mut Run<M>) -> Result<()> {
        assert_eq!(run.names, ["loss", "accuracy", "val_loss", "val_accuracy", "learning_rate"]);
        self.note("fit begins", run)
    }

    fn on_epoch_begin(&mut self, run: &mut Run<M>) -> Result<()> {
        self.note("epoch begins", run)
    }

    fn on_batch_begin(&mut self, run: &mut Run<M>) -> Result<()> {
        self.note("batch begins", run)
    }

    fn on_batch_end(&mut self, run: &mut Run<M>) -> Result<()> {
        self.note("batch ends", run)?;
        // What is changed here is what the next step begins with.
        run.optimizer.set_learning_rate(0.5);
        if run.step == 3 {
            run.stop("enough");
        }
        Ok(())
    }

    fn on_epoch_end(&mut self, run: &mut Run<M>) -> Result<()> {
        self.note("epoch ends", run)
    }

    fn on_fit_end(&mut self, run: &mut Run<M>) -> Result<()> {
        assert!(run.is_stopping());
        self.note("fit ends", run)
    }
}

#[test]
fn callbacks_are_called_in_order_with_all_figures() {
    let log = Log::default();
    let mut fitted =
        trainer(plain(), Sgd::new(0.1)).epochs(5).metric(Accuracy::new()).callback(log.clone());
    let fit = fitted.fit(&rows(16), &rows(8)).unwrap();
    assert_eq!(fit.stopped.as_deref(), Some("enough"));
    let batch = |epoch: u32, step: u64| {
        let begins = format!("batch begins {epoch} {}", step - 1);
        [begins, format!("batch ends {epoch} {step} loss,learning_rate")]
    };
    let mut expected: Vec<String> = vec!["fit begins 0 0".into(), "epoch begins 0 0".into()];
    expected.extend(batch(0, 1));
    expected.extend(batch(0, 2));
    expected.push("epoch ends 0 2 loss,accuracy,val_loss,val_accuracy,learning_rate".into());
    expected.push("epoch begins 1 2".into());
    expected.extend(batch(1, 3));
    expected.push("fit ends 1 3".into());
    assert_eq!(*log.0.lock().unwrap(), expected);
    assert_eq!(fitted.optimizer.learning_rate(), 0.5);
}

#[test]
fn early_stopping_ends_a_run_and_gives_back_the_best_weights() {
    // A learning rate at which validation becomes worse again.
    let best = Arc::new(Mutex::new((f64::INFINITY, Vec::new())));
    let seen = Arc::clone(&best);
    let watch = EachEpoch::new("watch", move |run: &mut Run<Sequential>| {
        let loss = run.figure("watch", &"val_loss".into())?;
        let mut seen = seen.lock().unwrap();
        if loss < seen.0 {
            *seen = (loss, weights(run.model));
        }
        if run.epoch == 2 {
            run.optimizer.set_learning_rate(40.0);
        }
        Ok(())
    });
    let mut fitted = trainer(plain(), Sgd::new(0.5))
        .epochs(50)
        .callback(EarlyStopping::new("val_loss").patience(2).min_delta(1e-4).restore_best(true))
        .callback(watch);
    let fit = fitted.fit(&rows(40), &rows(16)).unwrap();
    let epochs = fit.history.records.len();
    assert!((5..50).contains(&epochs), "{epochs} epochs");
    assert!(fit.stopped.unwrap().contains("val_loss has not become better"), "{epochs}");
    assert_eq!(weights(&fitted.model), best.lock().unwrap().1);
    let curve = fit.history.curve("val_loss");
    let measured = fitted.evaluate(&rows(16)).unwrap()[0].1;
    assert!((measured - curve.iter().copied().fold(f64::INFINITY, f64::min)).abs() < 1e-9);
}

#[test]
fn unfreezing_lets_weights_learn_from_their_epoch_on() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    let watch = EachEpoch::new("watch", move |run: &mut Run<Sequential>| {
        let of = |name: &str| run.model.parameter(name).unwrap().to_vec::<f32>().unwrap();
        log.lock().unwrap().push((of("0.weight"), of("2.weight")));
        Ok(())
    });
    let first = plain().parameter("0.weight").unwrap().to_vec::<f32>().unwrap();
    let mut fitted = trainer(plain(), AdamW::new(0.01))
        .epochs(3)
        .callback(Unfreezing::of("0.").at(2, "0."))
        .callback(watch);
    fitted.fit_train(&rows(24)).unwrap();
    let seen = seen.lock().unwrap();
    assert!(seen[0].0 == first && seen[1].0 == first && seen[2].0 != first);
    assert!(seen[0].1 != seen[1].1);
    let mut wrong = trainer(plain(), AdamW::new(0.01)).callback(Unfreezing::of("encoder."));
    let message = wrong.fit_train(&rows(24)).unwrap_err().to_string();
    assert_eq!(message, "unfreezing: no weight of the model begins with \"encoder.\"");
}

#[test]
fn a_time_budget_ends_a_run() {
    let mut fitted = trainer(plain(), Sgd::new(0.1)).epochs(1000).time_budget(Duration::ZERO);
    let fit = fitted.fit_train(&rows(24)).unwrap();
    assert_eq!(fit.steps, 1);
    assert!(fit.stopped.unwrap().starts_with("time limit"));
}

#[test]
fn a_plateau_lowers_the_rate_between_epochs() {
    let plateau = Plateau::new(0.1).patience(0).factor(0.5);
    let constant = Mean::new("constant", |outputs: &Tensor, _: &Tensor| (outputs * 0.0).sum(..));
    let mut fitted =
        trainer(plain(), Sgd::new(0.1)).epochs(4).metric(constant).plateau(plateau, "val_constant");
    let fit = fitted.fit(&rows(24), &rows(8)).unwrap();
    assert_eq!(fit.history.curve("learning_rate")[1..], [0.1, 0.05, 0.025]);
}

#[test]
fn the_rate_finder_finds_where_the_loss_falls() {
    let found = trainer(plain(), Sgd::new(0.1));
    let before = weights(&found.model);
    let finder = RateFinder::default().range(1e-5, 1e3).steps(60).smoothing(0.8);
    let curve = finder.run(&found, &rows(200).batch_size(20)).unwrap();
    let rate = curve.suggestion.unwrap();
    assert!((1e-3..30.0).contains(&rate), "{rate}: {:?}", curve.losses);
    assert_eq!(weights(&found.model), before);
    assert!(curve.rates.is_sorted() && curve.rates.len() == curve.losses.len());
    let mut fitted = trainer(plain(), Sgd::new(rate)).epochs(3);
    let losses = fitted.fit_train(&rows(200).batch_size(20)).unwrap().history.curve("loss");
    assert!(losses[2] < losses[0]);
    assert!(curve.to_svg().contains("polyline"));
}

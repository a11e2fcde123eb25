//! Metrics over epochs, weighted by samples.

use gradloom_data::{Loader, TensorDataset};
use gradloom_nn::layers::Linear;
use gradloom_nn::{Init, Sgd};
use gradloom_tensor::{Key, Tensor};
use gradloom_train::metrics::{Accuracy, Mean, MultilabelF1};
use gradloom_train::{Metric, Outcome, Progress, Trainer};

use crate::sets::{plain, rows, trainer};

#[test]
fn figures_do_not_depend_on_how_samples_are_batched() {
    let figures = |batch_size| {
        let mut measured = trainer(plain(), Sgd::new(0.0))
            .metric(Accuracy::new())
            .metric(Mean::new("margin", |x: &Tensor, _: &Tensor| x.abs().mean(..)));
        measured.evaluate(&rows(23).batch_size(batch_size)).unwrap()
    };
    let whole = figures(23);
    let names: Vec<&str> = whole.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["loss", "accuracy", "margin"]);
    for batch_size in [1, 4, 22] {
        for ((name, found), (_, expected)) in figures(batch_size).iter().zip(&whole) {
            assert!((found - expected).abs() < 1e-6, "{name}: {found}, not {expected}");
        }
    }
}

/// From numbers to labels by hand: the logit is the input.
fn f1(logits: &[f32], labels: &[f32], mut metric: MultilabelF1, batch: usize) -> f64 {
    let device = gradloom_cpu::device();
    for (logits, labels) in logits.chunks(batch * 3).zip(labels.chunks(batch * 3)) {
        let tensor =
            |values: &[f32]| Tensor::from_slice(values, [values.len() / 3, 3], &device).unwrap();
        let observed = metric.observe(&tensor(logits), &tensor(labels));
        metric.update(&observed, logits.len() / 3).unwrap();
    }
    let mut restored = MultilabelF1::macro_average();
    restored.load_state(&metric.state()).unwrap();
    metric.value()
}

#[test]
fn f1_of_labels_is_scikit_learns() {
    // sklearn.metrics.f1_score(labels, logits > 0, average="micro" and "macro").
    let logits = [1.0, -1.0, 2.0, -0.5, 0.5, 3.0, 1.0, 1.0, -1.0, -2.0, -1.0, -3.0];
    let labels = [1.0, 0.0, 1.0, 1.0, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0];
    for batch in [1, 3, 4] {
        let micro = f1(&logits, &labels, MultilabelF1::micro(), batch);
        assert!((micro - 8.0 / 11.0).abs() < 1e-12, "{micro}");
        let mean = f1(&logits, &labels, MultilabelF1::macro_average(), batch);
        assert!((mean - (0.5 + 1.0 + 2.0 / 3.0) / 3.0).abs() < 1e-12, "{mean}");
    }
}

#[test]
fn a_metric_needs_outputs_and_says_so() {
    let device = gradloom_cpu::device();
    let model = Linear::new(3, 1, &mut Init::new(Key::new(0), &device));
    let inputs = TensorDataset::from_rows([4, 3], vec![1f32; 12], [4, 1], vec![0f32; 4]).unwrap();
    let task = |model: &Linear,
                batch: &gradloom_data::tensor_dataset::RowBatch,
                ctx: &mut gradloom_nn::Context,
                setting: &gradloom_train::Setting| {
        use gradloom_nn::Layer;
        let (x, y) = batch.to_tensors(&setting.device)?;
        Ok(Outcome::new(model.forward(&x, ctx).mse_loss(&y), batch.len()))
    };
    let mut trainer = Trainer::with_task(model, Sgd::new(0.1), task)
        .metric(Accuracy::new())
        .progress(Progress::Silent);
    let message = trainer.fit_train(&Loader::rows(inputs)).unwrap_err().to_string();
    assert!(message.contains("add Outcome::with_outputs"), "{message}");
}

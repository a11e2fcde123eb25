//! Figures of `gradloom-metrics` over epochs: those of all samples at once, however they are batched.

use gradloom_metrics::{ConfusionMatrix, ZeroDivision};
use gradloom_nn::{Context, Layer, Sgd};
use gradloom_tensor::Tensor;
use gradloom_train::Metric;
use gradloom_train::metrics::{Average, f1, mean_absolute_error, r2, roc_auc, top_k_accuracy};

use crate::sets::{plain, rows, trainer};

#[test]
fn figures_are_those_of_all_samples_at_once() {
    let mut trainer = trainer(plain(), Sgd::new(0.0))
        .metric(f1(2, Average::Macro))
        .metric(top_k_accuracy(2))
        .metric(top_k_accuracy(1));
    let (mut actual, mut predicted) = (Vec::new(), Vec::new());
    for batch in rows(23).batch_size(23).epoch(0) {
        let device = gradloom_cpu::device();
        let (x, y) = batch.unwrap().to_tensors(&device).unwrap();
        let logits = trainer.model.forward(&x, &mut Context::eval());
        actual.extend(y.to_vec::<i32>().unwrap());
        predicted.extend(logits.argmax(-1).to_vec::<i32>().unwrap());
    }
    let mut matrix = ConfusionMatrix::new(2);
    matrix.update(&actual, &predicted).unwrap();
    let expected = matrix.average(Average::Macro, 1.0, ZeroDivision::Zero).f;
    for batch_size in [1, 4, 23] {
        let figures = trainer.evaluate(&rows(23).batch_size(batch_size)).unwrap();
        let of = |name: &str| figures.iter().find(|(own, _)| own == name).unwrap().1;
        assert!((of("macro_f1") - expected).abs() < 1e-12, "{figures:?}");
        assert!((of("top_1_accuracy") - matrix.accuracy()).abs() < 1e-12, "{figures:?}");
        assert_eq!(of("top_2_accuracy"), 1.0);
    }
}

/// Feeds a metric in parts, through its saved state.
fn in_parts(mut make: impl FnMut() -> Box<dyn Metric>, outputs: &[f32], targets: &[f32]) -> f64 {
    let device = gradloom_cpu::device();
    let mut metric = make();
    for (outputs, targets) in outputs.chunks(3).zip(targets.chunks(3)) {
        let tensor = |values: &[f32]| Tensor::from_slice(values, values.len(), &device).unwrap();
        let observed = metric.observe(&tensor(outputs), &tensor(targets));
        metric.update(&observed, outputs.len()).unwrap();
        let mut next = make();
        next.load_state(&serde_json::from_str(&metric.state().to_string()).unwrap()).unwrap();
        assert_eq!(next.value().to_bits(), metric.value().to_bits());
        metric = next;
    }
    metric.value()
}

#[test]
fn states_are_read_back_exactly() {
    let outputs = [0.1, 0.7, 0.35, 0.8, 0.2, 0.65, 0.3];
    let targets = [0.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0];
    // sklearn.metrics: roc_auc_score, mean_absolute_error, r2_score.
    assert!((in_parts(|| Box::new(roc_auc()), &outputs, &targets) - 11.0 / 12.0).abs() < 1e-12);
    let distance = in_parts(|| Box::new(mean_absolute_error()), &outputs, &targets);
    assert!((distance - 2.4 / 7.0).abs() < 1e-7, "{distance}");
    let explained = in_parts(|| Box::new(r2()), &outputs, &targets);
    assert!((explained - (1.0 - 1.115 / (12.0 / 7.0))).abs() < 1e-6, "{explained}");
    assert!(roc_auc().value().is_nan());
    let error = roc_auc().load_state(&serde_json::json!({"samples": 7})).unwrap_err();
    assert!(error.to_string().contains("checkpoint: metric roc_auc"), "{error}");
}

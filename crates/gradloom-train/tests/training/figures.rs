//! Figures of `gradloom-metrics` over epochs: those of all samples at once, however they are batched.

use gradloom_metrics::{ConfusionMatrix, ZeroDivision};
use gradloom_nn::losses::demographic_parity;
use gradloom_nn::{Context, Layer, Sgd};
use gradloom_tensor::Tensor;
use gradloom_train::Metric;
use gradloom_train::metrics::{
    Average, MultilabelF1, demographic_parity_difference, equalised_odds_difference, f1,
    mean_absolute_error, r2, roc_auc, top_k_accuracy,
};

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

#[test]
fn differences_between_groups_are_fairlearns_in_any_batches() {
    let device = gradloom_cpu::device();
    let logits = [0.5f32, -1.0, 2.0, 0.1, -0.3, -2.0, 1.0, -0.2, 3.0, -1.0, 0.4, -0.6];
    let answers = [1.0f32, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 1.0, 0.0, 0.0, 1.0, 0.0];
    let groups = [0.0f32, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0];
    // fairlearn.metrics: demographic_parity_difference, equalized_odds_difference of logits > 0: both groups say yes
    // to a half of all, to 2 of 3 true yes, to 1 of 3 true no.
    let differences = |logits: &[f32], batch: usize| {
        let mut metrics: [Box<dyn Metric>; 2] =
            [Box::new(demographic_parity_difference()), Box::new(equalised_odds_difference())];
        for first in (0..12).step_by(batch) {
            let end = (first + batch).min(12);
            let rows: Vec<f32> = (first..end).flat_map(|at| [answers[at], groups[at]]).collect();
            let targets = Tensor::from_slice(&rows, [end - first, 2], &device).unwrap();
            let outputs =
                Tensor::from_slice(&logits[first..end], [end - first, 1], &device).unwrap();
            for metric in &mut metrics {
                let observed = metric.observe(&outputs, &targets);
                metric.update(&observed, end - first).unwrap();
            }
        }
        metrics.map(|metric| metric.value())
    };
    let mut skewed = logits;
    skewed[9] = 1.0;
    skewed[11] = 1.0;
    for batch in [1, 5, 12] {
        assert_eq!(differences(&logits, batch), [0.0, 0.0], "{batch}");
        let [parity, odds] = differences(&skewed, batch);
        assert!((parity - 2.0 / 6.0).abs() < 1e-12 && (odds - 2.0 / 3.0).abs() < 1e-12, "{batch}");
    }
    // Of decisions the penalty is the square of the difference.
    let said =
        Tensor::from_slice(&skewed, 12, &device).unwrap().gt(0.0).cast(gradloom_tensor::DType::F32);
    let groups = Tensor::from_slice(&groups.map(|group| group as i32), 12, &device).unwrap();
    let penalty = demographic_parity(&said, &groups, 2).item().unwrap();
    assert!((penalty.sqrt() - 2.0 / 6.0).abs() < 1e-6, "{penalty}");
    let mut metric: Box<dyn Metric> = Box::new(demographic_parity_difference());
    let flat = Tensor::from_slice(&answers, 12, &device).unwrap();
    let observed = metric.observe(&flat, &flat);
    let error = metric.update(&observed, 12).unwrap_err().to_string();
    assert!(error.contains("demographic_parity_difference: 12 answers with targets"), "{error}");
    assert!(metric.value().is_nan());
}

#[test]
fn f1_of_labels_by_their_samples_is_scikit_learns() {
    // f1_score(labels, logits > 0, average="weighted").
    let device = gradloom_cpu::device();
    let mut metric = MultilabelF1::weighted();
    assert!(metric.value().is_nan());
    for (logits, labels) in [
        ([[1.0f32, -1.0, 2.0], [-0.5, 0.5, 3.0]], [[1.0f32, 0.0, 1.0], [1.0, 1.0, 0.0]]),
        ([[1.0, 1.0, -1.0], [-2.0, -1.0, -3.0]], [[0.0, 1.0, 0.0], [0.0, 0.0, 0.0]]),
    ] {
        let tensor = |rows| Tensor::new(rows, &device).unwrap();
        let observed = metric.observe(&tensor(logits), &tensor(labels));
        metric.update(&observed, 2).unwrap();
    }
    let expected = (2.0 * 0.5 + 2.0 * 1.0 + 2.0 / 3.0) / 5.0;
    assert!((metric.value() - expected).abs() < 1e-12, "{}", metric.value());
}

//! The trace of a loss scaler is PyTorch's; `make_golden.py` beside this file wrote what is compared.

use gradloom_train::LossScaler;
use serde_json::Value;

fn scaler(options: &Value) -> LossScaler {
    let option = |name: &str| options[name].as_f64();
    let mut scaler = LossScaler::default();
    if let Some(scale) = option("init_scale") {
        scaler = scaler.initial(scale);
    }
    if let Some(factor) = option("growth_factor") {
        scaler = scaler.growth(factor);
    }
    if let Some(factor) = option("backoff_factor") {
        scaler = scaler.backoff(factor);
    }
    match options["growth_interval"].as_u64() {
        Some(interval) => scaler.growth_interval(interval),
        None => scaler,
    }
}

#[test]
fn scales_are_pytorchs_for_scripted_overflows() {
    let golden: Value = serde_json::from_str(include_str!("golden.json")).unwrap();
    let cases = golden["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 5);
    for case in cases {
        let overflows: Vec<bool> = match case["overflows"].as_u64() {
            // The default settings: 2001 sound steps, an overflow, a sound step.
            Some(count) => (1..=count).map(|step| step == count - 1).collect(),
            None => case["overflows"].as_array().unwrap().iter().map(|o| o == true).collect(),
        };
        let mut scaler = scaler(&case["options"]);
        let scales: Vec<f64> = overflows
            .iter()
            .map(|&overflowed| {
                scaler.update(overflowed);
                scaler.scale()
            })
            .collect();
        let expected: Vec<f64> = case["scales"]
            .as_array()
            .unwrap()
            .iter()
            .map(|scale| scale.as_f64().unwrap())
            .collect();
        assert_eq!(scales[scales.len() - expected.len()..], expected, "{}", case["options"]);
        let skipped = case["skipped"].as_array().unwrap().iter().map(|skipped| skipped == true);
        assert!(skipped.eq(overflows[overflows.len() - expected.len()..].iter().copied()));
    }
}

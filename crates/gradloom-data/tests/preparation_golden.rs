//! Scaling, filling, encoding, folds and weights against scikit-learn (`golden/make_preparation.py`).

use gradloom_data::Table;
use gradloom_data::preparation::{Encoder, Imputer, Scaler, TargetEncoder};
use gradloom_data::split::{
    Fold, TimeSeriesSplit, class_weights, group_k_fold, k_fold, stratified_k_fold,
};
use gradloom_data::table::Column;
use serde_json::Value;

fn golden() -> Value {
    serde_json::from_str(include_str!("golden/preparation.json")).unwrap()
}

/// Numbers of JSON; null is NaN.
fn numbers(value: &Value) -> Vec<f64> {
    let numbers = value.as_array().unwrap().iter();
    numbers.map(|number| number.as_f64().unwrap_or(f64::NAN)).collect()
}

fn indices(value: &Value) -> Vec<usize> {
    value.as_array().unwrap().iter().map(|index| index.as_u64().unwrap() as usize).collect()
}

fn labels(value: &Value) -> Vec<i32> {
    value.as_array().unwrap().iter().map(|label| label.as_i64().unwrap() as i32).collect()
}

#[test]
fn scaled_and_filled_columns_are_those_of_scikit_learn() {
    for case in golden()["columns"].as_array().unwrap() {
        let values = numbers(&case["values"]);
        let scalers = [
            ("standard", Scaler::standard()),
            ("min_max", Scaler::min_max(-2.0, 3.0)),
            ("robust", Scaler::robust()),
        ];
        for (name, scaler) in scalers {
            let fitted = scaler.fit(&values).unwrap();
            for (value, expected) in values.iter().zip(numbers(&case[name])) {
                let scaled = fitted.transform(*value);
                // Beside an offset of a billion scikit-learn's own mean is a few units in the last place
                // off, which is 1e-7 of the spread. The next test has the exact values.
                let bound =
                    if case["name"] == "offset" { 1e-6 } else { 1e-12 * (1.0 + expected.abs()) };
                let equal =
                    (scaled - expected).abs() <= bound || (scaled.is_nan() && expected.is_nan());
                assert!(equal, "{} {name}: {scaled} is not {expected}", case["name"]);
                let back = fitted.inverse(scaled);
                assert!((back - value).abs() <= 1e-9 * (1.0 + value.abs()) || value.is_nan());
            }
        }
        let column = Column::from(values);
        let imputers = [
            ("mean", Imputer::mean()),
            ("median", Imputer::median()),
            ("most_frequent", Imputer::most_frequent()),
        ];
        for (name, imputer) in imputers {
            let filled = imputer.fit(&column).unwrap().transform(&column).unwrap();
            let Column::Number(filled) = filled else { panic!("{filled:?}") };
            for (value, expected) in filled.iter().zip(numbers(&case[name])) {
                let bound = 1e-15 * expected.abs();
                assert!(
                    (value - expected).abs() <= bound,
                    "{} {name}: {value} {expected}",
                    case["name"]
                );
            }
        }
    }
}

#[test]
fn standardised_columns_are_exact_beside_any_offset() {
    for case in golden()["columns"].as_array().unwrap() {
        // Constants are moved and not stretched, as scikit-learn has it, and not divided by rounding noise.
        if case["name"] == "almost_constant" {
            continue;
        }
        let values = numbers(&case["values"]);
        let fitted = Scaler::standard().fit(&values).unwrap();
        let deviation = case["deviation"].as_f64().unwrap();
        for (value, exact) in values.iter().zip(numbers(&case["exact"])) {
            // The mean is rounded once to f64; everything else is exact to the last digits.
            let rounding = value.abs() * f64::EPSILON / 2.0 / deviation;
            let bound = rounding + 1e-14 * exact.abs();
            let scaled = fitted.transform(*value);
            assert!(
                (scaled - exact).abs() <= bound || value.is_nan(),
                "{}: {scaled} {exact}",
                case["name"]
            );
        }
    }
}

#[test]
fn encoded_columns_are_those_of_scikit_learn() {
    let golden = &golden()["encoders"];
    let texts: Vec<&str> =
        golden["values"].as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect();
    let table = Table::new().with("x", texts).unwrap();
    let column = table.column("x").unwrap();
    let one_hot = Encoder::one_hot().fit(&table, "x").unwrap();
    let names: Vec<&str> =
        golden["names"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    assert_eq!(one_hot.names("x"), names);
    let expected = numbers(&golden["one_hot"]);
    for (place, encoded) in one_hot.transform("x", column).unwrap().into_iter().enumerate() {
        let wanted = expected.iter().skip(place).step_by(names.len()).copied().collect();
        assert_eq!(encoded, Column::Number(wanted));
    }
    let ordinal = Encoder::ordinal().fit(&table, "x").unwrap();
    let encoded = ordinal.transform("x", column).unwrap();
    assert_eq!(encoded, [Column::Number(numbers(&golden["ordinal"]))]);
    let sizes = Table::new().with("s", numbers(&golden["sizes"])).unwrap();
    let fitted = Encoder::ordinal().fit(&sizes, "s").unwrap();
    let encoded = fitted.transform("s", sizes.column("s").unwrap()).unwrap();
    assert_eq!(encoded, [Column::Number(numbers(&golden["sizes_ordinal"]))]);
}

#[test]
fn folds_and_weights_are_those_of_scikit_learn() {
    let golden = &golden()["splits"];
    let of = |value: &Value| value.as_array().unwrap().iter().map(indices).collect::<Vec<_>>();
    let tests = |folds: Vec<gradloom_data::split::Fold>| {
        folds.into_iter().map(|fold| fold.test).collect::<Vec<_>>()
    };
    for case in golden["k_fold"].as_array().unwrap() {
        let number = |name: &str| case[name].as_u64().unwrap() as usize;
        let folds = k_fold(number("samples"), number("count"), None).unwrap();
        assert_eq!(tests(folds), of(&case["tests"]));
    }
    let folds = stratified_k_fold(&labels(&golden["labels"]), 4, None).unwrap();
    assert_eq!(tests(folds), of(&golden["stratified"]));
    let folds = group_k_fold(&labels(&golden["groups"]), 3).unwrap();
    assert_eq!(tests(folds), of(&golden["group"]));
    for case in golden["time_series"].as_array().unwrap() {
        let number = |name: &str| case[name].as_u64().map(|number| number as usize);
        let mut split = TimeSeriesSplit::new(number("n_splits").unwrap());
        split = number("test_size").map_or(split, |len| split.test_len(len));
        split = number("max_train_size").map_or(split, |len| split.train_len_max(len));
        split = number("gap").map_or(split, |gap| split.gap(gap));
        let folds = split.folds(23).unwrap();
        for (fold, expected) in folds.iter().zip(case["folds"].as_array().unwrap()) {
            assert_eq!(fold.train, indices(&expected["train"]));
            assert_eq!(fold.test, indices(&expected["test"]));
        }
        assert_eq!(folds.len(), case["folds"].as_array().unwrap().len());
    }
    let weights = class_weights(&labels(&golden["dense"])).unwrap();
    let expected: Vec<f32> = numbers(&golden["weights"]).iter().map(|&w| w as f32).collect();
    assert_eq!(weights, expected);
}

#[test]
fn means_of_targets_are_those_of_scikit_learn() {
    let golden = &golden()["targets"];
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let values: Vec<String> = golden["values"].as_array().unwrap().iter().map(text).collect();
    let later: Vec<String> = values[..6].iter().cloned().chain(["nowhere".to_owned()]).collect();
    let table = Table::new().with("city", values).unwrap();
    let close = |actual: &[f64], expected: &[f64]| {
        assert_eq!(actual.len(), expected.len());
        for (actual, expected) in actual.iter().zip(expected) {
            assert!(
                (actual - expected).abs() <= 1e-12 * (1.0 + expected.abs()),
                "{actual} {expected}"
            );
        }
    };
    let cases = golden["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 9);
    for case in cases {
        let encoder = TargetEncoder::new();
        let encoder = case["smooth"].as_f64().map_or(encoder, |rows| encoder.smooth(rows));
        let tests = case["folds"].as_array().unwrap().iter().map(indices);
        let folds: Vec<Fold> = tests
            .map(|test| Fold { train: (0..60).filter(|row| !test.contains(row)).collect(), test })
            .collect();
        let targets = numbers(&case["targets"]);
        let (fitted, across) = encoder.fit_transform(&table, "city", &targets, &folds).unwrap();
        close(&across, &numbers(&case["across"]));
        let later = Column::from(later.clone());
        close(&fitted.transform("city", &later).unwrap(), &numbers(&case["later"]));
    }
}

//! Metrics of pictures and made samples equal those of scikit-image, and the formulas with scipy and numpy:
//! golden data of `make_images.py`.

use gradloom_metrics::*;
use serde_json::Value;

fn cases(kind: &str) -> Vec<Value> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/images.json");
    let json: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let cases = json["cases"].as_array().unwrap().iter().filter(|case| case["kind"] == kind);
    let cases: Vec<Value> = cases.cloned().collect();
    assert!(!cases.is_empty());
    cases
}

fn numbers(value: &Value) -> Vec<f64> {
    serde_json::from_value(value.clone()).unwrap()
}

fn count(value: &Value) -> usize {
    value.as_u64().unwrap() as usize
}

#[track_caller]
fn close(what: &str, ours: f64, theirs: &Value, tolerance: f64) {
    let theirs = theirs.as_f64().unwrap();
    let error = (ours - theirs).abs();
    assert!(error <= tolerance * theirs.abs().max(1.0), "{what}: {ours} here, {theirs} there");
}

#[test]
fn pictures_compare_as_in_scikit_image() {
    for case in cases("pictures") {
        let (x, y) = (numbers(&case["x"]), numbers(&case["y"]));
        let size = [0, 1].map(|at| count(&case["size"][at]));
        let channels = match case["axis"].as_str() {
            Some("last") => ChannelAxis::Last(count(&case["channels"])),
            _ => ChannelAxis::First(count(&case["channels"])),
        };
        close("psnr", psnr(&x, &y, 255.0).unwrap(), &case["psnr"], 1e-12);
        let own = |ssim: Ssim| ssim.of(&x, &y, size, channels).unwrap();
        for (place, side) in [3, 5, 7, 11].into_iter().enumerate() {
            close("uniform", own(Ssim::new(255.0).window(side)), &case["uniform"][place], 1e-11);
        }
        assert_eq!(ssim(&x, &y, size, channels, 255.0).unwrap(), own(Ssim::new(255.0)));
        for (place, sigma) in [0.8, 1.5].into_iter().enumerate() {
            let own = own(Ssim::new(255.0).gaussian(sigma));
            close("gaussian", own, &case["gaussian"][place], 1e-11);
        }
        let biased = Ssim::new(255.0).gaussian(1.5).sample_covariance(false);
        close("biased", own(biased.constants([0.02, 0.05])), &case["biased"], 1e-11);
    }
}

fn statistics(features: &[f64], size: usize, batch: usize) -> FeatureStatistics {
    let mut state = FeatureStatistics::new(size);
    for part in features.chunks(batch * size) {
        let mut own = FeatureStatistics::new(size);
        own.update(part).unwrap();
        state.merge(&own).unwrap();
    }
    state
}

#[test]
fn made_samples_compare_by_the_formulas() {
    for case in cases("features") {
        let (x, y) = (numbers(&case["x"]), numbers(&case["y"]));
        let size = count(&case["size"]);
        for batch in [1, 5, 100] {
            let pair = [&x, &y].map(|set| statistics(set, size, batch));
            let own = frechet_distance(&pair[0], &pair[1]).unwrap();
            close("frechet", own, &case["frechet"], 1e-8);
            let back = frechet_distance(&pair[1], &pair[0]).unwrap();
            assert!((own - back).abs() <= 1e-9 * own.abs().max(1.0));
        }
        close("mmd", polynomial_mmd(&x, &y, size).unwrap(), &case["mmd"], 1e-12);
        let probabilities = numbers(&case["probabilities"]);
        let score = inception_score(&probabilities, count(&case["classes"]), 3).unwrap();
        close("score", score.mean, &case["score"][0], 1e-12);
        close("deviation of the score", score.standard_deviation, &case["score"][1], 1e-12);
    }
}

#[test]
fn covariances_of_few_samples_have_a_distance() {
    for case in cases("singular") {
        let pair = ["x", "y"].map(|name| statistics(&numbers(&case[name]), 9, 3));
        let own = frechet_distance(&pair[0], &pair[1]).unwrap();
        close("frechet", own, &case["frechet"], 1e-6);
        assert!(frechet_distance(&pair[0], &pair[0]).unwrap().abs() < 1e-6);
    }
}

#[test]
fn a_state_of_features_is_saved_and_keeps_its_digits() {
    // Around a large mean sums of squares would lose all of the covariance.
    let far: Vec<f64> = (0..40).map(|at| 1e9 + f64::from(at % 7)).collect();
    let near: Vec<f64> = far.iter().map(|number| number - 1e9).collect();
    let [far, near] = [far, near].map(|set| statistics(&set, 2, 3));
    let (far, near) = (far.value().unwrap().1, near.value().unwrap().1);
    assert!(far.iter().zip(&near).all(|(far, near)| (far - near).abs() < 1e-6), "{far:?} {near:?}");
    let state = statistics(&[1.0, 2.0, 3.0, 5.0], 2, 1);
    let text = serde_json::to_string(&state).unwrap();
    assert_eq!(serde_json::from_str::<FeatureStatistics>(&text).unwrap(), state);
    assert_eq!(state.value().unwrap().1, [2.0, 3.0, 3.0, 4.5]);
}

#[test]
fn subsets_are_drawn_by_the_seed_without_a_sample_twice() {
    let x: Vec<f64> = (0..60).map(|at| f64::from(at * 37 % 23) / 7.0).collect();
    let y: Vec<f64> = (0..80).map(|at| f64::from(at * 29 % 31) / 9.0).collect();
    let whole = polynomial_mmd(&x[..60], &y[..60], 2).unwrap();
    // Subsets of all of a set are that set.
    let all = KernelDistance::new(3).subsets(4, 30).value(&x, &y[..60], 2).unwrap();
    assert!((all.mean - whole).abs() < 1e-12 && all.standard_deviation < 1e-12);
    let own = |seed| KernelDistance::new(seed).subsets(20, 10).value(&x, &y, 2).unwrap();
    assert_eq!(own(1), own(1));
    assert_ne!(own(1), own(2));
    assert!(own(1).standard_deviation > 0.0);
}

#[test]
fn what_has_no_figure_is_refused() {
    let message = |result: Result<f64>| result.unwrap_err().to_string();
    assert!(message(psnr(&[1.0], &[1.0, 2.0], 1.0)).contains("1 numbers of one picture"));
    assert!(message(psnr::<f64>(&[], &[], 1.0)).contains("no samples"));
    assert!(message(psnr(&[1.0], &[2.0], 0.0)).contains("data range is 0"));
    assert!(psnr(&[1.0, 2.0], &[1.0, 2.0], 1.0).unwrap() == f64::INFINITY);
    let x = [0.5; 64];
    let of = |ssim: Ssim, size| message(ssim.of(&x, &x, size, ChannelAxis::First(1)));
    assert!(of(Ssim::new(1.0), [8, 7]).contains("no picture of 8 x 7"));
    assert!(of(Ssim::new(1.0), [4, 16]).contains("windows of 7 x 7"));
    assert!(of(Ssim::new(1.0).window(4), [8, 8]).contains("odd"));
    assert!(of(Ssim::new(1.0).gaussian(f64::NAN), [8, 8]).contains("deviation is NaN"));
    assert!(of(Ssim::new(1.0).gaussian(1e300), [8, 8]).contains("take smaller ones"));
    let mut state = FeatureStatistics::new(2);
    assert!(state.update(&[1.0]).unwrap_err().to_string().contains("no whole vectors of 2"));
    assert!(state.update(&[1.0, f64::NAN]).is_err());
    state.update(&[1.0, 2.0]).unwrap();
    assert!(message(frechet_distance(&state, &state)).contains("at least two"));
    assert!(message(frechet_distance(&state, &FeatureStatistics::new(3))).contains("of 3"));
    assert!(message(polynomial_mmd(&[1.0], &[1.0, 2.0], 1)).contains("two or more vectors"));
    let few = KernelDistance::new(0).value(&[1.0, 2.0], &[1.0, 2.0], 1);
    assert!(few.unwrap_err().to_string().contains("of 2 samples"));
    assert!(inception_score(&[0.5, 0.6], 2, 1).is_err());
    assert!(inception_score(&[0.5, 0.5], 2, 2).is_err());
}

//! Penalties on groups and on what must not be said: their formulas in f64, derivatives, edges.

use gradloom_autodiff::grad;
use gradloom_nn::losses::{
    banned_sequences, demographic_parity, equalised_odds, harm, repeated_tokens,
    squared_correlation, unlikelihood,
};
use gradloom_tensor::{DType, Tensor};

use crate::losses::{assert_close, assert_derivatives, cpu, f64s, i32s, refused};

#[test]
fn gaps_of_groups_are_the_mean_over_pairs() {
    let scores = f64s(&[9]).sigmoid();
    let numbers = scores.to_vec::<f64>().unwrap();
    let groups = [0, 2, 1, 0, 2, 2, 1, 0, 1];
    let targets = [1, 0, 1, 0, 1, 0, 0, 1, 1];
    let gap = |chosen: &dyn Fn(usize) -> bool| {
        let mean = |group: i32| {
            let own: Vec<f64> = (0..9)
                .filter(|&at| groups[at] == group && chosen(at))
                .map(|at| numbers[at])
                .collect();
            own.iter().sum::<f64>() / own.len() as f64
        };
        let [a, b, c] = [0, 1, 2].map(mean);
        ((a - b).powi(2) + (a - c).powi(2) + (b - c).powi(2)) / 3.0
    };
    let (of, is) = (i32s(&groups, &[9]), i32s(&targets, &[9]));
    // A fourth group has no samples and is in no pair.
    for count in [3, 4] {
        let parity = demographic_parity(&scores, &of, count);
        assert_close(&parity, &[gap(&|_| true)], 1e-12);
    }
    let odds = (gap(&|at| targets[at] == 1) + gap(&|at| targets[at] == 0)) / 2.0;
    assert_close(&equalised_odds(&scores, &is, &of, 3), &[odds], 1e-12);
    let x = f64s(&[9]);
    assert_derivatives(&x, |x| demographic_parity(&x.sigmoid(), &of, 3));
    assert_derivatives(&x, |x| equalised_odds(&x.sigmoid(), &is, &of, 3));
    // One group has nothing to be compared with.
    let alone = demographic_parity(&scores, &i32s(&[1; 9], &[9]), 2);
    assert_close(&alone, &[0.0], 0.0);
}

#[test]
fn correlations_are_squared_and_constants_have_none() {
    let x = f64s(&[8]);
    let ages = f64s(&[8]).square() + f64s(&[8]) * 0.3;
    let (a, b) = (x.to_vec::<f64>().unwrap(), ages.to_vec::<f64>().unwrap());
    let mean = |values: &[f64]| values.iter().sum::<f64>() / 8.0;
    let product = |one: &[f64], other: &[f64]| {
        let (m, n) = (mean(one), mean(other));
        one.iter().zip(other).map(|(x, y)| (x - m) * (y - n)).sum::<f64>()
    };
    let expected = product(&a, &b).powi(2) / (product(&a, &a) * product(&b, &b));
    assert_close(&squared_correlation(&x, &ages), &[expected], 1e-12);
    assert_derivatives(&x, |x| squared_correlation(x, &ages));
    let flat = Tensor::full([8], 3.0, DType::F64, &cpu());
    let none = squared_correlation(&x, &flat);
    assert_close(&none, &[0.0], 0.0);
    assert_close(&grad(&none, &[&x])[0], &[0.0; 8], 0.0);
}

#[test]
fn unlikelihood_is_exact_where_a_banned_token_has_everything() {
    let x = f64s(&[3, 5]) * 4.0;
    let banned: Vec<bool> = (0..15).map(|at| at % 3 == 0 || at == 7).collect();
    let mask = Tensor::from_slice(&banned, [3, 5], &cpu()).unwrap();
    let p = x.softmax(-1).to_vec::<f64>().unwrap();
    let sum: f64 = (0..15).filter(|&at| banned[at]).map(|at| -(1.0 - p[at]).ln()).sum();
    assert_close(&unlikelihood(&x, &mask), &[sum / 3.0], 1e-12);
    assert_derivatives(&x, |x| unlikelihood(x, &mask));
    // -log(1 - p) of a token that is 60 above its only rival is 60, in f32 and halves as well.
    for dtype in [DType::F64, DType::F32, DType::BF16] {
        let sure = Tensor::new([[60.0f64, 0.0]], &cpu()).unwrap().cast(dtype);
        let first = Tensor::new([true, false], &cpu()).unwrap();
        let loss = unlikelihood(&sure, &first);
        assert!((loss.item().unwrap() - 60.0).abs() < 1e-6, "{dtype}");
        let slope = grad(&loss, &[&sure])[0].cast(DType::F64).to_vec::<f64>().unwrap();
        assert_eq!(slope, [1.0, -1.0], "{dtype}");
    }
    let nothing = Tensor::new([false; 5], &cpu()).unwrap();
    assert_close(&unlikelihood(&x, &nothing), &[0.0], 0.0);
}

#[test]
fn masks_name_what_was_said_and_what_would_end_a_sequence() {
    let repeated = repeated_tokens(&i32s(&[1, 1, 0, 2, 2, 1], &[2, 3]), 3);
    let repeated = repeated.to_vec::<bool>().unwrap();
    let places: Vec<usize> = (0..18).filter(|&at| repeated[at]).collect();
    // 1, 1, 0: 1 was said before 0. 2, 2, 1: 2 was said before 1.
    assert_eq!(places, [7, 17]);
    let banned = banned_sequences(&[1, 2, 1], &[vec![1, 2, 1, 0], vec![2, 1]], 3, &cpu()).unwrap();
    let banned = banned.to_vec::<bool>().unwrap();
    let places: Vec<usize> = (0..9).filter(|&at| banned[at]).collect();
    assert_eq!(places, [4, 6]);
}

#[test]
fn a_judge_pulls_outputs_away_from_harm() {
    let x = f64s(&[4, 1]);
    assert_derivatives(&x, harm);
    let expected: f64 =
        x.to_vec::<f64>().unwrap().iter().map(|x| (1.0 + x.exp()).ln()).sum::<f64>() / 4.0;
    assert_close(&harm(&x), &[expected], 1e-12);
}

#[test]
fn what_does_not_fit_is_refused_by_name() {
    let scores = f64s(&[4]);
    let groups = i32s(&[0, 1, 0, 1], &[4]);
    refused("demographic_parity: scores f32", || {
        demographic_parity(&f64s(&[4, 1]).cast(DType::F32), &groups, 2)
    });
    refused("demographic_parity: groups f64", || demographic_parity(&scores, &scores, 2));
    refused("demographic_parity: no groups", || demographic_parity(&scores, &groups, 0));
    refused("equalised_odds: targets [3]", || equalised_odds(&scores, &f64s(&[3]), &groups, 2));
    refused("squared_correlation: an attribute i32", || squared_correlation(&scores, &groups));
    refused("unlikelihood: the mask is i32", || unlikelihood(&scores, &groups));
    refused("unlikelihood: logits f64 [3, 1]", || unlikelihood(&f64s(&[3, 1]), &groups.eq(0)));
    refused("repeated_tokens: targets i32 [4]", || repeated_tokens(&groups, 4));
    refused("harm: logits of i32", || harm(&groups));
    // A group beyond their number fails the evaluation.
    assert!(demographic_parity(&scores, &groups, 1).item().is_err());
}

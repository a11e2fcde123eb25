//! Values that an op cannot take fail the evaluation in its name, with the line that made it, on every device;
//! and what was refused once without need.

use gradloom::nn::functional::pairwise_distance;
use gradloom::ops::scatter::ScatterReduction;
use gradloom::prelude::*;
use gradloom::{Bins, grad};

use crate::devices;

#[track_caller]
fn fails(begins: &str, result: &Tensor) {
    let name = result.device().name();
    let error = result.eval().expect_err(begins).to_string();
    assert!(error.starts_with(begins), "{name}: {error:?} does not begin with {begins:?}");
    assert!(error.contains("refused_values.rs:"), "{name}: {error:?} names no line");
}

#[test]
fn segments_fill_their_axis() {
    for device in devices() {
        let x = Tensor::new([1f32, 2.0, 3.0], &device).unwrap();
        let ints = |values: &[i32]| Tensor::from_slice(values, [values.len()], &device).unwrap();
        let sum = |lengths: &[i32]| x.segment_reduce(&ints(lengths), ScatterReduction::Sum, None);
        assert_eq!(sum(&[2, 0, 1]).to_vec::<f32>().unwrap(), [3.0, 0.0, 3.0]);
        for wrong in [&[1, 1][..], &[2, 2], &[4, -1], &[i32::MAX, i32::MAX, 5]] {
            fails("segment_reduce: lengths do not fill the axis", &sum(wrong));
        }
        let of = |offsets: &[i32]| {
            x.segment_reduce_offsets(&ints(offsets), ScatterReduction::Mean, None)
        };
        assert_eq!(of(&[1, 3]).to_vec::<f32>().unwrap(), [2.5]);
        for wrong in [&[0, 1, 4][..], &[2, 1, 3], &[-1, 3]] {
            fails("segment_reduce: offsets descend or are outside", &of(wrong));
        }
    }
}

#[test]
fn ranges_are_of_finite_elements() {
    for device in devices() {
        for wrong in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let x = Tensor::new([1f32, wrong, 0.0], &device).unwrap();
            fails("histc: elements that are not finite", &x.histc(4, 0.0, 0.0));
            fails("histogram: elements that are not finite", &x.histogram(4, None, false).0);
            let points = x.reshape([3, 1]);
            let counts = points.histogramdd(&[Bins::Count(2)], None, false).0;
            fails("histogramdd: elements that are not finite", &counts);
        }
        let inside = Tensor::new([1f32, f32::INFINITY, 0.0], &device).unwrap().histc(4, 0.0, 1.0);
        assert_eq!(inside.to_vec::<f32>().unwrap(), [1.0, 0.0, 0.0, 1.0]);
        // The distance of the ends is no number of f32.
        let far = Tensor::new([3e38f32, -3e38, 0.0], &device).unwrap();
        let counts = far.histc(4, 0.0, 0.0).to_vec::<f32>().unwrap();
        assert_eq!(counts, [1.0, 0.0, 1.0, 1.0], "{}", device.name());
    }
}

#[test]
fn draws_need_weights() {
    for device in devices() {
        let draw = |weights: [f32; 3], count: usize, replacement: bool| {
            Tensor::new(weights, &device).unwrap().multinomial(Key::new(1), count, replacement)
        };
        for wrong in [[-1.0, 1.0, 1.0], [f32::NAN, 1.0, 1.0], [f32::INFINITY, 1.0, 1.0]] {
            fails("multinomial: a weight is negative or not finite", &draw(wrong, 1, true));
        }
        let few = "multinomial: a row has fewer positive weights than are drawn";
        fails(few, &draw([0.0; 3], 1, true));
        fails(few, &draw([1.0, 0.0, 0.0], 2, false));
        assert_eq!(draw([0.0, 2.0, 0.0], 2, true).to_vec::<i32>().unwrap(), [1, 1]);
    }
}

#[test]
fn indices_to_fill_count_from_the_end() {
    for device in devices() {
        let x = Tensor::zeros([2, 3], DType::F32, &device);
        let index = |place: i32| Tensor::from_vec(vec![place], [1], &device).unwrap();
        let filled = x.index_fill(1, &index(-1), 9.0).to_vec::<f32>().unwrap();
        assert_eq!(filled, [0.0, 0.0, 9.0, 0.0, 0.0, 9.0]);
        fails("index_fill: index", &x.index_fill(1, &index(-4), 9.0));
        fails("index_fill: index", &x.index_fill(1, &index(3), 9.0));
    }
}

#[test]
fn distances_of_negative_powers_have_finite_slopes() {
    for device in devices() {
        let x = Tensor::new([[1f32, 2.0, 3.0]], &device).unwrap();
        let y = Tensor::new([[1f32, 3.0, 3.0]], &device).unwrap();
        let distance = pairwise_distance(&x, &y, -1.0, 0.0);
        let slope = &grad(&distance.sum(..), &[&x])[0];
        assert_eq!(distance.to_vec::<f32>().unwrap(), [0.0]);
        assert_eq!(slope.to_vec::<f32>().unwrap(), [0.0; 3]);
        // The least of the magnitudes.
        let least = pairwise_distance(&x, &(&y + 2.0), f64::NEG_INFINITY, 0.0);
        assert_eq!(least.to_vec::<f32>().unwrap(), [2.0]);
        let unit = x.normalize_by(f64::NEG_INFINITY, 1, 1e-12);
        assert_eq!(unit.to_vec::<f32>().unwrap(), [1.0, 2.0, 3.0]);
        let half = pairwise_distance(&x, &y, 0.5, 0.0);
        assert_eq!(grad(&half.sum(..), &[&x])[0].to_vec::<f32>().unwrap(), [0.0, -1.0, 0.0]);
    }
}

#[test]
fn masked_truth_values_are_counted() {
    for device in devices() {
        let x = Tensor::new([true, false, true], &device).unwrap();
        let kept = x.masked(&Tensor::new([true, true, false], &device).unwrap());
        assert_eq!(kept.sum(..).item().unwrap(), 1.0);
        assert_eq!(kept.prod(..).item().unwrap(), 0.0);
        assert_eq!(kept.cumsum(0).to_vec::<i32>().unwrap(), [1, 1, 1]);
    }
}

#[test]
fn the_least_floats_have_mantissas_and_saturated_losses_are_numbers() {
    for device in devices() {
        let least = f32::from_bits(3);
        let x = Tensor::new([least, -least, 0.75], &device).unwrap();
        let (mantissa, exponent) = x.frexp();
        assert_eq!(mantissa.to_vec::<f32>().unwrap(), [0.75, -0.75, 0.75], "{}", device.name());
        assert_eq!(exponent.to_vec::<i32>().unwrap(), [-147, -147, 0]);
        let p = Tensor::new([0f32, 1.0, 0.0, 1.0], &device).unwrap();
        let targets = Tensor::new([0f32, 1.0, 1.0, 0.0], &device).unwrap();
        let losses = p.binary_cross_entropies(&targets).to_vec::<f32>().unwrap();
        assert_eq!(losses, [0.0, 0.0, 100.0, 100.0], "{}", device.name());
    }
}

#[test]
fn orders_and_ways_that_are_many_are_right() {
    let device = Device::cpu();
    let x = Tensor::new([1f64, 2.5, 9.0], &device).unwrap();
    // The sum of the logarithms of gamma functions, however many there are.
    let [few, many] = [8, 9].map(|p| (&x + 5.0).mvlgamma(p).to_vec::<f64>().unwrap());
    for (at, (few, many)) in few.iter().zip(&many).enumerate() {
        let base = [6.0, 7.5, 14.0][at];
        let term = Tensor::scalar(base - 4.0, DType::F64, &device).lgamma().item().unwrap();
        let expected = few + term + 4.0 * std::f64::consts::PI.ln();
        assert!((many - expected).abs() < 1e-9 * expected.abs(), "{many} {expected}");
    }
    // 40! / 40 times the sum of (x + k)^-41, whose factorial is beyond f32.
    let order = Tensor::new([100f32], &device).unwrap().polygamma(40).item().unwrap();
    let factorial: f64 = (1..=40).map(f64::from).product();
    let sum: f64 = (0..10_000).map(|k| (100.0 + f64::from(k)).powi(-41)).sum();
    let expected = -factorial * sum;
    assert!((order - expected).abs() < 1e-4 * expected.abs(), "{order} {expected}");
    let four = Tensor::arange(4, &device);
    let ways = four.combinations(3, false).to_vec::<i32>().unwrap();
    assert_eq!(ways, [0, 1, 2, 0, 1, 3, 0, 2, 3, 1, 2, 3]);
    let pairs = Tensor::arange(3, &device).combinations(2, true).to_vec::<i32>().unwrap();
    assert_eq!(pairs, [0, 0, 0, 1, 0, 2, 1, 1, 1, 2, 2, 2]);
    assert_eq!(four.combinations(4, false).to_vec::<i32>().unwrap(), [0, 1, 2, 3]);
    assert_eq!(four.combinations(5, false).shape()[..], [0, 5]);
}

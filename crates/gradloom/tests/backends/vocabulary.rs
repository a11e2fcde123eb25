//! Functions that PyTorch's users look for: distributions by their moments and by Kolmogorov and Smirnov's
//! distance, results whose shape depends on values, bits of floats, histograms, and what is refused.

use std::panic::{AssertUnwindSafe, catch_unwind};

use gradloom::prelude::*;
use gradloom::{Bins, CovOptions, Interpolation, grad};

use crate::devices;

const COUNT: usize = 40_000;

/// The largest distance between the distribution of a sample and the one it is of. For the samples here a
/// distance of `1.95 / sqrt(n)` has a probability of one in a thousand.
fn distance(sample: &Tensor, below: impl Fn(f64) -> f64) -> f64 {
    let mut sorted = sample.to_vec::<f32>().unwrap();
    sorted.sort_by(f32::total_cmp);
    let count = sorted.len() as f64;
    let distances = sorted.iter().enumerate().map(|(rank, &x)| {
        let share = below(f64::from(x));
        (share - rank as f64 / count).abs().max((share - (rank + 1) as f64 / count).abs())
    });
    distances.fold(0.0, f64::max)
}

#[test]
fn samples_have_their_distribution() {
    let bound = 1.95 / (COUNT as f64).sqrt();
    let key = |number: u32| Key::new(11).fold(number);
    for device in devices() {
        let of = |name: &str, sample: Tensor, below: &dyn Fn(f64) -> f64| {
            let far = distance(&sample, below);
            assert!(far < bound, "{name} on {}: {far} is not below {bound}", device.name());
        };
        let exponential = Tensor::exponential(key(0), COUNT, 0.5, &device);
        of("exponential", exponential, &|x| 1.0 - (-0.5 * x).exp());
        let cauchy = Tensor::cauchy(key(1), COUNT, 1.0, 2.0, &device);
        of("cauchy", cauchy, &|x| 0.5 + ((x - 1.0) / 2.0).atan() / std::f64::consts::PI);
        let normal = |x: f64| 0.5 * (1.0 + gradloom::elementwise::erf(x / 2f64.sqrt()));
        let logarithmic = Tensor::log_normal(key(2), COUNT, 0.25, 0.5, &device);
        of("log_normal", logarithmic, &|x| normal((x.ln() - 0.25) / 0.5));
        let like = Tensor::zeros(COUNT, DType::F32, &device);
        of("rand_like", like.rand_like(key(3)), &|x| x.clamp(0.0, 1.0));
        of("randn_like", like.randn_like(key(4)), &normal);
        let each = Tensor::normal_of(key(5), &(&like + 3.0), &(&like + 2.0));
        of("normal_of", each, &|x| normal((x - 3.0) / 2.0));
    }
}

#[test]
fn discrete_samples_have_their_shares() {
    for device in devices() {
        let name = device.name();
        let near = |what: &str, found: f64, expected: f64, deviation: f64| {
            // Five deviations of a mean of so many.
            let bound = 5.0 * deviation / (COUNT as f64).sqrt();
            assert!((found - expected).abs() < bound, "{what} on {name}: {found} {expected}");
        };
        let mean = |x: &Tensor| x.cast(DType::F32).mean(..).item().unwrap();
        let geometric = Tensor::geometric(Key::new(1), COUNT, 0.3, &device);
        assert!(geometric.min(..).item().unwrap() == 1.0);
        near("geometric", mean(&geometric), 1.0 / 0.3, 0.7f64.sqrt() / 0.3);
        let once = geometric.eq(1.0);
        near("geometric", mean(&once), 0.3, 0.5);
        let certain = Tensor::geometric(Key::new(1), 100, 1.0, &device);
        assert!(certain.eq(1.0).all(..).item().unwrap() == 1.0);
        let p = Tensor::full(COUNT, 0.2, DType::F32, &device);
        near("bernoulli_of", mean(&p.bernoulli_of(Key::new(2))), 0.2, 0.4);
        let ends = Tensor::new([0f32, 1.0, f32::NAN, -1.0, 2.0], &device).unwrap();
        let ends = ends.bernoulli_of(Key::new(3)).to_vec::<bool>().unwrap();
        assert_eq!(ends, [false, true, false, false, true]);
        let like = Tensor::zeros(COUNT, DType::I32, &device);
        let integers = like.randint_like(Key::new(4), -2, 3);
        assert_eq!(integers.min(..).item().unwrap(), -2.0);
        assert_eq!(integers.max(..).item().unwrap(), 2.0);
        near("randint_like", mean(&integers), 0.0, 2f64.sqrt());

        let weights = Tensor::new([1f32, 0.0, 3.0, 4.0], &device).unwrap();
        let drawn = weights.multinomial(Key::new(5), COUNT, true);
        for (column, share) in [0.125, 0.0, 0.375, 0.5].into_iter().enumerate() {
            near("multinomial", mean(&drawn.eq(column as i32)), share, 0.5);
        }
        assert!(!drawn.to_vec::<i32>().unwrap().contains(&1));
        // The second of two without replacement: column 0 with 1/8 of all that the first leaves.
        let rows = weights.broadcast_to([COUNT, 4]);
        let drawn = rows.multinomial(Key::new(6), 3, false);
        let mut all = drawn.to_vec::<i32>().unwrap();
        all.chunks_exact_mut(3).for_each(|row| {
            row.sort_unstable();
            assert_eq!(row, [0, 2, 3], "each column but the one of weight zero, once");
        });
        let second = drawn.index(1, 1);
        let share = 0.375 * (1.0 / 5.0) + 0.5 * (1.0 / 4.0);
        near("multinomial without replacement", mean(&second.eq(0)), share, 0.5);
    }
}

#[test]
fn halves_of_random_numbers_stay_below_one() {
    for device in devices() {
        for dtype in [DType::BF16, DType::F16] {
            if dtype == DType::F16 && !device.capabilities().f16 {
                continue;
            }
            let unit = Tensor::zeros(COUNT, dtype, &device).rand_like(Key::new(8));
            assert!(unit.cast(DType::F32).max(..).item().unwrap() < 1.0, "{dtype}");
            assert!((unit.cast(DType::F32).mean(..).item().unwrap() - 0.5).abs() < 0.01, "{dtype}");
        }
    }
}

#[test]
fn places_and_picked_elements() {
    for device in devices() {
        let x = Tensor::new([[0f32, 3.0, 0.0], [-1.0, 0.0, f32::NAN]], &device).unwrap();
        let places = x.nonzero().unwrap();
        assert_eq!(places.shape()[..], [3, 2]);
        assert_eq!(places.to_vec::<i32>().unwrap(), [0, 1, 1, 0, 1, 2]);
        assert_eq!(x.nonzero_static(2, -7).to_vec::<i32>().unwrap(), [0, 1, 1, 0]);
        let filled = x.nonzero_static(5, -7).to_vec::<i32>().unwrap();
        assert_eq!(filled, [0, 1, 1, 0, 1, 2, -7, -7, -7, -7]);
        let none = Tensor::zeros([2, 0], DType::F32, &device);
        assert_eq!(none.nonzero().unwrap().shape()[..], [0, 2]);
        assert_eq!(none.nonzero_static(2, 9).to_vec::<i32>().unwrap(), [9; 4]);
        assert_eq!(Tensor::ones((), DType::F32, &device).nonzero().unwrap().shape()[..], [1, 0]);

        let mask = Tensor::new([true, false, true], &device).unwrap();
        let picked = x.masked_select(&mask).unwrap();
        let gradient = &grad(&(&picked * &picked).sum(..), &[&x])[0];
        assert_eq!(picked.to_vec::<f32>().unwrap()[..3], [0.0, 0.0, -1.0]);
        assert_eq!(gradient.to_vec::<f32>().unwrap()[..5], [0.0, 0.0, 0.0, -2.0, 0.0]);
        let nothing = x.masked_select(&x.gt(10.0)).unwrap();
        assert_eq!(nothing.shape()[..], [0]);

        assert!(x.equal(&x).is_ok_and(|equal| !equal), "NaN equals nothing");
        assert!(mask.equal(&mask).unwrap());
        assert!(!mask.equal(&mask.unsqueeze(0)).unwrap());
        assert!(x.allclose(&(&x + 1e-9), 1e-5, 1e-8, true).unwrap());
        assert!(!x.allclose(&x, 1e-5, 1e-8, false).unwrap());
    }
}

#[test]
fn different_elements_and_rows() {
    for device in devices() {
        let x = Tensor::new([[3i32, 1, 3], [1, 1, 2]], &device).unwrap();
        let all = x.unique().unwrap();
        assert_eq!(all.values.to_vec::<i32>().unwrap(), [1, 2, 3]);
        assert_eq!(all.inverse.shape()[..], [2, 3]);
        assert_eq!(all.inverse.to_vec::<i32>().unwrap(), [2, 0, 2, 0, 0, 1]);
        assert_eq!(all.counts.to_vec::<i32>().unwrap(), [3, 1, 2]);
        let runs = x.unique_consecutive().unwrap();
        assert_eq!(runs.values.to_vec::<i32>().unwrap(), [3, 1, 3, 1, 2]);
        assert_eq!(runs.counts.to_vec::<i32>().unwrap(), [1, 1, 1, 2, 1]);
        let rows = Tensor::new([[2i32, 1], [1, 5], [2, 1], [1, 2]], &device).unwrap();
        let sorted = rows.unique_along(0).unwrap();
        assert_eq!(sorted.values.to_vec::<i32>().unwrap(), [1, 2, 1, 5, 2, 1]);
        assert_eq!(sorted.inverse.to_vec::<i32>().unwrap(), [2, 1, 2, 0]);
        let columns = rows.t().unique_along(-1).unwrap();
        assert_eq!(columns.values.t().to_vec::<i32>().unwrap(), [1, 2, 1, 5, 2, 1]);
        let runs = rows.unique_consecutive_along(0).unwrap();
        assert_eq!(runs.counts.to_vec::<i32>().unwrap(), [1; 4]);
        let odd = Tensor::new([f32::NAN, 1.0, f32::NAN, -0.0, 0.0], &device).unwrap();
        let odd = odd.unique().unwrap();
        assert_eq!(odd.counts.to_vec::<i32>().unwrap(), [2, 1, 1, 1]);
        let none = Tensor::zeros([0, 3], DType::F32, &device);
        assert_eq!(none.unique().unwrap().values.shape()[..], [0]);
        assert_eq!(none.unique_along(0).unwrap().values.shape()[..], [0, 3]);
    }
}

#[test]
fn masks_that_keep_nothing() {
    for device in devices() {
        let x = Tensor::new([[1f32, 2.0], [3.0, 4.0]], &device).unwrap();
        let mask = Tensor::new([[true, false], [false, false]], &device).unwrap();
        let some = x.masked(&mask);
        assert_eq!(some.sum(1).to_vec::<f32>().unwrap(), [1.0, 0.0]);
        assert_eq!(some.prod(1).to_vec::<f32>().unwrap(), [1.0, 1.0]);
        assert_eq!(some.max(1).to_vec::<f32>().unwrap(), [1.0, f32::NEG_INFINITY]);
        assert_eq!(some.min(1).to_vec::<f32>().unwrap(), [1.0, f32::INFINITY]);
        assert!(some.mean(1).to_vec::<f32>().unwrap()[1].is_nan());
        assert!(some.median(1).to_vec::<f32>().unwrap()[1].is_nan());
        assert_eq!(some.logsumexp(1).to_vec::<f32>().unwrap(), [1.0, f32::NEG_INFINITY]);
        let gradient = &grad(&some.max(1).sum(..), &[&x])[0];
        assert_eq!(gradient.to_vec::<f32>().unwrap()[..2], [1.0, 0.0]);
        let whole = x.cast(DType::I32).masked(&mask);
        assert_eq!(whole.max(1).to_vec::<i32>().unwrap(), [1, i32::MIN]);
    }
}

#[test]
fn neighbours_of_floats() {
    let least = f32::from_bits(1);
    let x = [1f32, 1.0, 0.0, -0.0, least, -least, f32::MAX, f32::INFINITY, f32::NAN, 2.0, -1.0];
    let towards = [2f32, 0.0, 1.0, -1.0, -1.0, 1.0, f32::INFINITY, 0.0, 1.0, f32::NAN, -1.0];
    let expected = [
        1.0 + f32::EPSILON,
        1.0 - f32::EPSILON / 2.0,
        least,
        -least,
        0.0,
        -0.0,
        f32::INFINITY,
        f32::MAX,
        f32::NAN,
        f32::NAN,
        -1.0,
    ];
    for device in devices() {
        let on = |values: &[f32]| Tensor::from_slice(values, [values.len()], &device).unwrap();
        let found = on(&x).nextafter(&on(&towards)).to_vec::<f32>().unwrap();
        for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
            let same = found.to_bits() == expected.to_bits() || found.is_nan() && expected.is_nan();
            assert!(same, "{index} on {}: {found:e}, not {expected:e}", device.name());
        }
    }
    let cpu = Device::cpu();
    let x = Tensor::new([1.0f64], &cpu).unwrap();
    let above = x.nextafter(&(&x + 1.0)).to_vec::<f64>().unwrap();
    assert_eq!(above, [1.0 + f64::EPSILON]);
    let (mantissa, exponent) = Tensor::new([5e-324f64, 1e308, -3.0], &cpu).unwrap().frexp();
    assert_eq!(exponent.to_vec::<i32>().unwrap(), [-1073, 1024, 2]);
    assert_eq!(mantissa.to_vec::<f64>().unwrap()[2], -0.75);
    let (mantissa, exponent) = Tensor::new([f32::from_bits(3), 0.5], &cpu).unwrap().frexp();
    assert_eq!(exponent.to_vec::<i32>().unwrap(), [-147, 0]);
    assert_eq!(mantissa.to_vec::<f32>().unwrap(), [0.75, 0.5]);
}

#[test]
fn bins_count_what_lies_between_their_edges() {
    for device in devices() {
        let x = Tensor::new([0f32, 0.25, 0.5, 1.0, 1.5, -0.1, f32::NAN], &device).unwrap();
        assert_eq!(x.histc(2, 0.0, 1.0).to_vec::<f32>().unwrap(), [2.0, 2.0]);
        let edges = Tensor::new([0f32, 0.25, 0.25, 1.0], &device).unwrap();
        let weight = Tensor::new([1f32, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0], &device).unwrap();
        let (sums, found) = x.histogram(&edges, Some(&weight), false);
        assert_eq!(sums.to_vec::<f32>().unwrap(), [1.0, 0.0, 14.0]);
        assert_eq!(found.to_vec::<f32>().unwrap(), [0.0, 0.25, 0.25, 1.0]);
        let gradient = &grad(&sums.sum(..), &[&weight])[0];
        assert_eq!(gradient.to_vec::<f32>().unwrap(), [1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0]);
        let four = Tensor::new([1f32, 2.0, 2.0, 5.0], &device).unwrap();
        let (density, edges) = four.histogram(2, None, true);
        assert_eq!(edges.to_vec::<f32>().unwrap(), [1.0, 3.0, 5.0]);
        assert_eq!(density.to_vec::<f32>().unwrap(), [0.375, 0.125]);
        let points = Tensor::new([[0f32, 0.0], [0.0, 2.0], [3.0, 2.0]], &device).unwrap();
        let range = Bins::Range { count: 2, low: 0.0, high: 4.0 };
        let (counts, edges) = points.histogramdd(&[range, Bins::Count(2)], None, false);
        assert_eq!(counts.to_vec::<f32>().unwrap(), [1.0, 1.0, 0.0, 1.0]);
        assert_eq!(edges[1].to_vec::<f32>().unwrap(), [0.0, 1.0, 2.0]);
        let same = Tensor::new([2f32, 2.0], &device).unwrap();
        assert_eq!(same.histogram(1, None, false).1.to_vec::<f32>().unwrap(), [1.5, 2.5]);
        assert_eq!(same.histc(1, 0.0, 0.0).to_vec::<f32>().unwrap(), [2.0]);
        let none = Tensor::zeros([0], DType::F32, &device);
        assert_eq!(none.histogram(2, None, false).0.to_vec::<f32>().unwrap(), [0.0, 0.0]);
    }
}

fn message<T>(call: impl FnOnce() -> T) -> String {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(_) => panic!("nothing is refused"),
        Err(panic) => match panic.downcast::<String>() {
            Ok(message) => *message,
            Err(panic) => panic.downcast::<&str>().expect("a message").to_string(),
        },
    }
}

#[test]
fn what_does_not_fit_is_refused_by_name() {
    let device = Device::cpu();
    let (x, whole) =
        (Tensor::ones([2, 3], DType::F32, &device), Tensor::ones([2, 3], DType::I32, &device));
    let none = Tensor::ones([2, 0], DType::F32, &device);
    let begins = |name: &str, said: String| {
        assert!(said.starts_with(&format!("{name}: ")), "{name}: {said}");
    };
    begins("nanmedian", message(|| none.nanmedian(1)));
    begins("mode", message(|| none.mode(1)));
    begins("quantiles", message(|| none.quantiles(&[0.5], 1, Interpolation::Linear)));
    begins("quantiles", message(|| x.quantiles(&[1.5], 1, Interpolation::Linear)));
    begins("nanquantiles", message(|| whole.nanquantiles(&[0.5], 1, Interpolation::Linear)));
    begins("gradient", message(|| x.gradient(0, 1.0, 2)));
    begins("gradient", message(|| x.gradient(1, 1.0, 3)));
    begins("gradient", message(|| x.gradient(1, &x, 1)));
    begins("cov", message(|| x.unsqueeze(0).cov(&CovOptions::default())));
    begins("cov", message(|| x.cov(&CovOptions::default().importances(&x.index(1, 0)))));
    begins("histc", message(|| x.histc(0, 0.0, 1.0)));
    begins("histc", message(|| x.histc(2, 1.0, 0.0)));
    begins("histogram", message(|| x.histogram(2, Some(&x.index(0, 0)), false)));
    begins("histogramdd", message(|| x.histogramdd(&[Bins::Count(2)], None, false)));
    begins("histogram", message(|| x.histogram(&x, None, false)));
    begins("multinomial", message(|| x.multinomial(Key::new(1), 4, false)));
    begins("multinomial", message(|| none.multinomial(Key::new(1), 0, true)));
    begins("geometric", message(|| Tensor::geometric(Key::new(1), 2, 0.0, &device)));
    begins("exponential", message(|| Tensor::exponential(Key::new(1), 2, 0.0, &device)));
    begins("cauchy", message(|| Tensor::cauchy(Key::new(1), 2, 0.0, -1.0, &device)));
    begins("rand_like", message(|| whole.rand_like(Key::new(1))));
    begins("randint_like", message(|| whole.cast(DType::I8).randint_like(Key::new(1), 0, 300)));
    begins("bessel_j0", message(|| whole.bessel_j0()));
    begins("chebyshev_polynomial_t", message(|| whole.chebyshev_polynomial_t(2)));
    begins("zeta", message(|| whole.zeta(&whole)));
    begins("igamma", message(|| x.igamma(&x.cast(DType::F64))));
    begins("nextafter", message(|| whole.nextafter(&whole)));
    begins("frexp", message(|| whole.frexp()));
    begins("linspace", message(|| Tensor::linspace_between(&x, &x, 2)));
    begins("logspace", message(|| Tensor::logspace(0.0, 1.0, 2, -1.0, DType::F32, &device)));
    begins("masked_select", message(|| x.masked_select(&x)));
    begins("masked", message(|| x.masked(&x)));
    begins("masked", message(|| x.masked(&x.gt(0.0).unsqueeze(0))));
    begins("masked mean", message(|| whole.masked(&x.gt(0.0)).mean(..)));
    begins("unique_along", message(|| none.unique_along(0)));
    begins("searchsorted_by", message(|| x.searchsorted_by(&whole.index(0, 0), &x, false)));
    let said = Shape::broadcast(&[Shape::new(&[2]), Shape::new(&[3])]).unwrap_err().to_string();
    begins("broadcast", said);
}

#[test]
fn incomplete_gamma_functions_have_both_slopes() {
    let device = Device::cpu();
    let a = Tensor::new([0.5f64, 2.0, 7.0], &device).unwrap();
    let x = Tensor::new([0.7f64, 3.0, 5.0], &device).unwrap();
    for upper in [false, true] {
        let of = |a: &Tensor, x: &Tensor| if upper { a.igammac(x) } else { a.igamma(x) };
        let gradients = grad(&of(&a, &x).sum(..), &[&a, &x]);
        let step = 1e-5;
        let by_a = (of(&(&a + step), &x) - of(&(&a - step), &x)) / (2.0 * step);
        let by_x = (of(&a, &(&x + step)) - of(&a, &(&x - step))) / (2.0 * step);
        for (found, expected) in gradients.iter().zip([by_a, by_x]) {
            assert!(found.allclose(&expected, 1e-7, 1e-9, false).unwrap(), "{found} {expected}");
        }
        let second = &grad(&grad(&of(&a, &x).sum(..), &[&x])[0].sum(..), &[&x])[0];
        let slope = |x: &Tensor| grad(&of(&a, x).sum(..), &[x]).remove(0);
        let expected = (slope(&(&x + step)) - slope(&(&x - step))) / (2.0 * step);
        assert!(second.allclose(&expected, 1e-6, 1e-8, false).unwrap());
    }
}

//! Losses against what they stand for, written down the long way.

use std::sync::OnceLock;

use gradloom_autodiff::grad;
use gradloom_nn::losses::{self, ClassOptions, CtcOptions, LossReduction};
use gradloom_tensor::{DType, Device, Tensor};

pub(crate) fn cpu() -> Device {
    static CPU: OnceLock<Device> = OnceLock::new();
    let new = || gradloom_cpu::CpuBackend::new(None).expect("a processor").into_device();
    CPU.get_or_init(new).clone()
}

/// Numbers between -1 and 1, no two alike.
fn numbers(count: usize) -> Vec<f64> {
    (0..count).map(|at| ((at * 37 + 11) % 101) as f64 / 50.5 - 1.0).collect()
}

pub(crate) fn f64s(shape: &[usize]) -> Tensor {
    let shape = gradloom_tensor::Shape::new(shape);
    Tensor::from_vec(numbers(shape.count()), shape, &cpu()).expect("numbers")
}

pub(crate) fn i32s(values: &[i32], shape: &[usize]) -> Tensor {
    Tensor::from_vec(values.to_vec(), gradloom_tensor::Shape::new(shape), &cpu()).expect("integers")
}

#[track_caller]
pub(crate) fn assert_close(actual: &Tensor, expected: &[f64], allowed: f64) {
    let actual = actual.cast(DType::F64).to_vec::<f64>().expect("values");
    assert_eq!(actual.len(), expected.len());
    for (at, (a, b)) in actual.iter().zip(expected).enumerate() {
        assert!((a - b).abs() <= allowed || a == b, "element {at} is {a}, not {b}");
    }
}

/// First and second derivatives by central differences of a function of one tensor in f64.
#[track_caller]
pub(crate) fn assert_derivatives(x: &Tensor, of: impl Fn(&Tensor) -> Tensor) {
    let step = 1e-5;
    let slope = |x: &Tensor| grad(&of(x), &[x]).remove(0);
    // A sum of the gradient with weights is differentiated again.
    let weighted = |x: &Tensor| {
        let slope = slope(x);
        let weights = f64s(slope.shape());
        (slope * weights).sum(..)
    };
    let values = x.to_vec::<f64>().expect("values");
    let differences = |of: &dyn Fn(&Tensor) -> Tensor| -> Vec<f64> {
        let at = |at: usize, by: f64| {
            let mut moved = values.clone();
            moved[at] += by;
            let moved = Tensor::from_vec(moved, *x.shape(), x.device()).expect("moved");
            of(&moved).item().expect("a number")
        };
        (0..values.len()).map(|place| (at(place, step) - at(place, -step)) / (2.0 * step)).collect()
    };
    assert_close(&slope(x), &differences(&|x| of(x)), 1e-6);
    assert_close(&grad(&weighted(x), &[x])[0], &differences(&|x| weighted(x)), 1e-4);
}

/// The probability of labels as the sum over all paths that become them.
fn all_paths(probabilities: &[Vec<f64>], labels: &[usize], blank: usize) -> f64 {
    let classes = probabilities[0].len();
    let mut paths: Vec<(Vec<usize>, f64)> = vec![(Vec::new(), 1.0)];
    for step in probabilities {
        paths = paths
            .iter()
            .flat_map(|(path, p)| {
                (0..classes).map(move |class| ([&path[..], &[class]].concat(), p * step[class]))
            })
            .collect();
    }
    let becomes = |path: &[usize]| {
        let mut found: Vec<usize> = Vec::new();
        for (at, &class) in path.iter().enumerate() {
            if class != blank && (at == 0 || path[at - 1] != class) {
                found.push(class);
            }
        }
        found
    };
    paths.iter().filter(|(path, _)| becomes(path) == labels).map(|(_, p)| p).sum()
}

#[test]
fn ctc_is_the_sum_over_all_paths() {
    let (steps, batch, classes) = (5, 4, 3);
    let x = f64s(&[steps, batch, classes]).log_softmax(-1);
    let labels = i32s(&[1, 2, 0, 2, 2, 1, 1, 0, 0, 2, 1, 2], &[4, 3]);
    let (counts, lengths) = ([5, 5, 3, 4], [2, 3, 0, 1]);
    let options = CtcOptions { reduction: LossReduction::None, ..Default::default() };
    let of =
        |x: &Tensor| losses::ctc(x, &labels, &i32s(&counts, &[4]), &i32s(&lengths, &[4]), &options);
    let values = x.exp().to_vec::<f64>().expect("values");
    let rows = [vec![1, 2], vec![2, 2, 1], vec![], vec![2]];
    let expected: Vec<f64> = (0..batch)
        .map(|row| {
            let steps: Vec<Vec<f64>> = (0..counts[row] as usize)
                .map(|step| {
                    let first = (step * batch + row) * classes;
                    values[first..first + classes].to_vec()
                })
                .collect();
            -all_paths(&steps, &rows[row], 0).ln()
        })
        .collect();
    assert_close(&of(&x), &expected, 1e-9);
    assert_derivatives(&x.detach(), |x| {
        let weights = f64s(&[4]);
        (of(x) * weights).sum(..)
    });
}

#[test]
fn labels_that_do_not_fit_cost_infinity_or_nothing() {
    let x = f64s(&[2, 1, 3]).log_softmax(-1);
    let labels = i32s(&[1, 1], &[1, 2]);
    let (two, all) = (i32s(&[2], &[1]), i32s(&[2], &[1]));
    let of = |zero_infinity: bool| {
        let options = CtcOptions { zero_infinity, ..Default::default() };
        losses::ctc(&x, &labels, &two, &all, &options)
    };
    assert_eq!(of(false).item().expect("a loss"), f64::INFINITY);
    assert_eq!(of(true).item().expect("a loss"), 0.0);
    assert_close(&grad(&of(true), &[&x])[0], &[0.0; 6], 0.0);
}

#[test]
fn logits_in_chunks_cost_what_they_cost_at_once() {
    let (x, weight, bias) = (f64s(&[7, 4]), f64s(&[5, 4]), f64s(&[5]));
    let targets = i32s(&[0, 4, 2, 2, 1, 3, 0], &[7]);
    for reduction in [LossReduction::Mean, LossReduction::Sum, LossReduction::None] {
        let options = ClassOptions::default()
            .reduction(reduction)
            .weight(&(f64s(&[5]) + 1.5))
            .ignore_index(2)
            .label_smoothing(0.1);
        let of = |chunk| {
            losses::linear_cross_entropy(&x, &weight, Some(&bias), &targets, &options, chunk)
        };
        let (once, parts) = (of(None), of(Some(3)));
        assert_close(&parts, &once.to_vec::<f64>().expect("losses"), 1e-12);
        let slopes = |loss: &Tensor| grad(&loss.square().sum(..), &[&x, &weight, &bias]);
        for (a, b) in slopes(&parts).iter().zip(slopes(&once)) {
            assert_close(a, &b.to_vec::<f64>().expect("slopes"), 1e-12);
        }
    }
}

#[test]
fn classes_on_another_axis_cost_the_same() {
    let x = f64s(&[2, 3, 4]);
    let targets = i32s(&[0, 2, 1, 1, 2, 2, 0, 1], &[2, 4]);
    let on_one = losses::cross_entropy(&x, &targets, &ClassOptions::default().axis(1));
    let last = losses::cross_entropy(&x.movedim(1, -1), &targets, &ClassOptions::default());
    assert_eq!(on_one.item().expect("a loss"), last.item().expect("a loss"));
    // One class for sure is what a probability of one is.
    let sure = targets.one_hot(3).cast(DType::F64).movedim(-1, 1);
    let options = ClassOptions::default().axis(1).label_smoothing(0.2);
    let [by_class, by_probability] =
        [&targets, &sure].map(|targets| losses::cross_entropy(&x, targets, &options));
    assert_close(&by_class, &[by_probability.item().expect("a loss")], 1e-12);
    assert_derivatives(&x, |x| losses::cross_entropy(x, &targets, &options));
}

#[test]
fn margins_of_classes_and_labels_are_differentiable() {
    let x = f64s(&[3, 4]);
    let labels = i32s(&[3, 0, -1, 1, -1, 0, 1, 2, 2, 1, 3, -1], &[3, 4]);
    assert_derivatives(&x, |x| losses::multilabel_margin(x, &labels, LossReduction::Sum));
    let classes = i32s(&[3, 0, 2], &[3]);
    let options = losses::MultiMarginOptions { power: 2.0, ..Default::default() };
    assert_derivatives(&x, |x| losses::multi_margin(x, &classes, &options));
}

#[track_caller]
pub(crate) fn refused(message: &str, run: impl Fn() -> Tensor) {
    let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).err();
    let panic = panic.expect("it should have been refused");
    let text = panic.downcast_ref::<String>().cloned();
    let text = text.or_else(|| panic.downcast_ref::<&str>().map(|&text| text.to_owned()));
    let text = text.expect("a message");
    assert!(text.contains(message), "{text:?} does not say {message:?}");
}

#[test]
fn what_does_not_fit_is_named() {
    let (x, two) = (f64s(&[3, 4]), i32s(&[0, 1], &[2]));
    refused("cross_entropy: [3, 4]", || losses::cross_entropy(&x, &two, &ClassOptions::default()));
    refused("multi_margin: targets [2]", || losses::multi_margin(&x, &two, &Default::default()));
    refused("multilabel_margin: labels [2]", || {
        losses::multilabel_margin(&x, &two, LossReduction::Mean)
    });
    refused("ctc: needs log-probabilities [T, N, C]", || {
        losses::ctc(&x, &two, &two, &two, &CtcOptions::default())
    });
    refused("linear_cross_entropy: a chunk of 0", || {
        let options = ClassOptions::default();
        losses::linear_cross_entropy(&x, &x, None, &two, &options, Some(0))
    });
    let far = losses::cross_entropy(&x, &i32s(&[0, 4, 1], &[3]), &ClassOptions::default());
    let error = far.item().expect_err("a target outside");
    assert!(error.to_string().contains("cross_entropy"), "{error}");
}

#[test]
fn what_is_far_below_adds_nothing() {
    let (far, x) = (f64s(&[2]) * 0.0 - 1e30, f64s(&[2]));
    let values = x.to_vec::<f64>().expect("values");
    assert_close(&far.logaddexp(&x), &values, 0.0);
    assert_close(&x.logaddexp(&far), &values, 0.0);
    let nothing = &x * 0.0 - f64::INFINITY;
    assert_close(&nothing.logaddexp(&x), &values, 0.0);
    assert_close(&grad(&nothing.logaddexp(&x).sum(..), &[&x])[0], &[1.0, 1.0], 0.0);
}

#[test]
fn smooth_l1_keeps_halves_and_infinite_distances() {
    let x = f64s(&[4]).cast(DType::F16);
    let target = x.zeros_like();
    let loss = losses::smooth_l1(&x, &target, 1e-9, LossReduction::None);
    assert_close(&loss, &x.abs().cast(DType::F64).to_vec::<f64>().expect("values"), 0.0);
    let far = Tensor::from_vec(vec![f64::INFINITY, 0.5], [2], &cpu()).expect("numbers");
    let loss = losses::huber(&far, &far.zeros_like(), 2.0, LossReduction::Sum);
    assert_close(&grad(&loss, &[&far])[0], &[2.0, 0.5], 0.0);
}

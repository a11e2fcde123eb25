//! Reductions of nothing, integers as halves, and the line that a gradient's node belongs to.

use gradloom::ops::grid_sampling::GridOptions;
use gradloom::ops::scatter::ScatterReduction;
use gradloom::prelude::*;
use gradloom_cpu::CpuBackend;
use gradloom_testkit::check::elements;

use crate::{cpus, devices, gpus};

/// Shapes with an empty axis, and axes to reduce: the empty one, another one, all.
const EMPTY: [([usize; 3], &[isize]); 6] = [
    ([2, 0, 3], &[1]),
    ([0, 2, 3], &[0]),
    ([2, 3, 0], &[2]),
    ([2, 0, 3], &[0]),
    ([2, 0, 3], &[0, 1, 2]),
    ([0, 0, 2], &[0]),
];

#[test]
fn reductions_over_empty_axes_give_what_changes_nothing() {
    for device in cpus().into_iter().chain(gpus()) {
        let supported = |dtype: &DType| match dtype {
            DType::F16 => device.capabilities().f16,
            DType::F64 => device.capabilities().f64,
            DType::I64 => device.capabilities().i64,
            _ => true,
        };
        for dtype in DType::ALL.into_iter().filter(supported) {
            for (shape, axes) in EMPTY {
                let what = format!("{dtype} {shape:?} over {axes:?} on {}", device.name());
                // A leaf, and a node that is computed in the same kernel.
                let leaf = Tensor::zeros(shape, dtype, &device);
                leaf.eval().unwrap();
                let computed = leaf.cast(DType::I32).cast(dtype);
                for x in [leaf, computed] {
                    let all = |result: Tensor, value: f64| {
                        let found =
                            elements(&result).unwrap_or_else(|error| panic!("{what}: {error}"));
                        let same =
                            |found: &f64| *found == value || (found.is_nan() && value.is_nan());
                        assert!(found.iter().all(same), "{what}: {found:?}, not {value}");
                        let kept: usize = (0..3)
                            .filter(|axis| !axes.contains(&(*axis as isize)))
                            .map(|axis| shape[axis])
                            .product();
                        assert_eq!(found.len(), kept, "{what}");
                    };
                    all(x.sum(axes), 0.0);
                    all(x.any(axes), 0.0);
                    all(x.all(axes), 1.0);
                    all(x.count_nonzero(axes), 0.0);
                    if dtype.is_float() {
                        all(x.mean(axes), f64::NAN);
                        all(x.var(axes, 1), f64::NAN);
                        all(x.norm(axes), 0.0);
                        all(x.logsumexp(axes), f64::NEG_INFINITY);
                        // More work on the row than the reduction.
                        all((x.sum(axes) + 1.0).cast(DType::F32) * 2.0, 2.0);
                    }
                    let axis = axes[0];
                    assert_eq!(x.cumsum(axis).count(), 0, "{what}");
                    assert!(elements(&x.cumsum(axis)).unwrap().is_empty(), "{what}");
                }
            }
        }
    }
}

#[test]
fn integers_become_halves_with_one_rounding() {
    // Around ties of both types, beyond what f32 has exactly, and at the ends.
    let mut values: Vec<i32> =
        vec![0, 1, -1, i32::MAX, i32::MIN, i32::MIN + 1, 65_519, 65_520, 65_504];
    for exponent in 8..31 {
        for step in [1i64, 3, 5, 127, 129, 255] {
            // Halfway between two numbers of bf16, and of f16, of this size.
            for bits in [9, 12] {
                let unit = 1i64 << (exponent - exponent.min(bits - 1));
                let tie = (1i64 << exponent) + step * unit;
                values.extend(
                    [tie - 1, tie, tie + 1]
                        .into_iter()
                        .flat_map(|value| [value, -value])
                        .filter_map(|value| i32::try_from(value).ok()),
                );
            }
        }
    }
    let words: Vec<u32> = values.iter().map(|&value| value as u32).collect();
    for device in devices() {
        let signed = Tensor::from_vec(values.clone(), [values.len()], &device).unwrap();
        let unsigned = Tensor::from_vec(words.clone(), [words.len()], &device).unwrap();
        // Stored, and on the way of another op of the same kernel.
        let halves = [DType::BF16, DType::F16];
        for dtype in
            halves.into_iter().filter(|&dtype| dtype == DType::BF16 || device.capabilities().f16)
        {
            let round = |value: f64| match dtype {
                DType::BF16 => gradloom_tensor::rounding::to_bf16(value).to_f64(),
                _ => gradloom_tensor::rounding::to_f16(value).to_f64(),
            };
            let check = |found: Tensor, exact: Vec<f64>, what: &str| {
                for (found, exact) in elements(&found).unwrap().into_iter().zip(exact) {
                    let right = round(exact);
                    assert!(
                        found == right,
                        "{what} {exact} as {dtype} on {}: {found}, not {right}",
                        device.name()
                    );
                }
            };
            let exact: Vec<f64> = values.iter().map(|&value| f64::from(value)).collect();
            check(signed.cast(dtype), exact.clone(), "i32");
            check(signed.cast(dtype).cast(DType::F32), exact.clone(), "fused i32");
            check(-(-signed.cast(dtype)), exact, "negated i32");
            let exact = words.iter().map(|&value| f64::from(value)).collect();
            check(unsigned.cast(dtype), exact, "u32");
        }
    }
}

#[test]
fn a_nan_of_a_gradient_belongs_to_the_line_of_its_op() {
    let device = CpuBackend::new(Some(1)).expect("threads").check_nan(true).into_device();
    let x = Tensor::from_vec(vec![0.0f32, 4.0], [2], &device).unwrap();
    let line = line!() + 1;
    let root = x.sqrt();
    let gradient = grad(&(root * 2.0).sum(..), &[&x]).swap_remove(0);
    let error = gradient.eval().expect_err("the slope of a root at 0");
    let message = error.to_string();
    let place = format!("edges.rs:{line}:");
    assert!(error.is_not_finite() && message.contains(&place), "{message}");
    assert!(message.contains("in the gradient of its sqrt"), "{message}");
}

#[test]
fn nodes_of_gradients_know_the_lines_of_their_ops() {
    let device = Device::cpu();
    let x = Tensor::from_vec(vec![0.5f32, 4.0], [2], &device).unwrap();
    let line = line!() + 1;
    let y = x.tanh();
    let gradient = grad(&y.sum(..), &[&x]).swap_remove(0);
    assert_eq!((gradient.location().line(), gradient.origin().gradient_of), (line, Some("tanh")));
    // A second derivative belongs to the same line; what comes after has lines of its own.
    let second = grad(&gradient.sum(..), &[&x]).swap_remove(0);
    assert_eq!(second.location().line(), line);
    let after = &second + 1.0;
    assert_eq!((after.location().line(), after.origin().gradient_of), (line!() - 1, None));
    // Zeros for what the output does not depend on belong to the call.
    let other = x.detach();
    let zeros = grad(&y.sum(..), &[&other]).swap_remove(0);
    assert_eq!(zeros.location().line(), line!() - 1);
    // A rule of one's own has lines of its own, also inside other gradients.
    let rule_line = line!() + 2;
    let custom =
        custom_grad(&y, std::slice::from_ref(&y), |_, _, gradient| vec![Some(gradient * 3.0)]);
    let gradient = grad(&custom.sum(..), &[&y]).swap_remove(0);
    assert_eq!((gradient.location().line(), gradient.origin().gradient_of), (rule_line, None));
}

#[test]
fn a_rule_of_the_wrong_shape_is_named() {
    let device = Device::cpu();
    let x = Tensor::ones([2], DType::F32, &device);
    let y =
        custom_grad(&x, std::slice::from_ref(&x), |_, _, gradient| vec![Some(gradient.sum(..))]);
    let message =
        gradloom_testkit::graphs::quietly(|| grad(&y.sum(..), &[&x])).expect_err("a scalar");
    assert!(message.starts_with("custom: the gradient of an operand is f32"), "{message}");
}

/// Slopes where formulas have corners, as PyTorch has them.
#[test]
fn slopes_at_corners_are_those_of_the_functions() {
    for device in devices() {
        let zeros = Tensor::new([0.0f32, 0.0], &device).unwrap();
        let labels = Tensor::new([1.0f32, 0.0], &device).unwrap();
        let first = |x: &Tensor, y: &Tensor| grad(&y.sum(..), &[x])[0].clone();
        let both = |f: &dyn Fn(&Tensor) -> Tensor| {
            let slope = first(&zeros, &f(&zeros));
            let curve = first(&zeros, &slope);
            [slope, curve].map(|x| x.to_vec::<f32>().unwrap()[0])
        };
        let loss = zeros.bce_with_logits(&labels);
        let slope = &grad(&loss, &[&zeros])[0];
        assert_eq!(slope.to_vec::<f32>().unwrap(), [-0.25, 0.25], "{}", device.name());
        assert_eq!(first(&zeros, slope).to_vec::<f32>().unwrap(), [0.125, 0.125]);
        assert_eq!(both(&|x| x.softplus()), [0.5, 0.25]);
        assert_eq!(both(&|x| x.log_sigmoid()), [0.5, -0.25]);
        assert_eq!(both(&|x| x.elu(1.0))[0], 1.0);
        assert!((both(&|x| x.selu())[0] - 1.758_099_3).abs() < 1e-6);
        // A sigmoid that is one.
        let logits = Tensor::new([20.0f32, 0.3], &device).unwrap();
        let loss = logits.sigmoid().binary_cross_entropy(&labels);
        let slope = grad(&loss, &[&logits])[0].to_vec::<f32>().unwrap();
        assert!(slope[0] == 0.0 && (slope[1] - 0.287_221_3).abs() < 1e-5, "{slope:?}");
        let certain = Tensor::new([1.0f32, 0.0], &device).unwrap();
        let loss = certain.binary_cross_entropy(&labels);
        assert_eq!(loss.item().unwrap(), 0.0);
        assert!(grad(&loss, &[&certain])[0].to_vec::<f32>().unwrap().iter().all(|x| x.is_finite()));
    }
}

/// Powers and hyperbolic functions where parts of their formulas are zero or infinite.
#[test]
fn slopes_of_powers_and_exponentials_are_right_at_their_ends() {
    for device in devices() {
        let name = device.name();
        let slope = |x: &Tensor, f: &dyn Fn(&Tensor) -> Tensor| {
            grad(&f(x).sum(..), &[x])[0].to_vec::<f32>().unwrap()
        };
        let ends = Tensor::new([0.0f32, f32::INFINITY, 2.0], &device).unwrap();
        let negative = f32::NEG_INFINITY;
        assert_eq!(slope(&ends, &|x| x.powf(-2.0)), [negative, 0.0, -0.25], "{name}");
        assert_eq!(slope(&ends, &|x| x.powi(-1)), [negative, 0.0, -0.25], "{name}");
        assert_eq!(slope(&ends, &|x| x.powf(-3.0))[..2], [negative, 0.0], "{name}");
        let far = Tensor::new([89.0f32, 1e-8, -89.0], &device).unwrap();
        let near = |found: &[f32], exact: &[f64]| {
            let close = |(&a, &b): (&f32, &f64)| (f64::from(a) / b - 1.0).abs() < 5e-7;
            assert!(found.iter().zip(exact).all(close), "{name}: {found:?}, not {exact:?}");
        };
        let exact = [89f64, 1e-8f32.into(), -89.0];
        near(&far.cosh().to_vec::<f32>().unwrap(), &exact.map(f64::cosh));
        near(&far.sinh().to_vec::<f32>().unwrap(), &exact.map(f64::sinh));
        near(&slope(&far, &|x| x.cosh()), &exact.map(f64::sinh));
        near(&slope(&far, &|x| x.sinh()), &exact.map(f64::cosh));
        let powers = Tensor::new([100.0f32, -0.5, 127.5], &device).unwrap();
        near(&powers.exp2().to_vec::<f32>().unwrap(), &[100f64, -0.5, 127.5].map(f64::exp2));
        // The second derivatives of arcs: x (1 - x^2)^(-3/2), and its negative.
        let ends = Tensor::new([1.0f32, -1.0, 0.5, 0.0], &device).unwrap().tracked();
        let second = |f: &dyn Fn(&Tensor) -> Tensor| {
            let first = &grad(&f(&ends).sum(..), &[&ends])[0];
            grad(&first.sum(..), &[&ends])[0].to_vec::<f32>().unwrap()
        };
        for (found, sign) in [(second(&|x| x.asin()), 1.0), (second(&|x| x.acos()), -1.0)] {
            assert_eq!(found[..2], [sign * f32::INFINITY, -sign * f32::INFINITY], "{name}");
            assert!((sign * found[2] - 0.769_800_36).abs() < 1e-6, "{name}: {found:?}");
            assert_eq!(found[3], 0.0, "{name}");
        }
    }
}

/// A class that cannot be (its logit is minus infinity) costs the others nothing.
#[test]
fn impossible_classes_are_no_nan_in_losses() {
    use gradloom::nn::losses::{focal, weighted_cross_entropy};
    for device in devices() {
        let logits = Tensor::new([[0.2f32, 0.4, f32::NEG_INFINITY]], &device).unwrap();
        let target = Tensor::new([1i32], &device).unwrap();
        let weight = Tensor::new([1.0f32, 2.0, 3.0], &device).unwrap();
        let losses = [
            weighted_cross_entropy(&logits, &target, &weight),
            focal(&logits, &target, 0.0),
            logits.cross_entropy(&target),
        ];
        for loss in losses {
            assert!((loss.item().unwrap() - 0.598_138_87).abs() < 1e-6, "{}", device.name());
            let slope = grad(&loss, &[&logits])[0].to_vec::<f32>().unwrap();
            assert!(slope.iter().all(|x| x.is_finite()) && slope[2] == 0.0, "{slope:?}");
        }
    }
}

/// Which slope is taken where there are several: see the documentation of `gradloom_autodiff`.
#[test]
fn subgradients_are_those_of_pytorch() {
    for device in devices() {
        let slope = |at: f32, f: &dyn Fn(&Tensor) -> Tensor| {
            let x = Tensor::new([at], &device).unwrap();
            grad(&f(&x).sum(..), &[&x])[0].item().unwrap()
        };
        assert_eq!(slope(0.0, &|x| x.relu()), 0.0);
        assert_eq!(slope(0.0, &|x| x.abs()), 0.0);
        assert_eq!(slope(0.0, &|x| x.leaky_relu(0.25)), 0.25);
        assert_eq!([-1.0, 1.0].map(|at| slope(at, &|x| x.hardtanh())), [0.0; 2]);
        assert_eq!([0.0, 6.0].map(|at| slope(at, &|x| x.relu6())), [0.0; 2]);
        assert_eq!([-3.0, 3.0].map(|at| slope(at, &|x| x.hardsigmoid())), [0.0; 2]);
        assert_eq!([-3.0, 3.0].map(|at| slope(at, &|x| x.hardswish())), [0.0, 1.0]);
        assert_eq!([-1.0, 2.0].map(|at| slope(at, &|x| x.clamp(-1.0, 2.0))), [0.0; 2]);
        assert_eq!(slope(2.0, &|x| x.clamp(x.detach(), 3.0)), 0.5);
        assert_eq!(slope(2.0, &|x| x.maximum(2.0)), 0.5);
        assert_eq!(slope(0.0, &|x| x.minimum(0.0)), 0.5);
        let both = Tensor::new([3.0f32, 3.0, 1.0], &device).unwrap();
        let slopes = grad(&both.max(0), &[&both])[0].to_vec::<f32>().unwrap();
        assert_eq!(slopes, [0.5, 0.5, 0.0], "{}", device.name());
        let bound = Tensor::new([f32::NAN, 1.0], &device).unwrap();
        let clamped = bound.ones_like().clamp(&bound, 5.0).to_vec::<f32>().unwrap();
        assert!(clamped[0].is_nan() && clamped[1] == 1.0, "{clamped:?}");
    }
}

#[test]
fn the_last_of_several_at_one_place_stays_as_it_is() {
    for device in devices() {
        let name = device.name();
        let index = Tensor::from_vec(vec![2i32, 0, 2, 0, 2], [5], &device).unwrap();
        let values = [f32::NAN, f32::INFINITY, 3.0, -1.5, -f32::INFINITY];
        let updates = Tensor::from_vec(values.to_vec(), [5], &device).unwrap();
        let x = Tensor::from_vec(vec![7f32, 8.0, 9.0], [3], &device).unwrap();
        let last = vec![-1.5, 8.0, -f32::INFINITY];
        assert_eq!(x.scatter(0, &index, &updates).to_vec::<f32>().unwrap(), last, "{name}");
        assert_eq!(x.index_copy(0, &index, &updates).to_vec::<f32>().unwrap(), last, "{name}");
        let truths = x.gt(7.5).scatter(0, &index, updates.lt(0.0)).to_vec::<bool>().unwrap();
        assert_eq!(truths, [true, true, true], "{name}");
        let bytes = x.cast(DType::U8).scatter(0, &index, index.cast(DType::U8).add(250u8));
        assert_eq!(bytes.cast(DType::I32).to_vec::<i32>().unwrap(), [250, 8, 252], "{name}");
        // Its gradient is that of the last alone.
        let slopes = grad(&x.scatter(0, &index, updates.detach().tracked()).sum(..), &[&x]);
        assert_eq!(slopes[0].to_vec::<f32>().unwrap(), [0.0, 1.0, 0.0], "{name}");
    }
}

#[test]
fn a_mask_that_keeps_more_than_there_is_fails_the_evaluation() {
    for device in devices() {
        let x = Tensor::zeros([4], DType::F32, &device);
        let mask = Tensor::ones([4], DType::Bool, &device);
        let three = Tensor::ones([3], DType::F32, &device);
        let error = x.masked_scatter(&mask, &three).to_vec::<f32>().unwrap_err();
        assert!(error.to_string().contains("masked_scatter"), "{error}");
        let none = Tensor::zeros([0], DType::F32, &device);
        let error = x.masked_scatter(&mask, &none).to_vec::<f32>().unwrap_err();
        assert!(error.to_string().contains("masked_scatter"), "{error}");
        let nothing = x.masked_scatter(&mask.logical_not(), &none).to_vec::<f32>().unwrap();
        assert_eq!(nothing, [0.0; 4]);
        // So does an index out of range, whichever op it is of.
        let far = Tensor::from_vec(vec![4i32], [1], &device).unwrap();
        let error = x.scatter(0, &far, 1.0).to_vec::<f32>().unwrap_err();
        assert!(error.to_string().contains("scatter: index 4"), "{error}");
        let error = x.index_by(&[Some(&(&far - 9))]).to_vec::<f32>().unwrap_err();
        assert!(error.to_string().contains("index_by"), "{error}");
    }
}

#[test]
fn what_does_not_count_leaves_gradients_finite() {
    for device in cpus() {
        let line = |values: &[f32]| Tensor::from_slice(values, [values.len()], &device).unwrap();
        let slopes = |y: Tensor, x: &Tensor| grad(&y.sum(..), &[x])[0].to_vec::<f32>().unwrap();
        // An infinite factor of another place.
        let (index, x) = (line(&[0.0, 1.0]).cast(DType::I32), line(&[f32::INFINITY, 2.0]));
        let product = x.ones_like().scatter_reduce(0, &index, &x, ScatterReduction::Prod, false);
        assert_eq!(slopes(product, &x), [1.0, 1.0]);
        // A place of a grid that is not finite.
        let image = line(&[1.0, 2.0, 3.0, 4.0]).reshape([1, 1, 2, 2]);
        let grid = line(&[f32::INFINITY, 0.0, 0.5, 0.5]).reshape([1, 1, 2, 2]);
        let sampled = image.grid_sample(&grid, &GridOptions::default());
        assert_eq!(slopes(sampled, &image), [0.0, 0.0, 0.0, 1.0]);
        // An element under a mask.
        let (x, mask) = (line(&[1.0, f32::NAN, 3.0]), line(&[1.0, 0.0, 1.0]).ne(0.0));
        assert_eq!(slopes(x.masked(&mask).var(.., 0), &x), [-1.0, 0.0, 1.0]);
    }
}

#[test]
fn a_start_that_i32_does_not_hold_is_out_of_range() {
    for device in cpus() {
        let x = Tensor::zeros([4], DType::F32, &device);
        for start in [1i64 << 32, -(1i64 << 32)] {
            let start = Tensor::from_vec(vec![start], [1], &device).unwrap();
            let error = x.narrow_at(0, &start, 2).to_vec::<f32>().unwrap_err();
            assert!(error.to_string().contains("narrow_at: index"), "{error}");
        }
        let start = Tensor::from_vec(vec![u32::MAX], [1], &device).unwrap();
        assert!(x.narrow_at(0, &start, 1).to_vec::<f32>().is_err());
    }
}

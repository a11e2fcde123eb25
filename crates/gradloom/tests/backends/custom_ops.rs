//! Ops that come in by the door for ops, and what happens when their rules lie.

use std::panic::{AssertUnwindSafe, catch_unwind};

use gradloom::CustomOp;
use gradloom::custom_op::{HostOperand, HostResult, TensorType, Wgsl, custom_op};
use gradloom::prelude::*;
use gradloom_cpu::CpuBackend;
use gradloom_testkit::woven::Woven;

use crate::{devices, gpus};

/// What is wrong with an op.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Lie {
    Nothing,
    Refuses,
    NoResult,
    TwoDtypes,
    Fails,
    Panics,
    Nan,
    ElementsOfAnotherDtype,
    GradientOfAnotherShape,
    TooManyGradients,
    ExamplesOfAnotherShape,
    NoShader,
    ShaderOfAnotherLanguage,
    ShaderWritesOutside,
    ShaderOfManyThreads,
}

/// Twice the operand, and a lie.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Doubled(Lie);

impl CustomOp for Doubled {
    fn name(&self) -> &'static str {
        "doubled"
    }

    fn results(&self, operands: &[TensorType]) -> Result<Vec<TensorType>> {
        let of = operands[0];
        Ok(match self.0 {
            Lie::Refuses => return Err(Error::shape("it takes no such operand")),
            Lie::NoResult => vec![],
            Lie::TwoDtypes => vec![of, TensorType::new(of.shape, DType::I32)],
            _ => vec![of],
        })
    }

    fn run(&self, operands: &[HostOperand<'_>], results: &mut [HostResult<'_>]) -> Result<()> {
        match self.0 {
            Lie::Fails => return Err(Error::backend("it cannot do this")),
            Lie::Panics => panic!("it fell over"),
            Lie::ElementsOfAnotherDtype => drop(operands[0].elements::<f64>().len()),
            _ => {}
        }
        let pairs = results[0].elements::<f32>().iter_mut().zip(operands[0].elements::<f32>());
        pairs.for_each(|(result, x)| *result = if self.0 == Lie::Nan { f32::NAN } else { 2.0 * x });
        Ok(())
    }

    fn wgsl(&self, operands: &[TensorType], _results: &[TensorType]) -> Option<Wgsl> {
        let count = operands[0].shape.count();
        let elements = |text: &str| Some(Wgsl::elements(text, count));
        match self.0 {
            Lie::NoShader => None,
            Lie::ShaderOfAnotherLanguage => elements("void element(uint index) { }"),
            Lie::ShaderWritesOutside => elements(
                "var<private> few: array<f32, 4>;
                fn element(index: u32) {
                    few[index + 1000u] = read0(index + 1000000000u);
                    write0(index + 1000000u, 7.0);
                    write0(index, 2.0 * read0(index) + few[index + 1000u] - few[index + 1000u]);
                }",
            ),
            Lie::ShaderOfManyThreads => {
                Some(Wgsl::workgroups("fn group(index: u32, thread: u32) {}", 1, 100_000))
            }
            _ => elements("fn element(index: u32) { write0(index, 2.0 * read0(index)); }"),
        }
    }

    fn derivative(&self, _: &[Tensor], _: &[Tensor], gradients: &[Tensor]) -> Vec<Option<Tensor>> {
        match self.0 {
            Lie::GradientOfAnotherShape => vec![Some(gradients[0].sum(0))],
            Lie::TooManyGradients => vec![None, None],
            _ => vec![Some(&gradients[0] * 2.0)],
        }
    }

    fn vmap(&self, operands: &[Tensor]) -> Option<Vec<Tensor>> {
        match self.0 {
            Lie::ExamplesOfAnotherShape => Some(vec![operands[0].sum(1)]),
            _ => Some(vec![doubled(self.0, &operands[0])]),
        }
    }
}

#[track_caller]
fn doubled(lie: Lie, x: &Tensor) -> Tensor {
    let [y] = custom_op(Doubled(lie), &[x]);
    y
}

fn message(call: impl FnOnce() -> Tensor) -> String {
    let panic = catch_unwind(AssertUnwindSafe(call)).expect_err("it panics");
    *panic.downcast::<String>().expect("a formatted message")
}

#[test]
fn an_op_from_outside_is_planned_replayed_and_shown() {
    // Others plan on the devices that tests share.
    let own = CpuBackend::new(Some(2)).unwrap().into_device();
    for device in gpus().into_iter().chain([own.clone()]) {
        let mut values = Vec::new();
        for step in 0..3 {
            let x = Tensor::new([1.0f32, 2.0 + step as f32], &device).unwrap();
            let before = device.statistics();
            values.push((doubled(Lie::Nothing, &x.square()) + 1.0).to_vec::<f32>().unwrap());
            let plans = device.statistics().since(&before).plans;
            assert!(device != own || plans == u64::from(step == 0), "{plans} at step {step}");
        }
        assert_eq!(values, [[3.0, 9.0], [3.0, 19.0], [3.0, 33.0]]);
    }
    let x = Tensor::new([1.0f32, 2.0], &Device::cpu()).unwrap();
    let plan = gradloom_plan::Planner::default()
        .prepare(&[doubled(Lie::Nothing, &x)], gradloom::Retention::Release);
    let plan = plan.unwrap().plan.to_string();
    assert!(plan.contains("doubled [2]"), "{plan}");
}

#[test]
fn one_plan_serves_equal_ops_alone() {
    for device in devices() {
        let x = Tensor::new([[1.0f32, 2.0], [3.0, 4.0]], &device).unwrap();
        let [turns, backwards] = Woven { batches: true }.apply(&x, &(&x * 10.0));
        let expected = [1.0, 10.0, 2.0, 20.0, 3.0, 30.0, 4.0, 40.0];
        assert_eq!(turns.to_vec::<f32>().unwrap(), expected);
        assert_eq!(backwards.to_vec::<f32>().unwrap(), [20.0, 10.0, 40.0, 30.0]);
        // Others of the same operands.
        assert_eq!(doubled(Lie::Nothing, &x).to_vec::<f32>().unwrap(), [2.0, 4.0, 6.0, 8.0]);
        assert_eq!((&x + &x).to_vec::<f32>().unwrap(), [2.0, 4.0, 6.0, 8.0]);
    }
}

#[test]
fn what_does_not_fit_is_said_at_the_call() {
    let x = Tensor::ones([2], DType::F32, &Device::cpu());
    let refused = message(|| doubled(Lie::Refuses, &x));
    assert_eq!(refused, "doubled: it takes no such operand");
    assert_eq!(message(|| doubled(Lie::NoResult, &x)), "doubled: the op gives no result");
    let dtypes = message(|| doubled(Lie::TwoDtypes, &x));
    assert_eq!(dtypes, "doubled: results of f32 and i32; all results of one op have one dtype");
    let many = message(|| {
        let [y, _] = custom_op(Doubled(Lie::Nothing), &[&x]);
        y
    });
    assert_eq!(many, "doubled: the op gives 1 results, not 2");
    let none = message(|| custom_op::<1>(Doubled(Lie::Nothing), &[])[0].clone());
    assert!(none.starts_with("doubled: a custom op needs an operand"), "{none}");
}

#[test]
fn kernels_that_fail_or_panic_are_errors_that_name_the_line() {
    for threads in [Some(1), Some(2), None] {
        let device = CpuBackend::new(threads).unwrap().into_device();
        let x = Tensor::new([1.0f32, 2.0], &device).unwrap();
        let lies = [
            (Lie::Fails, "it cannot do this"),
            (Lie::Panics, "the kernel panicked: it fell over"),
            (Lie::ElementsOfAnotherDtype, "the kernel panicked: elements are f32, not f64"),
        ];
        for (lie, reason) in lies {
            let line = line!() + 1;
            let error = doubled(lie, &x).to_vec::<f32>().unwrap_err().to_string();
            assert!(error.starts_with("doubled of shape [2]"), "{error}");
            assert!(error.contains(&format!("custom_ops.rs:{line}")), "{error}");
            assert!(error.ends_with(reason), "{error}");
            assert_eq!(doubled(Lie::Nothing, &x).to_vec::<f32>().unwrap(), [2.0, 4.0]);
        }
    }
}

#[test]
fn a_failed_kernel_leaves_every_tensor_as_it_was() {
    let device = Device::cpu();
    let mut weight = Tensor::new([1.0f32, 2.0], &device).unwrap();
    eval([&weight]).unwrap();
    let mut update = &weight + 1.0;
    let mut failing = doubled(Lie::Fails, &weight);
    assert!(commit((&mut update, &mut failing)).is_err());
    assert_eq!(weight.to_vec::<f32>().unwrap(), [1.0, 2.0]);
    commit(&mut weight).unwrap();
    assert_eq!(update.to_vec::<f32>().unwrap(), [2.0, 3.0]);
}

#[test]
fn a_nan_is_the_op_s_own() {
    let device = CpuBackend::new(Some(1)).unwrap().check_nan(true).into_device();
    let x = Tensor::new([1.0f32, 2.0], &device).unwrap();
    let error = (doubled(Lie::Nan, &x) + 1.0).to_vec::<f32>().unwrap_err();
    assert!(
        error.is_not_finite() && error.to_string().starts_with("doubled: first NaN"),
        "{error}"
    );
}

#[test]
fn rules_that_lie_are_named() {
    let x = Tensor::ones([2], DType::F32, &Device::cpu());
    let gradient = |lie: Lie| message(|| grad(&doubled(lie, &x).sum(..), &[&x])[0].clone());
    let shape = gradient(Lie::GradientOfAnotherShape);
    assert!(shape.starts_with("doubled: the gradient of an operand is f32 []"), "{shape}");
    let count = gradient(Lie::TooManyGradients);
    assert_eq!(count, "doubled: the derivative gave 2 gradients for 1 operands");
    let rows = Tensor::ones([3, 2], DType::F32, &Device::cpu());
    let examples = message(|| {
        vmap(|x: &[Tensor]| doubled(Lie::ExamplesOfAnotherShape, &x[0]), 0, 0).call(&[rows])
    });
    assert_eq!(examples, "doubled: vmap gave a result f32 [3], not f32 [3, 2]");
}

#[test]
fn shaders_that_are_missing_or_wrong_are_errors_and_harm_nothing() {
    for device in gpus() {
        let x = Tensor::new([1.0f32, 2.0], &device).unwrap();
        let fails = |lie: Lie| doubled(lie, &x).to_vec::<f32>().unwrap_err();
        let missing = fails(Lie::NoShader);
        assert!(missing.is_unsupported(), "{missing}");
        let name = device.name();
        let missing = missing.to_string();
        assert!(missing.starts_with("doubled of shape [2]"), "{missing}");
        assert!(missing.contains("custom_ops.rs") && missing.contains(&name), "{missing}");
        let language = fails(Lie::ShaderOfAnotherLanguage).to_string();
        assert!(language.starts_with("doubled of shape [2]"), "{language}");
        let threads = fails(Lie::ShaderOfManyThreads);
        assert!(threads.is_unsupported() && threads.to_string().contains("100000"), "{threads}");
        let outside = doubled(Lie::ShaderWritesOutside, &x).to_vec::<f32>().unwrap();
        assert_eq!(outside, [2.0, 4.0]);
        assert_eq!(doubled(Lie::Nothing, &x).to_vec::<f32>().unwrap(), [2.0, 4.0]);
    }
}

#[test]
fn examples_without_room_for_an_axis_run_one_by_one() {
    for device in devices() {
        let x = Tensor::arange(24, &device).cast(DType::F32).reshape([2, 12]);
        let backwards = |x: &[Tensor]| {
            let tall = x[0].reshape([1, 2, 1, 1, 2, 1, 1, 3]);
            Woven { batches: true }.apply(&tall, &tall)[1].reshape([4, 3])
        };
        let each = vmap(backwards, 0, 0).call(std::slice::from_ref(&x));
        let expected = x.reshape([8, 3]).flip(-1).to_vec::<f32>().unwrap();
        assert_eq!(each.to_vec::<f32>().unwrap(), expected);
    }
}

#[test]
fn ops_from_outside_compose() {
    let woven = Woven { batches: true };
    for device in devices() {
        let x = Tensor::arange(12, &device).cast(DType::F32).reshape([4, 3]);
        // In the body of a loop, and its gradient; the same written out.
        let step = |carry: &Tensor, x: &Tensor| {
            let [turns, backwards] = woven.apply(&carry.sin(), x);
            turns.narrow(0, 1, 3) + backwards * 0.5
        };
        let zeros = Tensor::zeros([3], DType::F32, &device);
        let looped = |x: &Tensor| {
            gradloom::scan(zeros.clone(), x.clone(), |carry: Tensor, x: Tensor| {
                (step(&carry, &x), carry)
            })
            .0
        };
        let written =
            |x: &Tensor| (0..4).fold(zeros.clone(), |carry, row| step(&carry, &x.index(0, row)));
        let slope = |f: &dyn Fn(&Tensor) -> Tensor| {
            let first = grad(&f(&x).square().sum(..), &[&x])[0].clone();
            let second = grad(&first.square().sum(..), &[&x])[0].clone();
            [f(&x), first, second].map(|x| x.to_vec::<f32>().unwrap())
        };
        let (found, expected) = (slope(&looped), slope(&written));
        for (found, expected) in found.iter().zip(&expected) {
            let near =
                found.iter().zip(expected).all(|(a, b)| (a - b).abs() <= 1e-4 * (1.0 + b.abs()));
            assert!(near, "{}: {found:?}, not {expected:?}", device.name());
        }
        // Behind a checkpoint, on views, twice on one operand, of nothing.
        let kept = checkpoint(
            move |x: &[Tensor]| woven.apply(&x[0], &x[0])[0].sin(),
            std::slice::from_ref(&x),
        );
        let plain = woven.apply(&x, &x)[0].sin();
        let slopes = [kept, plain].map(|y| grad(&y.sum(..), &[&x])[0].to_vec::<f32>().unwrap());
        assert_eq!(slopes[0], slopes[1]);
        let turned = woven.apply(&x.t(), &x.t().flip(1))[1].to_vec::<f32>().unwrap();
        assert_eq!(turned, x.t().to_vec::<f32>().unwrap());
        let nothing = woven.apply(&x.narrow(0, 0, 0), &x.narrow(0, 0, 0));
        assert!(nothing[0].to_vec::<f32>().unwrap().is_empty());
        // Written over: the memory of an operand is not a result's.
        let mut weight = x.detach();
        for _ in 0..3 {
            weight = woven.apply(&weight, &weight)[1].clone() + 1.0;
            commit(&mut weight).unwrap();
        }
        let expected = (x.flip(1) + 3.0).to_vec::<f32>().unwrap();
        assert_eq!(weight.to_vec::<f32>().unwrap(), expected);
    }
}

#[test]
fn threads_use_one_op_at_once() {
    let device = Device::cpu();
    let x = Tensor::arange(60_000, &device).cast(DType::F32).reshape([60, 1000]);
    let expected = x.flip(1).to_vec::<f32>().unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..10 {
                    let y = Woven { batches: true }.apply(&x, &x)[1].clone();
                    assert!(y.to_vec::<f32>().unwrap() == expected);
                }
            });
        }
    });
}

#[test]
fn places_in_sorted_sequences_are_those_of_equal_elements() {
    for device in devices() {
        let sorted = Tensor::new([1.0f32, 2.0, 2.0, 5.0, f32::NAN], &device).unwrap();
        let values = Tensor::new([[2.0f32, 0.0, f32::NAN], [7.0, 5.0, -0.5]], &device).unwrap();
        let places = |right| sorted.searchsorted(&values, right).to_vec::<i32>().unwrap();
        assert_eq!(places(false), [1, 0, 4, 4, 3, 0]);
        assert_eq!(places(true), [3, 0, 5, 4, 4, 0]);
        let rows = Tensor::new([[1i32, 3, 5], [2, 2, 2]], &device).unwrap();
        let wanted = Tensor::new([[3i32, 6], [2, 1]], &device).unwrap();
        assert_eq!(rows.searchsorted(&wanted, false).to_vec::<i32>().unwrap(), [1, 3, 0, 0]);
        assert_eq!(
            wanted.bucketize(&rows.narrow(0, 0, 1).squeeze(0), true).to_vec::<i32>().unwrap(),
            [2, 3, 1, 1]
        );
        let nothing = Tensor::zeros([0], DType::F32, &device);
        assert_eq!(nothing.searchsorted(&values, true).to_vec::<i32>().unwrap(), [0; 6]);
        assert_eq!(sorted.searchsorted(&nothing, true).shape()[..], [0]);
        let others = Tensor::zeros([3, 2], DType::F32, &device);
        let fails = message(|| rows.searchsorted(&others, false));
        assert!(fails.starts_with("searchsorted: sequences [2, 3] do not fit"), "{fails}");
    }
}

/// The sums of products of four signed bytes each, of vectors of bytes; one sum more than there are.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Fours;

impl CustomOp for Fours {
    fn name(&self) -> &'static str {
        "fours"
    }

    fn results(&self, operands: &[TensorType]) -> Result<Vec<TensorType>> {
        let count = operands[0].shape.count().div_ceil(4) + 1;
        Ok(vec![TensorType::new([count], DType::I32)])
    }

    fn run(&self, operands: &[HostOperand<'_>], results: &mut [HostResult<'_>]) -> Result<()> {
        let (a, b) = (operands[0].elements::<u8>(), operands[1].elements::<i8>());
        let sums = results[0].elements::<i32>();
        sums.fill(0);
        for (index, (&a, &b)) in a.iter().zip(b).enumerate() {
            sums[index / 4] += i32::from(a as i8) * i32::from(b);
        }
        Ok(())
    }

    fn wgsl(&self, _: &[TensorType], results: &[TensorType]) -> Option<Wgsl> {
        let text =
            "fn element(index: u32) { write0(index, dot_bytes(word0(index), word1(index))); }";
        Some(Wgsl::elements(text, results[0].shape.count()))
    }
}

#[test]
fn bytes_are_read_in_words_and_multiplied_in_fours() {
    for device in devices() {
        for count in [1, 4, 7, 250, 1003] {
            // A part of a longer vector, so that what follows is no zero.
            let bytes: Vec<u8> = (0..count as u32 + 9).map(|i| (i * 89 + 200) as u8).collect();
            let signed: Vec<i8> = bytes.iter().map(|&byte| byte.wrapping_mul(7) as i8).collect();
            let a = Tensor::from_slice(&bytes, [count + 9], &device).unwrap().narrow(0, 0, count);
            let b = Tensor::from_slice(&signed, [count + 9], &device).unwrap().narrow(0, 0, count);
            let [y] = custom_op(Fours, &[&a, &b]);
            let pairs: Vec<i32> = bytes[..count]
                .iter()
                .zip(&signed)
                .map(|(&a, &b)| i32::from(a as i8) * i32::from(b))
                .collect();
            let mut expected: Vec<i32> = pairs.chunks(4).map(|four| four.iter().sum()).collect();
            expected.push(0);
            assert_eq!(y.to_vec::<i32>().unwrap(), expected, "{count} on {}", device.name());
        }
    }
}

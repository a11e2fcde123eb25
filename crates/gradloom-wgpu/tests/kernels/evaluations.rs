//! Evaluations: their arguments, whose index errors they report, and what a failed one leaves behind.

use std::sync::atomic::{AtomicU64, Ordering};

use gradloom_plan::kernel::PlanOutput;
use gradloom_plan::{BufferRef, KernelOutput, Level, Operation, Plan, View};
use gradloom_tensor::op::{Binary, Unary};
use gradloom_tensor::{Buffer, DType, Device, Scalar, Shape, Tensor, commit};

use crate::harness::{Case, alone, backend, devices, from_bytes, numbers, share, site};

/// A number for a plan that no other test and no planner uses.
fn plan_id() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new((1 << 63) + (1 << 62));
    NEXT.fetch_add(1, Ordering::Relaxed)
}

fn floats(device: &Device, buffer: &Buffer) -> Vec<f64> {
    from_bytes(DType::F32, &device.backend().download(buffer).unwrap())
}

/// `x` plus each of `count` arguments in turn.
fn sum_of_arguments(count: usize) -> Case {
    let shape = Shape::new(&[4]);
    let mut case = Case::map(&shape);
    let x = case.input(DType::F32, vec![0.0, 1.0, 2.0, 3.0]);
    let mut sum = case.load(x, View::contiguous(shape));
    for argument in 0..count {
        let word = case.push(Operation::Argument(argument), DType::F32, Level::Row);
        sum = case.binary(Binary::Add, sum, word);
    }
    case.output(sum);
    case
}

#[test]
fn a_plan_may_have_any_number_of_arguments() {
    let _shared = share();
    let (kernels, each) = (2_600, 8);
    let case = sum_of_arguments(each);
    let mut plan = Plan { id: plan_id(), ..case.plan() };
    let (kernel, output) = (plan.kernels.remove(0), plan.outputs.remove(0));
    for position in 0..kernels {
        let mut kernel = kernel.clone();
        for instruction in &mut kernel.program.instructions {
            if let Operation::Argument(argument) = &mut instruction.operation {
                *argument += position * each;
            }
        }
        kernel.outputs[0].buffer = BufferRef::Output(position);
        plan.kernels.push(kernel);
        plan.outputs.push(output);
    }
    plan.arguments = vec![DType::F32; kernels * each];
    for device in devices() {
        let inputs = case.upload(&device).unwrap();
        for turn in 0..2 {
            let value = |argument: usize| ((argument + turn) % 1000) as f64;
            let arguments: Vec<Scalar> =
                (0..kernels * each).map(|argument| Scalar::Float(value(argument))).collect();
            let outputs = backend(&device).run(&plan, &inputs, &arguments, &site).unwrap();
            for position in [0, 1, 511, 512, 1300, kernels - 1] {
                let own = position * each..(position + 1) * each;
                let sum: f64 = own.map(value).sum();
                let found = floats(&device, &outputs[position]);
                assert_eq!(found, [sum, sum + 1.0, sum + 2.0, sum + 3.0], "kernel {position}");
            }
        }
    }
}

#[test]
fn kernels_that_differ_in_their_arguments_share_a_shader() {
    let _alone = alone();
    for device in devices() {
        let mut first = sum_of_arguments(2);
        first.arguments = vec![(DType::F32, Scalar::Float(5.0)); 9];
        first.run_alone_on(&device).unwrap();
        let known = device.statistics().shaders;
        for instruction in &mut first.kernel.program.instructions {
            if let Operation::Argument(argument) = &mut instruction.operation {
                *argument += 7;
            }
        }
        assert_eq!(first.run_alone_on(&device).unwrap(), [[10.0, 11.0, 12.0, 13.0]]);
        assert_eq!(device.statistics().shaders, known);
    }
}

#[test]
fn a_kernel_may_have_more_arguments_than_a_uniform_buffer_holds() {
    let _shared = share();
    // All are mentioned, the last two count: a sum of thousands takes drivers minutes to compile.
    let count = 4_200;
    let mut case = sum_of_arguments(0);
    case.kernel.outputs.clear();
    let words: Vec<usize> = (0..count)
        .map(|argument| case.push(Operation::Argument(argument), DType::F32, Level::Row))
        .collect();
    let sum = case.binary(Binary::Add, 0, words[count - 1]);
    let sum = case.binary(Binary::Add, sum, words[count - 2]);
    case.output(sum);
    let value = |argument: usize| Scalar::Float(argument as f64);
    case.arguments = (0..count).map(|argument| (DType::F32, value(argument))).collect();
    for device in devices() {
        let found = case.run_on(&device).unwrap();
        assert_eq!(found, [[8_397.0, 8_398.0, 8_399.0, 8_400.0]]);
    }
}

fn table_and_index(device: &Device, index: i32) -> (Tensor, Tensor) {
    let table: Vec<f32> = numbers(40, 3).into_iter().map(|value| value as f32).collect();
    let table = Tensor::from_slice(&table, [10, 4], device).unwrap();
    (table, Tensor::from_slice(&[1, index, 2], [3], device).unwrap())
}

#[test]
fn an_index_error_belongs_to_its_value() {
    let _shared = share();
    for device in devices() {
        let (table, wrong) = table_and_index(&device, 10);
        let bad = table.index_select(0, &wrong) + 1.0;
        for _ in 0..3 {
            let error = bad.eval().unwrap_err();
            assert!(error.is_index_out_of_range(), "{error}");
            let error = bad.to_vec::<f32>().unwrap_err();
            let text = error.to_string();
            assert!(text.contains("index 10 out of range for axis of size 10"), "{text}");
        }
        // Other values are as usable as before.
        device.synchronize().unwrap();
        let table_values = table.to_vec::<f32>().unwrap();
        let good = table.index_select(0, &Tensor::from_slice(&[1, 9], [2], &device).unwrap());
        assert_eq!(good.to_vec::<f32>().unwrap()[..4], table_values[4..8]);
        assert!(bad.value().is_none());
        assert!(bad.to_vec::<f32>().is_err());
    }
}

#[test]
fn index_errors_of_several_threads_stay_apart() {
    let _shared = share();
    for device in devices() {
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let device = &device;
                scope.spawn(move || {
                    for turn in 0..25 {
                        let index = if (thread + turn) % 2 == 0 { 3 } else { 10 + thread };
                        let (table, index_tensor) = table_and_index(device, index);
                        let result = table.index_select(0, &index_tensor).to_vec::<f32>();
                        if index == 3 {
                            assert_eq!(result.unwrap()[4], table.to_vec::<f32>().unwrap()[12]);
                        } else {
                            let text = result.unwrap_err().to_string();
                            assert!(text.contains(&format!("index {index} ")), "{text}");
                        }
                    }
                });
            }
        });
    }
}

/// Two kernels: one that checks an index, one that doubles an input in its own memory.
fn checks_and_overwrites(check_first: bool) -> (Case, Plan) {
    let shape = Shape::new(&[10]);
    let mut case = Case::map(&shape);
    let index = case.input(DType::I32, vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 77.0]);
    let index = case.load(index, View::contiguous(shape));
    let checked = Operation::CheckIndex { value: index, size: 10, site: 3 };
    let checked = case.push(checked, DType::I32, Level::Element);
    case.output(checked);
    let mut other = Case::map(&shape);
    let weight = other.input(DType::F32, numbers(10, 5));
    let weight = other.load(weight, View::contiguous(shape));
    let double = other.binary(Binary::Add, weight, weight);
    other.output(double);
    other.kernel.inputs[0].buffer = BufferRef::Input(1);
    other.kernel.outputs[0] =
        KernelOutput { buffer: BufferRef::Output(1), ..other.kernel.outputs[0] };
    let mut plan = Plan { id: plan_id(), ..case.plan() };
    plan.inputs.push((DType::F32, 10));
    let output = PlanOutput { dtype: DType::F32, len: 10, reuses: Some(1), alias: None };
    plan.outputs.push(output);
    let place = if check_first { 1 } else { 0 };
    plan.kernels.insert(place, other.kernel.clone());
    case.kernel.inputs.push(other.kernel.inputs[0]);
    case.inputs.push(other.inputs.remove(0));
    (case, plan)
}

#[test]
fn nothing_is_written_in_place_where_a_check_fails() {
    let _shared = share();
    for device in devices() {
        let (mut case, plan) = checks_and_overwrites(true);
        let inputs = case.upload(&device).unwrap();
        let error = backend(&device).run(&plan, &inputs, &[], &site).unwrap_err();
        assert!(error.is_index_out_of_range(), "{error}");
        assert_eq!(floats(&device, &inputs[1]), case.inputs[1]);

        case.inputs[0][9] = 9.0;
        let inputs = case.upload(&device).unwrap();
        let outputs = backend(&device).run(&plan, &inputs, &[], &site).unwrap();
        let doubled: Vec<f64> = case.inputs[1].iter().map(|value| value * 2.0).collect();
        assert_eq!(floats(&device, &outputs[1]), doubled);
        assert_eq!(floats(&device, &inputs[1]), doubled, "in place");

        let (case, plan) = checks_and_overwrites(false);
        let inputs = case.upload(&device).unwrap();
        let error = backend(&device).run(&plan, &inputs, &[], &site).unwrap_err();
        assert!(error.to_string().contains("writes in place before"), "{error}");
    }
}

#[test]
fn a_commit_that_fails_changes_no_weight() {
    let _shared = share();
    for device in devices() {
        let (table, wrong) = table_and_index(&device, -1);
        let weight = Tensor::from_slice(&[1.0f32, 2.0, 3.0], [3], &device).unwrap();
        let mut next = &weight + 1.0;
        drop(weight);
        let mut picked = table.index_select(0, &wrong) + 1.0;
        assert!(commit((&mut next, &mut picked)).is_err());
        assert_eq!(next.to_vec::<f32>().unwrap(), [2.0, 3.0, 4.0]);
        assert!(picked.to_vec::<f32>().is_err());
    }
}

#[test]
fn the_first_kernel_that_makes_a_nan_is_named() {
    let _alone = alone();
    for device in devices() {
        backend(&device).check_finite(true);
        let shape = Shape::new(&[3]);
        let mut case = Case::map(&shape);
        let x = case.input(DType::F32, vec![1.0, 2.0, 3.0]);
        let x = case.load(x, View::contiguous(shape));
        let y = case.unary(Unary::Log, x);
        case.output(y);
        let mut outcome = |values: [f64; 3]| {
            case.inputs[0] = values.to_vec();
            case.run_alone_on(&device).map_err(|error| error.to_string())
        };
        assert!(outcome([1.0, 2.0, 3.0]).is_ok());
        let text = outcome([1.0, -2.0, 3.0]).unwrap_err();
        assert!(text.contains("gather") && text.contains("NaN"), "{text}");
        let text = outcome([1.0, 0.0, 3.0]).unwrap_err();
        assert!(text.contains("infinity"), "{text}");
        // A NaN that was there before is nobody's fault.
        assert!(outcome([1.0, f64::NAN, 3.0]).is_ok());

        // What would be overwritten is as it was.
        let weight = Tensor::from_slice(&[1.0f32, 4.0, 0.0], [3], &device).unwrap();
        weight.eval().unwrap();
        let mut next = (&weight + 1.0).log() - weight.log();
        drop(weight);
        assert!(commit(&mut next).is_err());
        let text = next.to_vec::<f32>().unwrap_err().to_string();
        assert!(text.contains("log") && text.contains("infinity"), "{text}");
        // The op inside a fused kernel is named, not the one that ends it.
        let x = Tensor::from_slice(&[1.0f32, -4.0, 2.0], [3], &device).unwrap();
        let text = ((x.sqrt() + 1.0) * 2.0).exp().eval().unwrap_err().to_string();
        assert!(text.contains("sqrt") && text.contains("NaN") && text.contains("[3]"), "{text}");
        backend(&device).check_finite(false);
        let found = next.to_vec::<f32>().unwrap();
        assert!((found[0] - 2f32.ln()).abs() < 1e-6 && found[2] == f32::INFINITY, "{found:?}");
    }
}

#[test]
fn memory_that_nobody_wrote_is_poisoned() {
    let _alone = alone();
    for device in devices() {
        let mut plan = Plan { id: plan_id(), ..sum_of_arguments(0).plan() };
        plan.kernels.clear();
        let inputs = sum_of_arguments(0).upload(&device).unwrap();
        for count in [4, 300_001] {
            plan.outputs[0].len = count;
            let outputs = backend(&device).run(&plan, &inputs, &[], &site).unwrap();
            assert!(floats(&device, &outputs[0]).iter().all(|value| value.is_nan()));
        }
    }
}

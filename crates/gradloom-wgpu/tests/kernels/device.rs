//! Devices: selectors, transfers, the pool, index checks, errors.

use gradloom_plan::{Level, Operation, View};
use gradloom_tensor::op::Unary;
use gradloom_tensor::{DType, Scalar, Shape};

use crate::harness::{
    Case, alone, backend, devices, from_bytes, integers, numbers, share, site, to_bytes,
};

#[test]
fn one_adapter_is_one_device() {
    if devices().is_empty() {
        return;
    }
    let best = gradloom_wgpu::device("").unwrap();
    assert_eq!(best, gradloom_wgpu::device("best").unwrap());
    assert_eq!(best, gradloom_wgpu::device("0").unwrap());
    assert!(gradloom_wgpu::device("vulkan").is_ok());
    assert!(gradloom_wgpu::device("vulkan:0").is_ok());
    let missing = gradloom_wgpu::device("no such thing").unwrap_err();
    assert!(missing.is_device_not_found(), "{missing}");
    assert!(gradloom_wgpu::device("vulkan:77").unwrap_err().is_device_not_found());
}

#[test]
fn every_dtype_survives_the_round_trip() {
    let _shared = share();
    for device in devices() {
        for dtype in DType::ALL {
            for count in [0, 1, 5, 1000] {
                let values = match dtype {
                    DType::Bool => integers(count, 0, 2, 1),
                    _ if dtype.is_float() => numbers(count, 1),
                    _ => integers(count, 0, 250, 1),
                };
                let bytes = to_bytes(dtype, &values);
                let uploaded = device.backend().upload(dtype, &bytes);
                if dtype.size() == 8 || dtype == DType::F16 && !device.capabilities().f16 {
                    assert!(uploaded.unwrap_err().is_unsupported());
                    continue;
                }
                let buffer = uploaded.unwrap();
                assert_eq!((buffer.dtype(), buffer.len()), (dtype, count));
                assert_eq!(device.backend().download(&buffer).unwrap(), bytes);
            }
        }
    }
}

fn double() -> Case {
    let shape = Shape::new(&[3000]);
    let mut case = Case::map(&shape);
    let x = case.input(DType::F32, numbers(3000, 1));
    let x = case.load(x, View::contiguous(shape));
    let y = case.unary(Unary::Neg, x);
    case.output(y);
    case
}

#[test]
fn a_repeated_step_allocates_nothing_and_submits_once() {
    let _alone = alone();
    let shape = Shape::new(&[777_216]);
    for device in devices() {
        let mut case = Case::map(&shape);
        let x = case.input(DType::F32, numbers(shape.count(), 1));
        let x = case.load(x, View::contiguous(shape));
        let y = case.unary(Unary::Neg, x);
        case.output(y);
        let plan = case.plan();
        let mut value = case.upload(&device).unwrap();
        let backend = backend(&device);
        for _ in 0..2 {
            value = backend.run(&plan, &value, &[], &site).unwrap();
        }
        let before = device.statistics();
        for _ in 0..4 {
            value = backend.run(&plan, &value, &[], &site).unwrap();
        }
        let after = device.statistics();
        assert_eq!(after.system_allocations, before.system_allocations);
        assert_eq!(after.submissions, before.submissions + 4);
        assert_eq!(after.kernels, before.kernels + 4);
        device.synchronize().unwrap();
        let found = from_bytes(DType::F32, &device.backend().download(&value[0]).unwrap());
        assert_eq!(found, case.inputs[0]);
    }
}

#[test]
fn an_index_out_of_range_is_reported_once_with_its_place() {
    let _alone = alone();
    for device in devices() {
        let shape = Shape::new(&[10]);
        let mut case = Case::map(&shape);
        let mut values = integers(10, 0, 5, 1);
        values[7] = 5.0;
        let x = case.input(DType::I32, values);
        let x = case.load(x, View::contiguous(shape));
        let checked = Operation::CheckIndex { value: x, size: 5, site: 3 };
        let y = case.push(checked, DType::I32, Level::Element);
        case.output(y);
        let error = case.run_alone_on(&device).unwrap_err();
        assert!(error.is_index_out_of_range(), "{error}");
        let text = error.to_string();
        assert!(text.starts_with("gather: index 5 out of range for axis of size 5"), "{text}");

        case.inputs[0][7] = 4.0;
        assert!(case.run_alone_on(&device).is_ok(), "the error is told once");
        device.synchronize().unwrap();
    }
}

#[test]
fn wrong_buffers_and_oversized_tensors_are_errors() {
    let _shared = share();
    for device in devices() {
        let case = double();
        let wrong = device.backend().upload(DType::F32, &[0; 40]).unwrap();
        let error = backend(&device).run(&case.plan(), &[wrong], &[], &site).unwrap_err();
        assert!(error.to_string().contains("inputs"), "{error}");

        let mut outside = double();
        outside.kernel.program.instructions[0].operation = Operation::Load {
            input: 0,
            view: View { offset: 1, ..View::contiguous(Shape::new(&[3000])) },
        };
        let inputs = outside.upload(&device).unwrap();
        assert!(backend(&device).run(&outside.plan(), &inputs, &[], &site).is_err());

        // More than any device of today holds in one buffer.
        let shape = Shape::new(&[1 << 31]);
        let mut huge = Case::map(&shape);
        let zero = Scalar::Float(0.0);
        let zero = huge.push(Operation::Constant(zero), DType::F32, Level::Element);
        huge.output(zero);
        let error = backend(&device).run(&huge.plan(), &[], &[], &site).unwrap_err();
        assert!(error.is_out_of_memory(), "{error}");
    }
}

#[test]
fn trim_gives_memory_back_and_work_goes_on() {
    for device in devices() {
        double().run_on(&device).unwrap();
        device.backend().trim();
        double().check();
    }
}

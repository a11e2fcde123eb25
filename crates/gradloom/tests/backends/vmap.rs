//! Every case under `vmap` against a loop on the reference, and what only whole devices can show of it.

use gradloom::nn::{stack_parameters, with_parameters};
use gradloom::prelude::*;
use gradloom_testkit::{Case, batched, cases, check};

use crate::{devices, gpus};

/// Runs a check on all cases and reports all failures at once.
fn all(device: &Device, run: impl Fn(&Case, &Device) -> check::Outcome) {
    let failures: Vec<String> = cases().iter().filter_map(|case| run(case, device).err()).collect();
    assert!(
        failures.is_empty(),
        "vmap on {}: {} cases\n{}",
        device.name(),
        failures.len(),
        failures.join("\n")
    );
}

#[test]
fn vmap_of_every_case_is_a_loop_on_the_cpu() {
    all(&Device::cpu(), |case, device| batched::check(case, device, DType::F32, 1));
}

#[test]
fn nested_vmap_of_every_case_is_a_nested_loop_on_the_cpu() {
    let small = |case: &Case| case.operands.iter().all(|operand| operand.shape.count() < 2000);
    all(&Device::cpu(), |case, device| {
        if small(case) { batched::nested(case, device, DType::F32) } else { Ok(()) }
    });
}

#[test]
fn vmap_of_every_case_is_a_loop_on_gpus() {
    for device in gpus() {
        // Each way is another set of shaders: one way for each case.
        all(&device, |case, device| batched::check_one_way(case, device, DType::F32, 1));
    }
}

#[test]
fn an_index_out_of_range_in_one_example_is_an_error() {
    for device in devices() {
        let table = Tensor::new([[1.0f32, 2.0], [3.0, 4.0]], &device).unwrap();
        let index = Tensor::new([[0i32], [1], [2]], &device).unwrap();
        let rows: Tensor = vmap(|v: &[Tensor]| table.embedding(&v[0]), 0, 0).call(&[index]);
        let error = rows.eval().unwrap_err();
        assert!(error.is_index_out_of_range(), "{error}");
    }
}

#[test]
fn a_model_for_each_example_of_parameters() {
    for device in devices() {
        let mut init = Init::new(Key::new(3), &device);
        let models: Vec<Sequential> = (0..3)
            .map(|_| {
                Sequential::new()
                    .with(gradloom::nn::layers::Linear::new(4, 8, &mut init))
                    .with(Activation::Tanh)
                    .with(gradloom::nn::layers::Linear::new(8, 2, &mut init))
            })
            .collect();
        let x = Tensor::normal(Key::new(4), [5, 4], 0.0, 1.0, &device);
        let run = |model: &Sequential| model.forward(&x, &mut Context::eval());
        let expected = Tensor::stack(&models.iter().map(run).collect::<Vec<_>>(), 0);
        let stacked = stack_parameters(&models);
        let one = |v: &[Tensor]| run(&with_parameters(&models[0], v));
        let found: Tensor = vmap(one, 0, 0).call(&stacked);
        let elements = |tensor: &Tensor| check::elements(tensor).unwrap();
        check::close("ensemble", &elements(&found), &elements(&expected), 1e-5).unwrap();
        // The ensemble learns as its models do.
        let loss = |tensor: &Tensor| tensor.square().sum(..);
        let together = grad(&loss(&found), &stacked.iter().collect::<Vec<_>>());
        for (number, model) in models.iter().enumerate() {
            let gradients = gradients(&loss(&run(model)), model);
            for (all, (_, expected)) in together.iter().zip(gradients.iter()) {
                let found = all.index(0, number as isize);
                check::close("gradient", &elements(&found), &elements(expected), 1e-5).unwrap();
            }
        }
    }
}

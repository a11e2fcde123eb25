//! Programs with more operands than a device binds, checks of nothing, errors of size that name a line, and
//! handles that move between threads while weights are updated in place.

use gradloom::prelude::*;
use gradloom_cpu::CpuBackend;
use gradloom_testkit::graphs::{Graph, Pattern, Scenario, agree};

use crate::{cpus, devices, gpus};

const F32: DType = DType::F32;

/// A program over so many leaves of one shape, on all devices.
fn everywhere(scenario: &Scenario, count: usize, program: &dyn Fn(&[Tensor]) -> Vec<Tensor>) {
    let build = |graph: &mut Graph| -> Vec<usize> {
        for seed in 0..count {
            graph.leaf(&[6, 7], F32, Pattern::Small, seed as u64 + 1);
        }
        let results = program(graph.nodes());
        let roots = count..count + results.len();
        results.into_iter().for_each(|result| graph.push(result));
        roots.collect()
    };
    let all: Vec<Device> = cpus().into_iter().chain(gpus()).collect();
    agree(scenario, &all, &build);
}

#[test]
fn more_tensors_are_joined_than_a_device_binds() {
    let program = |x: &[Tensor]| {
        let computed: Vec<Tensor> = x.iter().map(|x| x.exp()).collect();
        let joined = Tensor::concat(x, 0);
        vec![&joined * 2.0, Tensor::stack(&computed, 1).sum(1), Tensor::concat(&computed, 1)]
    };
    everywhere(&Scenario::Together, 70, &program);
    everywhere(&Scenario::Gradients { of: (0..40).collect(), order: 1 }, 40, &program);
    // A part that what follows reads as well.
    everywhere(&Scenario::Together, 40, &|x| vec![Tensor::stack(x, 0) * &x[39] + &x[3]]);
}

#[test]
fn halves_and_bytes_are_joined_in_several_kernels() {
    for device in devices() {
        for dtype in [DType::BF16, DType::U8, DType::Bool] {
            let part = |index: usize| Tensor::arange(3, &device).add(index as i32).cast(dtype);
            let parts: Vec<Tensor> = (0..65).map(part).collect();
            gradloom::eval(&parts).unwrap();
            let joined = Tensor::concat(&parts, 0).cast(F32).to_vec::<f32>().unwrap();
            let alone = parts.iter().flat_map(|part| part.cast(F32).to_vec::<f32>().unwrap());
            assert_eq!(joined, alone.collect::<Vec<_>>(), "{dtype} on {}", device.name());
        }
    }
}

#[test]
fn a_product_is_added_to_more_values_than_a_device_binds() {
    everywhere(&Scenario::Together, 45, &|x| {
        let product = x[0].t().matmul(&x[1]).narrow(0, 0, 6);
        let sum = x[2..].iter().fold(&x[2] * 0.5, |sum, x| sum.tanh() + x);
        vec![sum + product]
    });
    for device in devices() {
        let x =
            Tensor::from_vec((0..16).map(|i| (i % 7) as f32).collect(), [4, 4], &device).unwrap();
        let products = (0..200).map(|i| (&x * f64::from(i % 3)).matmul(&x));
        let total = products.reduce(|sum, product| sum + product).unwrap().to_vec::<f32>().unwrap();
        let one = x.matmul(&x).to_vec::<f32>().unwrap();
        assert_eq!(total, one.iter().map(|value| value * 199.0).collect::<Vec<_>>());
    }
}

#[test]
fn an_update_that_is_written_reads_more_than_a_device_binds() {
    everywhere(&Scenario::Together, 48, &|x| {
        let start = Tensor::new([1i32], x[0].device()).unwrap();
        let sum = x[2..].iter().fold(x[1].clone(), |sum, x| sum.tanh() + x);
        let update = sum.narrow(0, 0, 2).reshape([1, 2, 7]);
        vec![x[0].reshape([1, 6, 7]).write(1, &start, &update)]
    });
}

#[test]
fn rows_have_more_results_than_a_device_binds() {
    everywhere(&Scenario::Together, 45, &|x| {
        let sum = x[0].sin().sum_keepdim(1);
        x.iter().map(|x| &sum * x.narrow(1, 0, 1) + 1.0).collect()
    });
}

#[test]
fn no_index_is_out_of_range_where_there_is_none() {
    for device in devices() {
        let table = Tensor::zeros([0, 4], F32, &device);
        let index = Tensor::zeros([0], DType::I32, &device);
        index.eval().unwrap();
        assert_eq!(table.embedding(&index).to_vec::<f32>().unwrap(), [0f32; 0]);
        assert_eq!(table.index_select(0, &index).to_vec::<f32>().unwrap(), [0f32; 0]);
    }
}

#[test]
fn what_is_too_large_names_the_op_and_the_line() {
    for device in devices() {
        let line = line!() + 1;
        let huge = Tensor::iota([1 << 20, 1 << 25], 0, &device) * 2;
        let message = huge.eval().expect_err("128 TiB").to_string();
        assert!(message.starts_with("mul of shape [1048576, 33554432]"), "{message}");
        assert!(message.contains(&format!("many.rs:{line}:")), "{message}");
    }
    for device in gpus() {
        let elements = device.capabilities().buffer_bytes_max as usize / 4 + 5;
        let line = line!() + 1;
        let over = Tensor::full([elements], 1.0, F32, &device);
        let message = over.eval().expect_err("over the limit of a buffer").to_string();
        assert!(message.contains(&format!("many.rs:{line}:")), "{message}");
    }
}

/// While one thread commits a graph, another goes from a node of it down to a leaf that it keeps.
#[test]
fn a_leaf_that_another_thread_comes_to_hold_stays_as_it_is() {
    let device = CpuBackend::new(Some(1)).expect("threads").into_device();
    for round in 0..60u32 {
        let x = Tensor::full([7], 3.0, F32, &device);
        x.eval().unwrap();
        let long = (0..2_000).fold(Tensor::ones([7], F32, &device), |y, _| y * 0.999 + 0.001);
        let joined = Tensor::concat(&[&x, &long], 0);
        let mut next = &x + joined.narrow(0, 0, 7);
        let mine = joined.clone();
        drop((x, long, joined));
        let start = std::sync::Barrier::new(2);
        let kept = std::thread::scope(|scope| {
            let other = scope.spawn(|| {
                start.wait();
                std::thread::sleep(std::time::Duration::from_micros(u64::from(round) * 20));
                let kept = mine.inputs()[0].clone();
                drop(mine);
                kept
            });
            start.wait();
            commit(&mut next).unwrap();
            other.join().unwrap()
        });
        assert_eq!(kept.to_vec::<f32>().unwrap(), [3.0; 7]);
        assert_eq!(next.to_vec::<f32>().unwrap(), [6.0; 7]);
    }
}

/// A root that another thread has computed since the commit began is a leaf of the others, and stays.
#[test]
fn a_root_that_has_its_value_is_not_written_over() {
    for device in devices() {
        let known = Tensor::full([7], 3.0, F32, &device);
        known.eval().unwrap();
        let roots = [known.clone(), known * 2.0];
        device.backend().evaluate(&roots, gradloom::Retention::Release).unwrap();
        let values = roots.each_ref().map(|root| root.to_vec::<f32>().unwrap());
        assert_eq!(values, [[3.0; 7], [6.0; 7]], "{}", device.name());
    }
}

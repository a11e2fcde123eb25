//! Graphs on several devices: the same numbers as on one, forward and backward, from one thread and from many.

use gradloom::nn::layers::Linear;
use gradloom::prelude::*;
use gradloom::{Scan, scan};
use gradloom_cpu::CpuBackend;

use crate::gpus;

/// At least three devices, no two of which share memory.
fn several() -> Vec<Device> {
    let own = |threads| CpuBackend::new(Some(threads)).unwrap().into_device();
    let mut several = vec![Device::cpu(), own(1), own(2)];
    several.splice(1..1, gpus());
    several
}

fn numbers(shape: &[usize], step: usize, device: &Device) -> Tensor {
    let count: usize = shape.iter().product();
    let values = (0..count).map(|index| ((index * step + 3) % 13) as f32 / 13.0 - 0.4);
    Tensor::from_vec(values.collect(), shape, device).unwrap()
}

#[track_caller]
fn close(found: &Tensor, expected: &Tensor) {
    assert_eq!(found.shape(), expected.shape());
    let (found, expected) = (found.to_vec::<f32>().unwrap(), expected.to_vec::<f32>().unwrap());
    for (found, expected) in found.iter().zip(expected) {
        let near = (found - expected).abs() <= 2e-5 * (1.0 + expected.abs());
        assert!(near, "{found} instead of {expected}");
    }
}

/// The message of a panic.
fn refused(run: impl FnOnce()) -> String {
    let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).unwrap_err();
    *panic.downcast::<String>().unwrap()
}

/// Layers one after another, each on a device of its own.
#[derive(Module)]
struct Pipeline {
    layers: Vec<Linear>,
}

impl Pipeline {
    fn new(devices: &[Device]) -> Pipeline {
        let mut layers = Vec::with_capacity(devices.len());
        for (index, device) in devices.iter().enumerate() {
            let mut init = Init::new(Key::new(index as u64), &Device::cpu());
            let mut layer = Linear::new(6, 6, &mut init);
            layer.to_device(device).unwrap();
            layers.push(layer);
        }
        Pipeline { layers }
    }

    fn loss(&self, x: &Tensor) -> Tensor {
        let mut ctx = Context::eval();
        let mut hidden = x.clone();
        for layer in &self.layers {
            let there = hidden.to_device(layer.weight.tensor().device());
            hidden = layer.forward(&there, &mut ctx).tanh();
        }
        hidden.square().mean(..)
    }

    /// The losses of some steps.
    fn train(&mut self, steps: usize) -> Vec<f64> {
        let x = numbers(&[5, 6], 5, &Device::cpu());
        let mut optimizer = Adam::new(0.05);
        let mut losses = Vec::new();
        for _ in 0..steps {
            let loss = self.loss(&x);
            let (gradients, _) = gradients(&loss, self).clip_norm(0.1);
            optimizer.step(&gradients, self);
            commit((&mut *self, &mut optimizer)).unwrap();
            losses.push(loss.item().unwrap());
        }
        losses
    }
}

#[test]
fn a_network_on_several_devices_trains_as_on_one() {
    let several = several();
    let one = vec![Device::cpu(); several.len()];
    let expected = Pipeline::new(&one).train(5);
    assert!(expected[4] < 0.9 * expected[0], "{expected:?}");
    let found = Pipeline::new(&several).train(5);
    for (found, expected) in found.iter().zip(&expected) {
        assert!((found - expected).abs() <= 1e-5 * expected, "{found} instead of {expected}");
    }
}

/// Every device has a copy of the weights and a part of the batch.
#[test]
fn gradients_of_parts_of_a_batch_on_several_devices() {
    let home = Device::cpu();
    let (w, x) = (numbers(&[6, 4], 7, &home), numbers(&[12, 6], 5, &home));
    let loss = |w: &Tensor, x: &Tensor| x.matmul(w).tanh().square().sum(..);
    let expected = &grad(&loss(&w, &x), &[&w])[0];
    let several = several();
    let rows = x.size(0) / several.len();
    let mut total = Tensor::zeros((), DType::F32, &home);
    let mut parts = Vec::new();
    for (index, device) in several.iter().enumerate() {
        let last = if index + 1 == several.len() { x.size(0) } else { (index + 1) * rows };
        let part = x.slice(s![(index * rows) as isize..last as isize]);
        let loss = loss(&w.to_device(device), &part.to_device(device));
        total = total + loss.to_device(&home);
        parts.push(loss);
    }
    close(&grad(&total, &[&w])[0], expected);
    // Roots of several devices at once, of which one is a part of another.
    eval(parts.iter().chain([&total])).unwrap();
    assert!(parts.iter().all(|part| part.value().is_some()));
    close(&total, &loss(&w, &x));
}

#[test]
fn second_derivatives_and_examples_pass_from_device_to_device() {
    let home = Device::cpu();
    for device in several() {
        let x = numbers(&[3, 4], 5, &home);
        let there = |x: &Tensor| (x.to_device(&device).sin().to_device(&home) * x).sum(..);
        let here = |x: &Tensor| (x.sin() * x).sum(..);
        let second = |function: &dyn Fn(&Tensor) -> Tensor| {
            let first = grad(&function(&x), &[&x]).swap_remove(0);
            grad(&first.square().sum(..), &[&x]).swap_remove(0)
        };
        close(&second(&there), &second(&here));
        let each = |function: &dyn Fn(&Tensor) -> Tensor| -> Tensor {
            vmap(|v: &[Tensor]| grad(&function(&v[0]), &[&v[0]]).swap_remove(0), 0, 0)
                .call(std::slice::from_ref(&x))
        };
        close(&each(&there), &each(&here));
        let tangent = numbers(&[3, 4], 3, &home);
        let moved = |x: &Tensor| x.to_device(&device).exp();
        let [found, expected] = [moved(&x), x.exp()].map(|y| jvp(&y, &[&x], &[&tangent]));
        assert_eq!(*found.device(), device);
        close(&found, &expected);
    }
}

/// Nothing is moved into a loop's body or out of it.
#[test]
fn loops_stay_on_their_device() {
    let [home, device] = [0, 1].map(|index| several().swap_remove(index));
    let x = numbers(&[4, 3], 5, &home);
    let scale = numbers(&[3], 3, &device);
    let run = |scale: &Tensor| {
        scan(scale.zeros_like().to_device(&home), x.clone(), |sum, x| {
            let sum = &sum + &x * scale.to_device(&home).exp();
            (sum.clone(), sum)
        })
    };
    let expected = run(&scale.to_device(&home));
    close(&run(&scale).1, &expected.1);
    let gradient = |scale: &Tensor| grad(&run(scale).1.square().sum(..), &[scale]).swap_remove(0);
    close(&gradient(&scale), &gradient(&scale.to_device(&home)));
    let message = refused(|| {
        let _ = Scan::default().run((), x.clone(), |_, (), x| ((), x.to_device(&device)));
    });
    assert!(
        message.starts_with("scan: the body moves") && message.contains("devices.rs"),
        "{message}"
    );
}

#[test]
fn all_devices_work_at_once_from_threads() {
    let several = several();
    let work = |device: &Device, seed: usize| {
        let mut x = numbers(&[16, 16], seed, device);
        for _ in 0..20 {
            x = x.matmul(&x).tanh();
            x.eval().unwrap();
        }
        x.to_device(&Device::cpu())
    };
    let expected: Vec<Tensor> = (0..4).map(|seed| work(&Device::cpu(), seed)).collect();
    std::thread::scope(|scope| {
        for device in &several {
            for (seed, expected) in expected.iter().enumerate() {
                scope.spawn(move || close(&work(device, seed), expected));
            }
        }
    });
}

#[test]
fn errors_name_the_device_the_op_and_the_line() {
    let home = Device::cpu();
    let x = numbers(&[3], 5, &home);
    for device in gpus() {
        let wide = x.cast(DType::F64).to_device(&device);
        let line = line!() - 1;
        let error = wide.square().to_device(&home).eval().unwrap_err();
        let text = error.to_string();
        let names = text.starts_with("to_device") && text.contains(&format!("devices.rs:{line}"));
        assert!(names && text.contains(&device.name()) && error.is_unsupported(), "{text}");
        assert!(wide.value().is_none());
    }
    for device in several() {
        let index = Tensor::new([0i32, 7], &device).unwrap();
        let picked = x.to_device(&device).take(0, &index).to_device(&home) * 2.0;
        let error = picked.eval().unwrap_err().to_string();
        assert!(error.contains("index 7") && error.contains("devices.rs"), "{error}");
    }
    let message = refused(|| drop(&x + x.to_device(&several()[1])));
    assert!(message.contains("different devices") && message.contains("to_device"), "{message}");
}

/// The device that is done first with what others need updates its weights in the memory they had.
#[test]
fn a_step_on_two_devices_takes_no_more_memory() {
    let own = |threads| CpuBackend::new(Some(threads)).unwrap().into_device();
    let devices = [own(1), own(1)];
    let mut weights = devices.each_ref().map(|device| numbers(&[64, 64], 5, device).tracked());
    let x = numbers(&[8, 64], 3, &devices[0]);
    let mut peaks = Vec::new();
    let mut places = Vec::new();
    for _ in 0..5 {
        let hidden = x.matmul(&weights[0]).tanh().to_device(&devices[1]);
        let loss = hidden.matmul(&weights[1]).square().mean(..);
        let gradients = grad(&loss, &weights.each_ref());
        drop((loss, hidden));
        for (weight, gradient) in weights.iter_mut().zip(gradients) {
            *weight = (&*weight - gradient * 0.1).tracked();
        }
        commit(&mut weights).unwrap();
        let place = |weight: &Tensor| {
            std::sync::Arc::as_ptr(weight.value().unwrap().shared()).cast::<()>() as usize
        };
        places.push(place(&weights[1]));
        peaks.push(devices.each_ref().map(|device| device.statistics().bytes_in_use));
    }
    places.dedup();
    assert_eq!(places.len(), 1, "the weights move");
    assert_eq!(peaks[1], peaks[4]);
}

#[test]
fn weights_that_move_and_are_updated_in_one_commit() {
    for home in several() {
        let there = several().pop().unwrap();
        let mut weight = numbers(&[6, 4], 5, &home).tracked();
        let mut mean = Tensor::zeros([6, 4], DType::F32, &there);
        let before = weight.to_vec::<f32>().unwrap();
        mean = mean * 0.5 + weight.to_device(&there);
        weight = (&weight * 3.0).tracked();
        commit((&mut weight, &mut mean)).unwrap();
        assert_eq!(mean.to_vec::<f32>().unwrap(), before);
        let tripled: Vec<f32> = before.iter().map(|value| value * 3.0).collect();
        assert_eq!(weight.to_vec::<f32>().unwrap(), tripled);
    }
}

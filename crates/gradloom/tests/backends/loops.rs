//! Loops against the same steps written one after another: on the processor, on the interpreter of plans,
//! on the reference, and on GPUs.

use gradloom::Randomness;
use gradloom::prelude::*;
use gradloom::{Scan, scan};
use gradloom_plan::interpret;
use gradloom_testkit::reference;

use crate::gpus;

/// All devices.
fn all() -> Vec<Device> {
    let mut all = vec![Device::cpu(), reference::device(), interpret::device()];
    all.extend(gpus());
    all
}

fn counted(shape: &[usize], device: &Device) -> Tensor {
    let count: usize = shape.iter().product();
    let values: Vec<f32> =
        (0..count).map(|index| ((index * 7 + 3) % 11) as f32 * 0.125 - 0.6).collect();
    Tensor::from_vec(values, shape, device).unwrap()
}

fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.to_vec::<f32>().unwrap()
}

#[track_caller]
fn close(found: &Tensor, expected: &Tensor) {
    assert_eq!(found.shape(), expected.shape());
    for (found, expected) in values(found).iter().zip(values(expected)) {
        let near = (found - expected).abs() <= 2e-5 * (1.0 + expected.abs());
        assert!(near, "{found} instead of {expected}");
    }
}

#[test]
fn a_running_sum() {
    for device in all() {
        let x = counted(&[5, 3], &device);
        let zero = Tensor::zeros([3], DType::F32, &device);
        let (last, sums) = scan(zero.clone(), x.clone(), |sum, x| {
            let sum = &sum + &x;
            (sum.clone(), sum)
        });
        close(&sums, &x.cumsum(0));
        close(&last, &x.sum(0));
        let before =
            Scan::default().reverse(true).run(zero, x.clone(), |_, sum, x| (&sum + &x, sum));
        close(&before.0, &x.sum(0));
        close(&before.1, &(x.flip(0).cumsum(0).flip(0) - &x));
    }
}

/// Steps of a recurrent network with two carries, written as a loop or one after another.
struct Network {
    x: Tensor,
    w: Tensor,
    b: Tensor,
    state: [Tensor; 2],
}

impl Network {
    fn new(steps: usize, device: &Device) -> Network {
        Network {
            x: counted(&[steps, 2, 3], device),
            w: counted(&[4, 4], device),
            b: counted(&[4], device).add(0.1),
            state: [counted(&[2, 4], device), counted(&[2, 4], device).mul(0.5)],
        }
    }

    fn step(&self, index: &Tensor, [h, c]: [Tensor; 2], x: &Tensor) -> ([Tensor; 2], Tensor) {
        let x = x.pad(&[(0, 0), (0, 1)]);
        let gate = (h.matmul(&self.w.t()) + &self.b + x).tanh();
        let slope = index.cast(DType::F32).mul(0.1).add(0.5);
        let c = &c * &gate.sigmoid() + &gate * slope;
        let h = c.tanh() * &gate;
        ([h.clone(), c], &h * 2.0)
    }

    fn looped(&self, options: &Scan) -> (Vec<Tensor>, Tensor) {
        let (last, outputs) = options
            .run(self.state.clone(), self.x.clone(), |index, state, x| self.step(index, state, &x));
        (last.to_vec(), outputs)
    }

    fn unrolled(&self, reverse: bool) -> (Vec<Tensor>, Tensor) {
        let steps = self.x.size(0);
        let mut state = self.state.clone();
        let mut outputs = Vec::new();
        for turn in 0..steps {
            let step = if reverse { steps - 1 - turn } else { turn };
            let index = Tensor::scalar(step as i32, DType::I32, self.x.device());
            let (next, output) = self.step(&index, state, &self.x.index(0, step as isize));
            state = next;
            outputs.push(output);
        }
        if reverse {
            outputs.reverse();
        }
        (state.to_vec(), Tensor::stack(&outputs, 0))
    }

    fn leaves(&self) -> Vec<&Tensor> {
        vec![&self.x, &self.w, &self.b, &self.state[0], &self.state[1]]
    }
}

fn loss((last, outputs): &(Vec<Tensor>, Tensor)) -> Tensor {
    last[0].sin().sum(..) + (&last[1] * &last[1]).sum(..) + outputs.cos().sum(..)
}

#[test]
fn steps_of_a_network_are_those_written_out() {
    for device in all() {
        for steps in [1, 2, 5] {
            for reverse in [false, true] {
                let network = Network::new(steps, &device);
                let looped = network.looped(&Scan::default().reverse(reverse));
                let unrolled = network.unrolled(reverse);
                close(&looped.1, &unrolled.1);
                for (found, expected) in looped.0.iter().zip(&unrolled.0) {
                    close(found, expected);
                }
            }
        }
    }
}

#[test]
fn gradients_of_loops_are_those_of_steps_written_out() {
    for device in all() {
        for (reverse, recompute) in [(false, false), (true, false), (false, true)] {
            let network = Network::new(4, &device);
            let options = Scan::default().reverse(reverse).recompute(recompute);
            let looped = grad(&loss(&network.looped(&options)), &network.leaves());
            let unrolled = grad(&loss(&network.unrolled(reverse)), &network.leaves());
            for (found, expected) in looped.iter().zip(&unrolled) {
                close(found, expected);
            }
        }
    }
}

#[test]
fn second_derivatives_of_loops() {
    for device in all() {
        for recompute in [false, true] {
            let network = Network::new(3, &device);
            let second = |loss: Tensor| {
                let first = grad(&loss, &network.leaves());
                let squares = first.iter().map(|gradient| (gradient * gradient).sum(..));
                let total = squares.reduce(|sum, part| &sum + &part).unwrap();
                grad(&total, &network.leaves())
            };
            let options = Scan::default().recompute(recompute);
            let looped = second(loss(&network.looped(&options)));
            let unrolled = second(loss(&network.unrolled(false)));
            for (found, expected) in looped.iter().zip(&unrolled) {
                close(found, expected);
            }
        }
    }
}

#[test]
fn forward_derivatives_of_loops() {
    for device in all() {
        let network = Network::new(3, &device);
        let tangents: Vec<Tensor> = network.leaves().iter().map(|leaf| leaf.cos()).collect();
        let tangents: Vec<&Tensor> = tangents.iter().collect();
        let looped = network.looped(&Scan::default()).1;
        let unrolled = network.unrolled(false).1;
        close(
            &jvp(&looped, &network.leaves(), &tangents),
            &jvp(&unrolled, &network.leaves(), &tangents),
        );
        let cotangent = looped.ones_like();
        let found = vjp(&looped, &cotangent, &[&network.w]);
        close(&found[0], &vjp(&unrolled, &cotangent, &[&network.w])[0]);
    }
}

#[test]
fn a_loop_in_a_loop() {
    let inner = |row: &Tensor, scale: &Tensor| {
        let zero = Tensor::zeros((), DType::F32, row.device());
        scan(zero, row.clone(), |sum, x| {
            let sum = (&sum + &x * scale).sin();
            (sum.clone(), sum)
        })
    };
    for device in all() {
        let x = counted(&[3, 4], &device);
        let scale = Tensor::scalar(0.75, DType::F32, &device);
        let looped = scan(scale.clone(), x.clone(), |scale, row| {
            let (last, all) = inner(&row, &scale);
            (&scale + &last, all)
        });
        let mut state = scale.clone();
        let mut rows = Vec::new();
        for row in 0..3 {
            let mut sum = Tensor::zeros((), DType::F32, &device);
            let mut all = Vec::new();
            for column in 0..4 {
                sum = (&sum + x.index(0, row).index(0, column) * &state).sin();
                all.push(sum.clone());
            }
            state = &state + &sum;
            rows.push(Tensor::stack(&all, 0));
        }
        let unrolled = (state, Tensor::stack(&rows, 0));
        close(&looped.0, &unrolled.0);
        close(&looped.1, &unrolled.1);
        let loss = |(last, all): &(Tensor, Tensor)| last.sin() + (all * all).sum(..);
        let found = grad(&loss(&looped), &[&x, &scale]);
        let expected = grad(&loss(&unrolled), &[&x, &scale]);
        close(&found[0], &expected[0]);
        close(&found[1], &expected[1]);
        let square = |gradients: &[Tensor]| (&gradients[0] * &gradients[0]).sum(..);
        close(&grad(&square(&found), &[&x])[0], &grad(&square(&expected), &[&x])[0]);
    }
}

#[test]
fn carries_may_change_places() {
    for device in all() {
        let start = [1.0, 2.0, 3.0].map(|value| Tensor::scalar(value, DType::F32, &device));
        let turned = Scan::default().length(4).run(start, (), |_, [a, b, c], ()| ([b, c, a], ()));
        let found: Vec<f64> = turned.0.iter().map(|tensor| tensor.item().unwrap()).collect();
        assert_eq!(found, [2.0, 3.0, 1.0]);
        let x = counted(&[4, 2], &device);
        let zero = Tensor::zeros([2], DType::F32, &device);
        let (last, delayed) =
            scan([zero.clone(), zero], x.clone(), |[first, second], x| ([x, first], second));
        close(&last[0], &x.index(0, 3));
        close(&last[1], &x.index(0, 2));
        close(&delayed, &x.narrow(0, 0, 2).pad(&[(2, 0), (0, 0)]));
    }
}

#[test]
fn samples_end_at_their_lengths() {
    for device in all() {
        let x = counted(&[4, 3], &device);
        let lengths = Tensor::from_vec(vec![4, 0, 2], [3], &device).unwrap();
        let zero = Tensor::full([3], 0.25, DType::F32, &device);
        let body = |_: &Tensor, sum: Tensor, x: Tensor| {
            let sum = &sum + &x;
            (sum.clone(), sum)
        };
        let kept = Tensor::iota([4, 1], 0, &device).lt(&lengths);
        let masked = kept.select(&x, x.zeros_like());
        for reverse in [false, true] {
            let options = Scan::default().reverse(reverse).lengths(&lengths);
            let (last, sums) = options.run(zero.clone(), x.clone(), body);
            let expected = match reverse {
                false => masked.cumsum(0),
                true => masked.flip(0).cumsum(0).flip(0),
            } + 0.25;
            close(&last, &(masked.sum(0) + 0.25));
            close(&sums, &kept.select(&expected, x.zeros_like()));
        }
    }
}

#[test]
fn random_numbers_are_others_at_every_step() {
    let key = Key::new(7);
    for device in all() {
        let zero = Tensor::zeros([2], DType::F32, &device);
        let outside = Tensor::uniform(key, [2], 0.0, 1.0, &device);
        let (_, drawn) = Scan::default().length(3).run(zero, (), |_, carry, ()| {
            let inside = Tensor::uniform(key, [2], 0.0, 1.0, &device);
            (carry, (inside, &outside * 1.0))
        });
        let expected: Vec<Tensor> =
            (0..3).map(|step| Tensor::uniform(key.fold(step), [2], 0.0, 1.0, &device)).collect();
        assert_eq!(values(&drawn.0), values(&Tensor::stack(&expected, 0)));
        assert_eq!(values(&drawn.1), values(&Tensor::stack(&[&outside; 3], 0)));
    }
}

#[test]
fn an_index_out_of_range_in_a_step_is_an_error_that_names_its_op() {
    for device in all() {
        let data = counted(&[3], &device);
        let index = Tensor::from_vec(vec![0, 2, 5], [3], &device).unwrap();
        let zero = Tensor::zeros((), DType::F32, &device);
        let (last, _) = scan(zero, index, |sum, index| {
            (&sum + data.index_select(0, &index.reshape([1])).reshape(()), ())
        });
        let error = last.eval().unwrap_err();
        assert!(error.is_index_out_of_range(), "{error}");
        assert!(error.to_string().contains("index_select: index 5"), "{error}");
    }
}

#[test]
fn a_loop_without_steps_leaves_the_carries() {
    for device in all() {
        let x = counted(&[0, 3], &device);
        let start = counted(&[3], &device);
        let (last, all) =
            scan(start.clone(), x, |sum, x| (&sum + &x, (&sum * 2.0).reshape([3, 1])));
        close(&last, &start);
        assert_eq!(all.shape()[..], [0, 3, 1]);
    }
}

#[test]
fn weights_of_a_loop_are_updated_in_the_memory_they_had() {
    let device = gradloom_cpu::CpuBackend::new(Some(1)).unwrap().into_device();
    let mut network = Network::new(3, &device);
    network.w = network.w.tracked();
    let mut bytes = Vec::new();
    for _ in 0..4 {
        let loss = loss(&network.looped(&Scan::default()));
        let gradient = grad(&loss, &[&network.w]).swap_remove(0);
        let updated = (&network.w - gradient * 0.01).tracked();
        drop(loss);
        network.w = updated;
        commit(&mut network.w).unwrap();
        bytes.push(std::sync::Arc::as_ptr(network.w.value().unwrap().shared()).cast::<()>() as usize);
    }
    bytes.dedup();
    assert_eq!(bytes.len(), 1, "the weights move");
}

/// Loops whose weight, sequence or start differ between examples, against a loop over the examples.
#[test]
fn loops_of_examples() {
    for device in all() {
        let w = counted(&[3, 4, 4], &device);
        let x = counted(&[3, 5, 2, 3], &device);
        let network = |w: &Tensor, x: &Tensor| {
            let mut network = Network::new(5, &device);
            (network.w, network.x) = (w.clone(), x.clone());
            let (last, outputs) = network.looped(&Scan::default().reverse(true));
            loss(&(last, outputs))
        };
        let found: Tensor =
            vmap(|v: &[Tensor]| network(&v[0], &v[1]), 0, 0).call(&[w.clone(), x.clone()]);
        let each = |example: isize| network(&w.index(0, example), &x.index(0, example));
        close(&found, &Tensor::stack(&[each(0), each(1), each(2)], 0));
        let of_weight: Tensor =
            vmap(|v: &[Tensor]| grad(&network(&v[0], &v[1]), &[&v[0]]).swap_remove(0), 0, 0)
                .call(&[w.clone(), x.clone()]);
        let all_at_once = grad(&found.sum(..), &[&w]);
        close(&of_weight, &all_at_once[0]);
    }
}

#[test]
fn random_numbers_in_loops_of_examples() {
    let key = Key::new(3);
    for device in all() {
        let x = counted(&[2, 3, 4], &device);
        let noisy = |x: &Tensor| {
            scan(x.sum(0), x.clone(), |sum, x| {
                let noise = Tensor::uniform(key, [4], 0.0, 1.0, x.device());
                (&sum + &x, &sum * noise)
            })
            .1
        };
        let same: Tensor = vmap(|v: &[Tensor]| noisy(&v[0]), 0, 0)
            .randomness(Randomness::Same)
            .call(std::slice::from_ref(&x));
        close(&same, &Tensor::stack(&[noisy(&x.index(0, 0)), noisy(&x.index(0, 1))], 0));
        let noise = |_: &[Tensor]| noisy(&Tensor::ones([3, 4], DType::F32, &device));
        let drawn: Tensor =
            vmap(noise, 0, 0).randomness(Randomness::Different).call(std::slice::from_ref(&x));
        let drawn = values(&drawn);
        assert!(drawn[..12] != drawn[12..], "{drawn:?}");
        assert!(drawn[..4] != drawn[4..8], "{drawn:?}");
    }
}

#[test]
fn bodies_that_do_not_fit_are_refused_at_the_call() {
    let device = Device::cpu();
    let refused = |run: &dyn Fn()| {
        let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).unwrap_err();
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default()
    };
    let (x, start) = (counted(&[4, 3], &device), counted(&[3], &device));
    let wider =
        refused(&|| drop(scan(start.clone(), x.clone(), |h, x| (Tensor::stack(&[h, x], 0), ()))));
    assert_eq!(
        wider,
        "scan: carry 0 is f32 [3] before the body and f32 [2, 3] after it; it keeps shape and dtype"
    );
    let cast = refused(&|| drop(scan(start.clone(), x.clone(), |h, _| (h.cast(DType::F16), ()))));
    assert_eq!(
        cast,
        "scan: carry 0 is f32 [3] before the body and f16 [3] after it; it keeps shape and dtype"
    );
    let uneven = refused(&|| {
        let sequences = (x.clone(), counted(&[5, 3], &device));
        drop(scan(start.clone(), sequences, |h, _| (h, ())));
    });
    assert_eq!(uneven, "scan: a sequence of shape [5, 3] for 4 steps; all have one length");
    let nothing = refused(&|| drop(Scan::default().run(start.clone(), (), |_, h, ()| (h, ()))));
    assert_eq!(nothing, "scan: there is no sequence; give the number of steps with `length`");
}

/// The op in a body that makes the first NaN is named with its line, as any other.
#[test]
fn a_nan_in_a_step_is_found() {
    let device = gradloom_cpu::CpuBackend::new(Some(1)).unwrap().check_nan(true).into_device();
    let x = Tensor::new([0.5f32, 0.25, 2.0], &device).unwrap();
    let (last, _) =
        scan(Tensor::ones((), DType::F32, &device), x, |sum, x| ((1.0 - x).sqrt() + sum, ()));
    let error = last.eval().unwrap_err().to_string();
    assert!(error.contains("sqrt") && error.contains("loops.rs"), "{error}");
}

/// Parts of sequences and results of a few bytes begin and end inside of words on a GPU.
#[test]
fn narrow_elements_of_any_count() {
    for dtype in [DType::F16, DType::BF16, DType::I8, DType::U8, DType::Bool] {
        for (steps, count) in [(1, 1), (3, 1), (5, 2), (4, 3), (7, 5), (2, 8), (3, 131)] {
            let results = |device: &Device| {
                let x = counted(&[steps, count], device).mul(9.0).abs().cast(dtype);
                let y = counted(&[steps], device).mul(5.0).abs().cast(dtype);
                let start = counted(&[count], device).abs().cast(dtype);
                let run = |reverse| {
                    let scan = Scan::default().reverse(reverse);
                    let (last, all) =
                        scan.run(start.clone(), (x.clone(), y.clone()), |_, h, (x, y)| {
                            let next = h.ne(&x).cast(dtype);
                            (next.clone(), (h, next.cast(DType::F32) + y.cast(DType::F32), y))
                        });
                    [last.cast(DType::F32), all.0.cast(DType::F32), all.1, all.2.cast(DType::F32)]
                };
                [run(false), run(true)].concat().iter().map(values).collect::<Vec<_>>()
            };
            let expected = results(&interpret::device());
            for device in all() {
                assert_eq!(results(&device), expected, "{dtype} [{steps}, {count}] {device:?}");
            }
        }
    }
}

/// The keys of a loop inside of another have both steps' numbers folded in, on every device.
#[test]
fn random_numbers_in_a_loop_in_a_loop() {
    let results = |device: &Device| {
        let noise = |key: u64| Tensor::uniform(Key::new(key), [3], 0.0, 1.0, device);
        let zero = Tensor::zeros([3], DType::F32, device);
        let inner = Scan::default().length(2);
        let (_, all) = Scan::default().length(4).reverse(true).run(zero, (), |_, sum, ()| {
            let (sum, drawn) =
                inner.run(sum, (), |_, sum, ()| (&sum + noise(1), noise(1) + noise(2)));
            (sum.clone(), (sum, drawn, noise(2)))
        });
        [all.0, all.1, all.2]
    };
    let expected = results(&reference::device());
    let mut drawn = values(&expected[1]);
    drawn.sort_by(f32::total_cmp);
    drawn.dedup();
    assert_eq!(drawn.len(), 24, "{drawn:?}");
    for device in all() {
        for (found, expected) in results(&device).iter().zip(&expected) {
            close(found, expected);
        }
    }
}

/// A loop leaves folded keys among the words of its plan, which may be those of the next plan but for that.
#[test]
fn keys_outside_of_a_loop_stay_as_they_are() {
    let values = |device: &Device| {
        let bits = || Tensor::random_bits(Key::new(0), [4], device);
        let zero = Tensor::zeros([4], DType::U32, device);
        zero.eval().unwrap();
        let looped = |start: Tensor| {
            Scan::default().length(3).run(start, (), |_, sum, ()| (&sum + bits(), ())).0 + bits()
        };
        let all = [looped(zero), looped(bits())];
        all.map(|sum| sum.to_vec::<u32>().unwrap())
    };
    let expected = values(&reference::device());
    for device in all() {
        assert_eq!(values(&device), expected);
    }
}

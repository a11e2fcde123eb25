//! The async forms on the CPU and on every GPU adapter: the same results and errors as those of the blocking
//! forms, many at once, given up at any time, without a thread that spins. In a process of its own, because
//! it counts memory.

mod tasks;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gradloom::prelude::*;
use gradloom::{BoxFuture, BytesSource, commit_async, eval_async};
use tasks::{block_on, give_up, join};

static ALONE: Mutex<()> = Mutex::new(());

/// The CPU and every GPU adapter, for one test at a time.
fn devices() -> (Vec<Device>, MutexGuard<'static, ()>) {
    let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let gpus = Device::gpus();
    let required = std::env::var_os("GRADLOOM_REQUIRE_GPU").is_some_and(|value| value == "1");
    assert!(!required || !gpus.is_empty(), "GRADLOOM_REQUIRE_GPU=1, but there is no GPU adapter");
    (std::iter::once(Device::cpu()).chain(gpus).collect(), alone)
}

/// Whatever the future, its result.
fn wait<T>(future: impl Future<Output = T>) -> T {
    block_on(future).0
}

fn numbers(count: usize, device: &Device) -> Tensor {
    let values: Vec<f32> = (0..count).map(|i| (i * 7919 % 997) as f32 / 997.0 - 0.5).collect();
    Tensor::from_vec(values, count, device).unwrap()
}

/// A table of weights and the loss of picking some of its rows, which checks their index and has the row
/// among its arguments.
fn picked(device: &Device, row: i32) -> (Tensor, Tensor) {
    let table = numbers(12, device).reshape([4, 3]);
    let table = Tensor::from_vec(table.to_vec::<f32>().unwrap(), [4, 3], device).unwrap().tracked();
    let rows = Tensor::new([0i32, row], device).unwrap();
    let loss = table.index_select(0, &rows).square().sum(..) * f64::from(row + 1);
    (table, loss)
}

/// One step of descent, not computed yet.
fn step(device: &Device, row: i32) -> (Tensor, Tensor) {
    let (table, loss) = picked(device, row);
    let gradient = grad(&loss, &[&table]).remove(0);
    ((&table - gradient * 0.1).tracked(), loss.detach())
}

#[test]
fn what_is_awaited_is_what_blocking_gives() {
    let (devices, _alone) = devices();
    for device in &devices {
        let x = wait(Tensor::from_slice_async(&[0.5f32, -1.5, 2.0], [3], device)).unwrap();
        let y = || (&x * 3.0).exp();
        assert_eq!(wait(y().to_vec_async::<f32>()).unwrap(), y().to_vec::<f32>().unwrap());
        assert_eq!(wait(y().sum(..).item_async()).unwrap(), y().sum(..).item().unwrap());
        for dtype in [DType::F16, DType::BF16, DType::I32, DType::U32, DType::U8, DType::Bool] {
            let cast = x.abs().cast(dtype);
            assert_eq!(wait(cast.to_bytes_async()).unwrap(), cast.to_bytes().unwrap(), "{dtype}");
        }
        let empty = Tensor::zeros([0, 3], DType::F32, device);
        assert!(wait(empty.to_vec_async::<f32>()).unwrap().is_empty());
        assert!(wait(x.to_vec_async::<i32>()).unwrap_err().to_string().contains("to_vec"));

        let (a, b) = (y(), y().sum(..));
        wait(eval_async([&a, &b])).unwrap();
        assert!(a.value().is_some() && b.value().is_some());
        wait(device.synchronize_async()).unwrap();
        for other in &devices {
            let moved = a.to_device(other);
            wait(moved.eval_async()).unwrap();
            assert_eq!(moved.device(), other);
            assert_eq!(moved.to_vec::<f32>().unwrap(), a.to_vec::<f32>().unwrap());
        }
    }
}

#[test]
fn devices_can_be_awaited() {
    let (devices, _alone) = devices();
    assert_eq!(wait(Device::named_async("cpu")).unwrap(), devices[0]);
    assert!(wait(Device::named_async("no such adapter")).is_err());
    assert_eq!(wait(Device::best_async()).unwrap(), Device::best().unwrap());
    match devices.get(1) {
        Some(_) => assert_eq!(wait(Device::gpu_async()).unwrap(), Device::gpu().unwrap()),
        None => assert!(wait(Device::gpu_async()).is_err()),
    }
}

#[test]
fn training_by_awaiting_gives_the_same_bits() {
    let (devices, _alone) = devices();
    for device in &devices {
        let train = |awaited: bool| {
            let mut init = Init::new(Key::new(3), device);
            let mut model = gradloom::nn::layers::Linear::new(4, 2, &mut init);
            let mut optimizer = Adam::new(0.05);
            let x = numbers(32, device).reshape([8, 4]);
            let labels = Tensor::new([0i32, 1, 1, 0, 1, 0, 0, 1], device).unwrap();
            let mut losses = Vec::new();
            for _ in 0..5 {
                let loss = model.forward(&x, &mut Context::eval()).cross_entropy(&labels);
                optimizer.step(&gradients(&loss, &model), &mut model);
                let all = (&mut model, &mut optimizer);
                losses.push(if awaited {
                    wait(commit_async(all)).unwrap();
                    wait(loss.item_async()).unwrap()
                } else {
                    commit(all).unwrap();
                    loss.item().unwrap()
                });
            }
            losses
        };
        assert_eq!(train(true), train(false), "{}", device.name());
    }
}

#[test]
fn many_futures_run_at_once_on_one_thread_and_on_several() {
    let (devices, _alone) = devices();
    for device in &devices {
        let shared = numbers(5000, device);
        let expected = |i: usize| (&shared + i as f64).exp().to_vec::<f32>().unwrap();
        let expected: Vec<Vec<f32>> = (0..8).map(expected).collect();
        let tensors: Vec<Tensor> = (0..8).map(|i| (&shared + f64::from(i)).exp()).collect();
        let found = wait(join(tensors.iter().map(|x| x.to_vec_async::<f32>()).collect()));
        for (found, expected) in found.into_iter().zip(&expected) {
            assert_eq!(&found.unwrap(), expected);
        }
        // Checked evaluations wait between their two submissions, and share the words of their checks.
        let rows: Vec<(Tensor, Tensor)> = (0..8).map(|row| picked(device, row)).collect();
        let losses = wait(join(rows.iter().map(|(_, loss)| loss.item_async()).collect()));
        for (row, loss) in losses.into_iter().enumerate() {
            match picked(device, row as i32).1.item() {
                Ok(expected) => assert_eq!(loss.unwrap(), expected),
                Err(_) => assert!(loss.unwrap_err().to_string().contains(&format!("{row}"))),
            }
        }
        std::thread::scope(|scope| {
            for (i, expected) in expected.iter().enumerate() {
                let tensor = (&shared + i as f64).exp();
                scope.spawn(move || {
                    for _ in 0..5 {
                        assert_eq!(&wait(tensor.to_vec_async::<f32>()).unwrap(), expected);
                    }
                });
            }
        });
    }
}

#[test]
fn a_future_moves_between_threads_and_leaves_room_for_who_blocks() {
    let (devices, _alone) = devices();
    for device in &devices {
        let (_table, loss) = picked(device, 2);
        let expected = picked(device, 2).1.item().unwrap();
        let mut future: BoxFuture<'_, _> = Box::pin(async { loss.item_async().await });
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        let begun = future.as_mut().poll(&mut context);
        // Nothing that the future holds is in the way of this thread.
        assert_eq!(numbers(3, device).sum(..).to_vec::<f32>().unwrap().len(), 1);
        assert!(picked(device, 9).1.item().is_err());
        device.statistics();
        device.backend().trim();
        let found = match begun {
            std::task::Poll::Ready(found) => found,
            std::task::Poll::Pending => {
                std::thread::scope(|scope| scope.spawn(|| wait(future)).join().unwrap())
            }
        };
        assert_eq!(found.unwrap(), expected, "{}", device.name());
    }
}

#[test]
fn a_waiting_thread_sleeps() {
    let (devices, _alone) = devices();
    for device in &devices {
        let x = numbers(1 << 18, device).reshape([512, 512]);
        let product = (0..4).fold(x.clone(), |product, _| product.matmul(&x).tanh());
        let rows = Tensor::new([1i32, 2], device).unwrap();
        let picked = product.index_select(0, &rows);
        let (found, polls) = block_on(picked.to_vec_async::<f32>());
        assert_eq!(found.unwrap().len(), 1024);
        // One at the start, one after the check, one after the download; a wake may come early.
        assert!(polls <= 5, "{polls} polls on {}", device.name());
    }
}

#[test]
fn errors_of_kernels_are_awaited() {
    let (devices, _alone) = devices();
    for device in &devices {
        let (mut table, loss) = picked(device, 7);
        let awaited = wait(loss.item_async()).unwrap_err();
        let blocking = loss.item().unwrap_err();
        assert_eq!(awaited.to_string(), blocking.to_string());
        assert!(awaited.to_string().contains("index_select"), "{awaited}");
        // What failed leaves everything as it was.
        let gradient = grad(&loss, &[&table]).remove(0);
        let before = table.to_vec::<f32>().unwrap();
        let mut updated = (&table - gradient).tracked();
        assert!(wait(commit_async(&mut updated)).is_err());
        assert_eq!(table.to_vec::<f32>().unwrap(), before);
        wait(commit_async(&mut table)).unwrap();
        assert_eq!(
            picked(device, 1).1.item().unwrap(),
            wait(picked(device, 1).1.item_async()).unwrap()
        );
    }
}

#[test]
fn futures_are_given_up_at_any_time() {
    let (devices, _alone) = devices();
    for device in &devices {
        let (mut expected, mut loss) = step(device, 3);
        commit((&mut expected, &mut loss)).unwrap();
        let (expected, expected_loss) = (expected.to_vec::<f32>().unwrap(), loss.item().unwrap());
        drop(loss);
        let in_use = device.statistics().bytes_in_use;
        let mut ready = 0;
        for polls in 0..8 {
            let (mut table, mut loss) = step(device, 3);
            ready += usize::from(give_up(commit_async((&mut table, &mut loss)), polls));
            // Done or not, it can be done now.
            commit((&mut table, &mut loss)).unwrap();
            assert_eq!(table.to_vec::<f32>().unwrap(), expected, "{polls} on {}", device.name());
            assert_eq!(loss.item().unwrap(), expected_loss);

            let (_, failing) = picked(device, 6);
            give_up(failing.item_async(), polls);
            // The failed check of what was given up is nobody else's.
            assert_eq!(picked(device, 3).1.item().unwrap(), expected_loss);

            let large = numbers(300_000, device);
            give_up(large.to_vec_async::<f32>(), polls);
            give_up(device.synchronize_async(), polls);
            assert_eq!(large.to_vec::<f32>().unwrap().len(), 300_000);
        }
        assert!(ready > 0, "eight polls are enough");
        assert_eq!(device.statistics().bytes_in_use, in_use, "memory on {}", device.name());
    }
}

/// Zeros and ones that are made when they are asked for.
struct Made(usize);

impl BytesSource for Made {
    fn byte_count(&self) -> usize {
        self.0
    }

    fn read(&self, offset: usize, bytes: &mut [u8]) -> Result<()> {
        for (byte, position) in bytes.iter_mut().zip(offset..) {
            *byte = u8::from(position.is_multiple_of(3));
        }
        Ok(())
    }
}

#[test]
fn leaves_outside_are_uploaded_once_by_all_who_await_them() {
    let (devices, _alone) = devices();
    // More than a GPU takes without a wait.
    let count = (72 << 20) + 5;
    for device in &devices {
        let before = device.statistics();
        let leaf = device.backend().adopt(DType::U8, Arc::new(Made(count))).unwrap();
        let leaf = Tensor::from_buffer(leaf, count, device);
        assert_eq!(device.statistics().bytes_outside - before.bytes_outside, count as u64);
        give_up(leaf.narrow(0, 0, 4).to_bytes_async(), 1);
        let ends = [0, count - 6].map(|start| leaf.narrow(0, start, 6).add(1u8));
        let found = wait(join(ends.iter().map(|end| end.to_vec_async::<u8>()).collect()));
        let found: Vec<Vec<u8>> = found.into_iter().map(Result::unwrap).collect();
        let byte = |position: usize| 1 + u8::from(position.is_multiple_of(3));
        assert_eq!(found[0], (0..6).map(byte).collect::<Vec<u8>>());
        assert_eq!(found[1], (count - 6..count).map(byte).collect::<Vec<u8>>());
        let after = device.statistics();
        assert_eq!(after.bytes_outside, before.bytes_outside);
        let taken = after.bytes_in_use - before.bytes_in_use;
        assert!(taken < 2 * count as u64, "{taken} bytes for {count} on {}", device.name());
        drop((leaf, ends));
        assert_eq!(device.statistics().bytes_in_use, before.bytes_in_use);
        device.backend().trim();
    }
}

#[test]
fn many_uploads_are_awaited() {
    let (devices, _alone) = devices();
    let bytes = vec![7u8; 24 << 20];
    for device in &devices {
        let before = device.statistics().bytes_in_use;
        let future = || Tensor::from_bytes_async(DType::U8, &bytes, bytes.len(), device);
        for polls in 0..3 {
            give_up(future(), polls);
        }
        let tensors: Vec<Tensor> = (0..4).map(|_| wait(future()).unwrap()).collect();
        for tensor in &tensors {
            let end = tensor.narrow(0, bytes.len() - 3, 3);
            assert_eq!(wait(end.to_vec_async::<u8>()).unwrap(), [7; 3]);
        }
        drop(tensors);
        assert_eq!(device.statistics().bytes_in_use, before);
        device.backend().trim();
    }
}

/// What is cached makes room, what is in use does not, and nothing is lost.
#[test]
fn a_budget_is_kept() {
    let (mut devices, _alone) = devices();
    devices[0] = gradloom_cpu::CpuBackend::new(Some(1)).unwrap().into_device();
    const MIB: u64 = 1 << 20;
    for device in &devices {
        let held = || device.statistics().bytes_in_use + device.statistics().bytes_cached;
        let made = |mebibytes: usize| {
            let made = Tensor::ones([mebibytes << 18], DType::F32, device);
            made.eval().map(|()| made)
        };
        device.backend().trim();
        let kept = made(8).unwrap();
        let budget = device.statistics().bytes_in_use + 40 * MIB;
        device.set_memory_budget(Some(budget)).unwrap();
        for mebibytes in [3, 5, 9, 12, 17, 20, 25, 30, 4] {
            drop(made(mebibytes).unwrap());
            assert!(held() <= budget, "{} of {budget} on {}", held(), device.name());
        }
        let error = made(64).unwrap_err();
        assert!(error.is_out_of_memory() && error.to_string().contains("budget"), "{error}");
        assert_eq!(kept.to_vec::<f32>().unwrap()[(8 << 18) - 1], 1.0);
        device.set_memory_budget(None).unwrap();
        assert!(made(64).is_ok());
    }
}

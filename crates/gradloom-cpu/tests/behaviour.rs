//! What the backend promises beyond values: errors instead of aborts, the same bits with any number of
//! threads, memory that is reused.

use gradloom_autodiff::grad;
use gradloom_cpu::CpuBackend;
use gradloom_tensor::op::Window;
use gradloom_tensor::ops::pooling::PoolOptions;
use gradloom_tensor::{DType, Device, Key, Tensor, commit};

fn device(threads: usize) -> Device {
    CpuBackend::new(Some(threads)).expect("threads").into_device()
}

#[test]
fn an_index_out_of_range_names_the_op_the_value_and_the_line() {
    let device = device(2);
    let table = Tensor::ones([5, 3], DType::F32, &device);
    let index = Tensor::from_vec(vec![0, 4, 7, 9], [4], &device).expect("indices");
    let line = line!() + 1;
    let rows = table.index_select(0, &index);
    let error = rows.to_vec::<f32>().expect_err("7 is no row");
    assert!(error.is_index_out_of_range());
    let message = error.to_string();
    assert!(message.contains("index 7 out of range for axis of size 5"), "{message}");
    assert!(message.contains(&format!("behaviour.rs:{line}")), "{message}");
}

#[test]
fn the_first_nan_is_found_when_asked_for() {
    let backend = CpuBackend::new(Some(1)).expect("threads").check_nan(true);
    let device = backend.into_device();
    let values = Tensor::from_vec(vec![1.0f32, -1.0], [2], &device).expect("values");
    assert!(values.exp().eval().is_ok());
    let error = values.log().eval().expect_err("the logarithm of -1");
    assert!(error.is_not_finite(), "{error}");
    assert!(error.to_string().contains("NaN"), "{error}");
}

#[test]
fn too_much_memory_is_an_error() {
    let device = device(1);
    let huge = Tensor::iota([1 << 20, 1 << 25], 0, &device);
    let error = huge.eval().expect_err("128 TiB");
    assert!(error.is_out_of_memory(), "{error}");
    // The device goes on.
    assert_eq!(Tensor::ones([2], DType::F32, &device).to_vec::<f32>().expect("ones"), [1.0, 1.0]);
}

#[test]
fn backends_of_this_crate_share_buffers() {
    let (first, second) = (device(1), device(1));
    let buffer = first.backend().upload(DType::F32, &[0; 8]).expect("memory");
    drop(first);
    let tensor = Tensor::from_buffer(buffer, [2], &second);
    assert_eq!(tensor.to_vec::<f32>().expect("zeros"), [0.0, 0.0]);
}

/// One step of gradient descent on a small network; the weights and the loss.
fn step(weights: &mut [Tensor], x: &Tensor, y: &Tensor) -> f64 {
    let hidden = (x.matmul(&weights[0]) + &weights[1]).tanh();
    let error = hidden.matmul(&weights[2]) - y;
    let mut loss = (&error * &error).mean(..);
    let gradients = grad(&loss, &weights.iter().collect::<Vec<_>>());
    for (weight, gradient) in weights.iter_mut().zip(&gradients) {
        *weight = &*weight - gradient * 0.1;
    }
    drop((gradients, error, hidden));
    commit((weights, &mut loss)).expect("a step");
    loss.item().expect("a loss")
}

fn network(device: &Device) -> (Vec<Tensor>, Tensor, Tensor) {
    let random =
        |seed: u64, shape: [usize; 2]| Tensor::uniform(Key::new(seed), shape, -0.2, 0.2, device);
    let mut weights =
        vec![random(1, [300, 200]).tracked(), random(2, [1, 200]).tracked(), random(3, [200, 50])];
    weights[2] = weights[2].tracked();
    let (mut x, mut y) = (random(4, [500, 300]), random(5, [500, 50]));
    commit((&mut weights, &mut x, &mut y)).expect("data");
    (weights, x, y)
}

#[test]
fn training_gives_the_same_bits_with_any_number_of_threads() {
    let train = |threads: usize| {
        let device = device(threads);
        let (mut weights, x, y) = network(&device);
        let losses: Vec<f64> = (0..5).map(|_| step(&mut weights, &x, &y)).collect();
        (losses, weights[0].to_vec::<f32>().expect("weights"))
    };
    let expected = train(1);
    assert!(expected.0[4] < expected.0[0]);
    for threads in [2, 3, 8] {
        assert!(train(threads) == expected, "{threads} threads");
    }
}

#[test]
fn a_repeated_step_asks_the_system_for_no_memory() {
    let device = device(2);
    let (mut weights, x, y) = network(&device);
    for _ in 0..3 {
        step(&mut weights, &x, &y);
    }
    let before = device.statistics();
    for _ in 0..10 {
        step(&mut weights, &x, &y);
    }
    let after = device.statistics();
    assert_eq!(before.system_allocations, after.system_allocations);
    assert_eq!(before.bytes_in_use, after.bytes_in_use);
    assert_eq!(before.plans, after.plans);
    device.backend().trim();
    assert_eq!(device.statistics().bytes_cached, 0);
}

#[test]
fn convolutions_of_halves_make_no_converted_copies() {
    for dtype in [DType::F16, DType::BF16] {
        let device = device(2);
        let x =
            Tensor::normal(Key::new(1), [8, 32, 64, 64], 0.0, 1.0, &device).cast(dtype).detach();
        let weight =
            Tensor::normal(Key::new(2), [8, 32, 3, 3], 0.0, 0.1, &device).cast(dtype).detach();
        gradloom_tensor::eval([&x, &weight]).expect("operands");
        let before = device.statistics();
        let y = x.conv2d(&weight, &Default::default());
        y.eval().expect("a convolution");
        let result = (y.count() * dtype.size()) as u64;
        // The input as f32 would take 4 MiB, the packed weights take a few KiB.
        let most = before.bytes_in_use + result + (1 << 20);
        assert!(device.statistics().bytes_peak <= most, "{dtype}: {:?}", device.statistics());
        // The numbers are those of f32, rounded once.
        let wide = x.cast(DType::F32).conv2d(&weight.cast(DType::F32), &Default::default());
        let numbers = |y: &Tensor| y.cast(DType::F32).to_vec::<f32>().expect("numbers");
        assert!(numbers(&y) == numbers(&wide.cast(dtype)), "{dtype}");
    }
}

#[test]
fn convolutions_of_nothing_are_zeros() {
    let device = device(2);
    let zeros = |tensor: Tensor| {
        let values = tensor.to_vec::<f32>().expect("values");
        assert!(!values.is_empty() && values.iter().all(|&value| value.to_bits() == 0));
    };
    let ones = |shape: [usize; 4]| {
        let ones = Tensor::ones(shape, DType::F32, &device);
        ones.eval().expect("ones");
        ones
    };
    for groups in [1, 2] {
        for stride in [1, 2] {
            let window = Window::new([2, 2]).stride([stride; 2]);
            // No channels: every output is a sum of nothing.
            let (input, weight) = (ones([3, 0, 5, 5]), ones([4, 0, 2, 2]));
            let output = Tensor::convolution(&input, &weight, window, groups);
            let side = output.size(2);
            zeros(output);
            // No images: nothing tells anything about the weight.
            let (input, gradient) = (ones([0, 6, 5, 5]), ones([0, 4, side, side]));
            let shape = [4, 6 / groups, 2, 2];
            zeros(Tensor::convolution_weight(&input, &gradient, shape, window, groups));
            // No outputs: nothing tells anything about the input.
            let (weight, gradient) = (ones([0, 6 / groups, 2, 2]), ones([3, 0, side, side]));
            zeros(Tensor::convolution_input(&weight, &gradient, [3, 6, 5, 5], window, groups));
        }
    }
    // Depthwise.
    let window = Window::new([2, 2]);
    let (input, gradient) = (ones([0, 6, 5, 5]), ones([0, 6, 4, 4]));
    zeros(Tensor::convolution_weight(&input, &gradient, [6, 1, 2, 2], window, 6));
    // With an epilogue, and nothing at all.
    let none = ones([3, 0, 5, 5]).conv2d(&ones([4, 0, 2, 2]), &Default::default());
    let shifted = (none + 1.0).relu().to_vec::<f32>().expect("values");
    assert!(shifted.len() == 3 * 4 * 16 && shifted.iter().all(|&value| value == 1.0));
    let empty = ones([0, 3, 5, 5]).conv2d(&ones([4, 3, 2, 2]), &Default::default());
    assert!(empty.to_vec::<f32>().expect("values").is_empty());
}

#[test]
fn places_of_maxima_are_exact_where_f32_is_not() {
    let device = device(2);
    let shape = [1, 1, 4097, 4097];
    let at = |axis: isize, place: i32| Tensor::iota(shape, axis, &device).eq(place);
    let x = at(2, 4095).logical_and(at(3, 4092)).cast(DType::F32);
    let (maxima, places) = x.max_pool2d_with_indices(&PoolOptions::new([2, 2]));
    let last = |tensor: &Tensor| tensor.narrow(2, 2047, 1).narrow(3, 2046, 1);
    assert_eq!(last(&maxima).to_vec::<f32>().expect("values"), [1.0]);
    assert_eq!(last(&places).to_vec::<i32>().expect("values"), [4095 * 4097 + 4092]);
}

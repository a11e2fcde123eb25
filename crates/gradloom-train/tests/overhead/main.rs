//! What the trainer costs beside the same loop by hand: the step of the peers' case `w2.train`.
//!
//! `cargo test --release --workspace --test overhead -- --ignored --nocapture` prints times of rounds in turn. A
//! timing is no assertion; what is asserted is that a step asks the system for no memory, that it asks the heap once
//! more for each weight at most where the model is small, and that it runs as many kernels.
#![expect(unsafe_code, reason = "an allocator that counts is one")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::time::Instant;

use gradloom_nn::layers::{Conv2d, Flatten, Linear, MaxPool2d};
use gradloom_nn::{
    Activation, Context, Init, Layer, ModuleExt, Optimizer, Sequential, Sgd, gradients,
};
use gradloom_tensor::ops::convolution::Conv2dOptions;
use gradloom_tensor::{Device, Key, Tensor, commit, eval};
use gradloom_train::{Progress, Supervised, Trainer};

/// Counts how often a thread asks for memory of the heap.
struct Counting;

thread_local! {
    static ASKED: Cell<u64> = const { Cell::new(0) };
}

fn count() {
    // A thread that ends has no counter any more.
    let _ = ASKED.try_with(|asked| asked.set(asked.get() + 1));
}

// SAFETY: every call is passed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are the system's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are the system's.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are the system's.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

type Batch = (Tensor, Tensor);
type Fitted = Trainer<Sequential, Sgd, Supervised<fn(&Tensor, &Tensor) -> Tensor>>;

/// Two convolutions with pooling and two linear layers, of pictures of `size` squared.
fn network(size: usize, channels: [usize; 2], hidden: usize, device: &Device) -> Sequential {
    let init = &mut Init::new(Key::new(0), device);
    let options = Conv2dOptions::default();
    let side = ((size - 2) / 2 - 2) / 2;
    Sequential::new()
        .with(Conv2d::new(1, channels[0], [3, 3], options, init))
        .with(Activation::Relu)
        .with(MaxPool2d::new(2))
        .with(Conv2d::new(channels[0], channels[1], [3, 3], options, init))
        .with(Activation::Relu)
        .with(MaxPool2d::new(2))
        .with(Flatten)
        .with(Linear::new(channels[1] * side * side, hidden, init))
        .with(Activation::Relu)
        .with(Linear::new(hidden, 10, init))
}

fn batches(count: u32, size: usize, device: &Device) -> Vec<Batch> {
    let batch = |number| {
        let key = Key::new(1).fold(number);
        let x = Tensor::normal(key.fold(0), [64, 1, size, size], 0.0, 1.0, device).detach();
        let y = Tensor::randint(key.fold(1), [64], 0, 10, device).detach();
        eval([&x, &y]).unwrap();
        (x, y)
    };
    (0..count).map(batch).collect()
}

/// An epoch of a loop by hand.
fn by_hand(model: &mut Sequential, optimizer: &mut Sgd, ctx: &mut Context, batches: &[Batch]) {
    for (x, y) in batches {
        let loss = model.forward(x, ctx).cross_entropy(y);
        optimizer.step(&gradients(&loss, model), model);
        commit((&mut *model, &mut *optimizer)).unwrap();
        let loss = loss.item().unwrap();
        assert!(loss.is_finite());
    }
}

fn trainer(model: Sequential) -> Fitted {
    let loss: fn(&Tensor, &Tensor) -> Tensor = Tensor::cross_entropy;
    Trainer::new(model, Sgd::new(0.01).momentum(0.9), loss).progress(Progress::Silent)
}

#[test]
fn a_step_asks_for_no_memory_and_runs_as_many_kernels_as_one_by_hand() {
    // Its own, so that counters are those of this test.
    let device = gradloom_cpu::CpuBackend::new(None).unwrap().into_device();
    let batches = batches(4, 14, &device);
    let (mut model, mut optimizer) =
        (network(14, [4, 8], 16, &device), Sgd::new(0.01).momentum(0.9));
    let mut ctx = Context::train(Key::new(0));
    let mut fitted = trainer(network(14, [4, 8], 16, &device));
    let count = |epoch: &mut dyn FnMut()| {
        epoch();
        epoch();
        let before = device.statistics();
        epoch();
        let after = device.statistics();
        let plans = after.plans - before.plans;
        (
            after.system_allocations - before.system_allocations,
            plans,
            after.kernels - before.kernels,
        )
    };
    let hand = count(&mut || by_hand(&mut model, &mut optimizer, &mut ctx, &batches));
    let kit = count(&mut || drop(fitted.fit_train(&batches).unwrap()));
    assert_eq!((hand.0, hand.1), (0, 0));
    assert_eq!((kit.0, kit.1), (0, 0));
    println!("kernels of four steps: {} by hand, {} in the kit", hand.2, kit.2);
    assert!(kit.2 <= hand.2 + 4, "{} kernels by hand, {} in the kit", hand.2, kit.2);
}

/// How often this thread asks the heap for memory in an epoch, once all is planned.
fn asked(epoch: &mut dyn FnMut()) -> u64 {
    (0..3).for_each(|_| epoch());
    let before = ASKED.get();
    epoch();
    ASKED.get() - before
}

#[test]
fn a_step_asks_the_heap_hardly_more_often_than_one_by_hand() {
    let device = gradloom_cpu::CpuBackend::new(None).unwrap().into_device();
    for (name, layers) in [("a small network", [4, 8]), ("a large one", [40, 80])] {
        let model = || network(14, layers, 16 * layers[0], &device);
        // What an epoch asks for beside its steps is the same, however many there are.
        let more = [4, 24].map(|steps| {
            let batches = batches(steps, 14, &device);
            let (mut own, mut optimizer) = (model(), Sgd::new(0.01).momentum(0.9));
            let mut ctx = Context::train(Key::new(0));
            let hand = asked(&mut || by_hand(&mut own, &mut optimizer, &mut ctx, &batches));
            let mut fitted = trainer(model());
            let kit = asked(&mut || drop(fitted.fit_train(&batches).unwrap()));
            println!("{name}, {steps} steps: {hand} by hand, {kit} in the kit");
            kit as i64 - hand as i64
        });
        let each = (more[1] - more[0]) / 20;
        println!("{name}: {each} more a step, {} an epoch", more[0] - 4 * each);
        // Of a small network the old weights are held, so each new one has a handle of its own; of a large one they
        // are chosen on the device, by two nodes for each.
        let weights = model().parameters().len() as i64;
        let most = if layers[0] > 4 { 12 * weights } else { weights + 4 };
        assert!(each <= most, "{name}: {each} more a step");
        assert!(more[0] - 4 * each < 400, "{name}: {more:?}");
    }
}

#[test]
#[ignore = "a measurement: --release --ignored --nocapture"]
fn the_time_of_a_step_beside_one_by_hand() {
    let device = gradloom_cpu::device();
    // The network of the peers, and one so small that little but what a step costs beside arithmetic is left.
    time("w2.train", 28, &|| network(28, [32, 64], 512, &device));
    time("a tiny network", 10, &|| network(10, [1, 1], 4, &device));
    time("a tiny MLP", 10, &|| {
        let init = &mut Init::new(Key::new(0), &device);
        let layers = Sequential::new().with(Flatten).with(Linear::new(100, 16, init));
        layers.with(Activation::Relu).with(Linear::new(16, 10, init))
    });
}

fn time(name: &str, size: usize, network: &dyn Fn() -> Sequential) {
    let batches = batches(50, size, &gradloom_cpu::device());
    let (mut model, mut optimizer) = (network(), Sgd::new(0.01).momentum(0.9));
    let mut ctx = Context::train(Key::new(0));
    let mut fitted = trainer(network());
    let mut unchecked = trainer(network()).check_loss(false);
    let mut times = [const { Vec::new() }; 3];
    let rounds = if size > 20 { 15 } else { 150 };
    for round in 0..rounds {
        let mut run = |which: usize| {
            let start = Instant::now();
            match which {
                0 => by_hand(&mut model, &mut optimizer, &mut ctx, &batches),
                1 => drop(fitted.fit_train(&batches).unwrap()),
                _ => drop(unchecked.fit_train(&batches).unwrap()),
            }
            start.elapsed().as_secs_f64() * 1e3 / batches.len() as f64
        };
        // In turn, and each first as often as the others. The first round warms up.
        for place in 0..3 {
            let which = (place + round) % 3;
            let time = run(which);
            if round > 0 {
                times[which].push(time);
            }
        }
    }
    let median = |which: usize| {
        let mut sorted = times[which].clone();
        sorted.sort_by(f64::total_cmp);
        sorted[sorted.len() / 2]
    };
    let ratios = |which: usize| {
        let mut ratios: Vec<f64> =
            times[which].iter().zip(&times[0]).map(|(kit, hand)| kit / hand).collect();
        ratios.sort_by(f64::total_cmp);
        100.0 * (ratios[ratios.len() / 2] - 1.0)
    };
    println!(
        "{name}: ms a step: {:.3} by hand, {:.3} in the kit ({:+.2} %), {:.3} without the check of the loss ({:+.2} %)",
        median(0),
        median(1),
        ratios(1),
        median(2),
        ratios(2)
    );
}

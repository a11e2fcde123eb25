//! Models of integers beside their models of f32, on networks that are drawn. On the CPU alone: shaders of a network take
//! seconds to compile, and each op has its own tests on GPUs.

use gradloom_compress::quantize::*;
use gradloom_nn::layers::{BatchNorm, Conv1d, Conv2d, ConvTranspose2d, Linear};
use gradloom_nn::{Context, Init, Layer, Module, ModuleExt, Parameter};
use gradloom_tensor::ops::convolution::{Conv1dOptions, Conv2dOptions, ConvTranspose2dOptions};
use gradloom_tensor::ops::pooling::PoolOptions;
use gradloom_tensor::{Device, Key, Tensor};

/// Numbers that look drawn.
struct Draws(u64);

impl Draws {
    fn below(&mut self, end: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % end
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }
}

/// What makes a value of earlier ones.
#[derive(Clone, Copy, Debug)]
enum Step {
    Conv1d(usize),
    Conv2d(usize),
    Transposed(usize),
    Norm(usize),
    Linear(usize),
    Activation(usize),
    Clamp(f64, f64),
    Halves(f64, f64),
    MaxPool(PoolOptions<2>),
    LineMaxPool(PoolOptions<1>),
    AveragePool(PoolOptions<2>),
    Add(usize),
    Multiply(usize),
    Concat(usize),
    Turn,
    Slice,
    Flatten,
    Lines,
    Picture([usize; 3]),
    Scale(f64),
    Minus(f64),
}

#[derive(Module, Clone)]
struct Network {
    lines: Vec<Conv1d>,
    pictures: Vec<Conv2d>,
    transposed: Vec<ConvTranspose2d>,
    norms: Vec<BatchNorm>,
    linear: Vec<Linear>,
    /// Each with the value that it reads.
    #[module(skip)]
    steps: Vec<(usize, Step)>,
}

impl Network {
    fn apply(&self, values: &[Tensor], (from, step): (usize, Step), ctx: &mut Context) -> Tensor {
        let x = &values[from];
        match step {
            Step::Conv1d(at) => self.lines[at].forward(x, ctx),
            Step::Conv2d(at) => self.pictures[at].forward(x, ctx),
            Step::Transposed(at) => self.transposed[at].forward(x, ctx),
            Step::Norm(at) => self.norms[at].forward(x, ctx),
            Step::Linear(at) => self.linear[at].forward(x, ctx),
            Step::Activation(0..=2) => x.relu(),
            Step::Activation(3) => x.relu6(),
            Step::Activation(4) => x.sigmoid(),
            Step::Activation(5) => x.gelu(),
            Step::Activation(_) => x.leaky_relu(0.1),
            Step::Clamp(low, high) => x.clamp(low, high),
            Step::Halves(low, high) => x.clamp(low, f64::INFINITY).clamp(f64::NEG_INFINITY, high),
            Step::MaxPool(options) => x.max_pool2d(&options),
            Step::LineMaxPool(options) => x.max_pool1d(&options),
            Step::AveragePool(options) => x.avg_pool2d(&options),
            Step::Add(other) => x + &values[other],
            Step::Multiply(other) => x * &values[other].sigmoid(),
            Step::Concat(other) => Tensor::concat(&[x, &values[other]], 1),
            Step::Turn => x.permute(&[0, 1, 3, 2]),
            Step::Slice => x.narrow(1, x.size(1) / 3, x.size(1) - x.size(1) / 3),
            Step::Flatten => x.flatten(1, -1),
            Step::Lines => x.reshape([x.size(0), x.size(1), x.size(2) * x.size(3)]),
            Step::Picture([c, h, w]) => x.reshape([x.size(0), c, h, w]),
            Step::Scale(by) => x * by,
            Step::Minus(by) => by - x,
        }
    }
}

impl Layer for Network {
    fn forward(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
        let mut values = vec![x.clone()];
        for &step in &self.steps {
            values.push(self.apply(&values, step, ctx));
        }
        let read = |at: usize| {
            self.steps.iter().any(|&(from, step)| {
                from == at
                    || match step {
                        Step::Add(o) | Step::Multiply(o) | Step::Concat(o) => o == at,
                        _ => false,
                    }
            })
        };
        let leaves: Vec<Tensor> =
            (1..values.len()).filter(|&at| !read(at)).map(|at| values[at].flatten(1, -1)).collect();
        if leaves.len() == 1 {
            return values.last().unwrap().clone();
        }
        Tensor::concat(&leaves, 1)
    }
}

fn drawn(draws: &mut Draws, device: &Device) -> (Network, Vec<usize>) {
    let init = &mut Init::new(Key::new(draws.below(1 << 20) as u64), device);
    let mut network = Network {
        lines: vec![],
        pictures: vec![],
        transposed: vec![],
        norms: vec![],
        linear: vec![],
        steps: vec![],
    };
    let shape = match draws.below(5) {
        0 => vec![4, 1 + draws.below(70)],
        1 => vec![4, 1 + draws.below(20), 6 + draws.below(20)],
        _ => vec![4, 1 + draws.below(20), 5 + draws.below(8), 5 + draws.below(8)],
    };
    let mut values = vec![Tensor::normal(Key::new(1), &shape[..], 0.0, 1.0, device)];
    let count = 4 + draws.below(10);
    let mut attempts = 0;
    while network.steps.len() < count && attempts < 200 {
        attempts += 1;
        let from = match draws.chance(75) {
            true => values.len() - 1,
            false => draws.below(values.len()),
        };
        let x = values[from].clone();
        let rank = x.rank();
        let same: Vec<usize> =
            (1..values.len()).filter(|&at| values[at].shape() == x.shape()).collect();
        let outputs = match draws.chance(35) {
            true => x.size(1),
            false => 1 + draws.below(70),
        };
        let step = match (draws.below(20), rank) {
            (0..=4, 4) => {
                let kernel = [1 + draws.below(3), 1 + draws.below(3)];
                let stride = [1 + draws.below(2), 1 + draws.below(2)];
                let padding = [draws.below(3), draws.below(3)];
                let dilation = [1 + draws.below(2), 1 + draws.below(2)];
                let channels = x.size(1);
                let (groups, outputs) = match draws.below(5) {
                    0 => (channels, channels),
                    1 => (channels, channels * 2),
                    2 if channels % 2 == 0 => (2, outputs * 2),
                    _ => (1, outputs),
                };
                let mut options = Conv2dOptions::default().groups(groups).dilation(dilation);
                if draws.chance(60) {
                    let odd = [1 + 2 * draws.below(2); 2];
                    options = options.dilation(1).padding([odd[0] / 2; 2]);
                    network.pictures.push(Conv2d::new(channels, outputs, odd, options, init));
                } else {
                    let fits = (0..2).all(|axis| {
                        x.size(2 + axis as isize) + 2 * padding[axis]
                            > (kernel[axis] - 1) * dilation[axis]
                    });
                    if !fits {
                        continue;
                    }
                    options = options.stride(stride).padding(padding);
                    network.pictures.push(Conv2d::new(channels, outputs, kernel, options, init));
                }
                if draws.chance(30) {
                    let last = network.pictures.pop().unwrap();
                    network.pictures.push(last.without_bias());
                }
                Step::Conv2d(network.pictures.len() - 1)
            }
            (5, 4) => {
                let twice = (0..network.pictures.len()).find(|&at| {
                    network.pictures[at].weight.size(1) == x.size(1)
                        && network.pictures[at].options().groups == 1
                        && network.pictures[at].weight.size(2) <= x.size(2).min(x.size(3))
                        && network.pictures[at].options().dilation == [1; 2]
                });
                match twice {
                    Some(at) => Step::Conv2d(at),
                    None => continue,
                }
            }
            (6, 4) if draws.chance(50) => {
                let options = ConvTranspose2dOptions::default().stride([2, 2]);
                if x.count() > 4000 {
                    continue;
                }
                let layer = ConvTranspose2d::new(x.size(1), outputs.min(12), [2, 3], options, init);
                network.transposed.push(layer);
                Step::Transposed(network.transposed.len() - 1)
            }
            (0..=4, 3) => {
                let (kernel, dilation) = (1 + draws.below(4), 1 + draws.below(2));
                let padding = draws.below(3);
                if x.size(2) + 2 * padding <= (kernel - 1) * dilation {
                    continue;
                }
                let options = Conv1dOptions::default()
                    .stride([1 + draws.below(2)])
                    .dilation([dilation])
                    .padding([padding]);
                let (options, outputs) = match draws.chance(25) {
                    true => (options.groups(x.size(1)), x.size(1)),
                    false => (options, outputs),
                };
                network.lines.push(Conv1d::new(x.size(1), outputs, kernel, options, init));
                Step::Conv1d(network.lines.len() - 1)
            }
            (0..=5, 2) => {
                network.linear.push(Linear::new(x.size(1), outputs, init));
                Step::Linear(network.linear.len() - 1)
            }
            (6..=7, rank) if rank > 2 && draws.chance(50) => {
                let inner = x.size(rank as isize - 1);
                network.linear.push(Linear::new(inner, outputs.min(20), init));
                Step::Linear(network.linear.len() - 1)
            }
            (8..=9, _) => {
                network.norms.push(BatchNorm::new(x.size(1), init));
                Step::Norm(network.norms.len() - 1)
            }
            (10..=12, _) => match draws.below(11) {
                7 => Step::Clamp(-0.5, 1.5),
                8 => Step::Halves(-0.25, 1.0),
                9 => Step::Clamp(0.1, f64::INFINITY),
                10 => Step::Clamp(f64::NEG_INFINITY, 0.7),
                kind => Step::Activation(kind),
            },
            (13, 4) if x.size(2) > 2 && x.size(3) > 2 => {
                let kernel = [2 + draws.below(2), 2 + draws.below(2)];
                let options = PoolOptions::new(kernel)
                    .stride([1 + draws.below(2), 1 + draws.below(2)])
                    .padding([draws.below(2), draws.below(2)])
                    .ceil_mode(draws.chance(30));
                Step::MaxPool(options)
            }
            (13, 3) if x.size(2) > 3 => {
                Step::LineMaxPool(PoolOptions::new([3]).stride([2]).padding([draws.below(2)]))
            }
            (14, 4) if x.size(2) > 2 && x.size(3) > 2 => {
                Step::AveragePool(PoolOptions::new([2, 2]).stride([1, 1]))
            }
            (15..=16, _) if !same.is_empty() => Step::Add(draws.of(&same)),
            (17, _) => match (draws.below(3), same.is_empty()) {
                (0, false) => Step::Multiply(draws.of(&same)),
                (1, false) if x.size(1) < 100 => Step::Concat(draws.of(&same)),
                _ if x.size(1) > 2 => Step::Slice,
                _ => continue,
            },
            (18, 4) => match draws.below(4) {
                0 => Step::Turn,
                1 => Step::Flatten,
                _ => Step::Lines,
            },
            (18, 3) => Step::Picture([x.size(1), 1, x.size(2)]),
            (18, 2) if x.size(1) % 4 == 0 => Step::Picture([x.size(1) / 4, 2, 2]),
            (19, _) => match draws.chance(50) {
                true => Step::Scale(0.7),
                false => Step::Minus(0.3),
            },
            _ => continue,
        };
        let step = (from, step);
        let value = network.apply(&values, step, &mut Context::eval());
        network.steps.push(step);
        if value.count() > 40_000 || value.count() == 0 {
            network.steps.pop();
            continue;
        }
        values.push(value);
    }
    let mut seed = 100;
    network.for_each_parameter(|name, parameter: &mut Parameter| {
        seed += 1;
        let key = Key::new(seed);
        let drawn = |low: f64, high: f64| {
            Tensor::uniform(key, *parameter.shape(), low, high, parameter.device())
        };
        if name.contains("running_var") {
            parameter.set(&drawn(0.2, 2.0));
        } else if name.contains("running_mean") {
            parameter.set(&drawn(-0.3, 0.3));
        } else if name.starts_with("norms") && name.ends_with("weight") {
            parameter.set(&drawn(-1.0, 2.0));
        } else if name.ends_with("weight") {
            let bound = 1.5 / (parameter.count() as f64 / parameter.size(0) as f64).sqrt();
            parameter.set(&drawn(-bound, bound));
        } else if parameter.dtype() == gradloom_tensor::DType::F32 && name.ends_with("bias") {
            parameter.set(&drawn(-0.3, 0.3));
        }
    });
    (network, shape)
}

fn far(one: &Tensor, other: &Tensor) -> f64 {
    let ratio = (one - other).square().mean(..) / (other.square().mean(..) + 1e-12);
    ratio.item().unwrap().sqrt()
}

/// Compares a network of f32 with that of integers, on batches of many sizes and on views.
fn check(seed: u64, device: &Device) {
    let mut draws = Draws(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let (network, shape) = drawn(&mut draws, device);
    if network.pictures.len() + network.lines.len() + network.linear.len() == 0 {
        return;
    }
    let input = |count: usize, seed: u64| {
        let mut shape = shape.clone();
        shape[0] = count;
        Tensor::normal(Key::new(seed), &shape[..], 0.0, 1.0, device)
    };
    let reversed: Vec<usize> = [5].iter().chain(&shape[1..]).rev().copied().collect();
    let axes: Vec<isize> = (0..shape.len() as isize).rev().collect();
    let turned = Tensor::normal(Key::new(9), &reversed[..], 0.0, 1.0, device).permute(&axes);
    let sliced = input(7, 50).narrow(0, 2, 3);
    let batches = [input(6, 60), input(1, 61), sliced, turned, input(0, 0)];
    // Numbers beyond the range that was seen would be cut off, which is no fault.
    let recipe = Recipe::int8().observing(Observer::MinMax);
    let mut calibrator = Calibrator::new(&network, &recipe).unwrap();
    for x in &batches[..4] {
        calibrator.batch(&[x], |model, ctx| model.forward(x, ctx)).unwrap();
    }
    // Layers that nothing reads do not run.
    let Ok(calibration) = calibrator.finish() else { return };
    let quantizers = Quantizers::new(&network, &recipe, &calibration).unwrap();
    let fake = FakeQuantized::fixed(network.clone(), &quantizers).unwrap();
    let run = |model: &Network, ctx: &mut Context| model.forward(&batches[0], ctx);
    let Ok(int8) = Int8Model::convert(network.clone(), &quantizers, &[&batches[0]], run) else {
        // Transposed convolutions alone.
        assert!(network.pictures.is_empty() || !network.transposed.is_empty(), "seed {seed}");
        return;
    };
    for x in &batches {
        let [full, ours, rounded]: [Tensor; 3] = {
            let ctx = &mut Context::eval();
            [network.forward(x, ctx), int8.forward(x, ctx), fake.forward(x, ctx)]
        };
        assert_eq!(full.shape(), ours.shape(), "seed {seed}: {:?}", network.steps);
        if x.size(0) == 0 {
            assert!(ours.to_vec::<f32>().unwrap().is_empty());
            continue;
        }
        let [far, bound] = [far(&ours, &full), 0.02 + 2.0 * far(&rounded, &full)];
        // Not a number is far, too.
        assert!(
            far < bound,
            "seed {seed}, a batch of {}: {far} instead of {bound}: {:?}",
            x.size(0),
            network.steps
        );
    }
}

#[test]
fn integers_answer_as_networks_that_are_drawn() {
    let device = gradloom_cpu::device();
    (0..40).for_each(|seed| check(seed, &device));
}

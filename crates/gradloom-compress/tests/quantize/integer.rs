//! Models of integers answer as models of rounded numbers do.

use gradloom_compress::quantize::*;
use gradloom_nn::layers::{BatchNorm, Conv1d, Conv2d, Linear};
use gradloom_nn::{Context, Init, Layer, LoadOptions, Module, ModuleExt};
use gradloom_tensor::op::Window;
use gradloom_tensor::ops::convolution::{Conv1dOptions, Conv2dOptions};
use gradloom_tensor::{DType, Device, Key, Tensor, eval};

use super::laws::{calibrated, network, pictures};

fn devices() -> Vec<Device> {
    let mut devices = vec![gradloom_cpu::device()];
    let adapters = gradloom_wgpu::adapters().into_iter();
    devices
        .extend(adapters.map(|adapter| gradloom_wgpu::device(&adapter.index.to_string()).unwrap()));
    devices
}

/// Root of the mean square of the difference, over that of the second.
fn far(one: &Tensor, other: &Tensor) -> f64 {
    let ratio = (one - other).square().mean(..) / other.square().mean(..);
    ratio.item().unwrap().sqrt()
}

#[test]
fn integers_answer_as_rounded_numbers_with_norms_folded() {
    for device in devices() {
        let model = network(&device);
        for bits in [8, 4] {
            let recipe = Recipe::new(LayerScheme::bits(bits, bits));
            let calibration = calibrated(&model, &recipe, &device);
            let quantizers = Quantizers::new(&model, &recipe, &calibration).unwrap();
            let fake = FakeQuantized::fixed(model.clone(), &quantizers).unwrap();
            let x = pictures(4, 5, &device);
            let int8 = Int8Model::convert(model.clone(), &quantizers, &[&x], |model, ctx| {
                model.forward(&x, ctx)
            })
            .unwrap();
            assert_eq!(
                int8.quantized(),
                ["head.weight", "hidden.weight", "middle.weight", "stem.weight"]
            );
            assert!(int8.skipped().is_empty(), "{:?}", int8.skipped());
            for (count, seed) in [(4, 5), (7, 6)] {
                let x = pictures(count, seed, &device);
                let ours = int8.forward(&x, &mut Context::eval());
                let theirs = fake.forward(&x, &mut Context::eval());
                // A sum that lies between two integers may go either way, which is seldom.
                let far = far(&ours, &theirs);
                let bound = 1.0 / f64::from(1 << bits);
                assert!(far < bound, "{bits} bits on {}: {far}", device.name());
            }
        }
    }
}

/// A residual block, whose convolution is used twice.
#[derive(Module, Clone)]
struct Residual {
    stem: Conv2d,
    twice: Conv2d,
    norm: BatchNorm,
    head: Linear,
}

impl Layer for Residual {
    fn forward(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
        let x = self.stem.forward(x, ctx).relu();
        let y = self.norm.forward(&self.twice.forward(&x, ctx), ctx).relu();
        let x = (self.twice.forward(&y, ctx) + &x).relu();
        self.head.forward(&x.global_avg_pool2d(), ctx).softmax(-1)
    }
}

fn residual(device: &Device) -> Residual {
    let init = &mut Init::new(Key::new(3), device);
    let options = Conv2dOptions::default().padding(1);
    Residual {
        stem: Conv2d::new(3, 8, [3, 3], options, init),
        twice: Conv2d::new(8, 8, [3, 3], options, init),
        norm: BatchNorm::new(8, init),
        head: Linear::new(8, 5, init),
    }
}

#[test]
fn branches_join_as_integers_and_a_layer_may_run_twice() {
    let device = gradloom_cpu::device();
    let model = residual(&device);
    let batches: Vec<Tensor> = (0..4).map(|seed| pictures(8, seed, &device)).collect();
    let mut calibrator = Calibrator::new(&model, &Recipe::int8()).unwrap();
    for x in &batches {
        calibrator.batch(&[x], |model, ctx| model.forward(x, ctx)).unwrap();
    }
    let calibration = calibrator.finish().unwrap();
    let between: Vec<&String> =
        calibration.ranges().keys().filter(|name| name.contains(':')).collect();
    assert_eq!(between, ["twice.weight#1:output"]);
    let int8 = Int8Model::of_layer(model.clone(), &Recipe::int8(), &batches).unwrap();
    assert_eq!(int8.quantized().len(), 4, "{:?}", int8.quantized());
    let x = pictures(16, 30, &device);
    let [ours, full] =
        [int8.forward(&x, &mut Context::eval()), model.forward(&x, &mut Context::eval())];
    assert!(far(&ours, &full) < 0.01, "{}", far(&ours, &full));
}

/// Rows become pictures, pictures rows of elements, and axes change places between products.
#[derive(Module, Clone)]
struct Turned {
    rows: Linear,
    first: Conv2d,
    gate: Conv2d,
    second: Conv2d,
    line: Conv1d,
    head: Linear,
}

impl Layer for Turned {
    fn forward(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
        let count = x.size(0);
        let x = self.rows.forward(x, ctx).relu().reshape([count, 6, 8, 5]);
        let x = self.first.forward(&x, ctx).relu();
        let gate = self.gate.forward(&x, ctx).sigmoid();
        let x = (self.second.forward(&x, ctx) + gate).relu();
        let window = Window::new([3, 2]).stride([2, 2]).padding([[1, 1], [0, 0]]);
        let x = x.pool_max(window).permute(&[0, 1, 3, 2]);
        let x = (self.second.forward(&x, ctx) + &x).relu();
        let x = self.line.forward(&x.reshape([count, 7, 8]), ctx).relu();
        self.head.forward(&x.reshape([count, 24]), ctx)
    }
}

#[test]
fn axes_may_change_places_between_products() {
    for device in devices() {
        let init = &mut Init::new(Key::new(4), &device);
        let options = Conv2dOptions::default().padding(1);
        let model = Turned {
            rows: Linear::new(12, 240, init),
            first: Conv2d::new(6, 7, [3, 3], options, init),
            gate: Conv2d::new(7, 7, [3, 3], options.groups(7), init),
            second: Conv2d::new(7, 7, [3, 3], options, init),
            line: Conv1d::new(7, 4, 3, Conv1dOptions::default(), init),
            head: Linear::new(24, 5, init),
        };
        let rows = |seed| Tensor::normal(Key::new(seed), [9, 12], 0.0, 1.0, &device);
        let batches: Vec<Tensor> = (0..4).map(rows).collect();
        let int8 = Int8Model::of_layer(model.clone(), &Recipe::int8(), &batches).unwrap();
        assert!(int8.skipped().is_empty(), "{:?}", int8.skipped());
        assert_eq!(int8.quantized().len(), 7, "{:?}", int8.quantized());
        let x = rows(30);
        let [ours, full] =
            [int8.forward(&x, &mut Context::eval()), model.forward(&x, &mut Context::eval())];
        assert!(far(&ours, &full) < 0.03, "{} on {}", far(&ours, &full), device.name());
    }
}

#[test]
fn rows_are_rounded_as_they_come_in_encoders() {
    use gradloom_zoo::{BertConfig, BertInput, BertModel, Pretrained};
    for device in devices() {
        let config = BertConfig {
            vocab_size: 50,
            hidden_size: 32,
            num_hidden_layers: 2,
            num_attention_heads: 4,
            intermediate_size: 64,
            max_position_embeddings: 16,
            ..BertConfig::default()
        };
        let model = BertModel::new(&config, &mut Init::new(Key::new(1), &device)).unwrap();
        let tokens = Tensor::new([[1, 7, 3, 9, 30], [4, 4, 8, 0, 0]], &device).unwrap();
        let mask = Tensor::new([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]], &device).unwrap();
        let input = BertInput::new(&tokens).mask(&mask);
        let run =
            |model: &BertModel, ctx: &mut Context| model.forward(&input, ctx).last_hidden_state;
        let full = run(&model, &mut Context::eval());
        let int8 = Int8Model::dynamic(model, &Recipe::int8(), &[&tokens, &mask], run).unwrap();
        assert_eq!(int8.quantized().len(), 12, "{:?}", int8.quantized());
        let tables = int8.skipped().iter().filter(|(name, _)| name.contains("embeddings"));
        assert_eq!(tables.count(), 3);
        let ours = int8.run(&mut Context::eval(), &[&tokens, &mask], run);
        assert!(far(&ours, &full) < 0.02, "{} on {}", far(&ours, &full), device.name());
    }
}

#[test]
fn weights_are_given_up_and_integers_are_saved_by_name() {
    let device = gradloom_cpu::device();
    let batches = [pictures(8, 1, &device)];
    let make = || Int8Model::of_layer(network(&device), &Recipe::int8(), &batches).unwrap();
    let (int8, mut other) = (make(), make());
    let [before, after] = int8.bytes();
    assert!(after * 3 < before, "{before} bytes became {after}");
    let dict = int8.state_dict();
    assert!(dict.get("stem.weight").is_none());
    assert_eq!(dict.get("stem.weight.packed").unwrap().dtype(), DType::I8);
    other.for_each_parameter(|name, parameter| {
        if name.ends_with("factor") {
            parameter.set(&(parameter.detach() * 0.0));
        }
    });
    other.load_state_dict(&dict, &LoadOptions::strict()).unwrap();
    let [one, other] = [int8, other]
        .map(|model| model.forward(&batches[0], &mut Context::eval()).to_vec::<f32>().unwrap());
    assert_eq!(one, other);
}

#[test]
#[should_panic(expected = "int8: a model of integers does not learn")]
fn models_of_integers_do_not_learn() {
    let device = gradloom_cpu::device();
    let x = pictures(8, 1, &device);
    let int8 =
        Int8Model::of_layer(network(&device), &Recipe::int8(), std::slice::from_ref(&x)).unwrap();
    int8.forward(&x, &mut Context::train(Key::new(0)));
}

#[test]
fn what_was_learnt_with_rounded_numbers_is_kept_by_integers() {
    let device = gradloom_cpu::device();
    let model = network(&device);
    for scales in [Scales::Learned, Scales::Moving(0.1)] {
        let recipe = Recipe::new(LayerScheme::bits(4, 4)).with("stem", LayerScheme::bits(8, 8));
        let calibration = calibrated(&model, &recipe, &device);
        let aware = FakeQuantized::new(model.clone(), &recipe, &calibration, scales).unwrap();
        let quantizers = aware.quantizers().unwrap();
        let x = pictures(8, 2, &device);
        let full = aware.forward(&x, &mut Context::eval());
        let int8 = Int8Model::convert(aware.model, &quantizers, &[&x], |model, ctx| {
            model.forward(&x, ctx)
        });
        let ours = int8.unwrap().forward(&x, &mut Context::eval());
        assert!(far(&ours, &full) < 0.05, "{scales:?}: {}", far(&ours, &full));
    }
}

/// A convolution whose results are read in some way, and another.
#[derive(Module, Clone)]
struct Read {
    first: Conv2d,
    second: Conv2d,
    #[module(skip)]
    how: fn(&Read, &Tensor, &mut Context) -> Tensor,
}

impl Layer for Read {
    fn forward(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
        (self.how)(self, &self.first.forward(x, ctx), ctx)
    }
}

fn read(how: fn(&Read, &Tensor, &mut Context) -> Tensor, device: &Device) -> Read {
    let init = &mut Init::new(Key::new(9), device);
    let options = Conv2dOptions::default().padding(1);
    let [first, second] = [3, 6].map(|channels| Conv2d::new(channels, 6, [3, 3], options, init));
    Read { first, second, how }
}

/// One half of a clamp.
fn at_least(x: &Tensor, bound: f64) -> Tensor {
    x.le(bound).select(bound, x)
}

fn at_most(x: &Tensor, bound: f64) -> Tensor {
    x.constant_like(bound).le(x).select(bound, x)
}

#[test]
fn results_are_read_in_several_ways() {
    let device = gradloom_cpu::device();
    let ways: [(&str, fn(&Read, &Tensor, &mut Context) -> Tensor); 9] = [
        ("one bound is read alone", |_, y, _| {
            let y = at_least(y, 0.0);
            at_most(&y, 0.2) + &y
        }),
        ("both bounds, and one alone", |own, y, ctx| {
            let y = at_least(y, -0.1);
            y.sigmoid() * own.second.forward(&at_most(&y, 0.2), ctx)
        }),
        ("two bounds from below", |_, y, _| at_least(&at_least(y, 0.2), 0.1)),
        ("bounds that leave one number", |_, y, _| at_least(&at_most(y, 0.2), 0.3)),
        ("maxima, and the numbers themselves", |own, y, ctx| {
            let most = y.pool_max(Window::new([5, 5]).padding([[2, 2]; 2]));
            own.second.forward(&most, ctx) + y
        }),
        ("a weight that reads larger numbers elsewhere", |own, y, ctx| {
            own.second.forward(y, ctx) + own.second.forward(&(y.sigmoid() * 9.0), ctx) * 0.1
        }),
        ("numbers that are looked at", |own, y, ctx| {
            let z = own.second.forward(&y.relu(), ctx);
            eval([&z]).unwrap();
            z.relu() + y
        }),
        ("maxima in another shape, and the numbers themselves", |own, y, ctx| {
            let shape = *y.shape();
            let lines = y.reshape([shape[0], 3, 2 * shape[2], shape[3]]);
            let most = lines.pool_max(Window::new([5, 5]).padding([[2, 2]; 2])).reshape(shape);
            own.second.forward(&most, ctx) + y
        }),
        ("maxima are multiplied, and a sum", |own, y, ctx| {
            let most = y.pool_max(Window::new([5, 5]).padding([[2, 2]; 2]));
            own.second.forward(&most, ctx) * (y + &most)
        }),
    ];
    let batches: Vec<Tensor> = (0..3).map(|seed| pictures(4, seed, &device)).collect();
    let mut wrong = Vec::new();
    for (what, how) in ways {
        let model = read(how, &device);
        let int8 = Int8Model::of_layer(model.clone(), &Recipe::int8(), &batches).unwrap();
        let ctx = &mut Context::eval();
        let [ours, full] = [int8.forward(&batches[0], ctx), model.forward(&batches[0], ctx)];
        // Not a number is far, too.
        let far = far(&ours, &full);
        if !matches!(far, 0.0..0.03) {
            wrong.push(format!("{what}: {far}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
#[should_panic(expected = "weight is no longer held, but is read otherwise than in the run")]
fn inputs_that_are_not_given_are_missed() {
    let device = gradloom_cpu::device();
    let [x, other] = [1, 2].map(|seed| pictures(4, seed, &device));
    let int8 =
        Int8Model::of_layer(network(&device), &Recipe::int8(), std::slice::from_ref(&x)).unwrap();
    int8.run(&mut Context::eval(), &[&x], |model, ctx| model.forward(&other, ctx));
}

#[test]
#[should_panic(expected = "int8: second.weight is no longer held, but is read otherwise than in")]
fn weights_that_are_not_held_are_missed() {
    let device = gradloom_cpu::device();
    let model = read(|own, y, ctx| own.second.forward(y, ctx), &device);
    let x = pictures(4, 1, &device);
    let int8 = Int8Model::of_layer(model, &Recipe::int8(), std::slice::from_ref(&x)).unwrap();
    int8.run(&mut Context::eval(), &[&x], |model, ctx| {
        model.forward(&x, ctx).sigmoid() * model.second.weight.square().mean(..)
    });
}

/// A matrix whose transpose is read in another shape.
#[derive(Module, Clone)]
struct Reshaped {
    plain: Linear,
    matrix: Linear,
}

impl Layer for Reshaped {
    fn forward(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
        let matrix = self.matrix.weight.t().reshape([6, 8]);
        self.plain.forward(x, ctx).matmul(&matrix)
    }
}

#[test]
fn transposes_in_another_shape_are_no_weights_of_products() {
    let device = gradloom_cpu::device();
    let init = &mut Init::new(Key::new(5), &device);
    let model = Reshaped { plain: Linear::new(5, 6, init), matrix: Linear::new(8, 6, init) };
    let x = Tensor::normal(Key::new(1), [9, 5], 0.0, 1.0, &device);
    let full = model.forward(&x, &mut Context::eval());
    let run = |model: &Reshaped, ctx: &mut Context| model.forward(&x, ctx);
    let int8 = Int8Model::dynamic(model, &Recipe::int8(), &[&x], run).unwrap();
    assert_eq!(int8.quantized(), ["plain.weight"]);
    let ours = int8.run(&mut Context::eval(), &[&x], run);
    assert!(far(&ours, &full) < 0.02, "{}", far(&ours, &full));
}

#[test]
fn several_threads_run_one_model() {
    let device = gradloom_cpu::device();
    let x = pictures(8, 1, &device);
    let int8 =
        Int8Model::of_layer(network(&device), &Recipe::int8(), std::slice::from_ref(&x)).unwrap();
    let answer = || int8.forward(&x, &mut Context::eval()).to_vec::<f32>().unwrap();
    let expected = answer();
    std::thread::scope(|scope| {
        let threads = [0; 4].map(|_| scope.spawn(|| [0; 3].map(|_| answer())));
        for thread in threads {
            assert!(thread.join().unwrap().iter().all(|found| *found == expected));
        }
    });
}

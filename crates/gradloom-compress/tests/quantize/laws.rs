//! What holds of ranges, scales and models whatever the numbers are.

use gradloom_compress::quantize::*;
use gradloom_nn::layers::{BatchNorm, Conv2d, Flatten, Linear, MaxPool2d};
use gradloom_nn::{Activation, Context, Init, Layer, ModuleExt, Sequential};
use gradloom_tensor::ops::convolution::Conv2dOptions;
use gradloom_tensor::{BlockFormat, DType, Device, Key, Tensor, commit};

fn normal(count: usize, seed: u32) -> Vec<f32> {
    let device = gradloom_cpu::device();
    Tensor::normal(Key::new(u64::from(seed)), [count], 0.0, 1.0, &device).to_vec().unwrap()
}

fn squared_error(values: &[f32], scheme: Scheme, range: Range) -> f64 {
    let parameters = QuantizationParameters::of_range(scheme, range);
    let rounded = parameters.dequantize(&parameters.quantize(values));
    let squares = values.iter().zip(&rounded).map(|(a, b)| f64::from(a - b).powi(2));
    squares.sum::<f64>() / values.len() as f64
}

#[test]
fn rounding_errs_by_half_a_step_at_most_within_the_range() {
    let values = normal(1000, 1);
    for scheme in [Scheme::affine(8), Scheme::symmetric(8), Scheme::affine(3), Scheme::symmetric(2)]
    {
        let range = Observer::MinMax.range_of(&values, &scheme).unwrap();
        let parameters = QuantizationParameters::of_range(scheme, range);
        let rounded = parameters.dequantize(&parameters.quantize(&values));
        // An affine range begins at a whole integer, so its ends move by up to half a step.
        let bound = parameters.scales()[0] * if scheme.is_symmetric() { 0.501 } else { 1.001 };
        for (value, rounded) in values.iter().zip(&rounded) {
            assert!((value - rounded).abs() <= bound, "{scheme}: {value} became {rounded}");
        }
        assert_eq!(parameters.dequantize(&parameters.quantize(&[0.0])), [0.0]);
    }
}

#[test]
fn the_range_of_least_error_beats_the_others_where_there_are_outliers() {
    let mut values = normal(20_000, 2);
    values[7] = 40.0;
    let scheme = Scheme::affine(4);
    let error = |observer: Observer| {
        squared_error(&values, scheme, observer.range_of(&values, &scheme).unwrap())
    };
    let least = error(Observer::Mse);
    let whole = error(Observer::MinMax);
    assert!(least < 0.3 * whole, "{least} against {whole}");
    for other in [Observer::AbsMax, Observer::Percentile(99.9), Observer::Entropy] {
        assert!(least <= 1.01 * error(other), "{other:?}");
    }
    let percentile = Observer::Percentile(99.0).range_of(&values, &scheme).unwrap();
    assert!((percentile.high - 2.33).abs() < 0.15 && (percentile.low + 2.33).abs() < 0.15);
    let entropy = Observer::Entropy.range_of(&values, &Scheme::symmetric(8)).unwrap();
    assert!(entropy.high < 10.0 && entropy.high > 2.0, "{entropy:?}");
}

#[test]
fn histograms_grow_without_losing_counts() {
    let scheme = Scheme::affine(8);
    let (small, large) = (normal(5000, 3), normal(5000, 4));
    let large: Vec<f32> = large.iter().map(|value| 7.0 * value).collect();
    let all: Vec<f32> = small.iter().chain(&large).copied().collect();
    for observer in [Observer::Percentile(99.0), Observer::Mse, Observer::Entropy] {
        let mut statistics = Statistics::new(observer);
        statistics.observe(&small).unwrap();
        statistics.observe(&large).unwrap();
        let grown = statistics.range(&scheme).unwrap();
        let once = observer.range_of(&all, &scheme).unwrap();
        let far = (grown.high - once.high).abs() / once.high;
        assert!(far < 0.06, "{observer:?}: {grown:?} against {once:?}");
    }
}

#[test]
fn more_scales_and_more_bits_err_less() {
    let device = gradloom_cpu::device();
    let rows: Vec<f32> =
        normal(4096, 5).iter().enumerate().map(|(at, x)| x * (1 + at / 512) as f32).collect();
    let weight = Tensor::from_slice(&rows, [8, 512], &device).unwrap();
    let error = |scheme: Scheme| {
        let parameters = QuantizationParameters::of_weight(scheme, &weight, Observer::Mse).unwrap();
        let rounded = parameters.fake_quantize(&weight).unwrap();
        (rounded - &weight).square().mean(..).item().unwrap()
    };
    for make in [Scheme::symmetric, Scheme::affine] {
        let errors = [2, 3, 4, 8].map(|bits| error(make(bits).per_group(32)));
        assert!(errors.windows(2).all(|pair| pair[1] < pair[0]), "{errors:?}");
        let errors = [make(4), make(4).per_channel(), make(4).per_group(32)].map(error);
        assert!(errors.windows(2).all(|pair| pair[1] < pair[0]), "{errors:?}");
    }
}

/// A network of what occurs: a norm after a convolution, pooling, a flattened map, a bias.
pub(super) fn network(device: &Device) -> Sequential {
    let init = &mut Init::new(Key::new(7), device);
    let options = Conv2dOptions::default().padding(1);
    let mut norm = BatchNorm::new(8, init);
    // Statistics as after training, one factor below zero.
    let running = norm.running.as_mut().unwrap();
    running.running_mean.set(&Tensor::uniform(Key::new(1), [8], -0.5, 0.5, device));
    running.running_var.set(&Tensor::uniform(Key::new(2), [8], 0.2, 1.5, device));
    norm.weight.as_mut().unwrap().set(&Tensor::uniform(Key::new(3), [8], -0.4, 1.5, device));
    norm.bias.as_mut().unwrap().set(&Tensor::uniform(Key::new(4), [8], -0.5, 0.5, device));
    let mut model = Sequential::new()
        .with_named("stem", Conv2d::new(3, 8, [3, 3], options, init).without_bias())
        .with_named("norm", norm)
        .with(Activation::Relu)
        .with(MaxPool2d::new(2))
        .with_named("middle", Conv2d::new(8, 16, [3, 3], options.stride(2), init))
        .with(Activation::Relu6)
        .with(Flatten)
        .with_named("hidden", Linear::new(16 * 4 * 4, 32, init))
        .with(Activation::Relu)
        .with_named("head", Linear::new(32, 5, init));
    commit(&mut model).unwrap();
    model
}

pub(super) fn pictures(count: usize, seed: u64, device: &Device) -> Tensor {
    Tensor::normal(Key::new(seed), [count, 3, 16, 16], 0.0, 1.0, device)
}

pub(super) fn calibrated(model: &Sequential, recipe: &Recipe, device: &Device) -> Calibration {
    let mut calibrator = Calibrator::new(model, recipe).unwrap();
    for seed in 20..24 {
        let x = pictures(16, seed, device);
        calibrator.batch(&[&x], |model, ctx| model.forward(&x, ctx)).unwrap();
    }
    calibrator.finish().unwrap()
}

#[test]
fn eight_bits_change_little_and_fewer_bits_more() {
    let device = gradloom_cpu::device();
    let model = network(&device);
    let x = pictures(32, 1, &device);
    let full = model.forward(&x, &mut Context::eval());
    let square = full.square().mean(..).item().unwrap();
    let mut errors = Vec::new();
    for bits in [8, 4, 2] {
        let recipe = Recipe::new(LayerScheme::bits(bits, bits));
        let calibration = calibrated(&model, &recipe, &device);
        let fake = FakeQuantized::new(model.clone(), &recipe, &calibration, Scales::Fixed).unwrap();
        let y = fake.forward(&x, &mut Context::eval());
        errors.push((y - &full).square().mean(..).item().unwrap() / square);
    }
    assert!(errors[0] < 2e-3, "{errors:?}");
    assert!(errors[0] < errors[1] && errors[1] < errors[2], "{errors:?}");
}

#[test]
fn scales_are_saved_and_loaded_by_name() {
    let device = gradloom_cpu::device();
    let recipe = Recipe::new(LayerScheme::bits(4, 4));
    let calibration = calibrated(&network(&device), &recipe, &device);
    for scales in [Scales::Fixed, Scales::Learned, Scales::Moving(0.1)] {
        let make = || FakeQuantized::new(network(&device), &recipe, &calibration, scales).unwrap();
        let mut one = make();
        one.for_each_parameter(|name, parameter| {
            if name.ends_with("_scale") {
                parameter.set(&(parameter.detach() * 1.5));
            }
        });
        let saved = one.state_dict();
        assert!(
            saved.get("head.input_scale").is_some() && saved.get("stem.weight_scale").is_some()
        );
        let mut other = make();
        other.load_state_dict(&saved, &gradloom_nn::LoadOptions::strict()).unwrap();
        let x = pictures(4, 9, &device);
        let [one, other] = [one, other]
            .map(|model| model.forward(&x, &mut Context::eval()).to_vec::<f32>().unwrap());
        assert_eq!(one, other, "{scales:?}");
    }
}

#[test]
fn moving_ranges_follow_batches_in_training_alone() {
    let device = gradloom_cpu::device();
    let recipe = Recipe::int8();
    let calibration = calibrated(&network(&device), &recipe, &device);
    let mut model =
        FakeQuantized::new(network(&device), &recipe, &calibration, Scales::Moving(0.5)).unwrap();
    let range = |model: &FakeQuantized<Sequential>| {
        model.parameter("stem.input_scale").unwrap().to_vec::<f32>().unwrap()
    };
    let before = range(&model);
    let x = pictures(8, 3, &device) * 3.0;
    model.forward(&x, &mut Context::eval()).eval().unwrap();
    assert_eq!(range(&model), before);
    let mut ctx = Context::train(Key::new(1));
    model.forward(&x, &mut ctx);
    ctx.apply_updates(&mut model);
    commit(&mut model).unwrap();
    let values = x.to_vec::<f32>().unwrap();
    let high = values.iter().copied().fold(0.0, f32::max);
    let expected = before[1] + 0.5 * (high - before[1]);
    assert!((range(&model)[1] - expected).abs() < 1e-4);
}

#[test]
fn weights_alone_are_rounded_or_stored_in_blocks() {
    let device = gradloom_cpu::device();
    let init = &mut Init::new(Key::new(1), &device);
    let full = Sequential::new()
        .with_named("one", Linear::new(256, 64, init))
        .with_named("two", Linear::new(64, 10, init));
    let x = Tensor::normal(Key::new(2), [4, 256], 0.0, 1.0, &device);
    let schemes = [
        (Scheme::symmetric(8).per_group(32), BlockFormat::Q8_0, 0.01),
        (Scheme::affine(4).per_group(32), BlockFormat::Q4_1, 0.12),
        (Scheme::symmetric(3).per_group(16), BlockFormat::Q3_K, 0.3),
        (Scheme::affine(2).per_group(16), BlockFormat::Q2_K, 0.5),
    ];
    let y = full.forward(&x, &mut Context::eval());
    let far = |model: &Sequential| {
        let z = model.forward(&x, &mut Context::eval());
        let ratio = (z - &y).square().mean(..) / y.square().mean(..);
        ratio.item().unwrap().sqrt()
    };
    for (scheme, format, bound) in schemes {
        assert_eq!(block_format(scheme), Some(format));
        let recipe = Recipe::new(LayerScheme::weights(scheme));
        let mut rounded = full.clone();
        let reports = quantize_weights(&mut rounded, &recipe).unwrap();
        assert_eq!(reports.len(), 2);
        assert!(far(&rounded) < bound, "{scheme}: {}", far(&rounded));
        let mut stored = full.clone();
        let reports = store_weights(&mut stored, &recipe).unwrap();
        assert_eq!(stored.parameter("one.weight").unwrap().block_format(), Some(format));
        assert!(reports[0].bytes_after * 3 < reports[0].bytes_before);
        assert!(far(&stored) < bound, "{scheme} stored: {}", far(&stored));
    }
    assert_eq!(full.parameter("one.weight").unwrap().dtype(), DType::F32);
}

#[test]
fn the_report_names_the_layer_that_suffers_most() {
    let device = gradloom_cpu::device();
    let model = network(&device);
    let coarse = LayerScheme::bits(2, 2);
    let recipe = Recipe::int8().with("middle", coarse);
    let calibration = calibrated(&model, &recipe, &device);
    let x = pictures(16, 1, &device);
    let full = model.forward(&x, &mut Context::eval());
    let report = sensitivity(&model, &recipe, &calibration, |model| {
        let y = model.forward(&x, &mut Context::eval());
        (y - &full).square().mean(..).item()
    })
    .unwrap();
    assert_eq!(report.full, 0.0);
    assert_eq!(report.by_change()[0].name, "middle.weight");
    assert!(report.by_change()[0].metric > 10.0 * report.by_change()[1].metric);
    let [before, after] = report.bytes();
    assert!(after * 3 < before);
    let table = report.to_string();
    assert!(table.lines().count() == 6 && table.contains("hidden.weight"), "{table}");
}

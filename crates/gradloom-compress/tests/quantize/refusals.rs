//! Bad input is an error that says what is wrong.

use gradloom_compress::quantize::*;
use gradloom_nn::layers::{Embedding, Gru, Linear};
use gradloom_nn::{Activation, Context, Init, Layer, Module, Sequential};
use gradloom_tensor::{BlockFormat, DType, Key, Tensor};

use super::laws::{network, pictures};

fn message<T>(result: gradloom_tensor::Result<T>) -> String {
    match result {
        Ok(_) => panic!("it was accepted"),
        Err(error) => {
            let mut message = error.to_string();
            let mut source = std::error::Error::source(&error);
            while let Some(cause) = source {
                message += &format!(": {cause}");
                source = cause.source();
            }
            message
        }
    }
}

#[test]
fn calibration_needs_data_that_is_finite() {
    let device = gradloom_cpu::device();
    let model = network(&device);
    let recipe = Recipe::int8();
    let none = Calibrator::new(&model, &recipe).unwrap().finish();
    assert!(message(none).contains("no batches"));
    let mut calibrator = Calibrator::new(&model, &recipe).unwrap();
    let empty = Tensor::zeros([0, 3, 16, 16], DType::F32, &device);
    let refused = message(calibrator.batch(&[&empty], |model, ctx| model.forward(&empty, ctx)));
    assert!(refused.contains("empty batch, [0, 3, 16, 16]"), "{refused}");
    let x = pictures(2, 1, &device) * f64::NAN;
    let refused = message(calibrator.batch(&[&x], |model, ctx| model.forward(&x, ctx)));
    assert!(refused.contains("stem.weight") && refused.contains("NaN"), "{refused}");
}

#[test]
#[should_panic(expected = "conv")]
fn a_batch_of_another_shape_is_the_layers_matter() {
    let device = gradloom_cpu::device();
    let model = network(&device);
    let x = Tensor::zeros([2, 4, 16, 16], DType::F32, &device);
    let mut calibrator = Calibrator::new(&model, &Recipe::int8()).unwrap();
    let _ = calibrator.batch(&[&x], |model, ctx| model.forward(&x, ctx));
}

#[derive(Module, Clone)]
struct Mixed {
    table: Embedding,
    gru: Gru,
    head: Linear,
    unused: Linear,
}

#[test]
fn what_cannot_be_quantized_is_named_with_the_reason() {
    let device = gradloom_cpu::device();
    let init = &mut Init::new(Key::new(0), &device);
    let model = Mixed {
        table: Embedding::new(10, 8, init),
        gru: Gru::new(8, 8, Default::default(), init),
        head: Linear::new(8, 2, init),
        unused: Linear::new(8, 2, init),
    };
    let tokens = Tensor::new([[1, 2, 3]], &device).unwrap();
    let calibrate = |recipe: &Recipe| {
        let mut calibrator = Calibrator::new(&model, recipe)?;
        calibrator.batch(&[&tokens], |model, ctx| {
            let x = model.table.forward(&tokens, ctx);
            let hidden = model.gru.forward(&x, ctx);
            model.head.forward(&hidden, ctx)
        })?;
        calibrator.finish()
    };
    let calibration = calibrate(&Recipe::int8()).unwrap();
    assert!(calibration.range("head.weight").is_some());
    let reason = |name: &str| {
        let found = calibration.skipped().iter().find(|(weight, _)| weight == name);
        found.unwrap_or_else(|| panic!("{name} is not among {:?}", calibration.skipped())).1.clone()
    };
    assert!(reason("table.weight").contains("table"));
    assert!(reason("unused.weight").contains("did not run"));
    assert!(reason("gru.weight_hh_l0").contains("loop"));
    let unused = Recipe::int8().with("unused", LayerScheme::bits(8, 8));
    let refused = message(calibrate(&unused));
    assert!(refused.contains("unused.weight cannot be quantized"), "{refused}");
    let unknown = Recipe::int8().without("decoder");
    let refused = message(calibrate(&unknown));
    assert!(
        refused.contains("no part \"decoder\"") && refused.contains("head.weight"),
        "{refused}"
    );
    let only = Recipe::only_named().with("table", LayerScheme::bits(8, 8));
    let refused = message(calibrate(&only));
    assert!(refused.contains("table.weight cannot be quantized"), "{refused}");
}

#[test]
fn weights_that_do_not_suit_are_named() {
    let device = gradloom_cpu::device();
    let init = &mut Init::new(Key::new(0), &device);
    let mut model =
        Sequential::new().with_named("only", Linear::new(48, 4, init)).with(Activation::Relu);
    let groups = Recipe::new(LayerScheme::weights(Scheme::symmetric(4).per_group(32)));
    let refused = message(quantize_weights(&mut model, &groups));
    assert!(refused.contains("only.weight") && refused.contains("groups of 32"), "{refused}");
    assert!(store_weights(&mut model, &groups).unwrap().is_empty());
    let named = groups.with("only", LayerScheme::weights(Scheme::symmetric(4).per_group(32)));
    let refused = message(store_weights(&mut model, &named));
    assert!(refused.contains("only.weight [4, 48] has no rows of whole Q4_0 blocks"), "{refused}");
    let rows = Recipe::new(LayerScheme::weights(Scheme::symmetric(4).per_channel()));
    let refused = message(store_weights(&mut model, &rows));
    assert!(refused.contains("no format of blocks has 4 bits symmetric per channel"), "{refused}");

    let init = &mut Init::new(Key::new(0), &device);
    let mut blocks = Sequential::new().with_named("only", Linear::new(32, 4, init));
    gradloom_nn::quantize(&mut blocks, BlockFormat::Q8_0).unwrap();
    let named = Recipe::int8().with("only", LayerScheme::bits(8, 8));
    let refused = message(quantize_weights(&mut blocks, &named));
    assert!(refused.contains("only.weight cannot be quantized: it is in blocks"), "{refused}");

    let init = &mut Init::new(Key::new(0), &device);
    let nan = Sequential::new().with_named("only", Linear::new(2, 2, init));
    let mut nan = nan;
    gradloom_nn::ModuleExt::for_each_parameter(&mut nan, |_, parameter| {
        parameter.set(&(parameter.detach() * f64::NAN));
    });
    let refused = message(quantize_weights(&mut nan, &Recipe::int8()));
    assert!(refused.contains("only.weight") && refused.contains("NaN"), "{refused}");
}

#[test]
fn learnt_scales_are_for_symmetric_weights() {
    let device = gradloom_cpu::device();
    let init = &mut Init::new(Key::new(0), &device);
    let model = Sequential::new().with_named("only", Linear::new(64, 4, init));
    let x = Tensor::ones([2, 64], DType::F32, &device);
    let recipe = Recipe::new(LayerScheme::weights(Scheme::symmetric(4).per_group(32)));
    let mut calibrator = Calibrator::new(&model, &recipe).unwrap();
    calibrator.batch(&[&x], |model, ctx| model.forward(&x, ctx)).unwrap();
    let calibration = calibrator.finish().unwrap();
    let refused = message(FakeQuantized::new(model, &recipe, &calibration, Scales::Learned));
    assert!(refused.contains("only.weight") && refused.contains("symmetric per 32"), "{refused}");
    let _ = Context::eval();
}

#[test]
#[should_panic(expected = "quantize: 9 bits; there may be 2 to 8")]
fn bits_are_two_to_eight() {
    let _ = Scheme::affine(9);
}

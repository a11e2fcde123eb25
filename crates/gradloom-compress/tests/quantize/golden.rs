//! Rounding and its gradients are those of PyTorch: `golden/make_quantization.py` wrote the values.

use gradloom_autodiff::vjp;
use gradloom_compress::quantize::*;
use gradloom_nn::layers::Linear;
use gradloom_nn::{Activation, Context, Init, Layer, ModuleExt, Parameter, Sequential, StateDict};
use gradloom_nn::{gradients, weights};
use gradloom_tensor::{Device, Key, Tensor};

struct Golden {
    dict: StateDict,
    device: Device,
}

impl Golden {
    fn new() -> Self {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/quantization.safetensors");
        let device = gradloom_cpu::device();
        Golden { dict: weights::load(path, &device).unwrap(), device }
    }

    fn get(&self, name: &str) -> Tensor {
        self.dict.get(name).unwrap_or_else(|| panic!("the golden file has no {name}")).clone()
    }

    fn number(&self, name: &str) -> f64 {
        self.get(name).item().unwrap()
    }

    #[track_caller]
    fn equal(&self, name: &str, ours: &Tensor, bound: f32) {
        let theirs = self.get(name).to_vec::<f32>().unwrap();
        let ours = ours.to_vec::<f32>().unwrap();
        assert_eq!(ours.len(), theirs.len(), "{name}");
        let largest = theirs.iter().fold(1e-12f32, |largest, value| largest.max(value.abs()));
        for (place, (one, other)) in ours.iter().zip(&theirs).enumerate() {
            let far = (one - other).abs() / largest;
            assert!(far <= bound, "{name} at {place}: {one} instead of {other}");
        }
    }
}

/// The value of a function, and the gradients of its operands for the golden cotangent.
fn differentiated(
    golden: &Golden,
    operands: &[Tensor],
    function: impl Fn(&[Tensor]) -> Tensor,
) -> (Tensor, Vec<Tensor>) {
    let y = function(operands);
    let asked: Vec<&Tensor> = operands.iter().collect();
    let gradients = vjp(&y, &golden.get("upstream"), &asked);
    (y, gradients)
}

#[test]
fn fake_quantization_and_its_gradient_are_those_of_torch() {
    let golden = Golden::new();
    let x = golden.get("x");
    let cases = [
        ("affine", 0.25, 3.0, [0, 15]),
        ("symmetric", 0.25, 0.0, [-8, 7]),
        ("odd", 0.017, 131.0, [0, 255]),
    ];
    for (name, scale, zero_point, bounds) in cases {
        let scale = Tensor::new([scale as f32], &golden.device).unwrap();
        let zero_point = scale.full_like(zero_point);
        let (y, gradients) = differentiated(&golden, std::slice::from_ref(&x), |x| {
            fake_quantize(&x[0], &scale, &zero_point, bounds)
        });
        golden.equal(&format!("{name}.y"), &y, 0.0);
        golden.equal(&format!("{name}.gradient"), &gradients[0], 0.0);
    }
    let [scale, zero_point] =
        ["scales", "zero_points"].map(|name| golden.get(name).reshape([6, 1]));
    let (y, gradients) =
        differentiated(&golden, &[x], |x| fake_quantize(&x[0], &scale, &zero_point, [-8, 7]));
    golden.equal("channel.y", &y, 0.0);
    golden.equal("channel.gradient", &gradients[0], 0.0);
}

#[test]
fn learnt_steps_have_the_gradients_of_the_paper() {
    let golden = Golden::new();
    let x = golden.get("x");
    for (name, bounds) in [("signed", [-8, 7]), ("unsigned", [0, 15])] {
        let step = golden.get(&format!("learned.{name}.step"));
        golden.equal(&format!("learned.{name}.step"), &initial_step(&x, bounds).reshape([1]), 1e-6);
        let (y, gradients) = differentiated(&golden, &[x.clone(), step], |operands| {
            learned_step_quantize(&operands[0], &operands[1], bounds)
        });
        golden.equal(&format!("learned.{name}.y"), &y, 1e-6);
        golden.equal(&format!("learned.{name}.gradient"), &gradients[0], 1e-5);
        golden.equal(&format!("learned.{name}.step_gradient"), &gradients[1], 1e-5);
    }
    let (y, gradients) = differentiated(&golden, &[x.clone(), golden.get("scales")], |operands| {
        learned_step_quantize(&operands[0], &operands[1], [-8, 7])
    });
    golden.equal("learned.channel.y", &y, 1e-6);
    golden.equal("learned.channel.gradient", &gradients[0], 1e-5);
    golden.equal("learned.channel.step_gradient", &gradients[1], 1e-5);
    let step = Tensor::new([0.3f32], &golden.device).unwrap();
    golden.equal("learnable.y", &learned_step_quantize(&x, &step, [-8, 7]), 1e-6);
}

#[test]
fn observers_find_the_ranges_and_scales_of_torch() {
    let golden = Golden::new();
    let batches = golden.get("batches").to_vec::<f32>().unwrap();
    let observers = [("min_max", Observer::MinMax), ("moving", Observer::MovingMinMax(0.1))];
    for (name, observer) in observers {
        let mut statistics = Statistics::new(observer);
        for batch in batches.chunks(40) {
            statistics.observe(batch).unwrap();
        }
        let scheme = Scheme::affine(8);
        let range = statistics.range(&scheme).unwrap();
        let ours = Tensor::new([range.low, range.high], &golden.device).unwrap();
        golden.equal(&format!("{name}.range"), &ours, 1e-6);
        let (scale, zero_point) = scheme.of_range(range);
        let far = f64::from(scale) / golden.number(&format!("{name}.scale")) - 1.0;
        assert!(far.abs() < 1e-6, "{name}: {far}");
        assert_eq!(f64::from(zero_point), golden.number(&format!("{name}.zero_point")));
    }
}

#[test]
fn a_step_of_training_has_the_gradients_of_torch() {
    let golden = Golden::new();
    let layer = |name: &str| {
        let weight = golden.get(&format!("net.{name}"));
        let mut layer = Linear::new(
            weight.size(1),
            weight.size(0),
            &mut Init::new(Key::new(0), &golden.device),
        )
        .without_bias();
        layer.weight = Parameter::new(weight);
        layer
    };
    let mut first = layer("first");
    first.bias = Some(Parameter::new(golden.get("net.bias")));
    let model = Sequential::new()
        .with_named("first", first)
        .with(Activation::Relu)
        .with_named("second", layer("second"));
    let inputs = golden.get("net.inputs");
    let scheme =
        LayerScheme { weights: Scheme::symmetric(4), activations: Some(Scheme::affine(4)) };
    let recipe = Recipe::new(scheme).observing(Observer::MinMax);
    let mut calibrator = Calibrator::new(&model, &recipe).unwrap();
    calibrator.batch(&[&inputs], |model, ctx| model.forward(&inputs, ctx)).unwrap();
    let calibration = calibrator.finish().unwrap();
    let aware = FakeQuantized::new(model, &recipe, &calibration, Scales::Learned).unwrap();
    let steps = [
        ("first.weight_scale", "first"),
        ("second.weight_scale", "second"),
        ("first.input_scale", "inputs"),
        ("second.input_scale", "hidden"),
    ];
    for (ours, theirs) in steps {
        golden.equal(&format!("net.{theirs}.step"), aware.parameter(ours).unwrap(), 1e-5);
    }
    let y = aware.forward(&inputs, &mut Context::train(Key::new(1)));
    let loss = (y - golden.get("net.target")).square().mean(..);
    golden.equal("net.loss", &loss.reshape([1]), 1e-5);
    let found = gradients(&loss, &aware);
    for (ours, theirs) in steps {
        let gradient = found.get(ours).unwrap();
        golden.equal(&format!("net.{theirs}.step_gradient"), gradient, 1e-4);
    }
    for name in ["first", "second"] {
        let gradient = found.get(&format!("{name}.weight")).unwrap();
        golden.equal(&format!("net.{name}.gradient"), gradient, 1e-4);
    }
}

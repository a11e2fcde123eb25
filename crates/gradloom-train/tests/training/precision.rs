//! Mixed precision computes what PyTorch's autocast computes, and layers can be left out of it.

use gradloom_nn::layers::{
    BatchNorm, Conv2d, LayerNorm, Linear, Lstm, MaxPool2d, MultiHeadAttention, RecurrentOptions,
};
use gradloom_nn::{Compute, Context, Init, Layer, Module, ModuleExt, gradients};
use gradloom_tensor::ops::convolution::Conv2dOptions;
use gradloom_tensor::{DType, Key, Tensor};
use serde_json::Value;

/// The network of `make_autocast.py`.
#[derive(Module, Clone)]
struct Net {
    conv: Conv2d,
    norm: BatchNorm,
    attention: MultiHeadAttention,
    layer_norm: LayerNorm,
    lstm: Lstm,
    head: Linear,
}

impl Layer for Net {
    fn forward(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
        let x = self.norm.forward(&self.conv.forward(x, ctx), ctx).relu();
        let x = MaxPool2d::new(2).forward(&x, ctx).flatten(2, 3).transpose(1, 2);
        let x = self.layer_norm.forward(&(&x + self.attention.forward(&x, ctx)), ctx);
        self.head.forward(&self.lstm.forward(&x, ctx).mean(1), ctx)
    }
}

fn floats(value: &Value) -> Vec<f32> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap() as f32).collect()
}

fn golden() -> Value {
    serde_json::from_str(include_str!("autocast.json")).unwrap()
}

fn net(golden: &Value) -> Net {
    let device = gradloom_cpu::device();
    let init = &mut Init::new(Key::new(0), &device);
    let mut net = Net {
        conv: Conv2d::new(1, 8, [3, 3], Conv2dOptions::default().padding(1), init),
        norm: BatchNorm::new(8, init),
        attention: MultiHeadAttention::new(8, 2, init),
        layer_norm: LayerNorm::new(8, init),
        lstm: Lstm::new(8, 8, RecurrentOptions::default(), init),
        head: Linear::new(8, 5, init),
    };
    let weights = golden["weights"].as_object().unwrap();
    let mut found = 0;
    net.for_each_parameter(|name, parameter| {
        if let Some(weight) = weights.get(name) {
            let values = floats(&weight["values"]);
            parameter.set(&Tensor::from_slice(&values, *parameter.shape(), &device).unwrap());
            found += 1;
        }
    });
    assert_eq!(found, weights.len());
    net
}

/// The loss and all gradients in one row, in PyTorch's order.
fn run(net: &Net, golden: &Value, compute: Compute) -> (f64, Vec<f32>) {
    let device = gradloom_cpu::device();
    let x = Tensor::from_slice(&floats(&golden["x"]), [6, 1, 6, 6], &device).unwrap();
    let y: Vec<i32> = floats(&golden["y"]).into_iter().map(|class| class as i32).collect();
    let y = Tensor::from_slice(&y, [6], &device).unwrap();
    let logits = net.forward(&x, &mut Context::train(Key::new(1)).with_compute(compute));
    assert_eq!(logits.dtype(), DType::F32);
    let loss = logits.cross_entropy(&y);
    let gradients = gradients(&loss, net);
    let names = golden["weights"].as_object().unwrap().keys();
    let row = names.flat_map(|name| gradients.get(name).unwrap().to_vec::<f32>().unwrap());
    (loss.item().unwrap(), row.collect())
}

fn of_torch(run: &Value) -> (f64, Vec<f32>) {
    let gradients = run["gradients"].as_object().unwrap().values();
    (run["loss"].as_f64().unwrap(), gradients.flat_map(floats).collect())
}

fn distance(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>().sqrt()
}

#[test]
fn halves_are_those_of_autocast() {
    let golden = golden();
    let net = net(&golden);
    let (full, narrow) = (of_torch(&golden["full"]), of_torch(&golden["bf16"]));
    let own_full = run(&net, &golden, Compute::full());
    let own_narrow = run(&net, &golden, Compute::narrow(DType::BF16));
    let size = distance(&full.1, &vec![0.0; full.1.len()]);
    assert!(distance(&own_full.1, &full.1) < 1e-5 * size && (own_full.0 - full.0).abs() < 1e-6);
    // How far autocast is from f32, and how far we are from autocast: it also rounds what lies between layers.
    let (rounding, apart) = (distance(&narrow.1, &full.1), distance(&own_narrow.1, &narrow.1));
    let own_rounding = distance(&own_narrow.1, &full.1);
    println!(
        "gradients of size {size:.4}: autocast is {rounding:.2e} from f32, we are {own_rounding:.2e} from f32 and \
         {apart:.2e} from autocast; losses {} {} {}",
        full.0, narrow.0, own_narrow.0
    );
    assert!(own_rounding > 0.2 * rounding, "nothing was rounded: {own_rounding:e}");
    assert!(own_rounding < 1.5 * rounding && apart < 1.2 * rounding, "{own_rounding:e} {apart:e}");
    assert!((own_narrow.0 - narrow.0).abs() < 3.0 * (narrow.0 - full.0).abs() + 1e-4);
}

#[test]
fn layers_are_left_out_by_their_weights_or_by_their_code() {
    let golden = golden();
    let narrow = || Compute::narrow(DType::BF16);
    let mut net = net(&golden);
    let (full, rounded) = (run(&net, &golden, Compute::full()), run(&net, &golden, narrow()));
    assert!(full.1 != rounded.1);
    let head = net.set_full_precision(true, |name| name.starts_with("head."));
    assert_eq!(head, 2);
    let without_head = run(&net, &golden, narrow());
    assert!(without_head.1 != rounded.1 && without_head.1 != full.1);
    net.set_full_precision(true, |_| true);
    assert_eq!(run(&net, &golden, narrow()), full);
    net.set_full_precision(false, |_| true);
    assert_eq!(run(&net, &golden, narrow()), rounded);
    let x = Tensor::normal(Key::new(3), [4, 8], 0.0, 1.0, &gradloom_cpu::device()).detach();
    let mut ctx = Context::eval().with_compute(narrow());
    let inside =
        ctx.computing(Compute::full(), |ctx| net.head.forward(&x, ctx)).to_vec::<f32>().unwrap();
    let expected = net.head.forward(&x, &mut Context::eval()).to_vec::<f32>().unwrap();
    assert_eq!(inside, expected);
    assert!(net.head.forward(&x, &mut ctx).to_vec::<f32>().unwrap() != expected);
}

//! Summaries of five nets equal what torchinfo tells of the same nets: golden data of
//! `make_summary_golden.py`.

use gradloom_nn::layers::{
    BatchNorm, Conv2d, Embedding, LayerNorm, Linear, Lstm, RecurrentOptions,
};
use gradloom_nn::{Context, Init, Layer, Module, ModuleExt};
use gradloom_tensor::ops::convolution::ConvOptions;
use gradloom_tensor::ops::pooling::PoolOptions;
use gradloom_tensor::{DType, Device, Key, Tensor};
use gradloom_testkit::reference;
use gradloom_track::{Summary, summary};
use serde_json::Value;

#[derive(Module, Clone)]
struct Convolutional {
    conv1: Conv2d,
    conv2: Conv2d,
    fc1: Linear,
    fc2: Linear,
    fc3: Linear,
}

impl Convolutional {
    fn new(init: &mut Init) -> Self {
        Convolutional {
            conv1: Conv2d::new(1, 6, [5, 5], ConvOptions::default().padding([2, 2]), init),
            conv2: Conv2d::new(6, 16, [5, 5], ConvOptions::default(), init),
            fc1: Linear::new(400, 120, init),
            fc2: Linear::new(120, 84, init),
            fc3: Linear::new(84, 10, init),
        }
    }
}

impl Layer for Convolutional {
    fn forward(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
        let pool = PoolOptions::new([2, 2]);
        let x = self.conv1.forward(x, ctx).relu().max_pool2d(&pool);
        let x = self.conv2.forward(&x, ctx).relu().max_pool2d(&pool).flatten(1, -1);
        let x = self.fc1.forward(&x, ctx).relu();
        let x = self.fc2.forward(&x, ctx).relu();
        self.fc3.forward(&x, ctx)
    }
}

#[derive(Module, Clone)]
struct Perceptron {
    inner: Linear,
    shared: Linear,
    norm: LayerNorm,
    head: Linear,
}

impl Perceptron {
    fn new(init: &mut Init) -> Self {
        let mut net = Perceptron {
            inner: Linear::new(20, 32, init).without_bias(),
            shared: Linear::new(32, 32, init),
            norm: LayerNorm::new([32], init),
            head: Linear::new(32, 3, init),
        };
        net.inner.freeze();
        net
    }
}

impl Layer for Perceptron {
    fn forward(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
        let x = self.inner.forward(x, ctx).relu();
        let x = self.shared.forward(&x, ctx).relu();
        let x = self.shared.forward(&x, ctx);
        let x = self.norm.forward(&x, ctx);
        self.head.forward(&x, ctx)
    }
}

#[derive(Module, Clone)]
struct Recurrent {
    embedding: Embedding,
    lstm: Lstm,
    head: Linear,
}

impl Recurrent {
    fn new(init: &mut Init) -> Self {
        let options = RecurrentOptions::default().layers(2).bidirectional(true);
        Recurrent {
            embedding: Embedding::new(100, 16, init),
            lstm: Lstm::new(16, 24, options, init),
            head: Linear::new(48, 2, init),
        }
    }
}

impl Layer for Recurrent {
    fn forward(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
        let x = self.embedding.forward(x, ctx);
        let x = self.lstm.forward(&x, ctx).index(1, -1);
        self.head.forward(&x, ctx)
    }
}

#[derive(Module, Clone)]
struct Block {
    conv1: Conv2d,
    norm1: BatchNorm,
    conv2: Conv2d,
    norm2: BatchNorm,
    shortcut: Option<Conv2d>,
}

impl Block {
    fn new(inputs: usize, outputs: usize, stride: usize, init: &mut Init) -> Self {
        let strided = ConvOptions::default().stride([stride, stride]);
        let (first, second) = (strided.padding([1, 1]), ConvOptions::default().padding([1, 1]));
        Block {
            conv1: Conv2d::new(inputs, outputs, [3, 3], first, init).without_bias(),
            norm1: BatchNorm::new(outputs, init),
            conv2: Conv2d::new(outputs, outputs, [3, 3], second, init).without_bias(),
            norm2: BatchNorm::new(outputs, init),
            shortcut: (stride > 1).then(|| Conv2d::new(inputs, outputs, [1, 1], strided, init)),
        }
    }
}

impl Layer for Block {
    fn forward(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
        let y = self.conv1.forward(x, ctx);
        let y = self.norm1.forward(&y, ctx).relu();
        let y = self.conv2.forward(&y, ctx);
        let y = self.norm2.forward(&y, ctx);
        match &self.shortcut {
            Some(shortcut) => (y + shortcut.forward(x, ctx)).relu(),
            None => (y + x).relu(),
        }
    }
}

#[derive(Module, Clone)]
struct Residual {
    stem: Conv2d,
    blocks: Vec<Block>,
    head: Linear,
}

impl Residual {
    fn new(init: &mut Init) -> Self {
        let padded = ConvOptions::default().padding([1, 1]);
        Residual {
            stem: Conv2d::new(3, 8, [3, 3], padded, init),
            blocks: vec![
                Block::new(8, 8, 1, init),
                Block::new(8, 16, 2, init),
                Block::new(16, 32, 2, init),
            ],
            head: Linear::new(32, 10, init),
        }
    }
}

impl Layer for Residual {
    fn forward(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
        let x = self.stem.forward(x, ctx);
        let x = self.blocks.iter().fold(x, |x, block| block.forward(&x, ctx));
        self.head.forward(&x.mean([2, 3]), ctx)
    }
}

#[derive(Module, Clone)]
struct Encoder {
    norm1: LayerNorm,
    query: Linear,
    key: Linear,
    value: Linear,
    output: Linear,
    norm2: LayerNorm,
    up: Linear,
    down: Linear,
}

impl Encoder {
    fn new(init: &mut Init) -> Self {
        Encoder {
            norm1: LayerNorm::new([32], init),
            query: Linear::new(32, 32, init),
            key: Linear::new(32, 32, init),
            value: Linear::new(32, 32, init),
            output: Linear::new(32, 32, init),
            norm2: LayerNorm::new([32], init),
            up: Linear::new(32, 64, init),
            down: Linear::new(64, 32, init),
        }
    }
}

impl Layer for Encoder {
    fn forward(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
        let y = self.norm1.forward(x, ctx);
        let [q, k, v] = [&self.query, &self.key, &self.value].map(|layer| layer.forward(&y, ctx));
        let scores = q.matmul(&k.transpose(1, 2)) * (1.0 / 32.0_f64.sqrt());
        let x = x + self.output.forward(&scores.softmax(-1).matmul(&v), ctx);
        let y = self.norm2.forward(&x, ctx);
        let y = self.up.forward(&y, ctx).relu();
        x + self.down.forward(&y, ctx)
    }
}

#[derive(Module, Clone)]
struct Transformer {
    embedding: Embedding,
    layers: Vec<Encoder>,
    head: Linear,
}

impl Transformer {
    fn new(init: &mut Init) -> Self {
        Transformer {
            embedding: Embedding::new(50, 32, init),
            layers: vec![Encoder::new(init), Encoder::new(init)],
            head: Linear::new(32, 4, init),
        }
    }
}

impl Layer for Transformer {
    fn forward(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
        let x = self.embedding.forward(x, ctx);
        let x = self.layers.iter().fold(x, |x, layer| layer.forward(&x, ctx));
        self.head.forward(&x.mean(1), ctx)
    }
}

fn same(net: &str, ours: &Summary) {
    let golden: Value = serde_json::from_str(include_str!("summary.json")).unwrap();
    let theirs = &golden["nets"][net];
    let layers = theirs["layers"].as_array().unwrap();
    assert_eq!(ours.layers.len(), layers.len(), "{net}:\n{ours}");
    for (ours, theirs) in ours.layers.iter().zip(layers) {
        let at = format!("{net}, {}", ours.name);
        assert_eq!(ours.name, theirs["name"], "{at}");
        // A norm here serves any number of axes.
        assert!(theirs["kind"].as_str().unwrap().starts_with(&ours.kind), "{at}: {}", ours.kind);
        let output: Vec<u64> = ours.output.iter().map(|&size| size as u64).collect();
        assert_eq!(Value::from(output), theirs["output"], "{at}");
        assert_eq!(ours.parameters as u64, theirs["parameters"], "{at}");
        assert_eq!(ours.trainable as u64, theirs["trainable"], "{at}");
        assert_eq!(ours.mult_adds, theirs["mult_adds"], "{at}");
        assert_eq!(ours.repeated, theirs["repeated"], "{at}");
    }
    assert_eq!(ours.parameters as u64, theirs["parameters"], "{net}");
    assert_eq!(ours.trainable as u64, theirs["trainable"], "{net}");
    assert_eq!(ours.mult_adds, theirs["mult_adds"], "{net}");
    assert_eq!(ours.input_bytes, theirs["input_bytes"], "{net}");
    assert_eq!(ours.activation_bytes, theirs["activation_bytes"], "{net}");
    assert_eq!(ours.parameter_bytes, theirs["parameter_bytes"], "{net}");
}

fn parts() -> (Device, Init) {
    let device = reference::device();
    let init = Init::new(Key::new(0), &device);
    (device, init)
}

#[test]
fn five_nets_are_summed_up_as_torchinfo_does() {
    let (device, mut init) = parts();
    let init = &mut init;
    let images = |shape: &[usize]| Tensor::zeros(shape, DType::F32, &device);
    let tokens = |shape: &[usize]| Tensor::zeros(shape, DType::I32, &device);
    same("convolutional", &summary(&Convolutional::new(init), &images(&[4, 1, 28, 28])));
    same("perceptron", &summary(&Perceptron::new(init), &images(&[5, 20])));
    same("recurrent", &summary(&Recurrent::new(init), &tokens(&[3, 7])));
    same("residual", &summary(&Residual::new(init), &images(&[2, 3, 16, 16])));
    same("transformer", &summary(&Transformer::new(init), &tokens(&[2, 9])));
}

#[test]
fn the_table_names_layers_shapes_and_sums() {
    let (device, mut init) = parts();
    let net = Perceptron::new(&mut init);
    let told = summary(&net, &Tensor::zeros([5, 20], DType::F32, &device));
    let table = told.to_string();
    assert_eq!(told.markdown().replace("\n    ", "\n").trim_start(), format!("{table}\n"));
    let lines: Vec<&str> = table.lines().collect();
    assert!(lines[2].starts_with("Linear (inner)") && lines[2].contains("(640)"), "{table}");
    assert!(lines[4].contains("(again)") && lines[4].contains("[5, 32]"), "{table}");
    assert!(table.contains("parameters          1,859\ntrainable           1,219"), "{table}");
}

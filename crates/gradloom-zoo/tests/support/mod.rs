//! What tests of models share: checkpoints of the folder `golden` with what Python expects of them, and the
//! checks that every language model passes.

#![allow(dead_code, reason = "each test uses some of it")]

use gradloom_nn::{
    Adam, Context, Init, Module, ModuleExt, Optimizer, StateDict, gradients, weights,
};
use gradloom_tensor::ops::loss::CrossEntropyOptions;
use gradloom_tensor::{DType, Device, Key, Tensor, Tensors, commit};
use gradloom_zoo::{CausalInput, CausalLanguageModel, CausalOutput, ModelConfig, Pretrained};

/// A checkpoint of the folder `golden`, on a device.
pub(crate) struct Golden {
    pub(crate) folder: String,
    pub(crate) expected: StateDict,
    pub(crate) device: Device,
}

impl Golden {
    /// Calls `test` with the reference backend and with the CPU.
    pub(crate) fn each(case: &str, test: impl Fn(&Golden)) {
        for device in [gradloom_testkit::reference::device(), gradloom_cpu::device()] {
            println!("{case} on {}", device.name());
            let folder = format!("{}/tests/golden/{case}", env!("CARGO_MANIFEST_DIR"));
            let expected = weights::load(format!("{folder}/expected.safetensors"), &device);
            test(&Golden { folder, expected: expected.unwrap(), device });
        }
    }

    pub(crate) fn load<M: Pretrained>(&self) -> M {
        M::from_folder(&self.folder, &self.device).unwrap()
    }

    pub(crate) fn get(&self, name: &str) -> Tensor {
        self.expected.get(name).unwrap_or_else(|| panic!("{}: no {name}", self.folder)).clone()
    }

    #[track_caller]
    pub(crate) fn assert(&self, name: &str, actual: &Tensor) {
        assert_close(&format!("{}: {name}", self.folder), actual, &self.get(name), None);
    }

    /// Compares what the mask keeps of `[B, T, ..]`, or of `[B, H, T, S]` along T; all of a decoder's.
    #[track_caller]
    pub(crate) fn assert_kept(&self, name: &str, actual: &Tensor) {
        let expected = self.get(name);
        let mask = self.get("mask");
        let (batch, length) = (mask.size(0), mask.size(1));
        if actual.size(if actual.rank() == 4 { 2 } else { 1 }) != length {
            return self.assert(name, actual);
        }
        let mask = match actual.rank() {
            4 => mask.reshape([batch, 1, length, 1]),
            _ => mask.reshape([batch, length, 1]),
        };
        let mask = mask.broadcast_to(*actual.shape()).cast(DType::F32);
        assert_close(&format!("{}: {name}", self.folder), actual, &expected, Some(&mask));
    }

    /// Compares taps by name with `name.0`, `name.1`, ...
    #[track_caller]
    pub(crate) fn assert_taps(&self, name: &str, ctx: &Context, taps: &[String]) {
        assert!(self.expected.get(&format!("{name}.{}", taps.len())).is_none(), "{name}: more");
        for (index, tap) in taps.iter().enumerate() {
            let actual = ctx.tapped(tap).unwrap_or_else(|| panic!("no tap {tap}"));
            self.assert_kept(&format!("{name}.{index}"), actual);
        }
    }

    /// Compares the loss and the gradients of every weight; names are those of the file.
    #[track_caller]
    pub(crate) fn assert_gradients<M: Pretrained + Module>(&self, model: &M, loss: &Tensor) {
        self.assert("loss", loss);
        let expected = self.expected.rename(|name| M::rename(name.strip_prefix("grad.")?));
        let actual = gradients(loss, model);
        for (name, gradient) in actual.iter() {
            let expected = expected.get(name).unwrap_or_else(|| panic!("no gradient of {name}"));
            assert_close(&format!("{}: gradient of {name}", self.folder), gradient, expected, None);
        }
        assert_eq!(actual.len(), expected.len(), "{}: gradients", self.folder);
    }

    pub(crate) fn token_loss(&self, logits: &Tensor) -> Tensor {
        let options = CrossEntropyOptions::default().ignore_index(-100);
        logits.cross_entropy_with(&self.get("labels"), &options)
    }
}

#[track_caller]
pub(crate) fn assert_close(
    what: &str,
    actual: &Tensor,
    expected: &Tensor,
    weight: Option<&Tensor>,
) {
    assert_eq!(actual.shape(), expected.shape(), "{what}");
    let values = |tensor: &Tensor| tensor.to_vec::<f32>().unwrap();
    let weights = weight.map_or_else(|| vec![1.0; actual.count()], values);
    let pairs = values(actual).into_iter().zip(values(expected));
    for (index, (actual, expected)) in pairs.enumerate() {
        let bound = 1e-5 + 1e-4 * expected.abs();
        assert!(
            (actual - expected).abs() <= bound || weights[index] == 0.0,
            "{what}: element {index} is {actual}, Python's is {expected}"
        );
    }
}

pub(crate) fn layers(prefix: &str, suffix: &str) -> Vec<String> {
    (0..2).map(|index| format!("{prefix}.{index}.{suffix}")).collect()
}

/// A language model's test: the file, the place of its layers, and how it runs.
pub(crate) fn check_causal<M: Pretrained + CausalLanguageModel>(
    case: &str,
    path: [&str; 2],
    forward: fn(&M, &CausalInput, &mut Context) -> CausalOutput,
) {
    Golden::each(case, |golden| {
        let model: M = golden.load();
        let input = CausalInput::new(&golden.get("tokens")).mask(&golden.get("mask"));
        let ctx = &mut Context::eval().with_taps();
        golden.assert_kept("logits", &forward(&model, &input, ctx).logits);
        let [trunk, layer] = path.map(str::to_owned);
        let layer = format!("{trunk}.{layer}");
        let hidden = ["embeddings", "output"].map(|name| format!("{trunk}.{name}"));
        let [embeddings, output] = hidden;
        let hidden = [embeddings, format!("{layer}.0.output"), output];
        golden.assert_taps("hidden", ctx, &hidden);
        golden.assert_taps("attention", ctx, &layers(&layer, "attention"));

        let output = forward(&model, &input, &mut Context::eval());
        golden.assert_kept("logits", &output.logits);
        golden.assert_gradients(&model, &golden.token_loss(&output.logits));

        // Positions are those that are counted without them.
        let positions = Tensor::arange(input.tokens.size(1), &golden.device);
        let positions = positions.broadcast_to(*input.tokens.shape());
        let tokens = input.tokens.narrow(0, 0, 1);
        let output = forward(&model, &input.positions(&positions), &mut Context::eval());
        golden.assert_kept("logits", &output.logits);

        // The first text in pieces, with a cache.
        let mut cache = model.cache(1, 8).unwrap();
        for (first, count) in [(0, 3), (3, 1), (4, 3)] {
            let piece = tokens.narrow(1, first, count);
            let hidden = model.hidden(&piece, &mut cache, &mut Context::eval()).unwrap();
            cache.end();
            let mut logits = model.logits(&hidden);
            commit((&mut cache, &mut logits)).unwrap();
            let expected = golden.get("logits").narrow(0, 0, 1).narrow(1, first, count);
            assert_close(&format!("{case}: cached logits"), &logits, &expected, None);
        }
    });
}

/// Five tokens that are to be learnt by heart.
const TEXT: [[i32; 5]; 1] = [[3, 1, 4, 1, 5]];

/// A model of this configuration while it learns: dropout drops, another key drops others, and a few steps
/// lower the loss.
pub(crate) fn check_learning<M: Pretrained + Tensors + Clone>(
    json: &str,
    logits: fn(&M, &Tensor, &mut Context) -> Tensor,
) {
    let device: Device = gradloom_cpu::device();
    let config = M::Config::from_json(json).unwrap();
    let mut model = M::new(&config, &mut Init::new(Key::new(0), &device)).unwrap();
    let text = Tensor::new(TEXT, &device).unwrap();
    let loss = |model: &M, ctx: &mut Context| logits(model, &text, ctx).cross_entropy(&text);
    let value = |seed| loss(&model, &mut Context::train(Key::new(seed))).item().unwrap();
    assert_eq!(value(1), value(1));
    assert_ne!(value(1), value(2));

    let before = loss(&model, &mut Context::eval()).item().unwrap();
    let mut optimizer = Adam::new(0.02);
    let mut ctx = Context::train(Key::new(3));
    for _ in 0..20 {
        let mut loss = loss(&model, &mut ctx);
        let gradients = gradients(&loss, &model);
        assert_eq!(gradients.len(), model.trainable().len());
        optimizer.step(&gradients, &mut model);
        commit((&mut model, &mut optimizer, &mut loss)).unwrap();
    }
    let after = loss(&model, &mut Context::eval()).item().unwrap();
    assert!(after < 0.7 * before, "{before} became {after}");
}

#[track_caller]
pub(crate) fn assert_wrong<C: ModelConfig + std::fmt::Debug>(json: &str, part: &str) {
    let error = C::from_json(json).unwrap_err();
    assert!(error.is_config(), "{error}");
    assert!(error.to_string().contains(part), "{error}\ndoes not say {part:?}");
}

//! What the tests share: numbers made of a name, as `golden/make.py` makes them, and the comparison of a network
//! with what Python computed.

#![allow(dead_code, reason = "each test uses some of it")]

use gradloom_nn::{Context, Init, LoadOptions, ModuleExt, StateDict, gradients};
use gradloom_tensor::{DType, Device, Key, Shape, Tensor, commit, eval, s};
use gradloom_vision::{AuxiliaryLogits, Classifier};
use serde_json::Value;
use std::path::PathBuf;

/// Numbers in `shift + scale * [-1, 1)` by a hash of the name and the index: `fill` of `golden/make.py`.
pub(crate) fn fill(name: &str, count: usize, scale: f64, shift: f64) -> Vec<f32> {
    let seed = name
        .bytes()
        .fold(2_166_136_261u32, |seed, byte| (seed ^ u32::from(byte)).wrapping_mul(16_777_619));
    let numbers = (0..count).map(|index| {
        let mut x = (index as u32).wrapping_mul(0x9E37_79B1).wrapping_add(seed);
        x ^= x >> 16;
        x = x.wrapping_mul(0x85EB_CA6B);
        x ^= x >> 13;
        x = x.wrapping_mul(0xC2B2_AE35);
        x ^= x >> 16;
        let unit = f64::from(x >> 8) / f64::from(1 << 23) - 1.0;
        (shift + scale * unit) as f32
    });
    numbers.collect()
}

/// A file of the folder `assets`, or none and a word about it.
pub(crate) fn asset(name: &str, file: &str) -> Option<PathBuf> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../assets").join(name).join(file);
    if path.is_file() {
        return Some(path);
    }
    println!("skipped: {} is missing; `cargo xtask assets {name}` gets it", path.display());
    None
}

pub(crate) fn filled(name: &str, shape: &Shape, scale: f64, shift: f64, device: &Device) -> Tensor {
    Tensor::from_vec(fill(name, shape.count(), scale, shift), *shape, device).unwrap()
}

pub(crate) fn filled_f64(
    name: &str,
    shape: &Shape,
    scale: f64,
    shift: f64,
    device: &Device,
) -> Tensor {
    let values = fill(name, shape.count(), scale, shift).into_iter().map(f64::from);
    Tensor::from_vec(values.collect::<Vec<f64>>(), *shape, device).unwrap()
}

/// The value of a weight or running statistic.
pub(crate) fn value_of(name: &str, shape: &Shape, device: &Device) -> Tensor {
    let (scale, shift) = if name.ends_with("running_mean") {
        (0.1, 0.0)
    } else if name.ends_with("running_var") {
        (0.25, 1.0)
    } else if shape.rank() == 1 {
        if name.ends_with("weight") { (0.25, 1.0) } else { (0.1, 0.0) }
    } else {
        let fan_in: usize = shape[1..].iter().product();
        (if fan_in > 1 { (6.0 / fan_in as f64).sqrt() } else { 0.5 }, 0.0)
    };
    filled_f64(name, shape, scale, shift, device)
}

/// A case of the folder `golden`.
pub(crate) struct Golden {
    pub(crate) case: String,
    pub(crate) json: Value,
}

impl Golden {
    pub(crate) fn open(case: &str) -> Golden {
        let path = format!("{}/tests/golden/{case}.json", env!("CARGO_MANIFEST_DIR"));
        let json = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        Golden { case: case.to_owned(), json }
    }

    /// The filled weights under the names of the original.
    pub(crate) fn weights<M: Classifier>(&self, config: &M::Config, device: &Device) -> StateDict {
        let shapes = M::new(config, &mut Init::new(Key::new(0), device)).unwrap();
        let train = &self.json["train"];
        let names = ["gradients", "statistics"].map(|kind| train[kind].as_object().unwrap());
        let weights = names.into_iter().flat_map(|names| names.keys()).map(|name| {
            let own = M::rename(config, name).unwrap();
            let parameter = shapes.parameter(&own);
            let parameter = parameter.unwrap_or_else(|| panic!("{name}: no {own}"));
            (name.clone(), value_of(name, parameter.shape(), device))
        });
        weights.collect()
    }

    /// The network in f64 with the filled weights.
    pub(crate) fn filled_model<M: Classifier>(&self, config: &M::Config, device: &Device) -> M {
        let init = Init::new(Key::new(0), device);
        let mut model = M::new(config, &mut init.dtype(DType::F64)).unwrap();
        let own = self.weights::<M>(config, device).rename(|name| M::rename(config, name));
        model.load_state_dict(&own, &LoadOptions::strict()).unwrap();
        commit(&mut model).unwrap();
        model
    }

    fn size(&self, name: &str) -> usize {
        self.json[name].as_u64().unwrap() as usize
    }

    fn pictures(&self, device: &Device) -> Tensor {
        let shape = [self.size("batch"), 3, self.size("size"), self.size("size")];
        filled_f64("pictures", &Shape::new(&shape), 1.0, 0.0, device)
    }

    /// Compares logits, every gradient and every running statistic, outside training and in it.
    ///
    /// In f64: in f32 rounding moves activations over the kinks of ReLUs and poolings, so that PyTorch's own
    /// gradients are up to a hundredth away from those in f64. Weights that are loaded are f32, and their logits are
    /// compared outside training.
    #[track_caller]
    pub(crate) fn check<M: Classifier>(
        &self,
        config: &M::Config,
        forward: fn(&M, &Tensor, &mut Context) -> AuxiliaryLogits,
    ) {
        let device = gradloom_cpu::device();
        let weights = self.weights::<M>(config, &device);
        let pictures = self.pictures(&device);
        let loaded = M::from_weights(config, &weights, &device).unwrap();
        assert_eq!(loaded.parameter_count() as u64, self.json["parameters"].as_u64().unwrap());
        let output = forward(&loaded, &pictures.cast(DType::F32), &mut Context::eval());
        let outputs = [&[output.logits][..], &output.auxiliary].concat();
        self.check_logits("eval", &outputs, 1e-4);

        let mut model = self.filled_model::<M>(config, &device);
        for mode in ["eval", "train"] {
            let started = std::time::Instant::now();
            let expected = &self.json[mode];
            let mut ctx = Context::new(mode == "train", Key::new(1));
            let output = forward(&model, &pictures, &mut ctx);
            let outputs = [&[output.logits][..], &output.auxiliary].concat();
            let losses = outputs.iter().enumerate().map(|(index, logits)| {
                let name = format!("cotangent.{index}");
                (logits * filled_f64(&name, logits.shape(), 1.0, 0.0, &device)).sum(..)
            });
            let loss = losses.reduce(|sum, loss| sum + loss).unwrap();
            let actual = gradients(&loss, &model);
            // All at once, so that the network runs once.
            eval(actual.iter().map(|(_, gradient)| gradient).chain(&outputs)).unwrap();
            self.check_logits(mode, &outputs, 1e-7);
            let named = &expected["gradients"];
            self.check_summaries::<M>(config, mode, named, |own| actual.get(own).cloned());
            let names = named.as_object().unwrap().keys();
            let reached: Vec<String> = names.map(|name| M::rename(config, name).unwrap()).collect();
            // Of heads that only learn there is no gradient outside training.
            for (name, gradient) in
                actual.iter().filter(|(name, _)| !reached.contains(&(*name).to_owned()))
            {
                let zero = gradient.to_vec::<f64>().unwrap().iter().all(|&value| value == 0.0);
                assert!(zero && mode == "eval", "{} {mode}: {name} has a gradient", self.case);
            }
            if mode == "train" {
                ctx.apply_updates(&mut model);
                commit(&mut model).unwrap();
                let named = &expected["statistics"];
                self.check_summaries::<M>(config, mode, named, |own| {
                    model.parameter(own).map(|parameter| parameter.tensor().clone())
                });
            }
            println!("{} {mode}: {:?}", self.case, started.elapsed());
        }
    }

    #[track_caller]
    fn check_logits(&self, mode: &str, outputs: &[Tensor], relative: f64) {
        let expected = self.json[mode]["logits"].as_array().unwrap();
        assert_eq!(outputs.len(), expected.len(), "{} {mode}: number of logits", self.case);
        for (logits, expected) in outputs.iter().zip(expected) {
            let expected: Vec<Vec<f64>> = serde_json::from_value(expected.clone()).unwrap();
            let expected = expected.concat();
            // Of pixels every 97th.
            let logits = match logits.rank() {
                4 => logits.flatten(1, -1).slice(s![.., ..;97]),
                _ => logits.clone(),
            };
            let actual = logits.cast(DType::F64).to_vec::<f64>().unwrap();
            assert_eq!(actual.len(), expected.len());
            let largest = expected.iter().fold(0.0f64, |max, value| max.max(value.abs()));
            for (actual, expected) in actual.iter().zip(&expected) {
                let error = (actual - expected).abs();
                let bound = relative * largest;
                assert!(error <= bound, "{} {mode}: logit {actual} is {expected}", self.case);
            }
        }
    }

    /// Compares projections and norms: two tensors of one projection and norm differ by little, as the
    /// directions of the projections are random.
    #[track_caller]
    pub(crate) fn check_summaries<M: Classifier>(
        &self,
        config: &M::Config,
        mode: &str,
        expected: &Value,
        actual: impl Fn(&str) -> Option<Tensor>,
    ) {
        let expected = expected.as_object().unwrap();
        let number = |value: &Value, place: usize| value[place].as_f64().unwrap();
        let largest = expected.values().fold(0.0f64, |max, value| max.max(number(value, 1)));
        for (name, value) in expected {
            let own = M::rename(config, name).unwrap();
            let actual = actual(&own).unwrap_or_else(|| panic!("{}: no {own}", self.case));
            check_summary(
                &format!("{} {mode}: {name}", self.case),
                name,
                &actual,
                value,
                [1e-6, 1e-9 * largest],
            );
        }
    }
}

/// Compares the projection and the norm of a tensor with Python's; the bound is a share of the norm and a number.
#[track_caller]
pub(crate) fn check_summary(
    what: &str,
    name: &str,
    actual: &Tensor,
    expected: &Value,
    [share, number]: [f64; 2],
) {
    let actual = actual.to_vec::<f64>().unwrap();
    let probe = fill(&format!("probe.{name}"), actual.len(), 1.0, 0.0);
    let pairs = actual.iter().zip(&probe);
    let projection: f64 = pairs.map(|(value, probe)| value * f64::from(*probe)).sum();
    let norm = actual.iter().map(|value| value * value).sum::<f64>().sqrt();
    let [expected, length] = [0, 1].map(|place| expected[place].as_f64().unwrap());
    let bound = share * length + number;
    assert!(
        (projection - expected).abs() <= bound && (norm - length).abs() <= bound,
        "{what} has projection {projection} and norm {norm}, Python's {expected} and {length}"
    );
}

//! Models against Python's `transformers`: `golden/make.py` made the checkpoints and wrote what is
//! expected of them: logits, hidden states, attention maps, and gradients of a loss.

use gradloom_nn::{Context, Module, StateDict, gradients, weights};
use gradloom_tensor::ops::loss::CrossEntropyOptions;
use gradloom_tensor::{DType, Device, Tensor};
use gradloom_zoo::{
    BertForMaskedLanguageModel, BertForPreTraining, BertForSequenceClassification, BertInput,
    BertModel, Pretrained,
};

/// A checkpoint of the folder `golden`, on a device.
struct Golden {
    folder: String,
    expected: StateDict,
    device: Device,
}

impl Golden {
    /// Calls `test` with the reference backend and with the CPU.
    fn each(case: &str, test: impl Fn(&Golden)) {
        for device in [gradloom_testkit::reference::device(), gradloom_cpu::device()] {
            println!("{case} on {}", device.name());
            let folder = format!("{}/tests/golden/{case}", env!("CARGO_MANIFEST_DIR"));
            let expected = weights::load(format!("{folder}/expected.safetensors"), &device);
            test(&Golden { folder, expected: expected.unwrap(), device });
        }
    }

    fn load<M: Pretrained>(&self) -> M {
        M::from_folder(&self.folder, &self.device).unwrap()
    }

    fn get(&self, name: &str) -> Tensor {
        self.expected.get(name).unwrap_or_else(|| panic!("{}: no {name}", self.folder)).clone()
    }

    #[track_caller]
    fn assert(&self, name: &str, actual: &Tensor) {
        assert_close(&format!("{}: {name}", self.folder), actual, &self.get(name), None);
    }

    /// Compares what the mask keeps of `[B, T, ..]`, or of `[B, H, T, S]` along T.
    #[track_caller]
    fn assert_kept(&self, name: &str, actual: &Tensor) {
        let expected = self.get(name);
        let mask = self.get("mask");
        let (batch, length) = (mask.size(0), mask.size(1));
        let mask = match actual.rank() {
            4 => mask.reshape([batch, 1, length, 1]),
            _ => mask.reshape([batch, length, 1]),
        };
        let mask = mask.broadcast_to(*actual.shape()).cast(DType::F32);
        assert_close(&format!("{}: {name}", self.folder), actual, &expected, Some(&mask));
    }

    /// Compares taps by name with `name.0`, `name.1`, ...
    #[track_caller]
    fn assert_taps(&self, name: &str, ctx: &Context, taps: &[String]) {
        assert!(self.expected.get(&format!("{name}.{}", taps.len())).is_none(), "{name}: more");
        for (index, tap) in taps.iter().enumerate() {
            let actual = ctx.tapped(tap).unwrap_or_else(|| panic!("no tap {tap}"));
            self.assert_kept(&format!("{name}.{index}"), actual);
        }
    }

    /// Compares the loss and the gradients of every weight; names are those of the file.
    #[track_caller]
    fn assert_gradients<M: Pretrained + Module>(&self, model: &M, loss: &Tensor) {
        self.assert("loss", loss);
        let expected = self.expected.rename(|name| M::rename(name.strip_prefix("grad.")?));
        let actual = gradients(loss, model);
        for (name, gradient) in actual.iter() {
            let expected = expected.get(name).unwrap_or_else(|| panic!("no gradient of {name}"));
            assert_close(&format!("{}: gradient of {name}", self.folder), gradient, expected, None);
        }
        assert_eq!(actual.len(), expected.len(), "{}: gradients", self.folder);
    }

    fn token_loss(&self, logits: &Tensor) -> Tensor {
        let options = CrossEntropyOptions::default().ignore_index(-100);
        logits.cross_entropy_with(&self.get("labels"), &options)
    }
}

#[track_caller]
fn assert_close(what: &str, actual: &Tensor, expected: &Tensor, weight: Option<&Tensor>) {
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

fn layers(prefix: &str, suffix: &str) -> Vec<String> {
    (0..2).map(|index| format!("{prefix}.{index}.{suffix}")).collect()
}

fn embeddings_and(prefix: &str, path: &str) -> Vec<String> {
    let mut names = vec![format!("{prefix}embeddings")];
    names.extend(layers(&format!("{prefix}{path}"), "output"));
    names
}

#[test]
fn bert_is_pythons() {
    Golden::each("bert", |golden| {
        let model: BertForPreTraining = golden.load();
        let input = BertInput::new(&golden.get("tokens"))
            .mask(&golden.get("mask"))
            .token_types(&golden.get("token_types"));
        let ctx = &mut Context::eval().with_taps();
        let output = model.forward(&input, ctx);
        golden.assert("logits", &output.logits);
        golden.assert("relation_logits", &output.relation_logits);
        golden.assert_taps("hidden", ctx, &embeddings_and("bert.", "encoder.layer"));
        golden.assert_taps("attention", ctx, &layers("bert.encoder.layer", "attention"));

        let output = model.forward(&input, &mut Context::eval());
        golden.assert("logits", &output.logits);
        let relations = output.relation_logits.cross_entropy(&golden.get("relations"));
        golden.assert_gradients(&model, &(golden.token_loss(&output.logits) + relations));

        // The same file serves models with fewer heads.
        let masked: BertForMaskedLanguageModel = golden.load();
        golden.assert("logits", &masked.forward(&input, &mut Context::eval()).logits);
        let encoder: BertModel = golden.load();
        let output = encoder.forward(&input, &mut Context::eval());
        golden.assert("pooled", &output.pooled.unwrap());
        golden.assert("sentence", &encoder.sentence_embeddings(&input, &mut Context::eval()));
    });
}

#[test]
fn roberta_is_pythons() {
    Golden::each("roberta", |golden| {
        let model: BertForMaskedLanguageModel = golden.load();
        let input = BertInput::new(&golden.get("tokens")).mask(&golden.get("mask"));
        let ctx = &mut Context::eval().with_taps();
        golden.assert("logits", &model.forward(&input, ctx).logits);
        golden.assert_taps("hidden", ctx, &embeddings_and("bert.", "encoder.layer"));
        golden.assert_taps("attention", ctx, &layers("bert.encoder.layer", "attention"));
        let output = model.forward(&input, &mut Context::eval());
        golden.assert_gradients(&model, &golden.token_loss(&output.logits));
        assert!(golden.load::<BertModel>().pooler.is_none());
    });
}

#[test]
fn classifiers_are_pythons() {
    for case in ["bert-classifier", "roberta-classifier"] {
        Golden::each(case, |golden| {
            let model: BertForSequenceClassification = golden.load();
            let input = BertInput::new(&golden.get("tokens")).mask(&golden.get("mask"));
            let logits = model.forward(&input, &mut Context::eval());
            golden.assert("logits", &logits);
            golden.assert_gradients(&model, &logits.cross_entropy(&golden.get("labels")));
        });
    }
}

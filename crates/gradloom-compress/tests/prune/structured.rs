//! The law of structured pruning: a model whose channels are zero computes what the smaller model does.

use gradloom_compress::prune::structured::{
    Importance, Scope, Selection, Structure, StructuredPruning, Target,
};
use gradloom_nn::layers::{
    BatchNorm, Conv2d, ConvTranspose2d, Dropout, Embedding, Flatten, GroupNorm, Gru, Linear,
    MultiHeadAttention,
};
use gradloom_nn::{
    Activation, Context, Init, Layer, LoadOptions, Module, ModuleExt, Sequential, gradients,
};
use gradloom_tensor::ops::convolution::Conv2dOptions;
use gradloom_tensor::{DType, Device, Key, Tensor};
use gradloom_vision::{
    Classifier, ConvNeXt, ConvNeXtConfig, DenseNet, DenseNetConfig, EfficientNet,
    EfficientNetConfig, MobileNetV2, MobileNetV2Config, ResNet, ResNetConfig, Vgg, VggConfig,
    VisionTransformer, VisionTransformerConfig,
};
use gradloom_zoo::{
    BertConfig, BertForSequenceClassification, BertInput, CausalInput, CausalLanguageModel,
    Gpt2Config, Gpt2ForCausalLanguageModel, LlamaConfig, LlamaForCausalLanguageModel, Pretrained,
    T5Config, T5ForConditionalGeneration, T5Input,
};

fn device() -> Device {
    gradloom_cpu::device()
}

/// Weights and running statistics as if something had been learnt, so that nothing is zero or one by chance.
fn learnt(model: &mut impl Module) {
    let mut number = 0;
    model.for_each_parameter(|name, parameter| {
        number += 1;
        let key = Key::new(7).fold(number);
        let drawn = Tensor::uniform(key, *parameter.shape(), 0.5, 1.5, parameter.device());
        let drawn = drawn.cast(parameter.dtype());
        let value = match parameter.rank() {
            0 => return,
            1 if name.ends_with("running_var") || name.ends_with("weight") => drawn,
            1 => (drawn - 1.0) * 0.3,
            _ => parameter.tensor() * drawn,
        };
        value.eval().unwrap();
        parameter.set(&value);
    });
}

fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.cast(DType::F32).to_vec::<f32>().unwrap()
}

#[track_caller]
fn assert_close(found: &Tensor, expected: &Tensor) {
    let (found, expected) = (values(found), values(expected));
    let largest = expected.iter().fold(0f32, |largest, value| largest.max(value.abs()));
    assert!(largest > 1e-6 && largest.is_finite(), "outputs are all {largest}");
    for (index, (found, expected)) in found.iter().zip(&expected).enumerate() {
        let difference = (found - expected).abs();
        assert!(difference <= 2e-5 * largest, "{index}: {found} instead of {expected}");
    }
}

/// Checks the law, and that the smaller model is loaded again.
#[track_caller]
fn check<M: Module + Clone>(
    model: &M,
    inputs: &[&Tensor],
    weights: &[&str],
    run: impl Fn(&M, &mut Context) -> Tensor,
) {
    let mut model = model.clone();
    learnt(&mut model);
    let structure = Structure::of(&model, inputs, &run);
    for name in weights {
        let found =
            structure.groups().iter().any(|group| group.weights().any(|(own, _)| own == *name));
        let kept: Vec<_> = structure.kept().filter(|kept| kept.weight == *name).collect();
        assert!(found, "{name} has no channels: {kept:?}");
    }
    for importance in [Importance::Random(Key::new(1)), Importance::L1] {
        for target in [Target::Flops(0.6), Target::Parameters(0.7)] {
            let mut smaller = model.clone();
            let pruning = StructuredPruning::to(target).unwrap().importance(importance.clone());
            let report = pruning.at_least(0.0).prune(&mut smaller, inputs, &run).unwrap();
            let [before, after] = report.parameters;
            assert_eq!((before, after), (model.parameter_count(), smaller.parameter_count()));
            match target {
                Target::Flops(part) => assert!(report.flops[1] <= part * report.flops[0]),
                Target::Parameters(part) => assert!(after as f64 <= part * before as f64),
            }
            let expected = Structure::of(&smaller, inputs, &run);
            assert_eq!(
                expected.flops(&expected.none()),
                report.flops[1],
                "flops are not those of the run"
            );

            // The same channels of the larger model, set to zero.
            let scores = structure.scores(&model, &importance).unwrap();
            let selection = Selection::to(target).unwrap();
            let removal = selection.at_least(0.0).choose(&structure, &scores, &|_| false).unwrap();
            let mut zeroed = model.clone();
            structure.zero(&mut zeroed, &removal).unwrap();
            let expected = run(&zeroed, &mut Context::eval());
            assert_close(&run(&smaller, &mut Context::eval()), &expected);

            let mut loaded = model.clone();
            let dict = smaller.state_dict();
            loaded.load_state_dict(&dict, &LoadOptions::strict()).unwrap_err();
            loaded.load_state_dict(&dict, &LoadOptions::strict().resized()).unwrap();
            assert_eq!(
                values(&run(&loaded, &mut Context::eval())),
                values(&run(&smaller, &mut Context::eval()))
            );
        }
    }
}

fn picture(size: usize) -> Tensor {
    Tensor::uniform(Key::new(3), [2, 3, size, size], -1.0, 1.0, &device())
}

#[track_caller]
fn check_classifier<M: Classifier + Layer + Clone>(
    config: &M::Config,
    size: usize,
    weights: &[&str],
) {
    let model = M::new(config, &mut Init::new(Key::new(0), &device())).unwrap();
    let x = picture(size);
    check(&model, &[&x], weights, |model, ctx| model.forward(&x, ctx));
}

#[test]
fn vgg_with_batch_norm_shrinks() {
    let stages = vec![vec![8], vec![12], vec![16, 16], vec![16], vec![16]];
    let config = VggConfig { stages, hidden: 32, ..VggConfig::vgg11() };
    let weights = [
        "features.0.weight",
        "features.1.running_var",
        "classifier.0.weight",
        "classifier.3.weight",
    ];
    check_classifier::<Vgg>(&config.classes(5).batch_norm(), 32, &weights);
}

#[test]
fn resnets_shrink_through_residuals() {
    let weights =
        ["conv1.weight", "layer1.0.conv2.weight", "layer2.0.downsample.0.weight", "fc.weight"];
    let config = ResNetConfig::new(false, [1, 2, 1, 1]).classes(5);
    check_classifier::<ResNet>(&config, 32, &weights);
}

#[test]
fn resnext_shrinks_by_whole_groups() {
    let config = ResNetConfig { layers: [1; 4], ..ResNetConfig::resnext50_32x4d() };
    check_classifier::<ResNet>(&config.classes(5), 32, &["layer1.0.conv2.weight"]);
}

#[test]
fn densenet_shrinks_through_concatenations() {
    let config = DenseNetConfig {
        growth: 8,
        layers: [2, 1, 2, 1],
        stem: 12,
        ..DenseNetConfig::densenet121()
    };
    let weights = ["features.conv0.weight", "classifier.weight"];
    check_classifier::<DenseNet>(&config.classes(5), 32, &weights);
}

#[test]
fn depthwise_convolutions_and_squeezes_shrink() {
    let weights = ["features.1.conv.0.0.weight", "features.1.conv.1.weight"];
    let config = MobileNetV2Config { width: 0.25, ..MobileNetV2Config::new() };
    check_classifier::<MobileNetV2>(&config.classes(5), 32, &weights);
    let config = EfficientNetConfig::scaled(0.25, 0.25, 0.0).classes(5);
    check_classifier::<EfficientNet>(&config, 32, &["features.1.0.block.1.fc1.weight"]);
}

#[test]
fn transformers_for_pictures_shrink_inside_of_their_blocks() {
    let config = ConvNeXtConfig {
        channels: [8, 16, 24, 32],
        blocks: [1, 2, 1, 1],
        ..ConvNeXtConfig::tiny().classes(5)
    };
    check_classifier::<ConvNeXt>(&config, 32, &["features.1.0.block.3.weight"]);
    let config = VisionTransformerConfig {
        picture: 32,
        patch: 8,
        layers: 2,
        heads: 4,
        features: 32,
        hidden: 64,
        ..VisionTransformerConfig::b_16().classes(5)
    };
    let weights = [
        "encoder.layers.encoder_layer_0.self_attention.in_proj_weight",
        "encoder.layers.encoder_layer_1.mlp.0.weight",
    ];
    check_classifier::<VisionTransformer>(&config, 32, &weights);
}

fn tokens() -> Tensor {
    Tensor::new([[5, 3, 9, 1], [2, 7, 7, 4]], &device()).unwrap()
}

#[test]
fn bert_loses_heads_and_features() {
    let config = BertConfig {
        vocab_size: 20,
        hidden_size: 32,
        num_hidden_layers: 2,
        num_attention_heads: 4,
        intermediate_size: 48,
        num_labels: Some(3),
        ..BertConfig::default()
    };
    let init = &mut Init::new(Key::new(0), &device());
    let model = BertForSequenceClassification::new(&config, init).unwrap();
    let tokens = tokens();
    let mask = Tensor::new([[1, 1, 1, 0], [1, 1, 1, 1]], &device()).unwrap();
    let input = BertInput::new(&tokens).mask(&mask);
    let weights = [
        "bert.encoder.layer.0.attention.self.query.weight",
        "bert.encoder.layer.1.attention.output.dense.weight",
        "bert.encoder.layer.0.intermediate.dense.bias",
    ];
    check(&model, &[&tokens, &mask], &weights, |model, ctx| model.forward(&input, ctx));
}

#[test]
fn language_models_lose_heads_and_still_generate() {
    let config = Gpt2Config {
        vocab_size: 20,
        n_positions: 16,
        n_embd: 32,
        n_layer: 2,
        n_head: 4,
        ..Gpt2Config::default()
    };
    let init = &mut Init::new(Key::new(0), &device());
    let gpt2 = Gpt2ForCausalLanguageModel::new(&config, init).unwrap();
    let tokens = tokens();
    let input = CausalInput::new(&tokens);
    let weights = ["transformer.h.0.attn.c_attn.weight", "transformer.h.1.mlp.c_fc.weight"];
    check(&gpt2, &[&tokens], &weights, |model, ctx| model.forward(&input, ctx).logits);

    let config = LlamaConfig {
        vocab_size: 20,
        hidden_size: 32,
        intermediate_size: 40,
        num_hidden_layers: 2,
        num_attention_heads: 8,
        num_key_value_heads: Some(4),
        ..LlamaConfig::default()
    };
    let llama = LlamaForCausalLanguageModel::new(&config, init).unwrap();
    let weights = ["model.layers.0.self_attn.k_proj.weight", "model.layers.1.mlp.up_proj.weight"];
    check(&llama, &[&tokens], &weights, |model, ctx| model.forward(&input, ctx).logits);

    let mut smaller = llama.clone();
    let pruning = StructuredPruning::to(Target::Parameters(0.8)).unwrap();
    let pruning = pruning.importance(Importance::Random(Key::new(1)));
    let run =
        |model: &LlamaForCausalLanguageModel, ctx: &mut Context| model.forward(&input, ctx).logits;
    pruning.prune(&mut smaller, &[&tokens], run).unwrap();
    let mut ctx = Context::eval();
    let mut cache = smaller.cache(2, 8).unwrap();
    let hidden = smaller.hidden(&tokens, &mut cache, &mut ctx).unwrap();
    assert_close(&smaller.logits(&hidden), &run(&smaller, &mut ctx));
}

#[test]
fn heads_that_share_a_table_of_distances_go_together() {
    let config = T5Config {
        vocab_size: 20,
        d_model: 32,
        d_kv: 8,
        d_ff: 40,
        num_layers: 2,
        num_decoder_layers: Some(2),
        num_heads: 4,
        ..T5Config::default()
    };
    let init = &mut Init::new(Key::new(0), &device());
    let model = T5ForConditionalGeneration::new(&config, init).unwrap();
    let tokens = tokens();
    let decoded = Tensor::new([[1, 4, 2], [0, 6, 3]], &device()).unwrap();
    let input = T5Input::new(&tokens, &decoded);
    let named = |end: &str| {
        let names = model.parameters().into_iter().map(|(name, _)| name);
        names.filter(|name| name.ends_with(end)).collect::<Vec<String>>()
    };
    let bias = named("relative_attention_bias.weight");
    let queries = named("SelfAttention.q.weight");
    assert_eq!((bias.len(), queries.len()), (2, 4));
    let weights: Vec<&str> = bias.iter().chain(&queries).map(String::as_str).collect();
    check(&model, &[&tokens, &decoded], &weights, |model, ctx| model.forward(&input, ctx).logits);
}

#[test]
fn layers_of_all_kinds_shrink() {
    let device = device();
    let init = &mut Init::new(Key::new(0), &device);
    let same = || Conv2dOptions::default().padding(1);
    let model = Sequential::new()
        .with(Conv2d::new(3, 16, [3, 3], same(), init))
        .with(GroupNorm::new(4, 16, init))
        .with(Activation::Relu)
        .with(Conv2d::new(16, 32, [3, 3], same().groups(4), init))
        .with(BatchNorm::new(32, init).without_affine())
        .with(Activation::Sigmoid)
        .with(ConvTranspose2d::new(32, 6, [2, 2], Default::default(), init))
        .with(Flatten)
        .with(Linear::new(6 * 7 * 7, 10, init));
    let x = picture(6);
    let weights = ["0.weight", "1.weight", "3.weight", "4.running_mean", "6.weight", "8.weight"];
    check(&model, &[&x], &weights, |model, ctx| model.forward(&x, ctx));

    let table = Embedding::new(20, 12, init);
    let model = Sequential::new().with(table).with(Linear::new(12, 4, init));
    let tokens = tokens();
    check(&model, &[&tokens], &["0.weight"], |model, ctx| model.forward(&tokens, ctx));

    let attention = MultiHeadAttention::new(32, 4, init).with_bias_key(init).with_zero_key();
    let x = Tensor::uniform(Key::new(3), [2, 5, 32], -1.0, 1.0, &device);
    let weights = ["in_proj_weight", "in_proj_bias", "bias_k", "out_proj.weight"];
    check(&attention, &[&x], &weights, |model, ctx| model.forward(&x, ctx));
}

/// Attention whose heads are a number of its own.
#[derive(Module, Clone)]
struct Stubborn {
    query: Linear,
    output: Linear,
    heads: usize,
}

impl Layer for Stubborn {
    fn forward(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
        let split = self.query.forward(x, ctx);
        let [batch, length, size] = [0, 1, 2].map(|axis| split.size(axis));
        let split = split.reshape([batch, length, self.heads, size / self.heads]).transpose(1, 2);
        let mixed = Tensor::attention(&split, &split, &split, &Default::default());
        self.output.forward(&mixed.transpose(1, 2).flatten(2, 3), ctx)
    }
}

#[test]
fn what_cannot_shrink_is_named_and_left_as_it_was() {
    let device = device();
    let init = &mut Init::new(Key::new(0), &device);
    let stubborn =
        Stubborn { query: Linear::new(8, 32, init), output: Linear::new(32, 8, init), heads: 4 };
    let x = Tensor::uniform(Key::new(3), [2, 5, 8], -1.0, 1.0, &device);
    let run = |model: &Stubborn, ctx: &mut Context| model.forward(&x, ctx);
    let mut model = stubborn.clone();
    let pruning = StructuredPruning::to(Target::Parameters(0.6)).unwrap();
    let error = pruning.prune(&mut model, &[&x], run).unwrap_err().to_string();
    assert!(error.contains("a layer holds a size of its own"), "{error}");
    assert_eq!(
        values(&run(&model, &mut Context::eval())),
        values(&run(&stubborn, &mut Context::eval()))
    );
    // Three heads of three features in four parts: the layer itself panics.
    let mut odd =
        Stubborn { query: Linear::new(8, 12, init), output: Linear::new(12, 8, init), heads: 4 };
    let error = pruning.prune(&mut odd, &[&x], run).unwrap_err().to_string();
    assert!(error.contains("a layer holds a size of its own"), "{error}");
    assert_eq!(odd.query.outputs(), 12);
    let kept = pruning.keep(|name| name.starts_with("query"));
    let error = kept.prune(&mut model, &[&x], run).unwrap_err().to_string();
    assert!(error.contains("no less than 1.000"), "{error}");

    for part in [0.0, 1.0, -0.5, f64::NAN] {
        assert!(StructuredPruning::to(Target::Flops(part)).is_err());
    }

    // A recurrent layer stays, and says why; dropout that is on keeps what it meets.
    let recurrent = Gru::new(8, 6, Default::default(), init);
    let structure = Structure::of(&recurrent, &[&x], |model, ctx| model.forward(&x, ctx));
    assert!(structure.groups().is_empty());
    assert!(structure.kept().any(|kept| kept.reason.contains("loop")), "{structure:?}");
    let model = Sequential::new()
        .with(Linear::new(8, 6, init))
        .with(Dropout::new(0.5))
        .with(Linear::new(6, 2, init));
    let learning =
        |model: &Sequential, _: &mut Context| model.forward(&x, &mut Context::train(Key::new(0)));
    assert!(Structure::of(&model, &[&x], learning).groups().is_empty());
    assert_eq!(Structure::of(&model, &[&x], |model, ctx| model.forward(&x, ctx)).groups().len(), 1);
}

#[test]
fn importance_finds_what_is_not_needed() {
    let device = device();
    let init = &mut Init::new(Key::new(0), &device);
    let mut model = Sequential::new()
        .with(Conv2d::new(3, 6, [1, 1], Default::default(), init))
        .with(BatchNorm::new(6, init))
        .with(Activation::Relu)
        .with(Conv2d::new(6, 2, [1, 1], Default::default(), init));
    // The norm says that channels 1 and 4 are small.
    model.for_each_parameter(|name, parameter| {
        if name == "1.weight" {
            let scale = [1.0f32, 0.01, 2.0, -1.0, 0.02, 1.5];
            parameter.set(&Tensor::from_slice(&scale, [6], parameter.device()).unwrap());
        }
    });
    let x = picture(4);
    let run = |model: &Sequential, ctx: &mut Context| model.forward(&x, ctx);
    let structure = Structure::of(&model, &[&x], run);
    let loss = run(&model, &mut Context::eval()).square().mean(..);
    let slopes = gradients(&loss, &model);
    for importance in [Importance::NormScale, Importance::Taylor(&slopes)] {
        let scores = structure.scores(&model, &importance).unwrap();
        let mut order: Vec<usize> = (0..6).collect();
        order.sort_by(|&left, &right| scores[0][left].total_cmp(&scores[0][right]));
        order.truncate(2);
        order.sort_unstable();
        assert_eq!(order, [1, 4], "{importance:?}");
    }
    let none = gradloom_nn::Gradients::default();
    let error = structure.scores(&model, &Importance::Taylor(&none)).unwrap_err().to_string();
    assert!(error.contains("gradient for 0.weight"), "{error}");

    let mut uniform = model.clone();
    let pruning = StructuredPruning::to(Target::Parameters(0.7)).unwrap().scope(Scope::Uniform);
    let report = pruning
        .importance(Importance::NormScale)
        .multiple_of(2)
        .prune(&mut uniform, &[&x], run)
        .unwrap();
    assert_eq!(report.groups[0].1[1] % 2, 0);
    let left = uniform.parameter("1.weight").unwrap().to_vec::<f32>().unwrap();
    assert!(!left.contains(&0.01) && !left.contains(&0.02), "{left:?}");
}

//! Options of layers, and layers of layers.

use gradloom_nn::functional::{BagMode, EmbeddingBagOptions};
use gradloom_nn::layers::{
    Activation, AlphaDropout, AttentionMask, BatchNorm, Conv1d, Conv2d, Conv3d, DropoutChannels,
    Embedding, EmbeddingBag, FeatureAlphaDropout, GroupNorm, InstanceNorm, LayerNorm,
    MultiHeadAttention, Prelu, TransformerDecoder, TransformerEncoder, TransformerOptions,
};
use gradloom_nn::optimizers::{Grouped, Muon, Sgd};
use gradloom_nn::{Context, Gradients, Init, Layer, Optimizer, gradients};
use gradloom_tensor::ops::convolution::{Conv1dOptions, Conv2dOptions, Conv3dOptions};
use gradloom_tensor::ops::padding::PadMode;
use gradloom_tensor::ops::per_axis::Padding;
use gradloom_tensor::{DType, Key, Tensor};

use crate::{Golden, assert_close, check, check_layer};

#[test]
fn options_of_norms_are_pytorchs() {
    Golden::each(|golden| {
        let init = &mut golden.init();
        let batch = |init: &mut _| BatchNorm::new(3, init);
        check_layer(golden, "batch_norm_plain", batch(init).without_affine(), true);
        check_layer(golden, "batch_norm_cumulative", batch(init).cumulative(init), true);
        let untracked = batch(init).without_running_statistics();
        check_layer(golden, "batch_norm_untracked", untracked, false);
        check_layer(golden, "instance_norm", InstanceNorm::new(3), true);
        let affine = InstanceNorm::new(3).with_affine(init);
        check_layer(golden, "instance_norm_affine", affine.clone(), true);
        let tracked = affine.with_running_statistics(0.2, init);
        check_layer(golden, "instance_norm_tracked", tracked.clone(), true);
        check_layer(golden, "instance_norm_eval", tracked, false);
        let plain = LayerNorm::new([2, 5], init).without_affine();
        check_layer(golden, "layer_norm_plain", plain, true);
        check_layer(golden, "group_norm_plain", GroupNorm::new(2, 6, init).without_affine(), true);
    });
}

#[test]
fn paddings_and_slopes_are_pytorchs() {
    Golden::each(|golden| {
        let init = &mut golden.init();
        check_layer(golden, "prelu", Prelu::new(3, init), true);
        check_layer(golden, "prelu_one", Prelu::new(1, init), true);
        let options = Conv2dOptions::default().padding([1, 2]);
        let layer = Conv2d::new(2, 3, 3, options, init).padding_mode(PadMode::Reflect);
        check_layer(golden, "conv_reflect", layer, true);
        let options = Conv1dOptions::default().padding(Padding::same(4, 1));
        let layer = Conv1d::new(2, 3, 4, options, init).padding_mode(PadMode::Circular);
        check_layer(golden, "conv_circular", layer, true);
        let options = Conv3dOptions::default().padding(1);
        let layer = Conv3d::new(2, 2, 2, options, init).padding_mode(PadMode::Replicate);
        check_layer(golden, "conv_replicate", layer, true);
    });
}

#[test]
fn rows_that_are_padding_or_short_are_pytorchs() {
    Golden::each(|golden| {
        let table = |init: &mut _| Embedding::new(5, 3, init);
        let init = &mut golden.init();
        check_layer(golden, "embedding_padding", table(init).padding(1), true);
        assert_eq!(table(init).padding(1).weight.index(0, 1).abs().max(..).item().unwrap(), 0.0);
        // PyTorch shortens the rows in the table itself.
        let mut short = table(init).max_norm(0.5);
        short.weight.set(&golden.get("embedding_short.model.weight"));
        let y = short.forward(&golden.get("embedding_short.x"), &mut Context::eval());
        assert_close("embedding_short", &y, &golden.get("embedding_short.y"));
        let total = (y * golden.get("embedding_short.cotangent")).sum(..);
        let gradients = gradients(&total, &short);
        let expected = golden.get("embedding_short.grad.weight");
        assert_close("embedding_short", gradients.get("weight").unwrap(), &expected);
    });
}

#[test]
fn bags_of_rows_are_pytorchs() {
    Golden::each(|golden| {
        let init = &mut golden.init();
        let options = EmbeddingBagOptions { mode: BagMode::Max, ..Default::default() };
        let options = EmbeddingBagOptions { padding_index: Some(1), ..options };
        check_layer(golden, "embedding_bag", EmbeddingBag::new(5, 3, options, init), true);
        let get = |role: &str| golden.get(&format!("embedding_bag_offsets.{role}"));
        let (x, factors, offsets) = (get("x"), get("x2"), get("offsets"));
        let options = EmbeddingBagOptions { mode: BagMode::Sum, ..Default::default() };
        let layer = EmbeddingBag::new(5, 3, options, init);
        check(golden, "embedding_bag_offsets", layer, Context::eval(), |layer, _| {
            vec![layer.run(&x, &offsets, Some(&factors))]
        });
    });
}

#[test]
fn dropout_of_channels_leaves_out_whole_ones() {
    Golden::each(|golden| {
        let x = golden.zero() + Tensor::ones([40, 20, 3], golden.dtype, &golden.device);
        let layers: [Box<dyn Layer>; 2] =
            [Box::new(DropoutChannels::new(0.25)), Box::new(FeatureAlphaDropout::new(0.25))];
        for layer in layers {
            let y = layer.forward(&x, &mut Context::train(Key::new(3)));
            let spread = (y.max(2) - y.min(2)).max(..).item().unwrap();
            assert_eq!(spread, 0.0);
            let left_out = y.index(2, 0).lt(0.5).cast(golden.dtype).mean(..).item().unwrap();
            // Of 800 channels; five deviations.
            assert!((left_out - 0.25).abs() < 0.077, "{left_out}");
            assert_close("eval", &layer.forward(&x, &mut Context::eval()), &x);
        }
        let x = Tensor::normal(Key::new(1), [100_000], 0.0, 1.0, &golden.device);
        let y = AlphaDropout::new(0.4).forward(&x, &mut Context::train(Key::new(2)));
        let [mean, variance] = [y.mean(..), y.var(.., 1)].map(|x| x.item().unwrap());
        assert!(mean.abs() < 0.02 && (variance - 1.0).abs() < 0.03, "{mean}, {variance}");
    });
}

#[test]
fn what_does_not_fit_is_named() {
    let device = gradloom_testkit::reference::device();
    let init = &mut Init::new(Key::new(0), &device);
    let message = |run: &mut dyn FnMut()| {
        let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).unwrap_err();
        let text = panic.downcast_ref::<String>().cloned();
        text.unwrap_or_else(|| (*panic.downcast_ref::<&str>().unwrap()).to_owned())
    };
    let x = Tensor::ones([2, 3, 1], DType::F32, &device);
    let one = message(&mut || {
        let _ = InstanceNorm::new(3).forward(&x, &mut Context::train(Key::new(0)));
    });
    assert!(one.contains("instance_norm: needs more than one value"), "{one}");
    let flat = message(&mut || {
        let _ = InstanceNorm::new(3).forward(&x.squeeze(2), &mut Context::eval());
    });
    assert!(flat.contains("instance_norm: needs [N, 3, L, ..], got shape [2, 3]"), "{flat}");
    let layer = Conv1d::new(3, 3, 3, Conv1dOptions::default().padding(1), init);
    let reflected = message(&mut || {
        let _ = layer.clone().padding_mode(PadMode::Reflect).forward(&x, &mut Context::eval());
    });
    assert!(reflected.contains("pad_mode: [1, 1] around axis 2"), "{reflected}");
    let embedding = message(&mut || {
        let _ = Embedding::new(5, 3, &mut Init::new(Key::new(0), &device)).padding(5);
    });
    assert!(embedding.contains("embedding: padding 5 of 5 rows"), "{embedding}");
    let muon = message(&mut || {
        let mut model = Prelu::new(1, &mut Init::new(Key::new(0), &device));
        let gradient = ("weight".to_owned(), model.weight.ones_like());
        Muon::new(0.1).step(&Gradients::from_iter([gradient]), &mut model);
    });
    assert!(muon.contains("muon: a weight of shape [1] is no matrix"), "{muon}");
    let words = Tensor::ones([2, 4, 8], DType::F32, &device);
    let added = MultiHeadAttention::new(8, 2, init).with_zero_key();
    let integers = message(&mut || {
        let mask = Some(Tensor::ones([4, 4], DType::I32, &device));
        let mask = AttentionMask { causal: true, mask };
        let _ = added.self_attention(&words, &mask, &mut Context::eval());
    });
    assert!(integers.contains("attention") && integers.contains("i32"), "{integers}");
    // One number is a mask of all.
    let mask = AttentionMask { causal: true, mask: Some(Tensor::scalar(0.0, DType::F32, &device)) };
    let y = added.self_attention(&words, &mask, &mut Context::eval());
    let plain = added.self_attention(&words, &AttentionMask::causal(), &mut Context::eval());
    assert_close("a mask of one number", &y, &plain);
    let group = message(&mut || {
        let _ = Grouped::new(Sgd::new(0.0)).group(|_, _| true, Sgd::new(0.1));
    });
    assert!(group.contains("learning rate that is not zero"), "{group}");
}

fn inputs<const N: usize>(golden: &Golden, case: &str) -> [Tensor; N] {
    std::array::from_fn(|index| {
        let number = if index == 0 { String::new() } else { (index + 1).to_string() };
        golden.get(&format!("{case}.x{number}"))
    })
}

#[test]
fn options_of_attention_are_pytorchs() {
    Golden::each(|golden| {
        let init = &mut golden.init();
        let [query, key, value] = inputs(golden, "attention_features");
        let layer = MultiHeadAttention::with_features(8, [5, 6], 2, init);
        check(golden, "attention_features", layer, Context::eval(), |layer, ctx| {
            let mask = AttentionMask::none();
            let (y, weights) = layer.attention_with_weights(&query, &key, &value, &mask, ctx);
            vec![y, weights]
        });
        let [query, key, value] = inputs(golden, "attention_added");
        let layer = MultiHeadAttention::new(8, 2, init).with_bias_key(init).with_zero_key();
        // The mask of the file: a query sees keys up to the one after its own position.
        let mask = AttentionMask::causal();
        check(golden, "attention_added", layer.clone(), Context::eval(), |layer, ctx| {
            let (y, weights) = layer.attention_with_weights(&query, &key, &value, &mask, ctx);
            let fused = layer.cross_attention(&query, &key, &value, &mask, ctx);
            assert_close("attention_added", &fused, &y);
            vec![y, weights]
        });
        let place = |axis| Tensor::iota([3, 4], axis, &golden.device);
        let seen = place(1).le(place(0) + 1);
        let added = seen.select(golden.zero(), f64::NEG_INFINITY);
        for mask in [seen.clone(), added] {
            for causal in [false, true] {
                let mask = AttentionMask { causal, mask: Some(mask.clone()) };
                check(golden, "attention_added", layer.clone(), Context::eval(), |layer, ctx| {
                    let (y, weights) =
                        layer.attention_with_weights(&query, &key, &value, &mask, ctx);
                    vec![y, weights]
                });
            }
        }
    });
}

#[test]
fn transformers_are_pytorchs() {
    Golden::each(|golden| {
        let init = &mut golden.init();
        let mask = AttentionMask::causal();
        for (case, norm_first) in [("encoder", false), ("encoder_first", true)] {
            let case = &format!("transformer_{case}");
            let options = TransformerOptions {
                feed_forward: 12,
                dropout: 0.0,
                activation: Activation::Gelu,
                norm_first,
                ..TransformerOptions::default()
            };
            let [x] = inputs(golden, case);
            let encoder = TransformerEncoder::new(2, 8, 2, options, init);
            check(golden, case, encoder, Context::eval(), |encoder, ctx| {
                vec![encoder.run(&x, &mask, ctx)]
            });
        }
        for (case, norm_first) in [("decoder", false), ("decoder_first", true)] {
            let case = &format!("transformer_{case}");
            let options = TransformerOptions {
                feed_forward: 12,
                dropout: 0.0,
                bias: false,
                norm_first,
                ..TransformerOptions::default()
            };
            let [x, memory] = inputs(golden, case);
            let decoder = TransformerDecoder::new(2, 8, 2, options, init).without_norm();
            check(golden, case, decoder, Context::eval(), |decoder, ctx| {
                vec![decoder.run(&x, &memory, [&mask, &AttentionMask::none()], ctx)]
            });
        }
    });
}

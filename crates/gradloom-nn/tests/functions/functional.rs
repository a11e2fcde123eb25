//! Functions of layers: what random ones keep on average, and what PyTorch's samples do not show.

use gradloom_autodiff::grad;
use gradloom_nn::functional::{
    self, BagMode, DotProductOptions, EmbeddingBagOptions, MultiHeadOptions, embedding_bag,
    pairwise_distance,
};
use gradloom_tensor::{DType, Key, Tensor};

use crate::losses::{assert_close, assert_derivatives, cpu, f64s, i32s, refused};

/// Mean and variance of elements.
fn moments(x: &Tensor) -> (f64, f64) {
    let of = |x: Tensor| x.item().expect("a number");
    (of(x.mean(..)), of(x.var(.., 0)))
}

#[test]
fn dropout_keeps_the_mean_and_alpha_dropout_the_variance_too() {
    let x = Tensor::normal(Key::new(3), [200, 100], 0.0, 1.0, &cpu()) + 2.0;
    let (mean, _) = moments(&functional::dropout(&x, 0.4, Some(Key::new(5))));
    assert!((mean - 2.0).abs() < 0.05, "the mean is {mean}, not 2");
    let centred = &x - 2.0;
    let (mean, variance) = moments(&functional::alpha_dropout(&centred, 0.3, Some(Key::new(5))));
    assert!(mean.abs() < 0.03 && (variance - 1.0).abs() < 0.05, "{mean} and {variance}");
}

#[test]
fn channels_go_as_a_whole() {
    let x = Tensor::ones([6, 50, 4, 3], DType::F32, &cpu());
    let kept = functional::dropout_channels(&x, 0.5, Some(Key::new(1)));
    let (low, high) = (kept.min([2, 3]), kept.max([2, 3]));
    assert_eq!(low.to_vec::<f32>().expect("values"), high.to_vec::<f32>().expect("values"));
    let (mean, _) = moments(&kept);
    assert!((mean - 1.0).abs() < 0.2, "{mean}");
    let alpha = functional::feature_alpha_dropout(&x, 0.5, Some(Key::new(1)));
    let different = alpha.max([2, 3]).ne(alpha.min([2, 3])).any(..);
    assert!(!different.to_vec::<bool>().expect("a truth value")[0]);
}

#[test]
fn without_a_key_nothing_is_drawn() {
    let x = f64s(&[3, 4]);
    for y in [
        functional::dropout(&x, 0.5, None),
        functional::alpha_dropout(&x, 0.5, None),
        functional::feature_alpha_dropout(&x, 0.5, None),
    ] {
        assert_eq!(y.id(), x.id());
    }
    let slopes = grad(&functional::rrelu(&x, 0.1, 0.3, None).sum(..), &[&x]).remove(0);
    let slopes = slopes.to_vec::<f64>().expect("slopes");
    assert!(slopes.iter().all(|slope| [0.2, 1.0].contains(slope)), "{slopes:?}");
    let drawn = functional::rrelu(&x.neg().relu().neg(), 0.1, 0.3, Some(Key::new(2)));
    let slopes = grad(&drawn.sum(..), &[&x]).remove(0).to_vec::<f64>().expect("slopes");
    assert!(slopes.iter().all(|slope| (0.0..=0.3).contains(slope)), "{slopes:?}");
}

#[test]
fn a_bag_is_the_mean_of_its_rows() {
    let table = f64s(&[5, 3]);
    let indices = i32s(&[0, 4, 2, 2, 1], &[5]);
    let of = |mode, padding_index| {
        let options = EmbeddingBagOptions {
            mode,
            offsets: Some(i32s(&[0, 2, 2], &[3])),
            padding_index,
            ..Default::default()
        };
        embedding_bag(&table, &indices, &options)
    };
    let row = |at: isize| table.index(0, at);
    let values = |rows: [Tensor; 3]| Tensor::stack(&rows, 0).to_vec::<f64>().expect("values");
    let zero = row(0).zeros_like();
    let means = values([(row(0) + row(4)) * 0.5, zero.clone(), (row(2) * 2.0 + row(1)) / 3.0]);
    assert_close(&of(BagMode::Mean, None), &means, 1e-12);
    let padded = values([(row(0) + row(4)) * 0.5, zero.clone(), row(1)]);
    assert_close(&of(BagMode::Mean, Some(2)), &padded, 1e-12);
    let largest = values([row(0).maximum(row(4)), zero, row(2).maximum(row(1))]);
    assert_close(&of(BagMode::Max, None), &largest, 0.0);
    refused("embedding_bag: indices [5] without offsets", || {
        embedding_bag(&table, &indices, &EmbeddingBagOptions::default())
    });
}

#[test]
fn queries_that_see_nothing_get_zeros() {
    let [q, k, v] = [f64s(&[1, 2, 3, 4]), f64s(&[1, 2, 5, 4]), f64s(&[1, 2, 5, 2])];
    let mask = Tensor::iota([3, 5], 0, &cpu()).ne(1);
    let options = DotProductOptions { mask: Some(mask), ..Default::default() };
    let masked = functional::scaled_dot_product_attention(&q, &k, &v, &options);
    assert_close(&masked.index(2, 1), &[0.0; 4], 0.0);
    let plain = functional::scaled_dot_product_attention(&q, &k, &v, &DotProductOptions::default());
    assert_close(&masked.index(2, 2), &plain.index(2, 2).to_vec::<f64>().expect("values"), 1e-12);
}

#[test]
fn causal_queries_see_keys_up_to_their_place() {
    let [q, k, v] = [f64s(&[2, 3, 4]), f64s(&[2, 5, 4]), f64s(&[2, 5, 2])];
    let options = DotProductOptions { causal: true, ..Default::default() };
    let causal = functional::scaled_dot_product_attention(&q, &k, &v, &options);
    assert_close(&causal.index(1, 0), &v.index(1, 0).to_vec::<f64>().expect("values"), 1e-12);
    let scores = (q.matmul(&k.transpose(-1, -2)) * 0.5).narrow(1, 1, 1).narrow(2, 0, 2);
    let sums = functional::attention_logsumexp(&q, &k, &options);
    let expected = scores.exp().sum(-1).log().to_vec::<f64>().expect("values");
    assert_close(&sums.narrow(1, 1, 1), &expected, 1e-12);
    assert_derivatives(&q, |q| {
        functional::scaled_dot_product_attention(q, &k, &v, &options).square().sum(..)
    });
}

#[test]
fn shared_heads_are_repeated_heads() {
    let [q, k, v] = [f64s(&[1, 4, 3, 2]), f64s(&[1, 2, 5, 2]), f64s(&[1, 2, 5, 2])];
    let options = DotProductOptions { grouped: true, ..Default::default() };
    let shared = functional::scaled_dot_product_attention(&q, &k, &v, &options);
    let [k, v] = [k, v].map(|x| x.repeat_interleave(2, 1));
    let whole = functional::scaled_dot_product_attention(&q, &k, &v, &DotProductOptions::default());
    assert_close(&shared, &whole.to_vec::<f64>().expect("values"), 1e-12);
}

#[test]
fn several_heads_are_projected_attention() {
    let (query, weight, out) = (f64s(&[3, 2, 4]), f64s(&[12, 4]), f64s(&[4, 4]));
    let options = MultiHeadOptions {
        heads: 2,
        in_proj_weight: weight.clone(),
        in_proj_bias: None,
        out_proj_weight: out.clone(),
        out_proj_bias: None,
        bias_key_value: None,
        add_zero: true,
        mask: None,
        dropout: 0.0,
        key: None,
    };
    let (result, weights) = functional::multi_head_attention(&query, &query, &query, &options);
    assert_eq!(weights.shape().dims(), [2, 3, 4]);
    let head = |x: &Tensor, part: usize, head: usize| {
        let rows = weight.narrow(0, 4 * part + 2 * head, 2);
        x.matmul(&rows.t()).transpose(0, 1)
    };
    let heads = [0, 1].map(|own| {
        let [q, k, v] = [0, 1, 2].map(|part| head(&query, part, own));
        let [k, v] = [k, v].map(|x| x.pad(&[(0, 0), (0, 1), (0, 0)]));
        let scores = q.matmul(&k.transpose(1, 2)) * 0.5f64.sqrt();
        scores.softmax(-1).matmul(&v)
    });
    let expected = Tensor::concat(&heads, 2).transpose(0, 1).matmul(&out.t());
    assert_close(&result, &expected.to_vec::<f64>().expect("values"), 1e-12);
}

#[test]
fn statistics_are_those_of_the_channels() {
    let x = f64s(&[3, 2, 4]);
    let found = functional::batch_norm(&x, None, None, None, 1e-5);
    let mean = x.mean([0, 2]).to_vec::<f64>().expect("means");
    assert_close(&found.mean, &mean, 1e-12);
    let running = (f64s(&[2]), f64s(&[2]).abs());
    let own = functional::batch_norm(&x, Some((&running.0, &running.1)), None, None, 0.1);
    let by_hand =
        (&x - running.0.reshape([1, 2, 1])) * (running.1.reshape([1, 2, 1]) + 0.1).rsqrt();
    assert_close(&own.output, &by_hand.to_vec::<f64>().expect("values"), 1e-12);
    refused("batch_norm: [3] for 2 channels", || {
        functional::batch_norm(&x, None, Some(&f64s(&[3])), None, 1e-5).output
    });
    refused("instance_norm: needs [N, C, ..]", || {
        functional::instance_norm(&f64s(&[2, 3]), None, None, 1e-5)
    });
}

#[test]
fn a_distance_of_nothing_has_no_slope() {
    let (x, y) = (f64s(&[2, 3]), f64s(&[2, 3]) + 1.0);
    for power in [2.0, 3.0] {
        let distance = pairwise_distance(&x, &x.detach(), power, 0.0);
        assert_close(&grad(&distance.sum(..), &[&x])[0], &[0.0; 6], 0.0);
    }
    // How many differ, and the least difference.
    assert_close(&pairwise_distance(&x, &x, 0.0, 0.0), &[0.0; 2], 0.0);
    assert_close(&pairwise_distance(&x, &y, 0.0, 0.0), &[3.0; 2], 0.0);
    assert_close(&pairwise_distance(&x, &y, f64::NEG_INFINITY, 0.0), &[1.0; 2], 1e-12);
}

#[test]
#[should_panic(expected = "embedding_bag: offsets are integers, and one at least with the last")]
fn bags_without_an_offset_have_no_last_one() {
    let none = i32s(&[], &[0]);
    let offsets = Some(none.clone());
    let options = EmbeddingBagOptions { offsets, include_last_offset: true, ..Default::default() };
    let _ = embedding_bag(&f64s(&[5, 3]), &none, &options);
}

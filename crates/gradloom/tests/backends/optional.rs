//! Inputs that may be left out: given in the wrong dtype or shape they are converted or refused by the
//! name of the op, and never read as something else.

use std::panic::{AssertUnwindSafe, catch_unwind};

use gradloom::nn::layers::{AttentionMask, MultiHeadAttention};
use gradloom::nn::{Context, Gradients, Init};
use gradloom::prelude::*;
use gradloom_tensor::ops::attention::AttentionOptions;
use gradloom_testkit::check::elements;

use crate::devices;

/// What a call that must not succeed says.
fn refusal<R>(call: impl FnOnce() -> R) -> String {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(_) => panic!("it was accepted"),
        Err(panic) => *panic.downcast::<String>().expect("a message"),
    }
}

/// Queries, keys and values of two heads, `[1, 2, 3, 4]` or without the first axis.
fn operands(dtype: DType, rank: usize, device: &Device) -> [Tensor; 3] {
    [0.3, -0.7, 1.1].map(|factor| {
        let x = (Tensor::arange(24, device).cast(DType::F32) * factor).sin();
        let shape = [1, 2, 3, 4];
        x.reshape(Shape::new(&shape[4 - rank..])).cast(dtype)
    })
}

fn close(what: &str, left: &Tensor, right: &Tensor) {
    let (left, right) = (elements(left).expect(what), elements(right).expect(what));
    for (left, right) in left.iter().zip(&right) {
        assert!((left - right).abs() < 1e-2, "{what}: {left} and {right}");
    }
}

#[test]
fn attention_masks_of_other_dtypes_are_converted_or_refused() {
    for device in devices() {
        let f64s = device.capabilities().host;
        let wide = if f64s { &[DType::F64][..] } else { &[] };
        let floats = [&[DType::F32, DType::F16, DType::BF16][..], wide].concat();
        for (&query, rank) in floats.iter().flat_map(|query| [(query, 4), (query, 3)]) {
            let [q, k, v] = operands(query, rank, &device);
            let attend = |mask: &Tensor| {
                Tensor::attention(&q, &k, &v, &AttentionOptions::default().mask(mask))
            };
            let keep = Tensor::new([true, false, true], &device).unwrap();
            let expected = attend(&keep);
            for &dtype in &floats {
                let added = keep.select(keep.zeros_like().cast(dtype), f64::NEG_INFINITY);
                let added = added.cast(dtype);
                let what = format!("{dtype} mask of {query} on {}", device.name());
                if dtype == DType::F64 && query != DType::F64 {
                    let message = refusal(|| attend(&added));
                    assert!(message.contains("cast(DType::F32)"), "{message}");
                } else {
                    close(&what, &attend(&added), &expected);
                }
            }
            for dtype in [DType::I32, DType::U8, DType::U32, DType::I8] {
                let message = refusal(|| attend(&keep.cast(dtype)));
                assert!(
                    message.starts_with(&format!("attention: the mask is {dtype}"))
                        && message.contains("ne(0)"),
                    "{message}"
                );
            }
        }
    }
}

#[test]
fn keys_are_kept_by_bool_and_integers() {
    for device in devices() {
        let layer = MultiHeadAttention::new(4, 2, &mut Init::new(Key::new(0), &device));
        let x = (Tensor::arange(24, &device).cast(DType::F32) * 0.3).sin().reshape([2, 3, 4]);
        let run = |mask: &AttentionMask| layer.self_attention(&x, mask, &mut Context::eval());
        let keep = Tensor::new([[true, true, false], [true, false, false]], &device).unwrap();
        let expected = run(&AttentionMask::keys(&keep));
        assert!(elements(&expected).unwrap() != elements(&run(&AttentionMask::none())).unwrap());
        for dtype in [DType::I32, DType::U8, DType::U32, DType::I8] {
            let found = run(&AttentionMask::keys(&keep.cast(dtype)));
            assert_eq!(elements(&found).unwrap(), elements(&expected).unwrap(), "{dtype}");
        }
        let message = refusal(|| AttentionMask::keys(&keep.cast(DType::F32)));
        assert!(message.starts_with("attention mask: ") && message.contains("ne(0)"), "{message}");
    }
}

#[test]
fn queries_that_see_no_key_are_finite() {
    for device in devices() {
        for dtype in [DType::F32, DType::F16, DType::BF16] {
            for (rank, lowest) in [(4, f64::NEG_INFINITY), (3, f64::NEG_INFINITY), (4, -3.4e38)] {
                let [q, k, v] = operands(dtype, rank, &device);
                let hidden = Tensor::new([[false], [true], [false]], &device).unwrap();
                let hidden = hidden.broadcast_to([3, 3]);
                let mask = hidden.select(lowest, 0.0).cast(DType::F32);
                let options = AttentionOptions::default().mask(&mask);
                let result = Tensor::attention(&q, &k, &v, &options);
                let with_weights = Tensor::attention_with_weights(&q, &k, &v, &options);
                let what = format!("{dtype} on {}", device.name());
                close(&what, &result, &with_weights.0);
                // What sees nothing gets the mean.
                close(&what, &result.narrow(-2, 1, 1), &v.mean_keepdim(-2));
                for loss in [result.square().sum(..), result.narrow(-2, 0, 1).square().sum(..)] {
                    for gradient in grad(&loss, &[&q, &k, &v, &mask]) {
                        let values = elements(&gradient).unwrap();
                        assert!(values.iter().all(|value| value.is_finite()), "{what}: {values:?}");
                    }
                }
                let loss = grad(&result.square().sum(..), &[&k]).swap_remove(0).square().sum(..);
                let values = elements(&grad(&loss, &[&q]).swap_remove(0)).unwrap();
                assert!(values.iter().all(|value| value.is_finite()), "{what}: {values:?}");
            }
        }
    }
}

#[test]
fn gradients_of_different_dtypes_are_clipped_together() {
    for device in devices() {
        let one = |value: f64, dtype| Tensor::full([1], value, dtype, &device);
        let pairs =
            [(DType::F32, DType::BF16), (DType::F16, DType::F32), (DType::BF16, DType::F16)];
        let wide = [(DType::F64, DType::BF16), (DType::F32, DType::F64)];
        let pairs = pairs.iter().chain(if device.capabilities().host { &wide[..] } else { &[] });
        for &(left, right) in pairs {
            let gradients: Gradients =
                [("a".to_owned(), one(3.0, left)), ("b".to_owned(), one(4.0, right))]
                    .into_iter()
                    .collect();
            let (clipped, norm) = gradients.clip_norm(1.0);
            assert_eq!(elements(&norm).unwrap(), [5.0]);
            for (name, value) in [("a", 0.6), ("b", 0.8)] {
                let found = clipped.get(name).unwrap();
                assert_eq!(found.dtype(), gradients.get(name).unwrap().dtype());
                assert!((elements(found).unwrap()[0] - value).abs() < 4e-3, "{left} and {right}");
            }
        }
    }
}

#[test]
fn factors_of_losses_must_fit() {
    use gradloom::nn::losses::{self, BceOptions, LossReduction};
    let device = Device::cpu();
    let logits = Tensor::zeros([3, 2], DType::F32, &device);
    let targets = Tensor::new([0, 1, 1], &device).unwrap();
    let column = targets.unsqueeze(1);
    for message in [
        refusal(|| {
            losses::weighted_cross_entropy(
                &logits,
                &column,
                &Tensor::ones([2], DType::F32, &device),
            )
        }),
        refusal(|| losses::focal(&logits, &column, 2.0)),
        refusal(|| {
            losses::weighted_cross_entropy(
                &logits,
                &targets,
                &Tensor::ones([3], DType::F32, &device),
            )
        }),
    ] {
        assert!(
            message.starts_with("weighted_cross_entropy: ") || message.starts_with("focal: "),
            "{message}"
        );
    }
    let x = Tensor::zeros([3], DType::F32, &device);
    let large = Some(Tensor::ones([2, 3], DType::F32, &device));
    for options in [
        BceOptions { weight: large.clone(), ..BceOptions::default() },
        BceOptions {
            positive_weight: large,
            reduction: LossReduction::None,
            ..BceOptions::default()
        },
    ] {
        let message = refusal(|| losses::bce_with_logits(&x, &x, &options));
        assert!(message.starts_with("bce_with_logits: "), "{message}");
    }
}

#[test]
fn parts_of_empty_axes_are_empty() {
    for device in devices() {
        let empty = Tensor::zeros([2, 0, 3], DType::F32, &device);
        for part in empty.chunk(3, 1) {
            assert_eq!(part.shape().dims(), [2, 0, 3]);
        }
        assert_eq!(empty.chunk(3, 1).len(), 3);
        assert_eq!(empty.chunk(2, 2).len(), 2);
        for axis in 0..3 {
            for result in [empty.softmax(axis), empty.log_softmax(axis)] {
                assert_eq!(result.shape().dims(), [2, 0, 3]);
                assert_eq!(elements(&result).unwrap(), [0.0; 0]);
            }
            let x = empty.clone();
            let gradient = grad(&x.softmax(axis).square().sum(..), &[&x]).swap_remove(0);
            assert_eq!(elements(&gradient).unwrap(), [0.0; 0]);
        }
    }
}

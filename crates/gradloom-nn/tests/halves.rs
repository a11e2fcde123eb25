//! Formulas of f16 and bf16: computed wide and rounded once, whatever was evaluated before. Each is
//! compared with the same formula in f32 on the same numbers, around 300, whose squares no f16 can hold.

use gradloom_autodiff::{grad, jvp};
use gradloom_nn::layers::{
    BatchNorm, Dropout, Gru, Layer, Lstm, RecurrentOptions, Rotary, RotaryScaling,
};
use gradloom_nn::losses::{self, BceOptions, LossReduction};
use gradloom_nn::{AdamW, Context, Gradients, Init, ModuleExt, Optimizer, Parameter, StateDict};
use gradloom_tensor::ops::attention::AttentionOptions;
use gradloom_tensor::ops::pooling::PoolOptions;
use gradloom_tensor::{DType, Device, Key, Tensor, commit};

const HALVES: [DType; 2] = [DType::F16, DType::BF16];

fn device() -> Device {
    gradloom_cpu::CpuBackend::new(Some(2)).unwrap().into_device()
}

/// Twice this is a value that both halves have: multiples of 2 from 256 to 510, half of them negative.
fn base(shape: &[usize], dtype: DType, device: &Device) -> Tensor {
    let magnitude = Tensor::randint(Key::new(7), shape, 128, 256, device).cast(DType::F32);
    let sign = Tensor::bernoulli(Key::new(8), shape, 0.5, device).cast(DType::F32) * 2.0 - 1.0;
    let values = (magnitude * sign).cast(dtype);
    values.eval().unwrap();
    values
}

fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.cast(DType::F32).to_vec().unwrap()
}

/// The distance of two numbers next to each other, relative to them.
fn epsilon(dtype: DType) -> f32 {
    if dtype == DType::F16 { 9.8e-4 } else { 7.9e-3 }
}

#[track_caller]
fn assert_close(what: &str, dtype: DType, actual: &Tensor, expected: &Tensor) {
    assert_eq!(actual.dtype(), dtype, "{what}");
    let (actual, expected) = (values(actual), values(expected));
    let scale = expected.iter().fold(0f32, |scale, value| scale.max(value.abs()));
    for (a, e) in actual.iter().zip(&expected) {
        // One rounding of the result, and the exact formula's own sensitivity to f32.
        let tolerance = epsilon(dtype) * e.abs() + 2e-5 * scale + 1e-7;
        assert!((a - e).abs() <= tolerance, "{what} of {dtype}: {a} instead of {e}");
    }
}

/// The formula and its gradient, of an input that was evaluated and of one that was not.
#[track_caller]
fn check(what: &str, shape: &[usize], formula: impl Fn(&Tensor) -> Tensor) {
    let device = device();
    for dtype in HALVES {
        let base = base(shape, dtype, &device);
        let wide = base.cast(DType::F32) * 2.0;
        let expected = formula(&wide);
        let weighted = |y: &Tensor| {
            let weights = Tensor::uniform(Key::new(3), y.shape(), 0.5, 1.0, &device);
            (y.cast(DType::F32) * weights.cast(dtype).cast(DType::F32)).sum(..)
        };
        let gradient = grad(&weighted(&expected), &[&wide]).swap_remove(0);
        for evaluated in [false, true] {
            let x = &base * 2.0;
            if evaluated {
                x.eval().unwrap();
            }
            let y = formula(&x);
            assert_close(what, dtype, &y, &expected);
            let actual = grad(&weighted(&y), &[&x]).swap_remove(0);
            assert_close(&format!("the gradient of {what}"), dtype, &actual, &gradient);
        }
    }
}

/// A formula of several tensors made from one.
fn parts<const N: usize>(x: &Tensor) -> [Tensor; N] {
    let parts = x.chunk(N, 0);
    std::array::from_fn(|part| parts[part].clone())
}

#[test]
fn reductions_are_computed_wide() {
    check("mean", &[1000], |x| x.abs().mean(..));
    check("mean", &[3, 1000], |x| x.mean(1));
    check("var", &[2, 64], |x| (x * 0.5).var(1, 1));
    check("std", &[2, 64], |x| x.std(1, 1));
    check("norm", &[2, 64], |x| x.norm(1));
    check("logsumexp", &[2, 64], |x| x.logsumexp(1));
}

#[test]
fn softmax_and_norms_are_computed_wide() {
    check("softmax", &[4, 8], |x| (x * 0.0078125).softmax(-1));
    check("log_softmax", &[4, 8], |x| x.log_softmax(-1));
    check("layer_norm", &[4, 32], |x| x.layer_norm(1, None, None, 1e-5));
    check("rms_norm", &[4, 32], |x| {
        x.rms_norm(Some(&Tensor::ones_like(&x.narrow(0, 0, 1).squeeze(0))), 1e-6)
    });
    check("group_norm", &[2, 4, 8], |x| x.group_norm(2, None, None, 1e-5));
    check("normalize", &[4, 32], |x| x.normalize(-1, 1e-12));
    check("cosine_similarity", &[4, 32], |x| {
        let [left, right] = parts(x);
        left.cosine_similarity(&right, -1)
    });
}

#[test]
fn activations_are_computed_wide() {
    for (what, formula) in [
        ("gelu", Tensor::gelu as fn(&Tensor) -> Tensor),
        ("gelu_tanh", Tensor::gelu_tanh),
        ("silu", Tensor::silu),
        ("mish", Tensor::mish),
        ("softplus", Tensor::softplus),
        ("softsign", Tensor::softsign),
        ("selu", Tensor::selu),
        ("hardswish", Tensor::hardswish),
        ("log_sigmoid", Tensor::log_sigmoid),
    ] {
        check(what, &[64], formula);
        check(what, &[64], move |x| formula(&(x * 0.0078125)));
    }
    check("powi", &[64], |x| x.powi(-2));
    check("log10", &[64], |x| x.abs().log10());
    check("rsqrt", &[64], |x| x.abs().rsqrt());
}

#[test]
fn pooling_is_computed_wide() {
    let options = PoolOptions::new([16, 16]).padding([1, 1]).count_include_pad(false);
    check("avg_pool2d", &[1, 2, 16, 16], |x| x.abs().avg_pool2d(&PoolOptions::new([16, 16])));
    check("avg_pool2d", &[1, 2, 16, 16], move |x| x.abs().avg_pool2d(&options));
    check("global_avg_pool2d", &[1, 2, 16, 16], |x| x.abs().global_avg_pool2d());
}

#[test]
fn losses_are_computed_wide() {
    let classes = |x: &Tensor| Tensor::arange(x.size(0), x.device());
    check("cross_entropy", &[4, 8], move |x| x.cross_entropy(&classes(x)));
    check("weighted", &[4, 8], move |x| {
        losses::weighted_cross_entropy(x, &classes(x), &x.narrow(0, 0, 1).squeeze(0).ones_like())
    });
    for (what, loss) in [
        ("mse_loss", Tensor::mse_loss as fn(&Tensor, &Tensor) -> Tensor),
        ("l1_loss", Tensor::l1_loss),
        ("bce_with_logits", Tensor::bce_with_logits),
        ("hinge_loss", Tensor::hinge_loss),
    ] {
        check(what, &[4, 256], move |x| {
            let [x, target] = parts(x);
            loss(&(x * 0.25), &(target * 0.25))
        });
    }
    check("triplet", &[6, 16], |x| {
        let [anchor, positive, negative] = parts(x);
        losses::triplet(&anchor, &positive, &negative, 1.0)
    });
    check("info_nce", &[4, 16], |x| {
        let [left, right] = parts(x);
        losses::info_nce(&left, &right, 0.5)
    });
    check("bce", &[4, 16], |x| {
        let [x, target] = parts(x);
        let options = BceOptions { reduction: LossReduction::Mean, ..Default::default() };
        losses::bce_with_logits(&(x * 0.25), &(target * 0.25), &options)
    });
}

#[test]
fn attention_of_large_queries_and_keys_is_finite_and_right() {
    let attend = |causal: bool| {
        move |x: &Tensor| {
            let [query, key, value] = parts(x);
            let options = AttentionOptions::default().causal(causal);
            Tensor::attention(&query, &key, &value, &options)
        }
    };
    check("attention", &[3, 2, 4, 64], attend(false));
    check("attention", &[3, 2, 4, 64], attend(true));
    let device = device();
    for dtype in HALVES {
        let x = Tensor::full([1, 2, 4, 64], 300.0, dtype, &device);
        for evaluated in [false, true] {
            let x = &x + 0.0;
            if evaluated {
                x.eval().unwrap();
            }
            let y = Tensor::attention(&x, &x, &x, &AttentionOptions::default().causal(true));
            assert!(values(&y).iter().all(|&value| value == 300.0), "{dtype}");
        }
    }
}

#[test]
fn recurrent_layers_and_rotations_are_computed_wide() {
    check("rotary", &[1, 2, 3, 8], |x| {
        let rotary = Rotary::new(8, 100.0, RotaryScaling::None, x.device()).unwrap();
        rotary.angles(&Tensor::arange(3, x.device()), 3).rotate(x)
    });
    let device = device();
    let options = RecurrentOptions::default();
    let init = |dtype| Init::new(Key::new(0), &device).dtype(dtype);
    let x = Tensor::uniform(Key::new(1), [2, 5, 3], -1.0, 1.0, &device);
    for dtype in HALVES {
        let outputs = [dtype, DType::F32].map(|dtype| {
            let lstm = Lstm::new(3, 4, options, &mut init(dtype));
            let gru = Gru::new(3, 4, options, &mut init(dtype));
            let y = lstm.forward(&x.cast(dtype), &mut Context::eval());
            (y.clone(), gru.forward(&x.cast(dtype), &mut Context::eval()))
        });
        let [(lstm, gru), (wide_lstm, wide_gru)] = outputs;
        for (half, wide) in [(lstm, wide_lstm), (gru, wide_gru)] {
            assert_eq!(half.dtype(), dtype);
            for (a, e) in values(&half).iter().zip(values(&wide)) {
                assert!((a - e).abs() < 4.0 * epsilon(dtype), "{a} instead of {e}");
            }
        }
    }
}

#[test]
fn batch_norm_of_large_values_keeps_its_statistics_wide() {
    check("batch_norm", &[8, 3, 4], |x| {
        let norm = BatchNorm::new(3, &mut Init::new(Key::new(0), x.device()).dtype(x.dtype()));
        norm.forward(x, &mut Context::train(Key::new(0)))
    });
    let device = device();
    for dtype in HALVES {
        let x = base(&[64, 3], dtype, &device) * 2.0;
        let mut norm =
            BatchNorm::new(3, &mut Init::new(Key::new(0), &device).dtype(dtype)).momentum(1.0);
        let mut context = Context::train(Key::new(0));
        norm.forward(&x, &mut context).eval().unwrap();
        context.apply_updates(&mut norm);
        let running = norm.running.clone().unwrap();
        commit(&mut running.running_var.tensor().clone()).unwrap();
        let weight = norm.weight.clone().unwrap();
        assert_eq!((weight.dtype(), running.running_var.dtype()), (dtype, DType::F32));
        let expected = x.cast(DType::F32).var(0, 1);
        for (a, e) in values(&running.running_var).iter().zip(values(&expected)) {
            assert!(e > 65504.0 && (a / e - 1.0).abs() < 1e-5, "{a} instead of {e}");
        }
        let y = norm.forward(&x, &mut Context::eval());
        assert!(values(&y).iter().all(|value| value.abs() > 0.3 && value.abs() < 2.5));
        // A file of another library has statistics of the weights' dtype.
        let mut dict: StateDict = norm.state_dict();
        let mean = running.running_mean.cast(dtype);
        dict.insert("running_mean".to_owned(), mean);
        norm.load_state_dict(&dict, &Default::default()).unwrap();
        assert_eq!(norm.running.unwrap().running_mean.dtype(), DType::F32);
    }
}

#[test]
fn factors_of_halves_are_no_halves() {
    let device = device();
    for dtype in HALVES {
        // The gradients of a loss that was scaled up, back to their size.
        let gradient = Tensor::full([2], 3000.0, dtype, &device);
        let gradients: Gradients = [("w".to_owned(), gradient)].into_iter().collect();
        let small = values(gradients.scale(1e-8).get("w").unwrap());
        assert!(small.iter().all(|value| (value / 3e-5 - 1.0).abs() < 4e-3), "{small:?}");
        let ones = Tensor::ones([64], dtype, &device);
        let dropped = Dropout::new(0.9).forward(&ones, &mut Context::train(Key::new(0)));
        assert!(values(&dropped).iter().all(|&value| value == 0.0 || value == 10.0));
    }
}

#[test]
fn products_of_jacobians_are_summed_wide() {
    let device = device();
    for dtype in HALVES {
        let x = base(&[512], dtype, &device) * 2.0;
        let slope = jvp(&(&x * &x).mean(..), &[&x], &[&x]);
        // The derivative of the mean square along x is twice the mean square, too large for f16.
        let expected = (x.cast(DType::F32).square().mean(..) * 2.0).cast(dtype);
        assert_eq!(slope.dtype(), dtype);
        let (slope, expected) = (values(&slope)[0], values(&expected)[0]);
        assert!(slope == expected || (slope / expected - 1.0).abs() < 2.0 * epsilon(dtype));
        let y = &x * 0.0625;
        let slope = values(&jvp(&(&y * &y).mean(..), &[&x], &[&x]))[0];
        let expected = values(&(y.cast(DType::F32).square().mean(..) * 2.0))[0];
        assert!((slope / expected - 1.0).abs() < 2.0 * epsilon(dtype), "{slope} {expected}");
    }
}

#[test]
fn optimizers_of_halves_remember_wide() {
    let device = device();
    for dtype in HALVES {
        let mut model = vec![Parameter::new(Tensor::ones([3], dtype, &device))];
        let mut optimizer = AdamW::new(0.1);
        for _ in 0..3 {
            // Its square is no f16.
            let gradient = Tensor::full([3], 1e-4, dtype, &device);
            let gradients: Gradients = [("0".to_owned(), gradient)].into_iter().collect();
            assert!((gradients.norm().item().unwrap() - 3f64.sqrt() * 1e-4).abs() < 1e-6);
            optimizer.step(&gradients, &mut model);
            commit((&mut optimizer, &mut model)).unwrap();
        }
        assert!(values(&model[0]).iter().all(|&weight| (weight - 0.7).abs() < 0.01));
        let state = optimizer.state_dict();
        assert_eq!(state.get("0.exp_avg_sq").unwrap().dtype(), DType::F32);
        optimizer.load_state_dict(&state, &model).unwrap();
    }
}

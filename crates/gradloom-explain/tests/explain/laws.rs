//! Laws of attributions, where there is nothing to compare with.

use gradloom_explain::*;
use gradloom_nn::layers::{Dropout, Linear};
use gradloom_nn::{Activation, Init, Layer, LoadOptions, ModuleExt, Sequential};
use gradloom_tensor::{DType, Key, Tensor};

use crate::golden::Golden;

fn largest(tensor: &Tensor) -> f64 {
    tensor.abs().max(..).item().unwrap()
}

#[test]
fn a_relu_that_runs_twice_keeps_the_sum() {
    // captum 0.9 raises an error for this network.
    let golden = Golden::new();
    let init = &mut Init::new(Key::new(0), &golden.device);
    let mut layers = [Linear::new(6, 8, init), Linear::new(8, 3, init)];
    for (layer, name) in layers.iter_mut().zip(["first", "second"]) {
        let mut weights = gradloom_nn::StateDict::new();
        for part in ["weight", "bias"] {
            weights.insert(part, golden.get(&format!("net.reused.{name}.{part}")));
        }
        layer.load_state_dict(&weights, &LoadOptions::strict()).unwrap();
    }
    let relu = Activation::Relu;
    let forward = Forward::new(|x, ctx| {
        let hidden = relu.forward(&layers[0].forward(&x[0], ctx), ctx);
        relu.forward(&layers[1].forward(&hidden, ctx), ctx)
    });
    let inputs = Inputs::from(golden.get("in.reused.x"));
    let output = forward.run(&inputs.features).unwrap();
    assert!(largest(&(output - golden.get("out.reused.output"))) < 1e-6);
    let found = DeepLift::default().attribute(&forward, &inputs, &Target::Class(1)).unwrap();
    assert!(largest(found.first()) > 0.1);
    assert!(largest(&found.delta.unwrap()) < 1e-6);
}

#[test]
fn deep_lift_keeps_the_sum_through_every_kind_of_function() {
    let device = gradloom_cpu::device();
    let weights = Tensor::normal(Key::new(3), [6, 6], 0.0, 1.0, &device);
    type Function = Box<dyn Fn(&Tensor, &Tensor) -> Tensor + Send + Sync>;
    let functions: Vec<(&str, Function)> = vec![
        ("gelu", Box::new(|x, w| x.matmul(w).gelu())),
        ("silu and residual", Box::new(|x, w| x + x.matmul(w).silu())),
        ("hardswish", Box::new(|x, w| x.matmul(w).hardswish())),
        ("mish", Box::new(|x, w| x.matmul(w).mish())),
        ("softmax", Box::new(|x, w| x.matmul(w).softmax(1))),
        ("log softmax", Box::new(|x, w| x.matmul(w).log_softmax(1))),
        ("layer norm", Box::new(|x, w| x.matmul(w).layer_norm(1, None, None, 1e-5))),
        ("gate", Box::new(|x, w| x.matmul(w).glu(1))),
        (
            "product of products",
            Box::new(|x, w| {
                let outer = x.unsqueeze(2).matmul(&x.unsqueeze(1));
                outer.matmul(&x.matmul(w).unsqueeze(2)).squeeze(2)
            }),
        ),
        ("quotient", Box::new(|x, w| x.matmul(w) / (x.square().sum_keepdim(1) + 1.0))),
        ("maximum", Box::new(|x, w| x.matmul(w).maximum(x))),
        ("minimum along rows", Box::new(|x, w| x.matmul(w).min_keepdim(1) * x)),
        ("sorted by a constant", Box::new(|x, w| x.matmul(w).cumsum(1).flip(1).tanh())),
        ("power", Box::new(|x, w| (x.matmul(w).square() + 1.0).sqrt().powf(1.5))),
        ("clamp", Box::new(|x, w| x.matmul(w).clamp(-0.5, 0.7))),
        ("detached", Box::new(|x, w| x.matmul(w).tanh().detach() * x)),
        (
            "picked",
            Box::new(|x, w| {
                let index = Tensor::new([4i32, 1], x.device()).unwrap();
                x.matmul(w).sigmoid().index_select(1, &index)
            }),
        ),
    ];
    for (name, function) in functions {
        let weights = weights.clone();
        let forward = Forward::new(move |x, _| {
            let y = function(&x[0], &weights);
            let factors = Tensor::arange(y.size(1), y.device()).cast(DType::F32) - 1.3;
            y.mul(factors).sum(1)
        });
        let x = Tensor::normal(Key::new(1), [3, 6], 0.0, 1.0, &device);
        let x0 = Tensor::normal(Key::new(2), [3, 6], 0.0, 0.5, &device);
        let method = DeepLift { baseline: x0.into(), ..DeepLift::default() };
        let found = method.attribute(&forward, &x.into(), &Target::Output).unwrap();
        let (size, delta) = (largest(found.first()), largest(&found.delta.unwrap()));
        println!("{name}: largest {size:.2}, delta {delta:.1e}");
        assert!(size > 0.0 && size.is_finite(), "{name}: {size}");
        assert!(delta <= 2e-5 * size.max(1.0), "{name}: delta {delta:.1e}");
    }
}

#[test]
fn completeness_of_integrated_gradients() {
    let golden = Golden::new();
    let (cnn, mlp) = (golden.cnn(), golden.mlp());
    for (network, x) in [(&cnn, "in.cnn.x"), (&mlp, "in.mlp.x")] {
        let method = IntegratedGradients { steps: 300, ..IntegratedGradients::default() };
        let forward = Forward::of(network);
        let inputs = Inputs::from(golden.get(x));
        let found = method.attribute(&forward, &inputs, &Target::Class(1)).unwrap();
        let delta = largest(&found.delta.unwrap());
        println!("{x}: {delta:.1e}");
        assert!(delta < 1e-3, "{x}: {delta}");
    }
}

#[test]
fn shapley_values_of_ten_features() {
    let golden = Golden::new();
    let mlp = golden.mlp();
    let (forward, inputs) = (Forward::of(&mlp), Inputs::from(golden.get("in.mlp.x")));
    let (target, baseline) = (Target::Class(2), Baseline::from(golden.get("in.mlp.x0")));
    let exact = ShapleyValues { baseline: baseline.clone(), ..Default::default() };
    let exact = exact.attribute(&forward, &inputs, &target).unwrap().features.remove(0);
    let exact_values = exact.to_vec::<f32>().unwrap();

    // By the definition, from the values of all subsets, in another order of sums.
    let (x, x0) = (golden.get("in.mlp.x"), golden.get("in.mlp.x0").broadcast_to([3, 10]));
    let subsets: Vec<bool> = (0..1024 * 10).map(|at| (at / 10) >> (at % 10) & 1 == 1).collect();
    let mask = Tensor::from_vec(subsets, [1024, 1, 10], x.device()).unwrap();
    let rows = mask.select(x.unsqueeze(0), x0.unsqueeze(0)).flatten(0, 1);
    let values = forward.run(&[rows]).unwrap().index(1, 2).to_vec::<f32>().unwrap();
    let factorial = |n: usize| (1..=n).map(|k| k as f64).product::<f64>();
    for sample in 0..3 {
        for feature in 0..10 {
            let mut sum = 0.0;
            for subset in (0..1024usize).filter(|subset| subset >> feature & 1 == 0) {
                let size = subset.count_ones() as usize;
                let weight = factorial(size) * factorial(9 - size) / factorial(10);
                let at = |subset: usize| f64::from(values[subset * 3 + sample]);
                sum += weight * (at(subset | 1 << feature) - at(subset));
            }
            let ours = f64::from(exact_values[sample * 10 + feature]);
            assert!((ours - sum).abs() < 1e-5, "sample {sample} feature {feature}: {ours} {sum}");
        }
    }

    // Means over draws lie within three standard errors, but for one in 370: of thirty one may not, and all
    // together are as far as their errors say.
    let sampling = ShapleySampling {
        baseline: baseline.clone(),
        samples: 400,
        ..ShapleySampling::new(Key::new(5))
    };
    let found = sampling.estimate(&forward, &inputs, &target).unwrap();
    let means = found.attribution.first().to_vec::<f32>().unwrap();
    let errors = found.standard_errors[0].to_vec::<f32>().unwrap();
    let distances: Vec<f32> = means
        .iter()
        .zip(&exact_values)
        .zip(&errors)
        .map(|((mean, exact), error)| (mean - exact).abs() / error)
        .collect();
    let mean_square = distances.iter().map(|z| z * z).sum::<f32>() / distances.len() as f32;
    println!("sampled: root mean square of {:.2} standard errors", mean_square.sqrt());
    assert!(distances.iter().filter(|z| **z > 3.0).count() <= 1, "{distances:?}");
    assert!(distances.iter().all(|z| *z < 4.5), "{distances:?}");
    assert!((0.25..2.5).contains(&mean_square), "{mean_square}");
    // The regression of many draws of the kernel comes to the same values.
    let kernel = KernelShap { baseline, samples: 6000, ..KernelShap::new(Key::new(6)) };
    let kernel = kernel.attribute(&forward, &inputs, &target).unwrap();
    let far = largest(&(kernel.first() - &exact)) / largest(&exact);
    println!("kernel: {far:.1e}");
    assert!(far < 0.05, "{far}");
}

#[test]
fn gradient_shap_comes_to_integrated_gradients() {
    let golden = Golden::new();
    let mlp = golden.mlp();
    let (forward, inputs) = (Forward::of(&mlp), Inputs::from(golden.get("in.mlp.x")));
    let (target, x0) = (Target::Class(0), golden.get("in.mlp.x0"));
    let exact = IntegratedGradients { baseline: x0.clone().into(), ..Default::default() };
    let exact = exact.attribute(&forward, &inputs, &target).unwrap();
    let shap = GradientShap { samples: 4000, ..GradientShap::new([x0], Key::new(1)) };
    let found = shap.attribute(&forward, &inputs, &target).unwrap();
    let far = largest(&(found.first() - exact.first())) / largest(exact.first());
    assert!(far < 0.05, "{far}");
    assert!(largest(&found.delta.unwrap()) < 0.1);
}

#[test]
fn noise_is_smoothed_by_all_three_ways() {
    let device = gradloom_cpu::device();
    // The gradient of the sum of squares is 2 (x + noise).
    let forward = Forward::new(|x, _| x[0].square().sum(1));
    let inputs = Inputs::from(Tensor::new([[1f32, -2.0]], &device).unwrap());
    let gradient = Saliency { absolute: false };
    let mut tunnel = NoiseTunnel::new(gradient, Key::new(0));
    (tunnel.samples, tunnel.deviations) = (3000, vec![0.5]);
    let mut values = |smoothing| {
        tunnel.smoothing = smoothing;
        let found = tunnel.attribute(&forward, &inputs, &Target::Output).unwrap();
        found.first().to_vec::<f32>().unwrap()
    };
    let close = |a: &[f32], b: [f32; 2]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 0.15);
    assert!(close(&values(Smoothing::SmoothGrad), [2.0, -4.0]));
    assert!(close(&values(Smoothing::SmoothGradSquared), [5.0, 17.0]));
    assert!(close(&values(Smoothing::VarGrad), [1.0, 1.0]));
}

#[test]
fn dropout_of_a_model_is_off_and_answers_repeat() {
    let device = gradloom_cpu::device();
    let init = &mut Init::new(Key::new(0), &device);
    let model = Sequential::new()
        .with(Linear::new(5, 8, init))
        .with(Activation::Tanh)
        .with(Dropout::new(0.5))
        .with(Linear::new(8, 2, init));
    // The same weights without dropout.
    let init = &mut Init::new(Key::new(0), &device);
    let without = Sequential::new()
        .with(Linear::new(5, 8, init))
        .with(Activation::Tanh)
        .with(Linear::new(8, 2, init));
    let inputs = Inputs::from(Tensor::normal(Key::new(1), [2, 5], 0.0, 1.0, &device));
    let attribute = |model: &Sequential, method: &dyn Method| {
        let found = method.attribute(&Forward::of(model), &inputs, &Target::Class(1)).unwrap();
        found.first().to_vec::<f32>().unwrap()
    };
    let of = |method: &dyn Method| attribute(&model, method);
    let methods: [&dyn Method; 4] = [
        &IntegratedGradients::default(),
        &ShapleySampling::new(Key::new(2)),
        &KernelShap::new(Key::new(2)),
        &NoiseTunnel::new(Saliency::default(), Key::new(2)),
    ];
    for method in methods {
        assert_eq!(of(method), of(method));
        assert_eq!(of(method), attribute(&without, method));
    }
}

#[test]
fn generated_tokens_are_explained_one_by_one() {
    let device = gradloom_cpu::device();
    let table = Tensor::normal(Key::new(0), [11, 6], 0.0, 1.0, &device);
    let mix = Tensor::normal(Key::new(1), [6, 6], 0.0, 0.5, &device);
    // A little causal model: running means of embeddings.
    let forward = Forward::new(move |x, _| {
        let count = Tensor::arange(x[0].size(1), x[0].device()).cast(DType::F32) + 1.0;
        let hidden = (x[0].cumsum(1) / count.reshape([1, -1, 1])).matmul(&mix).tanh();
        continuation_log_probabilities(&hidden.matmul(&table.t()), 4, &[3, 9]).unwrap()
    });
    let x = Tensor::normal(Key::new(2), [1, 5, 6], 0.0, 1.0, &device);
    let method = IntegratedGradients { steps: 100, ..Default::default() };
    let found = attribute_each(&method, &forward, &(&x).into(), 2).unwrap();
    let tokens: Vec<Vec<f32>> =
        found.iter().map(|one| per_token(one.first()).unwrap().to_vec().unwrap()).collect();
    // The first token that was generated does not depend on what came after.
    assert_eq!(tokens[0][4], 0.0);
    assert!(tokens[1].iter().all(|value| *value != 0.0));
    assert!(found.iter().all(|one| largest(one.delta.as_ref().unwrap()) < 1e-3));
}

#[test]
fn random_weights_change_what_gradients_say() {
    let golden = Golden::new();
    let cnn = golden.cnn();
    let inputs = Inputs::from(golden.get("in.cnn.x"));
    let found = randomization_check(
        &cnn,
        |model| Forward::of(model),
        &Saliency::default(),
        &inputs,
        &Target::Class(1),
        Key::new(4),
    )
    .unwrap();
    assert_eq!(found.len(), cnn.parameters().len() - 2);
    assert_eq!(
        (&found[0].parameter[..], &found.last().unwrap().parameter[..]),
        ("9.bias", "0.weight")
    );
    assert!(found.last().unwrap().correlation < 0.5, "{found:?}");
    // The model itself is as it was.
    let output = Forward::of(&cnn).run(&inputs.features).unwrap();
    assert!(largest(&(output - golden.get("out.cnn.output"))) < 1e-5);
}

#[test]
fn curves_fall_faster_in_the_order_of_the_truth() {
    let device = gradloom_cpu::device();
    let forward = Forward::new(|x, _| {
        let weights = Tensor::new([[8f32, 4.0, 2.0, 1.0]], x[0].device()).unwrap();
        x[0].mul(weights).sum(1)
    });
    let inputs = Inputs::from(Tensor::ones([1, 4], DType::F32, &device));
    let found = InputXGradient.attribute(&forward, &inputs, &Target::Output).unwrap();
    let curve = |order, attributions: &[Tensor]| {
        removal_curve(
            order,
            &forward,
            &inputs,
            attributions,
            &Target::Output,
            &Baseline::Zero,
            None,
            4,
        )
        .unwrap()
    };
    let deletion = curve(CurveOrder::Deletion, &found.features);
    assert_eq!(deletion.values, [[15.0, 7.0, 3.0, 1.0, 0.0]]);
    let insertion = curve(CurveOrder::Insertion, &found.features);
    assert_eq!(insertion.values, [[0.0, 8.0, 12.0, 14.0, 15.0]]);
    let worst = curve(CurveOrder::Deletion, &[found.first().neg()]);
    assert!(deletion.areas[0] < worst.areas[0]);
    assert_eq!(deletion.shares, [0.0, 0.25, 0.5, 0.75, 1.0]);
}

#[test]
fn lime_of_a_linear_model_finds_its_weights() {
    let device = gradloom_cpu::device();
    let forward = Forward::new(|x, _| {
        let weights = Tensor::new([[3f32, 0.0, -2.0, 0.0]], x[0].device()).unwrap();
        x[0].mul(weights).sum(1)
    });
    let inputs = Inputs::from(Tensor::ones([1, 4], DType::F32, &device));
    let lime = Lime { samples: 400, ..Lime::new(Key::new(0)) };
    let models = lime.models(&forward, &inputs, &Target::Output).unwrap();
    let [a, b, c, d] = models[0].coefficients[..] else { panic!() };
    assert!((a - 3.0).abs() < 0.06 && (c + 2.0).abs() < 0.06, "{models:?}");
    assert!(b.abs() < 0.01 && d.abs() < 0.01, "{models:?}");
}

#[test]
fn several_inputs_share_features_by_label() {
    let device = gradloom_cpu::device();
    let forward = Forward::new(|x, _| x[0].sum(1) * x[1].sum(1) + x[2].cast(DType::F32).sum(1));
    let tensor = |values: [f32; 2]| Tensor::new([values], &device).unwrap();
    let given = Tensor::new([[7i32]], &device).unwrap();
    let inputs = Inputs::new([tensor([1.0, 2.0]), tensor([3.0, 4.0])]).given([given]);
    let each = FeatureAblation::default().attribute(&forward, &inputs, &Target::Output).unwrap();
    assert_eq!(each.features[0].to_vec::<f32>().unwrap(), [7.0, 14.0]);
    assert_eq!(each.features[1].to_vec::<f32>().unwrap(), [9.0, 12.0]);
    let features = Features::new([vec![5, 9], vec![5, 9]]).unwrap();
    let both = FeatureAblation { features: Some(features), ..Default::default() };
    let both = both.attribute(&forward, &inputs, &Target::Output).unwrap();
    assert_eq!(both.features[0].to_vec::<f32>().unwrap(), [13.0, 18.0]);
    let shapley = ShapleyValues::default().attribute(&forward, &inputs, &Target::Output).unwrap();
    let sum: f32 = shapley.features.iter().map(|x| x.sum(..).item().unwrap() as f32).sum();
    assert!((sum - 21.0).abs() < 1e-4, "{sum}");
}

//! What cannot be explained is an error that says why.

use gradloom_explain::*;
use gradloom_nn::layers::Linear;
use gradloom_nn::{Activation, Init, Sequential};
use gradloom_tensor::{DType, Key, Tensor};

#[track_caller]
fn refused<T: std::fmt::Debug>(found: gradloom_tensor::Result<T>, expected: &str) {
    let message = found.unwrap_err().to_string();
    assert!(message.contains(expected), "{message:?} does not say {expected:?}");
}

#[test]
fn inputs_that_do_not_fit_are_refused() {
    let device = gradloom_cpu::device();
    let init = &mut Init::new(Key::new(0), &device);
    let model = Sequential::new()
        .with(Linear::new(4, 6, init))
        .with(Activation::Relu)
        .with(Linear::new(6, 3, init));
    let forward = Forward::of(&model);
    let x = Tensor::ones([2, 4], DType::F32, &device);
    let inputs = Inputs::from(&x);
    let class = Target::Class(1);
    let saliency =
        |inputs: &Inputs, target: &Target| Saliency::default().attribute(&forward, inputs, target);
    refused(saliency(&inputs, &Target::Class(3)), "target: class 3 of an output with 3");
    refused(saliency(&inputs, &Target::Output), "more than one number for each sample");
    refused(saliency(&inputs, &Target::Classes(vec![1])), "1 classes for 2 samples");
    refused(saliency(&inputs, &Target::Classes(vec![1, 9])), "class 9 of an output with 3");
    refused(saliency(&inputs, &Target::At(vec![0, 0])), "no place [0, 0]");
    let integers = Inputs::from(x.cast(DType::I32));
    refused(saliency(&integers, &class), "explain the embeddings of tokens");
    refused(saliency(&Inputs::new([]), &class), "no features");
    let empty = Inputs::from(Tensor::ones([0, 4], DType::F32, &device));
    refused(saliency(&empty, &class), "must not be empty");
    let uneven = inputs.clone().given([Tensor::ones([3, 1], DType::F32, &device)]);
    refused(saliency(&uneven, &class), "given tensor 1 has shape [3, 1]");

    let with = |baseline: Baseline| {
        let method = IntegratedGradients { baseline, ..Default::default() };
        method.attribute(&forward, &inputs, &class)
    };
    refused(with(Tensor::ones([2, 5], DType::F32, &device).into()), "baseline 0 is f32 [2, 5]");
    refused(with(Tensor::ones([3, 4], DType::F32, &device).into()), "baseline 0 is f32 [3, 4]");
    refused(with(Tensor::ones([1, 4], DType::F16, &device).into()), "baseline 0 is f16 [1, 4]");
    refused(with(Baseline::Tensors(vec![])), "0 baselines for 1 features");
    let none = IntegratedGradients { steps: 0, ..Default::default() };
    refused(none.attribute(&forward, &inputs, &class), "0 steps");

    refused(
        forward.activation("3.output", &inputs),
        "taps nothing named 3.output; it taps 0.output, ",
    );
    let lost = forward.from_layer("7");
    let lone = Saliency::default().attribute(&lost, &inputs, &class);
    refused(lone, "no inputs after the activation of 7");
    let with_inputs = Inputs::from(&x).given([x.clone()]);
    let found = Saliency::default().attribute(&lost, &with_inputs, &class);
    refused(found, "taps nothing named 7");
    refused(
        GradCam::new("1.output").attribute(&forward, &inputs, &class),
        "it needs maps [B, C, ..]",
    );
}

#[test]
fn perturbations_that_do_not_fit_are_refused() {
    let device = gradloom_cpu::device();
    let forward = Forward::new(|x, _| x[0].flatten(1, -1).sum(1));
    let inputs = Inputs::from(Tensor::ones([1, 3, 6], DType::F32, &device));
    let of = |method: &dyn Method| method.attribute(&forward, &inputs, &Target::Output).map(|_| ());
    refused(of(&ShapleyValues::default()), "18 features have 2^18 subsets");
    refused(of(&FeaturePermutation::new(Key::new(0))), "1 sample; it needs others");
    refused(of(&Occlusion::new(&[4, 1], &[1, 1])), "a window of [4, 1] moved by [1, 1]");
    refused(of(&Occlusion::new(&[1], &[1])), "a window of [1]");
    let short = Features::new([vec![0, 1]]).unwrap();
    let ablation = FeatureAblation { features: Some(short), ..Default::default() };
    refused(of(&ablation), "2 labels for feature 0 of shape [1, 3, 6]");
    refused(Features::new([vec![]]), "no labels");
    refused(Features::along(&[3, 4], 2), "no axis 2");
    let none = FeatureAblation { perturbations_per_eval: Some(0), ..Default::default() };
    refused(of(&none), "0 variants at once");
    let lime = Lime { coalitions: Some(vec![vec![true; 5]]), ..Lime::new(Key::new(0)) };
    refused(of(&lime), "a coalition of 5 features; there are 18");
    let broken = Forward::new(|x, _| x[0].flatten(1, -1).sum(1).log().sqrt() * f64::NAN);
    let lime = Lime::new(Key::new(0));
    refused(
        lime.attribute(&broken, &inputs, &Target::Output),
        "gives NaN or infinity for a variant",
    );
}

#[test]
fn functions_without_a_rule_are_named_with_their_line() {
    let device = gradloom_cpu::device();
    let x = Inputs::from(Tensor::normal(Key::new(0), [2, 5], 0.0, 1.0, &device));
    let powers = Forward::new(|x, _| x[0].abs().pow(x[0].cumsum(1)).sum(1));
    let found = DeepLift::default().attribute(&powers, &x, &Target::Output);
    refused(found, "deep_lift: pow made at crates/gradloom-explain/tests/explain/refusals.rs");
    let gates = Forward::new(|x, _| (&x[0] * x[0].cumsum(1)).sum(1));
    let found = Lrp::default().attribute(&gates, &x, &Target::Output);
    refused(found, "lrp: mul made at crates/gradloom-explain/tests/explain/refusals.rs");
    let rule = LrpRule::Epsilon { epsilon: -1.0 };
    let weights = Tensor::ones([5, 2], DType::F32, &device);
    let dense = Forward::new(move |x, _| x[0].matmul(&weights));
    let found = Lrp::uniform(rule).attribute(&dense, &x, &Target::Class(0));
    refused(found, "for layer 0");
}

/// All methods that compare with baselines, with the names that their errors begin with.
fn comparing(baseline: &Tensor) -> Vec<(&'static str, Box<dyn Method>)> {
    let (of, key) = (|| Baseline::from(baseline), Key::new(0));
    let rows = || [baseline.clone()];
    let layer = || LayerConductance { baseline: of(), ..LayerConductance::new("0.output") };
    let neuron = NeuronConductance::new("0.output", Target::Class(0));
    let influence = InternalInfluence::new("0.output");
    vec![
        (
            "integrated_gradients",
            Box::new(IntegratedGradients { baseline: of(), ..Default::default() }),
        ),
        ("gradient_shap", Box::new(GradientShap::new(rows(), key))),
        ("layer_conductance", Box::new(layer())),
        ("neuron_conductance", Box::new(NeuronConductance { baseline: of(), ..neuron })),
        ("internal_influence", Box::new(InternalInfluence { baseline: of(), ..influence })),
        ("deep_lift", Box::new(DeepLift { baseline: of(), ..Default::default() })),
        ("deep_lift_shap", Box::new(DeepLiftShap::new(rows()))),
        ("occlusion", Box::new(Occlusion { baseline: of(), ..Occlusion::new(&[1], &[1]) })),
        ("feature_ablation", Box::new(FeatureAblation { baseline: of(), ..Default::default() })),
        ("shapley_values", Box::new(ShapleyValues { baseline: of(), ..Default::default() })),
        (
            "shapley_sampling",
            Box::new(ShapleySampling { baseline: of(), ..ShapleySampling::new(key) }),
        ),
        ("lime", Box::new(Lime { baseline: of(), ..Lime::new(key) })),
        ("kernel_shap", Box::new(KernelShap { baseline: of(), ..KernelShap::new(key) })),
    ]
}

#[test]
fn every_method_refuses_a_baseline_of_another_shape_and_a_class_that_is_not_there() {
    let device = gradloom_cpu::device();
    let init = &mut Init::new(Key::new(0), &device);
    let model = Sequential::new()
        .with(Linear::new(4, 6, init))
        .with(Activation::Relu)
        .with(Linear::new(6, 3, init));
    let forward = Forward::of(&model);
    let inputs = Inputs::from(Tensor::ones([2, 4], DType::F32, &device));
    for shape in [&[1, 5][..], &[4]] {
        for (name, method) in comparing(&Tensor::zeros(shape, DType::F32, &device)) {
            let message =
                method.attribute(&forward, &inputs, &Target::Class(1)).unwrap_err().to_string();
            let expected = format!("{name}: baseline");
            assert!(message.starts_with(&expected), "{message:?} does not begin with {expected:?}");
            assert!(message.contains("f32 [2, 4]"), "{message:?} does not say the feature's shape");
        }
    }
    let fitting = comparing(&Tensor::zeros([1, 4], DType::F32, &device));
    let others: Vec<(&str, Box<dyn Method>)> = vec![
        ("saliency", Box::new(Saliency::default())),
        ("input_x_gradient", Box::new(InputXGradient)),
        ("guided_backprop", Box::new(GuidedBackprop)),
        ("deconvolution", Box::new(Deconvolution)),
        ("lrp", Box::new(Lrp::default())),
        ("noise_tunnel", Box::new(NoiseTunnel::new(Saliency::default(), Key::new(0)))),
        ("feature_permutation", Box::new(FeaturePermutation::new(Key::new(0)))),
    ];
    for (name, method) in fitting.into_iter().chain(others) {
        assert!(method.attribute(&forward, &inputs, &Target::Class(2)).is_ok(), "{name}");
        let message =
            method.attribute(&forward, &inputs, &Target::Class(3)).unwrap_err().to_string();
        assert!(message.contains("target: class 3 of an output with 3"), "{name}: {message}");
    }
    let row = inputs.features[0].narrow(0, 0, 1);
    let found = Counterfactual::new(&[1.0; 4]).find(&forward, &row, 3);
    refused(found, "counterfactual: class 3 of an output [1, 3]");
    refused(
        partial_dependence(&forward, &inputs, &Target::Class(3), 0, &[0.0]),
        "target: class 3 of an output with 3",
    );
    let order = CurveOrder::Deletion;
    let (own, wide) = (&inputs.features, Tensor::zeros([2, 5], DType::F32, &device).into());
    let curve = removal_curve(order, &forward, &inputs, own, &Target::Class(0), &wide, None, 2);
    refused(curve, "removal_curve: baseline 0 is f32 [2, 5], the feature f32 [2, 4]");
}

//! Every method gives what captum 0.9 gives for the same network and inputs: `golden/make_golden.py` wrote the
//! values.

use gradloom_explain::*;
use gradloom_nn::layers::{BatchNorm, Conv2d, Flatten, Linear, MaxPool2d};
use gradloom_nn::{Activation, Init, LoadOptions, ModuleExt, Sequential, StateDict, weights};
use gradloom_tensor::ops::convolution::Conv2dOptions;
use gradloom_tensor::ops::interpolation::Interpolation;
use gradloom_tensor::{Device, Key, Tensor};
use gradloom_zoo::{BertConfig, BertForSequenceClassification, BertInput, Pretrained};

/// The file's values on the CPU.
pub(super) struct Golden {
    dict: StateDict,
    pub(super) device: Device,
}

impl Golden {
    pub(super) fn new() -> Self {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/golden.safetensors");
        let device = gradloom_cpu::device();
        Golden { dict: weights::load(path, &device).unwrap(), device }
    }

    pub(super) fn get(&self, name: &str) -> Tensor {
        self.dict.get(name).unwrap_or_else(|| panic!("the golden file has no {name}")).clone()
    }

    fn part(&self, prefix: &str) -> StateDict {
        self.dict.rename(|name| name.strip_prefix(prefix).map(str::to_owned))
    }

    /// Largest difference, relative to the largest element.
    fn far(&self, name: &str, ours: &Tensor) -> f64 {
        let theirs = self.get(&format!("out.{name}"));
        assert_eq!(ours.shape(), theirs.shape(), "{name}");
        let (ours, theirs) = (ours.to_vec::<f32>().unwrap(), theirs.to_vec::<f32>().unwrap());
        let largest = theirs.iter().fold(0f32, |largest, value| largest.max(value.abs()));
        let difference = |(a, b): (&f32, &f32)| f64::from((a - b).abs());
        ours.iter().zip(&theirs).map(difference).fold(0.0, |a: f64, b| {
            assert!(b.is_finite(), "{name} is not finite");
            a.max(b)
        }) / f64::from(largest.max(1e-12))
    }

    #[track_caller]
    fn equal(&self, name: &str, ours: &Tensor) {
        self.within(1e-5, name, ours);
    }

    #[track_caller]
    fn within(&self, bound: f64, name: &str, ours: &Tensor) {
        let far = self.far(name, ours);
        println!("{name}: {far:.1e}");
        assert!(far <= bound, "{name} differs by {far:.1e} of its largest element");
    }

    pub(super) fn cnn(&self) -> Sequential {
        let init = &mut Init::new(Key::new(0), &self.device);
        let mut cnn = Sequential::new()
            .with(Conv2d::new(2, 4, 3, Conv2dOptions::default().padding(1), init))
            .with(BatchNorm::new(4, init))
            .with(Activation::Relu)
            .with(MaxPool2d::new(2))
            .with(Conv2d::new(4, 6, 3, Conv2dOptions::default(), init))
            .with(Activation::Relu)
            .with(Flatten)
            .with(Linear::new(24, 10, init))
            .with(Activation::Relu)
            .with(Linear::new(10, 3, init));
        cnn.load_state_dict(&self.part("net.cnn."), &LoadOptions::strict()).unwrap();
        cnn
    }

    /// Without pooling.
    fn plain(&self) -> Sequential {
        let init = &mut Init::new(Key::new(0), &self.device);
        let mut plain = Sequential::new()
            .with(Conv2d::new(2, 4, 3, Conv2dOptions::default().padding(1), init))
            .with(BatchNorm::new(4, init))
            .with(Activation::Relu)
            .with(Conv2d::new(4, 3, 3, Conv2dOptions::default().stride(2), init))
            .with(Activation::Relu)
            .with(Flatten)
            .with(Linear::new(27, 10, init))
            .with(Activation::Relu)
            .with(Linear::new(10, 3, init));
        plain.load_state_dict(&self.part("net.plain."), &LoadOptions::strict()).unwrap();
        plain
    }

    /// Pooling alone.
    fn pooled(&self) -> Sequential {
        let init = &mut Init::new(Key::new(0), &self.device);
        let mut pooled = Sequential::new()
            .with(Conv2d::new(2, 4, 3, Conv2dOptions::default().padding(1), init))
            .with(MaxPool2d::new(2))
            .with(Flatten)
            .with(Linear::new(64, 3, init));
        pooled.load_state_dict(&self.part("net.pooled."), &LoadOptions::strict()).unwrap();
        pooled
    }

    pub(super) fn bert(&self) -> BertForSequenceClassification {
        let config = BertConfig {
            vocab_size: 40,
            hidden_size: 16,
            num_hidden_layers: 2,
            num_attention_heads: 2,
            intermediate_size: 24,
            max_position_embeddings: 16,
            num_labels: Some(3),
            ..BertConfig::default()
        };
        let weights = self.part("net.bert.");
        BertForSequenceClassification::from_weights(&config, &weights, &self.device).unwrap()
    }

    /// The classifier of tokens and the mask that is given with them.
    pub(super) fn forward_of(bert: &BertForSequenceClassification) -> Forward<'_> {
        Forward::new(|x, ctx| bert.forward(&BertInput::new(&x[0]).mask(&x[1]), ctx))
    }

    pub(super) fn mlp(&self) -> Sequential {
        let init = &mut Init::new(Key::new(0), &self.device);
        let activations = [
            Activation::Elu(1.0),
            Activation::LeakyRelu(0.01),
            Activation::Sigmoid,
            Activation::Tanh,
            Activation::Softplus,
            Activation::Relu,
        ];
        let sizes = [10, 16, 12, 12, 12, 12, 12];
        let mut mlp = Sequential::new();
        for (sizes, activation) in sizes.windows(2).zip(activations) {
            mlp = mlp.with(Linear::new(sizes[0], sizes[1], init)).with(activation);
        }
        let mut mlp = mlp.with(Linear::new(12, 4, init));
        let weights = self.part("net.mlp.").rename(|name| {
            let Some(rest) = name.strip_prefix("layers.") else {
                return Some(name.replace("head", "12"));
            };
            let (layer, weight) = rest.split_once('.')?;
            Some(format!("{}.{weight}", 2 * layer.parse::<usize>().ok()?))
        });
        mlp.load_state_dict(&weights, &LoadOptions::strict()).unwrap();
        mlp
    }
}

/// The classes that samples of the CNN are explained for.
fn classes() -> Target {
    Target::Classes(vec![2, 0])
}

#[test]
fn gradients_are_captums() {
    let golden = Golden::new();
    let cnn = golden.cnn();
    let forward = Forward::of(&cnn);
    let inputs = Inputs::from(golden.get("in.cnn.x"));
    golden.equal("cnn.output", &forward.run(&inputs.features).unwrap());
    let check = |name: &str, method: &dyn Method| {
        let found = method.attribute(&forward, &inputs, &classes()).unwrap();
        golden.equal(&format!("cnn.{name}"), found.first());
    };
    check("saliency", &Saliency::default());
    check("input_x_gradient", &InputXGradient);
    check("guided_backprop", &GuidedBackprop);
    check("deconvolution", &Deconvolution);
    check("grad_cam", &GradCam::new("4.output"));
    let resized = GradCam::new("4.output").resized(&[8, 8], Interpolation::Linear);
    check("grad_cam.bilinear", &resized);
    check("guided_grad_cam", &GuidedGradCam::new("4.output"));
}

#[test]
fn integrated_gradients_are_captums_by_every_quadrature() {
    let golden = Golden::new();
    let cnn = golden.cnn();
    let (forward, inputs) = (Forward::of(&cnn), Inputs::from(golden.get("in.cnn.x")));
    let rules = [
        ("gausslegendre", Quadrature::GaussLegendre),
        ("riemann_left", Quadrature::RiemannLeft),
        ("riemann_middle", Quadrature::RiemannMiddle),
        ("riemann_right", Quadrature::RiemannRight),
        ("riemann_trapezoid", Quadrature::RiemannTrapezoid),
    ];
    for (name, quadrature) in rules {
        for internal_batch_size in [None, Some(14)] {
            let method = IntegratedGradients {
                baseline: golden.get("in.cnn.x0").into(),
                quadrature,
                internal_batch_size,
                ..IntegratedGradients::default()
            };
            let found = method.attribute(&forward, &inputs, &classes()).unwrap();
            golden.equal(&format!("cnn.integrated_gradients.{name}"), found.first());
            let delta = found.delta.unwrap();
            let theirs = golden.get(&format!("out.cnn.integrated_gradients.{name}.delta"));
            let apart = (&delta - &theirs).abs().max(..).item().unwrap();
            assert!(apart < 1e-5, "{name}: deltas {apart:.1e} apart");
        }
    }
}

#[test]
fn deep_lift_is_captums() {
    let golden = Golden::new();
    let (cnn, mlp) = (golden.cnn(), golden.mlp());
    let (forward, inputs) = (Forward::of(&cnn), Inputs::from(golden.get("in.cnn.x")));
    let method = DeepLift { baseline: golden.get("in.cnn.x0").into(), ..DeepLift::default() };
    // Max-pooling after ReLU, where captum loses a third of the sum.
    let found = method.attribute(&forward, &inputs, &classes()).unwrap();
    let captums = golden.get("out.cnn.deep_lift.delta").abs().max(..).item().unwrap();
    let delta = found.delta.unwrap().abs().max(..).item().unwrap();
    assert!(captums > 5e-3 && delta < 1e-6, "{captums} {delta}");

    let pooled = golden.pooled();
    let found = method.attribute(&Forward::of(&pooled), &inputs, &classes()).unwrap();
    golden.equal("pooled.deep_lift", found.first());
    let plain = golden.plain();
    let forward = Forward::of(&plain);
    let found = method.attribute(&forward, &inputs, &classes()).unwrap();
    golden.equal("plain.deep_lift", found.first());
    assert!(found.delta.unwrap().abs().max(..).item().unwrap() < 1e-6);
    let found = method.attribute(&forward.up_to("6.output"), &inputs, &Target::Class(4)).unwrap();
    golden.equal("plain.neuron_deep_lift", found.first());
    let shap = DeepLiftShap::new([golden.get("in.cnn.rows")]);
    let found = shap.attribute(&forward, &inputs, &classes()).unwrap();
    golden.equal("plain.deep_lift_shap", found.first());
    assert!(found.delta.unwrap().abs().max(..).item().unwrap() < 1e-6);

    let (forward, inputs) = (Forward::of(&mlp), Inputs::from(golden.get("in.mlp.x")));
    golden.equal("mlp.output", &forward.run(&inputs.features).unwrap());
    let method = DeepLift { baseline: golden.get("in.mlp.x0").into(), ..DeepLift::default() };
    let found = method.attribute(&forward, &inputs, &Target::Class(1)).unwrap();
    golden.equal("mlp.deep_lift", found.first());
    assert!(found.delta.unwrap().abs().max(..).item().unwrap() < 1e-5);
    let method = IntegratedGradients {
        baseline: golden.get("in.mlp.x0").into(),
        ..IntegratedGradients::default()
    };
    let found = method.attribute(&forward, &inputs, &Target::Class(1)).unwrap();
    golden.equal("mlp.integrated_gradients", found.first());
    let found = Saliency::default().attribute(&forward, &inputs, &Target::Class(1)).unwrap();
    golden.equal("mlp.saliency", found.first());
}

#[test]
fn relevance_is_captums() {
    let golden = Golden::new();
    let cnn = golden.cnn();
    let (forward, inputs) = (Forward::of(&cnn), Inputs::from(golden.get("in.cnn.x")));
    let rules = [
        ("epsilon", LrpRule::Epsilon { epsilon: 1e-9 }),
        ("epsilon_large", LrpRule::Epsilon { epsilon: 0.25 }),
        ("gamma", LrpRule::Gamma { gamma: 0.25, bias: true }),
        ("gamma_without_bias", LrpRule::Gamma { gamma: 0.25, bias: false }),
        ("alpha1_beta0", LrpRule::Alpha1Beta0 { bias: false }),
    ];
    for (name, rule) in rules {
        let found = Lrp::uniform(rule).attribute(&forward, &inputs, &classes()).unwrap();
        golden.equal(&format!("cnn.lrp.{name}"), found.first());
    }
}

#[test]
fn perturbations_are_captums() {
    let golden = Golden::new();
    let cnn = golden.cnn();
    let (forward, inputs) = (Forward::of(&cnn), Inputs::from(golden.get("in.cnn.x")));
    let baseline = Baseline::from(golden.get("in.cnn.x0"));
    for perturbations_per_eval in [None, Some(1), Some(7)] {
        let occlusion = Occlusion {
            baseline: baseline.clone(),
            perturbations_per_eval,
            ..Occlusion::new(&[2, 3, 3], &[1, 2, 2])
        };
        let found = occlusion.attribute(&forward, &inputs, &classes()).unwrap();
        golden.equal("cnn.occlusion", found.first());
        let features = Some(Features::grid(&[2, 8, 8], [2, 2]).unwrap());
        let ablation = FeatureAblation {
            baseline: baseline.clone(),
            features: features.clone(),
            perturbations_per_eval,
        };
        let found = ablation.attribute(&forward, &inputs, &classes()).unwrap();
        golden.equal("cnn.feature_ablation", found.first());
        let permutation = FeaturePermutation {
            features,
            permutation: Some(vec![1, 0]),
            perturbations_per_eval,
            ..FeaturePermutation::new(Key::new(0))
        };
        let found = permutation.attribute(&forward, &inputs, &classes()).unwrap();
        golden.equal("cnn.feature_permutation", found.first());
    }
}

#[test]
fn games_are_captums() {
    let golden = Golden::new();
    let mlp = golden.mlp();
    let (forward, inputs) = (Forward::of(&mlp), Inputs::from(golden.get("in.mlp.x")));
    let baseline = Baseline::from(golden.get("in.mlp.x0"));
    let labels = vec![0, 0, 1, 1, 2, 2, 3, 3, 4, 5];
    let shapley = ShapleyValues {
        baseline: baseline.clone(),
        features: Some(Features::new([labels]).unwrap()),
        ..ShapleyValues::default()
    };
    let found = shapley.attribute(&forward, &inputs, &Target::Class(1)).unwrap();
    golden.equal("mlp.shapley_values", found.first());
    let rows = golden.get("in.mlp.coalitions").to_vec::<f32>().unwrap();
    let coalitions: Vec<Vec<bool>> =
        rows.chunks(10).map(|row| row.iter().map(|&on| on > 0.5).collect()).collect();
    let lime = Lime {
        baseline: baseline.clone(),
        coalitions: Some(coalitions.clone()),
        ..Lime::new(Key::new(0))
    };
    let found = lime.attribute(&forward, &inputs, &Target::Class(1)).unwrap();
    golden.equal("mlp.lime", found.first());
    let shap =
        KernelShap { baseline, coalitions: Some(coalitions), ..KernelShap::new(Key::new(0)) };
    let found = shap.attribute(&forward, &inputs, &Target::Class(1)).unwrap();
    golden.equal("mlp.kernel_shap", found.first());
}

#[test]
fn layers_and_neurons_are_captums() {
    let golden = Golden::new();
    let cnn = golden.cnn();
    let (forward, inputs) = (Forward::of(&cnn), Inputs::from(golden.get("in.cnn.x")));
    let x0 = golden.get("in.cnn.x0");
    let at_baseline =
        |layer: &str| Baseline::from(forward.activation(layer, &Inputs::from(&x0)).unwrap());
    let behind = |layer: &str, method: &dyn Method| {
        let hidden = forward.layer_inputs(layer, &inputs).unwrap();
        method.attribute(&forward.from_layer(layer), &hidden, &classes()).unwrap()
    };
    golden.equal("cnn.layer_activation", &forward.activation("5.output", &inputs).unwrap());
    let found = behind("4.output", &InputXGradient);
    golden.equal("cnn.layer_gradient_x_activation", found.first());
    let integrated = |baseline| IntegratedGradients { baseline, ..IntegratedGradients::default() };
    let found = behind("5.output", &integrated(at_baseline("5.output")));
    golden.equal("cnn.layer_integrated_gradients", found.first());
    let found = behind("8.output", &FeatureAblation::default());
    golden.equal("cnn.layer_feature_ablation", found.first());
    let lift = |baseline| DeepLift { baseline, ..DeepLift::default() };
    let found = behind("4.output", &lift(at_baseline("4.output")));
    golden.equal("cnn.layer_deep_lift", found.first());
    let of_layer = DeepLift { layer: Some("4.output".into()), ..lift(x0.clone().into()) };
    let found = of_layer.attribute(&forward, &inputs, &classes()).unwrap();
    golden.equal("cnn.layer_deep_lift", found.first());

    let conductance =
        LayerConductance { baseline: x0.clone().into(), ..LayerConductance::new("5.output") };
    let found = conductance.attribute(&forward, &inputs, &classes()).unwrap();
    golden.equal("cnn.layer_conductance", found.first());
    let through = NeuronConductance {
        baseline: x0.clone().into(),
        ..NeuronConductance::new("7.output", Target::Class(4))
    };
    let found = through.attribute(&forward, &inputs, &classes()).unwrap();
    golden.equal("cnn.neuron_conductance", found.first());
    let influence =
        InternalInfluence { baseline: x0.clone().into(), ..InternalInfluence::new("5.output") };
    let found = influence.attribute(&forward, &inputs, &classes()).unwrap();
    golden.equal("cnn.internal_influence", found.first());

    let neuron = forward.up_to("7.output");
    let of_neuron = |method: &dyn Method| {
        method.attribute(&neuron, &inputs, &Target::Class(4)).unwrap().features.remove(0)
    };
    let gradient = Saliency { absolute: false };
    golden.equal("cnn.neuron_gradient", &of_neuron(&gradient));
    let found = of_neuron(&integrated(x0.clone().into()));
    golden.equal("cnn.neuron_integrated_gradients", &found);
    golden.equal("cnn.neuron_guided_backprop", &of_neuron(&GuidedBackprop));
}

#[test]
fn checks_of_trust_are_captums() {
    let golden = Golden::new();
    let cnn = golden.cnn();
    let (forward, inputs) = (Forward::of(&cnn), Inputs::from(golden.get("in.cnn.x")));
    let noise = golden.get("in.cnn.noise");
    let gradient = Saliency { absolute: false };
    let signed = gradient.attribute(&forward, &inputs, &classes()).unwrap();
    for (name, normalize) in [("plain", false), ("normalized", true)] {
        let perturb = |sample: usize, features: &[Tensor]| {
            let noise = noise.index(0, sample as isize);
            Perturbed { features: vec![features[0].sub(&noise)], perturbations: vec![noise] }
        };
        let infidelity = Infidelity { normalize, ..Infidelity::default() };
        let found =
            infidelity.measure(&forward, &inputs, &signed.features, &classes(), perturb).unwrap();
        // Squares of differences of nearly equal outputs, in f32 on both sides.
        golden.within(1e-4, &format!("cnn.infidelity.{name}"), &found);
    }
    let moved =
        |sample: usize, features: &[Tensor]| vec![features[0].add(noise.index(0, sample as isize))];
    let found = SensitivityMax::new(Key::new(0))
        .measure_moved(&Saliency::default(), &forward, &inputs, &classes(), moved)
        .unwrap();
    golden.equal("cnn.sensitivity_max", &found);

    let fgsm = Fgsm::new(0.1).within(-1.0, 1.0);
    golden.equal("cnn.fgsm", &fgsm.perturb(&forward, &inputs, &classes()).unwrap()[0]);
    let targeted = Fgsm { targeted: true, ..fgsm };
    let found = targeted.perturb(&forward, &inputs, &Target::Class(1)).unwrap();
    golden.equal("cnn.fgsm.targeted", &found[0]);
    let mut pgd = Pgd::new(0.2, 0.05, 7);
    pgd.step = pgd.step.within(-2.0, 2.0);
    golden.equal("cnn.pgd", &pgd.perturb(&forward, &inputs, &classes()).unwrap()[0]);
    let ball = Pgd { radius: 0.5, norm: Norm::L2, ..pgd };
    golden.equal("cnn.pgd.l2", &ball.perturb(&forward, &inputs, &classes()).unwrap()[0]);
}

#[test]
fn tokens_are_explained_through_embeddings_as_by_captum() {
    let golden = Golden::new();
    let bert = golden.bert();
    let forward = Golden::forward_of(&bert);
    let with = |tokens: &str| Inputs::from(golden.get(tokens)).given([golden.get("in.bert.mask")]);
    let inputs = with("in.bert.tokens");
    golden.equal(
        "bert.output",
        &forward.run(&[inputs.features.clone(), inputs.given.clone()].concat()).unwrap(),
    );

    let layer = "bert.embeddings";
    let embedded = forward.layer_inputs(layer, &inputs).unwrap();
    let behind = forward.from_layer(layer);
    let reference = forward.activation(layer, &with("in.bert.reference")).unwrap();
    let method = IntegratedGradients { baseline: reference.clone().into(), ..Default::default() };
    let found = method.attribute(&behind, &embedded, &Target::Class(1)).unwrap();
    golden.equal("bert.layer_integrated_gradients", found.first());
    assert!(found.delta.unwrap().abs().max(..).item().unwrap() < 1e-3);
    let found = InputXGradient.attribute(&behind, &embedded, &Target::Class(1)).unwrap();
    golden.equal("bert.layer_gradient_x_activation", found.first());
    assert_eq!(per_token(found.first()).unwrap().shape(), &[2, 5]);

    // What captum's DeepLIFT does not reach: attention, layer norm and GELU keep the sum.
    let lift = DeepLift { baseline: reference.into(), ..DeepLift::default() };
    let found = lift.attribute(&behind, &embedded, &Target::Class(1)).unwrap();
    let delta = found.delta.unwrap().abs().max(..).item().unwrap();
    println!("DeepLIFT of BERT: delta {delta:.1e}");
    assert!(delta < 1e-4, "{delta}");
}

//! Networks that make pictures against PyTorch and diffusers, of which `golden/make_generative.py` wrote values and
//! gradients in f64: of filled weights, so that every difference is this side's rounding.

mod support;

use gradloom_autodiff::grad;
use gradloom_nn::{Context, Init, Module, ModuleExt, gradients};
use gradloom_tensor::{DType, Device, Key, Shape, Tensor, commit, eval};
use gradloom_vision::generative::*;
use serde_json::Value;
use support::{Golden, fill, filled_f64, value_of};

fn expected() -> Value {
    Golden::open("generative").json
}

fn device() -> Device {
    gradloom_cpu::device()
}

fn init() -> Init {
    Init::new(Key::new(0), &device()).dtype(DType::F64)
}

fn named(name: &str, shape: &[usize], scale: f64, shift: f64) -> Tensor {
    filled_f64(name, &Shape::new(shape), scale, shift, &device())
}

/// The model with the values of its names.
fn filled<M: Module>(mut model: M) -> M {
    model.for_each_parameter(|name, parameter| {
        let value = value_of(name, parameter.shape(), &device());
        parameter.set(&value);
    });
    model
}

#[track_caller]
fn close(what: &str, actual: f64, expected: &Value, tolerance: f64) {
    let expected = expected.as_f64().unwrap();
    let error = (actual - expected).abs();
    assert!(error <= tolerance * expected.abs().max(1.0), "{what}: {actual}, Python's {expected}");
}

#[track_caller]
fn all_close(what: &str, actual: &Tensor, expected: &Value, tolerance: f64) {
    let actual = actual.to_vec::<f64>().unwrap();
    let expected = expected.as_array().unwrap();
    assert_eq!(actual.len(), expected.len(), "{what}");
    for (index, (actual, expected)) in actual.iter().zip(expected).enumerate() {
        close(&format!("{what}, element {index}"), *actual, expected, tolerance);
    }
}

/// Projections and norms of the gradients of all weights, within this part of the norm.
#[track_caller]
fn check_gradients(what: &str, loss: &Tensor, model: &impl Module, expected: &Value, part: f64) {
    let expected = expected.as_object().unwrap();
    let found = gradients(loss, model);
    assert_eq!(found.len(), expected.len(), "{what}: number of gradients");
    eval(found.iter().map(|(_, gradient)| gradient)).unwrap();
    // A bias before a norm has a gradient of rounding alone.
    let largest = expected.values().fold(0.0f64, |max, pair| max.max(pair[1].as_f64().unwrap()));
    for (name, gradient) in found.iter() {
        let pair = expected.get(name).unwrap_or_else(|| panic!("{what}: {name} is not Python's"));
        let actual = gradient.to_vec::<f64>().unwrap();
        let probe = fill(&format!("probe.{name}"), actual.len(), 1.0, 0.0);
        let both = actual.iter().zip(&probe);
        let projection: f64 = both.map(|(value, probe)| value * f64::from(*probe)).sum();
        let norm = actual.iter().map(|value| value * value).sum::<f64>().sqrt();
        let (theirs, length) = (pair[0].as_f64().unwrap(), pair[1].as_f64().unwrap());
        let bound = part * length + 1e-12 * largest;
        assert!(
            (projection - theirs).abs() <= bound && (norm - length).abs() <= bound,
            "{what}: {name} has projection {projection} and norm {norm}, Python's {theirs} and {length}"
        );
    }
}

#[test]
fn the_loss_of_a_variational_autoencoder_is_torchs() {
    let expected = expected();
    let cases = [
        ("vae_bernoulli", Likelihood::Bernoulli, 0.7),
        ("vae_gaussian", Likelihood::Gaussian(0.3), 2.0),
    ];
    for (case, likelihood, beta) in cases {
        let network =
            AutoencoderConfig { widths: vec![4, 6], latent: 5, ..AutoencoderConfig::new(2, 12) };
        let config = VaeConfig { likelihood, beta, ..VaeConfig::new(network) };
        let model = filled(Vae::new(&config, &mut init()).unwrap());
        let x = named("pictures", &[3, 2, 12, 12], 0.5, 0.5);
        let ctx = &mut Context::train(Key::new(0));
        let posterior = model.encode(&x, ctx);
        let z = posterior.at(&named("noise", &[3, 5], 1.0, 0.0));
        let loss = model.loss_at(&x, &posterior, &z, ctx);
        let expected = &expected[case];
        for (name, own) in
            [("total", &loss.total), ("reconstruction", &loss.reconstruction), ("kl", &loss.kl)]
        {
            close(&format!("{case}: {name}"), own.item().unwrap(), &expected[name], 1e-12);
        }
        check_gradients(case, &loss.total, &model, &expected["gradients"], 1e-10);
    }
}

#[test]
fn a_quantiser_is_the_published_layers_over_four_batches() {
    let expected = expected();
    let config = QuantizerConfig { decay: Some(0.8), ..QuantizerConfig::new(6, 4) };
    let mut quantizer = VectorQuantizer::new(&config, &mut init()).unwrap();
    let first = named("codebook", &[6, 4], 1.0, 0.0);
    quantizer.codebook.set(&first);
    quantizer.cluster_sum.as_mut().unwrap().set(&first);
    for (step, expected) in expected["quantizer"].as_array().unwrap().iter().enumerate() {
        let z = named(&format!("vectors.{step}"), &[2, 4, 3, 5], 1.5, 0.0).tracked();
        let mut ctx = Context::train(Key::new(0));
        let quantized = quantizer.forward(&z, &mut ctx);
        let what = |name: &str| format!("step {step}: {name}");
        let codes: Vec<i32> = serde_json::from_value(expected["codes"].clone()).unwrap();
        assert_eq!(quantized.codes.to_vec::<i32>().unwrap(), codes, "step {step}");
        all_close(&what("vectors"), &quantized.vectors, &expected["vectors"], 1e-11);
        let perplexity = quantized.perplexity.item().unwrap();
        close(&what("perplexity"), perplexity, &expected["perplexity"], 1e-11);
        close(&what("loss"), quantized.loss.item().unwrap(), &expected["loss"], 1e-11);
        let cotangent = named("cotangent", &[2, 4, 3, 5], 1.0, 0.0);
        let loss = (&quantized.vectors * cotangent).sum(..) + &quantized.loss;
        let gradient = grad(&loss, &[&z]).swap_remove(0);
        all_close(&what("gradient"), &gradient, &expected["gradient"], 1e-11);
        assert_eq!(ctx.apply_updates(&mut quantizer), 3);
        commit(&mut quantizer).unwrap();
        all_close(&what("codebook"), &quantizer.codebook, &expected["codebook"], 1e-11);
        let counts = quantizer.cluster_size.as_deref().unwrap();
        all_close(&what("counts"), counts, &expected["counts"], 1e-11);
        all_close(
            &what("sums"),
            quantizer.cluster_sum.as_deref().unwrap(),
            &expected["sums"],
            1e-11,
        );
    }
}

fn discriminator(norm: DiscriminatorNorm, how: LabelUse) -> DcganDiscriminator {
    let classes = Some((3, how));
    let config = DiscriminatorConfig { width: 4, norm, classes, ..DiscriminatorConfig::new(1, 28) };
    filled(DcganDiscriminator::new(&config, &mut init()).unwrap())
}

fn labels() -> Tensor {
    Tensor::new([2, 0, 1, 2], &device()).unwrap()
}

#[test]
fn a_gradient_penalty_and_its_second_derivatives_are_torchs() {
    let expected = expected();
    let cases = [
        ("wgan_gp_sample", DiscriminatorNorm::Sample, LabelUse::Projection),
        ("wgan_gp_none", DiscriminatorNorm::None, LabelUse::Channel),
    ];
    for (case, norm, how) in cases {
        let critic = discriminator(norm, how);
        let [real, made] = ["real", "made"].map(|name| named(name, &[4, 1, 28, 28], 1.0, 0.0));
        let shares = named("shares", &[4, 1, 1, 1], 0.5, 0.5);
        let score =
            |x: &Tensor| critic.forward(x, Some(&labels()), &mut Context::train(Key::new(0)));
        let loss = WganGp::default().critic_at(score, &real, &made, &shares);
        let expected = &expected[case];
        for (name, own) in
            [("total", &loss.total), ("distance", &loss.distance), ("penalty", &loss.penalty)]
        {
            close(&format!("{case}: {name}"), own.item().unwrap(), &expected[name], 1e-12);
        }
        check_gradients(case, &loss.total, &critic, &expected["gradients"], 1e-10);
    }
}

#[test]
fn adversarial_losses_and_gradients_of_both_networks_are_torchs() {
    let expected = expected();
    let cases = [
        ("gan_non_saturating", GanLoss::NonSaturating),
        ("gan_hinge", GanLoss::Hinge),
        ("gan_least_squares", GanLoss::LeastSquares),
    ];
    for (case, loss) in cases {
        let config = DcganConfig { width: 4, latent: 6, label_size: 4, ..DcganConfig::new(1, 28) };
        let generator = DcganGenerator::new(&config.classes(3), &mut init()).unwrap();
        let generator = filled(generator);
        let discriminator = discriminator(DiscriminatorNorm::Batch, LabelUse::Projection);
        let ctx = &mut Context::train(Key::new(0));
        let made = generator.forward(&named("noise", &[4, 6], 1.0, 0.0), Some(&labels()), ctx);
        let real = named("real", &[4, 1, 28, 28], 1.0, 0.0);
        let mut score = |x: &Tensor| discriminator.forward(x, Some(&labels()), ctx);
        let own = loss.discriminator(&score(&real), &score(&made.detach()));
        let other = loss.generator(&score(&made));
        let expected = &expected[case];
        close(case, own.item().unwrap(), &expected["discriminator"], 1e-11);
        close(case, other.item().unwrap(), &expected["generator"], 1e-11);
        check_gradients(case, &own, &discriminator, &expected["discriminator_gradients"], 1e-9);
        check_gradients(case, &other, &generator, &expected["generator_gradients"], 1e-9);
    }
}

fn schedule(name: &str, steps: usize) -> NoiseSchedule {
    match name {
        "linear" => NoiseSchedule::linear(steps).unwrap(),
        _ => NoiseSchedule::cosine(steps).unwrap(),
    }
}

#[test]
fn schedules_and_spaced_steps_are_those_of_diffusers() {
    let expected = expected();
    let expected = &expected["schedules"];
    for name in ["linear", "squaredcos_cap_v2"] {
        let schedule = schedule(name, 1000);
        let pairs = [("alpha_bars", schedule.alpha_bars()), ("betas", schedule.betas())];
        for (kind, own) in pairs {
            let own = own.iter().step_by(37);
            let theirs = expected[name][kind].as_array().unwrap();
            assert_eq!(own.len(), theirs.len());
            for (own, theirs) in own.zip(theirs) {
                let theirs = theirs.as_f64().unwrap();
                assert!((own - theirs).abs() <= 1e-10 * theirs, "{name} {kind}: {own}, {theirs}");
            }
        }
    }
    for count in [1, 7, 10, 30, 1000] {
        let theirs: Vec<usize> =
            serde_json::from_value(expected[format!("spaced_{count}")].clone()).unwrap();
        assert_eq!(NoiseSchedule::linear(1000).unwrap().spaced(count).unwrap(), theirs);
    }
}

#[test]
fn single_steps_are_those_of_diffusers() {
    let expected = expected();
    let [x, predicted] = ["x", "predicted"].map(|name| named(name, &[2, 1, 3, 3], 1.5, 0.0));
    let noise = named("noise", &[2, 1, 3, 3], 1.7, 0.0);
    let cases = expected["steps"].as_array().unwrap();
    assert_eq!(cases.len(), 180);
    for entry in cases {
        let case = &entry["case"];
        let prediction = match case[1].as_str().unwrap() {
            "noise" => Prediction::Noise,
            "velocity" => Prediction::Velocity,
            _ => Prediction::Picture,
        };
        let ddpm = Ddpm::new(schedule(case[0].as_str().unwrap(), 100))
            .prediction(prediction)
            .clip(case[2].as_f64());
        let step = case[4].as_u64().unwrap() as usize;
        let before = case[5].as_u64().map(|before| before as usize);
        let next = match case[3].as_f64() {
            None => ddpm.ancestral_step(&x, &predicted, &noise, step, before),
            Some(eta) => ddpm.ddim_step(&x, &predicted, &noise, eta, step, before),
        };
        all_close(&case.to_string(), &next, &entry["next"], 1e-9);
    }
}

#[test]
fn pictures_with_noise_and_targets_are_those_of_diffusers() {
    let expected = expected();
    let expected = &expected["training"];
    let ddpm = Ddpm::new(NoiseSchedule::cosine(100).unwrap());
    let [pictures, noise] = ["pictures", "noise"].map(|name| named(name, &[3, 2, 2, 2], 1.0, 0.0));
    let at = Tensor::new([0, 40, 99], &device()).unwrap();
    let noised = ddpm.noised(&pictures, &noise, &at).unwrap();
    all_close("noised", &noised, &expected["noised"], 1e-10);
    let own = ddpm.target(&pictures, &noise, &at).unwrap();
    assert_eq!(own.to_vec::<f64>().unwrap(), noise.to_vec::<f64>().unwrap());
    let velocity = ddpm.prediction(Prediction::Velocity).target(&pictures, &noise, &at).unwrap();
    all_close("velocity", &velocity, &expected["velocity"], 1e-10);
}

#[test]
fn the_network_of_a_diffusion_is_that_of_diffusers() {
    let expected = expected();
    let base = DiffusionUNetConfig { widths: vec![8, 12], ..DiffusionUNetConfig::new(2).groups(4) };
    let classes =
        DiffusionUNetConfig { attention: vec![1], head_size: Some(4), ..base.clone() }.classes(3);
    let published = DiffusionUNetConfig {
        blocks: 2,
        pads_after: true,
        cosines_first: false,
        shift: 1.0,
        epsilon: 1e-6,
        ..base
    };
    let at = Tensor::new([3, 977], &device()).unwrap();
    let labels = Tensor::new([1, 3], &device()).unwrap();
    let cases = [("unet_classes", classes, Some(&labels)), ("unet_published", published, None)];
    for (case, config, labels) in cases {
        let model = filled(DiffusionUNet::new(&config, &mut init()).unwrap());
        let x = named("pictures", &[2, 2, 8, 8], 1.0, 0.0);
        let y = model.denoise(&x, &at, labels, &mut Context::eval());
        let expected = &expected[case];
        all_close(case, &y, &expected["output"], 1e-10);
        let loss = (&y * named("cotangent", &[2, 2, 8, 8], 1.0, 0.0)).sum(..);
        check_gradients(case, &loss, &model, &expected["gradients"], 1e-9);
    }
}

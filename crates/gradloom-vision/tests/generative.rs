//! What networks that make pictures promise beside their numbers: shapes, the same bits of the same key, what a place
//! may depend on, and what is refused.

use gradloom_autodiff::grad;
use gradloom_nn::{Adam, Context, Init, Layer, Module, ModuleExt, Optimizer, gradients};
use gradloom_tensor::{DType, Device, Key, Tensor, commit};
use gradloom_vision::generative::*;

fn device() -> Device {
    gradloom_cpu::device()
}

fn init(seed: u64) -> Init {
    Init::new(Key::new(seed), &device())
}

fn message<T>(result: gradloom_vision::Result<T>) -> String {
    result.err().expect("refused").to_string()
}

fn bits(tensor: &Tensor) -> Vec<u32> {
    tensor.to_vec::<f32>().unwrap().into_iter().map(f32::to_bits).collect()
}

fn small_pixel_cnn(classes: Option<usize>) -> PixelCnn {
    let config = PixelCnnConfig { width: 6, layers: 4, classes, ..PixelCnnConfig::new(5) };
    PixelCnn::new(&config, &mut init(3)).unwrap()
}

#[test]
fn a_place_of_a_pixel_cnn_depends_on_all_places_before_it_and_no_other() {
    let model = small_pixel_cnn(None);
    let (height, width, device) = (5, 5, device());
    let codes = Tensor::randint(Key::new(1), [1, height, width], 0, 5, &device);
    let logits = |codes: &Tensor| -> Vec<Vec<f32>> {
        let logits = model.logits(codes, None, &mut Context::eval());
        logits.to_vec::<f32>().unwrap().chunks(5).map(<[f32]>::to_vec).collect()
    };
    let before = logits(&codes);
    for changed in 0..height * width {
        let here = Tensor::arange(height * width, &device).eq(changed as i32);
        let here = here.reshape([1, height, width]);
        let other = here.select((&codes + 1) % 5, &codes);
        let after = logits(&other);
        for place in 0..height * width {
            let differs = before[place] != after[place];
            assert_eq!(differs, place > changed, "place {place}, changed {changed}");
        }
    }
}

#[test]
fn a_pixel_cnn_learns_what_stands_where_and_draws_it() {
    let device = device();
    let config = PixelCnnConfig { width: 16, layers: 2, ..PixelCnnConfig::new(4).classes(2) };
    let mut model = PixelCnn::new(&config, &mut init(0)).unwrap();
    // Each code follows from the one on its left and the class.
    let rows = |class: i32| (0..9).map(move |place| (place % 3 * (class + 1) + place / 3) % 4);
    let codes: Vec<i32> = (0..2).flat_map(rows).collect();
    let codes = Tensor::from_vec(codes, [2, 3, 3], &device).unwrap();
    let labels = Tensor::new([0, 1], &device).unwrap();
    let mut optimizer = Adam::new(0.02);
    for _ in 0..120 {
        let loss = model.loss(&codes, Some(&labels), &mut Context::eval());
        optimizer.step(&gradients(&loss, &model), &mut model);
        commit((&mut model, &mut optimizer)).unwrap();
    }
    let loss = model.loss(&codes, Some(&labels), &mut Context::eval()).item().unwrap();
    assert!(loss < 0.01, "{loss}");
    let draw = |key| model.sample([2, 3, 3], Some(&labels), 1.0, Key::new(key), &device).unwrap();
    assert_eq!(draw(1).to_vec::<i32>().unwrap(), codes.to_vec::<i32>().unwrap());
    assert!(
        message(model.sample([2, 3, 3], None, 1.0, Key::new(0), &device)).contains("no labels")
    );
    let cold = model.sample([2, 3, 3], Some(&labels), 0.0, Key::new(0), &device);
    assert!(message(cold).contains("temperature"));
}

#[test]
fn the_same_key_draws_the_same_bits() {
    let device = device();
    let labels = Tensor::new([0, 1, 2], &device).unwrap();
    let vae = Vae::new(&VaeConfig::new(AutoencoderConfig::new(1, 8)), &mut init(1)).unwrap();
    let gan = DcganConfig { width: 4, ..DcganConfig::new(1, 8).classes(3) };
    let gan = DcganGenerator::new(&gan, &mut init(2)).unwrap();
    let unet = DiffusionUNetConfig { widths: vec![4, 8], ..DiffusionUNetConfig::new(1) };
    let unet = DiffusionUNet::new(&unet.groups(2).classes(3), &mut init(3)).unwrap();
    let ddpm = Ddpm::new(NoiseSchedule::linear(20).unwrap());
    let pixels = small_pixel_cnn(Some(3));
    let draws: [(&str, Box<dyn Fn(Key) -> Tensor + '_>); 5] = [
        ("vae", Box::new(|key| vae.sample(3, key, &device))),
        ("gan", Box::new(|key| gan.sample(3, Some(&labels), key, &device))),
        (
            "ancestral",
            Box::new(|key| {
                let options = DrawOptions {
                    sampler: Sampler::Ancestral(5),
                    labels: Some(&labels),
                    guidance: 2.0,
                };
                ddpm.sample(&unet, [3, 1, 8, 8], &options, key, &device).unwrap()
            }),
        ),
        (
            "ddim",
            Box::new(|key| {
                let options = DrawOptions { labels: Some(&labels), ..DrawOptions::new() };
                let options =
                    DrawOptions { sampler: Sampler::Ddim { steps: 4, eta: 0.5 }, ..options };
                ddpm.sample(&unet, [3, 1, 8, 8], &options, key, &device).unwrap()
            }),
        ),
        (
            "pixels",
            Box::new(|key| {
                let codes = pixels.sample([3, 4, 4], Some(&labels), 1.0, key, &device).unwrap();
                codes.cast(DType::F32)
            }),
        ),
    ];
    for (name, draw) in &draws {
        let (first, again, other) = (draw(Key::new(7)), draw(Key::new(7)), draw(Key::new(8)));
        assert_eq!(bits(&first), bits(&again), "{name}");
        assert_ne!(bits(&first), bits(&other), "{name}");
        assert!(first.to_vec::<f32>().unwrap().iter().all(|value| value.is_finite()), "{name}");
    }
}

#[test]
fn codes_that_nobody_uses_begin_again_at_a_vector_of_the_batch() {
    let device = device();
    let config = QuantizerConfig { restart_below: Some(0.5), ..QuantizerConfig::new(8, 2) };
    let config = QuantizerConfig { decay: Some(0.4), ..config };
    let mut quantizer = VectorQuantizer::new(&config, &mut init(0)).unwrap();
    let z = Tensor::normal(Key::new(5), [2, 2, 4, 4], 3.0, 0.1, &device);
    let rows = z.permute(&[0, 2, 3, 1]).reshape([32, 2]).to_vec::<f32>().unwrap();
    let mut ctx = Context::train(Key::new(1));
    let quantized = quantizer.forward(&z, &mut ctx);
    let used: Vec<i32> = quantized.codes.to_vec().unwrap();
    ctx.apply_updates(&mut quantizer);
    commit(&mut quantizer).unwrap();
    let codebook = quantizer.codebook.to_vec::<f32>().unwrap();
    let counts = quantizer.cluster_size.as_ref().unwrap().to_vec::<f32>().unwrap();
    for code in 0..8 {
        let own = &codebook[2 * code..2 * code + 2];
        let is_row = rows.chunks(2).any(|row| row == own);
        let dead = !used.contains(&(code as i32));
        assert_eq!(is_row, dead, "code {code}");
        assert!(!dead || counts[code] == 1.0);
    }
    // With all of them near the vectors, more are in use.
    let after = quantizer.forward(&z, &mut Context::eval());
    assert!(after.perplexity.item().unwrap() > quantized.perplexity.item().unwrap() + 1.0);
    assert_eq!(quantizer.encode(&z).to_vec::<i32>().unwrap(), after.codes.to_vec::<i32>().unwrap());
    // The codebook is saved with the weights, and no optimizer touches it.
    assert!(quantizer.trainable().is_empty());
    assert_eq!(quantizer.state_dict().iter().count(), 3);
}

#[test]
fn a_learnt_codebook_has_a_gradient_and_a_followed_one_has_none() {
    let device = device();
    let z = Tensor::normal(Key::new(5), [1, 2, 3, 3], 0.0, 1.0, &device).tracked();
    let config = QuantizerConfig { decay: None, ..QuantizerConfig::new(4, 2) };
    let learnt = VectorQuantizer::new(&config, &mut init(0)).unwrap();
    let quantized = learnt.forward(&z, &mut Context::train(Key::new(0)));
    let slopes = grad(&quantized.loss, &[&z, learnt.codebook.tensor()]);
    for slope in slopes {
        assert!(slope.abs().max(..).item().unwrap() > 0.0);
    }
    assert!(learnt.cluster_size.is_none());
}

#[test]
fn a_diffusion_in_miniature_learns_two_classes() {
    let device = device();
    let config = DiffusionUNetConfig { widths: vec![8, 16], ..DiffusionUNetConfig::new(1) };
    let mut model = DiffusionUNet::new(&config.groups(4).classes(2), &mut init(0)).unwrap();
    let ddpm = Ddpm::new(NoiseSchedule::cosine(50).unwrap()).prediction(Prediction::Velocity);
    // Bright above or bright below.
    let rows: Vec<f32> = (0..4).map(|row| if row < 2 { 0.8 } else { -0.8 }).collect();
    let above = Tensor::from_vec(rows, [1, 1, 4, 1], &device).unwrap();
    let labels: Vec<i32> = (0..16).map(|sample| sample % 2).collect();
    let labels = Tensor::from_vec(labels, 16, &device).unwrap();
    let sign = (labels.cast(DType::F32) * -2.0 + 1.0).reshape([16, 1, 1, 1]);
    let pictures = (above * sign).broadcast_to([16, 1, 4, 4]);
    let mut optimizer = Adam::new(4e-3);
    let mut ctx = Context::train(Key::new(1));
    let mut losses = Vec::new();
    for _ in 0..250 {
        let loss = ddpm.loss(&model, &pictures, Some(&labels), &mut ctx).unwrap();
        optimizer.step(&gradients(&loss, &model), &mut model);
        commit((&mut model, &mut optimizer)).unwrap();
        losses.push(loss.item().unwrap());
    }
    let mean = |losses: &[f64]| losses.iter().sum::<f64>() / losses.len() as f64;
    assert!(mean(&losses[230..]) < 0.3 * mean(&losses[..10]), "{losses:?}");
    for sampler in [Sampler::Ancestral(50), Sampler::Ddim { steps: 10, eta: 0.0 }] {
        let options = DrawOptions { sampler, labels: Some(&labels), guidance: 1.5 };
        let drawn = ddpm.sample(&model, [16, 1, 4, 4], &options, Key::new(2), &device).unwrap();
        let right = (drawn * &pictures).sum([1, 2, 3]).gt(0.0).to_vec::<bool>().unwrap();
        assert!(right.iter().filter(|&&right| right).count() >= 15, "{sampler:?}: {right:?}");
    }
}

#[test]
fn a_critic_with_a_penalty_learns_the_distance_between_two_points() {
    // In one dimension the distance between the distributions is the distance of the points: 3.
    let device = device();
    let mut critic = gradloom_nn::Sequential::new()
        .with(gradloom_nn::layers::Linear::new(1, 16, &mut init(0)))
        .with(gradloom_nn::Activation::Tanh)
        .with(gradloom_nn::layers::Linear::new(16, 1, &mut init(1)));
    let real = Tensor::full([32, 1], 2.0, DType::F32, &device);
    let made = Tensor::full([32, 1], -1.0, DType::F32, &device);
    let mut optimizer = Adam::new(0.01);
    for step in 0..600 {
        let loss = {
            let score = |x: &Tensor| critic.forward(x, &mut Context::eval());
            WganGp::default().critic(score, &real, &made, Key::new(step))
        };
        optimizer.step(&gradients(&loss.total, &critic), &mut critic);
        commit((&mut critic, &mut optimizer)).unwrap();
    }
    let score = |x: &Tensor| critic.forward(x, &mut Context::eval());
    let loss = WganGp::default().critic(score, &real, &made, Key::new(7));
    // At the optimum of distance - 10 (slope - 1)^2 the slope is 1 + 3 / 20.
    let distance = loss.distance.item().unwrap();
    assert!((distance - 3.0 * 1.15).abs() < 0.15, "{distance}");
}

#[test]
fn sizes_that_make_no_sense_are_refused() {
    let init = &mut init(0);
    let network = AutoencoderConfig { widths: vec![4, 4, 4], ..AutoencoderConfig::new(1, 28) };
    assert!(message(Autoencoder::new(&network, init)).contains("cannot be halved 3 times"));
    let vae = VaeConfig { beta: -1.0, ..VaeConfig::new(AutoencoderConfig::new(1, 28)) };
    assert!(message(Vae::new(&vae, init)).contains("beta is -1"));
    let likelihood = Likelihood::Gaussian(0.0);
    let vae = VaeConfig { likelihood, ..VaeConfig::new(AutoencoderConfig::new(1, 28)) };
    assert!(message(Vae::new(&vae, init)).contains("a deviation of 0"));
    let quantizer = QuantizerConfig { decay: Some(1.0), ..QuantizerConfig::new(4, 4) };
    assert!(message(VectorQuantizer::new(&quantizer, init)).contains("not in 0..1"));
    let restarts = QuantizerConfig { restart_below: Some(2.0), ..QuantizerConfig::new(4, 4) };
    assert!(message(VectorQuantizer::new(&restarts, init)).contains("not between 0 and 1"));
    let uncounted = QuantizerConfig { restart_below: Some(0.1), decay: None, ..restarts };
    assert!(message(VectorQuantizer::new(&uncounted, init)).contains("nothing counts"));
    let even = PixelCnnConfig { kernel: 4, ..PixelCnnConfig::new(8) };
    assert!(message(PixelCnn::new(&even, init)).contains("they are odd"));
    let gan = DcganConfig { steps: 70, ..DcganConfig::new(1, 28) };
    assert!(message(DcganGenerator::new(&gan, init)).contains("cannot be halved 70 times"));
    let unet = DiffusionUNetConfig::new(1).groups(5);
    assert!(message(DiffusionUNet::new(&unet, init)).contains("5 groups do not divide 32"));
    let unet = DiffusionUNetConfig { attention: vec![3], ..DiffusionUNetConfig::new(1) };
    assert!(message(DiffusionUNet::new(&unet, init)).contains("attention at size 3"));
    assert!(message(NoiseSchedule::linear(0)).contains("0 steps"));
    assert!(message(NoiseSchedule::from_betas(vec![0.1, 1.0])).contains("of step 1"));
    let schedule = NoiseSchedule::cosine(10).unwrap();
    assert!(message(schedule.spaced(11)).contains("1 to 10"));
    assert_eq!(schedule.spaced(10).unwrap(), (0..10).rev().collect::<Vec<usize>>());
}

#[test]
fn drawing_refuses_what_it_cannot_do() {
    let device = device();
    let unet = DiffusionUNetConfig { widths: vec![4, 8], ..DiffusionUNetConfig::new(1) };
    let unet = DiffusionUNet::new(&unet.groups(2), &mut init(3)).unwrap();
    let ddpm = Ddpm::new(NoiseSchedule::linear(20).unwrap());
    let draw = |options: &DrawOptions| {
        message(ddpm.sample(&unet, [1, 1, 8, 8], options, Key::new(0), &device))
    };
    let plain = DrawOptions::new();
    assert!(draw(&DrawOptions { sampler: Sampler::Ancestral(0), ..plain }).contains("1 to 20"));
    let eta = Sampler::Ddim { steps: 2, eta: 1.5 };
    assert!(draw(&DrawOptions { sampler: eta, ..plain }).contains("eta"));
    let sampler = Sampler::Ancestral(2);
    assert!(draw(&DrawOptions { sampler, guidance: 2.0, ..plain }).contains("without labels"));
}

#[test]
fn weights_of_a_critic_have_the_names_of_its_layers() {
    let config = DiscriminatorConfig { width: 4, ..DiscriminatorConfig::new(1, 64) };
    let norm = DiscriminatorNorm::Sample;
    let critic = DcganDiscriminator::new(&DiscriminatorConfig { norm, ..config }, &mut init(0));
    let names = |model: &dyn Module| -> Vec<String> {
        let names = model.parameters().into_iter().map(|(name, _)| name);
        names.filter(|name| name.ends_with("weight")).collect()
    };
    // A norm in place of the tutorial's batch norm, so the same places.
    let of_tutorial = [0, 2, 3, 5, 6, 8, 9, 11].map(|place| format!("main.{place}.weight"));
    assert_eq!(names(&critic.unwrap()), of_tutorial);
    let config = DcganConfig { width: 4, ..DcganConfig::new(3, 64) };
    let of_tutorial = [0, 1, 3, 4, 6, 7, 9, 10, 12].map(|place| format!("main.{place}.weight"));
    assert_eq!(names(&DcganGenerator::new(&config, &mut init(0)).unwrap()), of_tutorial);
}

/// The configuration of the published network of 32 x 32 pixels that diffusers' examples begin with.
const PUBLISHED: &str = r#"{
    "_class_name": "UNet2DModel", "_diffusers_version": "0.0.4", "act_fn": "silu", "attention_head_dim": null,
    "block_out_channels": [128, 256, 256, 256], "center_input_sample": false,
    "down_block_types": ["DownBlock2D", "AttnDownBlock2D", "DownBlock2D", "DownBlock2D"],
    "downsample_padding": 0, "flip_sin_to_cos": false, "freq_shift": 1, "in_channels": 3,
    "layers_per_block": 2, "mid_block_scale_factor": 1, "norm_eps": 1e-06, "norm_num_groups": 32,
    "out_channels": 3, "sample_size": 32, "time_embedding_type": "positional",
    "up_block_types": ["UpBlock2D", "UpBlock2D", "AttnUpBlock2D", "UpBlock2D"]
}"#;

#[test]
fn the_published_configuration_has_the_published_number_of_weights() {
    let config = DiffusionUNetConfig::from_json(PUBLISHED).unwrap();
    let model = DiffusionUNet::new(&config, &mut init(0)).unwrap();
    // 35.7 million, Ho et al., 2020, appendix B.
    assert_eq!(model.parameter_count(), 35_746_307);
    let refused = |from: &str, to: &str| {
        message(DiffusionUNetConfig::from_json(&PUBLISHED.replacen(from, to, 1)))
    };
    assert!(refused("\"silu\"", "\"gelu\"").contains("act_fn is \"gelu\""));
    assert!(refused("AttnDownBlock2D", "SkipDownBlock2D").contains("SkipDownBlock2D"));
    assert!(refused("AttnUpBlock2D", "UpBlock2D").contains("both ways have the same"));
    assert!(refused("\"out_channels\": 3", "\"out_channels\": 6").contains("6 out"));
    assert!(refused("UNet2DModel", "UNet1DModel").contains("_class_name"));
    assert!(refused("{", "[").contains("diffusion_unet"));
}

#[test]
fn a_folder_of_diffusers_loads_also_under_its_old_names() {
    let folder = tempfile::tempdir().unwrap();
    let text = r#"{"block_out_channels": [4, 8], "norm_num_groups": 2, "in_channels": 1, "out_channels": 1,
        "down_block_types": ["DownBlock2D", "AttnDownBlock2D"], "layers_per_block": 1,
        "up_block_types": ["AttnUpBlock2D", "UpBlock2D"], "num_class_embeds": 4, "mid_block_scale_factor": 1.0}"#;
    std::fs::write(folder.path().join("config.json"), text).unwrap();
    let config = DiffusionUNetConfig::from_json(text).unwrap();
    assert_eq!((config.classes, config.attention.as_slice()), (Some(3), &[1][..]));
    let mut model = DiffusionUNet::new(&config, &mut init(5)).unwrap();
    model.for_each_parameter(|_, weight| {
        let other = Tensor::normal(Key::new(9), *weight.shape(), 0.0, 0.3, &device());
        weight.set(&other);
    });
    let [x, labels] = [
        Tensor::normal(Key::new(1), [2, 1, 8, 8], 0.0, 1.0, &device()),
        Tensor::new([1, 3], &device()).unwrap(),
    ];
    let run = |model: &DiffusionUNet| {
        bits(&model.denoise(&x, &labels, Some(&labels), &mut Context::eval()))
    };
    let weights = model.state_dict().rename(|name| {
        Some(name.replace(".to_q.", ".query.").replace(".to_out.0.", ".proj_attn."))
    });
    let file = folder.path().join("diffusion_pytorch_model.safetensors");
    gradloom_nn::weights::save(&file, &weights).unwrap();
    let loaded = DiffusionUNet::from_folder(folder.path(), &device()).unwrap();
    assert_eq!(run(&loaded), run(&model));
    std::fs::remove_file(&file).unwrap();
    let missing = message(DiffusionUNet::from_folder(folder.path(), &device()));
    assert!(missing.contains("loading diffusion_unet from"), "{missing}");
}

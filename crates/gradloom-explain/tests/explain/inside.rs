//! Views into models find what was put there.

use gradloom_explain::*;
use gradloom_nn::layers::Linear;
use gradloom_nn::losses::{self, ClassOptions};
use gradloom_nn::{Activation, Adam, Context, Init, Layer, Optimizer, Sequential, gradients};
use gradloom_tensor::{DType, Key, Tensor, commit};

use crate::golden::Golden;

#[test]
fn attention_maps_are_those_of_the_original_and_flow_sums_to_one() {
    let golden = Golden::new();
    let bert = golden.bert();
    let forward = Golden::forward_of(&bert);
    let inputs = Inputs::from(golden.get("in.bert.tokens")).given([golden.get("in.bert.mask")]);
    let maps = attention_maps(&forward, &inputs).unwrap();
    assert_eq!(maps.len(), 2);
    for (number, (name, map)) in maps.iter().enumerate() {
        let theirs = golden.get(&format!("out.bert.attention.{number}"));
        let far = (map - theirs).abs().max(..).item().unwrap();
        assert!(far < 1e-6, "{name}: {far}");
    }
    let maps: Vec<Tensor> = maps.into_iter().map(|(_, map)| map).collect();
    let flow = attention_rollout(&maps).unwrap();
    assert_eq!(flow.shape(), &[2, 5, 5]);
    let sums = flow.sum(-1).to_vec::<f32>().unwrap();
    assert!(sums.iter().all(|sum| (sum - 1.0).abs() < 1e-6), "{sums:?}");
    assert!(attention_rollout(&[]).unwrap_err().to_string().contains("no maps"));

    let lens = logit_lens(&forward, &inputs, &["bert.embeddings"], |hidden| hidden.sum(2)).unwrap();
    assert_eq!(lens[0].1.shape(), &[2, 5]);
}

#[test]
fn views_of_layers_are_activations_with_gradients() {
    let golden = Golden::new();
    let cnn = golden.cnn();
    let (forward, inputs) = (Forward::of(&cnn), Inputs::from(golden.get("in.cnn.x")));
    let views = layer_views(&forward, &inputs, &Target::Classes(vec![2, 0])).unwrap();
    assert_eq!(views.len(), 10);
    let last = &views[9];
    assert_eq!(last.gradient.to_vec::<f32>().unwrap(), [0.0, 0.0, 1.0, 1.0, 0.0, 0.0]);
    let product = views[4].activation.mul(&views[4].gradient);
    let theirs = golden.get("out.cnn.layer_gradient_x_activation");
    assert!((product - theirs).abs().max(..).item().unwrap() < 1e-5);
}

#[test]
fn a_neuron_is_driven_up() {
    let golden = Golden::new();
    let cnn = golden.cnn();
    let neuron = Forward::of(&cnn).up_to("7.output");
    let start = Inputs::from(Tensor::zeros([1, 2, 8, 8], DType::F32, &golden.device));
    let ascent = ActivationMaximization { bounds: [-1.0, 1.0], ..Default::default() };
    let found = ascent.maximize(&neuron, &start, &Target::Class(3)).unwrap();
    let at = |x: &Tensor| neuron.run(std::slice::from_ref(x)).unwrap().index(1, 3).max(..);
    let random = Tensor::uniform(Key::new(1), [500, 2, 8, 8], -1.0, 1.0, &golden.device);
    let (driven, random) = (at(&found[0]).item().unwrap(), at(&random).item().unwrap());
    assert!(driven > random, "{driven} {random}");
    assert!(found[0].abs().max(..).item().unwrap() <= 1.0);
}

#[test]
fn probes_and_concepts_find_the_direction() {
    let device = gradloom_cpu::device();
    // The label is whether the first number is above the second; the third is noise of another size.
    let x = Tensor::normal(Key::new(0), [400, 3], 0.0, 1.0, &device)
        * Tensor::new([[1f32, 1.0, 50.0]], &device).unwrap();
    let difference = x.index(1, 0) - x.index(1, 1);
    let labels: Vec<usize> =
        difference.to_vec::<f32>().unwrap().iter().map(|d| usize::from(*d > 0.0)).collect();
    let probe = Probe::fit(&x, &labels, 2, 1e-3).unwrap();
    assert!(probe.accuracy(&x, &labels).unwrap() > 0.98);
    let error = Probe::fit(&x, &labels[1..], 2, 1e-3).unwrap_err().to_string();
    assert!(error.starts_with("probe: 399 labels"), "{error}");

    let model = Forward::new(|x, ctx| {
        let hidden = ctx.tap("hidden", &x[0]);
        Tensor::stack(&[hidden.index(1, 0) - hidden.index(1, 1), hidden.index(1, 2)], 1)
    });
    let part = |wanted: usize| {
        let rows = (0..400).filter(|&row| labels[row] == wanted).map(|row| row as i32);
        let rows: Vec<i32> = rows.collect();
        let index = Tensor::from_slice(&rows, [rows.len()], &device).unwrap();
        Inputs::from(x.index_select(0, &index))
    };
    let concept = ConceptVector::new(&model, "hidden", &part(1), &part(0)).unwrap();
    assert!(concept.accuracy > 0.98);
    let score = |target| tcav(&model, &Inputs::from(&x), &Target::Class(target), &concept).unwrap();
    assert_eq!(score(0), 1.0);
}

#[test]
fn patching_finds_the_layer_that_carries_the_difference() {
    let device = gradloom_cpu::device();
    let model = Forward::new(|x, ctx| {
        let left = ctx.tap("left", &x[0].index(1, 0).tanh().unsqueeze(1));
        let right = ctx.tap("right", &x[0].index(1, 1).tanh().unsqueeze(1));
        left * 3.0 + right
    });
    let [clean, other] = [[[2f32, 1.0]], [[-2.0, 1.0]]]
        .map(|rows| Inputs::from(Tensor::new(rows, &device).unwrap()));
    let layers = ["left", "right"];
    let found =
        activation_patching(&model, &clean, &other, &Target::Class(0), &layers, None).unwrap();
    assert!((found[0].restored[0] - 1.0).abs() < 1e-6 && found[1].restored[0].abs() < 1e-6);
    let at = activation_patching(&model, &clean, &other, &Target::Class(0), &["left"], Some(3));
    assert!(at.unwrap_err().to_string().contains("no place 3 in left"));
}

#[test]
fn influence_is_the_product_of_gradients() {
    let device = gradloom_cpu::device();
    let mut model = Linear::new(2, 1, &mut Init::new(Key::new(0), &device)).without_bias();
    commit(&mut model).unwrap();
    let loss = |model: &Linear, sample: &(Tensor, f64)| {
        let y = model.forward(&sample.0, &mut Context::eval());
        (y - sample.1).square().sum(..)
    };
    let sample = |x: [f32; 2], y: f64| (Tensor::new([x], &device).unwrap(), y);
    let training = [sample([1.0, 0.0], 1.0), sample([0.0, 1.0], 1.0), sample([1.0, 0.0], -9.0)];
    let test = [sample([1.0, 0.0], 1.0)];
    let found = trac_in(&[(model, 0.1)], loss, &training, &test).unwrap();
    assert!(found[0][0] > 0.0 && found[0][1] == 0.0 && found[0][2] < 0.0, "{found:?}");
}

#[test]
fn training_on_adversarial_inputs_makes_a_model_robust() {
    let device = gradloom_cpu::device();
    // Two classes by the sign of one robust number, and of many small ones that are easily moved.
    let n = 256;
    let sign = Tensor::randint(Key::new(0), [n], 0, 2, &device);
    let side = (sign.cast(DType::F32) * 2.0 - 1.0).unsqueeze(1);
    let strong = &side * 1.0 + Tensor::normal(Key::new(1), [n, 1], 0.0, 0.5, &device);
    let weak = &side * 0.15 + Tensor::normal(Key::new(2), [n, 20], 0.0, 0.1, &device);
    let x = Tensor::concat(&[strong, weak], 1);
    x.eval().unwrap();
    let labels = Target::Classes(
        sign.to_vec::<i32>().unwrap().into_iter().map(|label| label as usize).collect(),
    );
    let pgd = Pgd::new(0.2, 0.1, 4);
    let trained = |robust: bool| {
        let init = &mut Init::new(Key::new(3), &device);
        let mut model = Sequential::new()
            .with(Linear::new(21, 8, init))
            .with(Activation::Relu)
            .with(Linear::new(8, 2, init));
        let mut optimizer = Adam::new(0.02);
        for _ in 0..60 {
            let batch = match robust {
                true => pgd.perturb(&Forward::of(&model), &(&x).into(), &labels).unwrap().remove(0),
                false => x.clone(),
            };
            let logits = model.forward(&batch, &mut Context::train(Key::new(0)));
            let loss = losses::cross_entropy(&logits, &sign, &ClassOptions::default());
            let gradients = gradients(&loss, &model);
            optimizer.step(&gradients, &mut model);
            commit((&mut model, &mut optimizer)).unwrap();
        }
        let attacked = pgd.perturb(&Forward::of(&model), &(&x).into(), &labels).unwrap().remove(0);
        let answers = model.forward(&attacked, &mut Context::eval()).argmax(1);
        answers.eq(&sign).cast(DType::F32).mean(..).item().unwrap()
    };
    let (plain, robust) = (trained(false), trained(true));
    println!("accuracy under attack: {plain:.3} plain, {robust:.3} robust");
    assert!(robust > plain + 0.1, "{plain} {robust}");
}

//! Heads and losses of metric learning against their formulas in PyTorch (`golden/make_metric.py`), and that they learn.

mod support;

use gradloom_autodiff::grad;
use gradloom_data::{Dataset, mnist};
use gradloom_nn::layers::{Flatten, Linear};
use gradloom_nn::losses::triplet;
use gradloom_nn::{
    Activation, Adam, Context, Init, Layer, ModuleExt, Optimizer, Sequential, gradients,
};
use gradloom_tensor::{DType, Device, Key, Shape, Tensor, commit};
use gradloom_vision::{ArcFace, CosFace, Siamese, contrastive_loss};
use serde_json::Value;
use support::{filled, filled_f64};

fn expected() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/metric.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[track_caller]
fn close(what: &str, actual: &Tensor, expected: &Value) {
    let expected: Vec<f64> = serde_json::from_value(expected.clone()).unwrap();
    let actual = actual.cast(DType::F64).to_vec::<f64>().unwrap();
    assert_eq!(actual.len(), expected.len(), "{what}");
    for (index, (actual, expected)) in actual.iter().zip(&expected).enumerate() {
        let bound = 1e-7 + 1e-6 * expected.abs();
        let near = (actual - expected).abs() <= bound;
        assert!(near, "{what}: element {index} is {actual}, Python's is {expected}");
    }
}

#[track_caller]
fn check(what: &str, y: &Tensor, inputs: &[&Tensor], expected: &Value) {
    close(what, y, &expected[what]["value"]);
    let cotangent = filled_f64("cotangent", y.shape(), 1.0, 0.0, y.device());
    for (index, gradient) in grad(&(y * cotangent).sum(..), inputs).iter().enumerate() {
        close(&format!("{what}: gradient"), gradient, &expected[what]["gradients"][index]);
    }
}

fn given(expected: &Value, device: &Device) -> (Tensor, Tensor) {
    let x: Vec<f64> = serde_json::from_value(expected["x"].clone()).unwrap();
    let classes = Tensor::new([2, 0, 1, 2, 0], device).unwrap();
    (Tensor::from_vec(x, [5, 4], device).unwrap().tracked(), classes)
}

#[test]
fn angular_margins_are_their_formulas() {
    let device = gradloom_cpu::device();
    let expected = expected();
    let (x, classes) = given(&expected, &device);
    let init = &mut Init::new(Key::new(0), &device).dtype(DType::F64);
    let w = filled_f64("w", &Shape::new(&[3, 4]), 1.0, 0.0, &device);
    let mut arc = ArcFace::new(4, 3, init).scale(8.0);
    arc.weight.replace(&w);
    let inputs = [&x, arc.weight.tensor()];
    check("arc_face", &arc.logits(&x, &classes), &inputs, &expected);
    check("arc_face_loss", &arc.loss(&x, &classes), &inputs, &expected);
    let mut cosine = CosFace::new(4, 3, init).scale(8.0).margin(0.35);
    cosine.weight.replace(&w);
    let inputs = [&x, cosine.weight.tensor()];
    check("cos_face", &cosine.logits(&x, &classes), &inputs, &expected);
    check("cos_face_loss", &cosine.loss(&x, &classes), &inputs, &expected);
    // Without a margin all are cosines, and the margin is of the own class alone.
    let plain = arc.clone().margin(0.0).logits(&x, &classes);
    close(
        "no margin",
        &(plain - cosine.forward(&x, &mut Context::eval())),
        &serde_json::json!(vec![0.0; 15]),
    );
}

#[test]
fn an_embedding_along_its_class_has_finite_gradients() {
    let device = gradloom_cpu::device();
    let init = &mut Init::new(Key::new(0), &device);
    let mut arc = ArcFace::new(2, 2, init);
    arc.weight.replace(&Tensor::new([[1.0f32, 0.0], [0.0, 1.0]], &device).unwrap());
    // Along its class, against it, and without a direction.
    let x = Tensor::new([[3.0f32, 0.0], [0.0, -2.0], [0.0, 0.0]], &device).unwrap().tracked();
    let loss = arc.loss(&x, &Tensor::new([0, 1, 0], &device).unwrap());
    let gradients = grad(&loss, &[&x, arc.weight.tensor()]);
    for gradient in &gradients {
        assert!(gradient.to_vec::<f32>().unwrap().iter().all(|value| value.is_finite()));
    }
}

#[test]
fn losses_of_pairs_and_triplets_are_pytorchs() {
    let device = gradloom_cpu::device();
    let expected = expected();
    let of = |name: &str| filled_f64(name, &Shape::new(&[5, 4]), 1.0, 0.0, &device).tracked();
    let (left, right) = (of("left"), of("right"));
    let (x, _) = given(&expected, &device);
    // A tower that changes nothing.
    let model = Siamese::new(Activation::Identity);
    let distances = model.distances(&left, &right, &mut Context::eval());
    let alike = Tensor::new([1.0f64, 0.0, 0.0, 1.0, 0.0], &device).unwrap();
    check("contrastive", &contrastive_loss(&distances, &alike, 1.5), &[&left, &right], &expected);
    check("triplet", &triplet(&left, &right, &x, 0.4), &[&left, &right, &x], &expected);
}

#[test]
#[should_panic(expected = "siamese: pairs of [2, 3] and [3, 3]")]
fn pairs_of_different_shapes_are_refused() {
    let device = gradloom_cpu::device();
    let of = |rows: usize| Tensor::zeros([rows, 3], DType::F32, &device);
    let _ = Siamese::new(Activation::Identity).distances(&of(2), &of(3), &mut Context::eval());
}

#[test]
#[should_panic(expected = "arc_face: needs embeddings [N, 4], got shape [2, 3]")]
fn embeddings_of_other_sizes_are_refused() {
    let device = gradloom_cpu::device();
    let head = ArcFace::new(4, 3, &mut Init::new(Key::new(0), &device));
    let x = filled("x", &Shape::new(&[2, 3]), 1.0, 0.0, &device);
    let _ = head.loss(&x, &Tensor::new([0, 1], &device).unwrap());
}

fn digits(range: std::ops::Range<usize>, device: &Device) -> (Tensor, Vec<i32>) {
    let (train, _) = mnist::embedded_split().unwrap();
    let samples: Vec<_> = range.clone().map(|index| train.get(index).unwrap()).collect();
    let pixels = samples.iter().flat_map(|sample| sample.input.pixels());
    let pixels: Vec<f32> = pixels.map(|&level| f32::from(level) / 255.0).collect();
    let x = Tensor::from_vec(pixels, [range.len(), 784], device).unwrap();
    (x, samples.iter().map(|sample| sample.label).collect())
}

fn tower(init: &mut Init) -> Sequential {
    Sequential::new()
        .with(Flatten)
        .with(Linear::new(784, 64, init))
        .with(Activation::Relu)
        .with(Linear::new(64, 8, init))
}

/// The share of embeddings whose nearest other one, by angle, is of their class.
fn alike_neighbours(embeddings: &Tensor, labels: &[i32]) -> f64 {
    let x = embeddings.normalize(-1, 1e-12);
    let cosines = x.matmul(&x.t()).to_vec::<f32>().unwrap();
    let count = labels.len();
    let right = (0..count).filter(|&row| {
        let others = (0..count).filter(|&other| other != row);
        let of = |other: &usize| cosines[row * count + other];
        let nearest = others.max_by(|a, b| of(a).total_cmp(&of(b))).unwrap();
        labels[nearest] == labels[row]
    });
    right.count() as f64 / count as f64
}

#[test]
fn digits_of_one_class_come_to_lie_together() {
    let device = gradloom_cpu::device();
    let init = &mut Init::new(Key::new(0), &device);
    let (x, labels) = digits(0..400, &device);
    let (unseen, unseen_labels) = digits(400..800, &device);
    let classes = Tensor::from_slice(&labels, [400], &device).unwrap();

    #[derive(gradloom_nn::Module, Clone)]
    struct Faces {
        tower: Sequential,
        head: ArcFace,
    }
    let mut model = Faces { tower: tower(init), head: ArcFace::new(8, 10, init).scale(16.0) };
    let before =
        alike_neighbours(&model.tower.forward(&unseen, &mut Context::eval()), &unseen_labels);
    let mut optimizer = Adam::new(5e-3);
    for step in 0..80 {
        let mut ctx = Context::train(Key::new(step));
        let loss = model.head.loss(&model.tower.forward(&x, &mut ctx), &classes);
        optimizer.step(&gradients(&loss, &model), &mut model);
        commit((&mut model, &mut optimizer)).unwrap();
    }
    let after =
        alike_neighbours(&model.tower.forward(&unseen, &mut Context::eval()), &unseen_labels);
    println!("neighbours alike: {before:.3} to {after:.3}");
    assert!(after > before.max(0.8), "{before} to {after}");

    // Pairs of one batch with itself, moved by one to ninety places.
    let mut siamese = Siamese::new(tower(init));
    assert_eq!(siamese.parameter_count(), 784 * 64 + 64 + 64 * 8 + 8);
    let mut optimizer = Adam::new(3e-3);
    for step in 0..150 {
        let shift = 1 + step as isize * 37 % 390;
        let alike = classes.eq(classes.roll(shift, 0)).cast(DType::F32);
        let mut ctx = Context::train(Key::new(step));
        let d = siamese.distances(&x, &x.roll(shift, 0), &mut ctx);
        let loss = contrastive_loss(&d, &alike, 2.0);
        optimizer.step(&gradients(&loss, &siamese), &mut siamese);
        commit((&mut siamese, &mut optimizer)).unwrap();
    }
    let [a, b] = siamese.embeddings(&unseen, &unseen, &mut Context::eval());
    assert_eq!(a.to_vec::<f32>().unwrap(), b.to_vec::<f32>().unwrap());
    let share = alike_neighbours(&a, &unseen_labels);
    println!("neighbours alike by pairs: {share:.3}");
    assert!(share > before.max(0.75), "{share}");
}

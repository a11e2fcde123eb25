//! Losses of distillation against PyTorch, teachers on other devices, factors, shared weights, merged models.

use gradloom_compress::distil::merging::{mean, slerp, task_arithmetic, ties};
use gradloom_compress::distil::{
    FactorizedLinear, HiddenStates, Inversion, Rank, Teacher, attention_loss,
    attention_transfer_loss, cosine_loss, distillation_loss, hidden_loss, invert, relational_loss,
    share_weights,
};
use gradloom_compress::prune::is_prunable;
use gradloom_nn::layers::{
    BatchNorm, Conv2d, Dropout, GlobalAvgPool2d, Linear, MultiHeadAttention,
};
use gradloom_nn::{
    Activation, Adam, Context, Init, Layer, ModuleExt, Optimizer, Sequential, StateDict, gradients,
};
use gradloom_tensor::{DType, Device, Key, Tensor, commit};
use serde_json::Value;

fn device() -> Device {
    gradloom_cpu::device()
}

fn golden() -> Value {
    serde_json::from_str(include_str!("../golden/distil.json")).unwrap()
}

fn tensor(value: &Value, shape: &[usize]) -> Tensor {
    let numbers: Vec<f32> =
        value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap() as f32).collect();
    Tensor::from_slice(&numbers, shape, &device()).unwrap()
}

#[track_caller]
fn assert_close(found: &Tensor, expected: &Tensor, tolerance: f32) {
    let difference = (found - expected).abs().max(..).item().unwrap() as f32;
    assert!(difference <= tolerance, "{difference} apart");
}

#[test]
fn losses_and_their_gradients_are_pytorchs() {
    let golden = golden();
    let teacher = tensor(&golden["teacher"], &[6, 5]);
    let wide = tensor(&golden["wide"], &[6, 9]);
    type Loss<'a> = Box<dyn Fn(&Tensor) -> Tensor + 'a>;
    let losses: [(&str, Loss<'_>); 4] = [
        ("distillation", Box::new(|student| distillation_loss(student, &teacher, 3.0))),
        ("hidden", Box::new(|student| hidden_loss(student, &teacher))),
        ("cosine", Box::new(|student| cosine_loss(student, &teacher))),
        ("relational", Box::new(|student| relational_loss(student, &wide))),
    ];
    for (name, loss) in losses {
        let student = tensor(&golden["student"], &[6, 5]).tracked();
        let value = loss(&student);
        let expected = golden[name]["loss"].as_f64().unwrap();
        let found = value.item().unwrap();
        assert!(
            (found - expected).abs() < 1e-5 * expected.abs(),
            "{name}: {found}, not {expected}"
        );
        let gradient = gradloom_autodiff::grad(&value, &[&student]).remove(0);
        assert_close(&gradient, &tensor(&golden[name]["gradient"], &[6, 5]), 2e-6);
    }
    let features = tensor(&golden["features"], &[2, 3, 4, 4]);
    let wanted = tensor(&golden["wanted"], &[2, 7, 4, 4]);
    let found = attention_transfer_loss(&features, &wanted).item().unwrap();
    assert!((found - golden["attention_transfer"].as_f64().unwrap()).abs() < 1e-6, "{found}");
    // The teacher's side has no gradient.
    let own = teacher.tracked();
    let gradient =
        gradloom_autodiff::grad(&distillation_loss(&wide.narrow(1, 0, 5), &own, 2.0), &[&own]);
    assert_eq!(gradient[0].abs().max(..).item().unwrap(), 0.0);
}

fn named(tensors: [&Tensor; 1]) -> StateDict {
    [("weight", tensors[0].clone())].into_iter().collect()
}

#[test]
fn merged_models_are_the_papers() {
    let golden = golden();
    let base = named([&tensor(&golden["base"], &[3, 8])]);
    let models: Vec<StateDict> =
        (0..3).map(|number| named([&tensor(&golden["models"][number], &[3, 8])])).collect();
    let all: Vec<&StateDict> = models.iter().collect();
    let weight = |dict: StateDict| dict.get("weight").unwrap().clone();
    let of = |number: usize| models[number].get("weight").unwrap();
    let merged = ties(&base, &all, 0.4, 0.7).unwrap();
    assert_close(&weight(merged), &tensor(&golden["ties"], &[3, 8]), 1e-6);
    let turned = slerp(&models[0], &models[1], 0.3).unwrap();
    assert_close(&weight(turned), &tensor(&golden["slerp"], &[3, 8]), 1e-5);
    let same = slerp(&models[0], &models[0], 0.3).unwrap();
    assert_close(&weight(same), of(0), 1e-6);
    let soup = mean(&all[..2], &[1.0, 3.0]).unwrap();
    assert_close(&weight(soup), &(of(0) * 0.25 + of(1) * 0.75), 1e-6);
    let base_weight = base.get("weight").unwrap();
    let sum = task_arithmetic(&base, &all[..2], 0.5).unwrap();
    let expected = base_weight + (of(0) - base_weight + of(1) - base_weight) * 0.5;
    assert_close(&weight(sum), &expected, 1e-6);

    let other: StateDict = [("bias", of(0).clone())].into_iter().collect();
    for wrong in [
        mean(&[], &[]),
        mean(&all, &[1.0]),
        mean(&all[..2], &[1.0, -1.0]),
        mean(&[&models[0], &other], &[1.0, 1.0]),
        mean(&[&models[0], &named([&of(0).narrow(0, 0, 2)])], &[1.0, 1.0]),
        ties(&base, &all, 1.5, 1.0),
        slerp(&models[0], &models[1], f64::NAN),
        task_arithmetic(&base, &[], 1.0),
    ] {
        assert!(wrong.unwrap_err().to_string().starts_with("merge:"));
    }
}

#[test]
fn a_teacher_may_be_on_another_device_and_has_no_dropout() {
    let (near, far) = (device(), gradloom_testkit::reference::device());
    let init = &mut Init::new(Key::new(0), &far);
    let model = Sequential::new().with(Dropout::new(0.5)).with(Linear::new(4, 3, init));
    let teacher = Teacher::new(model);
    assert!(teacher.model().trainable().is_empty());
    let x = Tensor::uniform(Key::new(1), [16, 4], -1.0, 1.0, &near);
    let run = |model: &Sequential, x: &Tensor, ctx: &mut Context| model.forward(x, ctx);
    let wanted = teacher.output(&x, run);
    assert_eq!(wanted.device(), &near);
    assert_eq!(wanted.to_vec::<f32>().unwrap(), teacher.output(&x, run).to_vec::<f32>().unwrap());

    let mut student = Linear::new(4, 3, &mut Init::new(Key::new(5), &near));
    let mut optimizer = Adam::new(0.05);
    let mut losses = Vec::new();
    for _ in 0..80 {
        let wanted = teacher.output(&x, run);
        let loss = distillation_loss(&student.forward(&x, &mut Context::eval()), &wanted, 2.0);
        optimizer.step(&gradients(&loss, &student), &mut student);
        commit((&mut student, &mut optimizer)).unwrap();
        losses.push(loss.item().unwrap());
    }
    assert!(losses[79] < 0.02 * losses[0], "{} became {}", losses[0], losses[79]);
}

#[test]
fn hidden_states_and_attention_are_learnt_by_their_names() {
    let device = device();
    let init = &mut Init::new(Key::new(0), &device);
    let teacher = Teacher::new(MultiHeadAttention::new(16, 4, init));
    let mut student = MultiHeadAttention::new(16, 2, init);
    let x = Tensor::uniform(Key::new(1), [2, 5, 16], -1.0, 1.0, &device);
    let run = |model: &MultiHeadAttention, x: &Tensor, ctx: &mut Context| model.forward(x, ctx);
    let lesson = teacher.lesson(&x, run);
    let mut optimizer = Adam::new(0.02);
    let mut losses = Vec::new();
    for _ in 0..40 {
        let mut ctx = Context::eval().with_taps();
        student.forward(&x, &mut ctx);
        let attention = ctx.tapped("attention").unwrap();
        assert_eq!((attention.size(1), lesson.tap("attention").unwrap().size(1)), (2, 4));
        let loss = attention_loss(attention, lesson.tap("attention").unwrap());
        optimizer.step(&gradients(&loss, &student), &mut student);
        commit((&mut student, &mut optimizer)).unwrap();
        losses.push(loss.item().unwrap());
    }
    assert!(losses[39] < 0.5 * losses[0], "{} became {}", losses[0], losses[39]);

    let hidden = |student: &str, teacher: &str, sizes| {
        HiddenStates::new(
            [(student.to_owned(), teacher.to_owned())],
            sizes,
            &mut Init::new(Key::new(3), &device),
        )
    };
    let show = |features: usize| {
        let mut ctx = Context::eval().with_taps();
        ctx.tap("state", &Tensor::ones([2, features], DType::F32, &device));
        ctx
    };
    let lesson = gradloom_compress::distil::Lesson {
        output: x.clone(),
        taps: vec![("deep".into(), Tensor::zeros([2, 6], DType::F32, &device))],
    };
    let projected = hidden("state", "deep", [3, 6]);
    let loss = projected.loss(&mut show(3), &lesson).unwrap();
    assert_eq!(gradients(&loss, &projected).len(), 2);
    let same = hidden("state", "deep", [6, 6]);
    assert_eq!(same.loss(&mut show(6), &lesson).unwrap().item().unwrap(), 1.0);
    for (states, features, words) in [
        (hidden("absent", "deep", [3, 6]), 3, "student has shown no absent, but state"),
        (hidden("state", "absent", [3, 6]), 3, "teacher has shown no absent, but deep"),
        (hidden("state", "deep", [4, 6]), 3, "3 features, not 4"),
        (hidden("state", "deep", [3, 5]), 3, "becomes [2, 5]"),
    ] {
        let error = states.loss(&mut show(features), &lesson).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn factors_are_the_nearest_of_their_rank() {
    let device = device();
    let init = &mut Init::new(Key::new(0), &device);
    let layer = Linear::new(9, 7, init);
    let x = Tensor::uniform(Key::new(1), [4, 9], -1.0, 1.0, &device);
    let ctx = &mut Context::eval();
    let whole = FactorizedLinear::of(&layer, Rank::Of(7)).unwrap();
    assert_close(&whole.forward(&x, ctx), &layer.forward(&x, ctx), 1e-5);
    let product =
        |factors: &FactorizedLinear| factors.up.weight.matmul(factors.down.weight.tensor());
    let error = |factors: &FactorizedLinear| {
        (product(factors) - layer.weight.tensor()).square().sum(..).item().unwrap()
    };
    let all = layer.weight.square().sum(..).item().unwrap();
    let errors: Vec<f64> =
        (1..=7).map(|rank| error(&FactorizedLinear::of(&layer, Rank::Of(rank)).unwrap())).collect();
    assert!(errors.windows(2).all(|pair| pair[1] < pair[0]), "{errors:?}");
    for part in [0.5, 0.8, 0.95] {
        let factors = FactorizedLinear::of(&layer, Rank::Energy(part)).unwrap();
        let rank = factors.rank();
        assert!(error(&factors) <= (1.0 - part) * all * 1.0001);
        assert!(
            rank == 1 || errors[rank - 2] > (1.0 - part) * all,
            "rank {rank} is more than {part} takes"
        );
    }
    for rank in [Rank::Of(0), Rank::Of(8), Rank::Energy(1.5), Rank::Energy(f64::NAN)] {
        assert!(FactorizedLinear::of(&layer, rank).is_err());
    }
}

#[test]
fn shared_weights_are_few_numbers_near_the_weights() {
    let init = &mut Init::new(Key::new(0), &device());
    let mut layer = Linear::new(40, 30, init);
    let before = layer.weight.tensor().clone();
    let zeroed = before.abs().gt(0.02).select(&before, before.zeros_like());
    zeroed.eval().unwrap();
    layer.weight.set(&zeroed);
    let mut errors = Vec::new();
    for count in [4, 16] {
        let mut shared = layer.clone();
        let report = share_weights(&mut shared, count, is_prunable).unwrap();
        let mut values = shared.weight.to_vec::<f32>().unwrap();
        let old = layer.weight.to_vec::<f32>().unwrap();
        assert!(values.iter().zip(&old).all(|(new, old)| (*new == 0.0) == (*old == 0.0)));
        values.sort_by(f32::total_cmp);
        values.dedup();
        // No values are near zero, so one of sixteen centres may find none.
        assert!(values.len() <= count && values.len() + 1 >= count, "{values:?}");
        assert_eq!(values, report[0].values);
        assert_eq!(report[0].bits(), count.trailing_zeros());
        errors.push(report[0].error);
    }
    assert!(errors[1] < 0.15 * errors[0], "{errors:?}");
    assert!(share_weights(&mut layer, 1, is_prunable).is_err());
    assert!(share_weights(&mut layer, 4, |_, _| false).is_err());
}

#[test]
fn inputs_are_made_of_running_statistics() {
    let device = device();
    let init = &mut Init::new(Key::new(0), &device);
    let mut model = Sequential::new()
        .with(BatchNorm::new(2, init))
        .with(Conv2d::new(2, 16, [1, 1], Default::default(), init))
        .with(Activation::Relu)
        .with(GlobalAvgPool2d)
        .with(Linear::new(16, 2, init));
    model.for_each_parameter(|name, parameter| {
        let values: [f32; 2] = match name {
            "0.running_mean" => [2.0, -1.0],
            "0.running_var" => [0.25, 4.0],
            // Sure of itself, as a network is that has learnt.
            "4.weight" => return parameter.set(&(parameter.tensor() * 10.0)),
            _ => return,
        };
        parameter.set(&Tensor::from_slice(&values, [2], parameter.device()).unwrap());
    });
    let noise = Tensor::normal(Key::new(1), [16, 2, 4, 4], 0.0, 1.0, &device);
    let classes = Tensor::from_slice(&[0i32, 1].repeat(8), [16], &device).unwrap();
    let run = |model: &Sequential, x: &Tensor, ctx: &mut Context| model.forward(x, ctx);
    let options = Inversion { steps: 150, statistics: 100.0, ..Inversion::default() };
    let made = invert(&model, &noise, &classes, &options, run).unwrap();
    let axes: &[isize] = &[0, 2, 3];
    let means = made.mean(axes).to_vec::<f32>().unwrap();
    assert!((means[0] - 2.0).abs() < 0.1 && (means[1] + 1.0).abs() < 0.1, "{means:?}");
    let before =
        model.forward(&noise, &mut Context::eval()).cross_entropy(&classes).item().unwrap();
    let after = model.forward(&made, &mut Context::eval()).cross_entropy(&classes).item().unwrap();
    assert!(after < 0.8 * before, "{before} became {after}");

    let plain = Linear::new(3, 2, init);
    let x = Tensor::ones([16, 3], DType::F32, &device);
    let run = |model: &Linear, x: &Tensor, ctx: &mut Context| model.forward(x, ctx);
    let error = invert(&plain, &x, &classes, &options, run).unwrap_err().to_string();
    assert!(error.contains("no batch norm"), "{error}");
}

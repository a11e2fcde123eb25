//! Training as a whole: first values, randomness, frozen weights, saved and resumed runs, plans.

use gradloom_nn::init::Gain;
use gradloom_nn::layers::{
    BatchNorm, Conv2d, Dropout, Flatten, GlobalAvgPool2d, Linear, MaxPool2d,
};
use gradloom_nn::{
    Activation, Adam, AdamW, Context, Gradients, Init, Layer, LoadOptions, ModuleExt, Optimizer,
    Parameter, RmsProp, Schedule, Sequential, Sgd, StateDict, gradients, weights,
};
use gradloom_tensor::{DType, Device, Key, Shape, Tensor, Tensors, commit};

fn devices() -> Vec<Device> {
    vec![gradloom_testkit::reference::device(), gradloom_cpu::device()]
}

fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.to_vec::<f32>().unwrap()
}

fn tensor(device: &Device, values: &[f32], shape: &[usize]) -> Tensor {
    Tensor::from_slice(values, shape, device).unwrap()
}

fn mlp(device: &Device, seed: u64) -> Sequential {
    let init = &mut Init::new(Key::new(seed), device);
    Sequential::new()
        .with(Linear::new(2, 16, init))
        .with(Activation::Tanh)
        .with(Linear::new(16, 2, init))
}

/// The four points of exclusive or, and their classes.
fn xor(device: &Device) -> (Tensor, Tensor) {
    let points = tensor(device, &[0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0], &[4, 2]);
    (points, Tensor::from_slice(&[0i32, 1, 1, 0], 4, device).unwrap())
}

fn step(model: &mut Sequential, optimizer: &mut impl Optimizer, data: &(Tensor, Tensor)) -> f64 {
    let mut ctx = Context::train(Key::new(0));
    let mut loss = model.forward(&data.0, &mut ctx).cross_entropy(&data.1);
    let gradients = gradients(&loss, model);
    optimizer.step(&gradients, model);
    commit((model, optimizer, &mut loss)).unwrap();
    loss.item().unwrap()
}

#[test]
fn a_network_learns_exclusive_or() {
    for device in devices() {
        let (mut model, data) = (mlp(&device, 1), xor(&device));
        let mut optimizer = Adam::new(0.05);
        let first = step(&mut model, &mut optimizer, &data);
        let last = (0..100).map(|_| step(&mut model, &mut optimizer, &data)).last().unwrap();
        assert!(first > 0.5 && last < 0.05, "{}: from {first} to {last}", device.name());
        let classes = model.forward(&data.0, &mut Context::eval()).argmax(-1);
        assert_eq!(classes.to_vec::<i32>().unwrap(), [0, 1, 1, 0]);
    }
}

#[test]
fn the_same_key_gives_the_same_weights() {
    for device in devices() {
        let weights = |seed| {
            let mut model = mlp(&device, seed);
            commit(&mut model).unwrap();
            let parameters = model.parameters();
            parameters.into_iter().flat_map(|(_, weight)| values(weight)).collect::<Vec<f32>>()
        };
        assert_eq!(weights(3), weights(3));
        assert_ne!(weights(3), weights(4));
        // PyTorch's bound for two inputs.
        let bound = 1.0 / 2f32.sqrt();
        assert!(weights(3)[..48].iter().all(|value| value.abs() <= bound));
    }
}

#[test]
fn initialisers_have_their_deviations() {
    let device = gradloom_cpu::device();
    let init = &mut Init::new(Key::new(0), &device);
    let shape = [200, 50, 2, 2];
    let deviation = |weight: Parameter| weight.std(.., 0).item().unwrap();
    let (fan_in, fan_out) = (200.0f64, 800.0f64);
    let cases = [
        (deviation(init.kaiming_uniform(shape, Gain::Relu)), (2.0 / fan_in).sqrt()),
        (deviation(init.kaiming_normal(shape, Gain::LeakyRelu(1.0))), (1.0 / fan_in).sqrt()),
        (deviation(init.xavier_uniform(shape, Gain::Linear)), (2.0 / (fan_in + fan_out)).sqrt()),
        (
            deviation(init.xavier_normal(shape, Gain::Tanh)),
            5.0 / 3.0 * (2.0 / (fan_in + fan_out)).sqrt(),
        ),
        (deviation(init.normal(shape, 0.3)), 0.3),
        (deviation(init.uniform(shape, 0.3)), 0.3 / 3f64.sqrt()),
    ];
    for (index, (actual, expected)) in cases.into_iter().enumerate() {
        assert!((actual / expected - 1.0).abs() < 0.02, "case {index}: {actual}, not {expected}");
    }
}

#[test]
fn dropout_drops_its_share_and_keeps_the_mean() {
    for device in devices() {
        let ones = Tensor::ones([100, 100], DType::F32, &device);
        let dropout = Dropout::new(0.3);
        let mut ctx = Context::train(Key::new(5));
        let (first, second) = (dropout.forward(&ones, &mut ctx), dropout.forward(&ones, &mut ctx));
        let (first, second) = (values(&first), values(&second));
        assert_ne!(first, second);
        assert_eq!(first, values(&dropout.forward(&ones, &mut Context::train(Key::new(5)))));
        let dropped = first.iter().filter(|&&value| value == 0.0).count();
        assert!((2800..3200).contains(&dropped), "{dropped}");
        assert!(first.iter().all(|&value| value == 0.0 || (value - 1.0 / 0.7).abs() < 1e-6));
        assert_eq!(dropout.forward(&ones, &mut Context::eval()).id(), ones.id());
        let all = Dropout::new(1.0).forward(&ones, &mut ctx);
        assert!(values(&all).iter().all(|&value| value == 0.0));
    }
}

#[test]
fn frozen_weights_stay_and_have_no_gradients() {
    for device in devices() {
        let (mut model, data) = (mlp(&device, 1), xor(&device));
        commit(&mut model).unwrap();
        model.set_trainable(false, |name| name.starts_with("0."));
        let before = model.state_dict();
        let loss = model.forward(&data.0, &mut Context::eval()).cross_entropy(&data.1);
        let names: Vec<String> =
            gradients(&loss, &model).iter().map(|(name, _)| name.to_owned()).collect();
        assert_eq!(names, ["2.weight", "2.bias"]);
        step(&mut model, &mut Sgd::new(0.1), &data);
        for (name, old) in before.iter() {
            let same = values(old) == values(model.parameter(name).unwrap());
            assert_eq!(same, name.starts_with("0."), "{name}");
        }
    }
}

#[test]
fn a_resumed_run_goes_on_as_if_it_had_not_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let paths = ["model", "optimizer"].map(|name| folder.path().join(name));
    for device in devices() {
        let data = xor(&device);
        let optimizer = || AdamW::new(0.01).betas([0.9, 0.99]);
        let (mut model, mut first) = (mlp(&device, 1), optimizer());
        for _ in 0..3 {
            step(&mut model, &mut first, &data);
        }
        model.save(&paths[0]).unwrap();
        weights::save(&paths[1], &first.state_dict()).unwrap();
        let expected: Vec<f64> = (0..3).map(|_| step(&mut model, &mut first, &data)).collect();

        let (mut model, mut second) = (mlp(&device, 2), optimizer());
        model.load(&paths[0], &LoadOptions::strict()).unwrap();
        let state = weights::load(&paths[1], &device).unwrap();
        assert!(state.get("0.weight.exp_avg").is_some() && state.get("2.bias.step").is_some());
        second.load_state_dict(&state, &model).unwrap();
        let actual: Vec<f64> = (0..3).map(|_| step(&mut model, &mut second, &data)).collect();
        assert_eq!(actual, expected, "{}", device.name());

        let error = second
            .load_state_dict(&state, &Linear::new(2, 2, &mut Init::new(Key::new(0), &device)));
        assert!(error.unwrap_err().is_mismatch());
    }
}

#[test]
fn the_state_of_another_optimizer_is_refused() {
    let device = &devices()[0];
    let data = xor(device);
    let mut model = mlp(device, 1);
    let mut sgd = Sgd::new(0.01).momentum(0.9);
    let mut adam = Adam::new(0.01);
    let mut rms = RmsProp::new(0.01);
    step(&mut model, &mut sgd, &data);
    step(&mut model, &mut adam, &data);
    step(&mut model, &mut rms, &data);
    let states = [sgd.state_dict(), adam.state_dict(), rms.state_dict()];
    // Files of before, or of other programs, do not say what they are of.
    let unnamed = |state: &StateDict| {
        state.rename(|name| (!name.starts_with("optimizer:")).then(|| name.to_owned()))
    };
    let refused = |optimizer: &mut dyn Optimizer, state: &StateDict, words: [&str; 2]| {
        let before = optimizer.state_dict().len();
        let error = optimizer.load_state_dict(state, &model).unwrap_err();
        let message = error.to_string();
        assert!(
            error.is_mismatch() && words.iter().all(|word| message.contains(word)),
            "{message}"
        );
        assert_eq!(optimizer.state_dict().len(), before);
    };
    refused(&mut adam, &states[0], ["of Sgd", "not of Adam"]);
    refused(&mut AdamW::new(0.1), &states[1], ["of Adam,", "not of AdamW"]);
    refused(&mut sgd, &states[2], ["of RmsProp", "not of Sgd"]);
    refused(
        &mut adam,
        &unnamed(&states[0]),
        ["missing 0.bias.exp_avg", "unexpected 0.bias.momentum"],
    );
    refused(&mut sgd, &unnamed(&states[1]), ["missing 0.bias.momentum_buffer", "exp_avg_sq"]);
    refused(&mut Sgd::new(0.1), &unnamed(&states[0]), ["Sgd", "unexpected 0.bias.momentum_buffer"]);
    for part in ["exp_avg_sq", "exp_avg", "step"] {
        let part = format!("2.bias.{part}");
        let mut state = states[1].clone();
        state.remove(&part).unwrap();
        refused(&mut adam, &state, ["Adam", &format!("missing {part}")]);
    }
    let mut state = states[1].clone();
    state.insert("0.bias.step", tensor(device, &[-1.0], &[1]));
    refused(&mut adam, &state, ["0.bias.step", "-1"]);
    for (optimizer, state) in
        [&mut sgd as &mut dyn Optimizer, &mut adam, &mut rms].into_iter().zip(&states)
    {
        optimizer.load_state_dict(&unnamed(state), &model).unwrap();
        optimizer.load_state_dict(state, &model).unwrap();
        assert_eq!(optimizer.state_dict().len(), state.len());
    }
}

#[test]
fn weights_can_be_chosen_by_name() {
    for device in devices() {
        let mut model = mlp(&device, 1);
        commit(&mut model).unwrap();
        let ones: Gradients = model
            .trainable()
            .into_iter()
            .map(|(name, weight)| (name, weight.zeros_like()))
            .collect();
        let before = model.state_dict();
        let mut optimizer = Sgd::new(0.5)
            .weight_decay(0.1)
            .decay_only(|name, _| !name.ends_with("bias"))
            .rate_factor(|name| if name.starts_with("2.") { 0.0 } else { 1.0 });
        optimizer.step(&ones, &mut model);
        commit(&mut model).unwrap();
        for (name, old) in before.iter() {
            let factor = if name == "0.weight" { 0.95 } else { 1.0 };
            let new = values(model.parameter(name).unwrap());
            for (old, new) in values(old).into_iter().zip(new) {
                assert!((old * factor - new).abs() < 1e-6, "{name}: {old} to {new}");
            }
        }
    }
}

#[test]
fn a_gradient_passes_through_a_step() {
    // One step of w' = w - r * d(w^2 c)/dw = w (1 - 2 r c), so d(w'^2)/dc = -4 r w w'.
    for device in devices() {
        let init = &mut Init::new(Key::new(0), &device).dtype(DType::F32);
        let mut model = Linear::new(1, 1, init).without_bias();
        model.weight.set(&tensor(&device, &[3.0], &[1, 1]));
        let c = tensor(&device, &[0.5], &[1, 1]);
        let inner = (model.weight.square() * &c).sum(..);
        let gradients = gradients(&inner, &model);
        Sgd::new(0.1).step(&gradients, &mut model);
        let outer = model.weight.square().sum(..);
        let gradient = gradloom_autodiff::grad(&outer, &[&c]).remove(0);
        let (w, moved) = (3.0, 3.0 * 0.9);
        assert!((gradient.item().unwrap() - -4.0 * 0.1 * w * moved).abs() < 1e-5);
    }
}

#[test]
fn a_schedule_makes_no_new_plans() {
    // Of its own: others plan on the shared one.
    let backend = gradloom_cpu::CpuBackend::new(Some(1)).expect("a device");
    let device = backend.into_device();
    let (mut model, data) = (mlp(&device, 1), xor(&device));
    let schedule = Schedule::cosine(0.1, 20).warmup(3);
    let mut optimizer = Adam::new(0.0);
    let mut plans = Vec::new();
    for number in 0..12 {
        optimizer.set_learning_rate(schedule.at(number));
        step(&mut model, &mut optimizer, &data);
        plans.push(device.statistics().plans);
    }
    // The first step also makes the weights, the second begins with moments instead of zeros.
    assert!(plans[2..].iter().all(|&count| count == plans[2]), "{plans:?}");
}

#[test]
fn running_statistics_move_in_training_only() {
    for device in devices() {
        let mut norm = BatchNorm::new(2, &mut Init::new(Key::new(0), &device));
        let x = tensor(&device, &[1.0, 10.0, 3.0, 30.0], &[2, 2]);
        let mut ctx = Context::eval();
        norm.forward(&x, &mut ctx).eval().unwrap();
        assert_eq!(ctx.apply_updates(&mut norm), 0);
        let mut ctx = Context::train(Key::new(0));
        norm.forward(&x, &mut ctx);
        norm.forward(&x, &mut ctx);
        assert_eq!(ctx.apply_updates(&mut norm), 2);
        commit(&mut norm).unwrap();
        // Two passes: 0.1 m and then 0.9 * 0.1 m + 0.1 m; unbiased variances are 2 and 200.
        let close = |actual: &Parameter, expected: [f32; 2]| {
            let pairs = values(actual).into_iter().zip(expected);
            pairs.for_each(|(a, e)| assert!((a - e).abs() < 1e-4, "{a}, not {e}"));
        };
        close(&norm.running.as_ref().unwrap().running_mean, [0.19 * 2.0, 0.19 * 20.0]);
        close(
            &norm.running.as_ref().unwrap().running_var,
            [0.81 + 0.19 * 2.0, 0.81 + 0.19 * 200.0],
        );
        // Of two models that ran, each takes its own.
        let mut other = BatchNorm::new(2, &mut Init::new(Key::new(1), &device));
        other.forward(&norm.forward(&x, &mut ctx), &mut ctx);
        assert_eq!([ctx.apply_updates(&mut other), ctx.apply_updates(&mut norm)], [2, 2]);
        // After a commit they would be lost, or the run computed twice.
        norm.forward(&x, &mut ctx);
        commit(&mut norm).unwrap();
        let late = std::panic::AssertUnwindSafe(|| ctx.apply_updates(&mut norm));
        let message = *std::panic::catch_unwind(late).unwrap_err().downcast::<String>().unwrap();
        assert!(message.contains("running_mean") && message.contains("before commit"), "{message}");
        assert!(
            !norm.running.unwrap().running_mean.is_trainable()
                && norm.weight.unwrap().is_trainable()
        );
    }
}

#[test]
fn batch_norm_learns_from_more_than_one_value() {
    let device = &devices()[0];
    let mut norm = BatchNorm::new(2, &mut Init::new(Key::new(0), device));
    let run = |shape: &[usize], mut ctx: Context| {
        let x = Tensor::ones(Shape::new(shape), DType::F32, device);
        let result = norm.forward(&x, &mut ctx);
        (ctx, result)
    };
    for shape in [&[1, 2][..], &[0, 2], &[1, 2, 1], &[1, 2, 1, 1], &[3, 2, 0]] {
        let call = std::panic::AssertUnwindSafe(|| run(shape, Context::train(Key::new(0))));
        let message = *std::panic::catch_unwind(call).err().unwrap().downcast::<String>().unwrap();
        assert!(message.starts_with("batch_norm: ") && message.contains("more than one value"));
        let (_, result) = run(shape, Context::eval());
        assert_eq!(values(&result).len(), shape.iter().product::<usize>());
    }
    let mut ctx = run(&[1, 2, 2], Context::train(Key::new(0))).0;
    ctx.apply_updates(&mut norm);
    assert_eq!(values(&norm.running.unwrap().running_var), [0.9, 0.9]);
}

#[test]
fn layers_without_weights_stand_in_a_sequence() {
    for device in devices().into_iter().take(1) {
        let init = &mut Init::new(Key::new(0), &device);
        let mut model = Sequential::new()
            .with(Conv2d::new(1, 4, [3, 3], Default::default(), init).without_bias())
            .with(BatchNorm::new(4, init))
            .with(Activation::Relu)
            .with(MaxPool2d::new(2))
            .with(Sequential::new().with(GlobalAvgPool2d).with(Flatten))
            .with(Linear::new(4, 3, init));
        let names: Vec<String> = model.parameters().into_iter().map(|(name, _)| name).collect();
        let expected = [
            "0.weight",
            "1.weight",
            "1.bias",
            "1.running_mean",
            "1.running_var",
            "5.weight",
            "5.bias",
        ];
        assert_eq!(names, expected);
        let mut ctx = Context::eval().with_taps();
        let y = model.forward(&Tensor::ones([2, 1, 8, 8], DType::F32, &device), &mut ctx);
        assert_eq!(y.shape(), &[2, 3][..]);
        assert_eq!(ctx.tapped("4.0.output").unwrap().shape(), &[2, 4][..]);
        let copy = model.clone();
        model.for_each_parameter(|_, parameter| {
            let zeros = parameter.zeros_like();
            parameter.set(&zeros);
        });
        assert!(
            values(
                &copy.forward(
                    &Tensor::ones([1, 1, 8, 8], DType::F32, &device),
                    &mut Context::eval()
                )
            ) != [0.0; 3]
        );
        let mut count = 0;
        model.for_each_tensor(&mut |_| count += 1);
        assert_eq!(count, expected.len());
    }
}

#[test]
fn counters_of_pytorchs_batch_norms_are_overlooked() {
    let device = gradloom_testkit::reference::device();
    let mut norm = BatchNorm::new(2, &mut Init::new(Key::new(0), &device));
    let mut dict = norm.state_dict();
    dict.insert("num_batches_tracked", Tensor::scalar(7, DType::I32, &device));
    let report = norm.load_state_dict(&dict, &LoadOptions::strict()).unwrap();
    assert!(report.unexpected.is_empty());
}

/// What L-BFGS remembers, saved and read.
mod lbfgs_state {
    use gradloom_nn::layers::Linear;
    use gradloom_nn::optimizers::Lbfgs;
    use gradloom_nn::{Context, Init, Layer, Module, ModuleExt, StateDict};
    use gradloom_tensor::{Key, Tensor};

    /// A valley that is not round, whose bottom is not reached in few steps.
    fn loss(model: &Linear) -> Tensor {
        let x = Tensor::normal(Key::new(1), [8, 3], 0.0, 1.0, model.weight.device());
        let y = (x.sum(1).unsqueeze(1) * 2.0).tanh();
        model.forward(&x, &mut Context::eval()).tanh().mse_loss(&y)
    }

    fn model(inputs: usize) -> Linear {
        let device = gradloom_testkit::reference::device();
        Linear::new(inputs, 1, &mut Init::new(Key::new(0), &device))
    }

    fn values(model: &impl Module) -> Vec<f32> {
        let all = model.parameters().into_iter();
        all.flat_map(|(_, weight)| weight.to_vec::<f32>().unwrap()).collect()
    }

    #[test]
    fn what_was_saved_goes_on_with_the_same_bits() {
        for line_search in [false, true] {
            let lbfgs = || Lbfgs::new(0.5).iterations(3).history(4).line_search(line_search);
            let (mut whole, mut optimizer) = (model(3), lbfgs());
            for step in 0..4 {
                // Saved and read between any two steps, also before the first.
                let mut other = lbfgs();
                other.load_state_dict(&optimizer.state_dict(), &whole).unwrap();
                let mut resumed = whole.clone();
                optimizer.step(&mut whole, loss).unwrap();
                other.step(&mut resumed, loss).unwrap();
                assert_eq!(values(&whole), values(&resumed), "step {step}");
            }
            // Without its memory it goes elsewhere: the test can fail.
            let mut anew = whole.clone();
            optimizer.step(&mut whole, loss).unwrap();
            lbfgs().step(&mut anew, loss).unwrap();
            assert!(values(&whole) != values(&anew));
        }
    }

    #[test]
    fn a_state_that_does_not_fit_is_refused_by_name() {
        let (mut trained, mut optimizer) = (model(3), Lbfgs::new(0.5).iterations(4));
        optimizer.step(&mut trained, loss).unwrap();
        let state = optimizer.state_dict();
        let load = |state: &StateDict, inputs, history| {
            let mut other = Lbfgs::new(0.5).history(history);
            other.load_state_dict(state, &model(inputs)).unwrap_err().to_string()
        };
        let message = load(&state, 4, 9);
        assert!(message.contains("is f32 [4]; the trainable weights are f32 [5]"), "{message}");
        let message = load(&state, 3, 1);
        assert!(message.contains("more than the 1 of history"), "{message}");
        for (name, part) in [
            ("pairs.0.change", "pairs.0.change is missing"),
            ("length", "length is missing"),
            ("optimizer:Lbfgs", "not of Lbfgs"),
        ] {
            let mut cut = state.clone();
            cut.remove(name);
            let message = load(&cut, 3, 9);
            assert!(message.contains(part), "{message} lacks {part}");
        }
        let mut more = state.clone();
        more.insert(
            "other",
            Tensor::scalar(1.0, gradloom_tensor::DType::F32, trained.weight.device()),
        );
        assert!(load(&more, 3, 9).contains("none of its own"));
    }
}

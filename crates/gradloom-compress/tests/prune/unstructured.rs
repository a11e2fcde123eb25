//! Masks: against PyTorch, and what keeps zeros zero.

use std::collections::BTreeMap;

use gradloom_compress::prune::{
    InputStatistics, Masks, Pruned, Pruner, SparseGpt, Sparsity, SparsitySchedule, is_prunable,
    sparse_gpt, sparsity_of, wanda,
};
use gradloom_nn::layers::{Embedding, Linear};
use gradloom_nn::{
    Activation, AdamW, Context, Init, Layer, LoadOptions, ModuleExt, Optimizer, Parameter,
    Sequential, Sgd, gradients,
};
use gradloom_tensor::{DType, Device, Key, Tensor, commit};
use serde_json::Value;

fn device() -> Device {
    gradloom_cpu::device()
}

fn golden() -> Value {
    serde_json::from_str(include_str!("../golden/prune.json")).unwrap()
}

fn numbers(value: &Value) -> Vec<f32> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap() as f32).collect()
}

fn weight_of(golden: &Value, number: usize) -> Tensor {
    let shape = numbers(&golden["shapes"][number]);
    let shape: Vec<usize> = shape.into_iter().map(|size| size as usize).collect();
    Tensor::from_slice(&numbers(&golden["weights"][number]), &shape[..], &device()).unwrap()
}

fn layer_of(golden: &Value, number: usize) -> Linear {
    Linear::from_parts(Parameter::new(weight_of(golden, number)), None)
}

fn is_matrix(name: &str, _: &Parameter) -> bool {
    name.ends_with("weight")
}

fn as_numbers(mask: &Tensor) -> Vec<f32> {
    mask.cast(DType::F32).to_vec().unwrap()
}

#[test]
fn magnitude_is_pytorchs() {
    let golden = golden();
    let model = [layer_of(&golden, 0), layer_of(&golden, 1)];
    for (key, sparsity) in [("local", Sparsity::PerLayer(0.35)), ("global", Sparsity::Global(0.35))]
    {
        let masks = Masks::magnitude(&model, sparsity, is_matrix).unwrap();
        for (number, name) in ["0.weight", "1.weight"].into_iter().enumerate() {
            let kept = as_numbers(masks.get(name).unwrap());
            let expected = numbers(&golden["magnitude"][key][number]);
            let expected: Vec<f32> =
                expected.iter().map(|value| f32::from(u8::from(*value != 0.0))).collect();
            assert_eq!(kept, expected, "{key} {name}");
        }
    }
}

#[test]
fn wanda_is_the_papers() {
    let golden = golden();
    let layer = layer_of(&golden, 1);
    let x = Tensor::from_slice(&numbers(&golden["x"]), [50, 40], &device()).unwrap();
    let batches = || [x.narrow(0, 0, 20), x.narrow(0, 20, 30).unsqueeze(0)];
    let run = |layer: &Linear, x: Tensor, ctx: &mut Context| layer.forward(&x, ctx);
    for inputs in [
        InputStatistics::squares(&layer, batches(), run).unwrap(),
        InputStatistics::pairs(&layer, batches(), run).unwrap(),
    ] {
        for (number, sparsity) in
            [Sparsity::PerLayer(0.55), Sparsity::Pattern { n: 2, m: 4 }].into_iter().enumerate()
        {
            let masks = wanda(&layer, &inputs, sparsity, is_matrix).unwrap();
            let found = as_numbers(masks.get("weight").unwrap());
            assert_eq!(found, numbers(&golden["wanda"][number]));
        }
        let error = wanda(&layer, &inputs, Sparsity::Global(0.5), is_matrix).unwrap_err();
        assert!(error.to_string().contains("PerLayer"), "{error}");
    }
}

#[test]
fn sparse_gpt_is_the_papers_and_hurts_less_than_magnitude() {
    let golden = golden();
    let x = Tensor::from_slice(&numbers(&golden["x"]), [50, 40], &device()).unwrap();
    let dense = layer_of(&golden, 1);
    let run = |layer: &Linear, x: Tensor, ctx: &mut Context| layer.forward(&x, ctx);
    let inputs = InputStatistics::pairs(&dense, [x.clone()], run).unwrap();
    let options = SparseGpt { block: 16, ..SparseGpt::default() };
    for (number, sparsity) in
        [Sparsity::PerLayer(0.5), Sparsity::Pattern { n: 2, m: 4 }].into_iter().enumerate()
    {
        let mut layer = dense.clone();
        let masks = sparse_gpt(&mut layer, &inputs, sparsity, options, is_matrix).unwrap();
        let found = layer.weight.to_vec::<f32>().unwrap();
        let expected = numbers(&golden["sparse_gpt"][number]);
        let largest = expected.iter().fold(0f32, |largest, value| largest.max(value.abs()));
        for (index, (found, expected)) in found.iter().zip(&expected).enumerate() {
            assert!(
                (found - expected).abs() < 1e-4 * largest,
                "{index}: {found} instead of {expected}"
            );
        }
        assert_eq!(masks.report().unwrap()[0].sparsity(), 0.5);

        let mut plain = dense.clone();
        Masks::magnitude(&dense, sparsity, is_matrix).unwrap().finish(&mut plain).unwrap();
        let ctx = &mut Context::eval();
        let expected = dense.forward(&x, ctx);
        let mut error =
            |layer: &Linear| (layer.forward(&x, ctx) - &expected).square().mean(..).item().unwrap();
        let [reconstructed, cut] = [error(&layer), error(&plain)];
        assert!(
            reconstructed < 0.75 * cut,
            "{reconstructed} with what stays changed, {cut} without"
        );
    }
    let squares = InputStatistics::squares(&dense, [x], run).unwrap();
    let error =
        sparse_gpt(&mut dense.clone(), &squares, Sparsity::PerLayer(0.5), options, is_matrix);
    assert!(error.unwrap_err().to_string().contains("pairs"));
}

#[test]
fn equal_weights_go_in_exactly_the_asked_number() {
    let mut layer = Linear::new(8, 5, &mut Init::new(Key::new(0), &device())).without_bias();
    layer.weight.set(&layer.weight.full_like(0.5));
    for part in [0.0, 0.3, 0.5, 0.99] {
        let zeros = (part * 40.0_f64).round() as usize;
        for sparsity in [Sparsity::PerLayer(part), Sparsity::Global(part)] {
            let masks = Masks::magnitude(&layer, sparsity, is_prunable).unwrap();
            assert_eq!(masks.report().unwrap()[0].zeros, zeros);
        }
    }
    let masks = Masks::magnitude(&layer, Sparsity::Pattern { n: 1, m: 4 }, is_prunable).unwrap();
    let kept = as_numbers(masks.get("weight").unwrap());
    assert!(kept.chunks(4).all(|part| part.iter().sum::<f32>() == 1.0), "{kept:?}");
    let one = Masks::random(&layer, Sparsity::PerLayer(0.5), Key::new(1), is_prunable).unwrap();
    let other = Masks::random(&layer, Sparsity::PerLayer(0.5), Key::new(2), is_prunable).unwrap();
    assert_ne!(as_numbers(one.get("weight").unwrap()), as_numbers(other.get("weight").unwrap()));
    assert_eq!(other.report().unwrap()[0].zeros, 20);
}

fn network() -> Sequential {
    let init = &mut Init::new(Key::new(0), &device());
    Sequential::new()
        .with(Linear::new(6, 16, init))
        .with(Activation::Tanh)
        .with(Linear::new(16, 3, init))
}

fn batch() -> [Tensor; 2] {
    let x = Tensor::uniform(Key::new(5), [32, 6], -1.0, 1.0, &device());
    let y = x.narrow(1, 0, 3) * x.narrow(1, 3, 3);
    [x, y]
}

fn learn(pruned: &mut Pruned<Sequential>, optimizer: &mut dyn Optimizer, steps: usize) -> f64 {
    let [x, y] = batch();
    let mut last = f64::INFINITY;
    for _ in 0..steps {
        let loss = pruned.forward(&x, &mut Context::eval()).mse_loss(&y);
        optimizer.step(&gradients(&loss, &*pruned), pruned);
        struct Both<'a>(&'a mut Pruned<Sequential>, &'a mut dyn Optimizer);
        impl gradloom_tensor::Tensors for Both<'_> {
            fn for_each_tensor(&mut self, visit: &mut dyn FnMut(&mut Tensor)) {
                self.0.for_each_tensor(visit);
                self.1.for_each_tensor(visit);
            }
        }
        commit(&mut Both(pruned, optimizer)).unwrap();
        last = loss.item().unwrap();
    }
    last
}

/// Where weights are zero.
fn zeros(pruned: &Pruned<Sequential>) -> BTreeMap<String, Vec<bool>> {
    let weights = pruned.model.parameters().into_iter();
    let weights = weights.filter(|(name, _)| name.ends_with("weight"));
    weights
        .map(|(name, weight)| {
            (name, weight.to_vec::<f32>().unwrap().iter().map(|value| *value == 0.0).collect())
        })
        .collect()
}

#[test]
fn momentum_and_decay_never_revive_a_weight() {
    // Momentum from before the masks would move them at once.
    let plain = Masks::ones(&network(), is_prunable);
    let mut pruned = Pruned::new(network(), plain).unwrap();
    let optimizer = AdamW::new(0.05).weight_decay(0.1);
    let mut optimizer = Pruner::fixed(optimizer);
    learn(&mut pruned, &mut optimizer, 5);
    let masks = Masks::magnitude(&pruned.model, Sparsity::Global(0.6), is_prunable).unwrap();
    let mut pruned = Pruned::new(pruned.model, masks).unwrap();
    let before = zeros(&pruned);
    let first = learn(&mut pruned, &mut optimizer, 1);
    let last = learn(&mut pruned, &mut optimizer, 60);
    assert!(last < 0.7 * first, "{first} became {last}");
    assert_eq!(zeros(&pruned), before);
    let gone: usize = before.values().flatten().filter(|zero| **zero).count();
    assert_eq!(gone, pruned.report().unwrap().iter().map(|layer| layer.zeros).sum::<usize>());
    let counted: usize = sparsity_of(&pruned.model).unwrap().iter().map(|layer| layer.zeros).sum();
    assert_eq!(counted, gone);
    let model = pruned.clone().finish().unwrap();
    assert_eq!(model.parameters().len(), 4);
    let x = batch()[0].clone();
    let outputs = |y: Tensor| y.to_vec::<f32>().unwrap();
    let ctx = &mut Context::eval();
    assert_eq!(outputs(model.forward(&x, ctx)), outputs(pruned.forward(&x, ctx)));
}

#[test]
fn weights_go_while_a_model_learns_and_a_run_goes_on_from_its_states() {
    for movement in [false, true] {
        let schedule = SparsitySchedule::cubic(0.75, 2, 20).unwrap().every(3);
        let new = || {
            let optimizer = Pruner::new(Sgd::new(0.1).momentum(0.9), schedule);
            let optimizer = optimizer.sparsity(Sparsity::Global(0.0));
            if movement { optimizer.movement() } else { optimizer }
        };
        let start = Pruned::gradually(network(), is_prunable).unwrap().tracking_movement();
        let (mut whole, mut optimizer) = (start.clone(), new());
        learn(&mut whole, &mut optimizer, 30);
        let gone: usize = whole.report().unwrap().iter().map(|layer| layer.zeros).sum();
        assert_eq!(gone, 108, "three quarters of 144 weights");

        let (mut half, mut first) = (start.clone(), new());
        learn(&mut half, &mut first, 11);
        let earlier = zeros(&half);
        let part: usize = half.report().unwrap().iter().map(|layer| layer.zeros).sum();
        assert!(part > 0 && part < gone);
        let (mut resumed, mut second) = (start, new());
        resumed.load_state_dict(&half.state_dict(), &LoadOptions::strict()).unwrap();
        second.load_state_dict(&first.state_dict(), &resumed).unwrap();
        learn(&mut resumed, &mut second, 19);
        for (name, weight) in whole.parameters() {
            let own = resumed.parameter(&name).unwrap();
            let [expected, found] = [weight.tensor(), own.tensor()].map(as_numbers);
            assert_eq!(found, expected, "{name}");
        }
        for (name, gone) in earlier {
            let later = zeros(&whole)[&name].clone();
            assert!(
                gone.iter().zip(&later).all(|(gone, later)| !gone || *later),
                "{name} came back"
            );
        }
    }
}

#[test]
fn schedules_end_where_they_should() {
    let cubic = SparsitySchedule::cubic(0.9, 10, 110).unwrap().every(40);
    let changes: Vec<(u64, f64)> =
        (0..200).filter_map(|step| Some((step, cubic.at(step)?))).collect();
    let steps: Vec<u64> = changes.iter().map(|(step, _)| *step).collect();
    assert_eq!(steps, [10, 50, 90, 110]);
    assert_eq!((changes[0].1, changes[3].1), (0.0, 0.9));
    let linear = SparsitySchedule::linear(0.5, 0, 10).unwrap().from(0.1);
    assert!((linear.at(5).unwrap() - 0.3).abs() < 1e-12);
    let once = SparsitySchedule::one_shot(0.5, 7).unwrap();
    let all: Vec<_> = (0..20).filter_map(|step| once.at(step)).collect();
    assert!(all.iter().all(|part| *part == 0.5) && !all.is_empty());
    for (sparsity, end) in [(0.0, 5), (1.0, 5), (f64::NAN, 5), (0.5, 0)] {
        SparsitySchedule::cubic(sparsity, 0, end).unwrap_err();
    }
}

#[test]
fn what_cannot_be_pruned_is_named() {
    let model = network();
    let message = |result: gradloom_tensor::Result<Masks>| result.unwrap_err().to_string();
    for part in [1.0, -0.1, f64::NAN] {
        assert!(
            message(Masks::magnitude(&model, Sparsity::Global(part), is_prunable))
                .contains("sparsity")
        );
    }
    let pattern = Sparsity::Pattern { n: 2, m: 4 };
    let found = message(Masks::magnitude(&model, pattern, is_prunable));
    assert!(found.contains("0.weight"), "{found}");
    assert!(
        message(Masks::magnitude(&model, Sparsity::Pattern { n: 4, m: 4 }, is_prunable))
            .contains("4 of 4")
    );
    assert!(
        message(Masks::magnitude(&model, Sparsity::Global(0.5), |_, _| false))
            .contains("no weight")
    );
    let wrong: Masks =
        [("0.weight".to_owned(), Tensor::full([2, 2], true, DType::Bool, &device()))]
            .into_iter()
            .collect();
    let error = Pruned::new(network(), wrong).unwrap_err().to_string();
    assert!(error.contains("0.weight") && error.contains("[2, 2]"), "{error}");
    let unknown: Masks =
        [("9.weight".to_owned(), Tensor::full([2, 2], true, DType::Bool, &device()))]
            .into_iter()
            .collect();
    assert!(unknown.check(&model).unwrap_err().to_string().contains("9.weight"));

    let init = &mut Init::new(Key::new(0), &device());
    let table = Sequential::new().with(Embedding::new(5, 4, init)).with(Linear::new(4, 2, init));
    let tokens = Tensor::new([[1, 2], [3, 4]], &device()).unwrap();
    let run = |model: &Sequential, tokens: Tensor, ctx: &mut Context| model.forward(&tokens, ctx);
    let inputs = InputStatistics::squares(&table, [tokens], run).unwrap();
    let error =
        wanda(&table, &inputs, Sparsity::PerLayer(0.5), is_prunable).unwrap_err().to_string();
    assert!(error.contains("0.weight"), "{error}");
    InputStatistics::squares(&table, [], run).unwrap_err();
    let x = Tensor::full([1, 6], f32::NAN, DType::F32, &device());
    let error = InputStatistics::squares(&model, [x], run).unwrap_err().to_string();
    assert!(error.contains("not finite"), "{error}");
}

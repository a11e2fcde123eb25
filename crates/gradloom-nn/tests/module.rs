//! Models as structs: names, roles, dictionaries, and the context of a run.

use std::collections::BTreeMap;

use gradloom_nn::{Context, LoadOptions, Module, ModuleExt, Parameter, Role, StateDict};
use gradloom_tensor::{Device, Key, Tensor, Tensors};
use gradloom_testkit::storage::{counting, device};

#[derive(Module, Clone)]
struct Dense {
    weight: Parameter,
    bias: Option<Parameter>,
    units: usize,
}

impl Dense {
    fn new(device: &Device, units: usize, bias: bool) -> Self {
        Dense {
            weight: Parameter::new(counting(device, &[units, 2], 1.0)),
            bias: bias.then(|| Parameter::new(counting(device, &[units], 0.0))),
            units,
        }
    }
}

#[derive(Clone)]
enum Shape {
    Round,
}

#[derive(Module, Clone)]
enum Head<M> {
    None,
    One(M),
    Two(M, M),
    Named { left: M, right: M },
}

#[derive(Module, Clone)]
struct Pair(Dense, #[module(rename = "second")] Dense);

#[derive(Module, Clone)]
struct Model<M> {
    layers: Vec<Dense>,
    #[module(flatten)]
    body: Pair,
    #[module(rename = "type")]
    kind: Box<Dense>,
    r#mod: [Dense; 1],
    #[module(skip)]
    #[expect(dead_code, reason = "it has no weights")]
    shape: Shape,
    head: Head<M>,
    mean: Parameter,
    experts: BTreeMap<String, (M, M)>,
}

fn model(device: &Device, head: Head<Dense>) -> Model<Dense> {
    let dense = |bias| Dense::new(device, 3, bias);
    Model {
        layers: vec![dense(true), dense(false)],
        body: Pair(dense(false), dense(false)),
        kind: Box::new(dense(false)),
        r#mod: [dense(false)],
        shape: Shape::Round,
        head,
        mean: Parameter::state(counting(device, &[3], 5.0)),
        experts: BTreeMap::from([("a".to_owned(), (dense(false), dense(false)))]),
    }
}

fn names(module: &dyn Module) -> Vec<String> {
    module.parameters().into_iter().map(|(name, _)| name).collect()
}

#[test]
fn names_are_the_dotted_fields() {
    let device = device();
    let dense = || Dense::new(&device, 3, false);
    let common = [
        "layers.0.weight",
        "layers.0.bias",
        "layers.1.weight",
        "0.weight",
        "second.weight",
        "type.weight",
        "mod.0.weight",
    ];
    let last = ["mean", "experts.a.0.weight", "experts.a.1.weight"];
    let heads = [
        (Head::None, vec![]),
        (Head::One(dense()), vec!["head.weight"]),
        (Head::Two(dense(), dense()), vec!["head.0.weight", "head.1.weight"]),
        (
            Head::Named { left: dense(), right: dense() },
            vec!["head.left.weight", "head.right.weight"],
        ),
    ];
    for (head, expected) in heads {
        let mut model = model(&device, head);
        let expected: Vec<&str> = common.into_iter().chain(expected).chain(last).collect();
        assert_eq!(names(&model), expected);
        let mut mutable = Vec::new();
        model.for_each_parameter(|name, _| mutable.push(name.to_owned()));
        assert_eq!(mutable, expected);
        let mut tensors = 0;
        model.for_each_tensor(&mut |_| tensors += 1);
        assert_eq!(tensors, expected.len());
    }
}

#[test]
fn freezing_follows_names_and_leaves_statistics_alone() {
    let device = device();
    let mut model = model(&device, Head::One(Dense::new(&device, 3, true)));
    let all = model.parameters().len();
    assert_eq!(model.trainable().len(), all - 1);
    assert_eq!(model.parameter_count(), 10 * 6 - 6 + 2 * 3);
    assert!(model.parameter("head.weight").unwrap().is_tracked());
    let frozen = model.set_trainable(false, |name| !name.starts_with("head."));
    assert_eq!(frozen, all - 3);
    let left: Vec<String> = model.trainable().into_iter().map(|(name, _)| name).collect();
    assert_eq!(left, ["head.weight", "head.bias"]);
    assert!(!model.parameter("layers.0.weight").unwrap().is_tracked());
    assert_eq!(model.mean.role(), Role::State);
    model.unfreeze();
    assert_eq!(model.trainable().len(), all - 1);
    assert!(model.parameter("layers.0.weight").unwrap().is_tracked());
    assert_eq!(model.mean.role(), Role::State);
}

#[test]
fn a_dictionary_goes_round() {
    let device = device();
    let mut first = Dense::new(&device, 3, true);
    first.weight.set(&counting(&device, &[3, 2], 100.0));
    let dict = first.state_dict();
    assert_eq!(dict.len(), 2);
    let mut second = Dense::new(&device, 3, true);
    let report = second.load_state_dict(&dict, &LoadOptions::strict()).unwrap();
    assert!(report.missing.is_empty() && report.unexpected.is_empty());
    assert_eq!(second.weight.to_vec::<f32>().unwrap(), [100.0, 101.0, 102.0, 103.0, 104.0, 105.0]);
    assert!(second.weight.is_tracked() && second.weight.is_trainable());
}

#[test]
fn what_does_not_fit_is_listed_and_changes_nothing() {
    let device = device();
    let mut dense = Dense::new(&device, 3, true);
    let dict: StateDict = [
        ("weight", counting(&device, &[3, 2], 9.0)),
        ("extra", counting(&device, &[1], 9.0)),
        ("more", counting(&device, &[1], 9.0)),
    ]
    .into_iter()
    .collect();
    let error = dense.load_state_dict(&dict, &LoadOptions::strict()).unwrap_err();
    assert!(error.is_mismatch());
    assert_eq!(
        error.to_string(),
        "load: 1 names are missing from the file: bias; 2 names are not in the model: extra, more; \
         LoadOptions::lenient overlooks names"
    );
    assert_eq!(dense.weight.to_vec::<f32>().unwrap()[0], 1.0);
    let report = dense.load_state_dict(&dict, &LoadOptions::lenient()).unwrap();
    assert_eq!(report.missing, ["bias"]);
    assert_eq!(report.unexpected, ["extra", "more"]);
    assert_eq!(dense.weight.to_vec::<f32>().unwrap()[0], 9.0);

    let wrong: StateDict = [("weight", counting(&device, &[2, 3], 7.0))].into_iter().collect();
    let error = dense.load_state_dict(&wrong, &LoadOptions::lenient()).unwrap_err().to_string();
    assert_eq!(error, "load: weight has shape [2, 3], the model's has [3, 2]");
    let buffer = device.backend().upload(gradloom_tensor::DType::I32, &[0; 24]).unwrap();
    let whole: StateDict =
        [("weight", Tensor::from_buffer(buffer, [3, 2], &device))].into_iter().collect();
    let error = dense.load_state_dict(&whole, &LoadOptions::lenient().cast()).unwrap_err();
    assert_eq!(error.to_string(), "load: weight is i32, the model's is f32");
    assert_eq!(dense.weight.to_vec::<f32>().unwrap()[0], 9.0);
}

#[test]
fn renamed_dictionaries_drop_what_gets_no_name() {
    let device = device();
    let dict: StateDict = ["bert.a", "bert.b", "cls.c"]
        .into_iter()
        .map(|name| (name, counting(&device, &[1], 0.0)))
        .collect();
    let renamed = dict.rename(|name| name.strip_prefix("bert.").map(str::to_owned));
    assert_eq!(renamed.iter().map(|(name, _)| name).collect::<Vec<_>>(), ["a", "b"]);
}

#[test]
fn a_context_gives_new_keys_and_repeats_them_in_another_run() {
    let keys = |ctx: &mut Context| [ctx.key(), ctx.key(), ctx.key()];
    let first = keys(&mut Context::train(Key::new(3)));
    assert_eq!(first, keys(&mut Context::train(Key::new(3))));
    assert!(first[0] != first[1] && first[1] != first[2]);
    assert_ne!(first, keys(&mut Context::train(Key::new(4))));
}

#[test]
fn recorded_statistics_reach_their_parameter_once() {
    let device = device();
    let mut model = model(&device, Head::None);
    let mut ctx = Context::train(Key::new(0));
    ctx.record(&model.mean, counting(&device, &[3], 1.0));
    ctx.record(&model.mean, counting(&device, &[3], 2.0));
    assert_eq!(ctx.recorded(&model.mean).to_vec::<f32>().unwrap()[0], 2.0);
    assert_eq!(ctx.apply_updates(&mut model), 1);
    assert_eq!(model.mean.to_vec::<f32>().unwrap(), [2.0, 3.0, 4.0]);
    assert_eq!(model.mean.role(), Role::State);
    assert_eq!(ctx.apply_updates(&mut model), 0);
}

#[test]
fn taps_are_named_by_their_place_and_may_be_patched() {
    let device = device();
    let (one, two) = (counting(&device, &[1], 1.0), counting(&device, &[1], 2.0));
    let run = |ctx: &mut Context| -> Tensor {
        ctx.within("encoder", |ctx| {
            let value = ctx.tap("input", &one);
            ctx.within("0", |ctx| ctx.tap("mlp", &value))
        })
    };
    let mut silent = Context::eval();
    assert_eq!(run(&mut silent).id(), one.id());
    assert!(silent.taps().is_empty());

    let mut ctx = Context::eval().with_taps();
    run(&mut ctx);
    let names: Vec<&str> = ctx.taps().iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["encoder.input", "encoder.0.mlp"]);

    let replacement = two.clone();
    let patch =
        move |name: &str, _: &Tensor| (name == "encoder.0.mlp").then(|| replacement.clone());
    let mut ctx = Context::eval().with_taps().with_patch(patch);
    assert_eq!(run(&mut ctx).id(), two.id());
    assert_eq!(ctx.tapped("encoder.0.mlp").unwrap().id(), two.id());
    assert_eq!(ctx.tapped("encoder.input").unwrap().id(), one.id());
}

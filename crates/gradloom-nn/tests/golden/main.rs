//! Layers, losses, optimizers and schedules against PyTorch: `make_golden.py` wrote the values.

mod options;
mod training;

use gradloom_nn::layers::{
    AttentionMask, BatchNorm, Conv1d, Conv2d, Conv3d, ConvTranspose1d, ConvTranspose2d,
    ConvTranspose3d, Embedding, GroupNorm, Gru, GruCell, LayerNorm, Linear, Lstm, LstmCell,
    LstmState, MultiHeadAttention, RecurrentOptions, RmsNorm, Rnn, RnnCell, RnnNonlinearity,
};
use gradloom_nn::losses::{self, BceOptions};
use gradloom_nn::{
    Context, Init, Layer, LoadOptions, Module, ModuleExt, StateDict, gradients, weights,
};
use gradloom_tensor::ops::convolution::{
    Conv1dOptions, Conv2dOptions, Conv3dOptions, ConvTranspose1dOptions, ConvTranspose2dOptions,
    ConvTranspose3dOptions,
};
use gradloom_tensor::{DType, Device, Key, Tensor, Tensors, commit};

/// The file's values on a device, in a dtype.
struct Golden {
    dict: StateDict,
    device: Device,
    dtype: DType,
}

impl Golden {
    /// Calls `test` with the reference backend in f64, and with the CPU in f64 and f32.
    fn each(test: impl Fn(&Golden)) {
        let reference = gradloom_testkit::reference::device();
        let cpu = gradloom_cpu::device();
        for (device, dtype) in [(&reference, DType::F64), (&cpu, DType::F64), (&cpu, DType::F32)] {
            println!("{} in {dtype}", device.name());
            test(&Golden::new(device, dtype));
        }
    }

    fn new(device: &Device, dtype: DType) -> Self {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/golden.safetensors");
        let dict = weights::load(path, device).unwrap();
        let cast =
            |tensor: Tensor| if tensor.dtype().is_float() { tensor.cast(dtype) } else { tensor };
        let dict: StateDict = dict.into_iter().map(|(name, tensor)| (name, cast(tensor))).collect();
        gradloom_tensor::eval(dict.iter().map(|(_, tensor)| tensor)).unwrap();
        Golden { dict, device: device.clone(), dtype }
    }

    fn get(&self, name: &str) -> Tensor {
        self.dict.get(name).unwrap_or_else(|| panic!("the golden file has no {name}")).clone()
    }

    /// Everything under `prefix.`, without the prefix.
    fn part(&self, prefix: &str) -> StateDict {
        let prefix = format!("{prefix}.");
        self.dict.rename(|name| name.strip_prefix(&prefix).map(str::to_owned))
    }

    fn init(&self) -> Init {
        Init::new(Key::new(0), &self.device).dtype(self.dtype)
    }

    fn zero(&self) -> Tensor {
        Tensor::scalar(0.0, self.dtype, &self.device)
    }
}

#[track_caller]
fn assert_close(what: &str, actual: &Tensor, expected: &Tensor) {
    assert_eq!(actual.shape(), expected.shape(), "{what}");
    let (absolute, relative) =
        if actual.dtype() == DType::F64 { (1e-9, 1e-7) } else { (1e-5, 1e-4) };
    let values = |tensor: &Tensor| tensor.cast(DType::F64).to_vec::<f64>().unwrap();
    for (index, (actual, expected)) in values(actual).iter().zip(values(expected)).enumerate() {
        let bound = absolute + relative * expected.abs();
        assert!(
            (actual - expected).abs() <= bound,
            "{what}: element {index} is {actual}, PyTorch's is {expected}"
        );
    }
}

/// Loads a layer's weights, and compares outputs, gradients and what became of the state.
#[track_caller]
fn check<M: Module + Tensors>(
    golden: &Golden,
    case: &str,
    mut model: M,
    mut ctx: Context,
    forward: impl Fn(&M, &mut Context) -> Vec<Tensor>,
) {
    model.load_state_dict(&golden.part(&format!("{case}.model")), &LoadOptions::strict()).unwrap();
    let outputs = forward(&model, &mut ctx);
    let mut total = golden.zero();
    for (index, output) in outputs.iter().enumerate() {
        let suffix = if index == 0 { String::new() } else { index.to_string() };
        assert_close(case, output, &golden.get(&format!("{case}.y{suffix}")));
        total = total + (output * golden.get(&format!("{case}.cotangent{suffix}"))).sum(..);
    }
    for (name, gradient) in gradients(&total, &model).iter() {
        let full = format!("{case}.grad.{name}");
        assert_close(&full, gradient, &golden.get(&full));
    }
    ctx.apply_updates(&mut model);
    commit(&mut model).unwrap();
    let (after, expected) = (model.state_dict(), golden.part(&format!("{case}.after")));
    assert_eq!(after.len(), expected.len());
    for (name, tensor) in after.iter() {
        assert_close(&format!("{case}.after.{name}"), tensor, expected.get(name).unwrap());
    }
}

/// As [`check`], for a layer of one input, whose gradient is compared, too.
#[track_caller]
fn check_layer<L: Layer + Tensors>(golden: &Golden, case: &str, layer: L, training: bool) {
    let x = golden.get(&format!("{case}.x"));
    check_input(golden, case, &x, |x| {
        let mut layer = layer.clone_layer();
        layer.for_each_parameter(|name, parameter| {
            parameter.set(&golden.get(&format!("{case}.model.{name}")));
        });
        vec![layer.forward(x, &mut Context::new(training, Key::new(0)))]
    });
    let ctx = Context::new(training, Key::new(0));
    check(golden, case, layer, ctx, |layer, ctx| vec![layer.forward(&x, ctx)]);
}

/// Compares the gradient in the input `x` of a case.
#[track_caller]
fn check_input(golden: &Golden, case: &str, x: &Tensor, forward: impl Fn(&Tensor) -> Vec<Tensor>) {
    let full = format!("{case}.grad_x");
    let Some(expected) = golden.dict.get(&full) else { return };
    let mut total = golden.zero();
    for (index, output) in forward(x).iter().enumerate() {
        let suffix = if index == 0 { String::new() } else { index.to_string() };
        total = total + (output * golden.get(&format!("{case}.cotangent{suffix}"))).sum(..);
    }
    let gradient = gradloom_autodiff::grad(&total, &[x]).remove(0);
    assert_close(&full, &gradient, expected);
}

#[test]
fn linear_and_convolutions_are_pytorchs() {
    Golden::each(|golden| {
        let init = &mut golden.init();
        check_layer(golden, "linear", Linear::new(3, 4, init), true);
        let options = Conv1dOptions::default().stride(2).padding(1).groups(2);
        check_layer(golden, "conv1d", Conv1d::new(4, 6, 3, options, init), true);
        let options = Conv2dOptions::default().stride([2, 1]).padding([1, 0]);
        check_layer(golden, "conv2d", Conv2d::new(3, 4, [3, 2], options, init), true);
        let options =
            ConvTranspose2dOptions::default().stride([2, 2]).padding([1, 1]).output_padding([1, 1]);
        let layer = ConvTranspose2d::new(3, 4, [3, 3], options, init);
        check_layer(golden, "conv_transpose2d", layer, true);
        let options = Conv3dOptions::default().stride([1, 2, 1]).padding([1, 0, 1]);
        let options = options.dilation([1, 1, 2]).groups(2);
        check_layer(golden, "conv3d", Conv3d::new(4, 6, [2, 3, 2], options, init), true);
        let options =
            ConvTranspose1dOptions::default().stride(2).padding(1).output_padding(1).groups(2);
        check_layer(golden, "conv_transpose1d", ConvTranspose1d::new(4, 6, 3, options, init), true);
        let options = ConvTranspose3dOptions::default().stride(2).dilation([1, 2, 1]);
        let options = options.output_padding([1, 0, 1]);
        check_layer(golden, "conv_transpose3d", ConvTranspose3d::new(3, 2, 2, options, init), true);
        check_layer(golden, "embedding", Embedding::new(5, 3, init), true);
    });
}

#[test]
fn norms_are_pytorchs() {
    Golden::each(|golden| {
        let init = &mut golden.init();
        check_layer(golden, "batch_norm_2d", BatchNorm::new(3, init), true);
        let layer = BatchNorm::new(5, init).momentum(0.3).epsilon(1e-3);
        check_layer(golden, "batch_norm_1d", layer, true);
        check_layer(golden, "batch_norm_eval", BatchNorm::new(3, init), false);
        check_layer(golden, "layer_norm", LayerNorm::new([2, 5], init), true);
        check_layer(golden, "rms_norm", RmsNorm::new(5, init), true);
        check_layer(golden, "group_norm", GroupNorm::new(2, 6, init), true);
    });
}

#[test]
fn attention_is_pytorchs() {
    Golden::each(|golden| {
        let layer = || MultiHeadAttention::new(8, 2, &mut golden.init());
        check_layer(golden, "attention_self", layer(), true);
        let x = golden.get("attention_causal.x");
        check(golden, "attention_causal", layer(), Context::eval(), |layer, ctx| {
            vec![layer.self_attention(&x, &AttentionMask::causal(), ctx)]
        });
        let [query, key, value] =
            ["x", "x2", "x3"].map(|x| golden.get(&format!("attention_cross.{x}")));
        let mask = AttentionMask::keys(&golden.get("attention_cross.keep"));
        let ctx = Context::eval().with_taps();
        check(golden, "attention_cross", layer(), ctx, |layer, ctx| {
            let y = layer.cross_attention(&query, &key, &value, &mask, ctx);
            vec![y, ctx.tapped("attention").unwrap().mean(1)]
        });
        // Without a tap the heads are computed another way.
        let mut untapped = layer();
        let dict = golden.part("attention_cross.model");
        untapped.load_state_dict(&dict, &LoadOptions::strict()).unwrap();
        let y = untapped.cross_attention(&query, &key, &value, &mask, &mut Context::eval());
        assert_close("attention_cross", &y, &golden.get("attention_cross.y"));
    });
}

#[test]
fn recurrent_layers_are_pytorchs() {
    Golden::each(|golden| {
        let options = RecurrentOptions::default().layers(2).bidirectional(true);
        let x = golden.get("lstm.x");
        let layer = Lstm::new(3, 4, options, &mut golden.init());
        check(golden, "lstm", layer.clone(), Context::eval(), |layer, ctx| {
            let (y, state) = layer.run(&x, None, ctx);
            vec![y, state.hidden, state.cell]
        });
        check_input(golden, "lstm", &x, |x| {
            let mut layer = layer.clone();
            layer.load_state_dict(&golden.part("lstm.model"), &LoadOptions::strict()).unwrap();
            let (y, state) = layer.run(x, None, &mut Context::eval());
            vec![y, state.hidden, state.cell]
        });
        let plain = Lstm::new(3, 4, RecurrentOptions::default().bias(false), &mut golden.init());
        let [x, hidden, cell] = ["x", "x2", "x3"].map(|x| golden.get(&format!("lstm_state.{x}")));
        let state = LstmState { hidden, cell };
        check(golden, "lstm_state", plain, Context::eval(), |layer, ctx| {
            let (y, state) = layer.run(&x, Some(&state), ctx);
            vec![y, state.hidden, state.cell]
        });
        let x = golden.get("gru.x");
        let layer = Gru::new(3, 4, options, &mut golden.init());
        check(golden, "gru", layer, Context::eval(), |layer, ctx| {
            let (y, state) = layer.run(&x, None, ctx);
            vec![y, state]
        });
    });
}

#[test]
fn padded_batches_and_projections_are_pytorchs() {
    Golden::each(|golden| {
        let get = |case: &str| ["x", "x2", "x3"].map(|x| golden.dict.get(&format!("{case}.{x}")));
        let both = RecurrentOptions::default().layers(2).bidirectional(true);
        let steps_first = both.batch_first(false);
        let lengths = golden.get("recurrent_padded.lengths");

        let layer = Lstm::new(3, 4, steps_first.projection(2), &mut golden.init());
        let [x, ..] = get("lstm_projected");
        check(golden, "lstm_projected", layer.clone(), Context::eval(), |layer, ctx| {
            let (y, state) = layer.run(x.unwrap(), None, ctx);
            vec![y, state.hidden, state.cell]
        });

        let layer = Lstm::new(3, 4, both, &mut golden.init());
        let [x, hidden, cell] = get("lstm_padded").map(|x| x.unwrap().clone());
        let run = |layer: &Lstm, x: &Tensor, ctx: &mut Context| {
            let state = LstmState { hidden: hidden.clone(), cell: cell.clone() };
            let (y, state) = layer.run_padded(x, &lengths, Some(&state), ctx);
            vec![y, state.hidden, state.cell]
        };
        check(golden, "lstm_padded", layer.clone(), Context::eval(), |layer, ctx| {
            run(layer, &x, ctx)
        });
        check_input(golden, "lstm_padded", &x, |x| {
            let mut layer = layer.clone();
            layer
                .load_state_dict(&golden.part("lstm_padded.model"), &LoadOptions::strict())
                .unwrap();
            run(&layer, x, &mut Context::eval())
        });

        let layer = Gru::new(3, 4, steps_first, &mut golden.init());
        let [x, state, _] = get("gru_padded");
        check(golden, "gru_padded", layer, Context::eval(), |layer, ctx| {
            let (y, state) = layer.run_padded(x.unwrap(), &lengths, state, ctx);
            vec![y, state]
        });

        let layer = Rnn::new(3, 4, RnnNonlinearity::Tanh, both, &mut golden.init());
        let [x, ..] = get("rnn_padded");
        check(golden, "rnn_padded", layer, Context::eval(), |layer, ctx| {
            let (y, state) = layer.run_padded(x.unwrap(), &lengths, None, ctx);
            vec![y, state]
        });
    });
}

#[test]
fn plain_recurrent_layers_and_cells_are_pytorchs() {
    Golden::each(|golden| {
        let get = |case: &str| ["x", "x2", "x3"].map(|x| golden.dict.get(&format!("{case}.{x}")));
        let init = &mut golden.init();
        let both = RecurrentOptions::default().layers(2).bidirectional(true);
        let layer = Rnn::new(3, 4, RnnNonlinearity::Tanh, both, init);
        let [x, ..] = get("rnn");
        check(golden, "rnn", layer, Context::eval(), |layer, ctx| {
            let (y, state) = layer.run(x.unwrap(), None, ctx);
            vec![y, state]
        });
        let options = RecurrentOptions::default().bias(false).batch_first(false);
        let layer = Rnn::new(3, 4, RnnNonlinearity::Relu, options, init);
        let [x, state, _] = get("rnn_relu");
        check(golden, "rnn_relu", layer, Context::eval(), |layer, ctx| {
            let (y, state) = layer.run(x.unwrap(), state, ctx);
            vec![y, state]
        });
        let [x, hidden, _] = get("rnn_cell").map(|x| x.cloned());
        let cell = RnnCell::new(3, 4, RnnNonlinearity::Tanh, true, init);
        check(golden, "rnn_cell", cell, Context::eval(), |cell, _| {
            vec![cell.step(x.as_ref().unwrap(), hidden.as_ref().unwrap())]
        });
        let [x, hidden, memory] = get("lstm_cell").map(|x| x.unwrap().clone());
        let cell = LstmCell::new(3, 4, true, init);
        check(golden, "lstm_cell", cell, Context::eval(), |cell, _| {
            cell.step(&x, &[hidden.clone(), memory.clone()]).to_vec()
        });
        let [x, hidden, _] = get("gru_cell").map(|x| x.cloned());
        let cell = GruCell::new(3, 4, false, init);
        check(golden, "gru_cell", cell, Context::eval(), |cell, _| {
            vec![cell.step(x.as_ref().unwrap(), hidden.as_ref().unwrap())]
        });
    });
}

#[test]
fn losses_are_pytorchs() {
    Golden::each(|golden| {
        let check = |case: &str, loss: &dyn Fn(&Tensor) -> Tensor| {
            let x = golden.get(&format!("{case}.x"));
            let value = loss(&x);
            assert_close(case, &value, &golden.get(&format!("{case}.loss")));
            let gradient = gradloom_autodiff::grad(&value, &[&x]).remove(0);
            assert_close(case, &gradient, &golden.get(&format!("{case}.grad_x")));
        };
        let options = BceOptions {
            weight: Some(golden.get("bce.weight")),
            positive_weight: Some(golden.get("bce.positive")),
            ..BceOptions::default()
        };
        check("bce", &|x| losses::bce_with_logits(x, &golden.get("bce.target"), &options));
        let (target, weight) = (
            golden.get("weighted_cross_entropy.target"),
            golden.get("weighted_cross_entropy.weight"),
        );
        check("weighted_cross_entropy", &|x| losses::weighted_cross_entropy(x, &target, &weight));
        let (near, far) = (golden.get("triplet.positive"), golden.get("triplet.negative"));
        check("triplet", &|x| losses::triplet(x, &near, &far, 1.5));
    });
}

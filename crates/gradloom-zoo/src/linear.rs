//! Linear layers and tables as published transformers make and use them.

use gradloom_nn::layers::{Embedding, Linear};
use gradloom_nn::{Context, Init, Layer};
use gradloom_tensor::Tensor;

/// Normal weights of this deviation, biases zero: what BERT, GPT-2 and Llama start from.
pub(crate) fn normal_linear(
    inputs: usize,
    outputs: usize,
    bias: bool,
    deviation: f64,
    init: &mut Init,
) -> Linear {
    let weight = init.normal([outputs, inputs], deviation);
    Linear::from_parts(weight, bias.then(|| init.zeros(outputs)))
}

/// A table of normal rows of this deviation.
pub(crate) fn normal_embedding(
    rows: usize,
    size: usize,
    deviation: f64,
    init: &mut Init,
) -> Embedding {
    Embedding::from_weight(init.normal([rows, size], deviation))
}

/// Several layers of one input, such as the projections to queries, keys and values. Quantized matrices
/// are multiplied in one product.
#[track_caller]
pub(crate) fn project_all(layers: &[&Linear], x: &Tensor, ctx: &mut Context) -> Vec<Tensor> {
    if !layers.iter().all(|layer| layer.weight.is_quantized()) {
        return layers.iter().map(|layer| layer.forward(x, ctx)).collect();
    }
    let weights: Vec<&Tensor> = layers.iter().map(|layer| layer.weight.tensor()).collect();
    let product = x.matmul(&Tensor::concat(&weights, 0).t());
    let mut first = 0;
    let parts = layers.iter().map(|layer| {
        let part = product.narrow(-1, first, layer.outputs());
        first += layer.outputs();
        let part = match &layer.bias {
            Some(bias) => part + bias.tensor(),
            None => part,
        };
        layer.adapter.add_to(part, x, ctx)
    });
    parts.collect()
}

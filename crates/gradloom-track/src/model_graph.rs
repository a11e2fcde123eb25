//! The layers of a model as TensorFlow's `GraphDef`, which TensorBoard draws.
//!
//! A node is a run of a layer: its place is its name, so that parts of a model can be folded up; an edge is an output
//! that is read. Ops without weights are not there. Numbers of fields are those of `graph.proto`, `node_def.proto`,
//! `attr_value.proto` and `tensor_shape.proto`.

use std::collections::{BTreeMap, BTreeSet};

use gradloom_nn::LayerSource;
use gradloom_tensor::DType;

use crate::Summary;
use crate::event::Message;

/// The version of TensorFlow's graphs that PyTorch writes too.
const PRODUCER: i64 = 22;

pub(crate) fn encoded(summary: &Summary) -> Vec<u8> {
    let mut names = Names::default();
    let mut inputs: BTreeMap<usize, Message> = BTreeMap::new();
    let input_name = |number: usize| match number {
        0 => "input".to_owned(),
        number => format!("input_{number}"),
    };
    for source in summary.layers.iter().flat_map(|layer| &layer.sources) {
        if let LayerSource::Input { number, shape, dtype } = source {
            let name = input_name(*number);
            names.used.insert(name.clone());
            inputs
                .entry(*number)
                .or_insert_with(|| node(&name, "Placeholder", &[], shape, *dtype, &[]));
        }
    }
    let mut of_layer: Vec<String> = Vec::with_capacity(summary.layers.len());
    let mut layers = Vec::with_capacity(summary.layers.len());
    for layer in &summary.layers {
        let name = names.unused(if layer.name.is_empty() { &layer.kind } else { &layer.name });
        let read: Vec<String> = layer
            .sources
            .iter()
            .map(|source| match source {
                LayerSource::Run(run) => of_layer[*run].clone(),
                LayerSource::Input { number, .. } => input_name(*number),
            })
            .collect();
        let counts = [
            ("mult_adds", i64::try_from(layer.mult_adds).unwrap_or(i64::MAX)),
            ("parameters", layer.parameters as i64),
            ("trainable", layer.trainable as i64),
        ];
        layers.push(node(&name, &layer.kind, &read, &layer.output, layer.dtype, &counts));
        of_layer.push(name);
    }
    let graph = inputs.values().chain(&layers);
    let graph = graph.fold(Message::default(), |graph, node| graph.message(1, node));
    graph.message(4, &Message::default().integer(1, PRODUCER)).bytes
}

/// Names that no two nodes share: `encoder.0` is `encoder/0`, and `encoder/0_1` where it runs again.
#[derive(Default)]
struct Names {
    used: BTreeSet<String>,
}

impl Names {
    fn unused(&mut self, place: &str) -> String {
        let letter = |c: char| match c {
            '.' => '/',
            c if c.is_ascii_alphanumeric() || c == '-' || c == '_' => c,
            _ => '_',
        };
        let plain: String = place.chars().map(letter).collect();
        let mut name = plain.clone();
        let mut number = 0;
        while !self.used.insert(name.clone()) {
            number += 1;
            name = format!("{plain}_{number}");
        }
        name
    }
}

fn node(
    name: &str,
    op: &str,
    inputs: &[String],
    shape: &[usize],
    dtype: DType,
    counts: &[(&str, i64)],
) -> Message {
    let node = Message::default().text(1, name).text(2, op);
    let node = inputs.iter().fold(node, |node, input| node.text(3, input));
    let sizes = shape.iter().fold(Message::default(), |sizes, &size| {
        sizes.message(2, &Message::default().unless_zero(1, size as i64))
    });
    let shapes = Message::default().message(1, &Message::default().message(7, &sizes));
    // In the order of their names, as a map is written to be the same each time.
    let attributes =
        [("_output_shapes", shapes), ("dtype", Message::default().integer(6, code(dtype)))]
            .into_iter()
            .chain(
                counts.iter().map(|&(name, count)| (name, Message::default().integer(3, count))),
            );
    attributes.fold(node, |node, (name, value)| {
        node.message(5, &Message::default().text(1, name).message(2, &value))
    })
}

/// The dtype's number in `types.proto`.
fn code(dtype: DType) -> i64 {
    match dtype {
        DType::F32 => 1,
        DType::F64 => 2,
        DType::I32 => 3,
        DType::U8 => 4,
        DType::I8 => 6,
        DType::I64 => 9,
        DType::Bool => 10,
        DType::BF16 => 14,
        DType::F16 => 19,
        DType::U32 => 22,
    }
}

//! [`Described`]: what a kernel is, in words and numbers, for tables and timelines.

use gradloom_tensor::{LayerTag, Op};

use super::run::{KernelRun, Sites};
use crate::kernel::{Kernel, KernelKind};
use crate::program::Operation;

/// A kernel, once for all its runs.
#[derive(Debug)]
pub(super) struct Described {
    pub(super) device: String,
    /// `plan 3 kernel 7: matmul [64, 10] of matmul, add`.
    pub(super) name: String,
    /// The op that most of the work is.
    pub(super) op: String,
    /// The layer, if one is known. It may get its name later.
    pub(super) layer: Option<LayerTag>,
    /// The program's line, and whether it is of a gradient.
    pub(super) line: String,
    pub(super) flops: u64,
    pub(super) bytes: u64,
}

/// Ops that a fused kernel is named after at most.
const OPS_NAMED_MAX: usize = 4;

impl Described {
    pub(super) fn new(run: &KernelRun<'_>, sites: Option<Sites<'_>>) -> Described {
        let (plan, index) = (run.plan.id, run.index);
        let kernel = &run.plan.kernels[index];
        let origin = sites.map(|sites| sites(main_node(kernel)).1);
        let fused = sites.map(|sites| fused_ops(kernel, sites)).unwrap_or_default();
        let op = match &kernel.kind {
            KernelKind::Map | KernelKind::Reduce | KernelKind::Row if !fused.is_empty() => {
                fused.clone()
            }
            kind => kind.name().to_owned(),
        };
        let (kind, shape) = (kernel.kind.name(), kernel.space.shape);
        let of = if fused.is_empty() { String::new() } else { format!(" of {fused}") };
        Described {
            device: run.device.to_owned(),
            name: format!("plan {plan} kernel {index}: {kind} {shape}{of}"),
            op,
            layer: origin.and_then(|origin| origin.layer),
            line: origin.map(|origin| origin.to_string()).unwrap_or_default(),
            flops: kernel.flops() as u64,
            bytes: kernel.bytes() as u64,
        }
    }
}

impl Described {
    /// What the layer is called by now, empty where none is known.
    pub(super) fn layer(&self) -> String {
        self.layer.map(LayerTag::label).unwrap_or_default()
    }
}

/// The node that most of a kernel's work is for: what is multiplied, not what is done with the sums.
pub(super) fn main_node(kernel: &Kernel) -> usize {
    let mut instructions = kernel.program.instructions.iter().zip(&kernel.origins);
    let accumulator = instructions
        .find(|(instruction, _)| matches!(instruction.operation, Operation::Accumulator));
    accumulator.map_or(kernel.node, |(_, &node)| node)
}

/// The ops that a kernel computes, each once, in the order of its program.
fn fused_ops(kernel: &Kernel, sites: Sites<'_>) -> String {
    let mut names: Vec<&str> = Vec::new();
    for &node in kernel.origins.iter().chain([&kernel.node]) {
        let name = sites(node).0;
        if !names.contains(&name) && name != Op::Buffer.name() {
            names.push(name);
        }
    }
    let more = names.len().saturating_sub(OPS_NAMED_MAX);
    names.truncate(OPS_NAMED_MAX);
    let mut text = names.join("+");
    if more > 0 {
        text.push_str(&format!("+{more} more"));
    }
    text
}

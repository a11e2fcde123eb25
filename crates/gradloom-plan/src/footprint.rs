//! How many bytes of the host a plan takes, so that the cache of plans can be bounded by them.

use crate::kernel::{Kernel, KernelKind, Plan};

impl Plan {
    /// Bytes of the host that it takes, without what backends have made of it.
    pub fn footprint(&self) -> usize {
        size_of::<Plan>()
            + size_of_val(&self.inputs[..])
            + size_of_val(&self.outputs[..])
            + size_of_val(&self.slots[..])
            + size_of_val(&self.arguments[..])
            + self.kernels.iter().map(footprint).sum::<usize>()
    }
}

fn footprint(kernel: &Kernel) -> usize {
    let kind = match &kernel.kind {
        KernelKind::QuantizedMatmul { parts, .. } => size_of_val(&parts[..]),
        KernelKind::Attention { views, .. } => size_of_val(&views[..]),
        KernelKind::Concat { parts, .. } => size_of_val(&parts[..]),
        KernelKind::Loop(own) => own.body.footprint(),
        _ => 0,
    };
    size_of::<Kernel>()
        + kind
        + size_of_val(&kernel.program.instructions[..])
        + size_of_val(&kernel.inputs[..])
        + size_of_val(&kernel.outputs[..])
        + size_of_val(&kernel.origins[..])
}

//! The buffers that the outputs of an evaluation are.

use std::any::Any;
use std::sync::Arc;

use gradloom_tensor::{Buffer, Error, Result};

use crate::kernel::{BufferRef, Kernel, Plan, PlanOutput};

impl Plan {
    /// A buffer for each output: what `allocate` makes where it has memory of its own, otherwise that of
    /// the input or the earlier output whose memory it has.
    ///
    /// # Errors
    /// Those of `allocate`, and when an output is an alias of a temporary or of a later output.
    pub fn output_buffers(
        &self,
        inputs: &[Buffer],
        mut allocate: impl FnMut(&PlanOutput) -> Result<Arc<dyn Any + Send + Sync>>,
    ) -> Result<Vec<Buffer>> {
        let mut buffers: Vec<Buffer> = Vec::with_capacity(self.outputs.len());
        for output in &self.outputs {
            let source = match (output.alias, output.reuses) {
                (Some(BufferRef::Input(input)), _) | (None, Some(input)) => inputs.get(input),
                (Some(BufferRef::Output(earlier)), _) => buffers.get(earlier),
                (Some(BufferRef::Slot(_)), _) => None,
                (None, None) => {
                    buffers.push(Buffer::new(allocate(output)?, output.dtype, output.len));
                    continue;
                }
            };
            let missing = || Error::backend("plan: an output has the memory of nothing before it");
            buffers.push(source.ok_or_else(missing)?.sharing(output.dtype, output.len));
        }
        Ok(buffers)
    }

    /// The node that messages name where an input cannot be read: that of the first kernel that reads it.
    pub fn reader(&self, input: usize) -> Option<usize> {
        let reads = |kernel: &&Kernel| {
            kernel
                .inputs
                .iter()
                .any(|operand| self.block(operand.buffer) == BufferRef::Input(input))
        };
        self.kernels.iter().find(reads).map(|kernel| kernel.node)
    }

    /// The node that messages name where memory is short: that of the kernel with the largest result.
    pub fn largest(&self) -> Option<usize> {
        let bytes = |kernel: &&Kernel| {
            kernel.outputs.iter().map(|output| output.len.saturating_mul(output.dtype.size())).max()
        };
        self.kernels.iter().max_by_key(bytes).map(|kernel| kernel.node)
    }
}

//! A plan that prints itself: kernels, shapes, bytes and FLOPs.

use std::fmt;

use crate::kernel::{BufferRef, Convolution, Kernel, KernelInput, KernelKind, Plan};
use crate::program::Operation;

impl fmt::Display for Plan {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (bytes, flops) = (self.bytes(), self.flops());
        let temporary: usize = self.slots.iter().map(|slot| slot.bytes).sum();
        writeln!(
            formatter,
            "{} kernels, {bytes} bytes moved, {flops} FLOPs, {} slots of {temporary} bytes",
            self.kernels.len(),
            self.slots.len()
        )?;
        for (index, kernel) in self.kernels.iter().enumerate() {
            writeln!(formatter, "{index:3} {kernel}")?;
            if let KernelKind::Loop(own) = &kernel.kind {
                let order = if own.reverse { ", from the last" } else { "" };
                writeln!(formatter, "    {} steps{order}, each:", own.length)?;
                for line in own.body.to_string().lines() {
                    writeln!(formatter, "    {line}")?;
                }
            }
        }
        for (index, output) in self.outputs.iter().enumerate() {
            if let Some(input) = output.reuses {
                writeln!(formatter, "output {index} is written over input {input}")?;
            }
            if let Some(alias) = output.alias {
                writeln!(formatter, "output {index} is {alias}")?;
            }
        }
        Ok(())
    }
}

impl Plan {
    /// Bytes that all kernels move, see [`Kernel::bytes`].
    pub fn bytes(&self) -> usize {
        self.kernels.iter().map(Kernel::bytes).sum()
    }

    /// Floating-point operations of all kernels, see [`Kernel::flops`].
    pub fn flops(&self) -> usize {
        self.kernels.iter().map(Kernel::flops).sum()
    }
}

impl fmt::Display for BufferRef {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BufferRef::Input(index) => write!(formatter, "in{index}"),
            BufferRef::Output(index) => write!(formatter, "out{index}"),
            BufferRef::Slot(index) => write!(formatter, "tmp{index}"),
        }
    }
}

impl fmt::Display for Kernel {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kept = &self.space.shape[..self.space.kept];
        let reduced = &self.space.shape[self.space.kept..];
        write!(formatter, "{} {kept:?}", self.kind.name())?;
        if !reduced.is_empty() {
            write!(formatter, "/{reduced:?}")?;
        }
        write!(formatter, " {}", self.program_text())?;
        let casts = self.kind.factors().map_or([None; 2], |factors| factors.casts);
        let inputs = self.inputs.iter().enumerate().map(|(position, input)| {
            let cast = casts.get(position).copied().flatten();
            let cast = cast.map(|cast| format!("->{}", cast.dtype));
            format!("{}:{}{}", input.buffer, input.dtype, cast.unwrap_or_default())
        });
        let inputs = inputs.collect::<Vec<_>>().join(" ");
        let outputs =
            self.outputs.iter().map(|output| format!("{}:{}", output.buffer, output.dtype));
        let outputs = outputs.collect::<Vec<_>>().join(" ");
        write!(formatter, " ({inputs} -> {outputs}) {} B {} F", self.bytes(), self.flops())
    }
}

impl KernelKind {
    /// A short name for reports.
    pub fn name(&self) -> &'static str {
        match self {
            KernelKind::Map => "map",
            KernelKind::Reduce => "reduce",
            KernelKind::Row => "row",
            KernelKind::Matmul { .. } => "matmul",
            KernelKind::Convolution(_) => "convolution",
            KernelKind::ConvolutionInput(_) => "convolution_input",
            KernelKind::ConvolutionWeight(_) => "convolution_weight",
            KernelKind::PoolMax(_) => "pool_max",
            KernelKind::PoolMaxScatter(_) => "pool_max_scatter",
            KernelKind::PoolMaxGather(_) => "pool_max_gather",
            KernelKind::PoolSum(_) => "pool_sum",
            KernelKind::PoolSumScatter(_) => "pool_sum_scatter",
            KernelKind::Gather { .. } => "gather",
            KernelKind::ScatterAdd { .. } => "scatter_add",
            KernelKind::Write { .. } => "write",
            KernelKind::Dequantize(_) => "dequantize",
            KernelKind::QuantizedMatmul { .. } => "quantized_matmul",
            KernelKind::QuantizedRows { .. } => "quantized_rows",
            KernelKind::Attention { .. } => "attention",
            KernelKind::Scan { .. } => "scan",
            KernelKind::ArgReduce { .. } => "arg_reduce",
            KernelKind::ArgSort { .. } => "argsort",
            KernelKind::Concat { .. } => "concat",
            KernelKind::Call(call) => call.op().name(),
            KernelKind::Loop(_) => "loop",
        }
    }
}

impl Kernel {
    /// The names of the program's arithmetic in order.
    fn program_text(&self) -> String {
        let names: Vec<&str> = self
            .program
            .instructions
            .iter()
            .filter_map(|instruction| match instruction.operation {
                Operation::Unary(unary, _) => Some(unary.name()),
                Operation::Binary(binary, ..) => Some(binary.name()),
                Operation::Select(..) => Some("select"),
                Operation::Cast(_) => Some("cast"),
                Operation::Random { .. } => Some("random"),
                Operation::CheckIndex { .. } => Some("check_index"),
                Operation::Reduce(reduction, _) => Some(match reduction {
                    gradloom_tensor::op::Reduction::Sum => "SUM",
                    gradloom_tensor::op::Reduction::Max => "MAX",
                    gradloom_tensor::op::Reduction::Min => "MIN",
                }),
                Operation::Load { .. }
                | Operation::Accumulator
                | Operation::Constant(_)
                | Operation::Argument(_)
                | Operation::Index(_) => None,
            })
            .collect();
        format!("[{}]", names.join(" "))
    }

    /// Bytes of all operands and results, each counted once. Of a table whose rows are picked only
    /// those count, and of what is written in place only the update.
    pub fn bytes(&self) -> usize {
        let size = |input: &KernelInput| input.len * input.dtype.size();
        let elements = self.space.shape.count();
        let outputs = |len: &dyn Fn(usize) -> usize| -> usize {
            self.outputs.iter().map(|output| len(output.len) * output.dtype.size()).sum()
        };
        match &self.kind {
            KernelKind::Write { .. } => {
                self.inputs[1..].iter().map(size).sum::<usize>() + outputs(&|_| elements)
            }
            KernelKind::QuantizedRows { format, .. } => {
                let picked = elements / format.elements() * format.bytes();
                self.inputs[1..].iter().map(size).sum::<usize>() + picked + outputs(&|len| len)
            }
            KernelKind::Gather { .. } => {
                let picked = elements * self.inputs[0].dtype.size();
                self.inputs[1..].iter().map(size).sum::<usize>() + picked + outputs(&|len| len)
            }
            KernelKind::Loop(own) => own.length * own.body.bytes(),
            _ => self.inputs.iter().map(size).sum::<usize>() + outputs(&|len| len),
        }
    }

    /// Floating-point operations, counting a transcendental function as one.
    pub fn flops(&self) -> usize {
        let elements = self.space.shape.count();
        let own = match &self.kind {
            KernelKind::Matmul { lhs, .. } => 2 * elements * lhs.shape.last().copied().unwrap_or(1),
            KernelKind::QuantizedMatmul { lhs, .. } => 2 * elements * lhs.shape[1],
            KernelKind::Attention { views, .. } => {
                let (query, key, value) = (views[0].shape, views[1].shape, views[2].shape);
                2 * query[..3].iter().product::<usize>() * key[2] * (query[3] + value[3])
            }
            KernelKind::Convolution(sizes)
            | KernelKind::ConvolutionInput(sizes)
            | KernelKind::ConvolutionWeight(sizes) => convolution_flops(sizes),
            KernelKind::Loop(own) => own.length * own.body.flops(),
            _ => 0,
        };
        own + elements * self.program.operations_per_element()
    }
}

fn convolution_flops(sizes: &Convolution) -> usize {
    let window: usize = sizes.window.kernel.iter().product();
    let output: usize = sizes.output_size.iter().product();
    2 * sizes.batch * sizes.outputs * output * sizes.channels / sizes.groups.max(1) * window
}

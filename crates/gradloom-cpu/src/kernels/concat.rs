//! `Concat`: operands one after another along an axis.

use gradloom_plan::Kernel;
use gradloom_tensor::{DType, Result, Shape};

use super::executable::{Context, Executable, InPlace, TASK_MIN};
use crate::epilogue::{Division, Epilogue};
use crate::parallel;

pub(crate) struct Concat {
    /// Elements of each operand between two outer coordinates.
    parts: Vec<usize>,
    outer: usize,
    dtype: DType,
    epilogue: Epilogue,
}

impl Concat {
    pub(crate) fn new(kernel: &Kernel, in_place: &InPlace, axis: usize, parts: &[Shape]) -> Concat {
        let dtype = kernel.inputs[0].dtype;
        Concat {
            parts: parts.iter().map(|shape| shape[axis..].iter().product()).collect(),
            outer: kernel.space.shape[..axis].iter().product(),
            dtype,
            epilogue: Epilogue::new(kernel, in_place, dtype),
        }
    }
}

impl Executable for Concat {
    fn run(
        &self,
        context: &Context<'_>,
        inputs: &[&[u8]],
        outputs: &mut [&mut [u8]],
    ) -> Result<()> {
        let row: usize = self.parts.iter().sum();
        let elements = self.outer * row;
        let threads = context.threads_for(elements);
        let per_task = parallel::grain(threads, elements, 1, TASK_MIN);
        let division = Division { units: elements, unit_elements: 1, per_task, threads };
        let bytes = self.dtype.size();
        self.epilogue.run(context, inputs, outputs, division, |range, out| {
            let mut position = range.start;
            while position < range.end {
                let (outer, mut within) = (position / row, position % row);
                let mut part = 0;
                while within >= self.parts[part] {
                    within -= self.parts[part];
                    part += 1;
                }
                let count = (self.parts[part] - within).min(range.end - position);
                let first = outer * self.parts[part] + within;
                let start = (position - range.start) * bytes;
                out[start..start + count * bytes]
                    .copy_from_slice(&inputs[part][first * bytes..(first + count) * bytes]);
                position += count;
            }
        });
        Ok(())
    }
}

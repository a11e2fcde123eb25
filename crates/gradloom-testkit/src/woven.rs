//! [`Woven`]: an op that comes in by the door for ops, for tests of the door.

use std::any::Any;

use gradloom_tensor::custom_op::{HostOperand, HostResult, TensorType, Wgsl, custom_op};
use gradloom_tensor::op::Call;
use gradloom_tensor::{
    CustomOp, DType, Element, Error, Result, Slice, SliceRange, Tensor, bf16, f16,
};

/// `x [.., n], y [.., n] -> [.., 2 n], [.., n]`: elements of `x` and `y` in turn, and `y` backwards, along
/// the last axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Woven {
    /// Whether it has a rule for many examples.
    pub batches: bool,
}

impl Woven {
    /// Applies it.
    #[track_caller]
    pub fn apply(self, x: &Tensor, y: &Tensor) -> [Tensor; 2] {
        custom_op(self, &[x, y])
    }

    /// The op of a call, if it is this.
    pub(crate) fn of(call: &Call) -> Option<Weave> {
        let op: &dyn Any = call.op();
        op.downcast_ref::<Woven>()?;
        Some(Weave { columns: call.operands()[0].shape.last().copied()? })
    }
}

/// Where elements go.
pub(crate) struct Weave {
    columns: usize,
}

impl Weave {
    /// Both results, one after the other.
    pub(crate) fn weave<T: Copy>(&self, operands: &[&[T]]) -> Vec<T> {
        let rows = || {
            let columns = self.columns.max(1);
            operands[0].chunks(columns).zip(operands[1].chunks(columns))
        };
        let turns = rows().flat_map(|(x, y)| x.iter().zip(y).flat_map(|(&x, &y)| [x, y]));
        turns.chain(rows().flat_map(|(_, y)| y.iter().rev().copied())).collect()
    }

    fn run<T: Element>(&self, operands: &[HostOperand<'_>], results: &mut [HostResult<'_>]) {
        let woven = self.weave(&[operands[0].elements::<T>(), operands[1].elements::<T>()]);
        let (turns, backwards) = woven.split_at(2 * operands[0].elements::<T>().len());
        results[0].elements::<T>().copy_from_slice(turns);
        results[1].elements::<T>().copy_from_slice(backwards);
    }
}

impl CustomOp for Woven {
    fn name(&self) -> &'static str {
        "woven"
    }

    fn results(&self, operands: &[TensorType]) -> Result<Vec<TensorType>> {
        let [x, y] = operands else { return Err(Error::shape("it takes two operands")) };
        if x != y || x.shape.rank() == 0 {
            return Err(Error::shape(format!("operands {x} and {y}, not rows of one type")));
        }
        let axis = x.shape.rank() - 1;
        Ok(vec![TensorType::new(x.shape.with(axis, 2 * x.shape[axis]), x.dtype), *x])
    }

    fn run(&self, operands: &[HostOperand<'_>], results: &mut [HostResult<'_>]) -> Result<()> {
        let weave = Weave { columns: operands[0].of.shape.last().copied().unwrap_or(1) };
        match operands[0].of.dtype {
            DType::F32 => weave.run::<f32>(operands, results),
            DType::F64 => weave.run::<f64>(operands, results),
            DType::F16 => weave.run::<f16>(operands, results),
            DType::BF16 => weave.run::<bf16>(operands, results),
            DType::I32 => weave.run::<i32>(operands, results),
            DType::I64 => weave.run::<i64>(operands, results),
            DType::I8 => weave.run::<i8>(operands, results),
            DType::U32 => weave.run::<u32>(operands, results),
            DType::U8 => weave.run::<u8>(operands, results),
            DType::Bool => weave.run::<bool>(operands, results),
        }
        Ok(())
    }

    fn wgsl(&self, operands: &[TensorType], _results: &[TensorType]) -> Option<Wgsl> {
        let columns = operands[0].shape.last()?;
        let source = format!(
            "fn element(index: u32) {{
                write0(2u * index, read0(index));
                write0(2u * index + 1u, read1(index));
                let column = index % {columns}u;
                write1(index + {columns}u - 1u - 2u * column, read1(index));
            }}"
        );
        Some(Wgsl::elements(source, operands[0].shape.count()))
    }

    fn derivative(
        &self,
        operands: &[Tensor],
        _results: &[Tensor],
        gradients: &[Tensor],
    ) -> Vec<Option<Tensor>> {
        let every_other = |first: isize| {
            let whole = SliceRange::Range { start: None, end: None, step: 1 };
            let mut ranges = vec![whole; operands[0].rank()];
            ranges[operands[0].rank() - 1] =
                SliceRange::Range { start: Some(first), end: None, step: 2 };
            gradients[0].slice(Slice::new(ranges))
        };
        vec![Some(every_other(0)), Some(&every_other(1) + &gradients[1].flip(-1))]
    }

    fn vmap(&self, operands: &[Tensor]) -> Option<Vec<Tensor>> {
        self.batches.then(|| self.apply(&operands[0], &operands[1]).to_vec())
    }
}

//! The program of a kernel: each instruction over all rows or elements before the next one.

use gradloom_tensor::op::Reduction;
use gradloom_tensor::random::threefry;
use gradloom_tensor::{Scalar, Shape};

use super::fault::Fault;
use super::operand::{Operands, for_each};
use super::value::{binary, cast, compute, integer, reduce, scalar, unary};
use crate::kernel::{Kernel, KernelKind};
use crate::program::{Instruction, Level, Operation, ValueId};
use crate::view::View;

/// The values of a program's instructions, as many as there are by now.
struct Run<'a> {
    kernel: &'a Kernel,
    operands: &'a Operands,
    arguments: &'a [Scalar],
    accumulator: Option<&'a [f64]>,
    values: Vec<Vec<f64>>,
}

/// All values of the kernel's program: one for each row or one for each element of the space.
pub(super) fn run(
    kernel: &Kernel,
    operands: &Operands,
    arguments: &[Scalar],
    accumulator: Option<&[f64]>,
) -> Result<Vec<Vec<f64>>, Fault> {
    let mut run = Run { kernel, operands, arguments, accumulator, values: Vec::new() };
    for (id, instruction) in kernel.program.instructions.iter().enumerate() {
        let values = run.instruction(id, instruction)?;
        let (made, count) = (values.len(), run.count(instruction.level));
        Fault::unless(made == count, || format!("value {id}: {made} numbers for {count}"))?;
        run.values.push(values);
    }
    Ok(run.values)
}

impl Run<'_> {
    /// How many values an instruction of this level has.
    fn count(&self, level: Level) -> usize {
        let space = &self.kernel.space;
        match level {
            Level::Row => space.rows(),
            Level::Element => space.rows() * space.columns(),
        }
    }

    fn instruction(&self, id: ValueId, instruction: &Instruction) -> Result<Vec<f64>, Fault> {
        let &Instruction { operation, dtype, level } = instruction;
        self.check_operands(id, instruction)?;
        let count = self.count(level);
        let at = |operand: ValueId, index: usize| self.at(operand, index, level);
        let each = |value: &dyn Fn(usize) -> f64| -> Vec<f64> { (0..count).map(value).collect() };
        let of = |operand: ValueId| self.kernel.program.instructions[operand].dtype;
        Ok(match operation {
            Operation::Load { input, view } => self.load(input, &view, instruction)?,
            Operation::Accumulator => {
                let missing = || Fault::malformed("a kernel without an accumulator reads it");
                let values = self.accumulator.ok_or_else(missing)?;
                values.iter().map(|&value| compute(dtype, value)).collect()
            }
            Operation::Constant(value) => vec![scalar(dtype, value); count],
            Operation::Argument(argument) => vec![scalar(dtype, self.argument(argument)?); count],
            Operation::Index(view) => self.over_space(&view, level, |coordinate| {
                // Before the start of the buffer the index is negative.
                let index = view.element(coordinate).map_or(0, |element| element as i64);
                Ok(compute(dtype, index as f64))
            })?,
            Operation::Random { index, key } => {
                let word = |argument: usize| -> Result<u32, Fault> {
                    Ok(self.argument(argument)?.as_i64() as u32)
                };
                let key = [word(key[0])?, word(key[1])?];
                each(&|i| f64::from(threefry(key, [at(index, i) as i64 as u32, 0])[0]))
            }
            Operation::Unary(op, a) => each(&|i| unary(op, of(a), dtype, at(a, i))),
            Operation::Binary(op, a, b) => each(&|i| binary(op, of(a), dtype, at(a, i), at(b, i))),
            Operation::Select(condition, a, b) => {
                each(&|i| if at(condition, i) != 0.0 { at(a, i) } else { at(b, i) })
            }
            Operation::Cast(a) => each(&|i| cast(of(a), dtype, at(a, i))),
            Operation::CheckIndex { value, size, site } => {
                let values = each(&|i| at(value, i));
                let mut indices = values.iter().map(|&index| integer(dtype, index));
                if let Some(index) = indices.find(|index| !(0..size as i64).contains(index)) {
                    return Err(Fault::Index { site, index, size });
                }
                values
            }
            Operation::Reduce(reduction, a) => self.reduce(reduction, a, instruction)?,
        })
    }

    /// Operands come first and are not of a finer level, except those of reductions.
    fn check_operands(&self, id: ValueId, instruction: &Instruction) -> Result<(), Fault> {
        let reduces = matches!(instruction.operation, Operation::Reduce(..));
        for operand in instruction.operation.operands() {
            Fault::unless(operand < id, || format!("value {id} reads the later value {operand}"))?;
            let finer = self.kernel.program.instructions[operand].level > instruction.level
                && self.kernel.space.columns() != 1;
            Fault::unless(reduces || !finer, || {
                format!("value {id}, one for each row, reads value {operand}, one for each element")
            })?;
        }
        let compared = match instruction.operation {
            Operation::Binary(_, a, b) | Operation::Select(_, a, b) => Some((a, b)),
            _ => None,
        };
        let of = |operand: ValueId| self.kernel.program.instructions[operand].dtype;
        Fault::unless(compared.is_none_or(|(a, b)| of(a) == of(b)), || {
            format!("value {id} has operands of two dtypes")
        })
    }

    /// An operand's value for value `index` of an instruction of `level`.
    fn at(&self, operand: ValueId, index: usize, level: Level) -> f64 {
        let own = self.kernel.program.instructions[operand].level;
        let repeated = own == Level::Row && level == Level::Element;
        let index = if repeated { index / self.kernel.space.columns() } else { index };
        self.values[operand][index]
    }

    fn argument(&self, argument: usize) -> Result<Scalar, Fault> {
        let missing = || Fault::malformed(format!("there is no argument {argument}"));
        self.arguments.get(argument).copied().ok_or_else(missing)
    }

    fn load(
        &self,
        input: usize,
        view: &View,
        instruction: &Instruction,
    ) -> Result<Vec<f64>, Fault> {
        let operand = self.operands.get(input)?;
        Fault::unless(operand.dtype == instruction.dtype, || {
            format!("operand {input} is {} and read as {}", operand.dtype, instruction.dtype)
        })?;
        self.over_space(view, instruction.level, |coordinate| operand.at(view, coordinate))
    }

    /// A value at each coordinate of the space, or of its kept axes where the others make no difference.
    fn over_space(
        &self,
        view: &View,
        level: Level,
        value: impl Fn(&[usize]) -> Result<f64, Fault>,
    ) -> Result<Vec<f64>, Fault> {
        let space = &self.kernel.space;
        Fault::unless(view.shape == space.shape, || {
            format!("a view of shape {} in a space of shape {}", view.shape, space.shape)
        })?;
        let mut shape = space.shape;
        if level == Level::Row {
            let varies = |axis: usize| {
                let masked = view.mask.is_some_and(|mask| mask[axis] != (0, shape[axis]));
                shape[axis] > 1 && (view.strides[axis] != 0 || masked)
            };
            Fault::unless(!(space.kept..shape.rank()).any(varies), || {
                "a value of a row varies along it".to_owned()
            })?;
            shape = (space.kept..shape.rank()).fold(shape, |shape, axis| shape.with(axis, 1));
        }
        values_over(&shape, value)
    }

    fn reduce(
        &self,
        reduction: Reduction,
        operand: ValueId,
        instruction: &Instruction,
    ) -> Result<Vec<f64>, Fault> {
        let columns = self.kernel.space.columns();
        let reducing = matches!(self.kernel.kind, KernelKind::Reduce | KernelKind::Row);
        Fault::unless(reducing && (instruction.level == Level::Row || columns == 1), || {
            "a reduction whose result is no value of a row".to_owned()
        })?;
        let dtype = instruction.dtype;
        let of = self.kernel.program.instructions[operand].dtype;
        Fault::unless(of == dtype, || format!("a reduction of {of} to {dtype}"))?;
        let row = |row: usize| {
            let elements = row * columns..(row + 1) * columns;
            reduce(reduction, dtype, elements.map(|i| self.at(operand, i, Level::Element)))
        };
        Ok((0..self.kernel.space.rows()).map(row).collect())
    }
}

fn values_over(
    shape: &Shape,
    value: impl Fn(&[usize]) -> Result<f64, Fault>,
) -> Result<Vec<f64>, Fault> {
    let mut values = Vec::with_capacity(shape.count());
    for_each(shape, |coordinate| {
        values.push(value(coordinate)?);
        Ok(())
    })?;
    Ok(values)
}

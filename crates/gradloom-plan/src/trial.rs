//! [`Trial`]: one kernel built by hand, with values for its operands: what self-tests of devices and tests
//! of backends run, beside what the interpreter makes of it.

use std::sync::atomic::{AtomicU64, Ordering};

use gradloom_tensor::blocks::interleave::{self, interleave};
use gradloom_tensor::op::{Binary, Reduction, Unary};
use gradloom_tensor::{BlockFormat, DType, Scalar, Shape, f16};

use crate::interpret::{self, Fault};
use crate::kernel::{BufferRef, Kernel, KernelInput, KernelKind, KernelOutput, Plan, PlanOutput};
use crate::program::{Instruction, Level, Operation, Program, Space, ValueId};
use crate::{Attachments, View};

/// A kernel, and values for its operands and arguments.
#[derive(Clone, Debug)]
pub struct Trial {
    /// The kernel.
    pub kernel: Kernel,
    /// Elements of each operand.
    pub inputs: Vec<Vec<f64>>,
    /// Dtype and value of each argument.
    pub arguments: Vec<(DType, Scalar)>,
    /// Difference that is allowed, relative to the magnitude of what is expected or to 1.
    pub tolerance: f64,
}

impl Trial {
    /// A kernel of this kind, so far without operands, program and results.
    pub fn new(kind: KernelKind, space: Space) -> Trial {
        Trial {
            kernel: Kernel {
                kind,
                program: Program::default(),
                space,
                inputs: Vec::new(),
                outputs: Vec::new(),
                node: 0,
                origins: Vec::new(),
            },
            inputs: Vec::new(),
            arguments: Vec::new(),
            tolerance: 2e-6,
        }
    }

    /// A kernel of a kind of its own over all elements of a shape.
    pub fn structured(kind: KernelKind, shape: Shape) -> Trial {
        Trial::new(kind, Space::elements(shape)).tolerance(2e-5)
    }

    /// An elementwise kernel.
    pub fn map(shape: &[usize]) -> Trial {
        Trial::new(KernelKind::Map, Space::elements(Shape::new(shape)))
    }

    /// A kernel of rows, whose first `kept` axes number the rows.
    pub fn row(shape: &[usize], kept: usize) -> Trial {
        Trial::new(KernelKind::Row, Space { shape: Shape::new(shape), kept })
    }

    /// As [`Trial::row`], of a kernel that stores nothing but its rows' reductions.
    pub fn reduce(shape: &[usize], kept: usize) -> Trial {
        Trial::new(KernelKind::Reduce, Space { shape: Shape::new(shape), kept })
    }

    /// With another tolerance.
    #[must_use]
    pub fn tolerance(mut self, tolerance: f64) -> Trial {
        self.tolerance = tolerance;
        self
    }

    /// The tolerance of a result: halves have few digits.
    pub fn tolerance_of(&self, dtype: DType) -> f64 {
        match dtype {
            DType::F16 => self.tolerance.max(1e-3),
            DType::BF16 => self.tolerance.max(8e-3),
            _ => self.tolerance,
        }
    }

    /// Adds an operand, its values rounded to the dtype; its number.
    pub fn input(&mut self, dtype: DType, values: Vec<f64>) -> usize {
        let node = self.inputs.len();
        let buffer = BufferRef::Input(node);
        let values = interpret::numbers(dtype, &interpret::bytes(dtype, &values));
        self.kernel.inputs.push(KernelInput { buffer, dtype, len: values.len(), node });
        self.inputs.push(values);
        self.inputs.len() - 1
    }

    /// Appends an instruction; its number.
    pub fn push(&mut self, operation: Operation, dtype: DType, level: Level) -> ValueId {
        let value = self.kernel.program.push(Instruction { operation, dtype, level });
        self.kernel.origins.resize(self.kernel.program.instructions.len(), 0);
        value
    }

    /// A load through a view, of level `Element`.
    pub fn load(&mut self, input: usize, view: View) -> ValueId {
        let dtype = self.kernel.inputs[input].dtype;
        self.push(Operation::Load { input, view }, dtype, Level::Element)
    }

    /// A load of level `Row`.
    pub fn load_row(&mut self, input: usize, view: View) -> ValueId {
        let dtype = self.kernel.inputs[input].dtype;
        self.push(Operation::Load { input, view }, dtype, Level::Row)
    }

    fn level_of(&self, operands: &[ValueId]) -> Level {
        let levels = operands.iter().map(|&id| self.kernel.program.instructions[id].level);
        levels.max().unwrap_or(Level::Row)
    }

    fn dtype_of(&self, id: ValueId) -> DType {
        self.kernel.program.instructions[id].dtype
    }

    /// A number.
    pub fn constant(&mut self, dtype: DType, value: Scalar) -> ValueId {
        self.push(Operation::Constant(value), dtype, Level::Row)
    }

    /// A function of one value.
    pub fn unary(&mut self, op: Unary, a: ValueId) -> ValueId {
        let dtype = op.result(self.dtype_of(a));
        let level = self.level_of(&[a]);
        self.push(Operation::Unary(op, a), dtype, level)
    }

    /// A function of two values.
    pub fn binary(&mut self, op: Binary, a: ValueId, b: ValueId) -> ValueId {
        let dtype = op.result(self.dtype_of(a));
        let level = self.level_of(&[a, b]);
        self.push(Operation::Binary(op, a, b), dtype, level)
    }

    /// A value as another dtype.
    pub fn cast(&mut self, a: ValueId, dtype: DType) -> ValueId {
        let level = self.level_of(&[a]);
        self.push(Operation::Cast(a), dtype, level)
    }

    /// A reduction of the rows of a value.
    pub fn reduction(&mut self, reduction: Reduction, a: ValueId) -> ValueId {
        let dtype = self.dtype_of(a);
        self.push(Operation::Reduce(reduction, a), dtype, Level::Row)
    }

    /// What the kernel's kind computes.
    pub fn accumulator(&mut self, dtype: DType) -> ValueId {
        self.push(Operation::Accumulator, dtype, Level::Element)
    }

    /// Stores a value as the next result.
    pub fn output(&mut self, value: ValueId) {
        let level = self.kernel.program.instructions[value].level;
        let space = &self.kernel.space;
        let len = match level {
            Level::Element => space.shape.count(),
            Level::Row => space.rows(),
        };
        self.output_of(value, len);
    }

    /// Stores a value as the next result, which has so many elements.
    pub fn output_of(&mut self, value: ValueId, len: usize) {
        let dtype = self.dtype_of(value);
        let buffer = BufferRef::Output(self.kernel.outputs.len());
        self.kernel.outputs.push(KernelOutput { buffer, dtype, len, value, node: usize::MAX });
    }

    /// A plan of this kernel alone.
    pub fn plan(&self) -> Plan {
        // The planner counts from zero up.
        static NEXT: AtomicU64 = AtomicU64::new(1 << 63);
        let output = |output: &KernelOutput| PlanOutput {
            dtype: output.dtype,
            len: output.len,
            reuses: None,
            alias: None,
        };
        Plan {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            kernels: vec![self.kernel.clone()],
            together: Vec::new(),
            inputs: self.kernel.inputs.iter().map(|input| (input.dtype, input.len)).collect(),
            outputs: self.kernel.outputs.iter().map(output).collect(),
            slots: Vec::new(),
            arguments: self.arguments.iter().map(|(dtype, _)| *dtype).collect(),
            attachments: Attachments::default(),
        }
    }

    /// The values of the arguments.
    pub fn scalars(&self) -> Vec<Scalar> {
        self.arguments.iter().map(|(_, value)| *value).collect()
    }

    /// The elements of each result, as the interpreter computes them.
    ///
    /// # Errors
    /// If the kernel is unsound.
    pub fn expected(&self) -> Result<Vec<Vec<f64>>, Fault> {
        interpret::kernel(&self.kernel, &self.inputs, &self.scalars())
    }
}

/// Repeatable numbers in -1..1 with few bits, exact in f32.
pub fn numbers(count: usize, seed: u64) -> Vec<f64> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(1);
    (0..count)
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            ((state >> 45) as f64 / f64::from(1 << 18) - 1.0) * 0.999
        })
        .map(|value| f64::from((value * 4096.0).round() as f32 / 4096.0))
        .collect()
}

/// Repeatable whole numbers in `low..high`.
pub fn integers(count: usize, low: i64, high: i64, seed: u64) -> Vec<f64> {
    let span = (high - low) as f64;
    numbers(count, seed)
        .into_iter()
        .map(|value| (low as f64 + ((value + 1.0) / 2.0 * span).floor()).min(high as f64 - 1.0))
        .collect()
}

/// Words of interleaved blocks whose integers are random and whose scales are small, one of 13 zero and one
/// subnormal in f16.
pub fn block_words(format: BlockFormat, rows: usize, columns: usize, seed: u64) -> Vec<f64> {
    let count = rows * columns / format.elements();
    // Super-blocks have scales of scales: their numbers are larger.
    let unit = if format.elements() == 32 { 1e-3 } else { 2e-5 };
    let mut bytes: Vec<u8> =
        integers(count * format.bytes(), 0, 256, seed).into_iter().map(|byte| byte as u8).collect();
    for (index, block) in bytes.chunks_exact_mut(format.bytes()).enumerate() {
        let mut at = 0;
        for &field in format.fields() {
            if field == 2 {
                let scale = match index % 13 {
                    7 => f16::from_bits(37),
                    other => f16::from_f32((other as f32 - 5.0) * unit),
                };
                block[at..at + 2].copy_from_slice(&scale.to_le_bytes());
            }
            at += field;
        }
    }
    let words = interleave(format, rows, columns, &bytes);
    debug_assert_eq!(words.len(), interleave::bytes(format, rows, columns));
    interpret::numbers(DType::U32, &words)
}

/// Where a value differs by more than `tolerance` from what is expected: the element and both.
pub fn difference(found: &[f64], expected: &[f64], tolerance: f64) -> Option<(usize, f64, f64)> {
    let same = |found: f64, expected: f64| {
        found == expected
            || (found.is_nan() && expected.is_nan())
            || (found - expected).abs() <= tolerance * expected.abs().max(1.0)
    };
    let pairs = found.iter().zip(expected).enumerate();
    let mut wrong = pairs.filter(|&(_, (&found, &expected))| !same(found, expected));
    wrong.next().map(|(element, (&found, &expected))| (element, found, expected))
}

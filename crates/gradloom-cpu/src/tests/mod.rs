//! Kernels built by hand, run on every level with one thread and with several, against the interpreter
//! of plans.

mod convolution;
mod elementwise;
mod matmul;
mod padded;
mod reduce;
mod speed;
mod structured;

use std::sync::Arc;

use gradloom_plan::interpret;
use gradloom_plan::program::{Instruction, Level as Rank, Operation, Program, Space, ValueId};
use gradloom_plan::{BufferRef, Kernel, KernelInput, KernelKind, KernelOutput, View};
use gradloom_tensor::op::{Binary, Reduction, Unary, Window};
use gradloom_tensor::{DType, Scalar, Shape, bf16, f16};

use crate::kernels::{Context, prepare};
use crate::memory::Temporary;
use crate::pool::Pool;
use crate::simd::Level;
use crate::tile::Failures;

/// Windows with all that they have.
fn window<const N: usize>(
    kernel: [usize; N],
    stride: [usize; N],
    padding: [[usize; 2]; N],
    dilation: [usize; N],
) -> Window {
    Window::new(kernel).stride(stride).padding(padding).dilation(dilation)
}

/// A kernel under construction, with the elements of its inputs.
pub(crate) struct Case {
    pub(crate) kernel: Kernel,
    pub(crate) inputs: Vec<Vec<f64>>,
    pub(crate) arguments: Vec<Scalar>,
    /// Largest accepted error, relative to the largest magnitude of the output (at least 1).
    pub(crate) tolerance: f64,
    /// Inputs and the outputs whose memory they have.
    pub(crate) in_place: Vec<(usize, usize)>,
}

impl Case {
    pub(crate) fn new(kind: KernelKind, shape: &[usize], kept: usize) -> Case {
        let kernel = Kernel {
            kind,
            program: Program::default(),
            space: Space { shape: Shape::new(shape), kept },
            inputs: Vec::new(),
            outputs: Vec::new(),
            node: 0,
            origins: Vec::new(),
        };
        Case {
            kernel,
            inputs: Vec::new(),
            arguments: Vec::new(),
            tolerance: 3e-7,
            in_place: Vec::new(),
        }
    }

    pub(crate) fn map(shape: &[usize]) -> Case {
        Case::new(KernelKind::Map, shape, shape.len())
    }

    /// Adds an input and gives its position.
    pub(crate) fn input(&mut self, dtype: DType, values: Vec<f64>) -> usize {
        let index = self.inputs.len();
        let buffer = BufferRef::Input(index);
        self.kernel.inputs.push(KernelInput { buffer, dtype, len: values.len(), node: index });
        // What is compared must be what is stored.
        let stored = decode(dtype, &encode(dtype, &values));
        self.inputs.push(stored);
        index
    }

    pub(crate) fn push(&mut self, operation: Operation, dtype: DType, level: Rank) -> ValueId {
        self.kernel.program.push(Instruction { operation, dtype, level })
    }

    fn dtype(&self, value: ValueId) -> DType {
        self.kernel.program.instructions[value].dtype
    }

    fn level_of(&self, values: &[ValueId]) -> Rank {
        let levels = values.iter().map(|&value| self.kernel.program.instructions[value].level);
        levels.max().unwrap_or(Rank::Row)
    }

    pub(crate) fn load(&mut self, input: usize, view: View) -> ValueId {
        let dtype = self.kernel.inputs[input].dtype;
        self.push(Operation::Load { input, view }, dtype, Rank::Element)
    }

    /// A load that is the same along the reduced axes.
    pub(crate) fn load_row(&mut self, input: usize, view: View) -> ValueId {
        let dtype = self.kernel.inputs[input].dtype;
        self.push(Operation::Load { input, view }, dtype, Rank::Row)
    }

    /// A new input that is read element by element.
    pub(crate) fn whole(&mut self, dtype: DType, values: Vec<f64>) -> ValueId {
        let view = View::contiguous(self.kernel.space.shape);
        let input = self.input(dtype, values);
        self.load(input, view)
    }

    pub(crate) fn constant(&mut self, value: f64, dtype: DType) -> ValueId {
        let scalar = Scalar::Float(value).cast(dtype);
        self.push(Operation::Constant(scalar), dtype, Rank::Row)
    }

    pub(crate) fn accumulator(&mut self, dtype: DType) -> ValueId {
        self.push(Operation::Accumulator, dtype, Rank::Element)
    }

    pub(crate) fn unary(&mut self, op: Unary, value: ValueId) -> ValueId {
        let dtype = op.result(self.dtype(value));
        self.push(Operation::Unary(op, value), dtype, self.level_of(&[value]))
    }

    pub(crate) fn binary(&mut self, op: Binary, lhs: ValueId, rhs: ValueId) -> ValueId {
        let dtype = op.result(self.dtype(lhs));
        self.push(Operation::Binary(op, lhs, rhs), dtype, self.level_of(&[lhs, rhs]))
    }

    pub(crate) fn select(&mut self, condition: ValueId, a: ValueId, b: ValueId) -> ValueId {
        let level = self.level_of(&[condition, a, b]);
        self.push(Operation::Select(condition, a, b), self.dtype(a), level)
    }

    pub(crate) fn cast(&mut self, value: ValueId, dtype: DType) -> ValueId {
        self.push(Operation::Cast(value), dtype, self.level_of(&[value]))
    }

    pub(crate) fn reduce(&mut self, reduction: Reduction, value: ValueId) -> ValueId {
        self.push(Operation::Reduce(reduction, value), self.dtype(value), Rank::Row)
    }

    pub(crate) fn output(&mut self, value: ValueId) {
        let space = &self.kernel.space;
        let reducing = matches!(self.kernel.kind, KernelKind::Reduce | KernelKind::Row);
        let len = match self.kernel.program.instructions[value].level {
            Rank::Row if reducing => space.rows(),
            _ => space.shape.count(),
        };
        let buffer = BufferRef::Output(self.kernel.outputs.len());
        let dtype = self.dtype(value);
        self.kernel.outputs.push(KernelOutput { buffer, dtype, len, value, node: usize::MAX });
    }

    /// Runs the kernel with one level and number of threads; the outputs as stored.
    pub(crate) fn run(&self, level: Level, threads: usize) -> Vec<Vec<u8>> {
        let pool = Arc::new(Pool::default());
        let failures = Failures::default();
        let context = Context {
            level,
            threads,
            pool: &pool,
            arguments: &self.arguments,
            failures: &failures,
            profile: None,
        };
        for &(input, output) in &self.in_place {
            assert!(self.kernel.may_overwrite(input, output), "{}", self.kernel);
        }
        let executable = prepare(&self.kernel, &self.in_place).expect("a kernel");
        let buffers: Vec<Temporary> = self
            .inputs
            .iter()
            .zip(&self.kernel.inputs)
            .map(|(values, input)| filled(&pool, &encode(input.dtype, values)))
            .collect();
        let mut outputs: Vec<Temporary> = self
            .kernel
            .outputs
            .iter()
            .enumerate()
            .map(|(index, output)| {
                let garbage = vec![0x7b; output.len * output.dtype.size()];
                let shared = self.in_place.iter().find(|pair| pair.1 == index);
                match shared {
                    Some(&(input, _)) => filled(&pool, buffers[input].get()),
                    None => filled(&pool, &garbage),
                }
            })
            .collect();
        let inputs: Vec<&[u8]> = buffers
            .iter()
            .enumerate()
            .map(|(index, buffer)| {
                let in_place = self.in_place.iter().any(|pair| pair.0 == index);
                if in_place { &[][..] } else { buffer.get() }
            })
            .collect();
        let mut written: Vec<&mut [u8]> = outputs.iter_mut().map(Temporary::get_mut).collect();
        executable.run(&context, &inputs, &mut written).expect("the kernel runs");
        outputs.iter().map(|output| output.get().to_vec()).collect()
    }

    /// Runs the kernel on every level with one and three threads, compares all with the interpreter and
    /// the runs of one level bit by bit.
    #[track_caller]
    pub(crate) fn check(&self) {
        let expected = interpret::kernel(&self.kernel, &self.inputs, &self.arguments)
            .unwrap_or_else(|fault| panic!("{fault}: {}", self.kernel));
        for level in Level::available() {
            let single = self.run(level, 1);
            let several = self.run(level, 3);
            assert!(single == several, "{}: bits depend on the number of threads", level.name());
            for (index, (bytes, expected)) in single.iter().zip(&expected).enumerate() {
                let dtype = self.kernel.outputs[index].dtype;
                self.compare(level, index, dtype, &decode(dtype, bytes), expected);
            }
        }
    }

    #[track_caller]
    fn compare(&self, level: Level, index: usize, dtype: DType, found: &[f64], expected: &[f64]) {
        assert_eq!(found.len(), expected.len());
        let precision = match dtype {
            DType::F16 => 2f64.powi(-11),
            DType::BF16 => 2f64.powi(-8),
            DType::F32 => self.tolerance,
            DType::F64 => self.tolerance.min(1e-13),
            DType::I64 => {
                let bits = |values: &[f64]| values.iter().map(|value| value.to_bits()).collect();
                let (found, expected): (Vec<u64>, Vec<u64>) = (bits(found), bits(expected));
                return assert_eq!(found, expected, "{}: output {index}", level.name());
            }
            DType::I32 | DType::I8 | DType::U32 | DType::U8 | DType::Bool => 0.0,
        };
        let largest =
            expected.iter().filter(|value| value.is_finite()).fold(1.0, |a: f64, b| a.max(b.abs()));
        for (position, (&found, &expected)) in found.iter().zip(expected).enumerate() {
            let same = found == expected || (found.is_nan() && expected.is_nan());
            let near = (found - expected).abs()
                <= precision * largest.min(expected.abs().max(largest * 0.5 + 0.5));
            assert!(
                same || near,
                "{}: output {index}, element {position}: {found} instead of {expected}",
                level.name()
            );
        }
    }
}

fn filled(pool: &Arc<Pool>, bytes: &[u8]) -> Temporary {
    let mut buffer = pool.temporary(bytes.len()).expect("memory");
    buffer.get_mut().copy_from_slice(bytes);
    buffer
}

/// Elements as they are stored.
pub(crate) fn encode(dtype: DType, values: &[f64]) -> Vec<u8> {
    fn bytes<T: bytemuck::NoUninit>(values: impl Iterator<Item = T>) -> Vec<u8> {
        values.flat_map(|value| bytemuck::bytes_of(&value).to_vec()).collect()
    }
    let values = values.iter().copied();
    match dtype {
        DType::F32 => bytes(values.map(|value| value as f32)),
        DType::F64 => bytes(values),
        DType::F16 => bytes(values.map(|value| f16::from_f32(value as f32).to_bits())),
        DType::BF16 => bytes(values.map(|value| bf16::from_f32(value as f32).to_bits())),
        DType::I32 => bytes(values.map(|value| value as i64 as i32)),
        // Bits, as the interpreter has them.
        DType::I64 => bytes(values),
        DType::I8 => bytes(values.map(|value| value as i64 as i8)),
        DType::U32 => bytes(values.map(|value| value as i64 as u32)),
        DType::U8 => bytes(values.map(|value| value as i64 as u8)),
        DType::Bool => bytes(values.map(|value| u8::from(value != 0.0))),
    }
}

/// Stored elements as numbers.
pub(crate) fn decode(dtype: DType, bytes: &[u8]) -> Vec<f64> {
    fn numbers<T: bytemuck::AnyBitPattern>(bytes: &[u8], to: impl Fn(T) -> f64) -> Vec<f64> {
        bytes
            .chunks_exact(size_of::<T>())
            .map(|chunk| to(bytemuck::pod_read_unaligned(chunk)))
            .collect()
    }
    match dtype {
        DType::F32 => numbers(bytes, |value: f32| f64::from(value)),
        DType::F64 => numbers(bytes, |value: f64| value),
        DType::F16 => numbers(bytes, |value: u16| f16::from_bits(value).to_f64()),
        DType::BF16 => numbers(bytes, |value: u16| bf16::from_bits(value).to_f64()),
        DType::I32 => numbers(bytes, |value: i32| f64::from(value)),
        DType::I64 => numbers(bytes, |value: f64| value),
        DType::I8 => numbers(bytes, |value: i8| f64::from(value)),
        DType::U32 => numbers(bytes, |value: u32| f64::from(value)),
        DType::U8 | DType::Bool => numbers(bytes, |value: u8| f64::from(value)),
    }
}

/// Numbers between -2 and 2 that half precision holds, the same for the same seed.
pub(crate) fn numbers(seed: u32, count: usize) -> Vec<f64> {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(12_345);
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        f64::from((state >> 8) as i32 % 512 - 256) / 128.0
    };
    (0..count).map(|_| next()).collect()
}

/// The same numbers as i64 are kept.
pub(crate) fn wide(values: Vec<f64>) -> Vec<f64> {
    values.into_iter().map(|value| interpret::to_bits(value as i64)).collect()
}

/// Whole numbers from `low` to below `high`.
pub(crate) fn integers(seed: u32, count: usize, low: i64, high: i64) -> Vec<f64> {
    numbers(seed, count)
        .into_iter()
        .enumerate()
        .map(|(index, value)| {
            (low + ((value * 128.0) as i64 + 256 + index as i64 * 7).rem_euclid(high - low)) as f64
        })
        .collect()
}

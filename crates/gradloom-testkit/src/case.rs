//! [`Case`]: one row of the table: a function of tensors, and what its operands are drawn from.

use gradloom_tensor::random::threefry;
use gradloom_tensor::{DType, Device, Result, Shape, Tensor, rounding};

/// A function to be tested on every backend.
#[derive(Clone)]
pub struct Case {
    /// What the case shows, unique in the table.
    pub name: String,
    /// Operands.
    pub operands: Vec<Operand>,
    /// The function.
    pub function: fn(&[Tensor]) -> Tensor,
    /// How often it may be differentiated at the operands drawn: 0, 1 or 2.
    pub smoothness: usize,
    /// Allowed deviation in f32, relative to the value and to the size of all values.
    pub tolerance: f64,
    /// Allowed deviation on the CPU where it rounds on the way, see [`Case::rounds_on_the_cpu`].
    pub cpu_tolerance: Option<f64>,
    /// Whether only devices with i64 can run it.
    pub wide: bool,
}

/// An operand of a case.
#[derive(Clone, Debug)]
pub struct Operand {
    /// Its shape.
    pub shape: Shape,
    /// What its elements are.
    pub kind: Draw,
}

/// What elements are drawn from. All are exact in f32.
#[derive(Clone, Debug, PartialEq)]
pub enum Draw {
    /// Floats between -2 and 2, no two alike by chance.
    Float,
    /// Floats between 0.25 and 2.25.
    Positive,
    /// Floats between -0.9 and 0.9.
    Unit,
    /// These floats, repeated as needed: for NaN, infinities, ties and far values.
    Listed(Vec<f64>),
    /// `i32` in `0..n`.
    Index(usize),
    /// `i32` between -9 and 9.
    Int,
    /// Truth values.
    Bool,
}

/// How an operand reaches the function: the value is the same, the graph is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// A row-major leaf.
    Plain,
    /// A permuted view of a leaf with reversed axes.
    Permuted,
    /// Every second element, from an offset, of a larger leaf.
    Strided,
    /// The result of arithmetic that the planner may fuse.
    Computed,
}

impl Layout {
    /// All layouts.
    pub const ALL: [Layout; 4] =
        [Layout::Plain, Layout::Permuted, Layout::Strided, Layout::Computed];
}

impl Case {
    /// A case without operands yet, twice differentiable.
    pub fn new(name: impl Into<String>, function: fn(&[Tensor]) -> Tensor) -> Case {
        Case {
            name: name.into(),
            operands: Vec::new(),
            function,
            smoothness: 2,
            tolerance: 2e-5,
            cpu_tolerance: None,
            wide: false,
        }
    }

    fn operand(mut self, shape: &[usize], kind: Draw) -> Case {
        self.operands.push(Operand { shape: Shape::new(shape), kind });
        self
    }

    /// Adds an operand of [`Draw::Float`].
    #[must_use]
    pub fn float(self, shape: &[usize]) -> Case {
        self.operand(shape, Draw::Float)
    }

    /// Adds an operand of [`Draw::Positive`].
    #[must_use]
    pub fn positive(self, shape: &[usize]) -> Case {
        self.operand(shape, Draw::Positive)
    }

    /// Adds an operand of [`Draw::Unit`].
    #[must_use]
    pub fn unit(self, shape: &[usize]) -> Case {
        self.operand(shape, Draw::Unit)
    }

    /// Adds an operand of [`Draw::Listed`].
    #[must_use]
    pub fn listed(self, shape: &[usize], values: &[f64]) -> Case {
        self.operand(shape, Draw::Listed(values.to_vec()))
    }

    /// Adds an operand of [`Draw::Index`].
    #[must_use]
    pub fn index(self, shape: &[usize], size: usize) -> Case {
        self.operand(shape, Draw::Index(size))
    }

    /// Adds an operand of [`Draw::Int`].
    #[must_use]
    pub fn int(self, shape: &[usize]) -> Case {
        self.operand(shape, Draw::Int)
    }

    /// Adds an operand of [`Draw::Bool`].
    #[must_use]
    pub fn bool(self, shape: &[usize]) -> Case {
        self.operand(shape, Draw::Bool)
    }

    /// How often it may be differentiated.
    #[must_use]
    pub fn smooth(self, smoothness: usize) -> Case {
        Case { smoothness, ..self }
    }

    /// Another tolerance, with the reason at the call.
    #[must_use]
    pub fn tolerance(self, tolerance: f64) -> Case {
        Case { tolerance, ..self }
    }

    /// The exception of products with matrices in blocks: the CPU rounds the other operand to 16 bits in
    /// blocks of 32.
    #[must_use]
    pub fn rounds_on_the_cpu(self) -> Case {
        Case { cpu_tolerance: Some(2e-4), ..self }
    }

    /// Only for devices with i64.
    #[must_use]
    pub fn wide(self) -> Case {
        Case { wide: true, ..self }
    }

    /// The operands on a device, floats of the given dtype.
    ///
    /// # Errors
    /// If the device refuses them.
    pub fn tensors(&self, device: &Device, float: DType, layout: Layout) -> Result<Vec<Tensor>> {
        self.operands
            .iter()
            .enumerate()
            .map(|(number, operand)| {
                let values = operand.values(number as u32);
                lay_out(&values, operand.shape, operand.dtype(float), device, layout)
            })
            .collect()
    }

    /// Whether each operand may have a gradient.
    pub fn differentiable(&self) -> Vec<bool> {
        self.operands.iter().map(Operand::is_float).collect()
    }
}

impl Operand {
    /// True for operands of a floating-point dtype.
    pub fn is_float(&self) -> bool {
        matches!(self.kind, Draw::Float | Draw::Positive | Draw::Unit | Draw::Listed(_))
    }

    /// Its dtype where floats are of the given one.
    pub fn dtype(&self, float: DType) -> DType {
        match self.kind {
            Draw::Index(_) | Draw::Int => DType::I32,
            Draw::Bool => DType::Bool,
            _ => float,
        }
    }

    /// The elements, the same on every run.
    pub fn values(&self, number: u32) -> Vec<f64> {
        (0..self.shape.count())
            .map(|index| {
                let bits = threefry([number, 77], [index as u32, 0])[0];
                let unit = f64::from(bits >> 12) / f64::from(1u32 << 20);
                match &self.kind {
                    Draw::Float => unit * 4.0 - 2.0,
                    Draw::Positive => 0.25 + unit * 2.0,
                    Draw::Unit => f64::from((unit * 1.8 - 0.9) as f32),
                    Draw::Listed(values) => values[index % values.len()],
                    Draw::Index(size) => (unit * *size as f64).floor(),
                    Draw::Int => (unit * 19.0).floor() - 9.0,
                    Draw::Bool => f64::from(u8::from(unit < 0.5)),
                }
            })
            .collect()
    }
}

/// A tensor of values in a dtype.
///
/// # Errors
/// If the device refuses it.
pub fn tensor(values: &[f64], shape: Shape, dtype: DType, device: &Device) -> Result<Tensor> {
    Ok(match dtype {
        DType::F64 => Tensor::from_vec(values.to_vec(), shape, device)?,
        DType::F32 => {
            Tensor::from_vec(values.iter().map(|&value| value as f32).collect(), shape, device)?
        }
        DType::F16 => Tensor::from_vec(
            values.iter().map(|&value| rounding::to_f16(value)).collect(),
            shape,
            device,
        )?,
        DType::BF16 => Tensor::from_vec(
            values.iter().map(|&value| rounding::to_bf16(value)).collect(),
            shape,
            device,
        )?,
        DType::I32 => {
            Tensor::from_vec(values.iter().map(|&value| value as i32).collect(), shape, device)?
        }
        DType::I64 => {
            Tensor::from_vec(values.iter().map(|&value| value as i64).collect(), shape, device)?
        }
        DType::I8 => {
            Tensor::from_vec(values.iter().map(|&value| value as i8).collect(), shape, device)?
        }
        DType::U32 => {
            Tensor::from_vec(values.iter().map(|&value| value as u32).collect(), shape, device)?
        }
        DType::U8 => {
            Tensor::from_vec(values.iter().map(|&value| value as u8).collect(), shape, device)?
        }
        DType::Bool => {
            Tensor::from_vec(values.iter().map(|&value| value != 0.0).collect(), shape, device)?
        }
    })
}

fn lay_out(
    values: &[f64],
    shape: Shape,
    dtype: DType,
    device: &Device,
    layout: Layout,
) -> Result<Tensor> {
    let rank = shape.rank();
    match layout {
        Layout::Permuted if rank > 1 => {
            let reversed: Shape = shape.iter().rev().copied().collect();
            let order: Vec<isize> = (0..rank as isize).rev().collect();
            let moved = tensor(&permuted(values, shape), reversed, dtype, device)?;
            Ok(moved.permute(&order[..]))
        }
        Layout::Strided if rank > 0 && shape.count() > 0 => {
            let last = shape[rank - 1];
            let mut wide = Vec::with_capacity(values.len() * 2 + shape.count());
            for row in values.chunks(last) {
                wide.push(3.0);
                for &value in row {
                    wide.extend([value, 1.0]);
                }
            }
            let wide = if dtype == DType::Bool {
                wide.into_iter().map(|value| f64::from(u8::from(value != 0.0))).collect()
            } else {
                wide
            };
            let big = tensor(&wide, shape.with(rank - 1, 2 * last + 1), dtype, device)?;
            let from_one = big.narrow(-1, 1, 2 * last);
            let dims: Vec<usize> = shape.iter().copied().chain([2]).collect();
            Ok(from_one.reshape(Shape::new(&dims)).narrow(-1, 0, 1).reshape(shape))
        }
        Layout::Computed if dtype.is_float() => {
            let plain = tensor(values, shape, dtype, device)?;
            Ok(-(-plain))
        }
        _ => tensor(values, shape, dtype, device),
    }
}

/// Elements in the order of reversed axes.
fn permuted(values: &[f64], shape: Shape) -> Vec<f64> {
    let reversed: Shape = shape.iter().rev().copied().collect();
    (0..shape.count())
        .map(|index| {
            let mut at = crate::reference::coordinate(&reversed, index);
            at.reverse();
            values[crate::reference::linear(&shape, &at)]
        })
        .collect()
}

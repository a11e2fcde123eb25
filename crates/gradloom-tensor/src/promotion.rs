//! Type promotion: the one rule by which operands of different dtypes meet, that of PyTorch's
//! `torch.result_type`.
//!
//! 1. **Categories** are ordered: bool, then integers, then floats. The highest one among the operands
//!    decides the category of the result.
//! 2. **Ranks** are ordered, too: tensors with axes, then tensors without axes, then Rust numbers. An
//!    operand of a lower rank only counts if its category is higher: `x * 2.0` stays f16 for x of f16, and
//!    is f32, the default float, for x of integers; `flags + 1` is i32, the default integer.
//! 3. Operands that count meet in the smallest dtype that holds what both hold:
//!
//! |      | bool | u8  | i8  | u32  | i32  | i64 | f16 | bf16 | f32 | f64 |
//! | ---- | ---- | --- | --- | ---- | ---- | --- | --- | ---- | --- | --- |
//! | bool | bool | u8  | i8  | u32  | i32  | i64 | f16 | bf16 | f32 | f64 |
//! | u8   | u8   | u8  | i32 | u32  | i32  | i64 | f16 | bf16 | f32 | f64 |
//! | i8   | i8   | i32 | i8  | none | i32  | i64 | f16 | bf16 | f32 | f64 |
//! | u32  | u32  | u32 | none | u32 | none | i64 | f16 | bf16 | f32 | f64 |
//! | i32  | i32  | i32 | i32 | none | i32  | i64 | f16 | bf16 | f32 | f64 |
//! | i64  | i64  | i64 | i64 | i64  | i64  | i64 | f16 | bf16 | f32 | f64 |
//! | f16  | f16  | f16 | f16 | f16  | f16  | f16 | f16 | f32  | f32 | f64 |
//! | bf16 | bf16 | bf16 | bf16 | bf16 | bf16 | bf16 | f32 | bf16 | f32 | f64 |
//!
//! Where this differs from PyTorch: u8 and i8 meet in i32, since there is no i16; the default integer is
//! i32, not i64; u32 and i64 meet in i64, which holds both. u32 and a narrower signed integer have no
//! common dtype, as in PyTorch: only i64 holds both, and no GPU has it, so the error shows the casts.
//!
//! Elementwise ops, comparisons, [`Tensor::select`], [`Tensor::concat`] and [`Tensor::stack`] promote.
//! Products, convolutions, attention, losses, [`Tensor::lerp`], [`Tensor::write`] and
//! [`Tensor::scatter_add`] do not, as in PyTorch: there a conversion costs a copy that somebody should have
//! decided on.
//!
//! [`Tensor::select`]: crate::Tensor::select
//! [`Tensor::concat`]: crate::Tensor::concat
//! [`Tensor::stack`]: crate::Tensor::stack
//! [`Tensor::lerp`]: crate::Tensor::lerp
//! [`Tensor::write`]: crate::Tensor::write
//! [`Tensor::scatter_add`]: crate::Tensor::scatter_add

use crate::{DType, Error, Operand, Result, Scalar, Tensor};

/// The dtype of a float without one: of numbers beside integers.
pub const FLOAT: DType = DType::F32;

/// The dtype of an integer without one: of numbers beside truth values.
pub const INTEGER: DType = DType::I32;

/// What an operand says about the dtype of a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Typed {
    /// A tensor with axes.
    Tensor(DType),
    /// A tensor without axes.
    Scalar(DType),
    /// A Rust number, of its category's default dtype.
    Number(DType),
}

impl Typed {
    /// The rank, the highest first.
    fn rank(self) -> usize {
        match self {
            Typed::Tensor(_) => 0,
            Typed::Scalar(_) => 1,
            Typed::Number(_) => 2,
        }
    }

    fn dtype(self) -> DType {
        match self {
            Typed::Tensor(dtype) | Typed::Scalar(dtype) | Typed::Number(dtype) => dtype,
        }
    }
}

impl From<&Tensor> for Typed {
    fn from(tensor: &Tensor) -> Self {
        match tensor.rank() {
            0 => Typed::Scalar(tensor.dtype()),
            _ => Typed::Tensor(tensor.dtype()),
        }
    }
}

impl From<Scalar> for Typed {
    fn from(scalar: Scalar) -> Self {
        Typed::Number(match scalar {
            Scalar::Float(_) => FLOAT,
            Scalar::Int(_) => INTEGER,
            Scalar::Bool(_) => DType::Bool,
        })
    }
}

impl From<&Operand> for Typed {
    fn from(operand: &Operand) -> Self {
        match operand {
            Operand::Tensor(tensor) => Typed::from(tensor),
            Operand::Scalar(scalar) => Typed::from(*scalar),
        }
    }
}

/// The dtype that operands of one op meet in, see the [module](self).
///
/// # Errors
/// If u32 meets i8 or i32, and without operands.
pub fn result_type(op: &str, operands: impl IntoIterator<Item = Typed>) -> Result<DType> {
    let mut ranks = [None; 3];
    for operand in operands {
        let slot: &mut Option<DType> = &mut ranks[operand.rank()];
        *slot = Some(match *slot {
            Some(known) => promote(op, known, operand.dtype())?,
            None => operand.dtype(),
        });
    }
    let mut result: Option<DType> = None;
    for lower in ranks.into_iter().flatten() {
        result = Some(match result {
            Some(higher) if category(higher) >= category(lower) => higher,
            Some(higher) => promote(op, higher, lower)?,
            None => lower,
        });
    }
    result.ok_or_else(|| Error::shape(format!("{op}: needs at least one operand")))
}

/// The smallest dtype that holds what two hold.
///
/// # Errors
/// If there is none: of u32 and i8 or i32.
pub fn promote(op: &str, lhs: DType, rhs: DType) -> Result<DType> {
    if lhs == rhs {
        return Ok(lhs);
    }
    let (lower, higher) = if category(lhs) <= category(rhs) { (lhs, rhs) } else { (rhs, lhs) };
    Ok(match (lower, higher) {
        _ if category(lower) < category(higher) => higher,
        (DType::F64, _) | (_, DType::F64) => DType::F64,
        // Halves of two kinds, or one beside f32.
        (DType::F32 | DType::F16 | DType::BF16, _) => DType::F32,
        (DType::I64, _) | (_, DType::I64) => DType::I64,
        (DType::U8, DType::U32) | (DType::U32, DType::U8) => DType::U32,
        (DType::U32, _) | (_, DType::U32) => {
            return Err(Error::shape(format!(
                "{op}: {lhs} and {rhs} have no common dtype that every device has; convert one with \
                 cast(DType::{}) or cast(DType::U32), or both with cast(DType::I64) on the CPU",
                if lhs == DType::I8 || rhs == DType::I8 { "I8" } else { "I32" }
            )));
        }
        // u8, i8 and i32.
        _ => DType::I32,
    })
}

/// Bool, integers, floats.
fn category(dtype: DType) -> u8 {
    match dtype {
        DType::Bool => 0,
        DType::I32 | DType::I64 | DType::I8 | DType::U32 | DType::U8 => 1,
        DType::F32 | DType::F64 | DType::F16 | DType::BF16 => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::{DType, Typed, promote, result_type};

    #[test]
    fn promotion_is_symmetric_and_holds_both() {
        for a in DType::ALL {
            for b in DType::ALL {
                let (one, two) = (promote("add", a, b).ok(), promote("add", b, a).ok());
                assert_eq!(one, two, "{a} and {b}");
                let Some(common) = one else {
                    assert!(a == DType::U32 || b == DType::U32, "{a} and {b}");
                    continue;
                };
                for dtype in [a, b] {
                    assert_eq!(promote("add", dtype, common).ok(), Some(common), "{a} and {b}");
                    let inside = dtype.int_range().zip(common.int_range());
                    assert!(inside.is_none_or(|(own, all)| all.0 <= own.0 && own.1 <= all.1));
                }
            }
        }
    }

    #[test]
    fn the_table_is_that_of_the_module() {
        let text = include_str!("promotion.rs");
        let rows = text.lines().filter_map(|line| line.strip_prefix("//! |"));
        let cells = |row: &str| -> Vec<String> {
            row.split('|')
                .map(|cell| cell.trim().to_owned())
                .filter(|cell| !cell.is_empty())
                .collect()
        };
        let rows: Vec<Vec<String>> =
            rows.map(cells).filter(|row| !row[0].starts_with('-')).collect();
        let named = |name: &str| DType::ALL.into_iter().find(|dtype| dtype.name() == name);
        assert_eq!(rows.len(), 9);
        for row in &rows[1..] {
            for (column, cell) in rows[0].iter().zip(&row[1..]) {
                let (a, b) = (named(&row[0]).unwrap(), named(column).unwrap());
                assert_eq!(promote("add", a, b).ok(), named(cell), "{a} and {b}");
            }
        }
    }

    #[test]
    fn lower_ranks_count_only_for_their_category() {
        use Typed::{Number, Scalar, Tensor};
        let of = |operands: &[Typed]| result_type("add", operands.iter().copied()).unwrap();
        assert_eq!(of(&[Tensor(DType::F16), Number(DType::F32)]), DType::F16);
        assert_eq!(of(&[Tensor(DType::I64), Number(DType::F32)]), DType::F32);
        assert_eq!(of(&[Tensor(DType::Bool), Number(DType::I32)]), DType::I32);
        assert_eq!(of(&[Tensor(DType::U8), Number(DType::I32)]), DType::U8);
        assert_eq!(of(&[Tensor(DType::F16), Scalar(DType::F64)]), DType::F16);
        assert_eq!(of(&[Tensor(DType::I8), Scalar(DType::F16)]), DType::F16);
        assert_eq!(of(&[Scalar(DType::I8), Scalar(DType::F64)]), DType::F64);
        assert_eq!(of(&[Scalar(DType::BF16), Number(DType::F32)]), DType::BF16);
        assert_eq!(of(&[Number(DType::I32), Number(DType::F32)]), DType::F32);
        assert_eq!(of(&[Tensor(DType::F16), Tensor(DType::BF16), Number(DType::F32)]), DType::F32);
        assert_eq!(of(&[Tensor(DType::Bool), Scalar(DType::U8), Number(DType::F32)]), DType::F32);
        let error = result_type("add", [Tensor(DType::U32), Tensor(DType::I32)]).unwrap_err();
        assert!(error.to_string().starts_with("add: u32 and i32 have no common dtype"), "{error}");
    }
}

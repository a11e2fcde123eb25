//! The shape rules of all ops, as public functions that return `Result`: for callers who must check
//! first. The tensor methods call the same functions and panic with their message.
//!
//! Rules of products and indexing stand in [`structured`], of convolutions and pooling in [`windows`].

use crate::op::{Axes, Permutation};
use crate::shape::RANK_MAX;
use crate::{DType, Error, Result, Shape};

pub mod structured;
pub mod windows;

/// An axis that may count from the end, as an index below `rank`.
///
/// # Errors
/// If it is out of range.
pub fn axis(op: &str, axis: isize, rank: usize) -> Result<usize> {
    let index = if axis < 0 { axis.saturating_add(rank as isize) } else { axis };
    if index < 0 || index >= rank as isize {
        return Err(Error::shape(format!(
            "{op}: axis {axis} out of range for a tensor of {rank} axes"
        )));
    }
    Ok(index as usize)
}

/// The place `0..=rank` where a new axis goes; -1 is after the last axis.
///
/// # Errors
/// If it is out of range or the tensor already has the most axes possible.
pub fn new_axis(op: &str, axis: isize, rank: usize) -> Result<usize> {
    if rank == RANK_MAX {
        return Err(Error::shape(format!(
            "{op}: the tensor already has {RANK_MAX} axes, the most that are supported"
        )));
    }
    self::axis(op, axis, rank + 1)
}

/// A set of distinct axes that may count from the end.
///
/// # Errors
/// If one is out of range or named twice.
pub fn axes(op: &str, axes: &[isize], rank: usize) -> Result<Axes> {
    let mut seen = [false; RANK_MAX];
    for &given in axes {
        let index = axis(op, given, rank)?;
        if std::mem::replace(&mut seen[index], true) {
            return Err(Error::shape(format!("{op}: axis {index} is named twice in {axes:?}")));
        }
    }
    Ok((0..rank).filter(|&index| seen[index]).collect())
}

impl Shape {
    /// The shape in which tensors of these shapes meet: aligned at the last axis, sizes are equal or 1. PyTorch:
    /// `broadcast_shapes`.
    ///
    /// # Errors
    /// If two sizes differ and neither is 1.
    pub fn broadcast(shapes: &[Shape]) -> Result<Shape> {
        let mut shapes = shapes.iter();
        let first = shapes.next().copied().unwrap_or(Shape::SCALAR);
        shapes.try_fold(first, |met, shape| broadcast("broadcast", &met, shape))
    }
}

/// The shape that both operands are repeated to, by NumPy's rule: aligned at the last axis, sizes are
/// equal or one of them is 1.
///
/// # Errors
/// If two sizes differ and neither is 1.
pub fn broadcast(op: &str, lhs: &Shape, rhs: &Shape) -> Result<Shape> {
    let rank = lhs.rank().max(rhs.rank());
    let mut dims = [1; RANK_MAX];
    for back in 1..=rank {
        let (left, right) = (size_from_end(lhs, back), size_from_end(rhs, back));
        dims[rank - back] = match (left, right) {
            (1, size) | (size, 1) => size,
            (left, right) if left == right => left,
            _ => {
                return Err(Error::shape(format!("{op}: shapes {lhs} and {rhs} do not broadcast")));
            }
        };
    }
    Ok(Shape::new(&dims[..rank]))
}

/// Size of the axis `back` places before the end; 1 for axes that are not there.
fn size_from_end(shape: &Shape, back: usize) -> usize {
    shape.rank().checked_sub(back).map_or(1, |axis| shape[axis])
}

/// Checks that `from` can be repeated to `to`, and gives `to`.
///
/// # Errors
/// If an axis of `from` is neither 1 nor the size in `to`, or `to` has fewer axes.
pub fn broadcast_to(op: &str, from: &Shape, to: &Shape) -> Result<Shape> {
    let fits = from.rank() <= to.rank()
        && (1..=from.rank()).all(|back| {
            let size = size_from_end(from, back);
            size == 1 || size == size_from_end(to, back)
        });
    if fits {
        Ok(*to)
    } else {
        Err(Error::shape(format!("{op}: shape {from} cannot be repeated to {to}")))
    }
}

/// The shape with the given sizes, of which one may be -1: whatever keeps the number of elements.
///
/// # Errors
/// If the number of elements changes, a size is negative, or -1 is there twice or has no one answer.
pub fn reshape(from: &Shape, sizes: &[isize]) -> Result<Shape> {
    let count = from.count();
    let error = |why: &str| {
        let mut message = format!("reshape: {from} ({count} elements) does not fit {sizes:?}");
        message.push_str(why);
        Err(Error::shape(message))
    };
    if sizes.len() > RANK_MAX {
        return error("; at most 8 axes are supported");
    }
    let (mut dims, mut known, mut open) = ([0; RANK_MAX], 1usize, None);
    for (axis, &size) in sizes.iter().enumerate() {
        match usize::try_from(size) {
            Ok(size) => {
                dims[axis] = size;
                known = match known.checked_mul(size) {
                    Some(known) => known,
                    None => return error(""),
                };
            }
            Err(_) if size == -1 && open.is_none() => open = Some(axis),
            Err(_) if size == -1 => return error("; only one size may be -1"),
            Err(_) => return error("; sizes are not negative, except one -1"),
        }
    }
    if let Some(axis) = open {
        if known == 0 {
            return error("; -1 next to a size of 0 has no one answer");
        }
        if !count.is_multiple_of(known) {
            return error(&format!("; {count} is not divisible by {known}"));
        }
        dims[axis] = count / known;
    } else if known != count {
        return error(&format!(", which has {known}"));
    }
    Ok(Shape::new(&dims[..sizes.len()]))
}

/// The shape whose axis `i` is axis `order[i]` of `from`, and the order as a [`Permutation`].
///
/// # Errors
/// If `order` does not name each axis once.
pub fn permute(from: &Shape, order: &[isize]) -> Result<(Shape, Permutation)> {
    if order.len() != from.rank() {
        return Err(Error::shape(format!(
            "permute: {} axes named in {order:?} for shape {from}; name each axis once",
            order.len()
        )));
    }
    axes("permute", order, from.rank())?;
    let order: Vec<usize> =
        order.iter().map(|&given| axis("permute", given, from.rank())).collect::<Result<_>>()?;
    Ok((order.iter().map(|&axis| from[axis]).collect(), Permutation::new(&order)))
}

/// The shape with `padding[i]` elements before and after along axis `i`.
///
/// # Errors
/// If there is not one pair per axis, or a size overflows.
pub fn pad(from: &Shape, padding: &[(usize, usize)]) -> Result<Shape> {
    if padding.len() != from.rank() {
        return Err(Error::shape(format!(
            "pad: {} pairs for shape {from}; give one (before, after) per axis",
            padding.len()
        )));
    }
    let padded = |(&(before, after), &size): (&(usize, usize), &usize)| {
        before.checked_add(size)?.checked_add(after)
    };
    let sizes: Option<Shape> = padding.iter().zip(from.iter()).map(padded).collect();
    sizes.ok_or_else(|| too_large("pad", format_args!("{padding:?} around {from}")))
}

/// Checks that elements of a shape have addresses.
///
/// # Errors
/// If there are too many.
pub fn addressable(op: &str, shape: &Shape) -> Result<()> {
    if shape.is_addressable() { Ok(()) } else { Err(too_large(op, format_args!("shape {shape}"))) }
}

/// Checks that i32 counts the places along an axis, for ops whose results are such places.
///
/// # Errors
/// If the axis is longer.
pub fn countable(op: &str, shape: &Shape, axis: usize) -> Result<()> {
    let size = shape[axis];
    if i32::try_from(size).is_ok() {
        return Ok(());
    }
    Err(Error::shape(format!(
        "{op}: axis {axis} of shape {shape} has {size} elements, more than i32 counts"
    )))
}

pub(crate) fn too_large(op: &str, what: std::fmt::Arguments<'_>) -> Error {
    Error::shape(format!("{op}: {what} has more elements than memory has addresses"))
}

/// The shape after a reduction that keeps its axes with size one.
///
/// # Errors
/// If an axis is out of range.
pub fn reduce(op: &str, from: &Shape, axes: Axes) -> Result<Shape> {
    if let Some(axis) = axes.iter().find(|&axis| axis >= from.rank()) {
        return Err(Error::shape(format!(
            "{op}: axis {axis} out of range for a tensor of {} axes",
            from.rank()
        )));
    }
    let size = |(axis, &size): (usize, &usize)| if axes.contains(axis) { 1 } else { size };
    Ok(from.iter().enumerate().map(size).collect())
}

/// The shape without the given axes.
pub fn without(from: &Shape, axes: Axes) -> Shape {
    (0..from.rank()).filter(|&axis| !axes.contains(axis)).map(|axis| from[axis]).collect()
}

/// Checks that reduced axes have elements, for reductions that have no value of nothing.
///
/// # Errors
/// If one of the axes has size 0.
pub fn not_empty(op: &str, from: &Shape, axes: Axes) -> Result<()> {
    match axes.iter().find(|&axis| from[axis] == 0) {
        Some(axis) => {
            Err(Error::shape(format!("{op}: axis {axis} of shape {from} has no elements")))
        }
        None => Ok(()),
    }
}

/// The dtype of both operands.
///
/// # Errors
/// If they differ.
pub fn same_dtype(op: &str, lhs: DType, rhs: DType) -> Result<DType> {
    if lhs == rhs {
        Ok(lhs)
    } else {
        Err(Error::shape(format!("{op}: dtypes differ: {lhs} and {rhs}; convert one with cast")))
    }
}

/// Checks for a floating-point dtype.
///
/// # Errors
/// If it is none.
pub fn float(op: &str, dtype: DType) -> Result<DType> {
    require(dtype.is_float(), op, "a floating-point tensor", dtype)
}

/// Checks for an integer dtype.
///
/// # Errors
/// If it is none.
pub fn int(op: &str, dtype: DType) -> Result<DType> {
    require(dtype.is_int(), op, "an integer tensor", dtype)
}

/// Checks for bool.
///
/// # Errors
/// If it is another dtype.
pub fn boolean(op: &str, dtype: DType) -> Result<DType> {
    require(dtype == DType::Bool, op, "a bool tensor", dtype)
}

/// Checks for a dtype with arithmetic: any but bool.
///
/// # Errors
/// If it is bool.
pub fn number(op: &str, dtype: DType) -> Result<DType> {
    require(dtype != DType::Bool, op, "numbers", dtype)
}

fn require(fits: bool, op: &str, what: &str, dtype: DType) -> Result<DType> {
    if fits {
        Ok(dtype)
    } else {
        Err(Error::shape(format!("{op}: needs {what}, not {dtype}; convert with cast")))
    }
}

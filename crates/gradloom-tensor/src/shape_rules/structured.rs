//! Shape rules of structured ops: products, indexing, concatenation.

use crate::shape_rules::{broadcast, too_large};
use crate::{Error, Result, Shape};

/// Requires a shape of exactly `rank` axes; `layout` names them in the message.
///
/// # Errors
/// If the number of axes differs.
pub fn rank(op: &str, layout: &str, shape: &Shape, rank: usize) -> Result<()> {
    if shape.rank() == rank {
        return Ok(());
    }
    Err(Error::shape(format!("{op}: needs {layout}, got shape {shape}")))
}

/// The result of `matmul` with numpy's semantics: a 1-D operand is a row on the left and a column on
/// the right, batch axes broadcast.
///
/// # Errors
/// If an operand is a scalar, inner dimensions differ or batch axes do not broadcast.
pub fn matmul(lhs: &Shape, rhs: &Shape) -> Result<Shape> {
    if lhs.rank() == 0 || rhs.rank() == 0 {
        return Err(Error::shape(format!("matmul: an operand is a scalar: {lhs} x {rhs}")));
    }
    let left = if lhs.rank() == 1 { Shape::new(&[1, lhs[0]]) } else { *lhs };
    let right = if rhs.rank() == 1 { Shape::new(&[rhs[0], 1]) } else { *rhs };
    if left[left.rank() - 1] != right[right.rank() - 2] {
        return Err(Error::shape(format!("matmul: inner dimensions differ: {lhs} x {rhs}")));
    }
    let batch = |shape: &Shape| Shape::new(&shape[..shape.rank() - 2]);
    let mut sizes = broadcast("matmul", &batch(&left), &batch(&right))?.to_vec();
    if lhs.rank() > 1 {
        sizes.push(left[left.rank() - 2]);
    }
    if rhs.rank() > 1 {
        sizes.push(right[right.rank() - 1]);
    }
    Ok(Shape::new(&sizes))
}

/// `data, index -> shape of the index`; they agree in every axis but `axis`.
///
/// # Errors
/// If ranks or sizes differ.
pub fn gather(op: &str, data: &Shape, index: &Shape, axis: usize) -> Result<Shape> {
    let fits = data.rank() == index.rank()
        && (0..data.rank()).all(|other| other == axis || data[other] == index[other]);
    if fits {
        return Ok(*index);
    }
    Err(Error::shape(format!(
        "{op}: data {data} and index {index} must agree in every axis but {axis}"
    )))
}

/// `index, updates -> result`: index and updates have one shape and agree with the result in every
/// axis but `axis`.
///
/// # Errors
/// If ranks or sizes differ.
pub fn scatter(result: &Shape, index: &Shape, updates: &Shape, axis: usize) -> Result<Shape> {
    if index != updates {
        return Err(Error::shape(format!(
            "scatter_add: index {index} and updates {updates} must have one shape"
        )));
    }
    gather("scatter_add", result, index, axis)?;
    Ok(*result)
}

/// Requires that `write` can put the update into the data: equal but along `axis`, one start for each
/// index of the first axis.
///
/// # Errors
/// If shapes do not fit or the axis is the first.
pub fn write(data: &Shape, update: &Shape, start: &Shape, axis: usize) -> Result<()> {
    let fits = axis > 0
        && data.rank() == update.rank()
        && (0..data.rank()).all(|other| other == axis || data[other] == update[other])
        && update[axis] <= data[axis]
        && start[..] == data[..1];
    if fits {
        return Ok(());
    }
    Err(Error::shape(format!(
        "write: update {update} at starts {start} along axis {axis} does not fit into {data}"
    )))
}

/// Shapes one after another along `axis`.
///
/// # Errors
/// If there is none, or ranks or other sizes differ.
pub fn concat(shapes: &[Shape], axis: usize) -> Result<Shape> {
    let first = shapes.first().ok_or_else(|| Error::shape("concat: needs at least one operand"))?;
    let mut total = 0usize;
    for shape in shapes {
        let fits = shape.rank() == first.rank()
            && (0..first.rank()).all(|other| other == axis || shape[other] == first[other]);
        if !fits {
            return Err(Error::shape(format!(
                "concat: {first} and {shape} must agree in every axis but {axis}"
            )));
        }
        total = total
            .checked_add(shape[axis])
            .ok_or_else(|| too_large("concat", format_args!("{first} and what follows")))?;
    }
    Ok(first.with(axis, total))
}

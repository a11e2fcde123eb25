//! Shape rules of structured ops: products, convolutions, pooling, indexing, concatenation.
//!
//! Letters: N batch, C input channels, O output channels, H and W height and width, K kernel.

use crate::op::{Groups, Window2d};
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

fn window(op: &str, size: [usize; 2], window: &Window2d) -> Result<[usize; 2]> {
    if window.stride.contains(&0) || window.dilation.contains(&0) || window.kernel.contains(&0) {
        return Err(Error::shape(format!(
            "{op}: kernel, stride and dilation must be at least 1: {window:?}"
        )));
    }
    window.output(size).ok_or_else(|| {
        Error::shape(format!(
            "{op}: a window of {:?} with dilation {:?} does not fit into {size:?} with padding {:?}",
            window.kernel, window.dilation, window.padding
        ))
    })
}

/// `input [N, C, H, W], weight [O, C / groups, KH, KW] -> [N, O, OH, OW]`.
///
/// # Errors
/// If ranks, channels, groups or the window do not fit.
pub fn convolution(
    input: &Shape,
    weight: &Shape,
    place: &Window2d,
    groups: Groups,
) -> Result<Shape> {
    rank("convolution", "an input [N, C, H, W]", input, 4)?;
    rank("convolution", "a weight [O, C / groups, KH, KW]", weight, 4)?;
    if groups == 0
        || !weight[0].is_multiple_of(groups)
        || Some(input[1]) != weight[1].checked_mul(groups)
    {
        return Err(Error::shape(format!(
            "convolution: channels do not fit: input {input}, weight {weight}, groups {groups}"
        )));
    }
    if place.kernel != [weight[2], weight[3]] {
        return Err(Error::shape(format!(
            "convolution: the window is {:?}, but the weight is {weight}",
            place.kernel
        )));
    }
    let [height, width] = window("convolution", [input[2], input[3]], place)?;
    Ok(Shape::new(&[input[0], weight[0], height, width]))
}

/// The result of a transposed convolution: `input [N, C, H, W], weight [C, O / groups, KH, KW] ->
/// [N, O, OH, OW]` with `OH = (H - 1) stride - padding + dilation (KH - 1) + output_padding + 1`.
///
/// # Errors
/// If ranks, channels or groups do not fit, or `output_padding` is not below stride or dilation.
pub fn convolution_transpose(
    input: &Shape,
    weight: &Shape,
    place: &Window2d,
    output_padding: [usize; 2],
    groups: Groups,
) -> Result<Shape> {
    const OP: &str = "conv_transpose2d";
    rank(OP, "an input [N, C, H, W]", input, 4)?;
    rank(OP, "a weight [C, O / groups, KH, KW]", weight, 4)?;
    if groups == 0 || input[1] != weight[0] || !input[1].is_multiple_of(groups) {
        return Err(Error::shape(format!(
            "{OP}: channels do not fit: input {input}, weight {weight}, groups {groups}"
        )));
    }
    let channels = weight[1]
        .checked_mul(groups)
        .ok_or_else(|| too_large(OP, format_args!("{groups} groups of weight {weight}")))?;
    let mut sizes = [input[0], channels, 0, 0];
    for axis in 0..2 {
        if output_padding[axis] >= place.stride[axis].max(1) {
            return Err(Error::shape(format!(
                "{OP}: output_padding {output_padding:?} must be below the stride {:?}",
                place.stride
            )));
        }
        let full = place
            .transposed_extent(axis, input[axis + 2])
            .and_then(|extent| extent.checked_add(output_padding[axis]))
            .ok_or_else(|| too_large(OP, format_args!("{place:?} of {input}")))?;
        let left = full.checked_sub(place.padding[axis][0]);
        let left = left.and_then(|left| left.checked_sub(place.padding[axis][1]));
        sizes[axis + 2] = left.ok_or_else(|| {
            Error::shape(format!("{OP}: padding {:?} leaves nothing of {input}", place.padding))
        })?;
    }
    Ok(Shape::new(&sizes))
}

/// `[N, C, H, W] -> [N, C, OH, OW]`.
///
/// # Errors
/// If the rank is not 4 or no window fits.
pub fn pooling(op: &str, input: &Shape, place: &Window2d) -> Result<Shape> {
    rank(op, "an input [N, C, H, W]", input, 4)?;
    let [height, width] = window(op, [input[2], input[3]], place)?;
    Ok(Shape::new(&[input[0], input[1], height, width]))
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

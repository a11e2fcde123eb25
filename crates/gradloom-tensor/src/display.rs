//! Printing in the manner of PyTorch: aligned columns, scientific notation where numbers differ much,
//! and only the edges of large tensors, which are sliced on the device first.
//!
//! Printing evaluates the tensor. A failed evaluation is part of the text, never a panic.

use std::fmt::{Debug, Display, Formatter, Result, Write};

use crate::op::Op;
use crate::{DType, Element, Shape, Tensor, bf16, f16};

/// Tensors with more elements are summarised.
const COUNT_MAX: usize = 1000;
/// Items at each end of a summarised axis.
const EDGE: usize = 3;
/// Characters of a line before it wraps.
const LINE_WIDTH: usize = 80;
/// What stands before the first bracket.
const PREFIX: &str = "tensor(";

impl Display for Tensor {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> Result {
        let dtype = self.dtype();
        if self.count() == 0 {
            return write!(formatter, "{PREFIX}[], shape={}, {dtype})", self.shape());
        }
        let summarised = self.count() > COUNT_MAX;
        let shown = if summarised { self.eval().map(|()| self.edges()) } else { Ok(self.clone()) };
        let bytes = match shown
            .as_ref()
            .map_err(ToString::to_string)
            .and_then(|shown| shown.to_bytes().map_err(|error| error.to_string()))
        {
            Ok(bytes) => bytes,
            Err(error) => {
                let shape = self.shape();
                return write!(formatter, "{PREFIX}<no value: {error}>, shape={shape}, {dtype})");
            }
        };
        let items = texts(dtype, &bytes);
        let width = items.iter().map(String::len).max().unwrap_or(0);
        let printer = Printer { full: *self.shape(), summarised, items, width };
        write!(formatter, "{PREFIX}{printer}, {dtype})")
    }
}

impl Debug for Tensor {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> Result {
        Display::fmt(self, formatter)
    }
}

impl Tensor {
    /// The first and last items of each long axis, as a new tensor.
    fn edges(&self) -> Tensor {
        (0..self.rank()).fold(self.clone(), |tensor, axis| {
            let size = tensor.shape()[axis];
            if size <= 2 * EDGE {
                return tensor;
            }
            let ends = vec![tensor.part(axis, 0, EDGE), tensor.part(axis, size - EDGE, EDGE)];
            let shape = tensor.shape().with(axis, 2 * EDGE);
            Tensor::from_op(Op::Concat { axis }, ends, shape, self.dtype(), self.device())
        })
    }
}

/// Writes nested brackets around the texts of the elements that are shown.
struct Printer {
    full: Shape,
    summarised: bool,
    items: Vec<String>,
    width: usize,
}

impl Display for Printer {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> Result {
        self.axis(formatter, 0, 0)
    }
}

impl Printer {
    /// True if only the ends of the axis are shown.
    fn is_cut(&self, axis: usize) -> bool {
        self.summarised && self.full[axis] > 2 * EDGE
    }

    fn shown(&self, axis: usize) -> usize {
        if self.is_cut(axis) { 2 * EDGE } else { self.full[axis] }
    }

    /// One axis of the block whose first shown element is number `first`.
    fn axis(&self, out: &mut Formatter<'_>, axis: usize, first: usize) -> Result {
        if axis == self.full.rank() {
            return write!(out, "{:>width$}", self.items[first], width = self.width);
        }
        let indent = PREFIX.len() + axis + 1;
        let below = self.full.rank() - axis - 1;
        let stride: usize = (axis + 1..self.full.rank()).map(|axis| self.shown(axis)).product();
        let per_line = ((LINE_WIDTH.saturating_sub(indent)) / (self.width + 2)).max(1);
        out.write_char('[')?;
        let mut column = 0;
        for item in 0..self.shown(axis) {
            let gap = self.is_cut(axis) && item == EDGE;
            if item > 0 {
                self.separate(out, below, indent, &mut column, per_line)?;
            }
            if gap {
                out.write_str("...")?;
                self.separate(out, below, indent, &mut column, per_line)?;
            }
            self.axis(out, axis + 1, first + item * stride)?;
        }
        out.write_char(']')
    }

    /// What stands between two items: spaces in a row until the line is full, else new lines.
    fn separate(
        &self,
        out: &mut Formatter<'_>,
        below: usize,
        indent: usize,
        column: &mut usize,
        per_line: usize,
    ) -> Result {
        out.write_char(',')?;
        *column += 1;
        let lines = if below > 0 { below } else { usize::from(column.is_multiple_of(per_line)) };
        if lines == 0 {
            return out.write_char(' ');
        }
        (0..lines).try_for_each(|_| out.write_char('\n'))?;
        write!(out, "{:indent$}", "")
    }
}

/// The text of each element.
fn texts(dtype: DType, bytes: &[u8]) -> Vec<String> {
    fn plain<T: Element + Display>(bytes: &[u8]) -> Vec<String> {
        T::from_bytes(bytes).iter().map(ToString::to_string).collect()
    }
    fn wide<T: Element + Into<f64>>(bytes: &[u8]) -> Vec<String> {
        floats(&T::from_bytes(bytes).into_iter().map(Into::into).collect::<Vec<f64>>())
    }
    match dtype {
        DType::F32 => wide::<f32>(bytes),
        DType::F64 => wide::<f64>(bytes),
        DType::F16 => wide::<f16>(bytes),
        DType::BF16 => wide::<bf16>(bytes),
        DType::I32 => plain::<i32>(bytes),
        DType::I64 => plain::<i64>(bytes),
        DType::I8 => plain::<i8>(bytes),
        DType::U32 => plain::<u32>(bytes),
        DType::U8 => plain::<u8>(bytes),
        DType::Bool => plain::<bool>(bytes),
    }
}

/// Four decimals, or scientific notation for all if they span more than PyTorch's limits.
fn floats(values: &[f64]) -> Vec<String> {
    let finite =
        values.iter().map(|value| value.abs()).filter(|&value| value > 0.0 && value.is_finite());
    let (least, most) = finite
        .fold((f64::INFINITY, 0f64), |(least, most), value| (least.min(value), most.max(value)));
    let scientific = most > 0.0 && (most / least > 1000.0 || most > 1e8 || least < 1e-4);
    let text = |&value: &f64| match value {
        value if value.is_nan() => "nan".to_owned(),
        value if value.is_infinite() => if value > 0.0 { "inf" } else { "-inf" }.to_owned(),
        value if scientific => exponent_of_two_digits(&format!("{value:.4e}")),
        value => format!("{value:.4}"),
    };
    values.iter().map(text).collect()
}

/// `1.0000e-3` as C and Python write it: `1.0000e-03`.
fn exponent_of_two_digits(text: &str) -> String {
    match text.split_once('e') {
        Some((digits, exponent)) => {
            let (sign, power) =
                exponent.strip_prefix('-').map_or(('+', exponent), |power| ('-', power));
            format!("{digits}e{sign}{power:0>2}")
        }
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::{Printer, Shape, floats};

    fn printed(full: &[usize], summarised: bool, count: i32) -> String {
        let items: Vec<String> = (0..count).map(|item| item.to_string()).collect();
        let width = items.iter().map(String::len).max().unwrap_or(0);
        Printer { full: Shape::new(full), summarised, items, width }.to_string()
    }

    #[test]
    fn a_long_axis_shows_three_items_at_each_end() {
        assert_eq!(printed(&[5000], true, 6), "[0, 1, 2, ..., 3, 4, 5]");
        insta::assert_snapshot!(printed(&[500, 2], true, 12), @r"
        [[ 0,  1],
                [ 2,  3],
                [ 4,  5],
                ...,
                [ 6,  7],
                [ 8,  9],
                [10, 11]]
        ");
    }

    #[test]
    fn blocks_are_apart_by_an_empty_line_and_long_rows_wrap() {
        insta::assert_snapshot!(printed(&[2, 1, 2], false, 4), @r"
        [[[0, 1]],

                [[2, 3]]]
        ");
        assert_eq!(printed(&[40], false, 40).lines().count(), 3);
    }

    #[test]
    fn numbers_that_differ_much_are_scientific() {
        assert_eq!(floats(&[1.0, 2.5]), ["1.0000", "2.5000"]);
        assert_eq!(floats(&[1.0, 2e-5, -3e9]), ["1.0000e+00", "2.0000e-05", "-3.0000e+09"]);
        assert_eq!(
            floats(&[f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.0]),
            ["nan", "inf", "-inf", "0.0000"]
        );
    }
}

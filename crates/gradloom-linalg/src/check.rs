//! What every function asks of its operands, said in the name of the function that was called.

use gradloom_tensor::{DType, Shape, Tensor};

/// Rows and columns of a matrix of f32 or f64.
#[track_caller]
pub(crate) fn matrix(op: &str, a: &Tensor) -> [usize; 2] {
    float(op, a);
    assert!(a.rank() >= 2, "{op}: needs a matrix [.., m, n], not shape {}", a.shape());
    [a.size(-2), a.size(-1)]
}

/// The size of a square matrix of f32 or f64.
#[track_caller]
pub(crate) fn square(op: &str, a: &Tensor) -> usize {
    let [rows, columns] = matrix(op, a);
    assert!(rows == columns, "{op}: needs square matrices [.., n, n], not shape {}", a.shape());
    rows
}

#[track_caller]
pub(crate) fn float(op: &str, a: &Tensor) {
    let dtype = a.dtype();
    let fits = matches!(dtype, DType::F32 | DType::F64);
    assert!(fits, "{op}: takes f32 or f64, not {dtype}; cast the operand");
}

/// Floats of any dtype, halves among them.
#[track_caller]
pub(crate) fn any_float(op: &str, a: &Tensor) {
    assert!(a.dtype().is_float(), "{op}: takes floats, not {}; cast the operand", a.dtype());
}

/// Two operands of one dtype.
#[track_caller]
pub(crate) fn same_dtype(op: &str, a: &Tensor, b: &Tensor) {
    assert!(
        a.dtype() == b.dtype(),
        "{op}: operands of {} and {}; cast one of them",
        a.dtype(),
        b.dtype()
    );
}

/// The shape in which two batches meet.
#[track_caller]
pub(crate) fn broadcast(op: &str, a: &[usize], b: &[usize]) -> Shape {
    let rank = a.len().max(b.len());
    let size =
        |of: &[usize], axis: usize| (axis + of.len()).checked_sub(rank).map_or(1, |axis| of[axis]);
    let fits = (0..rank).all(|axis| {
        let (a, b) = (size(a, axis), size(b, axis));
        a == b || a == 1 || b == 1
    });
    assert!(fits, "{op}: batches {a:?} and {b:?} do not broadcast");
    let both = (0..rank).map(|axis| (size(a, axis), size(b, axis)));
    both.map(|(a, b)| if a == 1 { b } else { a }).collect()
}

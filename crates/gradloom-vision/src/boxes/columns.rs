//! The sides of boxes as tensors of their own.

use gradloom_tensor::{Tensor, demand};

/// The four columns of `[.., 4]`.
#[track_caller]
pub(super) fn columns(op: &str, boxes: &Tensor) -> [Tensor; 4] {
    let (shape, dtype) = (boxes.shape(), boxes.dtype());
    demand!(
        boxes.rank() >= 1 && shape[boxes.rank() - 1] == 4,
        "{op}: needs boxes [.., 4], got shape {shape}"
    );
    demand!(dtype.is_float(), "{op}: needs floats, got {dtype}; convert it with cast");
    std::array::from_fn(|column| boxes.narrow(-1, column, 1).squeeze(-1))
}

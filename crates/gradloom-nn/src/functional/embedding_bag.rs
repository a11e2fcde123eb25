//! [`embedding_bag`]: rows of a table reduced bag by bag.

use gradloom_tensor::ops::scatter::ScatterReduction;
use gradloom_tensor::{Called, DType, Tensor, demand};

/// How the rows of a bag are combined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum BagMode {
    /// Their mean.
    #[default]
    Mean,
    /// Their sum.
    Sum,
    /// The largest of each feature.
    Max,
}

/// Options of [`embedding_bag`].
#[derive(Clone, Debug, Default)]
pub struct EmbeddingBagOptions {
    /// How the rows of a bag are combined.
    pub mode: BagMode,
    /// Where each bag begins among indices of one axis: ascending integers `[B]`. Without them each row of
    /// indices of two axes is a bag.
    pub offsets: Option<Tensor>,
    /// A factor for each index, in its shape; sums only.
    pub weights: Option<Tensor>,
    /// An index that counts for nothing.
    pub padding_index: Option<usize>,
    /// Whether the last offset is not the beginning of a bag but the end of the last.
    pub include_last_offset: bool,
}

/// Rows of a table `[V, D]` at integer indices, reduced bag by bag: `[B, D]`. A bag of nothing is zero.
///
/// Float dtypes. PyTorch: `F.embedding_bag`.
///
/// # Panics
/// If shapes do not fit, indices of one axis have no offsets, or weights are given for other than sums; an
/// index out of range fails the evaluation.
#[track_caller]
#[must_use]
pub fn embedding_bag(table: &Tensor, indices: &Tensor, options: &EmbeddingBagOptions) -> Tensor {
    const OP: &str = "embedding_bag";
    let _called = Called::op(OP);
    let (shape, device) = (*indices.shape(), indices.device());
    demand!(table.rank() == 2, "{OP}: needs a table [V, D], got shape {}", table.shape());
    let count = indices.count();
    let number = Tensor::arange(count, device);
    let (bag, bags) = match &options.offsets {
        Some(offsets) => {
            demand!(
                shape.rank() == 1 && offsets.rank() == 1,
                "{OP}: offsets {} need indices of one axis, got {shape}",
                offsets.shape()
            );
            demand!(
                offsets.dtype().is_int() && (offsets.count() > 0 || !options.include_last_offset),
                "{OP}: offsets are integers, and one at least with the last, not {} {}",
                offsets.dtype(),
                offsets.shape()
            );
            let offsets = offsets.cast(DType::I32);
            let bags = offsets.count() - usize::from(options.include_last_offset);
            (offsets.searchsorted(&number, true) - 1, bags)
        }
        None => {
            demand!(shape.rank() == 2, "{OP}: indices {shape} without offsets; give [B, N]");
            (number.div(shape[1].max(1) as i64), shape[0])
        }
    };
    let indices = indices.reshape([count]);
    // What counts for nothing goes to a place of its own, which is cut off.
    let outside = bag.lt(0).logical_or(bag.ge(bags as i64));
    let outside = match options.padding_index {
        Some(padding) => outside.logical_or(indices.eq(padding as i64)),
        None => outside,
    };
    let bag = outside.select(bag.constant_like(bags as i64), &bag);

    let mut rows = table.embedding(&indices).wide();
    if let Some(weights) = &options.weights {
        demand!(
            options.mode == BagMode::Sum,
            "{OP}: weights are those of sums, not of {:?}",
            options.mode
        );
        demand!(
            *weights.shape() == shape,
            "{OP}: weights {} of indices {shape}; they have one shape",
            weights.shape()
        );
        rows = rows * weights.wide().reshape([count, 1]);
    }
    let reduction = match options.mode {
        BagMode::Mean => ScatterReduction::Mean,
        BagMode::Sum => ScatterReduction::Sum,
        BagMode::Max => ScatterReduction::Max,
    };
    let none = Tensor::zeros([bags + 1, table.size(1)], rows.dtype(), device);
    none.index_reduce(0, &bag, &rows, reduction, false).narrow(0, 0, bags).cast(table.dtype())
}

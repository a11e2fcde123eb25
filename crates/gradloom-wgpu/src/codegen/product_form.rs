//! [`ProductForm`]: whether a matrix product is computed in tiles or as a reduction. A pure function of
//! sizes and of two facts about operands and device, so that it may be decided wherever those are known.

use gradloom_tensor::RANK_MAX;

/// Rows or columns up to which a product is a reduction.
const NARROW: usize = 4;

/// How a matrix product is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProductForm {
    /// Tiles of both operands go through workgroup memory, which pays where each element is used often.
    Tiles,
    /// A reduction over the inner axis, as one more axis of the space: rows of work that split among
    /// workgroups and read each operand where it lies.
    Reduction,
}

/// The form of a product `[batch.., rows, inner] x [batch.., inner, columns]` whose result has `rank`
/// axes.
///
/// - Tiles are of floats, and need what `tiles_fit` says of the device (threads, workgroup memory).
/// - With up to four rows or columns each element of an operand is used so often only, and tiles gain
///   nothing. A result of the most axes there are has no room for the inner axis: it is tiled.
/// - Products that cannot be tiled are reductions whatever their size; with the most axes there are,
///   making that reduction is an error.
pub(crate) fn product_form(
    rows: usize,
    columns: usize,
    rank: usize,
    is_float: bool,
    tiles_fit: bool,
) -> ProductForm {
    let narrow = rows.min(columns) <= NARROW && rank < RANK_MAX;
    if is_float && tiles_fit && !narrow { ProductForm::Tiles } else { ProductForm::Reduction }
}

#[cfg(test)]
mod tests {
    use super::ProductForm::{Reduction, Tiles};
    use super::product_form;
    use gradloom_tensor::RANK_MAX;

    #[test]
    fn narrow_and_integer_products_are_reductions() {
        assert_eq!(product_form(5, 5, 2, true, true), Tiles);
        assert_eq!(product_form(4, 4096, 2, true, true), Reduction);
        assert_eq!(product_form(4096, 1, 3, true, true), Reduction);
        assert_eq!(product_form(4096, 4096, 2, false, true), Reduction);
        assert_eq!(product_form(4096, 4096, 2, true, false), Reduction);
        assert_eq!(product_form(1, 8, RANK_MAX, true, true), Tiles);
    }
}

//! Places in sorted sequences: an op that comes in by the door for ops, see [`CustomOp`].

use crate::called::{Called, demand};
use crate::custom_op::{CustomOp, HostOperand, HostResult, TensorType, Wgsl, custom_op};
use crate::error::OrFail;
use crate::{DType, Element, Error, Result, Shape, Tensor, bf16, f16, shape_rules};

impl Tensor {
    /// The place (`i32`) of each value in sorted sequences: how many elements come before it. Of
    /// equal elements the first is meant, or with `right` the one after the last. NaN counts as largest.
    ///
    /// The sequences are the last axis: one for all values, or `[.., N]` for values `[.., M]`. Sequences
    /// that are not sorted give any place. Panics if other axes differ, the tensor is bool, or a sequence is
    /// longer than i32 counts. PyTorch: `torch.searchsorted`.
    #[track_caller]
    #[must_use]
    pub fn searchsorted(&self, values: &Tensor, right: bool) -> Tensor {
        let name = "searchsorted";
        let dtype = self.result_type(values);
        shape_rules::number(name, dtype).or_fail();
        let (sequences, all) = (self.shape(), values.shape());
        let Some((&length, outer)) = sequences.split_last() else {
            return Err(Error::shape(format!("{name}: a sequence of no axis"))).or_fail();
        };
        shape_rules::countable(name, sequences, sequences.rank() - 1).or_fail();
        let (rows, each) = match (outer, all.split_last()) {
            ([], _) => (1, all.count()),
            (outer, Some((&each, other))) if outer == other => (outer.iter().product(), each),
            _ => {
                let reason = format!("{name}: sequences {sequences} do not fit values {all}");
                return Err(Error::shape(reason)).or_fail();
            }
        };
        let sorted = self.cast(dtype).reshape_to(Shape::new(&[rows, length]));
        let wanted = values.cast(dtype).reshape_to(Shape::new(&[rows, each]));
        let [places] = custom_op(SearchSorted { right }, &[&sorted, &wanted]);
        places.reshape_to(*all)
    }

    /// As [`Tensor::searchsorted`], in sequences that an order `[.., N]` sorts: indices, as [`Tensor::argsort`]
    /// gives them. PyTorch: `torch.searchsorted(sorter=..)`.
    ///
    /// Panics if the order has another shape or is not of integers.
    #[track_caller]
    #[must_use]
    pub fn searchsorted_by(&self, order: &Tensor, values: &Tensor, right: bool) -> Tensor {
        let _called = Called::op("searchsorted_by");
        let (own, other) = (self.shape(), order.shape());
        demand!(own == other, "searchsorted_by: an order {other} of sequences {own}");
        self.gather(-1, order).searchsorted(values, right)
    }

    /// The bucket (`i32`) of each element between sorted boundaries: how many of them it is not less than
    /// with `right`, or greater than without. PyTorch: `torch.bucketize` (NumPy's `digitize`).
    ///
    /// Panics unless the boundaries are one axis of numbers.
    #[track_caller]
    #[must_use]
    pub fn bucketize(&self, boundaries: &Tensor, right: bool) -> Tensor {
        let _called = Called::op("bucketize");
        let rank = boundaries.rank();
        demand!(rank == 1, "bucketize: the boundaries have {rank} axes, not one");
        boundaries.searchsorted(self, right)
    }
}

/// `sorted [R, N], values [R, M] -> places [R, M]` in i32.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct SearchSorted {
    right: bool,
}

impl CustomOp for SearchSorted {
    fn name(&self) -> &'static str {
        "searchsorted"
    }

    fn results(&self, operands: &[TensorType]) -> Result<Vec<TensorType>> {
        Ok(vec![TensorType::new(operands[1].shape, DType::I32)])
    }

    fn run(&self, operands: &[HostOperand<'_>], results: &mut [HostResult<'_>]) -> Result<()> {
        match operands[0].of.dtype {
            DType::F32 => self.search::<f32>(operands, results),
            DType::F64 => self.search::<f64>(operands, results),
            DType::F16 => self.search::<f16>(operands, results),
            DType::BF16 => self.search::<bf16>(operands, results),
            DType::I32 => self.search::<i32>(operands, results),
            DType::I64 => self.search::<i64>(operands, results),
            DType::I8 => self.search::<i8>(operands, results),
            DType::U32 => self.search::<u32>(operands, results),
            DType::U8 => self.search::<u8>(operands, results),
            DType::Bool => self.search::<bool>(operands, results),
        }
        Ok(())
    }

    fn wgsl(&self, operands: &[TensorType], _results: &[TensorType]) -> Option<Wgsl> {
        let ([_, length], [rows, each]) = (pair(&operands[0]), pair(&operands[1]));
        let before = match (operands[0].dtype.is_float(), self.right) {
            (true, false) => {
                "gl_is_nan(value) && !gl_is_nan(found) || !gl_is_nan(found) && found < value"
            }
            (true, true) => "gl_is_nan(value) || !gl_is_nan(found) && found <= value",
            (false, false) => "found < value",
            (false, true) => "found <= value",
        };
        let source = format!(
            "fn element(index: u32) {{
    let value = read1(index);
    let row = index / {each}u * {length}u;
    var low = 0u;
    var high = {length}u;
    while (low < high) {{
        let middle = (low + high) / 2u;
        let found = read0(row + middle);
        if ({before}) {{
            low = middle + 1u;
        }} else {{
            high = middle;
        }}
    }}
    write0(index, i32(low));
}}"
        );
        Some(Wgsl::elements(source, rows * each))
    }

    fn derivative(&self, _: &[Tensor], _: &[Tensor], _: &[Tensor]) -> Vec<Option<Tensor>> {
        vec![None, None]
    }

    fn vmap(&self, operands: &[Tensor]) -> Option<Vec<Tensor>> {
        let rows = |x: &Tensor| x.flatten(0, 1);
        let [places] = custom_op(self.clone(), &[&rows(&operands[0]), &rows(&operands[1])]);
        Some(vec![places.reshape_to(*operands[1].shape())])
    }
}

impl SearchSorted {
    fn search<T: Element + PartialOrd>(
        &self,
        operands: &[HostOperand<'_>],
        results: &mut [HostResult<'_>],
    ) {
        let ([rows, length], [_, each]) = (pair(&operands[0].of), pair(&operands[1].of));
        let (sorted, values) = (operands[0].elements::<T>(), operands[1].elements::<T>());
        let places = results[0].elements::<i32>();
        // What is not equal to itself is NaN.
        #[expect(clippy::eq_op, reason = "only NaN differs from itself")]
        let nan = |x: &T| x != x;
        let before = |found: &T, value: &T| match (nan(found), nan(value), self.right) {
            (_, true, true) => true,
            (found_nan, true, false) => !found_nan,
            (true, false, _) => false,
            (false, false, true) => found <= value,
            (false, false, false) => found < value,
        };
        for row in 0..rows {
            let sequence = &sorted[row * length..(row + 1) * length];
            for index in row * each..(row + 1) * each {
                let place = sequence.partition_point(|found| before(found, &values[index]));
                places[index] = place as i32;
            }
        }
    }
}

/// The two sizes of an operand.
fn pair(of: &TensorType) -> [usize; 2] {
    [of.shape[0], of.shape[1]]
}

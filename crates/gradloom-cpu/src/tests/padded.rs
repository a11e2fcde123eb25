//! Maps that add up padded values, as the gradients of slices do.

use gradloom_plan::View;
use gradloom_plan::program::{Level as Rank, Operation, ValueId};
use gradloom_tensor::op::{Binary, Unary};
use gradloom_tensor::{DType, RANK_MAX};

use super::{Case, decode, integers, numbers};
use crate::kernels::map_parts::parts;
use crate::simd::Level;

/// A slice of a space: where it begins on an axis, and its size there.
struct Slice {
    axis: usize,
    start: usize,
    size: usize,
}

/// A new input of a slice's size, read by the whole space with zeros around, and whether an element is in
/// the slice.
fn padded(case: &mut Case, slice: &Slice, dtype: DType, seed: u32) -> (ValueId, ValueId) {
    let whole = case.kernel.space.shape;
    let own = whole.with(slice.axis, slice.size);
    let mut values = match dtype.is_float() {
        true => numbers(seed, own.count()),
        false => integers(seed, own.count(), 0, 50),
    };
    values[0] = -0.0;
    let mut before = [0; RANK_MAX];
    before[slice.axis] = slice.start;
    let input = case.input(dtype, values);
    let value = case.load(input, View::contiguous(own).pad(&before, whole));
    let one = View { strides: [0; RANK_MAX], offset: 1, ..View::contiguous(own) };
    let index = case.push(Operation::Index(one.pad(&before, whole)), DType::I32, Rank::Element);
    (value, case.cast(index, DType::Bool))
}

/// The sum of a formula of each slice.
fn sum(shape: &[usize], slices: &[Slice], dtype: DType) -> Case {
    let mut case = Case::map(shape);
    case.tolerance = 1e-6;
    let zero = case.constant(0.0, dtype);
    let mut sum = None;
    for (seed, slice) in slices.iter().enumerate() {
        let (value, exists) = padded(&mut case, slice, dtype, seed as u32 + 1);
        let factor = case.constant(seed as f64 + 2.0, dtype);
        let mut own = case.binary(Binary::Mul, value, factor);
        if dtype.is_float() {
            let gate = case.unary(Unary::Sigmoid, value);
            own = case.binary(Binary::Mul, own, gate);
            own = case.cast(own, dtype);
        }
        let own = case.select(exists, own, zero);
        sum = Some(match sum {
            None => own,
            Some(sum) => {
                let both = case.binary(Binary::Add, sum, own);
                if matches!(dtype, DType::F16 | DType::BF16 | DType::U8) {
                    case.cast(both, dtype)
                } else {
                    both
                }
            }
        });
    }
    case.output(sum.expect("a slice"));
    case
}

fn side_by_side(axis: usize, size: usize, count: usize) -> Vec<Slice> {
    (0..count).map(|index| Slice { axis, start: index * size, size }).collect()
}

#[test]
fn sums_of_padded_slices_are_computed_slice_by_slice() {
    for dtype in [DType::F32, DType::F64, DType::F16, DType::BF16, DType::I32, DType::U8] {
        for (shape, axis, size, count) in [
            (&[5, 1200][..], 1, 300, 4),
            (&[40, 768], 1, 256, 3),
            (&[3, 6, 700], 1, 2, 3),
            (&[9000], 0, 3000, 3),
            (&[2, 4, 3, 1100], 1, 1, 4),
        ] {
            let case = sum(shape, &side_by_side(axis, size, count), dtype);
            assert_eq!(parts(&case.kernel).len(), count, "{}", case.kernel);
            case.check();
        }
    }
}

#[test]
fn slices_may_overlap_and_leave_gaps() {
    let slices = [(0, 500), (300, 400), (1000, 900)];
    let slices = slices.map(|(start, size)| Slice { axis: 1, start, size });
    let case = sum(&[7, 2000], &slices, DType::F32);
    assert_eq!(parts(&case.kernel).len(), 6);
    case.check();
}

#[test]
fn a_sum_with_the_zeros_of_padding_is_never_negative_zero() {
    let case = sum(&[5, 1200], &side_by_side(1, 300, 4), DType::F32);
    for level in Level::available() {
        let outputs = case.run(level, 1);
        let values = decode(DType::F32, &outputs[0]);
        for slice in [0, 300, 600, 900] {
            assert_eq!(values[slice].to_bits(), 0, "{}: element {slice}", level.name());
        }
    }
}

#[test]
fn narrow_slices_and_checks_stay_whole() {
    let case = sum(&[4000, 8], &side_by_side(1, 2, 4), DType::F32);
    assert_eq!(parts(&case.kernel).len(), 1);
    case.check();
    let mut case = sum(&[5, 1200], &side_by_side(1, 300, 4), DType::I32);
    let value = case.kernel.outputs[0].value;
    let check = Operation::CheckIndex { value, size: 1000, site: 0 };
    case.kernel.outputs[0].value = case.push(check, DType::I32, Rank::Element);
    assert_eq!(parts(&case.kernel).len(), 1);
}

#[test]
fn an_operand_is_overwritten_part_by_part() {
    let mut case = sum(&[6, 1200], &side_by_side(1, 300, 4), DType::F32);
    let total = case.kernel.outputs[0].value;
    let own = case.whole(DType::F32, numbers(9, 7200));
    let both = case.binary(Binary::Sub, own, total);
    case.kernel.outputs[0].value = both;
    case.in_place = vec![(case.inputs.len() - 1, 0)];
    assert_eq!(parts(&case.kernel).len(), 4);
    case.check();
}

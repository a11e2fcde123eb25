//! Running sums of long lines, which take several workgroups and dispatches.

use gradloom_plan::{KernelKind, Space};
use gradloom_tensor::{DType, Shape};

use crate::harness::{Case, devices, integers};

/// Running sums of `[outer, length, inner]` along the middle.
fn running_sums(values: &[f64], length: usize, inner: usize, reverse: bool) -> Vec<f64> {
    let mut sums = values.to_vec();
    for start in (0..values.len()).step_by(length * inner) {
        for step in 1..length {
            for column in start..start + inner {
                let (to, from) = if reverse {
                    (column + (length - 1 - step) * inner, column + (length - step) * inner)
                } else {
                    (column + step * inner, column + (step - 1) * inner)
                };
                sums[to] += sums[from];
            }
        }
    }
    sums
}

#[test]
fn long_lines_are_summed_to_their_end() {
    // The first is beyond where one workgroup's loop would end on the software driver.
    let cases = [
        ([1, 2_000_003, 1], DType::I32),
        ([1, 1_900_000, 1], DType::F32),
        ([2, 70_001, 3], DType::F32),
        ([3, 8_192, 1], DType::U32),
        ([20_000, 40, 1], DType::I32),
    ];
    for ([outer, length, inner], dtype) in cases {
        // Whole numbers whose sums f32 holds exactly.
        let values = integers(outer * length * inner, 0, 3, 7);
        for reverse in [false, true] {
            let space = Space::elements(Shape::new(&[outer, length, inner]));
            let mut case = Case::new(KernelKind::Scan { axis: 1, reverse }, space);
            case.input(dtype, values.clone());
            let sum = case.accumulator(dtype);
            case.output(sum);
            let right = running_sums(&values, length, inner, reverse);
            for device in devices() {
                let found = &case.run_on(&device).unwrap()[0];
                let wrong = found.iter().zip(&right).position(|(found, right)| found != right);
                assert_eq!(wrong, None, "{outer}x{length}x{inner} {dtype} reverse {reverse}");
            }
        }
    }
}

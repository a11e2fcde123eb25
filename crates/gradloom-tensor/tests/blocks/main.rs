//! Blocks against the reference implementation's, and how near the fitted ones come.

use gradloom_tensor::{BlockFormat, Key};

/// Written by `golden.py`.
const GOLDEN: &[u8] = include_bytes!("golden.bin");

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect()
}

fn decoded(format: BlockFormat, blocks: &[u8]) -> Vec<f32> {
    let mut values = vec![0.0; blocks.len() / format.bytes() * format.elements()];
    format.decode(blocks, &mut values);
    values
}

fn encoded(format: BlockFormat, values: &[f32]) -> Vec<u8> {
    let mut blocks = vec![0; values.len() / format.elements() * format.bytes()];
    format.encode(values, &mut blocks);
    blocks
}

#[test]
fn blocks_have_the_bits_of_the_reference() {
    let mut rest = GOLDEN;
    let mut take = |count: usize| {
        let (first, others) = rest.split_at(count);
        rest = others;
        first
    };
    for format in BlockFormat::ALL {
        let count = if format.elements() == 32 { 24 } else { 8 };
        let (bytes, numbers) = (count * format.bytes(), count * format.elements() * 4);
        let (blocks, expected) = (take(bytes), floats(take(numbers)));
        for (index, (found, expected)) in decoded(format, blocks).iter().zip(&expected).enumerate()
        {
            let same = found.to_bits() == expected.to_bits() || found.is_nan() && expected.is_nan();
            assert!(same, "{format}: number {index} is {found}, expected {expected}");
        }
        if format.elements() == 32 {
            let (values, expected) = (floats(take(numbers)), take(bytes));
            assert_eq!(encoded(format, &values), expected, "{format}");
        }
    }
    assert!(take(0).is_empty() && rest.is_empty());
}

/// Normally distributed numbers.
fn normal(count: usize, mut key: Key) -> Vec<f32> {
    let mut uniform = || {
        key = key.fold(0);
        (f64::from(key.words()[0]) + 0.5) / f64::from(u32::MAX)
    };
    let normal =
        |_| ((-2.0 * uniform().ln()).sqrt() * (std::f64::consts::TAU * uniform()).cos()) as f32;
    (0..count).map(normal).collect()
}

#[test]
fn errors_of_normal_numbers_shrink_with_the_bits() {
    let values = normal(64 * 256, Key::new(1));
    // Root of the mean squared error at a deviation of one.
    let bounds = [0.086, 0.079, 0.043, 0.038, 0.0054, 0.26, 0.142, 0.071, 0.035, 0.017];
    for (format, bound) in BlockFormat::ALL.into_iter().zip(bounds) {
        let found = decoded(format, &encoded(format, &values));
        let squares = found.iter().zip(&values).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>();
        let error = (squares / values.len() as f64).sqrt();
        assert!(error < bound, "{format}: {error}");
    }
}

#[test]
fn decoded_numbers_are_encoded_without_loss() {
    let values = normal(16 * 256, Key::new(2));
    for format in BlockFormat::ALL.into_iter().filter(|format| format.elements() == 32) {
        let once = decoded(format, &encoded(format, &values));
        assert_eq!(decoded(format, &encoded(format, &once)), once, "{format}");
    }
}

#[test]
fn numbers_of_any_size_are_encoded() {
    for format in BlockFormat::ALL {
        for scale in [0.0, 1e-42, 1e-30, 1e-6, 0.01, 1.0, 100.0, 1e4, 1e30] {
            for shift in [0.0, -1.0, 1.0, 100.0] {
                let values: Vec<f32> =
                    normal(256, Key::new(4)).iter().map(|v| (v + shift) * scale).collect();
                let found = decoded(format, &encoded(format, &values));
                if (1e-3..1e3).contains(&scale) || scale == 0.0 {
                    let largest = values.iter().fold(0.0, |a: f32, b| a.max(b.abs()));
                    for (found, value) in found.iter().zip(&values) {
                        assert!(
                            (found - value).abs() <= 0.5 * largest,
                            "{format}: {value} became {found}"
                        );
                    }
                }
            }
        }
        for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX] {
            let mut values = normal(256, Key::new(5));
            values[17] = value;
            encoded(format, &values);
        }
    }
}

//! Products with blocks against the numbers that blocks stand for, on every set of instructions.

use gradloom_tensor::blocks::interleave::interleave;
use gradloom_tensor::{BlockFormat, DType, Tensor, f16};

use super::super::super::CpuBackend;
use crate::simd::Level;

/// Numbers that look random, in -1..1.
fn numbers(count: usize, seed: u32) -> Vec<f32> {
    let hash = |index: usize| {
        let mut word = (index as u32).wrapping_mul(0x9E37_79B9) ^ seed.wrapping_mul(0x85EB_CA6B);
        word = (word ^ word >> 15).wrapping_mul(0x2C1B_3C6D);
        word ^ word >> 13
    };
    (0..count).map(|index| (hash(index) % 20_001) as f32 / 10_000.0 - 1.0).collect()
}

/// Any bytes are blocks; scales are made small and finite.
fn blocks(format: BlockFormat, count: usize) -> Vec<u8> {
    let mut bytes: Vec<u8> = numbers(count * format.bytes(), 7)
        .into_iter()
        .map(|value| ((value + 1.0) * 127.0) as u8)
        .collect();
    for (index, block) in bytes.chunks_exact_mut(format.bytes()).enumerate() {
        let mut at = 0;
        for &field in format.fields() {
            if field == 2 {
                let scale = f16::from_f32((index % 13) as f32 / 100.0 - 0.05);
                block[at..at + 2].copy_from_slice(&scale.to_le_bytes());
            }
            at += field;
        }
    }
    bytes
}

#[test]
fn products_read_blocks_of_every_format_on_every_level() {
    for level in Level::available() {
        let device = CpuBackend::with_level(Some(2), level).unwrap().into_device();
        for format in BlockFormat::ALL {
            for (m, n, k) in [(1, 32, 512), (1, 19, 256), (11, 40, 512)] {
                let plain = blocks(format, n * k / format.elements());
                let weight = Tensor::from_blocks(format, [n, k], &plain, &device).unwrap();
                let mut decoded = vec![0.0; n * k];
                format.decode(&plain, &mut decoded);
                assert_eq!(weight.to_vec::<f32>().unwrap(), decoded, "{format}");
                let x = numbers(m * k, 3);
                let product =
                    Tensor::new(x.clone(), &device).unwrap().reshape([m, k]).matmul(&weight.t());
                let found = product.to_vec::<f32>().unwrap();
                for row in 0..m {
                    for column in 0..n {
                        let terms = (0..k).map(|at| {
                            f64::from(x[row * k + at]) * f64::from(decoded[column * k + at])
                        });
                        let (exact, size) = terms
                            .fold((0.0, 0.0), |(sum, size), term| (sum + term, size + term * term));
                        // Numbers below 1 are rounded to steps of 1/32512, errors are independent.
                        let bound = 5.0 * f64::sqrt(size) / 32_512.0 + 1e-5;
                        let error = f64::from(found[row * n + column]) - exact;
                        let place = (level.name(), format, m, row, column);
                        assert!(error.abs() <= bound, "{place:?}: {error} beyond {bound}");
                    }
                }
            }
        }
    }
}

#[test]
fn rows_of_blocks_are_the_numbers() {
    let device = crate::device();
    for format in BlockFormat::ALL {
        let (n, k) = (21, 256);
        let plain = blocks(format, n * k / format.elements());
        let table = Tensor::from_blocks(format, [n, k], &plain, &device).unwrap();
        let index = Tensor::new([20, 0, 7, 7], &device).unwrap();
        let rows = table.embedding(&index).to_vec::<f32>().unwrap();
        let mut decoded = vec![0.0; n * k];
        format.decode(&plain, &mut decoded);
        for (row, index) in rows.chunks_exact(k).zip([20, 0, 7, 7]) {
            assert_eq!(row, &decoded[index * k..(index + 1) * k], "{format}");
        }
        assert_eq!(interleave(format, n, k, &plain).len() % 64, 0);
        assert_eq!(table.dtype(), DType::F32);
    }
}

//! Products and convolutions that cast operands as they read them give the bits of those that read a
//! stored cast, on every level of vector instructions.

use gradloom_autodiff::grad;
use gradloom_cpu::{CpuBackend, Level};
use gradloom_tensor::op::Window;
use gradloom_tensor::{DType, Device, Tensor, bf16, eval, f16, scan};

/// Devices of every level, on one thread and on two.
fn devices() -> impl Iterator<Item = (String, Device)> {
    Level::available().into_iter().flat_map(|level| {
        [1, 2].map(|threads| {
            let backend = CpuBackend::with_level(Some(threads), level).expect("threads");
            (format!("{} on {threads}", level.name()), backend.into_device())
        })
    })
}

/// Numbers of all magnitudes that a cast treats in its own way: halfway cases, what f16 has no normal
/// number for, what overflows in it, both zeros.
fn numbers(shape: &[usize], dtype: DType, seed: u32, device: &Device) -> Tensor {
    let count = shape.iter().product::<usize>();
    let mut state = seed.wrapping_mul(0x9e37_79b9) | 1;
    let values: Vec<f32> = (0..count)
        .map(|index| {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            let plain = (state as f32 / u32::MAX as f32 - 0.5) * 4.0;
            match index % 97 {
                3 => plain * 1e-6,
                11 => f32::from_bits(plain.to_bits() & 0xffff_0000 | 0x8000),
                29 => f32::from_bits(plain.to_bits() & 0xffff_e000 | 0x1000),
                53 => 0.0,
                71 => -0.0,
                _ => plain,
            }
        })
        .collect();
    stored(values, shape, dtype, device)
}

fn stored(values: Vec<f32>, shape: &[usize], dtype: DType, device: &Device) -> Tensor {
    let made = match dtype {
        DType::F16 => {
            Tensor::from_vec(values.into_iter().map(f16::from_f32).collect(), shape, device)
        }
        DType::BF16 => {
            Tensor::from_vec(values.into_iter().map(bf16::from_f32).collect(), shape, device)
        }
        _ => Tensor::from_vec(values, shape, device),
    };
    made.expect("memory")
}

fn bits(tensor: &Tensor) -> Vec<u32> {
    let values = tensor.cast(DType::F32).to_vec::<f32>().expect("values");
    values.into_iter().map(f32::to_bits).collect()
}

/// A function of two casts.
type Function<'a> = &'a dyn Fn(&Tensor, &Tensor) -> Vec<Tensor>;

/// Fails unless a function of casts has the bits that it has where the casts are stored. Results have
/// gradients in f32 of both operands.
#[track_caller]
fn same_bits(name: &str, operands: [(&[usize], DType); 2], dtype: DType, function: Function<'_>) {
    same_bits_of_views(name, operands, &Tensor::clone, dtype, function);
}

/// As [`same_bits`], of casts of views.
#[track_caller]
fn same_bits_of_views(
    name: &str,
    operands: [(&[usize], DType); 2],
    view: &dyn Fn(&Tensor) -> Tensor,
    dtype: DType,
    function: Function<'_>,
) {
    for (place, device) in devices() {
        let run = |keep: bool| -> Vec<Vec<u32>> {
            let made = [0, 1].map(|index: usize| {
                let (shape, stored) = operands[index];
                numbers(shape, stored, index as u32 + 1, &device).tracked()
            });
            let casts = [view(&made[0]).cast(dtype), view(&made[1]).cast(dtype)];
            let mut results = function(&casts[0], &casts[1]);
            let total = results.iter().map(|result| result.cast(DType::F32).sin().sum(..));
            let total = total.reduce(|sum, other| sum + other).expect("results");
            results.extend(grad(&total, &[&made[0], &made[1]]));
            let kept = casts.iter().filter(|_| keep);
            eval(results.iter().chain(kept)).expect("memory");
            results.iter().map(bits).collect()
        };
        let (read, kept) = (run(false), run(true));
        for (index, (read, kept)) in read.iter().zip(&kept).enumerate() {
            let differs = read.iter().zip(kept).filter(|(a, b)| a != b).count();
            assert_eq!(differs, 0, "{place}: {name}, result {index} of {} elements", read.len());
        }
    }
}

const HALVES: [(DType, DType); 4] = [
    (DType::F32, DType::BF16),
    (DType::F32, DType::F16),
    (DType::F16, DType::BF16),
    (DType::BF16, DType::F16),
];

const SIZES: [[usize; 3]; 9] = [
    [1, 1, 1],
    [3, 4, 5],
    [1, 300, 200],
    [300, 1, 200],
    [2, 700, 1100],
    [64, 65, 66],
    [33, 700, 100],
    [200, 33, 1030],
    [4, 5, 0],
];

#[test]
fn products_of_casts_have_the_bits_of_stored_casts() {
    for (own, dtype) in HALVES {
        for [m, n, k] in SIZES {
            let name = format!("{m} x {n} x {k} of {own} as {dtype}");
            same_bits(&name, [(&[m, k], own), (&[k, n], own)], dtype, &|x, w| {
                vec![x.matmul(w), x.matmul_as(w, DType::F32)]
            });
            same_bits(&name, [(&[m, k], own), (&[n, k], own)], dtype, &|x, w| {
                vec![x.matmul(&w.t()).relu()]
            });
            same_bits(&name, [(&[k, m], own), (&[k, n], own)], dtype, &|x, w| {
                vec![x.t().matmul(w)]
            });
        }
    }
}

#[test]
fn operands_of_two_dtypes_and_batches() {
    let (wide, half) = (DType::F32, DType::BF16);
    for [m, n, k] in SIZES {
        let name = format!("{m} x {n} x {k}");
        same_bits(&name, [(&[m, k], half), (&[k, n], wide)], half, &|x, w| vec![x.matmul(w)]);
        same_bits(&name, [(&[m, k], wide), (&[k, n], half)], half, &|x, w| vec![x.matmul(w)]);
    }
    same_bits("batches", [(&[20, 9, 30], wide), (&[20, 30, 8], wide)], half, &|x, w| {
        vec![x.matmul(w)]
    });
    same_bits("large batches", [(&[3, 70, 90], wide), (&[3, 90, 100], wide)], half, &|x, w| {
        vec![x.matmul(w)]
    });
    same_bits("a shared matrix", [(&[5, 9, 30], wide), (&[30, 80], wide)], half, &|x, w| {
        vec![x.matmul(w), x.transpose(0, 1).matmul(w)]
    });
}

#[test]
fn views_before_and_after_the_cast() {
    let (wide, half) = (DType::F32, DType::BF16);
    for [m, n, k] in SIZES {
        let name = format!("{m} x {n} x {k}");
        let turned = |x: &Tensor| x.t();
        same_bits_of_views(&name, [(&[k, m], wide), (&[n, k], wide)], &turned, half, &|x, w| {
            vec![x.matmul(w), x.flip([0]).matmul(&w.flip([1]))]
        });
        let name = format!("batches of {m} x {n} x {k}");
        let turned = |x: &Tensor| x.transpose(0, 1);
        same_bits_of_views(
            &name,
            [(&[m, 3, k], wide), (&[k, 3, n], wide)],
            &turned,
            half,
            &|x, w| vec![x.matmul(w), x.matmul(&w.index(0, 1))],
        );
    }
}

/// A f32 has every half, so here nothing is rounded.
#[test]
fn halves_widened_as_they_are_read() {
    for own in [DType::F16, DType::BF16] {
        for [m, n, k] in SIZES {
            let name = format!("{m} x {n} x {k} of {own}");
            same_bits(&name, [(&[m, k], own), (&[k, n], own)], DType::F32, &|x, w| {
                vec![x.matmul(w)]
            });
            same_bits(&name, [(&[k, m], own), (&[n, k], own)], DType::F32, &|x, w| {
                vec![x.t().matmul(&w.t())]
            });
        }
    }
}

#[test]
fn convolutions_of_casts_have_the_bits_of_stored_casts() {
    let plain = Window::new([3, 3]).padding([[1, 1]; 2]);
    let cases = [
        (plain, 1, [2, 5, 9, 8], [6, 5, 3, 3]),
        (plain.stride([2, 2]), 1, [2, 5, 9, 8], [6, 5, 3, 3]),
        (plain, 4, [2, 4, 9, 8], [8, 1, 3, 3]),
        (plain, 2, [1, 4, 30, 31], [20, 2, 3, 3]),
    ];
    for (own, dtype) in HALVES {
        for (window, groups, input, weight) in &cases {
            let name = format!("{input:?} by {weight:?} of {own} as {dtype}");
            same_bits(&name, [(input, own), (weight, own)], dtype, &|x, w| {
                vec![Tensor::convolution(x, w, *window, *groups)]
            });
        }
    }
}

/// Weights that a loop captures are packed once; their cast is then made once, too.
#[test]
fn loops_that_cast_captured_weights_have_the_bits_of_stored_casts() {
    for (place, device) in devices() {
        let x = numbers(&[6, 9, 40], DType::F32, 1, &device);
        let w = numbers(&[40, 40], DType::F32, 2, &device);
        let cast = w.cast(DType::BF16);
        cast.eval().expect("memory");
        let run = |weight: &dyn Fn() -> Tensor| {
            let zero = Tensor::zeros([9, 40], DType::F32, &device);
            let (last, _) = scan(zero, x.clone(), |state, x| {
                let sum = (state + x).tanh().cast(DType::BF16);
                let state = sum.matmul(&weight()).cast(DType::F32).mul(0.1);
                (state.clone(), state)
            });
            bits(&last)
        };
        assert_eq!(run(&|| w.cast(DType::BF16)), run(&|| cast.clone()), "{place}");
    }
}

#[test]
fn an_overflow_in_a_cast_is_the_fault_of_the_cast() {
    let device = CpuBackend::new(Some(1)).expect("threads").check_nan(true).into_device();
    let x = Tensor::from_vec(vec![1.0f32, 1e6], [1, 2], &device).expect("memory");
    let w = Tensor::ones([2, 1], DType::F32, &device).cast(DType::F16);
    w.eval().expect("ones");
    let line = line!() + 1;
    let cast = x.cast(DType::F16);
    let error = cast.matmul(&w).eval().expect_err("f16 ends at 65504");
    assert!(error.is_not_finite(), "{error}");
    let message = error.to_string();
    assert!(message.contains("cast") && message.contains(&format!("casts.rs:{line}")), "{message}");
}

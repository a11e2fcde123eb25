//! The number of threads changes no bit.

use gradloom_cpu::CpuBackend;
use gradloom_tensor::{DType, Tensor};

use crate::linalg::{self, QrMode, Tolerance};
use crate::{normal, positive};

#[test]
fn results_have_the_same_bits_on_one_thread_and_on_two() {
    let functions: [(&str, fn(&Tensor) -> Tensor); 12] = [
        ("cholesky", |a| linalg::cholesky(&positive(a), false)),
        ("lu", |a| linalg::lu(a).2),
        ("solve", |a| linalg::solve(a, &a.narrow(-1, 0, 1))),
        ("inv", linalg::inv),
        ("det", linalg::det),
        ("qr", |a| linalg::qr(a, QrMode::Reduced).0),
        ("svd", |a| linalg::svd(a, false).0),
        ("svdvals", linalg::svdvals),
        ("eigh", |a| linalg::eigh(a).1),
        ("pinv", |a| linalg::pinv(a, Tolerance::default())),
        ("lstsq", |a| linalg::lstsq(a, a, None).solution),
        ("matrix_exp", linalg::matrix_exp),
    ];
    let devices = [1, 2].map(|threads| CpuBackend::new(Some(threads)).unwrap().into_device());
    for dtype in [DType::F32, DType::F64] {
        for shape in [[200, 8, 8], [3, 70, 70], [2, 140, 140]] {
            let a = normal(11, &shape, dtype);
            for (name, function) in functions {
                let bits = devices
                    .each_ref()
                    .map(|device| function(&a.to_device(device)).to_bytes().unwrap());
                assert!(bits[0] == bits[1], "{name} in {dtype} of {shape:?}");
            }
        }
    }
}

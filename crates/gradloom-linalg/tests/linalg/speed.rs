//! How long the ops take, printed for a comparison with `golden/speed.py`, which does the same with PyTorch:
//! `cargo test --release -p gradloom-linalg --test linalg speed -- --ignored --nocapture`.

use std::time::{Duration, Instant};

use gradloom_cpu::CpuBackend;
use gradloom_tensor::{DType, Tensor};

use crate::linalg::{self, QrMode};
use crate::{normal, positive};

#[test]
#[ignore = "a measurement"]
fn times_on_two_threads() {
    let device = CpuBackend::new(Some(2)).unwrap().into_device();
    for dtype in [DType::F32, DType::F64] {
        let on_device = |x: &Tensor| {
            let x = x.to_device(&device);
            x.eval().unwrap();
            x
        };
        let (small, large) = (normal(1, &[1000, 16, 16], dtype), normal(2, &[512, 512], dtype));
        let right = on_device(&normal(3, &[1000, 16, 1], dtype));
        let rights = on_device(&normal(3, &[512, 64], dtype));
        let (small, large) = (on_device(&positive(&small)), on_device(&positive(&large)));
        let time = |name: &str, call: &dyn Fn() -> Vec<Tensor>| {
            let mut best = Duration::MAX;
            for _ in 0..7 {
                let start = Instant::now();
                gradloom_tensor::eval(&call()).unwrap();
                best = best.min(start.elapsed());
            }
            println!("{name} {dtype} {:.3}", best.as_secs_f64() * 1e3);
        };
        time("cholesky 1000x16", &|| vec![linalg::cholesky(&small, false)]);
        time("solve 1000x16", &|| vec![linalg::solve(&small, &right)]);
        time("inv 1000x16", &|| vec![linalg::inv(&small)]);
        time("qr 1000x16", &|| vec![linalg::qr(&small, QrMode::Reduced).0]);
        time("eigh 1000x16", &|| vec![linalg::eigh(&small).1]);
        time("svd 1000x16", &|| vec![linalg::svd(&small, false).0]);
        time("cholesky 512", &|| vec![linalg::cholesky(&large, false)]);
        time("solve 512", &|| vec![linalg::solve(&large, &rights)]);
        time("qr 512", &|| vec![linalg::qr(&large, QrMode::Reduced).0]);
        time("eigh 512", &|| vec![linalg::eigh(&large).1]);
        time("eigvalsh 512", &|| vec![linalg::eigvalsh(&large)]);
        time("svd 512", &|| vec![linalg::svd(&large, false).0]);
        time("svdvals 512", &|| vec![linalg::svdvals(&large)]);
    }
}

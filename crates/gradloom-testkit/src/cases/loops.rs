//! Loops: carries, sequences, captured values, both directions, lengths, loops inside.
//!
//! Letters: T steps, M rows, N columns.

use gradloom_tensor::{DType, Scan, Tensor, scan};

use crate::case::Case;

/// A step of a recurrent network with a captured weight.
fn cell(h: &Tensor, x: &Tensor, weight: &Tensor) -> Tensor {
    (h.matmul(weight) * 0.5 + x).tanh()
}

/// States `[M, N]` and the weight `[N, N]` behind a sequence `[T, M, N]`.
fn network(name: &str, function: fn(&[Tensor]) -> Tensor) -> Case {
    Case::new(name, function).float(&[5, 3, 4]).float(&[3, 4]).unit(&[4, 4])
}

pub(super) fn cases() -> Vec<Case> {
    vec![
        network("scan with a carry", |x| {
            let body = |h: Tensor, part: Tensor| (cell(&h, &part, &x[2]), ());
            scan(x[1].clone(), x[0].clone(), body).0
        }),
        network("scan with stacked values", |x| {
            let body = |h: Tensor, part: Tensor| {
                let h = cell(&h, &part, &x[2]);
                (h.clone(), h.sin())
            };
            scan(x[1].clone(), x[0].clone(), body).1
        }),
        network("scan from the end with two carries and the step's number", |x| {
            let start = (x[1].clone(), x[1].cos());
            let options = Scan::default().reverse(true);
            let (last, all) = options.run(start, x[0].clone(), |index, (h, c), part| {
                let slope = index.cast(DType::F32).mul(0.125).add(0.5).cast(h.dtype());
                let h = cell(&h, &part, &x[2]);
                let c = c * h.sigmoid() + &h * slope;
                ((c.tanh(), h.clone()), (h, c))
            });
            all.0 + all.1 * 0.5 + last.0 - last.1
        }),
        network("scan that is computed again for its gradient", |x| {
            let options = Scan::default().recompute(true);
            let (last, all) = options.run(x[1].clone(), x[0].clone(), |_, h, part| {
                let h = cell(&h, &part, &x[2]);
                (h.clone(), h)
            });
            all + last
        }),
        network("scan of samples with lengths", |x| {
            let lengths = x[3].cast(DType::I32);
            let options = Scan::default().lengths(&lengths).reverse(true);
            let (last, all) = options.run(x[1].clone(), x[0].clone(), |_, h, part| {
                let h = cell(&h, &part, &x[2]);
                (h.clone(), h)
            });
            all + last
        })
        .index(&[3], 6),
        network("scan in a scan", |x| {
            let (last, all) = scan(x[1].clone(), x[0].clone(), |h, part| {
                let inner = |row: Tensor, part: Tensor| {
                    let row = (row * 0.5 + part).tanh();
                    (row.clone(), row)
                };
                let h = h.matmul(&x[2]).tanh();
                let (row, rows) = scan(h.mean(0), part, inner);
                (&h * 0.5 + row, rows * h)
            });
            all + last
        }),
        Case::new("scan of one carry over its own rows", |x| {
            let rows = x[0].clone();
            scan(x[0].sum(0), rows, |sum, row| (&sum * 0.5 + &row, row * sum)).1
        })
        .float(&[4, 3]),
    ]
}

//! Products and indexing.

use gradloom_tensor::DType;

use crate::case::Case;
use crate::woven::Woven;

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new("matmul", |x| x[0].matmul(&x[1])).float(&[5, 7]).float(&[7, 3]),
        Case::new("matmul as what it is summed in", |x| {
            x[0].matmul_as(&x[1], x[0].dtype().compute())
        })
        .float(&[5, 70])
        .float(&[70, 9]),
        Case::new("matmul of bytes", |x| {
            let [a, b] = [1, 2].map(|operand| (&x[operand] - 128).cast(DType::I8));
            let product = a.matmul_as(&b.t(), DType::I32).cast(DType::F32);
            (product * 2f64.powi(-17)).cast(x[0].dtype()) + &x[0]
        })
        .float(&[7, 9])
        .index(&[7, 44], 256)
        .index(&[9, 44], 256),
        Case::new("matmul of vectors", |x| x[0].matmul(&x[1])).float(&[7]).float(&[7]),
        Case::new("matmul with a bias and relu", |x| (x[0].matmul(&x[1]) + &x[2]).relu())
            .float(&[33, 20])
            .float(&[20, 70])
            .float(&[70]),
        Case::new("matmul with gelu and residual", |x| x[0].matmul(&x[1]).gelu() + &x[0])
            .float(&[9, 16])
            .float(&[16, 16]),
        Case::new("matmul transposed", |x| x[0].t().matmul(&x[1].t()))
            .float(&[7, 5])
            .float(&[3, 7]),
        Case::new("matmul batched", |x| x[0].matmul(&x[1]))
            .float(&[2, 3, 4, 5])
            .float(&[2, 3, 5, 6]),
        Case::new("matmul broadcast batch", |x| x[0].matmul(&x[1]))
            .float(&[2, 1, 4, 5])
            .float(&[3, 5, 6]),
        Case::new("matmul folds rows", |x| x[0].matmul(&x[1]) + &x[2])
            .float(&[2, 4, 5])
            .float(&[5, 6])
            .float(&[2, 4, 6]),
        Case::new("matmul large", |x| x[0].matmul(&x[1]).tanh())
            .float(&[130, 257])
            .float(&[257, 97])
            .smooth(1)
            .tolerance(1e-4),
        Case::new("matmul long inner", |x| x[0].matmul(&x[1]))
            .float(&[3, 3000])
            .float(&[3000, 5])
            .smooth(1)
            .tolerance(1e-4),
        Case::new("matmul of one row", |x| x[0].matmul(&x[1]))
            .float(&[1, 300])
            .float(&[300, 200])
            .smooth(1)
            .tolerance(1e-4),
        Case::new("matmul with nothing inside", |x| x[0].matmul(&x[1]) + 1.0)
            .float(&[3, 0])
            .float(&[0, 4])
            .smooth(0),
        Case::new("matmul of a slice", |x| x[0].narrow(1, 1, 4).matmul(&x[1]))
            .float(&[5, 7])
            .float(&[4, 3]),
        Case::new("matmul of a padded operand", |x| x[0].pad(&[(1, 0), (0, 1)]).matmul(&x[1]))
            .float(&[3, 4])
            .float(&[5, 2]),
        Case::new("an op from outside", |x| {
            let [turns, backwards] = Woven { batches: true }.apply(&x[0].sin(), &x[1]);
            turns.narrow(1, 1, 5).square() + backwards * 2.0
        })
        .float(&[3, 5])
        .float(&[3, 5]),
        Case::new("an op from outside without a rule for examples", |x| {
            let [turns, backwards] = Woven { batches: false }.apply(&x[0], &x[1]);
            (turns.sum(1) * backwards.max(1)).cos()
        })
        .float(&[4, 3])
        .float(&[4, 3]),
        Case::new("gather", |x| x[0].gather(1, &x[1]) * 2.0).float(&[3, 6]).index(&[3, 4], 6),
        Case::new("gather of the first axis", |x| x[0].gather(0, &x[1]))
            .float(&[6, 3])
            .index(&[9, 3], 6),
        Case::new("take", |x| x[0].take(1, &x[1])).float(&[3, 6, 2]).index(&[2, 4], 6),
        Case::new("embedding", |x| x[0].embedding(&x[1]).square())
            .float(&[10, 8])
            .index(&[4, 5], 10),
        Case::new("scatter_add", |x| x[0].scatter_add(1, &x[1], &x[2]))
            .float(&[3, 6])
            .index(&[3, 4], 6)
            .float(&[3, 4]),
    ]
}

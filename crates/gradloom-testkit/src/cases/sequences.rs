//! What language models need: attention and its masks, writes at places, matrices in blocks.

use gradloom_tensor::ops::attention::AttentionOptions;
use gradloom_tensor::{BlockFormat, DType, Tensor};

use crate::case::Case;

pub(super) fn cases() -> Vec<Case> {
    let mut cases = attention();
    cases.extend(writes());
    cases.extend(blocks());
    cases
}

fn plain() -> AttentionOptions {
    AttentionOptions::default()
}

fn attend(x: &[Tensor], options: &AttentionOptions) -> Tensor {
    Tensor::attention(&x[0], &x[1], &x[2], options)
}

/// Where the mask is true, and the first key: a query that sees nothing has no meaning.
fn first_or(mask: &Tensor) -> Tensor {
    mask.logical_or(Tensor::iota(*mask.shape(), -1, mask.device()).eq(0))
}

/// A case with query `[B, H, T, D]`, key `[B, HK, S, D]`, value `[B, HK, S, E]`.
fn heads(
    name: &str,
    [batch, heads, queries, depth]: [usize; 4],
    [shared, keys, features]: [usize; 3],
    function: fn(&[Tensor]) -> Tensor,
) -> Case {
    Case::new(format!("attention {name}"), function)
        .float(&[batch, heads, queries, depth])
        .float(&[batch, shared, keys, depth])
        .float(&[batch, shared, keys, features])
}

fn attention() -> Vec<Case> {
    vec![
        heads("with grouped heads", [2, 4, 5, 8], [2, 5, 8], |x| attend(x, &plain().causal(true))),
        heads("with one key head", [1, 6, 3, 4], [1, 7, 4], |x| attend(x, &plain())),
        heads("of odd features", [2, 2, 3, 5], [1, 4, 7], |x| attend(x, &plain().scale(0.3))),
        heads("with a window", [1, 2, 9, 4], [2, 9, 4], |x| {
            attend(x, &plain().causal(true).window(3))
        }),
        heads("with a window to both sides", [1, 2, 6, 4], [2, 6, 4], |x| {
            attend(x, &plain().window(4))
        }),
        heads("to more keys", [2, 2, 3, 4], [2, 11, 4], |x| attend(x, &plain().causal(true))),
        heads("to fewer keys", [1, 2, 9, 4], [2, 4, 4], |x| attend(x, &plain())),
        heads("of one query", [2, 4, 1, 8], [2, 13, 8], |x| attend(x, &plain().causal(true))),
        heads("and what follows", [2, 2, 4, 4], [2, 4, 4], |x| {
            let joined = attend(x, &plain()).transpose(1, 2).reshape([2, 4, 8]);
            joined.relu() + x[0].transpose(1, 2).reshape([2, 4, 8])
        })
        .smooth(1),
        heads("of permuted operands", [2, 3, 4, 8], [3, 4, 8], |x| {
            let turn = |x: &Tensor| (x * 1.5).transpose(1, 2).transpose(1, 2);
            attend(&[turn(&x[0]), x[1].flip([2]), x[2].clone()], &plain())
        }),
        heads("with a bool mask", [2, 2, 4, 4], [2, 5, 4], |x| {
            attend(x, &plain().mask(&first_or(&x[3])))
        })
        .bool(&[2, 1, 4, 5]),
        heads("with a float mask", [2, 2, 4, 4], [1, 5, 4], |x| {
            attend(x, &plain().causal(false).mask(&x[3]))
        })
        .float(&[4, 5]),
        heads("with a mask for each batch", [2, 2, 4, 4], [2, 4, 4], |x| {
            attend(x, &plain().causal(true).mask(&first_or(&x[3])))
        })
        .bool(&[2, 1, 1, 4]),
        heads("from a start", [3, 4, 2, 4], [2, 9, 4], |x| {
            attend(x, &plain().causal(true).start(&x[3]))
        })
        .index(&[3], 8),
        heads("of one query from a start", [3, 4, 1, 4], [2, 9, 4], |x| {
            attend(x, &plain().causal(true).start(&x[3]))
        })
        .index(&[3], 9),
        heads("from a start with a window", [2, 2, 3, 4], [2, 12, 4], |x| {
            attend(x, &plain().causal(true).window(4).start(&x[3]))
        })
        .index(&[2], 9),
        heads("from a start to all that is filled", [2, 2, 3, 4], [2, 9, 4], |x| {
            attend(x, &plain().start(&x[3]))
        })
        .index(&[2], 7),
        heads("of many queries", [1, 3, 70, 16], [1, 70, 16], |x| attend(x, &plain().causal(true)))
            .smooth(1)
            .tolerance(1e-4),
        heads("of many queries with a window", [1, 2, 80, 8], [2, 90, 12], |x| {
            attend(x, &plain().causal(true).window(20))
        })
        .smooth(1)
        .tolerance(1e-4),
        heads("of one query to many keys", [2, 4, 1, 16], [2, 700, 16], |x| {
            attend(x, &plain().causal(true).start(&x[3]))
        })
        .index(&[2], 700)
        .smooth(1)
        .tolerance(1e-4),
        heads("of wide heads", [1, 2, 20, 256], [1, 40, 256], |x| attend(x, &plain().causal(true)))
            .smooth(1)
            .tolerance(1e-4),
    ]
}

fn writes() -> Vec<Case> {
    vec![
        Case::new("write", |x| x[0].write(1, &x[2], &x[1]))
            .float(&[3, 7, 2])
            .float(&[3, 2, 2])
            .index(&[3], 6),
        Case::new("write along an inner axis", |x| x[0].write(2, &x[2], &x[1]) * 2.0)
            .float(&[2, 3, 6, 4])
            .float(&[2, 3, 2, 4])
            .index(&[2], 5),
        Case::new("write of a computed update", |x| {
            (&x[0] * 3.0).write(1, &x[2], &(x[1].tanh() + 1.0)).square()
        })
        .float(&[2, 6, 3])
        .float(&[2, 3, 3])
        .index(&[2], 4),
        Case::new("write of a transposed update", |x| x[0].write(2, &x[2], &x[1].transpose(1, 2)))
            .float(&[2, 3, 6, 4])
            .float(&[2, 1, 3, 4])
            .index(&[2], 6),
        Case::new("write of an update under another shape", |x| {
            x[0].write(1, &x[2], &x[1].reshape([2, 4, 3, 3]))
        })
        .float(&[2, 6, 3, 3])
        .float(&[2, 2, 6, 3])
        .index(&[2], 3),
        Case::new("write of one row", |x| x[0].write(1, &x[2], &x[1]).narrow(1, 0, 4).exp())
            .float(&[1, 9, 5])
            .float(&[1, 1, 5])
            .index(&[1], 9),
        Case::new("write of everything", |x| x[0].write(1, &x[2], &x[1]) + &x[0])
            .float(&[2, 4])
            .float(&[2, 4])
            .index(&[2], 1),
        Case::new("write twice", |x| {
            let once = x[0].write(1, &x[2], &x[1]);
            once.write(1, &x[3], &(&x[1] * 2.0))
        })
        .float(&[2, 8, 3])
        .float(&[2, 2, 3])
        .index(&[2], 7)
        .index(&[2], 7),
    ]
}

/// A matrix of a format with numbers that look random.
fn matrix(format: BlockFormat, [rows, columns]: [usize; 2], like: &Tensor) -> Tensor {
    let hash = |index: usize| {
        let word = (index as u32 ^ 0x5bd1_e995).wrapping_mul(0x9E37_79B9);
        ((word ^ word >> 15).wrapping_mul(0x2C1B_3C6D) >> 8) % 20_001
    };
    let values: Vec<f32> =
        (0..rows * columns).map(|index| hash(index) as f32 / 10_000.0 - 1.0).collect();
    let mut blocks = vec![0; values.len() / format.elements() * format.bytes()];
    format.encode(&values, &mut blocks);
    Tensor::from_blocks(format, [rows, columns], &blocks, like.device())
        .unwrap_or_else(|error| panic!("{error}"))
}

/// The first operand in f32, the only dtype of matrices in blocks.
fn single(x: &[Tensor]) -> Tensor {
    x[0].cast(DType::F32)
}

/// Rows that do not fill their last group.
fn product<const FORMAT: usize>(x: &[Tensor]) -> Tensor {
    let weight = matrix(BlockFormat::ALL[FORMAT], [19, 512], &x[0]);
    single(x).matmul(&weight.t())
}

fn embedding<const FORMAT: usize>(x: &[Tensor]) -> Tensor {
    matrix(BlockFormat::ALL[FORMAT], [21, 256], &x[0]).embedding(&x[0]) * 2.0
}

fn blocks() -> Vec<Case> {
    use BlockFormat::{Q4_0, Q4_K, Q6_K, Q8_0};
    // Weights in blocks are not learnt, and f32 is their only dtype: no derivatives in f64.
    let new = |name: String, function: fn(&[Tensor]) -> Tensor| Case::new(name, function).smooth(0);
    let mut cases = Vec::new();
    let products: [fn(&[Tensor]) -> Tensor; 10] = [
        product::<0>,
        product::<1>,
        product::<2>,
        product::<3>,
        product::<4>,
        product::<5>,
        product::<6>,
        product::<7>,
        product::<8>,
        product::<9>,
    ];
    let embeddings: [fn(&[Tensor]) -> Tensor; 10] = [
        embedding::<0>,
        embedding::<1>,
        embedding::<2>,
        embedding::<3>,
        embedding::<4>,
        embedding::<5>,
        embedding::<6>,
        embedding::<7>,
        embedding::<8>,
        embedding::<9>,
    ];
    for (position, format) in BlockFormat::ALL.into_iter().enumerate() {
        cases.push(
            new(format!("matmul with {format}"), products[position])
                .float(&[1 + position % 3, 512])
                .rounds_on_the_cpu(),
        );
        cases.push(new(format!("embedding of {format}"), embeddings[position]).index(&[2, 3], 21));
    }
    cases.extend([
        new("matmul with blocks of many rows".into(), |x| {
            single(x).matmul(&matrix(Q4_K, [70, 256], &x[0]).t())
        })
        .float(&[20, 256])
        .rounds_on_the_cpu(),
        new("matmul with blocks and what follows".into(), |x| {
            let weight = matrix(Q8_0, [64, 64], &x[0]);
            single(x).matmul(&weight.t()).gelu() + single(x)
        })
        .float(&[2, 3, 64])
        .rounds_on_the_cpu(),
        new("matmul with several matrices in blocks".into(), |x| {
            let parts =
                [(Q4_K, 32), (Q6_K, 5), (Q4_0, 17)].map(|(f, rows)| matrix(f, [rows, 256], &x[0]));
            let weight = Tensor::concat(&[&parts[0], &parts[1], &parts[2]], 0);
            single(x).matmul(&weight.t())
        })
        .float(&[2, 256])
        .rounds_on_the_cpu(),
        new("numbers of blocks".into(), |x| {
            matrix(Q6_K, [3, 256], &x[0]).narrow(1, 0, 100) * single(x)
        })
        .float(&[3, 100]),
    ]);
    cases
}

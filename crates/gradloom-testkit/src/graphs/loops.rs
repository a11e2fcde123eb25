//! Loops whose bodies are lists of numbers: each number is an op on earlier values of the step.
//!
//! Letters: T steps, M rows, N columns.

use gradloom_tensor::{DType, Key, Scan, Tensor, scan};

/// Numbers at the head of a list: options, the result, and which values are handed on.
const HEAD: usize = 6;

/// What a list of numbers says of one step.
struct Body<'a> {
    codes: &'a [usize],
    /// `[N, N]`
    table: &'a Tensor,
}

/// A loop over a sequence `[T, M, N]` (or what broadcasts to it after the first axis) from two carries
/// `[M, N]` and `[N]`, whose body has captured a table `[N, N]`; all of one float dtype.
///
/// # Panics
/// If shapes do not fit.
pub fn looped(codes: &[usize], [sequence, rows, row, table]: [&Tensor; 4]) -> Tensor {
    let code = |position: usize| codes.get(position).copied().unwrap_or(0);
    let body = Body { codes, table };
    let mut options = Scan::default().reverse(code(0) % 2 == 1).recompute(code(0) / 2 % 3 == 2);
    if code(0) % 7 == 3 {
        let steps = sequence.size(0) as i32 + 1;
        let lengths = Tensor::iota([rows.size(0)], 0, rows.device()).mul(2).rem(steps);
        // The second carry has no axis of samples.
        let (last, all) =
            options.lengths(&lengths).run(rows.clone(), sequence.clone(), |index, a, x| {
                let (next, _, value) = body.step(index, &a, &row.clone(), &x);
                (next, value)
            });
        return pick(code(1), [&last, &last, &all]);
    }
    if code(0) % 5 == 4 {
        options = options.length(sequence.size(0));
    }
    let count = Tensor::zeros((), DType::I32, rows.device());
    let start = (rows.clone(), row.clone(), count);
    let (last, all) = options.run(start, sequence.clone(), |index, (a, b, count), x| {
        let (next_a, next_b, value) = body.step(index, &a, &b, &x);
        let value = if code(2) % 4 == 3 { a } else { value };
        ((next_a, next_b, &count + 1), value)
    });
    pick(code(1), [&last.0, &last.1, &all])
}

/// One of the results, or several in one.
fn pick(code: usize, [a, b, all]: [&Tensor; 3]) -> Tensor {
    match code % 5 {
        0 => a.clone(),
        1 => b.clone(),
        2 => all.clone(),
        3 => all.sum(0) + a,
        _ => all + b,
    }
}

impl Body<'_> {
    /// The next carries and a value.
    fn step(&self, index: &Tensor, a: &Tensor, b: &Tensor, x: &Tensor) -> (Tensor, Tensor, Tensor) {
        let shape = *a.shape();
        let mut values = vec![x.broadcast_to(shape), b.broadcast_to(shape), a.clone()];
        for (number, codes) in self.codes.get(HEAD..).unwrap_or(&[]).chunks(2).enumerate() {
            let other = codes.get(1).copied().unwrap_or(0);
            let picked = values[values.len() - 1 - other % values.len()].clone();
            let last = values[values.len() - 1].clone();
            values.push(self.op(codes[0], number, index, &last, &picked));
        }
        let of = |code: usize| &values[values.len() - 1 - code % values.len()];
        let code = |position: usize| self.codes.get(position).copied().unwrap_or(0);
        let next_a = match code(3) % 5 {
            0 => a.clone(),
            1 => x.broadcast_to(shape),
            _ => of(code(3)).tanh(),
        };
        let next_b = match code(4) % 4 {
            0 => b.clone(),
            _ => of(code(4)).mean(0),
        };
        (next_a, next_b, of(code(5)).clone())
    }

    fn op(&self, code: usize, number: usize, index: &Tensor, v: &Tensor, w: &Tensor) -> Tensor {
        let (table, dtype) = (self.table, v.dtype());
        let (rows, columns) = (v.size(0), v.size(1));
        match code % 22 {
            0 => v + w,
            1 => v * &w.tanh(),
            2 => v.tanh(),
            3 => (v - w).sigmoid(),
            4 => v.matmul(table).tanh(),
            5 => v.matmul(&table.t()).tanh(),
            6 => v - &w.mean_keepdim(-1),
            7 => v.softmax(-1),
            8 => v.flip(-1) + w,
            9 => v.narrow(0, 0, rows / 2).pad(&[(rows - rows / 2, 0), (0, 0)]) + w,
            10 => v + &table.index(0, 0),
            11 => v * &(index.cast(dtype).mul(0.25).add(0.5)),
            12 => {
                v + &Tensor::uniform(Key::new(number as u64), *v.shape(), 0.0, 1.0, v.device())
                    .cast(dtype)
            }
            13 => v.detach() + w,
            14 => v - &w.max_keepdim(0),
            15 => {
                let row = index.rem(columns as i32).reshape([1]);
                v + &table.index_select(0, &row)
            }
            16 => v.gt(w).select(v, w),
            17 => v.cumsum(0).tanh(),
            18 => v.cast(DType::F16).cast(dtype) + w,
            19 => {
                let zero = v.index(0, 0).zeros_like();
                let slope = w.mean(0);
                let inner = |sum: Tensor, row: Tensor| {
                    let sum = (&sum * &slope + &row).tanh();
                    (sum.clone(), sum)
                };
                scan(zero, v.clone(), inner).1
            }
            20 => v.t().matmul(w).index(0, 0).broadcast_to(*v.shape()).tanh(),
            _ => v.mul(0.5).sub(w),
        }
    }
}

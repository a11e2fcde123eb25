//! What only a planner makes: loops, and ops from outside with shaders of their own.

use gradloom_tensor::custom_op::{CustomOp, HostOperand, HostResult, TensorType, Wgsl, custom_op};
use gradloom_tensor::{DType, Device, Key, Result, Tensor, scan};

use crate::self_test::case::{Case, Work};

pub(super) fn cases() -> Vec<Case> {
    let graphs: [(&str, fn(&Device) -> Vec<Tensor>); 3] = [
        ("a loop", a_loop),
        ("a loop with random numbers", random_loop),
        ("ops from outside", outside),
    ];
    graphs
        .into_iter()
        .map(|(name, build)| Case {
            name: name.to_owned(),
            work: Work::Graph(build),
            adjust: |_| {},
        })
        .collect()
}

fn counted(dims: [usize; 2], device: &Device) -> Tensor {
    let [rows, columns] = dims;
    let numbers = Tensor::arange(rows * columns, device);
    numbers.cast(DType::F32).reshape(dims) * 0.03 - 0.4
}

/// Carries that depend on each other, parts read and written at every step.
fn a_loop(device: &Device) -> Vec<Tensor> {
    let (steps, start) = (counted([7, 5], device), counted([1, 5], device).reshape([5]));
    let (last, all) = scan(start, steps, |state, step| {
        let next = (&state * &step).sin() + &step;
        (next.clone(), next * 0.5)
    });
    vec![last, all]
}

/// Keys that are folded with the number of each step.
fn random_loop(device: &Device) -> Vec<Tensor> {
    let (steps, start) = (counted([6, 5], device), counted([1, 5], device).reshape([5]));
    let device = device.clone();
    let (last, _) = scan(start, steps, move |state, step| {
        let noise = Tensor::uniform(Key::new(7), [5], 0.0, 1.0, &device);
        (state * 0.5 + step * noise, ())
    });
    vec![last]
}

/// Each row's elements in reverse order: by elements, or by one workgroup for each row.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Reversed {
    by_rows: bool,
    bytes: bool,
}

/// Each line of `from`, reversed.
fn reverse<T: Copy>(from: &[T], to: &mut [T], columns: usize) {
    for (to, from) in to.chunks_exact_mut(columns).zip(from.chunks_exact(columns)) {
        to.iter_mut().zip(from.iter().rev()).for_each(|(to, from)| *to = *from);
    }
}

impl CustomOp for Reversed {
    fn name(&self) -> &'static str {
        "reversed"
    }

    fn results(&self, operands: &[TensorType]) -> Result<Vec<TensorType>> {
        Ok(operands.iter().take(1).copied().collect())
    }

    fn run(&self, operands: &[HostOperand<'_>], results: &mut [HostResult<'_>]) -> Result<()> {
        let columns = operands[0].of.shape[1];
        let (from, to) = (&operands[0], &mut results[0]);
        match self.bytes {
            true => reverse(from.elements::<u8>(), to.elements::<u8>(), columns),
            false => reverse(from.elements::<f32>(), to.elements::<f32>(), columns),
        }
        Ok(())
    }

    fn wgsl(&self, operands: &[TensorType], _: &[TensorType]) -> Option<Wgsl> {
        let [rows, columns] = [operands[0].shape[0], operands[0].shape[1]];
        if !self.by_rows {
            let source = format!(
                "fn element(index: u32) {{
    let row = index / {columns}u;
    write0(index, read0(row * {columns}u + {columns}u - 1u - index % {columns}u));
}}"
            );
            return Some(Wgsl::elements(source, rows * columns));
        }
        let source = format!(
            "var<workgroup> line: array<f32, {columns}>;
fn group(index: u32, thread: u32) {{
    for (var column = thread; column < {columns}u; column += 32u) {{
        line[column] = read0(index * {columns}u + column);
    }}
    workgroupBarrier();
    for (var column = thread; column < {columns}u; column += 32u) {{
        write0(index * {columns}u + column, line[{columns}u - 1u - column]);
    }}
}}"
        );
        Some(Wgsl::workgroups(source, rows, 32))
    }
}

fn outside(device: &Device) -> Vec<Tensor> {
    let x = counted([5, 37], device);
    let [elements] = custom_op(Reversed { by_rows: false, bytes: false }, &[&x]);
    let [rows] = custom_op(Reversed { by_rows: true, bytes: false }, &[&x]);
    let bytes = (&x * 20.0 + 30.0).cast(DType::U8);
    let [bytes] = custom_op(Reversed { by_rows: false, bytes: true }, &[&bytes]);
    vec![elements + 1.0, rows * 2.0, bytes.cast(DType::I32)]
}

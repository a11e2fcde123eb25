//! Writes at places, matrices in blocks, attention.

use gradloom_plan::kernel::PlanOutput;
use gradloom_plan::trial::block_words;
use gradloom_plan::{BufferRef, KernelKind, KernelOutput, Plan, Space, View};
use gradloom_tensor::op::{Attention, Binary};
use gradloom_tensor::{BlockFormat, Buffer, DType, Scalar, Shape};

use crate::harness::{Case, backend, compare, devices, from_bytes, integers, numbers, share, site};

/// An epilogue that is not the identity: the plain value, and `acc * 2 + x`.
pub(crate) fn finish(case: &mut Case) {
    let acc = case.accumulator(DType::F32);
    case.output(acc);
    let shape = case.kernel.space.shape;
    let added = case.input(DType::F32, numbers(shape.count(), 99));
    let added = case.load(added, View::contiguous(shape));
    let two = case.constant(DType::F32, Scalar::Int(2));
    let double = case.binary(Binary::Mul, acc, two);
    let sum = case.binary(Binary::Add, double, added);
    case.output(sum);
}

#[test]
fn blocks_of_every_format_are_their_numbers() {
    for format in BlockFormat::ALL {
        for (rows, blocks) in [(16, 1), (19, 3), (1, 2)] {
            let shape = Shape::new(&[rows, blocks * format.elements()]);
            let kind = KernelKind::Dequantize(format);
            let mut case = Case::new(kind, Space::elements(shape));
            case.input(DType::U32, block_words(format, rows, shape[1], 1));
            finish(&mut case);
            case.check();
        }
    }
}

#[test]
fn picked_rows_of_every_format() {
    for format in BlockFormat::ALL {
        let (rows, columns) = (21, 2 * format.elements());
        // Every second index, from the end.
        let index = View {
            shape: Shape::new(&[7]),
            strides: View::contiguous(Shape::new(&[7])).strides.map(|stride| -2 * stride),
            offset: 12,
            mask: None,
        };
        let kind = KernelKind::QuantizedRows { format, rows, index };
        let mut case = Case::new(kind, Space::elements(Shape::new(&[7, columns])));
        case.input(DType::U32, block_words(format, rows, columns, 2));
        case.input(DType::I32, integers(13, 0, rows as i64, 3));
        finish(&mut case);
        case.check();
    }
}

/// A product of `m` rows with matrices of these formats and rows.
fn product(m: usize, inner: usize, lhs: View, parts: &[(BlockFormat, usize)]) -> Case {
    let columns = parts.iter().map(|part| part.1).sum();
    let kind = KernelKind::QuantizedMatmul { lhs, parts: parts.to_vec() };
    let mut case = Case::new(kind, Space::elements(Shape::new(&[m, columns])));
    let len = lhs.shape.iter().product::<usize>() * 2 + 8;
    case.input(DType::F32, numbers(len, 4));
    for (seed, &(format, rows)) in parts.iter().enumerate() {
        case.input(DType::U32, block_words(format, rows, inner, seed as u64 + 5));
    }
    finish(&mut case);
    case.tolerance(1e-4)
}

#[test]
fn products_with_blocks_of_every_format() {
    for format in BlockFormat::ALL {
        for (m, rows, blocks) in [(1, 32, 9), (3, 19, 2), (8, 16, 1), (11, 40, 2)] {
            let inner = blocks * format.elements();
            let lhs = View::contiguous(Shape::new(&[m, inner]));
            product(m, inner, lhs, &[(format, rows)]).check();
        }
    }
}

#[test]
fn products_of_every_tile() {
    for (m, rows) in [(9, 70), (16, 40), (33, 33), (40, 300), (130, 260), (300, 1100)] {
        let lhs = View::contiguous(Shape::new(&[m, 256]));
        product(m, 256, lhs, &[(BlockFormat::Q4_K, rows)]).check();
    }
}

#[test]
fn products_of_turned_and_odd_operands() {
    let shape = Shape::new(&[5, 64]);
    let plain = View::contiguous(shape);
    let mut turned = plain;
    (turned.strides[0], turned.strides[1]) = (1, 5);
    let mut odd = plain;
    (odd.strides[0], odd.offset) = (67, 3);
    let mut far = plain;
    (far.strides[0], far.offset) = (68, 4);
    for lhs in [turned, odd, far] {
        product(5, 64, lhs, &[(BlockFormat::Q5_1, 24)]).check();
    }
}

#[test]
fn products_with_several_matrices_at_once() {
    use BlockFormat::{Q4_K, Q5_0, Q6_K, Q8_0};
    for m in [1, 4, 20] {
        let lhs = View::contiguous(Shape::new(&[m, 512]));
        product(m, 512, lhs, &[(Q4_K, 48), (Q6_K, 20), (Q8_0, 5)]).check();
        // More than a small device binds at once.
        let many: Vec<(BlockFormat, usize)> =
            (0..12).map(|part| ([Q5_0, Q4_K][part % 2], 7 + part)).collect();
        product(m, 512, lhs, &many).check();
    }
}

/// A write of `2 x` into data, with an index of every batch element.
fn write(data: &[usize], update: &[usize], axis: usize, dtype: DType) -> Case {
    let (data, update) = (Shape::new(data), Shape::new(update));
    let start = View::contiguous(Shape::new(&[data[0]]));
    let kind = KernelKind::Write { data, axis, start };
    let mut case = Case::new(kind, Space::elements(update));
    case.input(dtype, integers(data.count(), 0, 90, 1));
    let places = (data[axis] - update[axis] + 1) as i64;
    case.input(DType::I32, integers(data[0], 0, places, 2));
    let x = case.input(dtype, integers(update.count(), 0, 90, 3));
    let x = case.load(x, View::contiguous(update));
    let two = case.constant(dtype, Scalar::Int(2));
    let value = case.binary(Binary::Mul, x, two);
    let buffer = BufferRef::Output(0);
    case.kernel.outputs.push(KernelOutput {
        buffer,
        dtype,
        len: data.count(),
        value,
        node: usize::MAX,
    });
    case
}

/// A plan in which the output takes the data's memory.
fn in_place(case: &Case) -> Plan {
    let mut plan = case.plan();
    let output = plan.outputs[0];
    plan.outputs[0] = PlanOutput { reuses: Some(0), ..output };
    plan
}

#[test]
fn writes_copy_or_change_the_data() {
    let shapes: [(&[usize], &[usize], usize); 8] = [
        (&[1, 7, 3], &[1, 2, 3], 1),
        (&[2, 6, 2], &[2, 3, 2], 1),
        (&[1, 1, 9], &[1, 1, 1], 2),
        (&[3, 10, 4], &[3, 2, 4], 1),
        (&[2, 3, 9, 5], &[2, 3, 4, 5], 2),
        (&[1, 2, 600, 4], &[1, 2, 1, 4], 2),
        (&[4, 6], &[4, 6], 1),
        (&[2, 5, 3], &[2, 0, 3], 1),
    ];
    for (data, update, axis) in shapes {
        for dtype in [DType::F32, DType::F16, DType::BF16, DType::U8, DType::I8, DType::I32] {
            let case = write(data, update, axis, dtype);
            let expected = case.expected();
            for device in devices() {
                if dtype == DType::F16 && !device.capabilities().f16 {
                    continue;
                }
                let found = case.run_on(&device).unwrap();
                compare(&found[0], &expected[0], 0.0, 0);

                let _shared = share();
                let inputs: Vec<Buffer> = case.upload(&device).unwrap();
                let outputs = backend(&device).run(&in_place(&case), &inputs, &[], &site).unwrap();
                let found = device.backend().download(&outputs[0]).unwrap();
                compare(&from_bytes(dtype, &found), &expected[0], 0.0, 0);
            }
        }
    }
}

#[test]
fn a_write_beyond_the_end_stays_in_the_data() {
    let mut case = write(&[2, 10, 4], &[2, 3, 4], 1, DType::F32);
    case.inputs[1] = vec![-5.0, 1e9];
    let found: Vec<Vec<Vec<f64>>> =
        devices().iter().map(|device| case.run_on(device).unwrap()).collect();
    case.inputs[1] = vec![0.0, 7.0];
    for found in found {
        compare(&found[0], &case.expected()[0], 0.0, 0);
    }
}

/// Batch, query heads, key heads, queries, keys, features of keys, features of values.
#[derive(Clone, Copy)]
struct Heads([usize; 7]);

const PLAIN: Attention =
    Attention { scale: 0.4, causal: false, window: None, masked: false, placed: false };

impl Heads {
    /// An attention with a mask of this dtype and starts, where the options say so.
    fn case(self, attention: Attention, mask: DType) -> Case {
        let Heads([batch, heads, shared, queries, keys, depth, features]) = self;
        let mut shapes = vec![
            (DType::F32, vec![batch, heads, queries, depth]),
            (DType::F32, vec![batch, shared, keys, depth]),
            (DType::F32, vec![batch, shared, keys, features]),
        ];
        if attention.masked {
            shapes.push((mask, vec![batch, heads, queries, keys]));
        }
        if attention.placed {
            shapes.push((DType::I32, vec![batch]));
        }
        let views: Vec<View> =
            shapes.iter().map(|(_, dims)| View::contiguous(Shape::new(dims))).collect();
        let kind = KernelKind::Attention { attention, views };
        let space = Shape::new(&[batch, queries, heads, features]);
        let mut case = Case::new(kind, Space::elements(space)).tolerance(1e-5);
        for (seed, (dtype, dims)) in shapes.iter().enumerate() {
            let count = dims.iter().product();
            let values = match dtype {
                DType::F32 => numbers(count, seed as u64 + 1),
                DType::Bool => integers(count, 0, 2, 5),
                // From the first to the last place, and one too early.
                _ => integers(count, -1, (keys - queries.min(keys)) as i64 + 1, 6),
            };
            case.input(*dtype, values);
        }
        finish(&mut case);
        case
    }

    fn check(self, attention: Attention) {
        self.case(attention, DType::F32).check();
    }
}

#[test]
fn attention_in_tiles_of_every_width() {
    for heads in [
        [2, 2, 2, 20, 20, 16, 16],
        [1, 6, 2, 33, 70, 64, 64],
        [1, 2, 1, 20, 50, 5, 7],
        [1, 1, 1, 40, 30, 96, 20],
        [1, 1, 1, 33, 40, 128, 128],
        [1, 2, 2, 17, 20, 200, 256],
        [1, 1, 1, 20, 20, 256, 256],
    ] {
        Heads(heads).check(PLAIN);
        Heads(heads).check(Attention { causal: heads[3] <= heads[4], placed: true, ..PLAIN });
    }
}

#[test]
fn attention_of_few_rows_of_every_width() {
    for heads in [
        [2, 4, 4, 1, 9, 64, 64],
        [3, 8, 2, 1, 50, 128, 128],
        [1, 9, 3, 1, 300, 64, 64],
        [1, 8, 1, 1, 140, 256, 256],
        [2, 12, 1, 1, 40, 5, 7],
        [2, 2, 1, 5, 30, 16, 40],
        // Keys in parts.
        [1, 3, 1, 1, 1100, 32, 32],
        [1, 2, 1, 3, 1600, 8, 6],
    ] {
        Heads(heads).check(PLAIN);
        Heads(heads).check(Attention { causal: true, placed: true, ..PLAIN });
    }
}

#[test]
fn attention_sees_windows_and_masks() {
    for (queries, keys) in [(1, 40), (25, 60), (30, 12)] {
        let heads = Heads([2, 2, 1, queries, keys, 8, 8]);
        let fits = queries <= keys;
        for window in [5, 1000] {
            let attention = Attention { window: Some(window), causal: fits, ..PLAIN };
            heads.check(attention);
            heads.check(Attention { placed: true, causal: false, ..attention });
        }
        for mask in [DType::Bool, DType::F32] {
            let attention = Attention { masked: true, ..PLAIN };
            heads.case(attention, mask).check();
            let attention = Attention { causal: true, placed: true, window: Some(7), ..attention };
            heads.case(attention, mask).check();
        }
    }
}

#[test]
fn attention_reads_any_strides() {
    for queries in [1, 20] {
        let mut case = Heads([2, 4, 2, queries, 20, 8, 8]).case(PLAIN, DType::F32);
        // One buffer [batch, position, heads, feature] for queries, keys and values, from an offset.
        let all = case.input(DType::F32, numbers(2 * 20 * 10 * 8 + 4, 8));
        let kernel = &mut case.kernel;
        let KernelKind::Attention { views, .. } = &mut kernel.kind else { unreachable!() };
        for (operand, head) in [(0, 0), (1, 4), (2, 6)] {
            kernel.inputs[operand] = kernel.inputs[all];
            let view = &mut views[operand];
            view.strides[..4].copy_from_slice(&[20 * 80, 8, 80, 1]);
            view.offset = 4 + head * 8 + if operand == 2 { 80 * 19 } else { 0 };
            if operand == 2 {
                // From the last position to the first.
                view.strides[2] = -80;
            }
        }
        for operand in 0..3 {
            case.inputs[operand] = case.inputs[all].clone();
        }
        case.check();
    }
}

#[test]
fn attention_of_large_scores_and_hidden_rows_stays_finite() {
    for queries in [1, 20] {
        let heads = Heads([1, 2, 2, queries, 300, 8, 8]);
        heads.case(Attention { scale: 500.0, ..PLAIN }, DType::F32).tolerance(1e-3).check();
        let mut case = heads.case(Attention { masked: true, ..PLAIN }, DType::Bool);
        // Nothing is left: every key counts the same.
        case.inputs[3].fill(0.0);
        case.check();
        let mut case = heads.case(Attention { masked: true, ..PLAIN }, DType::F32);
        for (index, value) in case.inputs[3].iter_mut().enumerate() {
            // The first step's keys are all hidden, and some later ones.
            *value = if index % 300 < 150 || index % 3 == 0 { f64::NEG_INFINITY } else { 0.0 };
        }
        case.check();
    }
}

//! Operands: scalars, broadcasting, dtypes.

use gradloom_tensor::op::Binary;
use gradloom_tensor::{DType, Op, Scalar};

use crate::refusing::{device, leaf};

#[test]
fn operators_take_tensors_references_and_numbers() {
    let device = device();
    let x = leaf(&[2, 3], DType::F32, &device);
    let row = leaf(&[3], DType::F32, &device);
    let y = ((&x + &row) * 2.0).exp() - 1.0 / &x % x.clone() + (1 - -&row).exp();
    assert_eq!(*y.shape(), [2, 3]);
    assert_eq!(y.dtype(), DType::F32);
}

#[test]
fn a_number_becomes_an_argument_in_the_shape_of_the_tensor() {
    let device = device();
    let x = leaf(&[2, 3], DType::F16, &device);
    let y = 3 - &x;
    assert!(matches!(y.op(), Op::Binary(Binary::Sub)));
    assert!(matches!(y.inputs()[0].op(), Op::Argument(Scalar::Float(value)) if *value == 3.0));
    assert_eq!(y.inputs()[0].shape(), x.shape());
    assert_eq!(y.inputs()[0].dtype(), DType::F16);
    assert_eq!(y.inputs()[1].id(), x.id());
}

#[test]
fn broadcasting_reshapes_then_expands() {
    let device = device();
    let x = leaf(&[2, 3], DType::F32, &device);
    let y = x.add(leaf(&[3], DType::F32, &device));
    assert_eq!(y.inputs()[0].id(), x.id());
    let expanded = &y.inputs()[1];
    assert!(matches!(expanded.op(), Op::Expand));
    assert!(matches!(expanded.inputs()[0].op(), Op::Reshape));
    assert_eq!(*expanded.inputs()[0].shape(), [1, 3]);
}

#[test]
fn constants_broadcast_without_a_view() {
    let device = device();
    let x = leaf(&[2, 3], DType::F32, &device);
    let y = x.add(gradloom_tensor::Tensor::ones((), DType::F32, &device));
    assert!(matches!(y.inputs()[1].op(), Op::Constant(_)));
    assert_eq!(y.inputs()[1].shape(), x.shape());
}

#[test]
fn comparisons_give_bool_and_gt_swaps() {
    let device = device();
    let x = leaf(&[2], DType::I32, &device);
    let y = x.gt(0);
    assert_eq!(y.dtype(), DType::Bool);
    assert!(matches!(y.op(), Op::Binary(Binary::Lt)));
    assert_eq!(y.inputs()[1].id(), x.id());
    assert_eq!(y.logical_not().logical_or(true).dtype(), DType::Bool);
}

#[test]
fn casting_to_the_same_dtype_makes_no_node() {
    let device = device();
    let x = leaf(&[2], DType::I32, &device);
    assert_eq!(x.cast(DType::I32).id(), x.id());
    assert_eq!(x.floor().id(), x.id());
    assert_eq!(x.cast(DType::F32).dtype(), DType::F32);
}

#[test]
fn select_broadcasts_all_three() {
    let device = device();
    let mask = leaf(&[2, 1], DType::Bool, &device);
    let x = leaf(&[3], DType::F64, &device);
    let y = mask.select(&x, 0.0);
    assert_eq!((y.shape().dims(), y.dtype()), (&[2, 3][..], DType::F64));
    assert_eq!(mask.select(1, 0).dtype(), DType::I32);
    assert_eq!(mask.select(1.0, 0).dtype(), DType::F32);
    assert_eq!(*x.masked_fill(&mask, f32::NEG_INFINITY).shape(), [2, 3]);
}

#[test]
fn fixed_powers_become_products() {
    let device = device();
    let x = leaf(&[2], DType::F32, &device);
    assert_eq!(x.powi(1).id(), x.id());
    assert!(matches!(x.powf(2.0).op(), Op::Binary(Binary::Mul)));
    assert!(matches!(x.powf(2.5).op(), Op::Binary(Binary::Pow)));
    assert!(matches!(x.powi(0).op(), Op::Constant(_)));
}

#[test]
fn activations_keep_shape_and_dtype_and_hold_no_arguments() {
    let device = device();
    let x = leaf(&[2, 4], DType::BF16, &device);
    let weight = leaf(&[4], DType::BF16, &device);
    let all = [
        x.leaky_relu(0.01),
        x.elu(1.0),
        x.selu(),
        x.gelu(),
        x.gelu_tanh(),
        x.silu(),
        x.mish(),
        x.softplus(),
        x.softsign(),
        x.hardtanh(),
        x.hardsigmoid(),
        x.hardswish(),
        x.relu6(),
        x.log_sigmoid(),
        x.prelu(&weight),
    ];
    for y in &all {
        assert_eq!((y.shape(), y.dtype()), (x.shape(), x.dtype()));
        let mut pending = vec![y.clone()];
        while let Some(node) = pending.pop() {
            assert!(!matches!(node.op(), Op::Argument(_)));
            pending.extend(node.inputs().iter().cloned());
        }
    }
    assert_eq!(*x.glu(-1).shape(), [2, 2]);
}

#[test]
#[should_panic(expected = "add: shapes [2, 3] and [4] do not broadcast")]
fn shapes_that_do_not_broadcast_panic() {
    let device = device();
    let _ = leaf(&[2, 3], DType::F32, &device) + leaf(&[4], DType::F32, &device);
}

#[test]
fn differing_dtypes_meet_in_one() {
    let device = device();
    let of = |dtype| leaf(&[2], dtype, &device);
    let sum = of(DType::I32) + of(DType::F16);
    assert_eq!(sum.dtype(), DType::F16);
    assert!(matches!(sum.inputs()[0].op(), Op::Cast));
    assert!(matches!(sum.inputs()[1].op(), Op::Buffer));
    assert_eq!((of(DType::F16) - of(DType::BF16)).dtype(), DType::F32);
    assert_eq!(of(DType::U8).maximum(of(DType::I64)).dtype(), DType::I64);
    assert_eq!(of(DType::U8).eq(of(DType::I8)).inputs()[0].dtype(), DType::I32);
    assert_eq!(of(DType::Bool).mul(of(DType::BF16)).dtype(), DType::BF16);
    assert_eq!(of(DType::Bool).select(of(DType::I8), of(DType::F64)).dtype(), DType::F64);
    let mixed = [of(DType::U8), of(DType::Bool), of(DType::F16)];
    assert_eq!(gradloom_tensor::Tensor::concat(&mixed, 0).dtype(), DType::F16);
    assert_eq!(of(DType::I8).result_type(of(DType::U8)), DType::I32);
}

#[test]
fn numbers_and_tensors_without_axes_do_not_widen() {
    let device = device();
    let of = |dtype| leaf(&[2], dtype, &device);
    assert_eq!((of(DType::F16) * 2.0).dtype(), DType::F16);
    assert_eq!((of(DType::F16) + leaf(&[], DType::F64, &device)).dtype(), DType::F16);
    assert_eq!(
        (leaf(&[], DType::I8, &device) + leaf(&[], DType::I64, &device)).dtype(),
        DType::I64
    );
    assert_eq!((of(DType::I8) * 2).dtype(), DType::I8);
    assert_eq!((of(DType::I8) * 0.5).dtype(), DType::F32);
    assert_eq!((2.0 - of(DType::I64)).dtype(), DType::F32);
    assert_eq!((of(DType::Bool) + 1).dtype(), DType::I32);
    assert_eq!(of(DType::U8).add(true).dtype(), DType::U8);
    assert_eq!(of(DType::I32).gt(0.5).inputs()[0].dtype(), DType::F32);
    assert_eq!(of(DType::Bool).select(of(DType::U8), 0.5).dtype(), DType::F32);
    assert_eq!(of(DType::I64).add(i64::MAX).dtype(), DType::I64);
    assert_eq!(of(DType::I32).masked_fill(&of(DType::Bool), 7).dtype(), DType::I32);
}

#[test]
fn division_has_all_its_kinds() {
    let device = device();
    let of = |dtype| leaf(&[2], dtype, &device);
    assert_eq!((of(DType::I32) / of(DType::I32)).dtype(), DType::I32);
    assert_eq!(of(DType::I64).true_divide(2).dtype(), DType::F32);
    assert_eq!(of(DType::F16).true_divide(of(DType::I32)).dtype(), DType::F16);
    assert_eq!(of(DType::I8).floor_divide(2).dtype(), DType::I8);
    assert_eq!(of(DType::BF16).floor_divide(2).dtype(), DType::BF16);
    assert_eq!(of(DType::I8).remainder(of(DType::I64)).dtype(), DType::I64);
    assert_eq!(of(DType::U8).left_shift(3).dtype(), DType::U8);
    assert_eq!(of(DType::Bool).bitnot().dtype(), DType::Bool);
    assert_eq!(of(DType::U32).bitnot().dtype(), DType::U32);
}

#[test]
#[should_panic(
    expected = "add: u32 and i32 have no common dtype that every device has; convert one"
)]
fn unsigned_words_beside_signed_ones_panic() {
    let device = device();
    let _ = leaf(&[2], DType::U32, &device) + leaf(&[2], DType::I32, &device);
}

#[test]
#[should_panic(expected = "matmul: dtypes differ: f16 and f32; convert one with cast")]
fn products_of_differing_dtypes_panic() {
    let device = device();
    let _ = leaf(&[2, 2], DType::F16, &device).matmul(&leaf(&[2, 2], DType::F32, &device));
}

#[test]
#[should_panic(expected = "masked_fill: 0.5 is no value of a i32 tensor; convert it with cast")]
fn a_fill_that_the_dtype_cannot_hold_panics() {
    let device = device();
    let _ = leaf(&[2], DType::I32, &device).masked_fill(&leaf(&[2], DType::Bool, &device), 0.5);
}

#[test]
#[should_panic(expected = "left_shift: needs an integer tensor, not f32; convert with cast")]
fn shifts_of_floats_panic() {
    let _ = leaf(&[2], DType::F32, &device()).left_shift(1);
}

#[test]
#[should_panic(expected = "sub: -1 is no value of a u32 tensor")]
fn a_negative_number_beside_unsigned_integers_panics() {
    let _ = leaf(&[2], DType::U32, &device()) - -1;
}

#[test]
#[should_panic(expected = "add: needs numbers, not bool; convert with cast")]
fn arithmetic_on_bool_panics() {
    let device = device();
    let _ = leaf(&[2], DType::Bool, &device) + leaf(&[2], DType::Bool, &device);
}

#[test]
#[should_panic(expected = "exp: needs a floating-point tensor, not i32; convert with cast")]
fn exp_of_integers_panics() {
    let _ = leaf(&[2], DType::I32, &device()).exp();
}

#[test]
#[should_panic(expected = "add: operands are on different devices")]
fn operands_on_different_devices_panic() {
    let _ = leaf(&[2], DType::F32, &device()) + leaf(&[2], DType::F32, &device());
}

#[test]
#[should_panic(expected = "glu: axis 0 has odd size 3")]
fn glu_of_an_odd_axis_panics() {
    let _ = leaf(&[3], DType::F32, &device()).glu(0);
}

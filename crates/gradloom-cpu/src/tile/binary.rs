//! Elementwise steps of two and three operands.

use bytemuck::Pod;
use gradloom_tensor::op::Binary;

use super::operand::Operand;
use super::unary::Lanes;
use crate::math;
use crate::simd::{Level, vectorized};

/// An op as a type without size.
trait Apply<A, B>: Copy {
    /// See [`Vectorized::WIDE`](crate::simd::Vectorized::WIDE).
    const WIDE: bool;
    fn apply<const FMA: bool>(a: A, b: A) -> B;
}

vectorized! {
    fn zip['a][A: Pod, B: Pod, F: Apply<A, B>] wide(F::WIDE) (
        function: F, lhs: Operand<'a, A>, rhs: Operand<'a, A>, out: &'a mut [B]
    ) {
        let _ = function;
        match (lhs, rhs) {
            (Operand::Slice(lhs), Operand::Slice(rhs)) => {
                for ((slot, &a), &b) in out.iter_mut().zip(lhs).zip(rhs) {
                    *slot = F::apply::<FMA>(a, b);
                }
            }
            (Operand::Slice(lhs), Operand::Scalar(b)) => {
                for (slot, &a) in out.iter_mut().zip(lhs) {
                    *slot = F::apply::<FMA>(a, b);
                }
            }
            (Operand::Scalar(a), Operand::Slice(rhs)) => {
                for (slot, &b) in out.iter_mut().zip(rhs) {
                    *slot = F::apply::<FMA>(a, b);
                }
            }
            (Operand::Scalar(a), Operand::Scalar(b)) => out.fill(F::apply::<FMA>(a, b)),
        }
    }

    /// Lanes are chosen as bits, so one loop serves every 32-bit type and one f64.
    fn choose['a][T: Pod] wide(size_of::<T>() == 4) (
        condition: Operand<'a, u32>,
        on_true: Operand<'a, T>,
        on_false: Operand<'a, T>,
        out: &'a mut [T],
    ) {
        match condition {
            Operand::Scalar(condition) => {
                match if condition != 0 { on_true } else { on_false } {
                    Operand::Slice(values) => out.copy_from_slice(values),
                    Operand::Scalar(value) => out.fill(value),
                }
            }
            Operand::Slice(condition) => match (on_true, on_false) {
                (Operand::Slice(on_true), Operand::Slice(on_false)) => {
                    for (((slot, &c), &a), &b) in
                        out.iter_mut().zip(condition).zip(on_true).zip(on_false)
                    {
                        *slot = if c != 0 { a } else { b };
                    }
                }
                (Operand::Slice(on_true), Operand::Scalar(b)) => {
                    for ((slot, &c), &a) in out.iter_mut().zip(condition).zip(on_true) {
                        *slot = if c != 0 { a } else { b };
                    }
                }
                (Operand::Scalar(a), Operand::Slice(on_false)) => {
                    for ((slot, &c), &b) in out.iter_mut().zip(condition).zip(on_false) {
                        *slot = if c != 0 { a } else { b };
                    }
                }
                (Operand::Scalar(a), Operand::Scalar(b)) => {
                    for (slot, &c) in out.iter_mut().zip(condition) {
                        *slot = if c != 0 { a } else { b };
                    }
                }
            },
        }
    }
}

/// One arm per op: defines its type and runs the loop.
macro_rules! table {
    ($op:expr, $level:expr, $lhs:expr, $rhs:expr, $out:expr, $lane:ty, wide $wide:literal;
     $($variant:ident($a:ident, $b:ident) -> $result:ty = $body:expr;)*) => {
        match $op {
            $(Binary::$variant => {
                #[derive(Clone, Copy)]
                struct Function;
                impl Apply<$lane, $result> for Function {
                    const WIDE: bool = $wide;
                    #[inline(always)]
                    fn apply<const FMA: bool>($a: $lane, $b: $lane) -> $result {
                        $body
                    }
                }
                zip($level, Function, $lhs, $rhs, bytemuck::cast_slice_mut::<u8, $result>($out));
            })*
        }
    };
}

/// Computes a tile of a binary op; both operands have one lane type.
pub(super) fn binary(level: Level, op: Binary, lhs: Lanes<'_>, rhs: Lanes<'_>, out: &mut [u8]) {
    match (lhs, rhs) {
        (Lanes::F32(lhs), Lanes::F32(rhs)) => binary_f32(level, op, lhs, rhs, out),
        (Lanes::F64(lhs), Lanes::F64(rhs)) => binary_f64(level, op, lhs, rhs, out),
        (Lanes::I32(lhs), Lanes::I32(rhs)) => binary_i32(level, op, lhs, rhs, out),
        (Lanes::I64(lhs), Lanes::I64(rhs)) => binary_i64(level, op, lhs, rhs, out),
        (Lanes::U32(lhs), Lanes::U32(rhs)) => binary_u32(level, op, lhs, rhs, out),
        (lhs, rhs) => {
            panic!("{}: operands of {:?} and {:?} lanes", op.name(), lhs.lane(), rhs.lane())
        }
    }
}

/// Chooses lanes of 32 or 64 bits.
pub(super) fn select(
    level: Level,
    condition: Operand<'_, u32>,
    on_true: Lanes<'_>,
    on_false: Lanes<'_>,
    out: &mut [u8],
) {
    match (on_true, on_false) {
        (Lanes::F32(a), Lanes::F32(b)) => {
            choose(level, condition, a, b, bytemuck::cast_slice_mut(out));
        }
        (Lanes::F64(a), Lanes::F64(b)) => {
            choose(level, condition, a, b, bytemuck::cast_slice_mut(out));
        }
        (Lanes::I32(a), Lanes::I32(b)) => {
            choose(level, condition, a, b, bytemuck::cast_slice_mut(out));
        }
        (Lanes::I64(a), Lanes::I64(b)) => {
            choose(level, condition, a, b, bytemuck::cast_slice_mut(out));
        }
        (Lanes::U32(a), Lanes::U32(b)) => {
            choose(level, condition, a, b, bytemuck::cast_slice_mut(out));
        }
        (a, b) => panic!("select: operands of {:?} and {:?} lanes", a.lane(), b.lane()),
    }
}

fn binary_f32(
    level: Level,
    op: Binary,
    lhs: Operand<'_, f32>,
    rhs: Operand<'_, f32>,
    out: &mut [u8],
) {
    if let (Binary::Pow, Operand::Scalar(2.0)) = (op, rhs) {
        return binary_f32(level, Binary::Mul, lhs, lhs, out);
    }
    table! { op, level, lhs, rhs, out, f32, wide true;
        Add(a, b) -> f32 = a + b;
        Sub(a, b) -> f32 = a - b;
        Mul(a, b) -> f32 = a * b;
        Div(a, b) -> f32 = a / b;
        Rem(a, b) -> f32 = a % b;
        Pow(a, b) -> f32 = math::pow::<FMA>(a, b);
        Maximum(a, b) -> f32 = {
            let larger = if a > b { a } else { b };
            if a.is_nan() { a } else { larger }
        };
        Minimum(a, b) -> f32 = {
            let smaller = if a < b { a } else { b };
            if a.is_nan() { a } else { smaller }
        };
        Eq(a, b) -> u32 = u32::from(a == b);
        Ne(a, b) -> u32 = u32::from(a != b);
        Lt(a, b) -> u32 = u32::from(a < b);
        Le(a, b) -> u32 = u32::from(a <= b);
        And(a, b) -> f32 = f32::from_bits(a.to_bits() & b.to_bits());
        Or(a, b) -> f32 = f32::from_bits(a.to_bits() | b.to_bits());
        Xor(a, b) -> f32 = f32::from_bits(a.to_bits() ^ b.to_bits());
        LeftShift(a, b) -> f32 = { let _ = b; a };
        RightShift(a, b) -> f32 = { let _ = b; a };
    }
}

fn binary_f64(
    level: Level,
    op: Binary,
    lhs: Operand<'_, f64>,
    rhs: Operand<'_, f64>,
    out: &mut [u8],
) {
    table! { op, level, lhs, rhs, out, f64, wide false;
        Add(a, b) -> f64 = a + b;
        Sub(a, b) -> f64 = a - b;
        Mul(a, b) -> f64 = a * b;
        Div(a, b) -> f64 = a / b;
        Rem(a, b) -> f64 = a % b;
        Pow(a, b) -> f64 = a.powf(b);
        Maximum(a, b) -> f64 = {
            let larger = if a > b { a } else { b };
            if a.is_nan() { a } else { larger }
        };
        Minimum(a, b) -> f64 = {
            let smaller = if a < b { a } else { b };
            if a.is_nan() { a } else { smaller }
        };
        Eq(a, b) -> u32 = u32::from(a == b);
        Ne(a, b) -> u32 = u32::from(a != b);
        Lt(a, b) -> u32 = u32::from(a < b);
        Le(a, b) -> u32 = u32::from(a <= b);
        And(a, b) -> f64 = f64::from_bits(a.to_bits() & b.to_bits());
        Or(a, b) -> f64 = f64::from_bits(a.to_bits() | b.to_bits());
        Xor(a, b) -> f64 = f64::from_bits(a.to_bits() ^ b.to_bits());
        LeftShift(a, b) -> f64 = { let _ = b; a };
        RightShift(a, b) -> f64 = { let _ = b; a };
    }
}

/// Integers wrap, what is divided by zero gives zero, and shifts by no number of bits of the lane, as an
/// unsigned number, shift everything out. Narrower types in a lane need no other rule: what a shift
/// moves beyond their width goes when they wrap, and their sign fills the lane.
macro_rules! binary_integer {
    ($name:ident, $lane:ty, $unsigned:ty) => {
        fn $name(
            level: Level,
            op: Binary,
            lhs: Operand<'_, $lane>,
            rhs: Operand<'_, $lane>,
            out: &mut [u8],
        ) {
            table! { op, level, lhs, rhs, out, $lane, wide false;
                Add(a, b) -> $lane = a.wrapping_add(b);
                Sub(a, b) -> $lane = a.wrapping_sub(b);
                Mul(a, b) -> $lane = a.wrapping_mul(b);
                Div(a, b) -> $lane = if b == 0 { 0 } else { a.wrapping_div(b) };
                Rem(a, b) -> $lane = if b == 0 { 0 } else { a.wrapping_rem(b) };
                Pow(a, b) -> $lane = (a as f64).powf(b as f64) as $lane;
                Maximum(a, b) -> $lane = a.max(b);
                Minimum(a, b) -> $lane = a.min(b);
                Eq(a, b) -> u32 = u32::from(a == b);
                Ne(a, b) -> u32 = u32::from(a != b);
                Lt(a, b) -> u32 = u32::from(a < b);
                Le(a, b) -> u32 = u32::from(a <= b);
                And(a, b) -> $lane = a & b;
                Or(a, b) -> $lane = a | b;
                Xor(a, b) -> $lane = a ^ b;
                LeftShift(a, b) -> $lane = {
                    let shifted = a.wrapping_shl(b as u32);
                    if (b as $unsigned) < <$lane>::BITS as $unsigned { shifted } else { 0 }
                };
                RightShift(a, b) -> $lane = {
                    let most = <$lane>::BITS as $unsigned - 1;
                    let sign = (a >> most as u32) >> 1;
                    let shifted = a.wrapping_shr(b as u32);
                    if b as $unsigned <= most { shifted } else { sign }
                };
            }
        }
    };
}

binary_integer!(binary_i32, i32, u32);
binary_integer!(binary_i64, i64, u64);
binary_integer!(binary_u32, u32, u32);

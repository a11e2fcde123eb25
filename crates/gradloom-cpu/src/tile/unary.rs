//! Elementwise steps of one operand: the vector code of the table in `gradloom_tensor::elementwise`.

use bytemuck::Pod;
use gradloom_tensor::op::Unary;

use super::operand::Operand;
use crate::convert::Lane;
use crate::math;
use crate::simd::{Level, vectorized};

/// An op as a type without size.
trait Apply<A, B>: Copy {
    /// See [`Vectorized::WIDE`](crate::simd::Vectorized::WIDE).
    const WIDE: bool;
    fn apply<const FMA: bool>(a: A) -> B;
}

vectorized! {
    fn map['a][A: Pod, B: Pod, F: Apply<A, B>] wide(F::WIDE) (
        function: F, value: Operand<'a, A>, out: &'a mut [B]
    ) {
        let _ = function;
        match value {
            Operand::Slice(values) => {
                for (slot, &a) in out.iter_mut().zip(values) {
                    *slot = F::apply::<FMA>(a);
                }
            }
            Operand::Scalar(a) => out.fill(F::apply::<FMA>(a)),
        }
    }
}

/// One arm per op: defines its type and runs the loop.
macro_rules! table {
    ($op:expr, $level:expr, $value:expr, $out:expr, $lane:ty, wide $wide:literal, { $rest:pat => $other:expr },
     $($variant:ident($a:ident) -> $result:ty = $body:expr;)*) => {
        match $op {
            $(Unary::$variant => {
                #[derive(Clone, Copy)]
                struct Function;
                impl Apply<$lane, $result> for Function {
                    const WIDE: bool = $wide;
                    #[inline(always)]
                    fn apply<const FMA: bool>($a: $lane) -> $result {
                        $body
                    }
                }
                map($level, Function, $value, bytemuck::cast_slice_mut::<u8, $result>($out));
            })*
            $rest => $other,
        }
    };
}

/// What a step of one operand reads, by lane type.
#[derive(Clone, Copy)]
pub(super) enum Lanes<'a> {
    F32(Operand<'a, f32>),
    F64(Operand<'a, f64>),
    I32(Operand<'a, i32>),
    I64(Operand<'a, i64>),
    U32(Operand<'a, u32>),
}

impl Lanes<'_> {
    /// The lane type.
    pub(super) fn lane(&self) -> Lane {
        match self {
            Lanes::F32(_) => Lane::F32,
            Lanes::F64(_) => Lane::F64,
            Lanes::I32(_) => Lane::I32,
            Lanes::I64(_) => Lane::I64,
            Lanes::U32(_) => Lane::U32,
        }
    }
}

/// Computes a tile. Ops that mean nothing for a lane type (the sine of an integer) are the identity;
/// shape rules keep them out.
pub(super) fn unary(level: Level, op: Unary, value: Lanes<'_>, out: &mut [u8]) {
    match value {
        Lanes::F32(value) => unary_f32(level, op, value, out),
        Lanes::F64(value) => unary_f64(level, op, value, out),
        Lanes::I32(value) => unary_i32(level, op, value, out),
        Lanes::I64(value) => unary_i64(level, op, value, out),
        Lanes::U32(value) => unary_u32(level, op, value, out),
    }
}

fn unary_f32(level: Level, op: Unary, value: Operand<'_, f32>, out: &mut [u8]) {
    if let Operand::Scalar(a) = value
        && matches!(op, Unary::Sin | Unary::Cos)
    {
        // One place for the slow path below.
        let lanes: &mut [f32] = bytemuck::cast_slice_mut(out);
        lanes.fill(op.reference()(f64::from(a)) as f32);
        return;
    }
    macro_rules! functions {
        ($($variant:ident $name:ident;)*) => {
            table! { op, level, value, out, f32, wide true, { Unary::Not => map_not(level, value, out) },
                Neg(a) -> f32 = -a;
                Abs(a) -> f32 = a.abs();
                Sign(a) -> f32 = {
                    let sign = if a > 0.0 { 1.0 } else { 0.0 };
                    let sign = if a < 0.0 { -1.0 } else { sign };
                    if a.is_nan() { a } else { sign }
                };
                Floor(a) -> f32 = a.floor();
                Ceil(a) -> f32 = a.ceil();
                Round(a) -> f32 = a.round_ties_even();
                Relu(a) -> f32 = if a <= 0.0 { 0.0 } else { a };
                IsNan(a) -> u32 = u32::from(a.is_nan());
                $($variant(a) -> f32 = math::$name::<FMA>(a);)*
            }
        };
    }
    gradloom_tensor::float_functions!(functions);
    if let (Unary::Sin | Unary::Cos, Operand::Slice(values)) = (op, value) {
        // Arguments of more than a million radians are rare and take the slow way.
        let lanes: &mut [f32] = bytemuck::cast_slice_mut(out);
        for (slot, &a) in lanes.iter_mut().zip(values) {
            if a.abs() > math::REDUCTION_MAX && a.is_finite() {
                *slot = op.reference()(f64::from(a)) as f32;
            }
        }
    }
}

/// `Not` of floats does not exist; true where zero keeps the executor total.
fn map_not(level: Level, value: Operand<'_, f32>, out: &mut [u8]) {
    #[derive(Clone, Copy)]
    struct Function;
    impl Apply<f32, u32> for Function {
        const WIDE: bool = false;
        #[inline(always)]
        fn apply<const FMA: bool>(a: f32) -> u32 {
            u32::from(a == 0.0)
        }
    }
    map(level, Function, value, bytemuck::cast_slice_mut(out));
}

/// f64 serves gradient checks: accuracy before speed.
fn unary_f64(level: Level, op: Unary, value: Operand<'_, f64>, out: &mut [u8]) {
    table! { op, level, value, out, f64, wide false, { other => call_each(other.reference(), value, out) },
        Neg(a) -> f64 = -a;
        Abs(a) -> f64 = a.abs();
        Sqrt(a) -> f64 = a.sqrt();
        Reciprocal(a) -> f64 = 1.0 / a;
        Relu(a) -> f64 = if a <= 0.0 { 0.0 } else { a };
        IsNan(a) -> u32 = u32::from(a.is_nan());
        Not(a) -> u32 = u32::from(a == 0.0);
    }
}

/// The reference closure itself, one element after another.
fn call_each(function: fn(f64) -> f64, value: Operand<'_, f64>, out: &mut [u8]) {
    let out: &mut [f64] = bytemuck::cast_slice_mut(out);
    match value {
        Operand::Slice(values) => {
            for (slot, &a) in out.iter_mut().zip(values) {
                *slot = function(a);
            }
        }
        Operand::Scalar(a) => out.fill(function(a)),
    }
}

macro_rules! unary_signed {
    ($name:ident, $lane:ty) => {
        fn $name(level: Level, op: Unary, value: Operand<'_, $lane>, out: &mut [u8]) {
            table! { op, level, value, out, $lane, wide false, { _ => $name(level, Unary::Floor, value, out) },
                Neg(a) -> $lane = a.wrapping_neg();
                Abs(a) -> $lane = a.wrapping_abs();
                Sign(a) -> $lane = a.signum();
                Relu(a) -> $lane = a.max(0);
                IsNan(a) -> u32 = { let _ = a; 0 };
                Not(a) -> u32 = u32::from(a == 0);
                Floor(a) -> $lane = a;
            }
        }
    };
}

unary_signed!(unary_i32, i32);
unary_signed!(unary_i64, i64);

fn unary_u32(level: Level, op: Unary, value: Operand<'_, u32>, out: &mut [u8]) {
    table! { op, level, value, out, u32, wide false, { _ => unary_u32(level, Unary::Floor, value, out) },
        Neg(a) -> u32 = a.wrapping_neg();
        Sign(a) -> u32 = u32::from(a != 0);
        IsNan(a) -> u32 = { let _ = a; 0 };
        Not(a) -> u32 = u32::from(a == 0);
        Floor(a) -> u32 = a;
    }
}

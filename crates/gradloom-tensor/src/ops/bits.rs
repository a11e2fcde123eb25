//! What the bits of floats say: the next one, and mantissa and exponent. Ops that come in by the door for ops.

use crate::custom_op::{CustomOp, HostOperand, HostResult, TensorType, Wgsl, custom_op};
use crate::error::OrFail;
use crate::{DType, Error, Result, Tensor, bf16, f16, shape_rules};

impl Tensor {
    /// The float beside each element, towards another; broadcast, floats of one dtype. NaN if one is. The
    /// gradient goes to this tensor where the two are not equal. PyTorch: `nextafter`, which has none.
    #[track_caller]
    #[must_use]
    pub fn nextafter(&self, other: &Tensor) -> Tensor {
        let op = "nextafter";
        self.require_float(op);
        shape_rules::same_dtype(op, self.dtype(), other.dtype()).or_fail();
        let shape = shape_rules::broadcast(op, self.shape(), other.shape()).or_fail();
        let [next] = custom_op(NextAfter, &[&self.expand_to(shape), &other.expand_to(shape)]);
        next
    }

    /// Mantissas, `1/2 <= |m| < 1`, and exponents (`i32`) with `x = m 2^e`; zero, NaN and infinities are their
    /// own mantissas, with exponent 0. Floats only; gradients flow through mantissas. PyTorch: `frexp`.
    #[track_caller]
    #[must_use]
    pub fn frexp(&self) -> (Tensor, Tensor) {
        self.require_float("frexp");
        let [exponent] = custom_op(Exponent, &[&self.detach()]);
        let [mantissa] = custom_op(Mantissa, &[self]);
        (mantissa, exponent)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct NextAfter;

/// Bits of a float type, as an integer that counts its numbers.
macro_rules! next {
    ($float:ty, $bits:ty, $from:expr, $to:expr, $sign:expr, $x:expr, $y:expr) => {{
        let (x, y): ($float, $float) = ($x, $y);
        if x.is_nan() || y.is_nan() {
            <$float>::NAN
        } else if x == y {
            y
        } else {
            let bits: $bits = $to(x);
            let is_zero = bits & !$sign == 0;
            if is_zero {
                $from(if y > x { 1 } else { $sign | 1 })
            } else if (y > x) == (bits & $sign == 0) {
                $from(bits + 1)
            } else {
                $from(bits - 1)
            }
        }
    }};
}

impl CustomOp for NextAfter {
    fn name(&self) -> &'static str {
        "nextafter"
    }

    fn results(&self, operands: &[TensorType]) -> Result<Vec<TensorType>> {
        match operands {
            [x, y] if x == y && x.dtype.is_float() => Ok(vec![*x]),
            _ => Err(Error::shape("takes two operands of one shape, floats of one dtype")),
        }
    }

    fn run(&self, operands: &[HostOperand<'_>], results: &mut [HostResult<'_>]) -> Result<()> {
        macro_rules! each {
            ($float:ty, $bits:ty, $sign:expr) => {{
                let of_x = operands[0].elements::<$float>();
                let of_y = operands[1].elements::<$float>();
                let pairs = of_x.iter().zip(of_y);
                let (from, to) = (<$float>::from_bits, <$float>::to_bits);
                for (result, (&x, &y)) in results[0].elements::<$float>().iter_mut().zip(pairs) {
                    *result = next!($float, $bits, from, to, $sign, x, y);
                }
            }};
        }
        match operands[0].of.dtype {
            DType::F64 => each!(f64, u64, 1u64 << 63),
            DType::F16 => each!(f16, u16, 1u16 << 15),
            DType::BF16 => each!(bf16, u16, 1u16 << 15),
            _ => each!(f32, u32, 1u32 << 31),
        }
        Ok(())
    }

    /// Of f32 alone: others are numbers between in the shader.
    fn wgsl(&self, operands: &[TensorType], _results: &[TensorType]) -> Option<Wgsl> {
        if operands[0].dtype != DType::F32 {
            return None;
        }
        // By the bits, since devices may take the least numbers for zero.
        let source = "fn place(bits: u32) -> i32 {
    let magnitude = i32(bits & 0x7fffffffu);
    return select(magnitude, -magnitude, (bits & 0x80000000u) != 0u);
}
fn element(index: u32) {
    let x = read0(index);
    let y = read1(index);
    let bits = bitcast<u32>(x);
    let from_place = place(bits);
    let to_place = place(bitcast<u32>(y));
    if (gl_is_nan(x) || gl_is_nan(y)) {
        write0(index, gl_nan());
        return;
    }
    if (from_place == to_place) {
        write0(index, y);
        return;
    }
    let next = select(from_place - 1, from_place + 1, from_place < to_place);
    let magnitude = u32(abs(next));
    let negative = next < 0 || (next == 0 && (bits & 0x80000000u) != 0u);
    write0(index, bitcast<f32>(select(magnitude, magnitude | 0x80000000u, negative)));
}";
        Some(Wgsl::elements(source, operands[0].shape.count()))
    }

    fn derivative(
        &self,
        operands: &[Tensor],
        _results: &[Tensor],
        gradients: &[Tensor],
    ) -> Vec<Option<Tensor>> {
        let (x, y, g) = (&operands[0], &operands[1], &gradients[0]);
        let equal = x.eq(y);
        let zero = g.constant_like(0.0);
        vec![Some(equal.select(&zero, g)), Some(equal.select(g, &zero))]
    }

    fn vmap(&self, operands: &[Tensor]) -> Option<Vec<Tensor>> {
        let [next] = custom_op(NextAfter, &[&operands[0], &operands[1]]);
        Some(vec![next])
    }
}

/// The exponents that [`Tensor::frexp`] gives.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Exponent;

impl CustomOp for Exponent {
    fn name(&self) -> &'static str {
        "frexp"
    }

    fn results(&self, operands: &[TensorType]) -> Result<Vec<TensorType>> {
        Ok(vec![TensorType::new(operands[0].shape, DType::I32)])
    }

    fn run(&self, operands: &[HostOperand<'_>], results: &mut [HostResult<'_>]) -> Result<()> {
        let operand = &operands[0];
        let result = results[0].elements::<i32>();
        // All are numbers of f64, and normal there but for its own least ones.
        fn each(result: &mut [i32], values: impl Iterator<Item = f64>) {
            result.iter_mut().zip(values).for_each(|(to, x)| *to = exponent(x));
        }
        match operand.of.dtype {
            DType::F64 => each(result, operand.elements::<f64>().iter().copied()),
            DType::F16 => each(result, operand.elements::<f16>().iter().map(|x| x.to_f64())),
            DType::BF16 => each(result, operand.elements::<bf16>().iter().map(|x| x.to_f64())),
            _ => each(result, operand.elements::<f32>().iter().map(|&x| f64::from(x))),
        }
        Ok(())
    }

    fn wgsl(&self, operands: &[TensorType], _results: &[TensorType]) -> Option<Wgsl> {
        let source = "fn element(index: u32) {
    let bits = bitcast<u32>(read0(index)) & 0x7fffffffu;
    var exponent = 0;
    if (bits != 0u && bits < 0x7f800000u) {
        exponent = i32(bits >> 23u) - 126;
        if (bits < 0x800000u) {
            exponent = i32(firstLeadingBit(bits)) - 148;
        }
    }
    write0(index, exponent);
}";
        Some(Wgsl::elements(source, operands[0].shape.count()))
    }

    fn derivative(&self, _: &[Tensor], _: &[Tensor], _: &[Tensor]) -> Vec<Option<Tensor>> {
        vec![None]
    }

    fn vmap(&self, operands: &[Tensor]) -> Option<Vec<Tensor>> {
        let [exponent] = custom_op(Exponent, &[&operands[0]]);
        Some(vec![exponent])
    }
}

/// The mantissas that [`Tensor::frexp`] gives: by the bits, since devices may take the least numbers for zero.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Mantissa;

impl CustomOp for Mantissa {
    fn name(&self) -> &'static str {
        "frexp"
    }

    fn results(&self, operands: &[TensorType]) -> Result<Vec<TensorType>> {
        Ok(vec![operands[0]])
    }

    fn run(&self, operands: &[HostOperand<'_>], results: &mut [HostResult<'_>]) -> Result<()> {
        macro_rules! each {
            ($float:ty, $to:expr, $from:expr) => {{
                let to_f64: fn($float) -> f64 = $to;
                let from_f64: fn(f64) -> $float = $from;
                let values = operands[0].elements::<$float>();
                for (to, &x) in results[0].elements::<$float>().iter_mut().zip(values) {
                    *to = from_f64(mantissa(to_f64(x)));
                }
            }};
        }
        match operands[0].of.dtype {
            DType::F64 => each!(f64, |x| x, |x| x),
            DType::F16 => each!(f16, |x| x.to_f64(), f16::from_f64),
            DType::BF16 => each!(bf16, |x| x.to_f64(), bf16::from_f64),
            _ => each!(f32, f64::from, |x| x as f32),
        }
        Ok(())
    }

    fn wgsl(&self, operands: &[TensorType], _results: &[TensorType]) -> Option<Wgsl> {
        let source = "fn element(index: u32) {
    let x = read0(index);
    let bits = bitcast<u32>(x);
    var magnitude = bits & 0x7fffffffu;
    if (magnitude == 0u || magnitude >= 0x7f800000u) {
        write0(index, x);
        return;
    }
    if (magnitude < 0x800000u) {
        magnitude = magnitude << (23u - firstLeadingBit(magnitude));
    }
    write0(index, bitcast<f32>((bits & 0x80000000u) | (126u << 23u) | (magnitude & 0x7fffffu)));
}";
        Some(Wgsl::elements(source, operands[0].shape.count()))
    }

    fn derivative(
        &self,
        operands: &[Tensor],
        _results: &[Tensor],
        gradients: &[Tensor],
    ) -> Vec<Option<Tensor>> {
        let [exponent] = custom_op(Exponent, &[&operands[0].detach()]);
        let g = gradients[0].wide();
        // In two steps, since the power of the least number overflows.
        let half = exponent.right_shift(1);
        let rest = exponent.sub(&half);
        let power = |e: &Tensor| e.neg().cast(g.dtype()).exp2();
        vec![Some(g.mul(power(&half)).mul(power(&rest)).cast(gradients[0].dtype()))]
    }

    fn vmap(&self, operands: &[Tensor]) -> Option<Vec<Tensor>> {
        let [mantissa] = custom_op(Mantissa, &[&operands[0]]);
        Some(vec![mantissa])
    }
}

/// `x 2^-e` with the exponent that makes it less than 1 and not less than a half.
fn mantissa(x: f64) -> f64 {
    let exponent = exponent(x);
    let half = exponent >> 1;
    x * 2f64.powi(-half) * 2f64.powi(half - exponent)
}

fn exponent(x: f64) -> i32 {
    if x == 0.0 || !x.is_finite() {
        return 0;
    }
    let stored = |x: f64| (x.to_bits() >> 52 & 0x7ff) as i32;
    match stored(x) {
        // Made normal first.
        0 => stored(x * 2f64.powi(54)) - 54 - 1022,
        e => e - 1022,
    }
}

//! The incomplete gamma functions, ops that come in by the door for ops: their loops end where the sum does.

use crate::custom_op::{CustomOp, HostOperand, HostResult, TensorType, Wgsl, custom_op};
use crate::elementwise::lgamma;
use crate::error::OrFail;
use crate::{DType, Element, Error, Result, Tensor, bf16, f16, shape_rules};

impl Tensor {
    /// The regularised lower incomplete gamma function of order a, this tensor: the integral of
    /// `t^(a-1) e^-t` from 0 to x divided by that to infinity; broadcast, floats of one dtype. NaN where a or x
    /// is negative.
    ///
    /// On the host in f64 within. Gradients flow to x, of any order, and to a once, that on the host alone: on
    /// a GPU it is an error that names it. PyTorch: `igamma` (`special.gammainc`), which has none to a.
    #[track_caller]
    #[must_use]
    pub fn igamma(&self, x: &Tensor) -> Tensor {
        self.incomplete_gamma("igamma", x, Part::Lower)
    }

    /// The regularised upper incomplete gamma function, `1 - igamma(a, x)`, accurate where that is small;
    /// otherwise as [`Tensor::igamma`]. PyTorch: `igammac` (`special.gammaincc`).
    #[track_caller]
    #[must_use]
    pub fn igammac(&self, x: &Tensor) -> Tensor {
        self.incomplete_gamma("igammac", x, Part::Upper)
    }

    #[track_caller]
    fn incomplete_gamma(&self, op: &str, x: &Tensor, part: Part) -> Tensor {
        shape_rules::float(op, self.dtype()).or_fail();
        shape_rules::same_dtype(op, self.dtype(), x.dtype()).or_fail();
        let shape = shape_rules::broadcast(op, self.shape(), x.shape()).or_fail();
        let [value] = custom_op(Gamma { part }, &[&self.expand_to(shape), &x.expand_to(shape)]);
        value
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Part {
    Lower,
    Upper,
    /// The slope of the lower one in a.
    Slope,
}

/// `a [..], x [..] -> [..]`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Gamma {
    part: Part,
}

impl CustomOp for Gamma {
    fn name(&self) -> &'static str {
        match self.part {
            Part::Lower => "igamma",
            Part::Upper => "igammac",
            Part::Slope => "slope of igamma in its order",
        }
    }

    fn results(&self, operands: &[TensorType]) -> Result<Vec<TensorType>> {
        match operands {
            [a, x] if a == x && a.dtype.is_float() => Ok(vec![*a]),
            _ => Err(Error::shape(
                "takes two operands of one shape, floats of one dtype".to_string(),
            )),
        }
    }

    fn run(&self, operands: &[HostOperand<'_>], results: &mut [HostResult<'_>]) -> Result<()> {
        match operands[0].of.dtype {
            DType::F64 => self.each::<f64>(operands, results, |x| x, |x| x),
            DType::F16 => self.each::<f16>(operands, results, f16::to_f64, f16::from_f64),
            DType::BF16 => self.each::<bf16>(operands, results, bf16::to_f64, bf16::from_f64),
            _ => self.each::<f32>(operands, results, f64::from, |x| x as f32),
        }
        Ok(())
    }

    fn wgsl(&self, operands: &[TensorType], _results: &[TensorType]) -> Option<Wgsl> {
        let part = match self.part {
            Part::Lower => "x",
            Part::Upper => "y",
            // Differences of what f32 holds say nothing.
            Part::Slope => return None,
        };
        let element = format!(
            "fn element(index: u32) {{\n    let both = shares(read0(index), read1(index));\n    write0(index, both.{part});\n}}"
        );
        Some(Wgsl::elements(format!("{SHADER}{element}"), operands[0].shape.count()))
    }

    fn derivative(
        &self,
        operands: &[Tensor],
        _results: &[Tensor],
        gradients: &[Tensor],
    ) -> Vec<Option<Tensor>> {
        let (a, x, g) = (operands[0].wide(), operands[1].wide(), gradients[0].wide());
        let dtype = operands[0].dtype();
        let sign = match self.part {
            Part::Lower => 1.0,
            Part::Upper => -1.0,
            Part::Slope => {
                panic!("igamma: it has one derivative in its order, not two; detach the order")
            }
        };
        // e^-x x^(a-1) / gamma(a), zero to the power of zero being one.
        let logarithm = a.plus(-1.0).xlogy(&x).sub(&x).sub(a.lgamma());
        let of_x = logarithm.exp().mul(&g).times(sign).cast(dtype);
        let [slope] = custom_op(Gamma { part: Part::Slope }, &[&operands[0], &operands[1]]);
        vec![Some(slope.wide().mul(&g).times(sign).cast(dtype)), Some(of_x)]
    }

    fn vmap(&self, operands: &[Tensor]) -> Option<Vec<Tensor>> {
        let [value] = custom_op(self.clone(), &[&operands[0], &operands[1]]);
        Some(vec![value])
    }
}

/// `shares` in f32. The factor of large orders is written about its peak, so that its logarithm does not cancel.
const SHADER: &str = "fn factor(a: f32, x: f32) -> f32 {
    if (a < 8.0) {
        return gl_exp(a * gl_log(x) - x - gl_lgamma(a));
    }
    let m = (x - a) / a;
    let bend = (0.083333333 - 0.0027777778 / (a * a)) / a;
    return gl_sqrt(a / 6.2831853) * gl_exp(a * (gl_log1p(m) - m) - bend);
}
fn away_from_zero(x: f32) -> f32 {
    return select(x, 1.0e-30, abs(x) < 1.0e-30);
}
fn shares(a: f32, x: f32) -> vec2<f32> {
    let far_a = gl_is_inf(a);
    let far_x = gl_is_inf(x);
    if (!(a >= 0.0 && x >= 0.0) || (a == 0.0 && x == 0.0) || (far_a && far_x)) {
        return vec2<f32>(gl_nan(), gl_nan());
    }
    if (x == 0.0 || far_a) {
        return vec2<f32>(0.0, 1.0);
    }
    if (a == 0.0 || far_x) {
        return vec2<f32>(1.0, 0.0);
    }
    if (x <= a || x <= 1.0) {
        var term = 1.0 / a;
        var sum = term;
        var n = a;
        for (var step = 0u; step < 20000u && term > sum * 1.0e-8; step++) {
            n += 1.0;
            term *= x / n;
            sum += term;
        }
        let lower = min(factor(a, x) * sum, 1.0);
        return vec2<f32>(lower, 1.0 - lower);
    }
    var b = x + 1.0 - a;
    var c = 1.0e30;
    var d = 1.0 / b;
    var fraction = d;
    for (var step = 1u; step < 20000u; step++) {
        let n = f32(step);
        let numerator = -n * (n - a);
        b += 2.0;
        d = 1.0 / away_from_zero(numerator * d + b);
        c = away_from_zero(b + numerator / c);
        fraction *= d * c;
        if (abs(d * c - 1.0) < 1.0e-7) {
            break;
        }
    }
    let upper = min(factor(a, x) * fraction, 1.0);
    return vec2<f32>(1.0 - upper, upper);
}
";

impl Gamma {
    fn each<T: Element>(
        &self,
        operands: &[HostOperand<'_>],
        results: &mut [HostResult<'_>],
        wide: fn(T) -> f64,
        narrow: fn(f64) -> T,
    ) {
        let (of_a, of_x) = (operands[0].elements::<T>(), operands[1].elements::<T>());
        let result = results[0].elements::<T>();
        for (to, (&a, &x)) in result.iter_mut().zip(of_a.iter().zip(of_x)) {
            let (a, x) = (wide(a), wide(x));
            *to = narrow(match self.part {
                Part::Lower => shares(a, x)[0],
                Part::Upper => shares(a, x)[1],
                Part::Slope => slope(a, x),
            });
        }
    }
}

/// The lower and the upper part, neither as what is left of the other where it is small.
fn shares(a: f64, x: f64) -> [f64; 2] {
    if !(a >= 0.0 && x >= 0.0) || (a == 0.0 && x == 0.0) || (a.is_infinite() && x.is_infinite()) {
        return [f64::NAN; 2];
    }
    if x == 0.0 || a.is_infinite() {
        return [0.0, 1.0];
    }
    if a == 0.0 || x.is_infinite() {
        return [1.0, 0.0];
    }
    // x^a e^-x / gamma(a).
    let factor = (a * x.ln() - x - lgamma(a)).exp();
    if x <= a || x <= 1.0 {
        // Abramowitz and Stegun 6.5.29.
        let (mut term, mut sum, mut n) = (1.0 / a, 1.0 / a, a);
        while term > sum * 1e-17 {
            n += 1.0;
            term *= x / n;
            sum += term;
        }
        let lower = (factor * sum).min(1.0);
        return [lower, 1.0 - lower];
    }
    // The continued fraction 6.5.31, from its front (Lentz).
    let mut b = x + 1.0 - a;
    let mut c = 1e300;
    let mut d = 1.0 / b;
    let mut fraction = d;
    for n in 1..1_000_000 {
        let n = f64::from(n);
        let numerator = -n * (n - a);
        b += 2.0;
        d = 1.0 / away_from_zero(numerator * d + b);
        c = away_from_zero(b + numerator / c);
        fraction *= d * c;
        if (d * c - 1.0).abs() < 1e-16 {
            break;
        }
    }
    let upper = (factor * fraction).min(1.0);
    [1.0 - upper, upper]
}

fn away_from_zero(x: f64) -> f64 {
    if x.abs() < 1e-300 { 1e-300 } else { x }
}

/// The slope of the lower part in a, from five values; of which part the differences are taken is chosen so
/// that they lose least.
fn slope(a: f64, x: f64) -> f64 {
    if !(a > 0.0 && x > 0.0) || a.is_infinite() || x.is_infinite() {
        return if a >= 0.0 && x >= 0.0 { 0.0 } else { f64::NAN };
    }
    let step = 1e-3 * a.min(1.0).max(a.sqrt());
    let step = step.min(a / 4.0);
    let (number, sign) = if x <= a { (0, 1.0) } else { (1, -1.0) };
    let at = |steps: f64| shares(a + steps * step, x)[number];
    let near = at(1.0) - at(-1.0);
    let far = at(2.0) - at(-2.0);
    sign * (8.0 * near - far) / (12.0 * step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_as_tabulated() {
        for &(a, x, lower, upper) in TABLE {
            let found = shares(a, x);
            for (found, exact) in found.into_iter().zip([lower, upper]) {
                let far = (found - exact).abs() / exact.abs().max(1e-300);
                assert!(far < 1e-10, "{a} {x}: {found} is {far:e} from {exact}");
            }
        }
    }

    #[test]
    fn slopes_in_the_order_are_as_tabulated() {
        for &(a, x, exact) in SLOPES {
            let found = slope(a, x);
            assert!(
                (found - exact).abs() < 1e-9 * exact.abs().max(1e-2),
                "{a} {x}: {found} {exact}"
            );
        }
    }

    #[test]
    fn edges_are_those_of_pytorch() {
        assert!(shares(-1.0, 1.0)[0].is_nan() && shares(1.0, -1.0)[0].is_nan());
        assert!(shares(0.0, 0.0)[0].is_nan());
        assert_eq!(shares(0.0, 2.0), [1.0, 0.0]);
        assert_eq!(shares(2.0, 0.0), [0.0, 1.0]);
        assert_eq!(shares(2.0, f64::INFINITY), [1.0, 0.0]);
        assert_eq!(shares(f64::INFINITY, 2.0), [0.0, 1.0]);
    }

    /// mpmath: gammainc(a, 0, x, regularized=True) and gammainc(a, x, inf, regularized=True).
    const TABLE: &[(f64, f64, f64, f64)] = &[
        (0.5, 0.1, 0.345279153981423, 0.654720846018577),
        (0.5, 3.0, 0.9856941215645704, 0.01430587843542964),
        (1.0, 1.0, 0.6321205588285577, 0.36787944117144233),
        (2.5, 0.01, 2.987601531906594e-06, 0.999997012398468),
        (2.5, 2.4, 0.559227031913337, 0.440772968086663),
        (2.5, 10.0, 0.9987502694369687, 0.0012497305630313753),
        (10.0, 3.0, 0.0011024881301154798, 0.9988975118698845),
        (10.0, 9.9, 0.529498417938461, 0.470501582061539),
        (10.0, 40.0, 0.9999999960740678, 3.925932226286188e-09),
        (0.01, 0.5, 0.9943732438060329, 0.0056267561939671844),
        (100.0, 80.0, 0.017108313035133115, 0.9828916869648668),
        (100.0, 130.0, 0.9972495916326934, 0.002750408367306526),
        (1000.0, 1000.0, 0.5042052441802155, 0.4957947558197845),
    ];

    /// mpmath: the numerical derivative of gammainc.
    const SLOPES: &[(f64, f64, f64)] = &[
        (0.5, 0.1, -0.8229360969795988),
        (0.5, 3.0, -0.04724032644797375),
        (1.0, 1.0, -0.4317297106348987),
        (2.5, 2.4, -0.2656425503879884),
        (2.5, 10.0, -0.0021281869603254535),
        (10.0, 3.0, -0.0014156364605752093),
        (10.0, 12.0, -0.09717797203717965),
        (50.0, 60.0, -0.02128499278634949),
    ];
}

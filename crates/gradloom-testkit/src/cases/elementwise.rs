//! Elementwise ops: values, gradients, broadcasting, far values, NaN and infinities.

use gradloom_tensor::DType::{BF16, I8, I32, I64, U8};
use gradloom_tensor::Tensor;
use gradloom_tensor::elementwise::Domain;
use gradloom_tensor::op::Unary;

use crate::case::Case;

const FAR: &[f64] = &[
    f64::NAN,
    f64::INFINITY,
    f64::NEG_INFINITY,
    0.0,
    -0.0,
    1.0,
    -1.0,
    88.0,
    -87.0,
    1e-6,
    -1e-6,
    30.0,
    -30.0,
    1e-30,
    12.5,
    -3.25,
];

const TIES: &[f64] = &[0.5, -0.5, 1.5, 2.5, -1.5, 0.0, 2.0];

/// Every function of floats in the table, where it is smooth and at far values.
fn functions() -> Vec<Case> {
    macro_rules! functions {
        ($($variant:ident $name:ident;)*) => {
            vec![$(
                on(Unary::$variant, Case::new(stringify!($name), |x| x[0].$name())),
                Case::new(concat!(stringify!($name), " of far values"), |x| x[0].$name())
                    .listed(&[16], FAR)
                    .smooth(0),
            )*]
        };
    }
    gradloom_tensor::float_functions!(functions)
}

/// With an operand from the op's domain.
fn on(op: Unary, case: Case) -> Case {
    let shape = &[3, 5];
    match op.nature().domain {
        Domain::Every => case.float(shape),
        Domain::Positive => case.positive(shape),
        Domain::Unit => case.unit(shape),
    }
}

pub(super) fn cases() -> Vec<Case> {
    functions().into_iter().chain(special()).chain(others()).collect()
}

/// Special functions without a row in the table.
fn special() -> Vec<Case> {
    let functions: [(&str, fn(&[Tensor]) -> Tensor); 10] = [
        ("bessel_j0", |x| x[0].bessel_j0()),
        ("bessel_j1", |x| x[0].bessel_j1()),
        ("bessel_y0", |x| x[0].bessel_y0()),
        ("bessel_y1", |x| x[0].bessel_y1()),
        ("k0", |x| x[0].k0()),
        ("k1", |x| x[0].k1()),
        ("k0e", |x| x[0].k0e()),
        ("k1e", |x| x[0].k1e()),
        ("airy_ai", |x| x[0].airy_ai()),
        ("spherical_bessel_j0", |x| x[0].spherical_bessel_j0()),
    ];
    let mut cases = Vec::new();
    for (name, function) in functions {
        cases.push(Case::new(name, function).positive(&[3, 5]));
        let pieces = [0.25, 1.5, 1.9, 2.2, 5.5, 7.75, 8.25, 12.0, 40.0, 3.0];
        cases.push(
            Case::new(format!("{name} in pieces"), function).listed(&[10], &pieces).smooth(1),
        );
        cases.push(
            Case::new(format!("{name} of far values"), function).listed(&[16], FAR).smooth(0),
        );
    }
    let polynomials: [(&str, fn(&[Tensor]) -> Tensor); 12] = [
        ("chebyshev t", |x| x[0].chebyshev_polynomial_t(5)),
        ("chebyshev u", |x| x[0].chebyshev_polynomial_u(4)),
        ("chebyshev v", |x| x[0].chebyshev_polynomial_v(3)),
        ("chebyshev w", |x| x[0].chebyshev_polynomial_w(2)),
        ("shifted chebyshev t", |x| x[0].shifted_chebyshev_polynomial_t(5)),
        ("shifted chebyshev u", |x| x[0].shifted_chebyshev_polynomial_u(4)),
        ("shifted chebyshev v", |x| x[0].shifted_chebyshev_polynomial_v(3)),
        ("shifted chebyshev w", |x| x[0].shifted_chebyshev_polynomial_w(2)),
        ("hermite h", |x| x[0].hermite_polynomial_h(4)),
        ("hermite he", |x| x[0].hermite_polynomial_he(5)),
        ("laguerre", |x| x[0].laguerre_polynomial_l(4)),
        ("legendre", |x| x[0].legendre_polynomial_p(5)),
    ];
    for (name, function) in polynomials {
        cases.push(Case::new(name, function).unit(&[3, 5]));
    }
    cases.push(
        Case::new("degrees of each element", |x| x[0].legendre_polynomial_p((&x[1], 4)))
            .unit(&[3, 5])
            .index(&[5], 5),
    );
    cases.push(Case::new("zeta", |x| (&x[0] + 1.0).zeta(&x[1])).positive(&[3, 5]).positive(&[5]));
    let orders = [0.3, 1.0, 4.0, 7.5, 9.0, 30.0, 100.0, 30.0, 0.0, -1.0, f64::INFINITY, 2.0];
    let places = [0.7, 1.0, 9.0, 2.0, 9.5, 24.0, 90.0, 40.0, 1.0, 1.0, 3.0, f64::INFINITY];
    cases.push(
        Case::new("igamma", |x| x[0].igamma(&x[1]))
            .listed(&[12], &orders)
            .listed(&[12], &places)
            .smooth(0),
    );
    cases.push(
        Case::new("igammac", |x| x[0].igammac(&x[1]))
            .listed(&[12], &orders)
            .listed(&[12], &places)
            .smooth(0),
    );
    cases.push(
        Case::new("mantissas", |x| x[0].frexp().0 * 3.0).listed(&[4], &[3.0, -0.3, 1.5, 700.0]),
    );
    cases.push(Case::new("exponents", |x| x[0].frexp().1).listed(&[16], FAR).smooth(0));
    cases.push(Case::new("angle", |x| x[0].angle()).listed(&[16], FAR).smooth(0));
    cases
}

fn others() -> Vec<Case> {
    let s = &[3, 5][..];
    vec![
        Case::new("neg", |x| -&x[0]).float(s),
        Case::new("abs", |x| x[0].abs()).float(s),
        Case::new("sign", |x| x[0].sign()).float(s),
        Case::new("floor", |x| x[0].floor()).float(s),
        Case::new("ceil", |x| x[0].ceil()).float(s),
        Case::new("round", |x| x[0].round()).float(s),
        Case::new("round ties to even", |x| x[0].round()).listed(&[7], TIES).smooth(0),
        Case::new("relu", |x| x[0].relu()).float(s),
        Case::new("relu of far values", |x| x[0].relu()).listed(&[16], FAR).smooth(0),
        Case::new("sign of far values", |x| x[0].sign()).listed(&[16], FAR).smooth(0),
        Case::new("is_nan of far values", |x| x[0].is_nan()).listed(&[16], FAR).smooth(0),
        Case::new("sin of larger angles", |x| (&x[0] * 50.0).sin())
            .float(s)
            .smooth(0)
            .tolerance(1e-4),
        Case::new("add", |x| &x[0] + &x[1]).float(s).float(s),
        Case::new("sub", |x| &x[0] - &x[1]).float(s).float(s),
        Case::new("mul", |x| &x[0] * &x[1]).float(s).float(s),
        Case::new("div", |x| &x[0] / &x[1]).float(s).positive(s),
        Case::new("rem", |x| &x[0] % &x[1]).float(s).positive(s),
        Case::new("pow", |x| x[0].pow(&x[1])).positive(s).float(s),
        Case::new("pow of negative bases", |x| x[0].powf(3.0)).float(s),
        Case::new("maximum", |x| x[0].maximum(&x[1])).float(s).float(s),
        Case::new("minimum", |x| x[0].minimum(&x[1])).float(s).float(s),
        Case::new("maximum of far values", |x| x[0].maximum(0.5)).listed(&[16], FAR).smooth(0),
        Case::new("minimum of far values", |x| x[0].minimum(0.5)).listed(&[16], FAR).smooth(0),
        Case::new("eq", |x| x[0].eq(0.5)).listed(&[7], TIES).smooth(0),
        Case::new("ne of far values", |x| x[0].ne(&x[0])).listed(&[16], FAR).smooth(0),
        Case::new("lt", |x| x[0].lt(&x[1])).float(s).float(s).smooth(0),
        Case::new("le", |x| x[0].le(0.5)).listed(&[7], TIES).smooth(0),
        Case::new("gt", |x| x[0].gt(&x[1])).float(s).float(s).smooth(0),
        Case::new("ge", |x| x[0].ge(0.5)).listed(&[7], TIES).smooth(0),
        Case::new("select", |x| x[0].select(&x[1], &x[2])).bool(s).float(s).float(s),
        Case::new("logical ops", |x| x[0].logical_and(&x[1]).logical_xor(x[0].logical_not()))
            .bool(s)
            .bool(s)
            .smooth(0),
        Case::new("integer add wraps", |x| &x[0] * 1_000_000_000 + &x[1]).int(s).int(s).smooth(0),
        Case::new("integer div and rem", |x| &x[0] / &x[1] + &x[0] % &x[1] * 100)
            .int(s)
            .int(s)
            .smooth(0),
        Case::new("floor_divide", |x| x[0].floor_divide(&x[1])).float(s).positive(s).smooth(0),
        Case::new("remainder", |x| x[0].remainder(&x[1])).float(s).positive(s),
        Case::new("true and truncated quotients of integers", |x| {
            x[0].true_divide(&x[1]) + x[0].trunc_divide(&x[1])
        })
        .int(s)
        .index(s, 7)
        .smooth(0)
        .tolerance(2e-6),
        Case::new("integer floor_divide and remainder", |x| {
            x[0].floor_divide(&x[1]) + x[0].remainder(&x[1]) * 100
        })
        .int(s)
        .int(s)
        .smooth(0),
        Case::new("shifts and bits", |x| {
            x[0].left_shift(&x[1]).bitxor(x[0].right_shift(&x[1])).bitor(x[1].bitnot())
        })
        .int(s)
        .int(s)
        .smooth(0),
        Case::new("bytes with a sign wrap between ops", |x| {
            let x = (&x[0] * 20).cast(I8);
            (&x + &x).div(2).mul(&x).cast(I32)
        })
        .int(s)
        .smooth(0),
        Case::new("integers of 64 bits", |x| {
            let wide = x[0].cast(I64) * 1_000_000_007 * 1_000_000_009;
            wide.rem(1_000_003) + wide.floor_divide(3).bitand(0xffff)
        })
        .int(s)
        .smooth(0)
        .wide(),
        Case::new("integers of 64 bits in every kernel", |x| {
            let wide = x[0].cast(I64).mul(3_000_000_000i64);
            let index = x[0].abs().cast(I64).argsort(0, true).cast(I64);
            (wide.cumsum(1) + wide.sum_keepdim(1) - wide.max_keepdim(0)).gather(0, &index)
        })
        .int(s)
        .smooth(0)
        .wide(),
        Case::new("promote an integer and a float", |x| &x[0] * &x[1] + x[0].gt(1.5))
            .int(s)
            .float(s),
        Case::new("promote two floats", |x| x[0].cast(BF16) - &x[1]).float(s).float(s).smooth(0),
        Case::new("promote bytes", |x| {
            let (signed, bytes) = (x[0].cast(I8), x[1].cast(U8));
            signed.lt(&bytes).select(&signed + &bytes, &bytes * 0.5)
        })
        .int(s)
        .int(s)
        .smooth(0),
        Case::new("promote in a concat", |x| Tensor::concat(&[&x[0], &x[1]], 0)).int(s).float(s),
        Case::new("cast float to int", |x| (&x[0] * 3.0).cast(gradloom_tensor::DType::I32))
            .float(s)
            .smooth(0),
        Case::new("cast far values to int", |x| x[0].cast(gradloom_tensor::DType::I32))
            .listed(&[16], FAR)
            .smooth(0),
        Case::new("cast int to float", |x| x[0].cast(gradloom_tensor::DType::F32) * 0.5)
            .int(s)
            .smooth(0),
        Case::new("cast to bool", |x| x[0].cast(gradloom_tensor::DType::Bool)).int(s).smooth(0),
        Case::new("cast to u8", |x| (x[0].abs() * 30).cast(gradloom_tensor::DType::U8))
            .int(s)
            .smooth(0),
        Case::new("broadcast a row", |x| &x[0] * &x[1]).float(&[4, 3, 5]).float(&[5]),
        Case::new("broadcast a column", |x| &x[0] + &x[1]).float(&[3, 5]).float(&[3, 1]),
        Case::new("broadcast both ways", |x| &x[0] * &x[1]).float(&[4, 1, 5]).float(&[3, 1]),
        Case::new("broadcast a scalar", |x| &x[0] / &x[1]).float(&[3, 5]).positive(&[]),
        Case::new("chain", |x| ((&x[0] * 1.1 + 0.3).gelu() * 0.7).exp()).float(&[7, 33]),
        Case::new("gelu", |x| x[0].gelu()).float(s),
        Case::new("gelu_tanh", |x| x[0].gelu_tanh()).float(s),
        Case::new("silu", |x| x[0].silu()).float(s),
        Case::new("softplus", |x| x[0].softplus()).float(s),
        Case::new("elu", |x| x[0].elu(1.0)).float(s),
        Case::new("leaky_relu", |x| x[0].leaky_relu(0.01)).float(s),
        Case::new("mish", |x| x[0].mish()).float(s),
        Case::new("polygamma", |x| x[0].polygamma(2) + x[0].polygamma(3)).positive(s),
        Case::new("polygamma below zero", |x| (x[0].tanh() * 0.4 - 1.5).polygamma(2)).float(s),
        Case::new("mvlgamma", |x| (&x[0] + 1.0).mvlgamma(3)).positive(s),
        Case::new("ndtr", |x| x[0].ndtr()).float(s),
        Case::new("log_ndtr", |x| (&x[0] * 3.0).log_ndtr()).float(s),
        Case::new("ndtri", |x| (&x[0] * 0.5 + 0.5).ndtri()).unit(s),
        Case::new("entr", |x| x[0].entr()).positive(s),
        Case::new("clamp", |x| x[0].clamp(-0.5, 1.0)).float(s),
        Case::new("asinh", |x| x[0].asinh()).float(s),
        Case::new("acosh", |x| (&x[0] + 1.5).acosh()).positive(s),
        Case::new("atanh", |x| x[0].atanh()).unit(s),
        Case::new("asinh of far values", |x| x[0].asinh()).listed(&[16], FAR).smooth(0),
        Case::new("sinc", |x| x[0].sinc()).float(s),
        Case::new("atan2", |x| x[0].atan2(&x[1])).float(s).float(s),
        Case::new("atan2 of far values", |x| x[0].atan2(x[0].flip(0))).listed(&[16], FAR).smooth(0),
        Case::new("hypot", |x| x[0].hypot(&x[1])).float(s).float(s),
        Case::new("logaddexp", |x| x[0].logaddexp(&x[1])).float(s).float(s),
        Case::new("logaddexp of far values", |x| x[0].logaddexp(x[0].flip(0)))
            .listed(&[16], FAR)
            .smooth(0),
        Case::new("xlogy", |x| x[0].xlogy(&x[1])).float(s).positive(s),
        Case::new("fmax of far values", |x| x[0].fmax(x[0].flip(0))).listed(&[16], FAR).smooth(0),
        Case::new("copysign", |x| x[0].copysign(&x[1])).float(s).float(s).smooth(1),
        Case::new("nan_to_num", |x| x[0].nan_to_num(1.0, None, Some(-2.0)))
            .listed(&[16], FAR)
            .smooth(0),
        Case::new("logit", |x| x[0].sigmoid().logit(Some(1e-3))).float(s),
        Case::new("empty", |x| &x[0] * 2.0 + &x[0]).float(&[0, 3]),
        Case::new("one element", |x| x[0].exp() * &x[0]).float(&[1, 1]),
        Case::new("large", |x| x[0].tanh() * &x[1]).float(&[70, 1000]).float(&[1000]),
    ]
}

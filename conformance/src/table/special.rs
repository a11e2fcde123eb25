//! Special functions.

use gradloom::{DType, Degree, Tensor};

use super::row::{Row, many, rows};
use crate::sample::{Sample, Skip};

/// The degrees of polynomials and the highest of them.
fn degrees(s: &Sample) -> Result<Degree, Skip> {
    let degrees = s.t(0, "n")?;
    let all = degrees.cast(DType::F32).to_vec::<f32>().map_err(|error| error.to_string())?;
    let most = all.iter().fold(0.0, |most: f32, &degree| most.max(degree)) as usize;
    Ok(Degree::from((&degrees, most)))
}

fn order_two(s: &Sample, of: fn(&Tensor, &Tensor) -> Tensor) -> Result<Tensor, Skip> {
    Ok(of(&s.x()?, &s.t(0, "other")?))
}

pub(super) fn table() -> Vec<Row> {
    let single = rows! {
        "special.airy_ai" => |s| s.x()?.airy_ai();
        "special.bessel_j0" => |s| s.x()?.bessel_j0();
        "special.bessel_j1" => |s| s.x()?.bessel_j1();
        "special.bessel_y0" => |s| s.x()?.bessel_y0();
        "special.bessel_y1" => |s| s.x()?.bessel_y1();
        "special.modified_bessel_k0" => |s| s.x()?.k0();
        "special.modified_bessel_k1" => |s| s.x()?.k1();
        "special.scaled_modified_bessel_k0" => |s| s.x()?.k0e();
        "special.scaled_modified_bessel_k1" => |s| s.x()?.k1e();
        "special.spherical_bessel_j0" => |s| s.x()?.spherical_bessel_j0();
        "special.zeta" => |s| order_two(s, |x, q| x.zeta(q))?;
        "igamma" => |s| order_two(s, |a, x| a.igamma(x))?;
        "igammac" => |s| order_two(s, |a, x| a.igammac(x))?;
        "nextafter" => |s| order_two(s, |x, y| x.nextafter(y))?;
        "angle" => |s| s.x()?.angle();
    };
    let several = many! {
        "frexp" => |s| { let (mantissa, exponent) = s.x()?.frexp(); vec![mantissa, exponent] };
    };
    [&single[..], &several[..]].concat()
}

/// Polynomials, whose terms cancel.
pub(super) fn polynomials() -> Vec<Row> {
    rows! {
        "special.chebyshev_polynomial_t" => |s| s.x()?.chebyshev_polynomial_t(degrees(s)?);
        "special.chebyshev_polynomial_u" => |s| s.x()?.chebyshev_polynomial_u(degrees(s)?);
        "special.chebyshev_polynomial_v" => |s| s.x()?.chebyshev_polynomial_v(degrees(s)?);
        "special.chebyshev_polynomial_w" => |s| s.x()?.chebyshev_polynomial_w(degrees(s)?);
        "special.shifted_chebyshev_polynomial_t" => |s| {
            s.x()?.shifted_chebyshev_polynomial_t(degrees(s)?)
        };
        "special.shifted_chebyshev_polynomial_u" => |s| {
            s.x()?.shifted_chebyshev_polynomial_u(degrees(s)?)
        };
        "special.shifted_chebyshev_polynomial_v" => |s| {
            s.x()?.shifted_chebyshev_polynomial_v(degrees(s)?)
        };
        "special.shifted_chebyshev_polynomial_w" => |s| {
            s.x()?.shifted_chebyshev_polynomial_w(degrees(s)?)
        };
        "special.hermite_polynomial_h" => |s| s.x()?.hermite_polynomial_h(degrees(s)?);
        "special.hermite_polynomial_he" => |s| s.x()?.hermite_polynomial_he(degrees(s)?);
        "special.laguerre_polynomial_l" => |s| s.x()?.laguerre_polynomial_l(degrees(s)?);
        "special.legendre_polynomial_p" => |s| s.x()?.legendre_polynomial_p(degrees(s)?);
    }
    .to_vec()
}

//! [`Quadrature`]: where along a path gradients are taken, and how much each counts.

use gradloom_tensor::{Error, Result};

/// How an integral over `[0, 1]` becomes a sum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Quadrature {
    /// Gauss and Legendre: exact for polynomials up to degree `2 n - 1`.
    #[default]
    GaussLegendre,
    /// Left ends of equal steps.
    RiemannLeft,
    /// Middles of equal steps.
    RiemannMiddle,
    /// Right ends of equal steps.
    RiemannRight,
    /// Both ends included, which count half. As in captum, the steps are `1 / n` of `n` points, so the
    /// weights sum to `1 - 1 / n`.
    RiemannTrapezoid,
}

impl Quadrature {
    /// `n` points in `[0, 1]` with their weights.
    ///
    /// # Errors
    /// If there are none, or fewer than two for a Riemann sum.
    pub fn points(self, n: usize) -> Result<Vec<(f64, f64)>> {
        let least = if self == Quadrature::GaussLegendre { 1 } else { 2 };
        if n < least {
            return Err(Error::invalid(format!("quadrature: {n} steps; {least} are the fewest")));
        }
        let step = 1.0 / n as f64;
        let even = |first: f64, last: f64, ends: f64| {
            let distance = (last - first) / (n - 1) as f64;
            let weight = |at: usize| if at == 0 || at + 1 == n { ends * step } else { step };
            (0..n).map(|at| (first + at as f64 * distance, weight(at))).collect()
        };
        Ok(match self {
            Quadrature::GaussLegendre => gauss_legendre(n),
            Quadrature::RiemannLeft => even(0.0, 1.0 - step, 1.0),
            Quadrature::RiemannMiddle => even(step / 2.0, 1.0 - step / 2.0, 1.0),
            Quadrature::RiemannRight => even(step, 1.0, 1.0),
            Quadrature::RiemannTrapezoid => even(0.0, 1.0, 0.5),
        })
    }
}

/// Roots of the Legendre polynomial by Newton's method from Tricomi's guesses, moved to `[0, 1]`.
fn gauss_legendre(n: usize) -> Vec<(f64, f64)> {
    let point = |index: usize| {
        let mut x = -((index as f64 + 0.75) / (n as f64 + 0.5) * std::f64::consts::PI).cos();
        let mut slope = 1.0;
        for _ in 0..100 {
            let (value, derivative) = legendre(n, x);
            slope = derivative;
            let next = x - value / derivative;
            let done = (next - x).abs() <= 1e-16;
            x = next;
            if done {
                break;
            }
        }
        (0.5 * (1.0 + x), 1.0 / ((1.0 - x * x) * slope * slope))
    };
    (0..n).map(point).collect()
}

/// The polynomial of degree `n` and its slope, by the recurrence.
fn legendre(n: usize, x: f64) -> (f64, f64) {
    let (mut before, mut value) = (0.0, 1.0);
    for degree in 0..n {
        let k = degree as f64;
        (before, value) = (value, ((2.0 * k + 1.0) * x * value - k * before) / (k + 1.0));
    }
    (value, n as f64 * (x * value - before) / (x * x - 1.0))
}

#[cfg(test)]
mod tests {
    use super::Quadrature;

    #[test]
    fn gauss_legendre_integrates_polynomials_of_degree_2n_minus_1() {
        for n in [1, 2, 5, 50, 129] {
            let points = Quadrature::GaussLegendre.points(n).unwrap();
            for degree in [0, 1, 2 * n - 1] {
                let sum: f64 = points.iter().map(|(x, w)| w * x.powi(degree as i32)).sum();
                assert!((sum * (degree + 1) as f64 - 1.0).abs() < 1e-12, "{n} {degree}: {sum}");
            }
        }
        // numpy.polynomial.legendre.leggauss(3), moved.
        let (points, weights): (Vec<f64>, Vec<f64>) =
            Quadrature::GaussLegendre.points(3).unwrap().into_iter().unzip();
        let near = |a: f64, b: f64| (a - b).abs() < 1e-15;
        assert!(near(points[0], 0.112_701_665_379_258_3) && near(points[1], 0.5), "{points:?}");
        assert!(near(weights[0], 5.0 / 18.0) && near(weights[1], 4.0 / 9.0), "{weights:?}");
    }

    #[test]
    fn riemann_sums_have_the_points_of_their_names() {
        let of = |rule: Quadrature| rule.points(4).unwrap();
        assert_eq!(of(Quadrature::RiemannLeft)[3], (0.75, 0.25));
        assert_eq!(of(Quadrature::RiemannRight)[0], (0.25, 0.25));
        assert_eq!(of(Quadrature::RiemannMiddle)[1], (0.375, 0.25));
        assert_eq!(of(Quadrature::RiemannTrapezoid)[3], (1.0, 0.125));
        assert!(Quadrature::RiemannLeft.points(1).unwrap_err().to_string().contains("1 steps"));
    }
}

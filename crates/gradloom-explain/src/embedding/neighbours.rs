//! [`nearest`]: the nearest neighbours of all points, exactly; [`conditional`]: how near each of them is.

use gradloom_tensor::{DType, Error, Result, Tensor};

use crate::rows;

/// Distances of pairs that are held at once.
const PAIRS_AT_ONCE: usize = 1 << 22;
/// How many more points are looked at than asked for: their order is that of rounded distances.
const SPARE: usize = 8;

/// Other points by distance, `count` for each point.
pub(crate) struct Neighbours {
    pub(crate) count: usize,
    pub(crate) indices: Vec<usize>,
    pub(crate) distances: Vec<f64>,
}

/// For each of the points `[N, D]` the `count - 1` others that are nearest to it, the nearest first.
pub(crate) fn nearest(points: &Tensor, count: usize) -> Result<Neighbours> {
    let (n, width) = (points.shape()[0], points.shape()[1]);
    let count = count - 1;
    let values = rows::numbers(points)?;
    if values.iter().any(|value| !value.is_finite()) {
        return Err(Error::invalid("neighbours: points that are not finite"));
    }
    // Around their mean, so that differences of squares lose least.
    let x = points.cast(DType::F32);
    let x = x.sub(x.mean_keepdim(0));
    let squares = x.square().sum(1);
    gradloom_tensor::eval([&x, &squares])?;
    let (x, squares) = (x.detach(), squares.detach());
    let looked_at = (count + 1 + SPARE).min(n);
    let mut found = Neighbours { count, indices: Vec::new(), distances: Vec::new() };
    let part = (PAIRS_AT_ONCE / n).max(1);
    for first in (0..n).step_by(part) {
        let own = x.narrow(0, first, part.min(n - first));
        let products = own.matmul(&x.t()).mul(-2.0).add(squares.unsqueeze(0));
        let candidates = products.topk(looked_at, 1, false).1.to_vec::<i32>()?;
        for (at, candidates) in (first..).zip(candidates.chunks_exact(looked_at)) {
            let row = |at: usize| &values[at * width..(at + 1) * width];
            let distance = |other: usize| -> f64 {
                let pairs = row(at).iter().zip(row(other));
                pairs.map(|(a, b)| (a - b) * (a - b)).sum::<f64>().sqrt()
            };
            let others =
                candidates.iter().map(|&other| other as usize).filter(|&other| other != at);
            let mut others: Vec<(f64, usize)> =
                others.map(|other| (distance(other), other)).collect();
            others.sort_by(|one, other| one.0.total_cmp(&other.0).then(one.1.cmp(&other.1)));
            found.indices.extend(others[..count].iter().map(|(_, other)| *other));
            found.distances.extend(others[..count].iter().map(|(distance, _)| *distance));
        }
    }
    Ok(found)
}

/// The conditional distribution of a point over the others whose entropy is the one asked for, by bisection, of squares
/// of distances, among which its own may be.
pub(super) fn conditional(distances: &[f64], at: Option<usize>, entropy: f64, shares: &mut [f64]) {
    let others = || distances.iter().enumerate().filter(|(other, _)| Some(*other) != at);
    let nearest = others().map(|(_, distance)| *distance).fold(f64::INFINITY, f64::min);
    let (mut low, mut high, mut beta) = (0.0, f64::INFINITY, 1.0);
    for _ in 0..100 {
        let (mut sum, mut weighted) = (0.0, 0.0);
        for (other, distance) in others() {
            shares[other] = (-(distance - nearest) * beta).exp();
            sum += shares[other];
            weighted += (distance - nearest) * shares[other];
        }
        let found = sum.ln() + beta * weighted / sum;
        shares.iter_mut().for_each(|share| *share /= sum);
        if (found - entropy).abs() < 1e-5 {
            break;
        }
        if found > entropy {
            low = beta;
            beta = if high.is_finite() { (beta + high) / 2.0 } else { beta * 2.0 };
        } else {
            high = beta;
            beta = (low + beta) / 2.0;
        }
    }
    if let Some(at) = at {
        shares[at] = 0.0;
    }
}

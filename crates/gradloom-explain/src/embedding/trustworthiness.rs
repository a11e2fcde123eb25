//! [`trustworthiness`]: whether neighbours in a map are neighbours.

use gradloom_tensor::{Error, Result, Tensor};

use crate::rows;

/// How much of the neighbourhood of each point in a map is true, 0 to 1: points among the `neighbours` nearest
/// in the map `[N, M]` cost by how far they are behind in the order of the points `[N, D]`.
///
/// Venna, Kaski, "Neighborhood preservation in nonlinear projection methods", 2001. As
/// `sklearn.manifold.trustworthiness`.
///
/// # Errors
/// If there are not as many points in the map, or not more than twice as many as neighbours.
pub fn trustworthiness(points: &Tensor, map: &Tensor, neighbours: usize) -> Result<f64> {
    let n = points.shape().first().copied().unwrap_or(0);
    if points.rank() != 2
        || map.rank() != 2
        || map.shape()[0] != n
        || 2 * neighbours >= n
        || neighbours == 0
    {
        return Err(Error::invalid(format!(
            "trustworthiness: {neighbours} neighbours of points {} in a map {}; both have N rows, and N is \
             more than twice the number of neighbours",
            points.shape(),
            map.shape()
        )));
    }
    let (points, width) = (rows::numbers(points)?, points.shape()[1]);
    let (map, narrow) = (rows::numbers(map)?, map.shape()[1]);
    let mut cost = 0.0;
    for at in 0..n {
        let mut ranks = vec![0; n];
        let order = by_distance(&points, width, at);
        order.iter().enumerate().for_each(|(rank, &other)| ranks[other] = rank + 1);
        let near = &by_distance(&map, narrow, at)[..neighbours];
        cost +=
            near.iter().map(|&other| ranks[other].saturating_sub(neighbours) as f64).sum::<f64>();
    }
    let (n, k) = (n as f64, neighbours as f64);
    Ok(1.0 - 2.0 / (n * k * (2.0 * n - 3.0 * k - 1.0)) * cost)
}

/// All other points, the nearest first.
fn by_distance(points: &[f64], width: usize, at: usize) -> Vec<usize> {
    let row = |at: usize| &points[at * width..(at + 1) * width];
    let count = points.len() / width.max(1);
    let distance = |other: usize| -> f64 {
        row(at).iter().zip(row(other)).map(|(a, b)| (a - b) * (a - b)).sum()
    };
    let distances: Vec<f64> = (0..count).map(distance).collect();
    let mut order: Vec<usize> = (0..count).filter(|&other| other != at).collect();
    order.sort_by(|&a, &b| distances[a].total_cmp(&distances[b]));
    order
}

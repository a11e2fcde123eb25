//! [`Pca`]: the directions in which points vary most.

use faer::{Mat, Side};
use gradloom_tensor::{Error, Result, Tensor};

use crate::rows;

/// Principal components of points `[N, D]`. As `sklearn.decomposition.PCA`.
///
/// ```
/// use gradloom_explain::Pca;
/// use gradloom_tensor::Tensor;
///
/// # fn main() -> gradloom_tensor::Result<()> {
/// # let device = gradloom_testkit::reference::device();
/// let points = Tensor::new([[1f32, 1.0], [2.0, 2.0], [3.0, 3.0]], &device)?;
/// let pca = Pca::fit(&points, 1)?;
/// assert!((pca.explained[0] - 1.0).abs() < 1e-12);
/// assert_eq!(pca.project(&points)?.shape(), &[3, 1]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Pca {
    /// The mean of the points.
    pub mean: Vec<f64>,
    /// Directions of length 1, the one of the largest variance first. The largest element of each in size is
    /// positive.
    pub components: Vec<Vec<f64>>,
    /// The share of the whole variance along each.
    pub explained: Vec<f64>,
}

impl Pca {
    /// The first `count` components.
    ///
    /// # Errors
    /// If the points are not `[N, D]` with N of at least 2, are not finite, or have fewer components.
    pub fn fit(points: &Tensor, count: usize) -> Result<Pca> {
        let [n, d] = points.shape()[..] else {
            let shape = points.shape();
            return Err(Error::shape(format!("pca: points of shape {shape}, not [N, D]")));
        };
        if n < 2 || count == 0 || count > n.min(d) {
            return Err(Error::invalid(format!(
                "pca: {count} components of {n} points of {d} numbers; at least 1, at most {}",
                n.min(d)
            )));
        }
        let values = rows::numbers(points)?;
        if values.iter().any(|value| !value.is_finite()) {
            return Err(Error::invalid("pca: points that are not finite"));
        }
        let mean: Vec<f64> = (0..d)
            .map(|column| (0..n).map(|row| values[row * d + column]).sum::<f64>() / n as f64)
            .collect();
        let centred = Mat::from_fn(n, d, |row, column| values[row * d + column] - mean[column]);
        // The smaller of the two matrices of products has the same variances.
        let wide = d > n;
        let products =
            if wide { &centred * centred.transpose() } else { centred.transpose() * &centred };
        let failed = |error| Error::invalid(format!("pca: {error:?}"));
        let decomposition = products.self_adjoint_eigen(Side::Lower).map_err(failed)?;
        let (vectors, variances) = (decomposition.U(), decomposition.S().column_vector());
        let last = variances.nrows() - 1;
        let whole: f64 = (0..=last).map(|at| variances[at].max(0.0)).sum();
        let mut components = Vec::with_capacity(count);
        for at in (last + 1 - count..=last).rev() {
            let mut component: Vec<f64> = match wide {
                true => (0..d)
                    .map(|column| {
                        (0..n).map(|row| centred[(row, column)] * vectors[(row, at)]).sum()
                    })
                    .collect(),
                false => (0..d).map(|row| vectors[(row, at)]).collect(),
            };
            let length = component.iter().map(|x| x * x).sum::<f64>().sqrt().max(1e-300);
            let largest = component
                .iter()
                .copied()
                .fold(0.0_f64, |a, b| if b.abs() > a.abs() { b } else { a });
            let scale = if largest < 0.0 { -1.0 / length } else { 1.0 / length };
            component.iter_mut().for_each(|x| *x *= scale);
            components.push(component);
        }
        let share =
            |at: usize| if whole > 0.0 { variances[last - at].max(0.0) / whole } else { 0.0 };
        Ok(Pca { mean, components, explained: (0..count).map(share).collect() })
    }

    /// Points `[N, D]` as components `[N, count]`.
    ///
    /// # Errors
    /// If the points have another number of columns.
    pub fn project(&self, points: &Tensor) -> Result<Tensor> {
        let d = self.mean.len();
        if points.rank() != 2 || points.shape()[1] != d {
            let shape = points.shape();
            return Err(Error::shape(format!("pca: points of shape {shape}, not [N, {d}]")));
        }
        let projected: Vec<f64> = rows::numbers(points)?
            .chunks(d.max(1))
            .flat_map(|row| {
                self.components.iter().map(move |component| {
                    let along = row.iter().zip(&self.mean).zip(component);
                    along.map(|((x, mean), c)| (x - mean) * c).sum::<f64>()
                })
            })
            .collect();
        let shape = [points.shape()[0], self.components.len()];
        rows::tensor_like(&projected, shape.into(), points)
    }
}

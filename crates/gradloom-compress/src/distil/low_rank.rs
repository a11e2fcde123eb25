//! [`FactorizedLinear`]: a matrix as the product of two small ones.

use faer::Mat;
use gradloom_nn::layers::Linear;
use gradloom_nn::{Context, Layer, Module, Parameter};
use gradloom_tensor::{DType, Error, ErrorKind, Result, Tensor};

/// How many singular values are kept.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rank {
    /// So many.
    Of(usize),
    /// As few as have this part of the sum of their squares, which is the square of the matrix's norm.
    Energy(f64),
}

/// `y = up(down(x))`: `[.., I] -> [.., R] -> [.., O]`, in place of a linear layer; smaller where
/// `R < I O / (I + O)`.
///
/// ```
/// use gradloom_compress::distil::{FactorizedLinear, Rank};
/// use gradloom_nn::layers::Linear;
/// use gradloom_nn::{Context, Init, Layer};
/// use gradloom_tensor::{DType, Key, Tensor};
///
/// # fn main() -> gradloom_tensor::Result<()> {
/// # let device = gradloom_testkit::reference::device();
/// let init = &mut Init::new(Key::new(0), &device);
/// let mut layer = Linear::new(12, 10, init);
/// let thin = init.uniform([10, 2], 1.0).matmul(init.uniform([2, 12], 1.0).tensor());
/// layer.weight.set(&thin);
/// let factorized = FactorizedLinear::of(&layer, Rank::Energy(0.999))?;
/// assert_eq!(factorized.rank(), 2);
/// # let x = Tensor::ones([1, 12], DType::F32, &device);
/// # let ctx = &mut Context::eval();
/// # let difference = layer.forward(&x, ctx) - factorized.forward(&x, ctx);
/// # assert!(difference.abs().max(..).item()? < 1e-4);
/// # Ok(())
/// # }
/// ```
///
/// Denton et al., "Exploiting linear structure within convolutional networks for efficient evaluation", 2014.
#[derive(Module, Clone, Debug)]
pub struct FactorizedLinear {
    /// `I -> R`, without a bias.
    pub down: Linear,
    /// `R -> O`
    pub up: Linear,
}

impl FactorizedLinear {
    /// The nearest of its rank: singular value decomposition on the host, each factor with the root of the singular
    /// values.
    ///
    /// # Errors
    /// If the rank is none of the matrix, the energy is not within `0..=1`, the weight is not finite, or it cannot be
    /// read.
    pub fn of(layer: &Linear, rank: Rank) -> Result<Self> {
        let weight = &layer.weight;
        let [outputs, inputs] = [weight.size(0), weight.size(1)];
        let values = weight.cast(DType::F32).to_vec::<f32>()?;
        if values.iter().any(|value| !value.is_finite()) {
            return Err(invalid("low rank: the weight is not finite"));
        }
        let matrix =
            Mat::from_fn(outputs, inputs, |row, column| f64::from(values[row * inputs + column]));
        let svd = matrix
            .thin_svd()
            .map_err(|error| invalid(format!("low rank: no decomposition: {error:?}")))?;
        let count = outputs.min(inputs);
        let singular: Vec<f64> = (0..count).map(|index| svd.S()[index]).collect();
        let rank = chosen(rank, &singular)?;
        let root = |index: usize| singular[index].sqrt();
        let (u, v) = (svd.U(), svd.V());
        let down: Vec<f32> = (0..rank)
            .flat_map(|row| (0..inputs).map(move |column| (row, column)))
            .map(|(row, column)| (v[(column, row)] * root(row)) as f32)
            .collect();
        let up: Vec<f32> = (0..outputs)
            .flat_map(|row| (0..rank).map(move |column| (row, column)))
            .map(|(row, column)| (u[(row, column)] * root(column)) as f32)
            .collect();
        let tensor = |values: &[f32], shape: [usize; 2]| {
            let tensor = Tensor::from_slice(values, shape, weight.device())?.cast(weight.dtype());
            Ok::<_, Error>(Parameter::with_role(tensor, weight.role()))
        };
        Ok(FactorizedLinear {
            down: Linear::from_parts(tensor(&down, [rank, inputs])?, None),
            up: Linear::from_parts(tensor(&up, [outputs, rank])?, layer.bias.clone()),
        })
    }

    /// R.
    pub fn rank(&self) -> usize {
        self.down.outputs()
    }
}

impl Layer for FactorizedLinear {
    #[track_caller]
    fn forward(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
        let inner = ctx.within("down", |ctx| self.down.forward(x, ctx));
        ctx.within("up", |ctx| self.up.forward(&inner, ctx))
    }
}

fn chosen(rank: Rank, singular: &[f64]) -> Result<usize> {
    match rank {
        Rank::Of(rank) if rank == 0 || rank > singular.len() => Err(invalid(format!(
            "low rank: rank {rank} of a matrix with {} singular values",
            singular.len()
        ))),
        Rank::Of(rank) => Ok(rank),
        Rank::Energy(part) if !(0.0..=1.0).contains(&part) => {
            Err(invalid(format!("low rank: {part} of the energy; give a part within 0..=1")))
        }
        Rank::Energy(part) => {
            let all: f64 = singular.iter().map(|value| value * value).sum();
            let mut sum = 0.0;
            let enough = singular.iter().position(|value| {
                sum += value * value;
                sum >= part * all
            });
            Ok(enough.map_or(singular.len(), |index| index + 1))
        }
    }
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Invalid, message)
}

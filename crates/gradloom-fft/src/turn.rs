//! [`Turn`]: pairs times powers of a root of one, between the parts of a transform that is made of shorter
//! ones.

use gradloom_tensor::custom_op::{HostOperand, HostResult, TensorType, Wgsl};
use gradloom_tensor::{CustomOp, DType, Element, Error, Result, Scalar, Tensor};

use crate::host::Real;
use crate::ops::apply;
use crate::wgsl;

/// Which power a pair is multiplied with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Power {
    /// `row * column / (rows * columns)` of a turn, at each place of matrices `[rows, columns, 2]`.
    Product,
    /// `k k / 2 n` of a turn at each place of lines `[n, 2]`: a chirp.
    Square,
}

/// `z [.., rows, columns, 2]`, or `[.., n, 2]`, times powers of a root of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Turn {
    pub(crate) power: Power,
    pub(crate) inverse: bool,
}

impl Turn {
    fn sizes(self, of: TensorType) -> [usize; 2] {
        let rank = of.shape.rank();
        match self.power {
            Power::Product => [of.shape[rank - 3], of.shape[rank - 2]],
            Power::Square => [1, of.shape[rank - 2]],
        }
    }

    /// Exponent and order of the root at a place.
    fn fraction(self, [rows, columns]: [usize; 2], place: usize) -> (u128, u128) {
        let (row, column) = (place / columns % rows, place % columns);
        match self.power {
            Power::Product => ((row * column) as u128, (rows * columns) as u128),
            Power::Square => {
                let order = 2 * columns as u128;
                (column as u128 * column as u128 % order, order)
            }
        }
    }

    fn run_as<T: Element + Real>(
        self,
        operands: &[HostOperand<'_>],
        results: &mut [HostResult<'_>],
    ) {
        let sizes = self.sizes(operands[0].of);
        let pairs = operands[0].elements::<T>().chunks_exact(2);
        let results = results[0].elements::<T>().chunks_exact_mut(2);
        for (place, (z, result)) in pairs.zip(results).enumerate() {
            let (exponent, order) = self.fraction(sizes, place);
            let angle = std::f64::consts::TAU * exponent as f64 / order as f64;
            let (sin, cos) = if self.inverse { angle } else { -angle }.sin_cos();
            let [re, im] = [z[0], z[1]].map(|part| Into::<Scalar>::into(part).as_f64());
            result[0] = T::of(re * cos - im * sin);
            result[1] = T::of(re * sin + im * cos);
        }
    }
}

impl CustomOp for Turn {
    fn name(&self) -> &'static str {
        "fft_turn"
    }

    fn results(&self, operands: &[TensorType]) -> Result<Vec<TensorType>> {
        match operands[0].dtype.is_float() {
            true => Ok(vec![operands[0]]),
            false => Err(Error::shape("it turns floats")),
        }
    }

    fn run(&self, operands: &[HostOperand<'_>], results: &mut [HostResult<'_>]) -> Result<()> {
        match operands[0].of.dtype {
            DType::F64 => self.run_as::<f64>(operands, results),
            _ => self.run_as::<f32>(operands, results),
        }
        Ok(())
    }

    fn wgsl(&self, operands: &[TensorType], _results: &[TensorType]) -> Option<Wgsl> {
        let sizes @ [rows, columns] = self.sizes(operands[0]);
        let count = operands[0].shape.count() / 2;
        let (exponent, order) = match self.power {
            Power::Product => ("row * column".to_owned(), rows * columns),
            Power::Square => (format!("product(column, column, {}u)", 2 * columns), 2 * columns),
        };
        wgsl::turn(count, sizes, &exponent, order, self.inverse)
    }

    fn derivative(&self, _: &[Tensor], _: &[Tensor], gradients: &[Tensor]) -> Vec<Option<Tensor>> {
        vec![Some(apply(Turn { inverse: !self.inverse, ..*self }, &gradients[0]))]
    }

    fn vmap(&self, operands: &[Tensor]) -> Option<Vec<Tensor>> {
        Some(vec![apply(*self, &operands[0])])
    }
}

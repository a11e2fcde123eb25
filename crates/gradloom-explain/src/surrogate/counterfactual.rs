//! [`Counterfactual`]: the least that must change for another answer.

use gradloom_autodiff::vjp;
use gradloom_tensor::{Error, Result, Tensor};

use crate::{Forward, Inputs, rows};

/// Looks for a row near another one that a model gives another class: by gradient descent on the
/// cross-entropy with the wanted class and the distance, in units of each column. What turns out not to be
/// needed is put back.
///
/// Wachter, Mittelstadt, Russell, "Counterfactual explanations without opening the black box", 2017.
#[derive(Clone, Debug, PartialEq)]
pub struct Counterfactual {
    /// A unit of each column, such as its standard deviation.
    pub units: Vec<f64>,
    /// Columns that must stay: nobody can change their age.
    pub fixed: Vec<usize>,
    /// The lowest and highest value of each column; none where there are no bounds.
    pub bounds: Option<Vec<[f64; 2]>>,
    /// Steps of the descent, at most.
    pub steps: usize,
    /// The size of a step, in units.
    pub step: f64,
}

/// A row that gets another answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Changed {
    /// The row.
    pub row: Vec<f64>,
    /// What changed: the column, its value before and after.
    pub changes: Vec<(usize, f64, f64)>,
}

impl Counterfactual {
    /// With units of columns, 200 steps of a twentieth.
    pub fn new(units: &[f64]) -> Self {
        let units = units.to_vec();
        Counterfactual { units, fixed: Vec::new(), bounds: None, steps: 200, step: 0.05 }
    }

    /// A row of that class near `row`, a tensor `[1, D]`; none if none was found.
    ///
    /// # Errors
    /// If row, units and bounds do not have the same columns, a unit is not above 0, or the model has no such
    /// class.
    pub fn find(&self, forward: &Forward, row: &Tensor, class: usize) -> Result<Option<Changed>> {
        let op = "counterfactual";
        let columns = self.units.len();
        let bounds = self.bounds.as_ref().is_none_or(|bounds| bounds.len() == columns);
        let units = self.units.iter().all(|unit| *unit > 0.0 && unit.is_finite());
        if row.shape()[..] != [1, columns] || !bounds || !units {
            return Err(Error::invalid(format!(
                "{op}: a row of shape {}, {columns} units and bounds of {:?} columns; the row is [1, D], and \
                 there are as many units above 0 and bounds",
                row.shape(),
                self.bounds.as_ref().map(Vec::len)
            )));
        }
        let from = rows::numbers(row)?;
        let mut at = from.clone();
        let answers = |at: &[f64]| self.answers(forward, row, at, class);
        for _ in 0..self.steps {
            if answers(&at)? {
                return Ok(Some(self.sparse(&from, at, &answers)?));
            }
            let slopes = self.slopes(forward, row, &at, class)?;
            let size = slopes.iter().map(|slope| slope * slope).sum::<f64>().sqrt();
            if !(size > 0.0 && size.is_finite()) {
                return Ok(None);
            }
            for (column, slope) in slopes.iter().enumerate() {
                at[column] -= self.step * self.units[column] * slope / size;
                if let Some(bounds) = &self.bounds {
                    at[column] = at[column].max(bounds[column][0]).min(bounds[column][1]);
                }
            }
        }
        Ok(if answers(&at)? { Some(self.sparse(&from, at, &answers)?) } else { None })
    }

    fn tensor(&self, like: &Tensor, at: &[f64]) -> Result<Tensor> {
        rows::tensor_like(at, *like.shape(), like)
    }

    fn answers(&self, forward: &Forward, like: &Tensor, at: &[f64], class: usize) -> Result<bool> {
        let output = forward.run(&Inputs::from(self.tensor(like, at)?).all())?;
        if output.rank() != 2 || class >= output.shape()[1] {
            let shape = output.shape();
            return Err(Error::invalid(format!(
                "counterfactual: class {class} of an output {shape}"
            )));
        }
        Ok(output.argmax(1).to_vec::<i32>()?[0] as usize == class)
    }

    /// The slope of the cross-entropy in each column, in units; 0 for those that must stay.
    fn slopes(
        &self,
        forward: &Forward,
        like: &Tensor,
        at: &[f64],
        class: usize,
    ) -> Result<Vec<f64>> {
        let x = self.tensor(like, at)?;
        let logits = forward.run(std::slice::from_ref(&x))?;
        let loss = logits.log_softmax(1).index(1, class as isize).neg();
        let slopes = rows::numbers(&vjp(&loss, &loss.ones_like(), &[&x]).remove(0))?;
        let scaled = slopes.iter().zip(&self.units).enumerate();
        let stays = |column: usize| self.fixed.contains(&column);
        Ok(scaled
            .map(|(column, (slope, unit))| if stays(column) { 0.0 } else { slope * unit })
            .collect())
    }

    /// Puts columns back, those that moved least first, as long as the answer stays.
    fn sparse(
        &self,
        from: &[f64],
        mut at: Vec<f64>,
        answers: &dyn Fn(&[f64]) -> Result<bool>,
    ) -> Result<Changed> {
        let moved =
            |column: usize, at: &[f64]| (at[column] - from[column]).abs() / self.units[column];
        let mut order: Vec<usize> =
            (0..from.len()).filter(|&column| at[column] != from[column]).collect();
        order.sort_by(|&a, &b| moved(a, &at).total_cmp(&moved(b, &at)));
        for column in order {
            let kept = std::mem::replace(&mut at[column], from[column]);
            if !answers(&at)? {
                at[column] = kept;
            }
        }
        let changed = |column: &usize| at[*column] != from[*column];
        let changes =
            (0..at.len()).filter(changed).map(|column| (column, from[column], at[column]));
        let changes = changes.collect();
        Ok(Changed { row: at, changes })
    }
}

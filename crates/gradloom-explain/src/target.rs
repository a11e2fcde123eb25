//! [`Target`]: which number of a model's output is explained.

use gradloom_tensor::{Error, Result, Shape, Tensor};

use crate::rows;

/// Which number of the output `[B, ..]` is explained, one for each sample.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// The output itself, which has one number for each sample.
    Output,
    /// One class of outputs `[B, C]`, for all samples.
    Class(usize),
    /// A class of outputs `[B, C]` for each sample.
    Classes(Vec<usize>),
    /// One place of outputs `[B, ..]`: an index for each axis after the first.
    At(Vec<usize>),
}

impl Target {
    /// The class that the model gives the highest score, for each sample.
    ///
    /// # Errors
    /// If the output is not `[B, C]`, or cannot be computed.
    pub fn best(output: &Tensor) -> Result<Target> {
        if output.rank() != 2 || output.count() == 0 {
            let shape = output.shape();
            return Err(Error::shape(format!("target: an output of shape {shape} is no [B, C]")));
        }
        let classes = output.argmax(1).to_vec::<i32>()?;
        Ok(Target::Classes(classes.into_iter().map(|class| class as usize).collect()))
    }

    /// For `copies` variants of the batch as samples of their own.
    pub(crate) fn tiled(&self, copies: usize) -> Target {
        match self {
            Target::Classes(classes) => Target::Classes(classes.repeat(copies)),
            other => other.clone(),
        }
    }

    /// For one sample of the batch.
    pub(crate) fn row(&self, sample: usize) -> Target {
        match self {
            Target::Classes(classes) => {
                Target::Classes(classes[sample..].iter().take(1).copied().collect())
            }
            other => other.clone(),
        }
    }

    /// The number of each row: `[rows, ..] -> [rows]`, where the rows are variants of `batch` samples.
    ///
    /// # Errors
    /// If the output does not fit, or there is no such place in it.
    pub(crate) fn select(&self, output: &Tensor, batch: usize) -> Result<Tensor> {
        let shape = *output.shape();
        if shape.rank() == 0 || shape[0] == 0 || !shape[0].is_multiple_of(batch.max(1)) {
            return Err(Error::shape(format!(
                "target: an output of shape {shape} for {batch} samples; the model must give one row for each"
            )));
        }
        if !output.dtype().is_float() {
            let dtype = output.dtype();
            return Err(Error::invalid(format!(
                "target: the output is {dtype}, not floating-point"
            )));
        }
        match self {
            Target::Output if output.count() == shape[0] => Ok(output.reshape([shape[0]])),
            Target::Output => Err(Error::shape(format!(
                "target: the output has shape {shape}, more than one number for each sample; name one with \
                 Target::Class or Target::At"
            ))),
            Target::Class(class) => {
                classes_of(&shape, &[*class])?;
                Ok(output.index(1, *class as isize))
            }
            Target::Classes(classes) => {
                if classes.len() != batch {
                    let count = classes.len();
                    return Err(Error::shape(format!(
                        "target: {count} classes for {batch} samples"
                    )));
                }
                classes_of(&shape, classes)?;
                let index: Vec<i32> = classes.iter().map(|&class| class as i32).collect();
                let index = Tensor::from_vec(index, [batch, 1], output.device())?;
                Ok(output.gather(1, &rows::tiled(&index, shape[0] / batch)).squeeze(1))
            }
            Target::At(place) => {
                let inside = place.len() + 1 == shape.rank()
                    && place.iter().zip(&shape[1..]).all(|(at, size)| at < size);
                if !inside {
                    return Err(Error::invalid(format!(
                        "target: no place {place:?} in an output of shape {shape}; give an index for each \
                         axis after the first"
                    )));
                }
                Ok(place.iter().fold(output.clone(), |rest, &at| rest.index(1, at as isize)))
            }
        }
    }
}

/// # Errors
/// If an output is not `[rows, C]`, or has not all of the classes.
fn classes_of(shape: &Shape, classes: &[usize]) -> Result<()> {
    if shape.rank() != 2 {
        return Err(Error::shape(format!(
            "target: a class of an output of shape {shape}, which is no [B, C]; use Target::At"
        )));
    }
    match classes.iter().find(|&&class| class >= shape[1]) {
        Some(class) => {
            Err(Error::invalid(format!("target: class {class} of an output with {}", shape[1])))
        }
        None => Ok(()),
    }
}

impl From<usize> for Target {
    fn from(class: usize) -> Self {
        Target::Class(class)
    }
}

//! The matrices of an operand, and the loop over them in several threads.
//!
//! One matrix is worked on by one thread, so results have the same bits whatever the number of threads.

use gradloom_tensor::custom_op::{HostResult, TensorType};
use gradloom_tensor::{Element, Error, Result, Shape};
use rayon::prelude::*;

/// Work, in additions, below which another thread costs more than it gives.
const COST_MIN: usize = 50_000;

/// Pieces of a batch for each thread, so that none waits long for another.
const PIECES: usize = 4;

/// Sizes of an operand or result `[batch.., rows, columns]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Matrices {
    pub(crate) batch: Shape,
    pub(crate) rows: usize,
    pub(crate) columns: usize,
}

impl Matrices {
    /// Those of a type.
    pub(crate) fn of(of: &TensorType) -> Result<Matrices> {
        match of.shape.dims() {
            [batch @ .., rows, columns] => {
                Ok(Matrices { batch: Shape::new(batch), rows: *rows, columns: *columns })
            }
            _ => Err(Error::shape(format!("needs a matrix [.., m, n], not shape {}", of.shape))),
        }
    }

    /// Elements of one.
    pub(crate) fn size(&self) -> usize {
        self.rows * self.columns
    }

    /// The smaller of the two sizes.
    pub(crate) fn least(&self) -> usize {
        self.rows.min(self.columns)
    }

    /// The batch axes with others after them.
    pub(crate) fn with(&self, last: &[usize]) -> Shape {
        self.batch.iter().chain(last).copied().collect()
    }

    /// Elements of the matrix with this number.
    pub(crate) fn matrix<'a, T>(&self, elements: &'a [T], number: usize) -> &'a [T] {
        &elements[number * self.size()..][..self.size()]
    }
}

/// The elements of all results.
pub(crate) fn elements<'a, T: Element, const N: usize>(
    results: &'a mut [HostResult<'_>],
) -> Result<[&'a mut [T]; N]> {
    let slices: Vec<&mut [T]> = results.iter_mut().map(HostResult::elements).collect();
    let count = slices.len();
    let few = |_| Error::backend(format!("the op has {count} results, not {N}"));
    slices.try_into().map_err(few)
}

/// Works on each matrix of a batch: `work` gets memory that it may use again, the number of the matrix and
/// its part of every result. `cost` is the work of one. The error is that of the first matrix that has one.
///
/// # Errors
/// What `work` says, with the place of the matrix in the batch.
pub(crate) fn each<T: Send, W, const N: usize>(
    batch: &Shape,
    cost: usize,
    results: [&mut [T]; N],
    workspace: impl Fn() -> W + Sync,
    work: impl Fn(&mut W, usize, [&mut [T]; N]) -> Result<(), String> + Sync,
) -> Result<()> {
    let count = batch.count();
    if count == 0 {
        return Ok(());
    }
    let mut parts: Vec<[&mut [T]; N]> = Vec::with_capacity(count);
    let mut rest = results.map(|result| (result.len() / count, result));
    for _ in 0..count {
        parts.push(rest.each_mut().map(|(size, rest)| {
            let (part, after) = std::mem::take(rest).split_at_mut(*size);
            *rest = after;
            part
        }));
    }
    let few = COST_MIN.div_ceil(cost.max(1));
    let piece = count.div_ceil(PIECES * rayon::current_num_threads()).max(few).min(count);
    let run = |(number, piece_of): (usize, &mut [[&mut [T]; N]])| {
        let mut memory = workspace();
        for (place, results) in piece_of.iter_mut().enumerate() {
            let index = number * piece + place;
            let results = results.each_mut().map(|result| &mut **result);
            work(&mut memory, index, results).map_err(|reason| (index, reason))?;
        }
        Ok(())
    };
    let failed: Option<(usize, String)> = if piece == count {
        run((0, &mut parts)).err()
    } else {
        let pieces = parts.par_chunks_mut(piece).enumerate();
        pieces.filter_map(|piece| run(piece).err()).min_by_key(|(index, _)| *index)
    };
    match failed {
        None => Ok(()),
        Some((index, reason)) => Err(Error::backend(format!("{}: {reason}", place(batch, index)))),
    }
}

/// How a message names a matrix.
fn place(batch: &Shape, index: usize) -> String {
    if batch.rank() == 0 {
        return "the matrix".to_string();
    }
    let strides = batch.strides();
    let axes = strides.iter().zip(batch.iter());
    let place: Vec<usize> = axes.map(|(&stride, &size)| index / stride as usize % size).collect();
    match place[..] {
        [only] => format!("matrix {only} of the batch"),
        _ => format!("matrix {place:?} of the batch"),
    }
}

/// Numbers of the matrices of an operand whose batch axes are those of the result or of size one.
pub(crate) fn broadcast_numbers(operand: &Shape, result: &Shape) -> Vec<usize> {
    let (from, to) = (operand.strides(), result.strides());
    let number = |index: usize| {
        let axes = 0..result.rank();
        let along = axes.map(|axis| {
            let at = index / to[axis] as usize % result[axis];
            if operand[axis] == 1 { 0 } else { at * from[axis] as usize }
        });
        along.sum()
    };
    (0..result.count()).map(number).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_matrix_that_fails_is_named() {
        let batch = Shape::new(&[40, 5]);
        let mut result = vec![0.0f32; 200];
        let failing = |_: &mut (), index: usize, result: [&mut [f32]; 1]| {
            result[0][0] = index as f32;
            if index % 7 == 6 { Err("fails".to_string()) } else { Ok(()) }
        };
        let error = each(&batch, COST_MIN, [&mut result[..]], || (), failing).unwrap_err();
        assert_eq!(error.to_string(), "matrix [1, 1] of the batch: fails");
    }

    #[test]
    fn operands_broadcast_along_axes_of_size_one() {
        let numbers = broadcast_numbers(&Shape::new(&[1, 2]), &Shape::new(&[3, 2]));
        assert_eq!(numbers, [0, 1, 0, 1, 0, 1]);
        let numbers = broadcast_numbers(&Shape::new(&[3, 1]), &Shape::new(&[3, 2]));
        assert_eq!(numbers, [0, 0, 1, 1, 2, 2]);
    }
}

//! The shape rules of all ops, as public functions that return `Result`: for callers who must check
//! first. The tensor methods call the same functions and panic with their message.

use crate::{Error, Result};

/// An axis that may count from the end, as an index below `rank`.
///
/// # Errors
/// If it is out of range.
pub fn axis(op: &str, axis: isize, rank: usize) -> Result<usize> {
    let index = if axis < 0 { axis + rank as isize } else { axis };
    if index < 0 || index >= rank as isize {
        return Err(Error::shape(format!(
            "{op}: axis {axis} out of range for a tensor of {rank} axes"
        )));
    }
    Ok(index as usize)
}

pub mod structured;

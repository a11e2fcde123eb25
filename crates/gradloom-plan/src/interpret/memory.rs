//! The interpreter's memory: a number for each element, or nothing where nothing was written.
//!
//! Buffers hold it behind a lock, so that an output that takes over the memory of an input really
//! overwrites it, and whoever still holds the input sees that.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gradloom_tensor::{Buffer, DType, Error, Result};

use super::operand::Cell;
use super::value::store;

/// The storage of the interpreter's buffers.
#[derive(Default)]
pub(super) struct Memory(Mutex<Vec<Cell>>);

impl Memory {
    pub(super) fn new(cells: Vec<Cell>) -> Memory {
        Memory(Mutex::new(cells))
    }

    pub(super) fn cells(&self) -> MutexGuard<'_, Vec<Cell>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A buffer of the interpreter with these elements, rounded to the dtype.
pub fn upload(dtype: DType, values: &[f64]) -> Buffer {
    let cells: Vec<Cell> = values.iter().map(|&value| Some(store(dtype, value))).collect();
    let len = cells.len();
    Buffer::new(Arc::new(Memory::new(cells)), dtype, len)
}

/// The elements of a buffer of the interpreter.
///
/// # Errors
/// If the buffer is another backend's, or some element was never written.
pub fn download(buffer: &Buffer) -> Result<Vec<f64>> {
    let memory = buffer
        .storage::<Memory>()
        .ok_or_else(|| Error::backend("interpreter: a buffer belongs to another device"))?;
    let cells = memory.cells();
    if cells.len() != buffer.len() {
        let (have, said) = (cells.len(), buffer.len());
        return Err(Error::backend(format!("interpreter: a buffer of {said} has {have} elements")));
    }
    let each = cells.iter().enumerate().map(|(element, cell)| {
        cell.ok_or_else(|| {
            Error::backend(format!("interpreter: element {element} was never written"))
        })
    });
    each.collect()
}

//! Bytes that a thread keeps from one call to the next.

use std::cell::RefCell;

thread_local! {
    static SPARE: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// Bytes that hold anything, for as long as `work` runs: those of an earlier call on this thread.
pub(super) fn with_bytes<R>(count: usize, work: impl FnOnce(&mut [u8]) -> R) -> R {
    let mut bytes = SPARE.with_borrow_mut(Vec::pop).unwrap_or_default();
    if bytes.len() < count {
        bytes.resize(count, 0);
    }
    let result = work(&mut bytes[..count]);
    SPARE.with_borrow_mut(|spare| {
        if spare.len() < SPARE_MAX && bytes.len() <= BYTES_MAX {
            spare.push(bytes);
        }
    });
    result
}

/// Spare bytes that a thread keeps.
const SPARE_MAX: usize = 4;
const BYTES_MAX: usize = 8 << 20;

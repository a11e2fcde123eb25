//! Keeps panics of the `tokenizers` crate inside, which believes what files say.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::Result;

/// Runs code of the `tokenizers` crate. A panic there comes back as its message.
///
/// The checks before are meant to leave it none; this is for what they miss, such as the tables inside a
/// `Precompiled` normalizer. Nothing is left half done behind a panic: the crate's only shared state is its
/// caches, whose entries are written whole.
pub(crate) fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|payload| {
        let message = payload
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| payload.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "no message".to_owned());
        format!("the tokenizer's tables contradict each other ({message})")
    })
}

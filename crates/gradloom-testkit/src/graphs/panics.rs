//! [`catch`]: a panic as a value, with nothing printed.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

thread_local! {
    /// Where and why this thread panicked last, while panics are caught; none while they are not.
    static CAUGHT: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// The function's value, or the message and place of its panic. Panics of threads that it starts are
/// printed as usual.
///
/// # Errors
/// If it panics.
pub fn catch<T>(function: impl FnOnce() -> T) -> Result<T, String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let quiet = CAUGHT.with_borrow_mut(|caught| match caught {
                Some(message) => {
                    let payload = panic.payload_as_str().unwrap_or("no message");
                    let place = panic.location().map(ToString::to_string).unwrap_or_default();
                    *message = format!("{payload} at {place}");
                    true
                }
                None => false,
            });
            if !quiet {
                usual(panic);
            }
        }));
    });
    let outer = CAUGHT.replace(Some(String::new()));
    let result = catch_unwind(AssertUnwindSafe(function));
    let message = CAUGHT.replace(outer).unwrap_or_default();
    result.map_err(|_| message)
}

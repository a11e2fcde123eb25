//! Ctrl-C as a wish to end: a run sees it after its step, saves and stops. A second one ends the process.

use crate::Result;

/// Listens to Ctrl-C from now on, once in a process.
///
/// # Errors
/// If the system does not let it.
#[cfg(all(feature = "ctrlc", not(target_family = "wasm")))]
pub(crate) fn listen() -> Result<()> {
    use std::sync::OnceLock;
    use std::sync::atomic::Ordering;

    static LISTENING: OnceLock<Result<(), String>> = OnceLock::new();
    let listening = LISTENING.get_or_init(|| {
        let set = ctrlc::set_handler(|| {
            if REQUESTED.swap(true, Ordering::SeqCst) {
                // As the shell says of a process that Ctrl-C ended.
                std::process::exit(130);
            }
            eprintln!("Ctrl-C: the run ends after this step and saves; once more ends it at once");
        });
        set.map_err(|error| error.to_string())
    });
    listening.clone().map_err(|error| crate::error::invalid(format!("fit: no Ctrl-C: {error}")))
}

#[cfg(all(feature = "ctrlc", not(target_family = "wasm")))]
static REQUESTED: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(false);

/// True, once, after a Ctrl-C.
#[cfg(all(feature = "ctrlc", not(target_family = "wasm")))]
pub(crate) fn take() -> bool {
    REQUESTED.swap(false, std::sync::atomic::Ordering::SeqCst)
}

/// # Errors
/// Without the feature `ctrlc`.
#[cfg(not(all(feature = "ctrlc", not(target_family = "wasm"))))]
pub(crate) fn listen() -> Result<()> {
    Err(crate::error::invalid("fit: Ctrl-C needs the feature `ctrlc` of gradloom-train"))
}

#[cfg(not(all(feature = "ctrlc", not(target_family = "wasm"))))]
pub(crate) fn take() -> bool {
    false
}

//! The self-test of an adapter: each kernel family, in every form that the code generator gives it, on
//! awkward shapes against the interpreter of plans, at the first use of an adapter with a driver that is
//! not known yet. The outcome is kept in a file.
//!
//! What fails is named. A form that kernels can be made without is left out from then on, in the code
//! generator and in what the planner is told of the device; a kernel that nothing stands in for is an error
//! where it is asked for, never a wrong number.
//!
//! Absent on purpose: browsers, which keep no files, and drivers that crash.

mod case;
mod cases;
mod examiner;
mod kept;
pub(crate) mod report;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, PoisonError};

use gradloom_tensor::{Error, Result};

use crate::codegen::unit::Fault;
use crate::codegen::variant::Verdict;
use crate::gpu::Gpu;
use crate::wait::{Signal, Wait};
use examiner::Examiner;
use report::{Examined, SelfTest};

/// When adapters are tested: `GRADLOOM_SELF_TEST`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    /// Unless an outcome is kept.
    Unknown,
    Always,
    Never,
}

impl When {
    fn from_environment() -> Result<When> {
        match std::env::var("GRADLOOM_SELF_TEST").as_deref() {
            Err(_) | Ok("") => Ok(When::Unknown),
            Ok("always" | "1") => Ok(When::Always),
            Ok("off" | "0") => Ok(When::Never),
            Ok(other) => Err(Error::invalid(format!(
                "GRADLOOM_SELF_TEST={other}: there is `always` and `off`"
            ))),
        }
    }
}

/// Tests a device unless its outcome is kept. `adapter` opens it anew should the driver lose it.
///
/// # Errors
/// If a lost device does not open again, or `GRADLOOM_SELF_TEST` says something unknown.
pub(crate) async fn examined(gpu: Gpu, adapter: wgpu::Adapter, wait: Wait) -> Result<Examined> {
    let gpu = Arc::new(gpu);
    let when = When::from_environment()?;
    if cfg!(target_family = "wasm") || when == When::Never {
        return Ok(Examined { gpu, verdict: Verdict::default(), report: None });
    }
    if let Some(examined) = known(&gpu, when) {
        return Ok(examined);
    }
    match wait {
        Wait::Blocking => tested_once(gpu, adapter, when),
        Wait::Awaiting => in_a_thread(move || tested_once(gpu, adapter, when)).await,
    }
}

/// Tests a device unless another thread has done so meanwhile.
fn tested_once(gpu: Arc<Gpu>, adapter: wgpu::Adapter, when: When) -> Result<Examined> {
    static TESTING: Mutex<()> = Mutex::new(());
    let _testing = TESTING.lock().unwrap_or_else(PoisonError::into_inner);
    match known(&gpu, when) {
        Some(examined) => Ok(examined),
        None => tested(gpu, adapter, None),
    }
}

/// A device whose outcome is kept, unless it is to be tested in any case.
fn known(gpu: &Arc<Gpu>, when: When) -> Option<Examined> {
    let (verdict, report) = (when == When::Unknown).then(|| kept::read(gpu))??;
    announce(gpu, &report);
    Some(Examined { gpu: Arc::clone(gpu), verdict, report: Some(report) })
}

/// Tests a device and keeps the outcome, unless a fault is feigned.
fn tested(gpu: Arc<Gpu>, adapter: wgpu::Adapter, fault: Option<Fault>) -> Result<Examined> {
    eprintln!("gradloom: testing the kernels of {}, once for this driver", gpu.info);
    let keep = fault.is_none();
    let examined = Examiner::new(gpu, adapter, fault).examine()?;
    if let Some(report) = &examined.report {
        announce(&examined.gpu, report);
        if keep {
            kept::write(&examined.gpu, &examined.verdict, report);
        }
    }
    Ok(examined)
}

fn announce(gpu: &Gpu, report: &SelfTest) {
    for finding in &report.findings {
        eprintln!("gradloom: {} computes wrongly: {finding}", gpu.info);
    }
}

/// Tells who awaits a thread that it has ended, by a panic too.
struct Done(Arc<Signal>);

impl Drop for Done {
    fn drop(&mut self) {
        self.0.set(Ok(()));
    }
}

/// What `work` gives, from a thread of its own: whoever awaits it is not blocked.
async fn in_a_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let signal = Arc::new(Signal::default());
    let place = Arc::new(Mutex::new(None));
    let (done, result) = (Done(Arc::clone(&signal)), Arc::clone(&place));
    let run = move || {
        let _done = done;
        let made = work();
        *result.lock().unwrap_or_else(PoisonError::into_inner) = Some(made);
    };
    let thread = std::thread::Builder::new().name("gradloom self-test".to_owned());
    thread.spawn(run).map_err(|error| Error::backend(format!("self-test: no thread: {error}")))?;
    std::future::poll_fn(|context| signal.poll(context)).await?;
    let made = place.lock().unwrap_or_else(PoisonError::into_inner).take();
    made.unwrap_or_else(|| Err(Error::backend("self-test: its thread is gone")))
}

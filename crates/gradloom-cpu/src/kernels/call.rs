//! Ops from outside: their host kernels, in the memory of the evaluation.

use std::sync::OnceLock;

use gradloom_tensor::op::Call;
use gradloom_tensor::{Error, Result};
use rayon::{ThreadPool, ThreadPoolBuilder};

use super::executable::{Context, Executable};

impl Executable for Call {
    fn run(
        &self,
        context: &Context<'_>,
        inputs: &[&[u8]],
        outputs: &mut [&mut [u8]],
    ) -> Result<()> {
        let mut run = || Call::run(self, inputs, outputs[0]);
        match context.threads {
            1 if rayon::current_thread_index().is_none() => single()?.install(run),
            _ => run(),
        }
    }
}

/// Where the kernels run of devices that have one thread: they may ask `rayon` for more.
fn single() -> Result<&'static ThreadPool> {
    static POOL: OnceLock<Option<ThreadPool>> = OnceLock::new();
    let pool = POOL.get_or_init(|| ThreadPoolBuilder::new().num_threads(1).build().ok());
    pool.as_ref().ok_or_else(|| Error::backend("cpu: the system refuses a thread"))
}

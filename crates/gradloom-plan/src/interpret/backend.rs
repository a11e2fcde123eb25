//! [`Interpreter`]: the interpreter of plans as a [`Backend`], behind the planner that the real ones
//! use, so that whatever runs on them runs on it.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use gradloom_tensor::{
    Backend, Buffer, Capabilities, DType, Device, Error, Result, Retention, Statistics, Tensor,
};

use super::bytes::{bytes, numbers};
use super::fault::{Failure, Fault};
use super::memory::{download, upload};
use crate::limits::Limits;
use crate::planner::{Planner, Prepared};

/// A backend that plans and then interprets the plan.
#[derive(Debug, Default)]
pub struct Interpreter {
    planner: Planner,
    kernels: AtomicU64,
    plans: AtomicU64,
    replays: AtomicU64,
}

/// A device on an interpreter of its own.
pub fn device() -> Device {
    Interpreter::default().into_device()
}

impl Interpreter {
    /// An interpreter of plans for devices with these limits.
    pub fn new(limits: Limits) -> Interpreter {
        Interpreter { planner: Planner::new(limits), ..Interpreter::default() }
    }

    /// This backend as a device.
    pub fn into_device(self) -> Device {
        Device::new(Arc::new(self))
    }
}

impl Backend for Interpreter {
    fn name(&self) -> String {
        "interpreter".to_owned()
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            host: true,
            f16: true,
            f64: true,
            i64: true,
            buffer_bytes_max: isize::MAX as u64,
            subgroup_size: None,
        }
    }

    fn upload(&self, dtype: DType, bytes: &[u8]) -> Result<Buffer> {
        Ok(upload(dtype, &numbers(dtype, bytes)))
    }

    fn download(&self, buffer: &Buffer) -> Result<Vec<u8>> {
        Ok(bytes(buffer.dtype(), &download(buffer)?))
    }

    fn evaluate(&self, roots: &[Tensor], retention: Retention) -> Result<()> {
        let prepared = self.planner.prepare(roots, retention)?;
        let counter = if prepared.cached { &self.replays } else { &self.plans };
        counter.fetch_add(1, Ordering::Relaxed);
        self.kernels.fetch_add(prepared.plan.executions() as u64, Ordering::Relaxed);
        let values = super::plan::plan(&prepared.plan, &prepared.inputs, &prepared.arguments)
            .map_err(|failure| error(&prepared, &failure))?;
        prepared.complete(values);
        Ok(())
    }

    fn synchronize(&self) -> Result<()> {
        Ok(())
    }

    fn statistics(&self) -> Statistics {
        let (plans, replays) =
            (self.plans.load(Ordering::Relaxed), self.replays.load(Ordering::Relaxed));
        Statistics {
            kernels: self.kernels.load(Ordering::Relaxed),
            submissions: plans + replays,
            plans,
            replays,
            plan_bytes: self.planner.bytes() as u64,
            ..Statistics::default()
        }
    }

    fn trim(&self) {}

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// A failure with the op and the line that the kernel comes from.
fn error(prepared: &Prepared, failure: &Failure) -> Error {
    if let Fault::Index { site, index, size } = failure.fault
        && let Some(node) = prepared.nodes.get(site)
    {
        return Error::index_out_of_range(prepared.op_name(site), index, size, node.origin());
    }
    if let (Some(kernel), Some(message)) = (failure.kernel, failed(&failure.fault)) {
        let node = prepared.plan.kernels.get(kernel).map(|kernel| kernel.node);
        return prepared.error_of(node, Error::backend(message));
    }
    let kernel = failure.kernel.and_then(|index| prepared.plan.kernels.get(index));
    let node = kernel.and_then(|kernel| prepared.nodes.get(kernel.node));
    let place = node.map_or_else(String::new, |node| {
        format!(" (for {}, made at {})", node.op().name(), node.origin())
    });
    Error::backend(format!("interpreter: {failure}{place}\n{}", prepared.plan))
}

/// What an op from outside says of its operands, also in the step of a loop.
fn failed(fault: &Fault) -> Option<&str> {
    match fault {
        Fault::Failed(message) => Some(message),
        Fault::Step { failure, .. } => failed(&failure.fault),
        _ => None,
    }
}

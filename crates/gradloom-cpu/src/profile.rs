//! [`Profile`]: the time of each kernel, collected when `GRADLOOM_PROFILE=1`.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use gradloom_plan::{Kernel, KernelKind};

/// Times by kernel.
#[derive(Debug, Default)]
pub(crate) struct Profile {
    entries: Mutex<HashMap<(u64, usize), Entry>>,
}

#[derive(Debug)]
struct Entry {
    label: String,
    runs: u64,
    total: Duration,
    least: Duration,
}

impl Profile {
    /// Adds one run of a kernel of a plan.
    pub(crate) fn record(
        &self,
        plan: u64,
        index: usize,
        kernel: &Kernel,
        op: &str,
        time: Duration,
    ) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = entries.entry((plan, index)).or_insert_with(|| Entry {
            label: format!("{} {} {op}", kind_name(&kernel.kind), kernel.space.shape),
            runs: 0,
            total: Duration::ZERO,
            least: Duration::MAX,
        });
        entry.runs += 1;
        entry.total += time;
        entry.least = entry.least.min(time);
    }

    /// One line per kernel, the most expensive first.
    pub(crate) fn report(&self) -> String {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let mut lines: Vec<_> = entries.iter().collect();
        lines.sort_by_key(|(_, entry)| std::cmp::Reverse(entry.total));
        let mut report = String::from("   total ms     runs   least us  kernel\n");
        for ((plan, index), entry) in lines {
            let (total, least) = (entry.total.as_secs_f64() * 1e3, entry.least.as_secs_f64() * 1e6);
            // Writing to a string does not fail.
            let _ = writeln!(
                report,
                "{total:11.3} {:8} {least:10.1}  plan {plan} kernel {index}: {}",
                entry.runs, entry.label
            );
        }
        report
    }
}

/// A short name of a kind.
pub(crate) fn kind_name(kind: &KernelKind) -> &'static str {
    match kind {
        KernelKind::Map => "map",
        KernelKind::Reduce => "reduce",
        KernelKind::Row => "row",
        KernelKind::Matmul { .. } => "matmul",
        KernelKind::Convolution(_) => "convolution",
        KernelKind::ConvolutionInput(_) => "convolution_input",
        KernelKind::ConvolutionWeight(_) => "convolution_weight",
        KernelKind::PoolMax(_) => "pool_max",
        KernelKind::PoolMaxScatter(_) => "pool_max_scatter",
        KernelKind::PoolMaxGather(_) => "pool_max_gather",
        KernelKind::PoolSum(_) => "pool_sum",
        KernelKind::PoolSumScatter(_) => "pool_sum_scatter",
        KernelKind::Gather { .. } => "gather",
        KernelKind::ScatterAdd { .. } => "scatter_add",
        KernelKind::Scan { .. } => "scan",
        KernelKind::ArgReduce { .. } => "arg_reduce",
        KernelKind::ArgSort { .. } => "arg_sort",
        KernelKind::Concat { .. } => "concat",
    }
}

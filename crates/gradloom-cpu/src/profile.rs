//! [`Profile`]: the time of each kernel, printed after each evaluation and collected when
//! `GRADLOOM_PROFILE=1`.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use gradloom_plan::{Kernel, Plan};

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
    last: Duration,
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
            label: format!("{} {} {op}", kernel.kind.name(), kernel.space.shape),
            runs: 0,
            total: Duration::ZERO,
            least: Duration::MAX,
            last: time,
        });
        entry.runs += 1;
        entry.total += time;
        entry.last = time;
        entry.least = entry.least.min(time);
    }

    /// The times of a plan's kernels in its last run, one line each.
    pub(crate) fn last(&self, plan: &Plan) -> String {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let mut report = format!("gradloom: plan {} on the CPU\n", plan.id);
        for index in 0..plan.kernels.len() {
            let Some(entry) = entries.get(&(plan.id, index)) else { continue };
            let time = entry.last.as_secs_f64() * 1e6;
            // Writing to a string does not fail.
            let _ = writeln!(report, "{time:11.1} us  kernel {index}: {}", entry.label);
        }
        report
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

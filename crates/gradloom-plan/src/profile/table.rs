//! [`Table`]: times of kernels, added up by what one asks about.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use super::run::Ceilings;
use super::state::{State, Totals};

/// What times are added up by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// The op, or the ops of a fused kernel.
    Op,
    /// The layer of the model; layers have names once `nn::name_layers` or a trainer has given them.
    Layer,
    /// The line of the program, gradients apart.
    Line,
    /// Each kernel of each plan.
    Kernel,
}

/// A line of a [`Table`].
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Op, layer, line or kernel; empty for kernels of no known one.
    pub name: String,
    /// The device.
    pub device: String,
    /// Kernels run.
    pub runs: u64,
    /// Time of all runs.
    pub time: Duration,
    /// Floating-point operations of all runs.
    pub flops: u64,
    /// Bytes read and written by all runs.
    pub bytes: u64,
    /// The share of what the device could do in that time, by whichever of its ceilings is nearer; above
    /// one where operands came out of caches. `None` where no ceiling is known.
    pub share_of_ceiling: Option<f64>,
}

/// Times, the longest first; prints itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// The lines.
    pub rows: Vec<Row>,
    /// The ceilings that shares are of, by device.
    pub ceilings: Vec<(String, Ceilings)>,
}

/// Sums of one name on one device.
#[derive(Default)]
struct Sum {
    totals: Totals,
    flops: u64,
    /// Time that the device would need at its ceilings.
    least: f64,
}

pub(super) fn table(state: &State, by: By) -> Table {
    let mut sums: HashMap<(String, &str), Sum> = HashMap::new();
    for entry in state.kernels.values() {
        let (kernel, totals) = (&entry.described, entry.totals);
        let name = match by {
            By::Op => kernel.op.clone(),
            By::Layer => kernel.layer(),
            By::Line => kernel.line.clone(),
            By::Kernel => kernel.name.clone(),
        };
        let sum = sums.entry((name, &kernel.device)).or_default();
        sum.totals.runs += totals.runs;
        sum.totals.time += totals.time;
        sum.totals.bytes += totals.bytes;
        sum.flops += kernel.flops * totals.runs;
        if let Some(ceilings) = state.ceilings.get(&kernel.device) {
            let [flops, bytes] = [kernel.flops as f64, kernel.bytes as f64];
            let least = (flops / ceilings.flops).max(bytes / ceilings.bytes);
            sum.least += least * totals.runs as f64;
        }
    }
    let rows = sums.into_iter().map(|((name, device), sum)| Row {
        name,
        device: device.to_owned(),
        runs: sum.totals.runs,
        time: sum.totals.time,
        flops: sum.flops,
        bytes: sum.totals.bytes,
        share_of_ceiling: state
            .ceilings
            .contains_key(device)
            .then(|| sum.least / sum.totals.time.as_secs_f64().max(1e-9)),
    });
    sorted(state, rows.collect())
}

pub(super) fn of_others(state: &State) -> Table {
    let rows = state.others.iter().map(|((device, what), totals)| Row {
        name: (*what).to_owned(),
        device: device.clone(),
        runs: totals.runs,
        time: totals.time,
        flops: 0,
        bytes: totals.bytes,
        share_of_ceiling: None,
    });
    sorted(state, rows.collect())
}

fn sorted(state: &State, mut rows: Vec<Row>) -> Table {
    rows.sort_by(|a, b| (b.time, &a.name, &a.device).cmp(&(a.time, &b.name, &b.device)));
    let mut ceilings: Vec<(String, Ceilings)> =
        state.ceilings.iter().map(|(device, ceilings)| (device.clone(), *ceilings)).collect();
    ceilings.sort_by(|a, b| a.0.cmp(&b.0));
    Table { rows, ceilings }
}

impl fmt::Display for Table {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (device, ceilings) in &self.ceilings {
            let (flops, bytes) = (ceilings.flops / 1e9, ceilings.bytes / 1e9);
            writeln!(formatter, "{device}: at most {flops:.0} GFLOP/s and {bytes:.1} GB/s")?;
        }
        let several = self.rows.iter().any(|row| row.device != self.rows[0].device);
        let total: f64 = self.rows.iter().map(|row| row.time.as_secs_f64()).sum();
        writeln!(
            formatter,
            "   total ms   share     runs    mean us    GFLOP/s     GB/s  of ceiling"
        )?;
        for row in &self.rows {
            let seconds = row.time.as_secs_f64();
            let rate = |count: u64| count as f64 / seconds.max(1e-9) / 1e9;
            let ceiling = row.share_of_ceiling.map(|share| format!("{:8.1} %", share * 100.0));
            write!(
                formatter,
                "{:11.3} {:5.1} % {:8} {:10.1} {:10.2} {:8.2}  {}  {}",
                seconds * 1e3,
                seconds / total.max(1e-9) * 100.0,
                row.runs,
                seconds * 1e6 / row.runs.max(1) as f64,
                rate(row.flops),
                rate(row.bytes),
                ceiling.unwrap_or_else(|| "         -".to_owned()),
                if row.name.is_empty() { "(none)" } else { &row.name },
            )?;
            match several {
                true => writeln!(formatter, "  on {}", row.device)?,
                false => writeln!(formatter)?,
            }
        }
        Ok(())
    }
}

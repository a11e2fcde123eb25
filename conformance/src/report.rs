//! What the samples of all operators come to.

use std::fmt::Write as _;

use crate::golden::Golden;
use crate::run::{Options, Outcome, run};
use crate::table;

/// The samples of one operator on one device.
#[derive(Clone, Debug)]
pub struct Counts {
    /// The operator.
    pub op: String,
    /// Whether there is a row for it.
    pub mapped: bool,
    /// Right in values and gradients.
    pub passed: usize,
    /// Of these, right in gradients of the second order.
    pub second: usize,
    /// Right in shape, dtype and finiteness; there is nothing else to compare, as elements are random.
    pub shape_alone: usize,
    /// What is wrong with the others.
    pub failed: Vec<String>,
    /// Samples with options that the row does not know, and which.
    pub skipped: Vec<String>,
    /// Samples for which the device has no kernel.
    pub lacking: usize,
}

/// Runs samples, so many of each operator at most.
pub fn all(golden: &[Golden], options: &Options, most: usize) -> Vec<Counts> {
    let rows = table::all();
    let mut found = Vec::new();
    for Golden { op, samples } in golden {
        let row = rows.iter().find(|row| row.name == op);
        let (mut passed, mut twice, mut shape_alone, mut lacking) = (0, 0, 0, 0);
        let (mut failed, mut skipped) = (Vec::new(), Vec::new());
        for (index, sample) in samples.iter().enumerate().take(most) {
            let Some(row) = row else { break };
            match run(row, sample, options) {
                Outcome::Passed { second } => {
                    passed += 1;
                    twice += usize::from(second);
                }
                Outcome::ShapeAlone => shape_alone += 1,
                Outcome::Failed(reason) => failed.push(format!("sample {index}: {reason}")),
                Outcome::Skipped(reason) => skipped.push(reason),
                Outcome::Lacking => lacking += 1,
            }
        }
        found.push(Counts {
            op: op.clone(),
            mapped: row.is_some(),
            passed,
            second: twice,
            shape_alone,
            failed,
            skipped,
            lacking,
        });
    }
    found
}

/// The table of `docs/conformance.md`.
pub fn markdown(devices: &[(String, Vec<Counts>)]) -> String {
    let mut text = String::from(
        "# Conformance\n\n\
         PyTorch's own operator samples (the OpInfo database inside the torch package) on the devices of one \
         machine: values, and gradients of the first and second order, against results computed in f64. Where elements \
         are random numbers or memory without values, only shapes, dtypes and finiteness are compared, which \
         counts as \"shape alone\". Written by `cargo xtask conformance`.\n\n\
         | device | operators | mapped | samples passed | second order, too | shape alone | failed | no kernel | options not known |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    let sum =
        |counts: &[Counts], of: fn(&Counts) -> usize| -> usize { counts.iter().map(of).sum() };
    for (device, counts) in devices {
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "| {device} | {} | {} | {} | {} | {} | {} | {} | {} |",
            counts.len(),
            counts.iter().filter(|op| op.mapped).count(),
            sum(counts, |op| op.passed),
            sum(counts, |op| op.second),
            sum(counts, |op| op.shape_alone),
            sum(counts, |op| op.failed.len()),
            sum(counts, |op| op.lacking),
            sum(counts, |op| op.skipped.len()),
        );
    }
    let Some((_, counts)) = devices.first() else { return text };
    text.push_str(
        "\n## Operators\n\n\
         | operator | passed | shape alone | failed | options not known |\n\
         | --- | --- | --- | --- | --- |\n",
    );
    for op in counts.iter().filter(|op| op.mapped) {
        let mut reasons = op.skipped.clone();
        reasons.sort();
        reasons.dedup();
        let reasons = reasons.join("; ").replace('|', "\\|");
        let Counts { op, passed, shape_alone, failed, .. } = op;
        let failed = failed.len();
        let _ = writeln!(text, "| `{op}` | {passed} | {shape_alone} | {failed} | {reasons} |");
    }
    text.push_str("\n## Failed\n\n");
    for (device, counts) in devices {
        for op in counts {
            for reason in &op.failed {
                let _ = writeln!(text, "- {device}: `{}` {}", op.op, reason.replace('\n', " "));
            }
        }
    }
    text.push_str("\n## Not mapped\n\n| operator | why |\n| --- | --- |\n");
    for op in counts.iter().filter(|op| !op.mapped) {
        let reason = reason(&op.op).unwrap_or_default();
        let _ = writeln!(text, "| `{}` | {reason} |", op.op);
    }
    text
}

/// Why there is no row for an operator.
pub fn reason(op: &str) -> Option<&'static str> {
    table::UNMAPPED.iter().find(|(name, _)| *name == op).map(|(_, reason)| *reason)
}

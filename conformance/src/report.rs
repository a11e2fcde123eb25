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
        "\n## Operators\n\nRight samples on each device, those of shape alone included, of all samples that it was \
         given; nothing where the operator has no samples of that dtype.\n\n| operator |",
    );
    for (device, _) in devices {
        let _ = write!(text, " {device} |");
    }
    let _ = writeln!(text, " options not known |\n|{}", " --- |".repeat(devices.len() + 2));
    for op in counts.iter().filter(|op| op.mapped) {
        let mut reasons = op.skipped.clone();
        reasons.sort();
        reasons.dedup();
        let reasons = reasons.join("; ").replace('|', "\\|");
        let _ = write!(text, "| `{}` |", op.op);
        for (_, counts) in devices {
            let own = counts.iter().find(|own| own.op == op.op);
            let cell = own.map(|own| {
                let right = own.passed + own.shape_alone;
                let all = right + own.failed.len() + own.skipped.len() + own.lacking;
                format!("{right} of {all}")
            });
            let _ = write!(text, " {} |", cell.unwrap_or_default());
        }
        let _ = writeln!(text, " {reasons} |");
    }
    text.push_str("\n## Failed\n\n");
    for (device, counts) in devices {
        for op in counts {
            for reason in &op.failed {
                let why = differs(&op.op, device).map(|why| format!(" ({why})"));
                let (reason, why) = (reason.replace('\n', " "), why.unwrap_or_default());
                let _ = writeln!(text, "- {device}: `{}` {reason}{why}", op.op);
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

/// Why results of an operator differ from the golden ones on a device, if that is known and stays.
fn differs(op: &str, device: &str) -> Option<&'static str> {
    let known = |(ops, on, _): &&(&[&str], &str, &str)| ops.contains(&op) && device.contains(on);
    DIFFERS.iter().find(known).map(|(_, _, why)| *why)
}

/// Operators, what is in the device's name, and the reason.
const DIFFERS: &[(&[&str], &str, &str)] = &[
    (
        &["argsort", "sort", "msort", "topk", "mode"],
        "f16",
        "equal elements, of which PyTorch's order is none in particular and the one here is stable",
    ),
    (
        &[
            "special.airy_ai",
            "special.bessel_j0",
            "special.bessel_j1",
            "special.bessel_y0",
            "special.bessel_y1",
        ],
        "f64",
        "PyTorch's own coefficients are good for f32 alone; this is the exact value to twelve digits",
    ),
    (
        &["pow", "__rpow__", "float_power"],
        "f16",
        "the power is beyond f16 and infinite there, and so is what its gradients are made of",
    ),
    (
        &["histc"],
        "vulkan",
        "edges are computed in f32 there, and an element beside one falls to its other side",
    ),
    (
        &[
            "polygamma.polygamma_n_0",
            "polygamma.polygamma_n_1",
            "polygamma.polygamma_n_2",
            "polygamma.polygamma_n_3",
            "polygamma.polygamma_n_4",
            "special.polygamma.special_polygamma_n_0",
        ],
        "bf16",
        "half-way between two poles slopes of 1e5 cancel, in f32",
    ),
    (&["cov"], "vulkan", "sums that cancel are in f32 there"),
];

/// Why there is no row for an operator.
pub fn reason(op: &str) -> Option<&'static str> {
    table::UNMAPPED.iter().find(|(name, _)| *name == op).map(|(_, reason)| *reason)
}

//! `profile`: tables of a timeline that `GRADLOOM_PROFILE=trace.json` wrote, by op, layer, line or kernel.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader};

use serde_json::Value;

const USAGE: &str = "usage: cargo xtask profile TRACE.json [--by op|layer|line|kernel]";

/// Sums of one name on one device.
#[derive(Default)]
struct Sum {
    runs: u64,
    microseconds: f64,
    flops: f64,
    bytes: f64,
    /// Microseconds that the device would need at its ceilings.
    least: f64,
}

/// A file's sums, and what devices are called and can do.
#[derive(Default)]
struct Sums {
    rows: HashMap<(u64, String), Sum>,
    devices: HashMap<u64, String>,
    ceilings: HashMap<u64, [f64; 2]>,
}

/// Prints the table of a file.
pub(crate) fn run(arguments: &[&str]) -> Result<(), String> {
    let (path, by) = match arguments {
        [path] => (*path, "op"),
        [path, "--by", by @ ("op" | "layer" | "line" | "kernel")] => (*path, *by),
        _ => return Err(USAGE.to_owned()),
    };
    let file = File::open(path).map_err(|error| format!("profile: {path}: {error}"))?;
    let mut sums = Sums::default();
    for (number, line) in BufReader::new(file).lines().enumerate() {
        let line = line.map_err(|error| format!("profile: {path}: {error}"))?;
        let text = line.trim().trim_end_matches(',');
        if matches!(text, "" | "[" | "]") {
            continue;
        }
        // A killed run may end within a line.
        let Ok(event) = serde_json::from_str::<Value>(text) else {
            eprintln!("profile: {path}: line {} is no event and left out", number + 1);
            continue;
        };
        sums.add(&event, by);
    }
    print!("{}", sums.table());
    Ok(())
}

impl Sums {
    fn add(&mut self, event: &Value, by: &str) {
        let process = event["pid"].as_u64().unwrap_or(0);
        let arguments = &event["args"];
        let number = |name: &str| arguments[name].as_f64().unwrap_or(0.0);
        match (event["name"].as_str(), event["cat"].as_str()) {
            (Some("process_name"), None) => {
                let name = arguments["name"].as_str().unwrap_or_default();
                self.devices.insert(process, name.to_owned());
            }
            (Some("ceilings"), None) => {
                self.ceilings.insert(process, [number("flops"), number("bytes")]);
            }
            (Some(op), Some("kernel")) if arguments["in_parts"] != true => {
                let name = if by == "op" { op } else { arguments[by].as_str().unwrap_or_default() };
                let sum = self.rows.entry((process, name.to_owned())).or_default();
                sum.runs += 1;
                sum.microseconds += event["dur"].as_f64().unwrap_or(0.0);
                sum.flops += number("flops");
                sum.bytes += number("bytes");
                if let Some([flops, bytes]) = self.ceilings.get(&process) {
                    let least = (number("flops") / flops).max(number("bytes") / bytes);
                    sum.least += least * 1e6;
                }
            }
            _ => {}
        }
    }

    fn table(&self) -> String {
        let mut text = String::new();
        for (process, [flops, bytes]) in &self.ceilings {
            let device = self.devices.get(process).map_or("", String::as_str);
            let (flops, bytes) = (flops / 1e9, bytes / 1e9);
            text += &format!("{device}: at most {flops:.0} GFLOP/s and {bytes:.1} GB/s\n");
        }
        text += "   total ms   share     runs    mean us    GFLOP/s     GB/s  of ceiling\n";
        let total: f64 = self.rows.values().map(|sum| sum.microseconds).sum();
        let mut rows: Vec<_> = self.rows.iter().collect();
        rows.sort_by(|a, b| {
            b.1.microseconds.total_cmp(&a.1.microseconds).then_with(|| a.0.cmp(b.0))
        });
        for ((process, name), sum) in rows {
            let ceiling = match self.ceilings.contains_key(process) {
                true => format!("{:8.1} %", sum.least / sum.microseconds * 100.0),
                false => "         -".to_owned(),
            };
            let device = match self.devices.get(process) {
                Some(device) if self.devices.len() > 2 => format!("  on {device}"),
                _ => String::new(),
            };
            text += &format!(
                "{:11.3} {:5.1} % {:8} {:10.1} {:10.2} {:8.2}  {ceiling}  {}{device}\n",
                sum.microseconds / 1e3,
                sum.microseconds / total.max(1e-9) * 100.0,
                sum.runs,
                sum.microseconds / sum.runs as f64,
                sum.flops / sum.microseconds / 1e3,
                sum.bytes / sum.microseconds / 1e3,
                if name.is_empty() { "(none)" } else { name },
            );
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::Sums;

    #[test]
    fn events_add_up_by_layer_and_parts_count_once() {
        let mut sums = Sums::default();
        let kernel = |time: f64, in_parts: bool| {
            serde_json::json!({
                "name": "matmul", "cat": "kernel", "pid": 1, "dur": time,
                "args": {"layer": "fc1 (Linear)", "flops": 4000, "bytes": 100, "in_parts": in_parts}
            })
        };
        sums.add(&serde_json::json!({"name": "ceilings", "pid": 1, "args": {"flops": 4e9, "bytes": 1e9}}), "layer");
        sums.add(&kernel(1.0, false), "layer");
        sums.add(&kernel(3.0, false), "layer");
        sums.add(&kernel(9.0, true), "layer");
        let sum = &sums.rows[&(1, "fc1 (Linear)".to_owned())];
        assert_eq!((sum.runs, sum.microseconds, sum.flops), (2, 4.0, 8000.0));
        assert!((sum.least - 2.0).abs() < 1e-9, "{}", sum.least);
        assert!(sums.table().contains("50.0 %"), "{}", sums.table());
    }
}

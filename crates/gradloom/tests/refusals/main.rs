//! Every op with operands that do not fit it: ranks, dtypes, axes, sizes that no number counts, and nothing at
//! all. What is refused is refused in the name of the op that was called; what is accepted can be computed.
//! Nothing ends in another op's name, in an index panic, in a loop without end or in memory that nobody has.

mod given;
mod layers;
mod methods;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, Once, PoisonError};
use std::time::{Duration, Instant};

use given::{Given, Row};
use gradloom::{Device, SelectDevice as _, eval};

/// Far more than any of these calls takes on a busy machine.
const CALL_MAX: Duration = Duration::from_secs(120);

/// More elements are not computed.
const COUNT_MAX: usize = 4096;

/// Ends the process with the name of a call that does not end itself.
struct Watch(Arc<Mutex<Option<(String, Instant)>>>);

impl Watch {
    fn new() -> Watch {
        let current: Arc<Mutex<Option<(String, Instant)>>> = Arc::default();
        let seen = Arc::clone(&current);
        std::thread::spawn(move || {
            loop {
                std::thread::sleep(Duration::from_secs(1));
                let now = seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
                if let Some((call, since)) = now.filter(|(_, since)| since.elapsed() > CALL_MAX) {
                    eprintln!("{call} has not ended after {:?}", since.elapsed());
                    std::process::exit(101);
                }
            }
        });
        Watch(current)
    }

    fn set(&self, call: Option<String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) =
            call.map(|call| (call, Instant::now()));
    }
}

/// True if a message begins with the name of an op, or of the op whose options it has.
fn names(row: &Row, message: &str) -> bool {
    let plain = row.name.strip_suffix("_keepdim").unwrap_or(row.name);
    [row.name, plain, row.also].iter().any(|name| {
        !name.is_empty() && message.strip_prefix(name).is_some_and(|rest| rest.starts_with(": "))
    })
}

/// What is wrong with a call, if something is.
fn fault(row: &Row, given: &Given, computes: bool) -> Option<String> {
    let attempt = || -> Result<(), String> {
        let called = caught(|| (row.call)(given));
        let results = match called {
            Ok(Ok(results)) => results,
            Ok(Err(error)) if names(row, &error.to_string()) => return Ok(()),
            Ok(Err(error)) => return Err(format!("error {error}")),
            Err(panic) => {
                let text = panic.downcast_ref::<String>().cloned();
                let text = text.or_else(|| panic.downcast_ref::<&str>().map(|&text| text.into()));
                let text = text.unwrap_or_default();
                return if names(row, &text) { Ok(()) } else { Err(text) };
            }
        };
        if !computes || results.iter().any(|result| result.count() > COUNT_MAX) {
            return Ok(());
        }
        match caught(|| eval(&results)) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) if names(row, &error.to_string()) => Ok(()),
            Ok(Err(error)) => Err(format!("evaluation: {error}")),
            Err(_) => Err("a panic while it is computed".into()),
        }
    };
    attempt().err()
}

thread_local! {
    /// Whether this thread is in a call whose panic is looked at, not shown.
    static CAUGHT: Cell<bool> = const { Cell::new(false) };
}

/// Keeps panics that are caught from being printed, thousands of them.
fn quiet() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !CAUGHT.get() {
                before(info);
            }
        }));
    });
}

fn caught<T>(call: impl FnOnce() -> T) -> std::thread::Result<T> {
    CAUGHT.set(true);
    let result = catch_unwind(AssertUnwindSafe(call));
    CAUGHT.set(false);
    result
}

fn check(rows: &[Row]) {
    quiet();
    let watch = Watch::new();
    let all = Given::all(&Device::cpu());
    let mut faults: BTreeMap<String, String> = BTreeMap::new();
    for row in rows {
        for (given, plain) in &all {
            watch.set(Some(format!("{} of {given}", row.name)));
            if let Some(found) = fault(row, given, *plain) {
                let key: String = found.chars().filter(|c| !c.is_ascii_digit()).take(40).collect();
                let line = format!("{} of {given}: {found}", row.name);
                faults.entry(format!("{} {key}", row.name)).or_insert(line);
            }
        }
    }
    watch.set(None);
    let lines: Vec<String> = faults.into_values().collect();
    assert!(lines.is_empty(), "{} faults:\n{}", lines.len(), lines.join("\n"));
}

#[test]
fn methods_of_tensors_refuse_in_their_own_name() {
    check(&methods::rows());
}

#[test]
fn functions_of_layers_and_losses_refuse_in_their_own_name() {
    check(&layers::rows());
}

/// Methods that take no operand, or none that could be wrong.
const NOT_CALLED: &[&str] = &[
    "companion",
    "count",
    "depth",
    "detach",
    "device",
    "dtype",
    "empty",
    "empty_like",
    "eval",
    "eval_async",
    "from_blocks",
    "from_blocks_outside",
    "from_buffer",
    "from_bytes",
    "from_bytes_async",
    "from_op",
    "from_slice",
    "from_slice_async",
    "from_vec",
    "gradient_seed",
    "handles",
    "id",
    "inputs",
    "is_overwritten",
    "is_quantized",
    "is_tracked",
    "item",
    "item_async",
    "location",
    "loop_result",
    "new",
    "next_id",
    "op",
    "origin",
    "placeholder",
    "rank",
    "set_overwritten",
    "set_passed",
    "set_value",
    "shape",
    "state",
    "to_bytes",
    "to_bytes_async",
    "to_device",
    "to_vec",
    "to_vec_async",
    "tracked",
    "value",
    "was_passed",
    "written_index",
    "zeros_like",
    "ones_like",
    "wide",
    "block_format",
    "to_blocks",
    "result_type",
    "quantize",
    "pool_max",
    "pool_sum",
    "pool_max_scatter",
    "pool_max_gather",
    "pool_sum_scatter",
    "convolution",
    "convolution_input",
    "convolution_weight",
];

/// The table has every method that the source of the tensor crate writes out.
#[test]
fn the_table_has_every_method() {
    let rows = methods::rows();
    let mut missing = Vec::new();
    let mut folders = vec![std::path::PathBuf::from(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../gradloom-tensor/src"
    ))];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("the tensor crate beside this one") {
            let path = entry.expect("a file").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = std::fs::read_to_string(&path).expect("source");
            files += 1;
            let blocks = text.split("\nimpl Tensor {\n").skip(1);
            for block in blocks.filter_map(|block| block.split("\n}\n").next()) {
                for line in block.lines().filter_map(|line| line.strip_prefix("    pub fn ")) {
                    let end = line.find(|c: char| !c.is_alphanumeric() && c != '_');
                    let name = &line[..end.unwrap_or(line.len())];
                    let there = rows.iter().any(|row| row.name == name);
                    if !there && !NOT_CALLED.contains(&name) {
                        missing.push(name.to_owned());
                    }
                }
            }
        }
    }
    assert!(files > 40, "{files} files");
    assert!(missing.is_empty(), "neither in the table nor exempt: {}", missing.join(", "));
}

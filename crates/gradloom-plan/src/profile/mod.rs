//! Where time goes: plans, kernels and transfers of all devices of the process, as a timeline for
//! Perfetto and Chrome and as tables by op, layer, line and kernel.
//!
//! `GRADLOOM_PROFILE=1` prints the kernels of every evaluation, `GRADLOOM_PROFILE=trace.json` writes a
//! timeline while the program runs; [`Recording`] does so for a part of a program. Executors ask
//! [`active`] once per evaluation, which is a load of one byte while nobody profiles.

mod described;
mod printed;
mod recording;
mod table;
mod timeline;

use std::collections::HashMap;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use gradloom_tensor::{LayerTag, Origin};

use crate::kernel::Plan;

use described::Described;
use timeline::{Event, Timeline};

pub use recording::Recording;
pub use table::{By, Row, Table};

/// What a device could do at most: what the shares of tables are of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ceilings {
    /// Floating-point operations a second, in f32.
    pub flops: f64,
    /// Bytes a second between the processor and its memory.
    pub bytes: f64,
}

/// What is recorded now. Executors hold it for one evaluation.
#[derive(Debug)]
pub struct Profile {
    printing: bool,
    epoch: Instant,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    timeline: Option<Timeline>,
    kernels: HashMap<Key, Entry>,
    others: HashMap<(String, &'static str), Totals>,
    ceilings: HashMap<String, Ceilings>,
}

/// A kernel of a plan that was run for a line and a layer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    device: String,
    plan: u64,
    index: usize,
    origin: Option<Origin>,
}

#[derive(Debug)]
struct Entry {
    described: Arc<Described>,
    totals: Totals,
}

#[derive(Clone, Copy, Debug, Default)]
struct Totals {
    runs: u64,
    time: Duration,
    bytes: u64,
}

impl Totals {
    fn add(&mut self, time: Duration, bytes: u64) {
        self.runs += 1;
        self.time += time;
        self.bytes += bytes;
    }
}

/// Says the op of a node of a plan, and where it was made.
pub type Sites<'a> = &'a dyn Fn(usize) -> (&'static str, Origin);

/// A kernel that has run.
#[derive(Clone, Copy)]
pub struct KernelRun<'a> {
    /// The device's name.
    pub device: &'a str,
    /// The plan, and the number of the kernel in it.
    pub plan: &'a Plan,
    /// The kernel's number.
    pub index: usize,
    /// When it began.
    pub start: Instant,
    /// How long it took.
    pub time: Duration,
    /// Where it ran, if not on the calling thread.
    pub track: Option<&'static str>,
    /// True if its parts are noted as kernels themselves, so that tables count those.
    pub in_parts: bool,
}

/// Not looked at yet, off, on.
static ON: AtomicU8 = AtomicU8::new(0);
static ACTIVE: Mutex<Option<Arc<Profile>>> = Mutex::new(None);

/// What is recorded now, if anything: begun by [`Recording`], or by `GRADLOOM_PROFILE`.
#[inline]
pub fn active() -> Option<Arc<Profile>> {
    match ON.load(Ordering::Relaxed) {
        1 => None,
        _ => find(),
    }
}

#[cold]
fn find() -> Option<Arc<Profile>> {
    let mut active = lock(&ACTIVE);
    if ON.load(Ordering::Relaxed) == 0 {
        *active = from_environment();
        switch(active.is_some());
    }
    active.clone()
}

fn switch(on: bool) {
    LayerTag::note(on);
    ON.store(if on { 2 } else { 1 }, Ordering::Relaxed);
}

fn from_environment() -> Option<Arc<Profile>> {
    let wanted = std::env::var("GRADLOOM_PROFILE").ok()?;
    match wanted.as_str() {
        "" | "0" => None,
        "1" => Some(Arc::new(Profile::new(true, None))),
        path if path.ends_with(".json") => match Timeline::create(PathBuf::from(path)) {
            Ok(timeline) => Some(Arc::new(Profile::new(false, Some(timeline)))),
            Err(error) => {
                eprintln!(
                    "GRADLOOM_PROFILE={path}: cannot be written: {error}; nothing is recorded"
                );
                None
            }
        },
        other => {
            eprintln!(
                "GRADLOOM_PROFILE={other}: is neither 1 nor a file that ends in .json; nothing is recorded"
            );
            None
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Profile {
    fn new(printing: bool, timeline: Option<Timeline>) -> Profile {
        let state = State { timeline, ..State::default() };
        Profile { printing, epoch: Instant::now(), state: Mutex::new(state) }
    }

    /// True if the ceilings of a device are not known yet: measuring them takes a moment.
    pub fn lacks_ceilings(&self, device: &str) -> bool {
        !self.printing && !lock(&self.state).ceilings.contains_key(device)
    }

    /// What a device could do at most.
    pub fn set_ceilings(&self, device: &str, ceilings: Ceilings) {
        let mut state = lock(&self.state);
        let new = state.ceilings.insert(device.to_owned(), ceilings).is_none();
        if let Some(timeline) = state.timeline.as_mut().filter(|_| new) {
            timeline.ceilings(device, ceilings);
        }
    }

    /// Notes a kernel. In the body of a loop there are no `sites`: its nodes are known by the loop alone.
    pub fn kernel(&self, sites: Option<Sites<'_>>, run: KernelRun<'_>) {
        let kernel = &run.plan.kernels[run.index];
        let origin = sites.map(|sites| sites(described::main_node(kernel)).1);
        let key =
            Key { device: run.device.to_owned(), plan: run.plan.id, index: run.index, origin };
        let mut state = lock(&self.state);
        let entry = state.kernels.entry(key).or_insert_with(|| Entry {
            described: Arc::new(Described::new(&run, sites)),
            totals: Totals::default(),
        });
        if !run.in_parts {
            entry.totals.add(run.time, entry.described.bytes);
        }
        let described = entry.described.clone();
        let start = self.since_start(run.start);
        if let Some(timeline) = &mut state.timeline {
            timeline.kernel(&described, (run.track, run.in_parts), start, run.time);
        }
    }

    /// Notes what is no kernel: planning, a transfer, the compilation of a shader.
    pub fn other(
        &self,
        device: &str,
        what: &'static str,
        detail: &str,
        start: Instant,
        bytes: u64,
    ) {
        let time = start.elapsed();
        let mut state = lock(&self.state);
        state.others.entry((device.to_owned(), what)).or_default().add(time, bytes);
        let start = self.since_start(start);
        if let Some(timeline) = &mut state.timeline {
            timeline.write(Event { device, name: what, kind: "host", detail, bytes, start, time });
        }
    }

    /// Times so far, the longest first.
    pub fn table(&self, by: By) -> Table {
        table::table(&lock(&self.state), by)
    }

    /// Ends an evaluation of some kernels of a plan: prints them if the environment asked for that, else
    /// sees that they are in the file. `times` are of all kernels of the plan.
    pub fn evaluated(
        &self,
        device: &str,
        plan: &Plan,
        kernels: Range<usize>,
        times: &[Option<Duration>],
    ) {
        if self.printing {
            eprint!("{}", printed::evaluation(device, plan, kernels, times));
        }
        if let Some(timeline) = &mut lock(&self.state).timeline {
            timeline.flush();
        }
    }

    fn since_start(&self, moment: Instant) -> Duration {
        moment.saturating_duration_since(self.epoch)
    }
}

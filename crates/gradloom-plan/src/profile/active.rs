//! [`Profile`], and which one is [`active`].

use std::ops::Range;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use gradloom_tensor::LayerTag;

use super::described::{self, Described};
use super::printed;
use super::run::{Ceilings, KernelRun, Sites};
use super::state::{Entry, Key, State, Totals};
use super::table::{self, By, Table};
use super::timeline::{Event, Timeline};
use crate::kernel::Plan;

/// What is recorded now. Executors hold it for one evaluation.
#[derive(Debug)]
pub struct Profile {
    printing: bool,
    epoch: Instant,
    pub(super) state: Mutex<State>,
}

/// Not looked at yet, off, on.
static ON: AtomicU8 = AtomicU8::new(0);
pub(super) static ACTIVE: Mutex<Option<Arc<Profile>>> = Mutex::new(None);

/// What is recorded now, if anything: begun by [`Recording`](super::Recording), or by `GRADLOOM_PROFILE`.
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

pub(super) fn switch(on: bool) {
    LayerTag::note(on);
    ON.store(if on { 2 } else { 1 }, Ordering::Relaxed);
}

pub(super) fn from_environment() -> Option<Arc<Profile>> {
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

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Profile {
    pub(super) fn new(printing: bool, timeline: Option<Timeline>) -> Profile {
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

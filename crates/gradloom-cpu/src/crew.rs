//! [`Crew`]: the threads of one evaluation, kept awake between its kernels, and the tasks that they share.
//!
//! A small network is many kernels of some ten microseconds each. Waking a thread takes longer than such a
//! kernel, so threads that have nothing to do look for work for a while before they sleep, and whoever
//! waits for the last task of a kernel does not sleep at once either. They yield to whatever else wants to
//! run, and how long they wait is bounded.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// How long a thread without work stays awake: several times what it takes to wake one.
const AWAKE: Duration = Duration::from_micros(200);
/// Turns of a loop that waits between two looks at the clock.
const TURNS: usize = 64;

thread_local! {
    /// True while this thread runs an evaluation or waits for the work of one.
    static BUSY: Cell<bool> = const { Cell::new(false) };
}

/// Marks this thread until it is dropped.
struct Busy;

impl Busy {
    /// `None` if the thread is marked already.
    fn mark() -> Option<Busy> {
        (!BUSY.replace(true)).then_some(Busy)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        BUSY.set(false);
    }
}

/// The threads that help with one evaluation.
pub(crate) struct Crew {
    threads: usize,
    state: Arc<State>,
    busy: Option<Busy>,
}

#[derive(Default)]
struct State {
    over: AtomicBool,
    /// Threads that are awake, or are being woken.
    awake: AtomicUsize,
}

impl Crew {
    /// A crew of `threads` threads, of which the calling one is the first.
    pub(crate) fn new(threads: usize) -> Crew {
        let busy = if threads > 1 { Busy::mark() } else { None };
        Crew { threads, state: Arc::default(), busy }
    }

    /// Wakes those that sleep, before a kernel.
    pub(crate) fn rouse(&self) {
        // Threads of an evaluation within another are awake already.
        if self.busy.is_none() {
            return;
        }
        while self.state.awake.load(Ordering::Relaxed) + 1 < self.threads {
            self.state.awake.fetch_add(1, Ordering::Relaxed);
            let state = Arc::clone(&self.state);
            rayon::spawn(move || {
                if let Some(_busy) = Busy::mark() {
                    look_for_work(&state.over);
                }
                state.awake.fetch_sub(1, Ordering::Relaxed);
            });
        }
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        self.state.over.store(true, Ordering::Relaxed);
    }
}

/// Does what tasks there are until the evaluation is over or there were none for some time.
fn look_for_work(over: &AtomicBool) {
    let mut idle: Option<Instant> = None;
    let mut turn = 0;
    while !over.load(Ordering::Relaxed) {
        if rayon::yield_now() == Some(rayon::Yield::Executed) {
            idle = None;
            continue;
        }
        std::hint::spin_loop();
        turn += 1;
        if turn % TURNS == 0 {
            if idle.get_or_insert_with(Instant::now).elapsed() > AWAKE {
                return;
            }
            std::thread::yield_now();
        }
    }
}

/// Runs tasks on several threads: each takes the next one until none is left.
pub(crate) fn share(threads: usize, tasks: usize, run: &(dyn Fn(usize) + Sync)) {
    let (next, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let work = || {
        loop {
            let task = next.fetch_add(1, Ordering::Relaxed);
            if task >= tasks {
                return;
            }
            run(task);
            done.fetch_add(1, Ordering::Relaxed);
        }
    };
    // The scope waits for all, but asleep.
    rayon::scope(|scope| {
        for _ in 1..threads.min(tasks) {
            scope.spawn(|_| work());
        }
        work();
        let since = Instant::now();
        while done.load(Ordering::Relaxed) < tasks && since.elapsed() < AWAKE {
            (0..TURNS).for_each(|_| std::hint::spin_loop());
            std::thread::yield_now();
        }
    });
}

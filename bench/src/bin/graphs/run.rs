//! Threads that check graphs, and a guard against those that hang.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use gradloom::prelude::*;
use gradloom_testkit::graphs::{self, Recipe, Scenario};

use crate::findings::Findings;
use crate::options::{Options, Target};

/// Graphs after which a processor's device is made anew, so that plans and memory do not pile up.
const GRAPHS_PER_DEVICE: u64 = 2_000;

/// What each thread is at, and since when.
type Watch = Mutex<Option<(u64, Instant)>>;

/// True if nothing was found.
pub(crate) fn run(options: &Options) -> Result<bool, String> {
    let mut right = true;
    for target in options.targets()? {
        let start = Instant::now();
        let findings = on(options, &target)?;
        report(&findings, &target, start.elapsed());
        right &= findings.failures == 0;
    }
    Ok(right)
}

fn on(options: &Options, target: &Target) -> Result<Findings, String> {
    let next = AtomicU64::new(options.seed);
    let watches: Vec<Watch> = (0..options.threads).map(|_| Mutex::new(None)).collect();
    let drawn = {
        let device = target.device(1).map_err(|error| error.to_string())?;
        drawn(options, &device)
    };
    let mut all = Findings::default();
    std::thread::scope(|scope| {
        let workers: Vec<_> = watches
            .iter()
            .enumerate()
            .map(|(number, watch)| {
                let (next, drawn) = (&next, &drawn);
                let builder = std::thread::Builder::new().name(format!("worker {number}"));
                let work = move || worker(options, target, drawn, next, watch, number);
                builder.spawn_scoped(scope, work)
            })
            .collect();
        let mut asleep = 0u32;
        while workers.iter().flatten().any(|worker| !worker.is_finished()) {
            std::thread::sleep(Duration::from_millis(50));
            asleep += 1;
            guard(options, drawn.clone(), &watches);
            if asleep.is_multiple_of(200) {
                eprintln!("  {} of {}", next.load(Ordering::Relaxed) - options.seed, options.count);
            }
        }
        for worker in workers {
            let worker = worker.map_err(|error| error.to_string())?;
            all.add(worker.join().map_err(|_| "a worker panicked".to_string())??);
        }
        Ok(all)
    })
}

fn drawn(options: &Options, device: &Device) -> graphs::Options {
    let drawn = graphs::Options::of(device);
    let drawn = if options.few_shapes { drawn.few_shapes() } else { drawn };
    graphs::Options { gradients_only: options.gradients_only, ..drawn }
}

fn worker(
    options: &Options,
    target: &Target,
    drawn: &graphs::Options,
    next: &AtomicU64,
    watch: &Watch,
    number: usize,
) -> Result<Findings, String> {
    let mut findings = Findings::default();
    let mut device: Option<Device> = None;
    loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed >= options.seed + options.count {
            return Ok(findings);
        }
        if findings.graphs.is_multiple_of(GRAPHS_PER_DEVICE) && matches!(target, Target::Level(_)) {
            device = None;
        }
        let device = match &mut device {
            Some(device) => device,
            // Every second worker's kernels run on two threads.
            none => none.insert(target.device(1 + number % 2).map_err(|error| error.to_string())?),
        };
        *watch.lock().unwrap_or_else(PoisonError::into_inner) = Some((seed, Instant::now()));
        let mut recipe = Recipe::random(seed, drawn);
        if options.alone {
            recipe.scenario = Scenario::Alone;
            recipe.roots = Vec::from_iter(0..recipe.steps.len());
        }
        findings.check(&recipe, seed, device, options.shrink);
        *watch.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// Ends the program if a graph takes too long: a thread that hangs cannot be stopped.
fn guard(options: &Options, drawn: graphs::Options, watches: &[Watch]) {
    for watch in watches {
        let at = *watch.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((seed, since)) = at else { continue };
        // Shrinking a failure takes many evaluations.
        if since.elapsed() > Duration::from_secs(options.limit_seconds) {
            println!("seed {seed} hangs:\n{}", Recipe::random(seed, &drawn).source("hangs"));
            std::process::exit(1);
        }
    }
}

fn report(findings: &Findings, target: &Target, took: Duration) {
    let seconds = took.as_secs_f64();
    println!(
        "{target:?}: {} graphs in {seconds:.1} s ({:.0} per second), {} with gradients, {} failures",
        findings.graphs,
        findings.graphs as f64 / seconds,
        findings.with_gradients,
        findings.failures,
    );
    println!(
        "  {} elements compared, {} left out; {} graphs mostly left out, {} meaningless",
        findings.coverage.compared, findings.coverage.left_out, findings.thin, findings.meaningless,
    );
    if let Some(shaders) = target.shaders() {
        println!("  {shaders} distinct shaders");
    }
    let mut kinds: Vec<_> = findings.kinds.iter().collect();
    kinds.sort_by_key(|(_, finding)| std::cmp::Reverse(finding.count));
    for (kind, finding) in kinds {
        println!("\n{} x {kind}\n  seed {}: {}", finding.count, finding.seed, finding.message);
        print!("{}", finding.source);
    }
}

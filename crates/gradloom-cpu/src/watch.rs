//! [`Watch`]: a profile that somebody records, for one evaluation of this device.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use gradloom_plan::profile::{Ceilings, KernelRun, Profile, Sites, active};
use gradloom_plan::{KernelKind, Plan};

use crate::ceilings;
use crate::simd::Level;

/// A profile, and what it calls the device.
pub(crate) struct Watch<'a> {
    profile: Arc<Profile>,
    device: &'a str,
    /// When the transfer or evaluation began.
    since: Instant,
}

impl<'a> Watch<'a> {
    /// What is recorded now, if anything.
    pub(crate) fn of(device: &'a str, level: Level) -> Option<Watch<'a>> {
        let profile = active()?;
        if profile.lacks_ceilings(device) {
            profile.set_ceilings(device, ceilings_of(level));
        }
        Some(Watch { profile, device, since: Instant::now() })
    }

    /// Notes a kernel that has just run; gives its time.
    pub(crate) fn kernel(
        &self,
        sites: Option<Sites<'_>>,
        plan: &Plan,
        index: usize,
        start: Instant,
    ) -> Duration {
        let time = start.elapsed();
        let in_parts = matches!(plan.kernels[index].kind, KernelKind::Loop(_));
        let device = self.device;
        let run = KernelRun { device, plan, index, start, time, track: None, in_parts };
        self.profile.kernel(sites, run);
        time
    }

    /// Notes that elements came from or went to the program.
    pub(crate) fn transfer(&self, what: &'static str, bytes: usize) {
        self.profile.other(self.device, what, "", self.since, bytes as u64);
    }

    /// Ends an evaluation.
    pub(crate) fn evaluated(&self, plan: &Plan, times: &[Option<Duration>]) {
        self.profile.evaluated(self.device, plan, 0..plan.kernels.len(), times);
    }
}

/// What the processor can do with a level's instructions, measured once.
fn ceilings_of(level: Level) -> Ceilings {
    static MEASURED: OnceLock<(Level, Ceilings)> = OnceLock::new();
    let (measured, ceilings) = MEASURED.get_or_init(|| (level, ceilings::measure(level)));
    if *measured == level { *ceilings } else { ceilings::measure(level) }
}

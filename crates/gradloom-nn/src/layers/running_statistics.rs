//! [`RunningStatistics`]: mean and variance of channels as training has seen them.

use crate::{Context, Init, Module, Parameter};
use gradloom_tensor::Tensor;

/// Mean and variance of each channel, which move towards those of each batch in training and are used
/// otherwise. They are f32 for weights of f16 and bf16, whose range a variance leaves early.
#[derive(Module, Clone, Debug)]
pub struct RunningStatistics {
    /// `[C]`
    pub running_mean: Parameter,
    /// `[C]`
    pub running_var: Parameter,
    /// `[]`, of a mean over all batches: how many there were.
    pub num_batches_tracked: Option<Parameter>,
    momentum: f64,
}

impl RunningStatistics {
    /// Of mean zero and variance one; they move by 0.1 of the way.
    #[track_caller]
    pub(super) fn new(channels: usize, init: &mut Init) -> Self {
        RunningStatistics {
            running_mean: init.state(channels, 0.0),
            running_var: init.state(channels, 1.0),
            num_batches_tracked: None,
            momentum: 0.1,
        }
    }

    pub(super) fn momentum(mut self, momentum: f64) -> Self {
        (self.momentum, self.num_batches_tracked) = (momentum, None);
        self
    }

    /// The mean over all batches instead.
    pub(super) fn cumulative(mut self, init: &mut Init) -> Self {
        self.num_batches_tracked = Some(init.state((), 0.0));
        self
    }

    /// Notes statistics that moved towards a batch's, `[C]` each, of `count` values of each channel.
    #[track_caller]
    pub(super) fn record(&self, mean: &Tensor, variance: &Tensor, count: usize, ctx: &mut Context) {
        let unbiased = count as f64 / (count as f64 - 1.0);
        let measured = ctx.batches_measured();
        let share = self.num_batches_tracked.as_ref().map(|tracked| {
            let count = match measured {
                Some(batches) => tracked.constant_like((batches + 1) as f64),
                None => ctx.recorded(tracked) + 1.0,
            };
            ctx.record(tracked, count.clone());
            count.reciprocal()
        });
        let pairs = [(&self.running_mean, mean, 1.0), (&self.running_var, variance, unbiased)];
        for (running, batch, factor) in pairs {
            let batch = batch.detach() * factor;
            let old = ctx.recorded(running).wide();
            let moved = match (measured, &share) {
                (Some(batches), _) => measured_anew(running, batches, batch, ctx),
                (None, Some(share)) => &old + (batch - &old) * share,
                (None, None) => old * (1.0 - self.momentum) + batch * self.momentum,
            };
            ctx.record(running, moved.cast(running.dtype()));
        }
    }
}

/// The mean over the batches before, which the parameter holds, and over all runs of this one, of which `latest`
/// is the last.
#[track_caller]
fn measured_anew(running: &Parameter, batches: u64, latest: Tensor, ctx: &Context) -> Tensor {
    let share = 1.0 / (batches + 1) as f64;
    // What there was before the first batch may be anything, also NaN.
    let with_latest = match batches {
        0 => latest,
        _ => running.wide() * (1.0 - share) + latest * share,
    };
    match ctx.times_recorded(running) {
        0 => with_latest,
        times => {
            let each = 1.0 / f64::from(times + 1);
            ctx.recorded(running).wide() * (1.0 - each) + with_latest * each
        }
    }
}

//! [`Gpu`]: an opened adapter, and how its errors become values: nothing that a driver reports may
//! panic.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use gradloom_tensor::{Error, Result};

use crate::info::AdapterInfo;
use crate::late::{Late, convert};
use crate::wait::{After, Poller, Signal, Wait, cannot_block};

/// How long, and how often, the call back of finished work is waited for.
const CALLBACK_WAIT: Duration = Duration::from_millis(50);
const CALLBACK_WAITS: usize = 200;

/// An opened adapter.
#[derive(Debug)]
pub(crate) struct Gpu {
    pub(crate) info: AdapterInfo,
    pub(crate) device: wgpu::Device,
    pub(crate) queue: wgpu::Queue,
    pub(crate) limits: wgpu::Limits,
    pub(crate) features: wgpu::Features,
    faults: Arc<Faults>,
    late: Late,
    poller: Poller,
}

/// What callbacks of the driver have reported.
#[derive(Debug, Default)]
struct Faults {
    lost: Mutex<Option<String>>,
    uncaptured: Mutex<Option<Error>>,
}

impl Gpu {
    /// What the device is called.
    pub(crate) fn name(&self) -> String {
        format!("{}: {}", self.info.backend, self.info.name)
    }

    /// Opens an adapter with all its limits and the optional features that kernels know to use.
    pub(crate) async fn open(adapter: &wgpu::Adapter, info: AdapterInfo) -> Result<Gpu> {
        let optional = wgpu::Features::SUBGROUP
            | wgpu::Features::TIMESTAMP_QUERY
            | wgpu::Features::PIPELINE_CACHE;
        let features = adapter.features() & optional;
        let limits = adapter.limits();
        let descriptor = wgpu::DeviceDescriptor {
            label: Some("gradloom"),
            required_features: features,
            required_limits: limits.clone(),
            memory_hints: wgpu::MemoryHints::Performance,
            ..Default::default()
        };
        let opened = adapter.request_device(&descriptor).await;
        let (device, queue) = opened.map_err(|error| {
            Error::device_not_found(format!("{info} refuses to open: {error}; try another adapter"))
        })?;
        let faults = Arc::new(Faults::default());
        let reported = Arc::clone(&faults);
        device.on_uncaptured_error(Arc::new(move |error| {
            let mut first = reported.uncaptured.lock().unwrap_or_else(PoisonError::into_inner);
            first.get_or_insert(convert("the device", error));
        }));
        let reported = Arc::clone(&faults);
        device.set_device_lost_callback(move |reason, message| {
            let mut lost = reported.lost.lock().unwrap_or_else(PoisonError::into_inner);
            lost.get_or_insert(format!("{reason:?}: {message}"));
        });
        let (late, poller) = (Late::default(), Poller::default());
        Ok(Gpu { info, device, queue, limits, features, faults, late, poller })
    }

    /// Fails if the device is lost or a call before failed outside any scope.
    pub(crate) fn check(&self) -> Result<()> {
        if let Some(reason) = &*self.faults.lost.lock().unwrap_or_else(PoisonError::into_inner) {
            return Err(self.lost(reason));
        }
        let mut fault = self.faults.uncaptured.lock().unwrap_or_else(PoisonError::into_inner);
        fault.take().map_or(Ok(()), Err)?;
        drop(fault);
        self.late.look()
    }

    fn lost(&self, reason: &str) -> Error {
        Error::device_lost(format!(
            "{} was lost ({reason}); open the device again and upload the data anew",
            self.info
        ))
    }

    /// True once the device is lost.
    pub(crate) fn is_lost(&self) -> bool {
        self.faults.lost.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Runs `work` and gives its result, or the first error that the driver reported meanwhile. A browser
    /// reports it later: see [`Gpu::reports`].
    pub(crate) fn scoped<T>(&self, what: &str, work: impl FnOnce() -> T) -> Result<T> {
        let filters = [
            wgpu::ErrorFilter::Internal,
            wgpu::ErrorFilter::OutOfMemory,
            wgpu::ErrorFilter::Validation,
        ];
        let mut scopes: Vec<_> =
            filters.into_iter().map(|filter| self.device.push_error_scope(filter)).collect();
        let result = work();
        let mut first = None;
        while let Some(scope) = scopes.pop() {
            let error = self.late.answer(what, scope.pop());
            first = first.or(error);
        }
        match first {
            None => Ok(result),
            Some(error) => {
                self.check()?;
                Err(convert(what, error))
            }
        }
    }

    /// Waits for what a browser has yet to report of the work so far; the first error.
    pub(crate) async fn reports(&self) -> Result<()> {
        let reported = self.late.all().await;
        self.check()?;
        reported
    }

    /// Blocks until everything submitted so far is done.
    pub(crate) fn wait(&self) -> Result<()> {
        self.wait_after(None)
    }

    fn wait_after(&self, submission_index: After) -> Result<()> {
        if cfg!(target_family = "wasm") {
            return Err(cannot_block());
        }
        let waited = self.device.poll(wgpu::PollType::Wait { submission_index, timeout: None });
        self.check()?;
        waited
            .map(drop)
            .map_err(|error| Error::backend(format!("waiting for {}: {error}", self.info)))
    }

    /// Blocks until a signal is set that waits for a submission.
    pub(crate) fn poll_until(&self, signal: &Signal, after: After) -> Result<()> {
        self.wait_after(after)?;
        // The call back may run in another thread that polls at the same time, a little later.
        for _ in 0..CALLBACK_WAITS {
            if signal.is_set_within(CALLBACK_WAIT) {
                return Ok(());
            }
            self.wait()?;
        }
        Err(Error::backend(format!("waiting for {}: the device did not finish", self.info)))
    }

    /// Waits for what a signal reports of a submission.
    async fn report(self: &Arc<Self>, signal: Arc<Signal>, after: After, wait: Wait) -> Result<()> {
        match wait {
            Wait::Blocking => self.poll_until(&signal, after)?,
            Wait::Awaiting => {
                let gpu = Arc::downgrade(self);
                let poll = move |signal: &Signal, after| {
                    gpu.upgrade().map(|gpu| gpu.poll_until(signal, after))
                };
                let failed = |error| Error::backend(format!("waiting for {}: {error}", self.info));
                self.poller.watch(&signal, after, poll).map_err(failed)?;
            }
        }
        let reported = poll_fn(|context| signal.poll(context)).await;
        self.check()?;
        reported
    }

    /// Waits for everything submitted so far.
    pub(crate) async fn done(self: &Arc<Self>, wait: Wait) -> Result<()> {
        let signal = Arc::new(Signal::default());
        let reported = Arc::clone(&signal);
        self.queue.on_submitted_work_done(move || reported.set(Ok(())));
        self.report(signal, None, wait).await
    }

    /// The first `bytes` of a buffer once a submission is done; the caller unmaps it.
    pub(crate) async fn mapped(
        self: &Arc<Self>,
        buffer: &wgpu::Buffer,
        bytes: u64,
        after: After,
        wait: Wait,
    ) -> Result<wgpu::BufferView> {
        let failed = |reason: String| {
            // That a device is gone is reported by a poll, maybe after errors of what was asked of it.
            let _ = self.device.poll(wgpu::PollType::Poll);
            // Nobody destroys buffers but a device that goes; those that it makes then are invalid.
            let gone = ["has been destroyed", "is invalid"];
            if !self.is_lost() && !gone.iter().any(|gone| reason.contains(gone)) {
                return Error::backend(format!("reading from {}: {reason}", self.info));
            }
            let mut lost = self.faults.lost.lock().unwrap_or_else(PoisonError::into_inner);
            self.lost(lost.get_or_insert(reason))
        };
        let signal = Arc::new(Signal::default());
        let reported = Arc::clone(&signal);
        buffer.map_async(wgpu::MapMode::Read, 0..bytes, move |result| {
            reported.set(result.map_err(|error| Error::backend(error.to_string())));
        });
        self.report(signal, after, wait).await.map_err(|error| match error.is_device_lost() {
            true => error,
            false => failed(error.to_string()),
        })?;
        buffer.get_mapped_range(0..bytes).map_err(|error| failed(error.to_string()))
    }
}

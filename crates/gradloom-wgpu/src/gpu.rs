//! [`Gpu`]: an opened adapter, and how its errors become values: nothing that a driver reports may
//! panic.

use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

use gradloom_tensor::{Error, Result};

use crate::info::AdapterInfo;

/// How long, and how often, the call back of a finished mapping is waited for.
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
}

/// What callbacks of the driver have reported.
#[derive(Debug, Default)]
struct Faults {
    lost: Mutex<Option<String>>,
    uncaptured: Mutex<Option<Error>>,
}

impl Gpu {
    /// Opens an adapter with all its limits and the optional features that kernels know to use.
    pub(crate) fn open(adapter: &wgpu::Adapter, info: AdapterInfo) -> Result<Gpu> {
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
        let opened = pollster::block_on(adapter.request_device(&descriptor));
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
        Ok(Gpu { info, device, queue, limits, features, faults })
    }

    /// Fails if the device is lost or a call before failed outside any scope.
    pub(crate) fn check(&self) -> Result<()> {
        if let Some(reason) = &*self.faults.lost.lock().unwrap_or_else(PoisonError::into_inner) {
            return Err(Error::device_lost(format!(
                "{} was lost ({reason}); open the device again and upload the data anew",
                self.info
            )));
        }
        let mut fault = self.faults.uncaptured.lock().unwrap_or_else(PoisonError::into_inner);
        fault.take().map_or(Ok(()), Err)
    }

    /// True once the device is lost.
    pub(crate) fn is_lost(&self) -> bool {
        self.faults.lost.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Runs `work` and gives its result, or the first error that the driver reported meanwhile.
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
            let error = pollster::block_on(scope.pop());
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

    /// Waits for everything submitted so far.
    pub(crate) fn wait(&self) -> Result<()> {
        let waited = self.device.poll(wgpu::PollType::wait_indefinitely());
        self.check()?;
        waited
            .map(drop)
            .map_err(|error| Error::backend(format!("waiting for {}: {error}", self.info)))
    }
}

/// Waits until the first `bytes` of a buffer can be read; the caller unmaps it.
pub(crate) fn map_for_reading(
    gpu: &Gpu,
    buffer: &wgpu::Buffer,
    bytes: u64,
) -> Result<wgpu::BufferView> {
    let (sender, receiver) = mpsc::channel();
    buffer.map_async(wgpu::MapMode::Read, 0..bytes, move |result| {
        // The receiver is gone only if this read has failed already.
        let _ = sender.send(result);
    });
    gpu.wait()?;
    // The call back may run in another thread that polls at the same time, a little later.
    let mut result = None;
    for _ in 0..CALLBACK_WAITS {
        result = receiver.recv_timeout(CALLBACK_WAIT).ok();
        if result.is_some() {
            break;
        }
        gpu.wait()?;
    }
    let failed = |reason: String| Error::backend(format!("reading from {}: {reason}", gpu.info));
    match result {
        Some(Ok(())) => {
            buffer.get_mapped_range(0..bytes).map_err(|error| failed(error.to_string()))
        }
        Some(Err(error)) => Err(failed(error.to_string())),
        None => Err(failed("the device did not finish its work".to_owned())),
    }
}

fn convert(what: &str, error: wgpu::Error) -> Error {
    match error {
        wgpu::Error::OutOfMemory { .. } => Error::out_of_memory(format!(
            "{what}: the GPU has no memory left; use smaller batches or drop tensors"
        )),
        wgpu::Error::Validation { description, .. } | wgpu::Error::Internal { description, .. } => {
            Error::backend(format!("{what}: {description}"))
        }
    }
}

//! Adapters: what GPUs there are, and one shared [`Device`] for each.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use gradloom_tensor::{BoxFuture, Device, Error, Result};

use crate::backend::WgpuBackend;
use crate::gpu::Gpu;
use crate::info::{AdapterInfo, AdapterKind};
use crate::self_test::examined;
use crate::wait::{Wait, finish};

/// The instance, its adapters in order of preference, and the devices made so far.
struct Registry {
    #[cfg(target_family = "wasm")]
    instance: wgpu::Instance,
    adapters: Vec<(AdapterInfo, wgpu::Adapter)>,
    devices: Mutex<HashMap<usize, Device>>,
}

static REGISTRY: OnceLock<Registry> = OnceLock::new();

/// The registry, which is made at the first call.
#[cfg(not(target_family = "wasm"))]
async fn registry() -> &'static Registry {
    REGISTRY.get_or_init(|| {
        let instance = instance();
        // Nothing is waited for: drivers are asked at once.
        let found = pollster::block_on(instance.enumerate_adapters(wgpu::Backends::PRIMARY));
        Registry { adapters: sorted(&instance, found), devices: Mutex::default() }
    })
}

/// The registry, which is made at the first call: a browser names one adapter, the fastest.
#[cfg(target_family = "wasm")]
async fn registry() -> &'static Registry {
    if let Some(registry) = REGISTRY.get() {
        return registry;
    }
    let instance = instance();
    let found = instance.request_adapter(&fastest()).await.ok();
    let adapters = sorted(&instance, found.into_iter().collect());
    REGISTRY.get_or_init(|| Registry { instance, adapters, devices: Mutex::default() })
}

#[cfg(target_family = "wasm")]
fn fastest() -> wgpu::RequestAdapterOptions<'static, 'static> {
    let power_preference = wgpu::PowerPreference::HighPerformance;
    wgpu::RequestAdapterOptions { power_preference, ..Default::default() }
}

fn instance() -> wgpu::Instance {
    let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
    descriptor.backends = wgpu::Backends::PRIMARY;
    descriptor.flags = wgpu::InstanceFlags::ALLOW_UNDERLYING_NONCOMPLIANT_ADAPTER;
    if std::env::var_os("GRADLOOM_GPU_VALIDATION").is_some() {
        descriptor.flags |= wgpu::InstanceFlags::debugging();
    }
    wgpu::Instance::new(descriptor)
}

fn sorted(
    instance: &wgpu::Instance,
    found: Vec<wgpu::Adapter>,
) -> Vec<(AdapterInfo, wgpu::Adapter)> {
    let packed_dot = instance
        .wgsl_language_features()
        .contains(wgpu::WgslLanguageFeatures::Packed4x8IntegerDotProduct);
    let mut adapters: Vec<_> =
        found.into_iter().map(|adapter| (describe(&adapter, packed_dot), adapter)).collect();
    adapters.sort_by_key(|(info, _)| info.kind);
    for (index, (info, _)) in adapters.iter_mut().enumerate() {
        info.index = index;
    }
    adapters
}

fn describe(adapter: &wgpu::Adapter, packed_dot: bool) -> AdapterInfo {
    let info = adapter.get_info();
    let features = adapter.features();
    AdapterInfo {
        index: 0,
        name: info.name,
        backend: info.backend.to_str().to_owned(),
        kind: match info.device_type {
            wgpu::DeviceType::DiscreteGpu => AdapterKind::Discrete,
            wgpu::DeviceType::IntegratedGpu => AdapterKind::Integrated,
            wgpu::DeviceType::VirtualGpu | wgpu::DeviceType::Other => AdapterKind::Virtual,
            wgpu::DeviceType::Cpu => AdapterKind::Software,
        },
        driver: [info.driver, info.driver_info].join(" ").trim().to_owned(),
        subgroups: features
            .contains(wgpu::Features::SUBGROUP)
            .then_some((info.subgroup_min_size, info.subgroup_max_size)),
        packed_dot,
    }
}

impl Registry {
    fn infos(&self) -> Vec<AdapterInfo> {
        self.adapters.iter().map(|(info, _)| info.clone()).collect()
    }

    /// The device of an adapter, if one is open and not lost.
    fn open(&self, index: usize) -> Option<Device> {
        let device = self.devices().get(&index)?.clone();
        let backend = device.backend().as_any().downcast_ref::<WgpuBackend>();
        let lost = backend.is_some_and(WgpuBackend::is_lost);
        (!lost).then_some(device)
    }

    /// The adapter to open. Natively it is the one that was found; in a browser it is asked for again,
    /// because there an adapter opens one device and no second one after that is lost.
    async fn adapter(&self, index: usize) -> Result<wgpu::Adapter> {
        #[cfg(target_family = "wasm")]
        if self.devices().contains_key(&index) {
            let adapter = self.instance.request_adapter(&fastest()).await;
            return adapter.map_err(|error| Error::device_not_found(error.to_string()));
        }
        Ok(self.adapters[index].1.clone())
    }

    fn devices(&self) -> MutexGuard<'_, HashMap<usize, Device>> {
        self.devices.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What to do where there is no adapter.
const NO_ADAPTER: &str = if cfg!(target_family = "wasm") {
    "no GPU adapter found: this browser has no WebGPU, or not for this page or machine; use the CPU device"
} else {
    "no GPU adapter found: install a Vulkan driver (on Linux without a GPU, `mesa-vulkan-drivers` brings a \
     software one), or use the CPU device"
};

/// Every adapter of this machine, best first: discrete, integrated, virtual, software. In a browser there
/// are none before [`adapters_async`] or [`device_async`] was awaited.
pub fn adapters() -> Vec<AdapterInfo> {
    let registry = finish(async { Ok(registry().await) }).ok().or_else(|| REGISTRY.get());
    registry.map(Registry::infos).unwrap_or_default()
}

/// The adapters themselves, for tests that open them on their own.
#[cfg(test)]
pub(crate) fn raw_adapters() -> Vec<(AdapterInfo, wgpu::Adapter)> {
    finish(async { Ok(registry().await.adapters.clone()) }).unwrap_or_default()
}

/// As [`adapters`], without blocking: a browser is asked for its adapter.
pub fn adapters_async() -> BoxFuture<'static, Vec<AdapterInfo>> {
    Box::pin(async { registry().await.infos() })
}

/// The device that `selector` names. The same adapter always gives the same shared device.
///
/// `""` or `"best"` is the first adapter, `"2"` the third of [`adapters`], `"vulkan"` the first of that
/// backend and `"vulkan:1"` its second; other text is looked for in the names of adapters.
///
/// # Errors
/// If there is no such adapter, or its driver refuses to make a device; in a browser if no device was
/// awaited before ([`device_async`]).
pub fn device(selector: &str) -> Result<Device> {
    static OPENING: Mutex<()> = Mutex::new(());
    if let Some(registry) = REGISTRY.get()
        && let Some(device) = registry.open(select(&registry.adapters, selector)?)
    {
        return Ok(device);
    }
    // Threads that ask at the same time open it once.
    let _opening = OPENING.lock().unwrap_or_else(PoisonError::into_inner);
    finish(opened(selector, Wait::Blocking))
}

/// As [`device`], without blocking: in a browser the only way to a device.
///
/// # Errors
/// If there is no such adapter, or its driver refuses to make a device.
pub fn device_async(selector: &str) -> BoxFuture<'_, Result<Device>> {
    Box::pin(opened(selector, Wait::Awaiting))
}

async fn opened(selector: &str, wait: Wait) -> Result<Device> {
    let registry = registry().await;
    let index = select(&registry.adapters, selector)?;
    if let Some(device) = registry.open(index) {
        return Ok(device);
    }
    let adapter = registry.adapter(index).await?;
    let gpu = Gpu::open(&adapter, registry.adapters[index].0.clone()).await?;
    let examined = examined(gpu, adapter, wait).await?;
    // Somebody else may have opened it meanwhile.
    if let Some(device) = registry.open(index) {
        return Ok(device);
    }
    let device = Device::new(Arc::new(WgpuBackend::new(examined)));
    registry.devices().insert(index, device.clone());
    Ok(device)
}

fn select(adapters: &[(AdapterInfo, wgpu::Adapter)], selector: &str) -> Result<usize> {
    let adapters: Vec<&AdapterInfo> = adapters.iter().map(|(info, _)| info).collect();
    if adapters.is_empty() {
        return Err(Error::device_not_found(NO_ADAPTER));
    }
    let selector = selector.trim().to_lowercase();
    let (name, position) = match selector.split_once(':') {
        Some((name, position)) => (name, position.parse::<usize>().ok()),
        None => (selector.as_str(), Some(0)),
    };
    let found = if selector.is_empty() || selector == "best" {
        adapters.first()
    } else if let Ok(index) = selector.parse::<usize>() {
        adapters.get(index)
    } else if adapters.iter().any(|info| info.backend == name) {
        position
            .and_then(|position| adapters.iter().filter(|info| info.backend == name).nth(position))
    } else {
        adapters.iter().find(|info| info.name.to_lowercase().contains(&selector))
    };
    found.map(|info| info.index).ok_or_else(|| {
        let list: Vec<String> =
            adapters.iter().map(|info| format!("{} = {info}", info.index)).collect();
        Error::device_not_found(format!(
            "no GPU adapter matches `{selector}`; there is: {}",
            list.join("; ")
        ))
    })
}

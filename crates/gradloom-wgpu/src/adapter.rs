//! Adapters: what GPUs there are, and one shared [`Device`] for each.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use gradloom_tensor::{Device, Error, Result};

use crate::backend::WgpuBackend;
use crate::gpu::Gpu;
use crate::info::{AdapterInfo, AdapterKind};

/// The instance, its adapters in order of preference, and the devices made so far.
struct Registry {
    adapters: Vec<(AdapterInfo, wgpu::Adapter)>,
    devices: Mutex<HashMap<usize, Device>>,
}

fn registry() -> &'static Registry {
    static REGISTRY: OnceLock<Registry> = OnceLock::new();
    REGISTRY.get_or_init(|| {
        let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
        descriptor.backends = wgpu::Backends::PRIMARY;
        descriptor.flags = wgpu::InstanceFlags::ALLOW_UNDERLYING_NONCOMPLIANT_ADAPTER;
        if std::env::var_os("GRADLOOM_GPU_VALIDATION").is_some() {
            descriptor.flags |= wgpu::InstanceFlags::debugging();
        }
        let instance = wgpu::Instance::new(descriptor);
        let packed_dot = instance
            .wgsl_language_features()
            .contains(wgpu::WgslLanguageFeatures::Packed4x8IntegerDotProduct);
        let found = pollster::block_on(instance.enumerate_adapters(wgpu::Backends::PRIMARY));
        let mut adapters: Vec<_> =
            found.into_iter().map(|adapter| (describe(&adapter, packed_dot), adapter)).collect();
        adapters.sort_by_key(|(info, _)| info.kind);
        for (index, (info, _)) in adapters.iter_mut().enumerate() {
            info.index = index;
        }
        Registry { adapters, devices: Mutex::new(HashMap::new()) }
    })
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

/// Every adapter of this machine, best first: discrete, integrated, virtual, software.
pub fn adapters() -> Vec<AdapterInfo> {
    registry().adapters.iter().map(|(info, _)| info.clone()).collect()
}

/// The device that `selector` names. The same adapter always gives the same shared device.
///
/// `""` or `"best"` is the first adapter, `"2"` the third of [`adapters`], `"vulkan"` the first of that
/// backend and `"vulkan:1"` its second; other text is looked for in the names of adapters.
///
/// # Errors
/// If there is no such adapter, or its driver refuses to make a device.
pub fn device(selector: &str) -> Result<Device> {
    let registry = registry();
    let index = select(selector)?;
    let mut devices = registry.devices.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(device) = devices.get(&index) {
        let lost = device
            .backend()
            .as_any()
            .downcast_ref::<WgpuBackend>()
            .is_some_and(WgpuBackend::is_lost);
        if !lost {
            return Ok(device.clone());
        }
    }
    let (info, adapter) = &registry.adapters[index];
    let gpu = Gpu::open(adapter, info.clone())?;
    let device = Device::new(Arc::new(WgpuBackend::new(gpu)));
    devices.insert(index, device.clone());
    Ok(device)
}

fn select(selector: &str) -> Result<usize> {
    let adapters: Vec<&AdapterInfo> = registry().adapters.iter().map(|(info, _)| info).collect();
    if adapters.is_empty() {
        return Err(Error::device_not_found(
            "no GPU adapter found: install a Vulkan driver (on Linux without a GPU, \
             `mesa-vulkan-drivers` brings a software one), or use the CPU device",
        ));
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

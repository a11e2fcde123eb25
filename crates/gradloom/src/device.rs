//! Choosing a device: [`SelectDevice`] gives `Device` its constructors.
//!
//! An explicit choice that cannot be met is an error, never a silent fall back to another device.

use gradloom_tensor::{BoxFuture, Device, Error, Result};

/// The constructors of [`Device`]: `Device::cpu()`, `Device::gpu()?`, `Device::best()?`.
///
/// In a browser a GPU has to be awaited: `Device::gpu_async().await?`. The blocking forms find there only
/// what was awaited before.
pub trait SelectDevice: Sized {
    /// The CPU, always there.
    fn cpu() -> Self;

    /// The first GPU: discrete before integrated before software.
    ///
    /// # Errors
    /// If there is none, or its driver refuses.
    fn gpu() -> Result<Self>;

    /// Every GPU adapter that a device can be made on, software drivers included.
    fn gpus() -> Vec<Self>;

    /// What `GRADLOOM_DEVICE` names; without it the first hardware GPU, else the CPU.
    ///
    /// # Errors
    /// If `GRADLOOM_DEVICE` names a device that does not exist.
    fn best() -> Result<Self>;

    /// A device by name: `cpu`, `gpu`, `vulkan`, `vulkan:1`, `metal`, `dx12`, or part of an adapter's
    /// name.
    ///
    /// # Errors
    /// If there is no such device; the message lists those there are.
    fn named(name: &str) -> Result<Self>;

    /// As [`SelectDevice::gpu`], without blocking.
    ///
    /// # Errors
    /// As [`SelectDevice::gpu`].
    fn gpu_async() -> BoxFuture<'static, Result<Self>>;

    /// As [`SelectDevice::best`], without blocking.
    ///
    /// # Errors
    /// As [`SelectDevice::best`].
    fn best_async() -> BoxFuture<'static, Result<Self>>;

    /// As [`SelectDevice::named`], without blocking.
    ///
    /// # Errors
    /// As [`SelectDevice::named`].
    fn named_async(name: &str) -> BoxFuture<'_, Result<Self>>;
}

impl SelectDevice for Device {
    fn cpu() -> Device {
        gradloom_cpu::device()
    }

    fn gpu() -> Result<Device> {
        Device::named("gpu")
    }

    fn gpus() -> Vec<Device> {
        gpu::all()
    }

    fn best() -> Result<Device> {
        match wished() {
            Some(name) => Device::named(&name).map_err(|error| of_environment(error, &name)),
            None => {
                let hardware = gpu::first_hardware(&gpu::adapters());
                let device = hardware.and_then(|name| Device::named(&name).ok());
                Ok(device.unwrap_or_else(Device::cpu))
            }
        }
    }

    fn named(name: &str) -> Result<Device> {
        match name {
            "cpu" => Ok(Device::cpu()),
            name => gpu::named(adapter_of(name)),
        }
    }

    fn gpu_async() -> BoxFuture<'static, Result<Device>> {
        Device::named_async("gpu")
    }

    fn best_async() -> BoxFuture<'static, Result<Device>> {
        Box::pin(async {
            let Some(name) = wished() else {
                let hardware = gpu::first_hardware(&gpu::adapters_async().await);
                let Some(name) = hardware else { return Ok(Device::cpu()) };
                return Ok(Device::named_async(&name).await.unwrap_or_else(|_| Device::cpu()));
            };
            Device::named_async(&name).await.map_err(|error| of_environment(error, &name))
        })
    }

    fn named_async(name: &str) -> BoxFuture<'_, Result<Device>> {
        match name {
            "cpu" => Box::pin(std::future::ready(Ok(Device::cpu()))),
            name => gpu::named_async(adapter_of(name)),
        }
    }
}

/// What selects the adapter of a device's name.
fn adapter_of(name: &str) -> &str {
    if name == "gpu" { "best" } else { name }
}

/// The name in `GRADLOOM_DEVICE`.
fn wished() -> Option<String> {
    let name = std::env::var("GRADLOOM_DEVICE").ok()?;
    let name = name.trim();
    (!name.is_empty()).then(|| name.to_owned())
}

fn of_environment(error: Error, name: &str) -> Error {
    error.context(format!("GRADLOOM_DEVICE={name}"))
}

#[cfg(feature = "gpu")]
mod gpu {
    use gradloom_wgpu::{AdapterInfo, AdapterKind};
    pub(super) use gradloom_wgpu::{
        adapters, adapters_async, device as named, device_async as named_async,
    };

    use super::Device;

    pub(super) fn all() -> Vec<Device> {
        adapters().iter().filter_map(|info| named(&info.index.to_string()).ok()).collect()
    }

    pub(super) fn first_hardware(adapters: &[AdapterInfo]) -> Option<String> {
        let info = adapters.iter().find(|info| info.kind != AdapterKind::Software)?;
        Some(info.index.to_string())
    }
}

#[cfg(not(feature = "gpu"))]
mod gpu {
    use std::convert::Infallible;

    use super::{BoxFuture, Device, Error, Result};

    pub(super) fn all() -> Vec<Device> {
        Vec::new()
    }

    pub(super) fn adapters() -> Vec<Infallible> {
        Vec::new()
    }

    pub(super) async fn adapters_async() -> Vec<Infallible> {
        Vec::new()
    }

    pub(super) fn first_hardware(_: &[Infallible]) -> Option<String> {
        None
    }

    pub(super) fn named(name: &str) -> Result<Device> {
        Err(Error::device_not_found(format!(
            "device {name:?}: this program was built without the feature `gpu`; only `cpu` is there"
        )))
    }

    pub(super) fn named_async(name: &str) -> BoxFuture<'_, Result<Device>> {
        Box::pin(async move { named(name) })
    }
}

//! Choosing a device: [`SelectDevice`] gives `Device` its constructors.
//!
//! An explicit choice that cannot be met is an error, never a silent fall back to another device.

use gradloom_tensor::{Device, Result};

/// The constructors of [`Device`]: `Device::cpu()`, `Device::gpu()?`, `Device::best()?`.
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
        match std::env::var("GRADLOOM_DEVICE") {
            Ok(name) if !name.trim().is_empty() => Device::named(name.trim())
                .map_err(|error| error.context(format!("GRADLOOM_DEVICE={}", name.trim()))),
            _ => Ok(gpu::first_hardware().unwrap_or_else(Device::cpu)),
        }
    }

    fn named(name: &str) -> Result<Device> {
        match name {
            "cpu" => Ok(Device::cpu()),
            "gpu" => gpu::named("best"),
            other => gpu::named(other),
        }
    }
}

#[cfg(feature = "gpu")]
mod gpu {
    use gradloom_tensor::Result;
    use gradloom_wgpu::{AdapterKind, adapters, device};

    use super::Device;

    pub(super) fn all() -> Vec<Device> {
        adapters().iter().filter_map(|info| device(&info.index.to_string()).ok()).collect()
    }

    pub(super) fn first_hardware() -> Option<Device> {
        let info = adapters().into_iter().find(|info| info.kind != AdapterKind::Software)?;
        device(&info.index.to_string()).ok()
    }

    pub(super) fn named(name: &str) -> Result<Device> {
        device(name)
    }
}

#[cfg(not(feature = "gpu"))]
mod gpu {
    use gradloom_tensor::Error;

    use super::{Device, Result};

    pub(super) fn all() -> Vec<Device> {
        Vec::new()
    }

    pub(super) fn first_hardware() -> Option<Device> {
        None
    }

    pub(super) fn named(name: &str) -> Result<Device> {
        Err(Error::device_not_found(format!(
            "device {name:?}: this program was built without the feature `gpu`; only `cpu` is there"
        )))
    }
}

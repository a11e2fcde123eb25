//! Runs one kernel on every adapter and compares it with the interpreter of plans.

use std::ops::{Deref, DerefMut};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use gradloom_plan::trial::{self, Trial};
use gradloom_plan::{KernelKind, Plan, Space};
use gradloom_tensor::{Buffer, DType, Device, Result, Shape};
use gradloom_wgpu::{CheckSite, WgpuBackend};

pub(crate) use gradloom_plan::interpret::{bytes as to_bytes, numbers as from_bytes};
pub(crate) use gradloom_plan::trial::{integers, numbers};

use crate::translate;

/// Every Vulkan device of the machine, shared by all tests of the process. Empty, with a message, when
/// there is none; a failure if `GRADLOOM_REQUIRE_GPU=1`.
pub(crate) fn devices() -> Vec<Device> {
    let devices: Vec<Device> = gradloom_wgpu::adapters()
        .iter()
        .filter(|info| info.backend == "vulkan")
        .map(|info| gradloom_wgpu::device(&info.index.to_string()).expect("the adapter opens"))
        .collect();
    if devices.is_empty() {
        let required = std::env::var("GRADLOOM_REQUIRE_GPU").is_ok_and(|value| value == "1");
        assert!(!required, "GRADLOOM_REQUIRE_GPU=1, but there is no Vulkan adapter");
        eprintln!("SKIPPED: no Vulkan adapter on this machine");
    }
    for device in &devices {
        backend(device).poison(true);
    }
    devices
}

static DEVICE_USE: RwLock<()> = RwLock::new(());

/// Held by tests that run side by side on the shared devices.
pub(crate) fn share() -> RwLockReadGuard<'static, ()> {
    DEVICE_USE.read().unwrap_or_else(PoisonError::into_inner)
}

/// Held by tests that need the devices for themselves: they count allocations or make work fail.
pub(crate) fn alone() -> RwLockWriteGuard<'static, ()> {
    DEVICE_USE.write().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn backend(device: &Device) -> &WgpuBackend {
    device.backend().as_any().downcast_ref().expect("a wgpu device")
}

/// A kernel built by hand.
#[derive(Clone)]
pub(crate) struct Case(Trial);

impl Deref for Case {
    type Target = Trial;

    fn deref(&self) -> &Trial {
        &self.0
    }
}

impl DerefMut for Case {
    fn deref_mut(&mut self) -> &mut Trial {
        &mut self.0
    }
}

impl Case {
    pub(crate) fn new(kind: KernelKind, space: Space) -> Case {
        Case(Trial::new(kind, space))
    }

    pub(crate) fn map(shape: &[usize]) -> Case {
        Case(Trial::map(shape))
    }

    pub(crate) fn row(shape: &[usize], kept: usize) -> Case {
        Case(Trial::row(shape, kept))
    }

    pub(crate) fn reduce(shape: &[usize], kept: usize) -> Case {
        Case(Trial::reduce(shape, kept))
    }

    pub(crate) fn tolerance(self, tolerance: f64) -> Case {
        Case(self.0.tolerance(tolerance))
    }

    /// The plan with its product in the form that the planner gives it on a device.
    pub(crate) fn plan_for(&self, device: &Device) -> Plan {
        let mut plan = self.plan();
        if let Some(forms) = backend(device).limits().products {
            plan.kernels = plan.kernels.into_iter().map(|kernel| forms.choose(kernel)).collect();
        }
        plan
    }

    pub(crate) fn upload(&self, device: &Device) -> Result<Vec<Buffer>> {
        let pairs = self.kernel.inputs.iter().zip(&self.inputs);
        pairs
            .map(|(input, values)| {
                device.backend().upload(input.dtype, &to_bytes(input.dtype, values))
            })
            .collect()
    }

    pub(crate) fn run_on(&self, device: &Device) -> Result<Vec<Vec<f64>>> {
        let _shared = share();
        self.run_alone_on(device)
    }

    /// As [`Case::run_on`], for callers that hold a lock already.
    pub(crate) fn run_alone_on(&self, device: &Device) -> Result<Vec<Vec<f64>>> {
        let arguments = self.scalars();
        let inputs = self.upload(device)?;
        let outputs = backend(device).run(&self.plan_for(device), &inputs, &arguments, &site)?;
        outputs
            .iter()
            .map(|output| Ok(from_bytes(output.dtype(), &device.backend().download(output)?)))
            .collect()
    }

    /// The elements of each output, as the interpreter of plans computes them.
    #[track_caller]
    pub(crate) fn expected(&self) -> Vec<Vec<f64>> {
        self.0.expected().unwrap_or_else(|fault| panic!("{fault}: {}", self.kernel))
    }

    /// Fails unless every adapter gives what the interpreter gives.
    #[track_caller]
    pub(crate) fn check(&self) {
        let expected = self.expected();
        for device in devices() {
            if !device.capabilities().f16 && self.uses_f16() {
                continue;
            }
            let found = self.run_on(&device).unwrap_or_else(|error| panic!("{device:?}: {error}"));
            assert_eq!(found.len(), expected.len());
            translate::new_sources(backend(&device));
            for (position, (found, expected)) in found.iter().zip(&expected).enumerate() {
                let dtype = self.kernel.outputs[position].dtype;
                compare(found, expected, self.tolerance_of(dtype), position);
            }
        }
    }

    fn uses_f16(&self) -> bool {
        let inputs = self.kernel.inputs.iter().map(|input| input.dtype);
        inputs.chain(self.kernel.outputs.iter().map(|output| output.dtype)).any(|d| d == DType::F16)
    }
}

pub(crate) fn site(_: usize) -> CheckSite {
    CheckSite {
        op: "gather",
        shape: Shape::new(&[]),
        origin: std::panic::Location::caller().into(),
    }
}

#[track_caller]
pub(crate) fn compare(found: &[f64], expected: &[f64], tolerance: f64, output: usize) {
    assert_eq!(found.len(), expected.len(), "output {output}");
    if let Some((element, found, expected)) = trial::difference(found, expected, tolerance) {
        panic!("output {output}, element {element}: found {found}, expected {expected}");
    }
}

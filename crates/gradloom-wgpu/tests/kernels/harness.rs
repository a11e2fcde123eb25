//! Runs one kernel on every adapter and compares it with the interpreter of plans.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use gradloom_plan::interpret;
use gradloom_plan::kernel::PlanOutput;
use gradloom_plan::{
    Attachments, BufferRef, Instruction, Kernel, KernelInput, KernelKind, KernelOutput, Level,
    Operation, Plan, Program, Space, ValueId, View,
};
use gradloom_tensor::op::{Binary, Reduction, Unary};
use gradloom_tensor::{Buffer, DType, Device, Result, Scalar, Shape, bf16, f16, rounding};
use gradloom_wgpu::{CheckSite, WgpuBackend};

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

/// Builds a kernel, its operands and their values.
pub(crate) struct Case {
    pub(crate) kernel: Kernel,
    pub(crate) inputs: Vec<Vec<f64>>,
    pub(crate) arguments: Vec<(DType, Scalar)>,
    /// Allowed difference relative to the larger magnitude, and absolute.
    pub(crate) tolerance: f64,
}

impl Case {
    pub(crate) fn new(kind: KernelKind, space: Space) -> Case {
        Case {
            kernel: Kernel {
                kind,
                program: Program::default(),
                space,
                inputs: Vec::new(),
                outputs: Vec::new(),
                node: 0,
                origins: Vec::new(),
            },
            inputs: Vec::new(),
            arguments: Vec::new(),
            tolerance: 2e-6,
        }
    }

    pub(crate) fn map(shape: &[usize]) -> Case {
        Case::new(KernelKind::Map, Space::elements(Shape::new(shape)))
    }

    pub(crate) fn row(shape: &[usize], kept: usize) -> Case {
        Case::new(KernelKind::Row, Space { shape: Shape::new(shape), kept })
    }

    pub(crate) fn reduce(shape: &[usize], kept: usize) -> Case {
        Case::new(KernelKind::Reduce, Space { shape: Shape::new(shape), kept })
    }

    pub(crate) fn tolerance(mut self, tolerance: f64) -> Case {
        self.tolerance = tolerance;
        self
    }

    pub(crate) fn input(&mut self, dtype: DType, values: Vec<f64>) -> usize {
        let node = self.inputs.len();
        let buffer = BufferRef::Input(node);
        let values = from_bytes(dtype, &to_bytes(dtype, &values));
        self.kernel.inputs.push(KernelInput { buffer, dtype, len: values.len(), node });
        self.inputs.push(values);
        self.inputs.len() - 1
    }

    pub(crate) fn push(&mut self, operation: Operation, dtype: DType, level: Level) -> ValueId {
        let value = self.kernel.program.push(Instruction { operation, dtype, level });
        self.kernel.origins.resize(self.kernel.program.instructions.len(), 0);
        value
    }

    /// A load through a view, of level `Element`.
    pub(crate) fn load(&mut self, input: usize, view: View) -> ValueId {
        let dtype = self.kernel.inputs[input].dtype;
        self.push(Operation::Load { input, view }, dtype, Level::Element)
    }

    /// A load of level `Row`.
    pub(crate) fn load_row(&mut self, input: usize, view: View) -> ValueId {
        let dtype = self.kernel.inputs[input].dtype;
        self.push(Operation::Load { input, view }, dtype, Level::Row)
    }

    fn level_of(&self, operands: &[ValueId]) -> Level {
        let levels = operands.iter().map(|&id| self.kernel.program.instructions[id].level);
        levels.max().unwrap_or(Level::Row)
    }

    fn dtype_of(&self, id: ValueId) -> DType {
        self.kernel.program.instructions[id].dtype
    }

    pub(crate) fn constant(&mut self, dtype: DType, value: Scalar) -> ValueId {
        self.push(Operation::Constant(value), dtype, Level::Row)
    }

    pub(crate) fn unary(&mut self, op: Unary, a: ValueId) -> ValueId {
        let dtype = op.result(self.dtype_of(a));
        let level = self.level_of(&[a]);
        self.push(Operation::Unary(op, a), dtype, level)
    }

    pub(crate) fn binary(&mut self, op: Binary, a: ValueId, b: ValueId) -> ValueId {
        let dtype = op.result(self.dtype_of(a));
        let level = self.level_of(&[a, b]);
        self.push(Operation::Binary(op, a, b), dtype, level)
    }

    pub(crate) fn cast(&mut self, a: ValueId, dtype: DType) -> ValueId {
        let level = self.level_of(&[a]);
        self.push(Operation::Cast(a), dtype, level)
    }

    pub(crate) fn reduction(&mut self, reduction: Reduction, a: ValueId) -> ValueId {
        let dtype = self.dtype_of(a);
        self.push(Operation::Reduce(reduction, a), dtype, Level::Row)
    }

    pub(crate) fn accumulator(&mut self, dtype: DType) -> ValueId {
        self.push(Operation::Accumulator, dtype, Level::Element)
    }

    /// Stores a value as the next output.
    pub(crate) fn output(&mut self, value: ValueId) {
        let Instruction { dtype, level, .. } = self.kernel.program.instructions[value];
        let space = &self.kernel.space;
        let len = match level {
            Level::Element => space.shape.count(),
            Level::Row => space.rows(),
        };
        let buffer = BufferRef::Output(self.kernel.outputs.len());
        self.kernel.outputs.push(KernelOutput { buffer, dtype, len, value, node: usize::MAX });
    }

    /// A plan of this kernel alone.
    pub(crate) fn plan(&self) -> Plan {
        // The planner counts from zero up.
        static NEXT: AtomicU64 = AtomicU64::new(1 << 63);
        Plan {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            kernels: vec![self.kernel.clone()],
            together: Vec::new(),
            inputs: self.kernel.inputs.iter().map(|input| (input.dtype, input.len)).collect(),
            outputs: self
                .kernel
                .outputs
                .iter()
                .map(|output| PlanOutput {
                    dtype: output.dtype,
                    len: output.len,
                    reuses: None,
                    alias: None,
                })
                .collect(),
            slots: Vec::new(),
            arguments: self.arguments.iter().map(|(dtype, _)| *dtype).collect(),
            attachments: Attachments::default(),
        }
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
        let arguments: Vec<Scalar> = self.arguments.iter().map(|(_, value)| *value).collect();
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
        let arguments: Vec<Scalar> = self.arguments.iter().map(|(_, value)| *value).collect();
        interpret::kernel(&self.kernel, &self.inputs, &arguments)
            .unwrap_or_else(|fault| panic!("{fault}: {}", self.kernel))
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

    fn tolerance_of(&self, dtype: DType) -> f64 {
        match dtype {
            DType::F16 => self.tolerance.max(1e-3),
            DType::BF16 => self.tolerance.max(8e-3),
            _ => self.tolerance,
        }
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
    for (index, (&found, &expected)) in found.iter().zip(expected).enumerate() {
        let same = found == expected
            || (found.is_nan() && expected.is_nan())
            || (found - expected).abs() <= tolerance * expected.abs().max(1.0);
        assert!(same, "output {output}, element {index}: found {found}, expected {expected}");
    }
}

pub(crate) fn to_bytes(dtype: DType, values: &[f64]) -> Vec<u8> {
    let each = |convert: &dyn Fn(f64) -> Vec<u8>| values.iter().flat_map(|&v| convert(v)).collect();
    match dtype {
        DType::F32 => each(&|v| (v as f32).to_ne_bytes().to_vec()),
        DType::F64 => each(&|v| v.to_ne_bytes().to_vec()),
        DType::F16 => each(&|v| rounding::to_f16(v).to_ne_bytes().to_vec()),
        DType::BF16 => each(&|v| rounding::to_bf16(v).to_ne_bytes().to_vec()),
        DType::I32 => each(&|v| (v as i64 as i32).to_ne_bytes().to_vec()),
        DType::U32 => each(&|v| (v as i64 as u32).to_ne_bytes().to_vec()),
        DType::I64 => each(&|v| (v as i64).to_ne_bytes().to_vec()),
        DType::I8 | DType::U8 => each(&|v| vec![v as i64 as u8]),
        DType::Bool => each(&|v| vec![u8::from(v != 0.0)]),
    }
}

pub(crate) fn from_bytes(dtype: DType, bytes: &[u8]) -> Vec<f64> {
    let chunks = bytes.chunks_exact(dtype.size());
    match dtype {
        DType::F32 => {
            chunks.map(|c| f64::from(f32::from_ne_bytes(c.try_into().unwrap()))).collect()
        }
        DType::F64 => chunks.map(|c| f64::from_ne_bytes(c.try_into().unwrap())).collect(),
        DType::F16 => chunks.map(|c| f16::from_ne_bytes(c.try_into().unwrap()).to_f64()).collect(),
        DType::BF16 => {
            chunks.map(|c| bf16::from_ne_bytes(c.try_into().unwrap()).to_f64()).collect()
        }
        DType::I32 => {
            chunks.map(|c| f64::from(i32::from_ne_bytes(c.try_into().unwrap()))).collect()
        }
        DType::U32 => {
            chunks.map(|c| f64::from(u32::from_ne_bytes(c.try_into().unwrap()))).collect()
        }
        DType::I64 => chunks.map(|c| i64::from_ne_bytes(c.try_into().unwrap()) as f64).collect(),
        DType::I8 => chunks.map(|c| f64::from(c[0] as i8)).collect(),
        DType::U8 | DType::Bool => chunks.map(|c| f64::from(c[0])).collect(),
    }
}

/// Repeatable numbers in -1..1 with few bits, exact in f32.
pub(crate) fn numbers(count: usize, seed: u64) -> Vec<f64> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(1);
    (0..count)
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            ((state >> 45) as f64 / f64::from(1 << 18) - 1.0) * 0.999
        })
        .map(|value| f64::from((value * 4096.0).round() as f32 / 4096.0))
        .collect()
}

/// Repeatable whole numbers in `low..high`.
pub(crate) fn integers(count: usize, low: i64, high: i64, seed: u64) -> Vec<f64> {
    let span = (high - low) as f64;
    numbers(count, seed)
        .into_iter()
        .map(|value| (low as f64 + ((value + 1.0) / 2.0 * span).floor()).min(high as f64 - 1.0))
        .collect()
}

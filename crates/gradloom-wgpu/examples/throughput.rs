//! Throughput of the kernel families on one adapter: `cargo run --release --example throughput [selector]`.
//!
//! Times whole submissions after a warm-up, so host costs are included. Sizes are small on software
//! adapters.

use std::time::Instant;

use gradloom_plan::kernel::PlanOutput;
use gradloom_plan::{
    Attachments, BufferRef, Convolution, Factors, Instruction, Kernel, KernelInput, KernelKind,
    KernelOutput, Level, Operation, Plan, Program, Space, View,
};
use gradloom_tensor::op::{Binary, Permutation, Reduction, Unary, Window};
use gradloom_tensor::{DType, Result, Shape};
use gradloom_wgpu::{AdapterKind, CheckSite, WgpuBackend};

fn main() -> Result<()> {
    let selector = std::env::args().nth(1).unwrap_or_default();
    let device = gradloom_wgpu::device(&selector)?;
    let backend: &WgpuBackend =
        device.backend().as_any().downcast_ref().expect("devices of this crate are WgpuBackend");
    let software = backend.adapter().kind == AdapterKind::Software;
    println!("{}", backend.adapter());
    let scale = if software { 1 } else { 8 };
    dispatch_cost(backend)?;
    for bench in benches(scale) {
        bench.run(backend, if software { 3 } else { 50 })?;
    }
    Ok(())
}

/// Host and device cost of a dispatch: a plan of many kernels on few elements, replayed.
fn dispatch_cost(backend: &WgpuBackend) -> Result<()> {
    use gradloom_tensor::Backend as _;
    const KERNELS: usize = 200;
    let shape = Shape::new(&[64]);
    let view = View::contiguous(shape);
    let output =
        |slot| KernelOutput { buffer: slot, dtype: DType::F32, len: 64, value: 1, node: 0 };
    let kernels = (0..KERNELS).map(|number| {
        let from = match number {
            0 => BufferRef::Input(0),
            _ => BufferRef::Slot((number - 1) % 2),
        };
        let to =
            if number + 1 == KERNELS { BufferRef::Output(0) } else { BufferRef::Slot(number % 2) };
        Kernel {
            kind: KernelKind::Map,
            program: Program {
                instructions: vec![
                    instruction(Operation::Load { input: 0, view }, Level::Element),
                    instruction(Operation::Unary(Unary::Neg, 0), Level::Element),
                ],
            },
            space: Space::elements(shape),
            inputs: vec![KernelInput { buffer: from, dtype: DType::F32, len: 64, node: 0 }],
            outputs: vec![output(to)],
            node: 0,
            origins: vec![0; 2],
        }
    });
    let plan = Plan {
        id: 1 << 62,
        kernels: kernels.collect(),
        together: Vec::new(),
        inputs: vec![(DType::F32, 64)],
        outputs: vec![PlanOutput { dtype: DType::F32, len: 64, reuses: None, alias: None }],
        slots: vec![gradloom_plan::Slot { elements_max: 64, bytes: 256 }; 2],
        arguments: Vec::new(),
        attachments: Attachments::default(),
    };
    let input = [backend.upload(DType::F32, &[0; 256])?];
    let site = |_| CheckSite {
        op: "bench",
        shape: Shape::new(&[]),
        origin: std::panic::Location::caller().into(),
    };
    for _ in 0..5 {
        backend.run(&plan, &input, &[], &site)?;
    }
    backend.synchronize()?;
    let (start, repeats) = (Instant::now(), 50);
    let mut host = std::time::Duration::ZERO;
    for _ in 0..repeats {
        let call = Instant::now();
        backend.run(&plan, &input, &[], &site)?;
        host += call.elapsed();
    }
    backend.synchronize()?;
    let each = |time: std::time::Duration| time.as_secs_f64() * 1e6 / (repeats * KERNELS) as f64;
    println!(
        "a dispatch: {:.2} us on the host, {:.2} us in all ({KERNELS} kernels a submission)",
        each(host),
        each(start.elapsed())
    );
    Ok(())
}

struct Bench {
    name: String,
    kernel: Kernel,
    /// Floating-point operations and bytes moved, at least.
    work: (f64, f64),
}

impl Bench {
    fn run(&self, backend: &WgpuBackend, repeats: u32) -> Result<()> {
        use gradloom_tensor::Backend as _;
        static ID: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        let outputs = self.kernel.outputs.iter().map(|output| PlanOutput {
            dtype: output.dtype,
            len: output.len,
            reuses: None,
            alias: None,
        });
        let plan = Plan {
            id: ID.fetch_add(1, std::sync::atomic::Ordering::Relaxed),
            kernels: vec![match backend.limits().products {
                Some(forms) => forms.choose(self.kernel.clone()),
                None => self.kernel.clone(),
            }],
            together: Vec::new(),
            inputs: self.kernel.inputs.iter().map(|input| (input.dtype, input.len)).collect(),
            outputs: outputs.collect(),
            slots: Vec::new(),
            arguments: Vec::new(),
            attachments: Attachments::default(),
        };
        let inputs = self
            .kernel
            .inputs
            .iter()
            .map(|input| backend.upload(input.dtype, &vec![0; input.len * input.dtype.size()]))
            .collect::<Result<Vec<_>>>()?;
        let site = |_| CheckSite {
            op: "bench",
            shape: Shape::new(&[]),
            origin: std::panic::Location::caller().into(),
        };
        for _ in 0..3 {
            backend.run(&plan, &inputs, &[], &site)?;
        }
        backend.synchronize()?;
        let start = Instant::now();
        for _ in 0..repeats {
            backend.run(&plan, &inputs, &[], &site)?;
        }
        backend.synchronize()?;
        let seconds = start.elapsed().as_secs_f64() / f64::from(repeats);
        println!(
            "{:32} {:>10.1} us {:>10.1} GFLOP/s {:>9.1} GB/s",
            self.name,
            seconds * 1e6,
            self.work.0 / seconds / 1e9,
            self.work.1 / seconds / 1e9
        );
        Ok(())
    }
}

fn instruction(operation: Operation, level: Level) -> Instruction {
    Instruction { operation, dtype: DType::F32, level }
}

fn kernel(
    kind: KernelKind,
    space: Space,
    dtype: DType,
    lens: &[usize],
    mut instructions: Vec<Instruction>,
) -> Kernel {
    if instructions.is_empty() {
        instructions
            .push(Instruction { dtype, ..instruction(Operation::Accumulator, Level::Element) });
    }
    let value = instructions.len() - 1;
    let len = match instructions[value].level {
        Level::Element => space.shape.count(),
        Level::Row => space.rows(),
    };
    let inputs = lens.iter().enumerate().map(|(position, &len)| KernelInput {
        buffer: BufferRef::Input(position),
        dtype,
        len,
        node: position,
    });
    Kernel {
        kind,
        inputs: inputs.collect(),
        outputs: vec![KernelOutput {
            buffer: BufferRef::Output(0),
            dtype,
            len,
            value,
            node: usize::MAX,
        }],
        origins: vec![0; instructions.len()],
        program: Program { instructions },
        space,
        node: 0,
    }
}

fn benches(scale: usize) -> Vec<Bench> {
    let mut benches = Vec::new();
    let element = Level::Element;
    let load = |input, view| instruction(Operation::Load { input, view }, element);

    let shape = Shape::new(&[1024, 1024 * scale]);
    let count = shape.count();
    let view = View::contiguous(shape);
    let add = instruction(Operation::Binary(Binary::Add, 0, 1), element);
    let instructions = vec![load(0, view), load(1, view), add];
    benches.push(Bench {
        name: format!("add {shape:?}"),
        kernel: kernel(
            KernelKind::Map,
            Space::elements(shape),
            DType::F32,
            &[count; 2],
            instructions,
        ),
        work: (count as f64, count as f64 * 12.0),
    });
    let sum = instruction(Operation::Reduce(Reduction::Sum, 0), Level::Row);
    for (name, space, view) in [
        ("sum rows", Space { shape, kept: 1 }, view),
        ("sum all", Space { shape, kept: 0 }, view),
        (
            "sum columns",
            Space { shape: Shape::new(&[1024 * scale, 1024]), kept: 1 },
            view.permute(&Permutation::new(&[1, 0])),
        ),
    ] {
        benches.push(Bench {
            name: format!("{name} {shape:?}"),
            kernel: kernel(
                KernelKind::Reduce,
                space,
                DType::F32,
                &[count],
                vec![load(0, view), sum],
            ),
            work: (count as f64, count as f64 * 4.0),
        });
    }
    for columns in [128, 1024, 16 * 1024] {
        let shape = Shape::new(&[count / columns, columns]);
        let instructions = vec![
            load(0, View::contiguous(shape)),
            instruction(Operation::Reduce(Reduction::Max, 0), Level::Row),
            instruction(Operation::Binary(Binary::Sub, 0, 1), element),
            instruction(Operation::Unary(Unary::Exp, 2), element),
            instruction(Operation::Reduce(Reduction::Sum, 3), Level::Row),
            instruction(Operation::Binary(Binary::Div, 3, 4), element),
        ];
        benches.push(Bench {
            name: format!("softmax {shape:?}"),
            kernel: kernel(
                KernelKind::Row,
                Space { shape, kept: 1 },
                DType::F32,
                &[count],
                instructions,
            ),
            work: (count as f64 * 20.0, count as f64 * 8.0),
        });
    }
    for (m, n, k) in [
        (256 * scale, 256 * scale, 256 * scale),
        (128 * scale, 512, 512),
        (1, 512 * scale, 512 * scale),
        (64, 64, 8192 * scale),
    ] {
        for transposed in [false, true] {
            benches.push(matmul([m, n, k], transposed, DType::F32));
        }
    }
    if scale > 1 {
        benches.push(matmul([4096, 4096, 4096], false, DType::F32));
        benches.push(matmul([4096, 4096, 4096], false, DType::F16));
    }
    benches.extend(convolutions(2 * scale));
    benches
}

fn matmul([m, n, k]: [usize; 3], transposed: bool, dtype: DType) -> Bench {
    let lhs = View::contiguous(Shape::new(&[m, k]));
    let rhs = if transposed {
        View::contiguous(Shape::new(&[n, k])).permute(&Permutation::new(&[1, 0]))
    } else {
        View::contiguous(Shape::new(&[k, n]))
    };
    let space = Space::elements(Shape::new(&[m, n]));
    let kind = KernelKind::Matmul { lhs, rhs, factors: Factors::of(dtype) };
    let suffix = if transposed { " (rhs transposed)" } else { "" };
    Bench {
        name: format!("matmul {m}x{n}x{k} {dtype}{suffix}"),
        kernel: kernel(kind, space, dtype, &[m * k, k * n], Vec::new()),
        work: (2.0 * (m * n * k) as f64, ((m * k + k * n + m * n) * dtype.size()) as f64),
    }
}

fn convolutions(batch: usize) -> Vec<Bench> {
    let window = Window::new([3, 3]).padding([[1, 1]; 2]);
    let (channels, outputs, size) = (64, 64, 32);
    let convolution = Convolution {
        window,
        groups: 1,
        batch,
        channels,
        outputs,
        input_size: [1, size, size],
        output_size: [1, size, size],
        factors: Factors::of(DType::F32),
    };
    let image = Shape::new(&[batch, channels, size, size]);
    let weight = Shape::new(&[outputs, channels, 3, 3]);
    let flops = 2.0 * (image.count() * outputs * 9) as f64;
    let bytes = 8.0 * image.count() as f64;
    [
        ("forward", KernelKind::Convolution(convolution), image, [image, weight]),
        ("input", KernelKind::ConvolutionInput(convolution), image, [weight, image]),
        ("weight", KernelKind::ConvolutionWeight(convolution), weight, [image, image]),
    ]
    .into_iter()
    .map(|(name, kind, shape, operands)| Bench {
        name: format!("convolution {name} {batch}x64x32x32"),
        kernel: kernel(
            kind,
            Space::elements(shape),
            DType::F32,
            &operands.map(|operand| operand.count()),
            Vec::new(),
        ),
        work: (flops, bytes),
    })
    .collect()
}

//! [`Case`]: work for a device, and how it is compared with the interpreter of plans.

use std::collections::BTreeSet;

use gradloom_plan::trial::{Trial, difference};
use gradloom_plan::{PlanOutput, interpret};
use gradloom_tensor::{Backend as _, Buffer, DType, Device, Error, Result, Shape, Tensor};

use crate::backend::WgpuBackend;
use crate::codegen::Target;
use crate::codegen::variant::Variant;
use crate::status::CheckSite;

/// One computation of the self-test.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) work: Work,
    /// Changes what code is generated for, so that small shapes take the forms of large ones.
    pub(crate) adjust: fn(&mut Target),
}

/// What a case computes.
pub(crate) enum Work {
    /// A kernel built by hand.
    Kernel(Box<Trial>),
    /// The same, whose first result takes the memory of its first operand.
    InPlace(Box<Trial>),
    /// Whatever the planner makes of a graph, whose results are f32 or i32.
    Graph(fn(&Device) -> Vec<Tensor>),
}

/// How a case ended, with the variants that were compiled for it.
pub(crate) enum Outcome {
    Right(BTreeSet<Variant>),
    /// The device does not have what it takes, or the verdict has refused it.
    Unsupported,
    Wrong(BTreeSet<Variant>, String),
}

impl Outcome {
    pub(crate) fn is_right(&self) -> bool {
        matches!(self, Outcome::Right(_))
    }

    pub(crate) fn is_wrong(&self) -> bool {
        matches!(self, Outcome::Wrong(..))
    }
}

impl Case {
    /// A case of one kernel.
    pub(crate) fn of(name: impl Into<String>, trial: Trial) -> Case {
        Case { name: name.into(), work: Work::Kernel(Box::new(trial)), adjust: |_| {} }
    }

    /// With a change to what code is generated for.
    pub(crate) fn adjusted(self, adjust: fn(&mut Target)) -> Case {
        Case { adjust, ..self }
    }

    /// Runs the case on a device of this crate.
    pub(crate) fn run(&self, device: &Device) -> Outcome {
        let Some(backend) = device.backend().as_any().downcast_ref::<WgpuBackend>() else {
            return Outcome::Unsupported;
        };
        backend.begin_case(self.adjust);
        let result = self.compared(device, backend);
        let variants = backend.variants_of_case();
        match result {
            Ok(None) => Outcome::Right(variants),
            Ok(Some(wrong)) => Outcome::Wrong(variants, wrong),
            Err(error) if error.is_unsupported() => Outcome::Unsupported,
            Err(error) => Outcome::Wrong(variants, one_line(&error.to_string())),
        }
    }

    /// What is wrong with the results, if anything.
    fn compared(&self, device: &Device, backend: &WgpuBackend) -> Result<Option<String>> {
        match &self.work {
            Work::Kernel(trial) => of_trial(backend, trial, false),
            Work::InPlace(trial) => of_trial(backend, trial, true),
            Work::Graph(build) => of_graph(device, *build),
        }
    }
}

fn of_trial(backend: &WgpuBackend, trial: &Trial, in_place: bool) -> Result<Option<String>> {
    let expected = trial.expected();
    let expected = expected.map_err(|fault| Error::backend(format!("self-test: {fault}")))?;
    let mut plan = trial.plan();
    if let Some(forms) = backend.limits().products {
        plan.kernels = plan.kernels.into_iter().map(|kernel| forms.choose(kernel)).collect();
    }
    if in_place && let Some(output) = plan.outputs.first_mut() {
        *output = PlanOutput { reuses: Some(0), ..*output };
    }
    let operands = trial.kernel.inputs.iter().zip(&trial.inputs);
    let inputs = operands
        .map(|(input, values)| backend.upload(input.dtype, &interpret::bytes(input.dtype, values)))
        .collect::<Result<Vec<Buffer>>>()?;
    let site = |_| CheckSite {
        op: "self-test",
        shape: Shape::new(&[]),
        origin: std::panic::Location::caller().into(),
    };
    let outputs = backend.run(&plan, &inputs, &trial.scalars(), &site)?;
    for (position, (output, expected)) in outputs.iter().zip(&expected).enumerate() {
        let found = interpret::numbers(output.dtype(), &backend.download(output)?);
        let tolerance = trial.tolerance_of(output.dtype());
        if let Some(wrong) = wrong(position, &found, expected, tolerance) {
            return Ok(Some(wrong));
        }
    }
    Ok(None)
}

fn of_graph(device: &Device, build: fn(&Device) -> Vec<Tensor>) -> Result<Option<String>> {
    let [found, expected] = [device.clone(), interpret::device()].map(|device| build(&device));
    gradloom_tensor::eval(&found)?;
    gradloom_tensor::eval(&expected)?;
    for (position, (found, expected)) in found.iter().zip(&expected).enumerate() {
        if let Some(wrong) = wrong(position, &elements(found)?, &elements(expected)?, 1e-5) {
            return Ok(Some(wrong));
        }
    }
    Ok(None)
}

/// The elements of a tensor of f32 or i32.
fn elements(tensor: &Tensor) -> Result<Vec<f64>> {
    let elements = tensor.cast(DType::F32).to_vec::<f32>()?;
    Ok(elements.into_iter().map(f64::from).collect())
}

fn wrong(result: usize, found: &[f64], expected: &[f64], tolerance: f64) -> Option<String> {
    if found.len() != expected.len() {
        return Some(format!("result {result} has {} of {} elements", found.len(), expected.len()));
    }
    difference(found, expected, tolerance).map(|(element, found, expected)| {
        format!("element {element} of result {result} is {found:e} and should be {expected:e}")
    })
}

/// A message for a line of a file.
fn one_line(message: &str) -> String {
    message.split_whitespace().take(60).collect::<Vec<&str>>().join(" ")
}

//! [`Examiner`]: runs the cases, finds out which form of a kernel is at fault, and goes on without it until
//! all cases are right or refused.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use gradloom_tensor::{DType, Device, Result};

use super::case::{Case, Outcome};
use super::cases;
use super::report::{Examined, Finding, Remedy, SelfTest};
use crate::backend::WgpuBackend;
use crate::codegen::unit::Fault;
use crate::codegen::variant::{Form, Variant, Verdict};
use crate::gpu::Gpu;
use crate::wait::finish;

/// Times that all cases are run at most: each time but the last adds to the verdict.
const ROUNDS_MAX: usize = 64;

/// The self-test while it runs.
pub(super) struct Examiner {
    gpu: Arc<Gpu>,
    /// Opens the device anew.
    adapter: wgpu::Adapter,
    fault: Option<Fault>,
    cases: Vec<Case>,
    verdict: Verdict,
    findings: Vec<Finding>,
}

impl Examiner {
    pub(super) fn new(gpu: Arc<Gpu>, adapter: wgpu::Adapter, fault: Option<Fault>) -> Examiner {
        let (cases, verdict, findings) = (cases::all(), Verdict::default(), Vec::new());
        Examiner { gpu, adapter, fault, cases, verdict, findings }
    }

    /// Tests until nothing is wrong that is not left out or refused.
    pub(super) fn examine(mut self) -> Result<Examined> {
        let begin = Instant::now();
        let cases = std::mem::take(&mut self.cases);
        for _ in 0..ROUNDS_MAX {
            if self.round(&cases)? {
                break;
            }
        }
        let Examiner { gpu, verdict, findings, .. } = self;
        let seconds = begin.elapsed().as_secs_f64();
        let report = SelfTest { cases: cases.len(), seconds, findings };
        Ok(Examined { gpu, verdict, report: Some(report) })
    }

    /// Runs all cases and judges what is wrong; true if nothing is.
    fn round(&mut self, cases: &[Case]) -> Result<bool> {
        let mut device = self.device(&self.verdict);
        let (mut right, mut wrong) = (BTreeSet::new(), Vec::new());
        for case in cases {
            match case.run(&device) {
                Outcome::Right(variants) => right.extend(variants),
                Outcome::Unsupported => {}
                Outcome::Wrong(variants, reason) => {
                    wrong.push((case, variants, reason));
                    if !is_alive(&device) {
                        self.open()?;
                        device = self.device(&self.verdict);
                    }
                }
            }
        }
        for (case, variants, reason) in &wrong {
            // What was found for another case may have been the fault of this one too, and a driver may
            // lose a device for another reason.
            if self.outcome_without(case, &BTreeSet::new())?.is_wrong() {
                self.judge(case, variants, &right, reason)?;
            }
        }
        Ok(wrong.is_empty())
    }

    /// Adds to the verdict what makes a case right, or refuses its kernels.
    fn judge(
        &mut self,
        case: &Case,
        variants: &BTreeSet<Variant>,
        right: &BTreeSet<Variant>,
        reason: &str,
    ) -> Result<()> {
        let mut suspects: BTreeSet<Variant> = variants.difference(right).cloned().collect();
        if suspects.is_empty() {
            suspects.clone_from(variants);
        }
        let finding = |kernel: String, remedy| {
            let (case, reason) = (case.name.clone(), reason.to_owned());
            Finding { kernel, remedy, case, reason }
        };
        let forms: BTreeSet<Form> = suspects.iter().flat_map(Variant::optional).collect();
        // Whole templates come last, as their names do.
        let alone = forms.iter().map(|&form| BTreeSet::from([form]));
        for without in alone.chain([forms.clone()]) {
            if !without.is_empty() && self.outcome_without(case, &without)?.is_right() {
                let found = without.iter().map(|form| finding(form.to_string(), Remedy::LeftOut));
                self.findings.extend(found);
                self.verdict.without.extend(without);
                return Ok(());
            }
        }
        for suspect in suspects {
            self.findings.push(finding(suspect.to_string(), Remedy::Refused));
            self.verdict.refused.insert(suspect);
        }
        Ok(())
    }

    fn outcome_without(&mut self, case: &Case, forms: &BTreeSet<Form>) -> Result<Outcome> {
        let mut verdict = self.verdict.clone();
        verdict.without.extend(forms);
        let device = self.device(&verdict);
        let outcome = case.run(&device);
        if outcome.is_wrong() && !is_alive(&device) {
            self.open()?;
        }
        Ok(outcome)
    }

    /// A device that has compiled nothing yet.
    fn device(&self, verdict: &Verdict) -> Device {
        let (gpu, verdict) = (Arc::clone(&self.gpu), verdict.clone());
        let backend = WgpuBackend::new(Examined { gpu, verdict, report: None });
        backend.examine(self.fault.clone());
        Device::new(Arc::new(backend))
    }

    /// Opens the device anew after its driver has given it up.
    fn open(&mut self) -> Result<()> {
        let info = self.gpu.info.clone();
        self.gpu = Arc::new(finish(Gpu::open(&self.adapter, info))?);
        Ok(())
    }
}

/// Whether a device still takes and gives numbers: that it is lost is not always reported at once.
fn is_alive(device: &Device) -> bool {
    let backend = device.backend();
    let copied = backend.upload(DType::F32, &[0; 4]).and_then(|buffer| backend.download(&buffer));
    copied.is_ok()
}

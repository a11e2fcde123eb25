//! [`SelfTest`]: what the self-test of an adapter has found, and what of it a device is made with.

use std::sync::Arc;

use crate::codegen::variant::Verdict;
use crate::gpu::Gpu;

/// What the self-test of an adapter has found, see [`WgpuBackend::self_test`](crate::WgpuBackend::self_test).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SelfTest {
    /// Cases that were run.
    pub cases: usize,
    /// How long they took; zero where the outcome of an earlier run was kept.
    pub seconds: f64,
    /// What this adapter computes wrongly.
    pub findings: Vec<Finding>,
}

/// Something that an adapter computes wrongly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The template, its forms and dtypes.
    pub kernel: String,
    /// What is done about it.
    pub remedy: Remedy,
    /// The case that showed it.
    pub case: String,
    /// What was wrong.
    pub reason: String,
}

/// What is done about a kernel that is computed wrongly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// Kernels are made without this form.
    LeftOut,
    /// Whoever asks for it gets an error.
    Refused,
}

impl std::fmt::Display for Finding {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let remedy = match self.remedy {
            Remedy::LeftOut => "is left out",
            Remedy::Refused => "is refused",
        };
        let Finding { kernel, case, reason, .. } = self;
        write!(formatter, "`{kernel}` {remedy}: case `{case}`: {reason}")
    }
}

/// A device after its self-test.
pub(crate) struct Examined {
    pub(crate) gpu: Arc<Gpu>,
    pub(crate) verdict: Verdict,
    /// None where there was none.
    pub(crate) report: Option<SelfTest>,
}

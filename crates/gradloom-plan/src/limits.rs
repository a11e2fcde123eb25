//! [`Limits`]: what the planner must know of a device.

use crate::checks::Checks;
use crate::contraction::ProductForms;
use crate::transposed::TransposedCopies;

/// What a device asks of plans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most buffers (operands and results) of one kernel.
    pub buffers_max: usize,
    /// Whether results may be written over values that nobody else holds.
    pub in_place: bool,
    /// Which matrix products are computed as reductions; none where a device multiplies all of them.
    pub products: Option<ProductForms>,
    /// Whether products and convolutions read operands that are casts of stored floats from where these
    /// are, and convert each element as they read it. Otherwise they read a converted copy.
    pub casts_on_read: bool,
    /// Which transposed operands are copied into the order of their kernel's space first; none where a
    /// device reads across memory as fast.
    pub transposed_copies: Option<TransposedCopies>,
    /// Whether every new plan is checked, see [`Plan::verify`](crate::Plan::verify): in debug builds, and where the
    /// environment says `GRADLOOM_CHECK=plan`.
    pub verify: bool,
    /// Bytes of the host from which plans that were not used for long are forgotten, with what the backend
    /// has made of them.
    pub plan_bytes_max: usize,
}

/// Enough for some hundred training steps of large models.
const PLAN_BYTES_MAX: usize = 256 << 20;

impl Default for Limits {
    fn default() -> Self {
        let verify = cfg!(debug_assertions) || Checks::from_environment().plan;
        Limits {
            buffers_max: usize::MAX,
            in_place: true,
            products: None,
            casts_on_read: false,
            transposed_copies: None,
            verify,
            plan_bytes_max: PLAN_BYTES_MAX,
        }
    }
}

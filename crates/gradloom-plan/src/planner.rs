//! [`Planner`]: from roots to a [`Plan`] and the values it needs, with a cache by structure.

use std::sync::Arc;

use gradloom_tensor::{Buffer, Retention, Scalar, Tensor};

use crate::kernel::Plan;

/// Makes plans and remembers them by the structure of the graph.
#[derive(Debug, Default)]
pub struct Planner {}

/// One evaluation: a plan with this graph's leaves, arguments and the nodes that get values.
#[derive(Debug)]
pub struct Prepared {
    /// The work, shared with all graphs of the same structure.
    pub plan: Arc<Plan>,
    /// Values of the leaves, as [`Plan::inputs`] lists them.
    pub inputs: Vec<Buffer>,
    /// Values of the arguments, as [`Plan::arguments`] lists them.
    pub arguments: Vec<Scalar>,
    /// Nodes that get the outputs, as [`Plan::outputs`] lists them: call [`Tensor::set_value`].
    pub outputs: Vec<Tensor>,
    /// Nodes by index, for the locations in messages about a kernel or an index check.
    pub nodes: Vec<Tensor>,
    /// True if the plan was in the cache.
    pub cached: bool,
}

impl Planner {
    /// The plan for these roots. Roots that have a value already are left out.
    pub fn prepare(&self, roots: &[Tensor], retention: Retention) -> Prepared {
        let _ = (roots, retention);
        unimplemented!("planner")
    }
}

//! [`Planner`]: from roots to a [`Plan`] and the values it needs, with a cache by structure.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use gradloom_tensor::{Buffer, Error, Op, Result, Retention, Scalar, Tensor};
use rustc_hash::FxHashSet;

use crate::build::build;
use crate::cache::Cache;
use crate::kernel::Plan;
use crate::limits::Limits;
use crate::linear::{Linear, address};
use crate::profile;
use crate::verify::PlanFault;

/// Makes plans and remembers them by the structure of the graph.
#[derive(Debug)]
pub struct Planner {
    limits: Limits,
    cache: Mutex<Cache>,
}

/// One evaluation: a plan with this graph's leaves, arguments and the nodes that get values.
#[derive(Debug)]
pub struct Prepared {
    /// The work, shared with all graphs of the same structure.
    pub plan: Arc<Plan>,
    /// Values of the leaves, as [`Plan::inputs`] lists them.
    pub inputs: Vec<Buffer>,
    /// Values of the arguments, as [`Plan::arguments`] lists them.
    pub arguments: Vec<Scalar>,
    /// Nodes that get the outputs, as [`Plan::outputs`] lists them: see [`Prepared::complete`].
    pub outputs: Vec<Tensor>,
    /// Nodes by index, for the locations in messages about a kernel or an index check.
    pub nodes: Vec<Tensor>,
    /// True if the plan was in the cache.
    pub cached: bool,
}

impl Prepared {
    /// Gives the nodes their values once all kernels have run, as [`Plan::outputs`] lists them, and notes
    /// what was computed on the way.
    pub fn complete(&self, values: impl IntoIterator<Item = Buffer>) {
        self.note_overwritten();
        for (node, value) in self.outputs.iter().zip(values) {
            node.set_value(value);
        }
        for node in self.nodes.iter().filter(|node| node.value().is_none()) {
            node.set_passed();
        }
    }

    /// Leaves that live on, in the history of a loss that somebody holds, know that they are no longer what
    /// they were.
    fn note_overwritten(&self) {
        let written = self.plan.outputs.iter().filter_map(|output| output.reuses);
        let written: FxHashSet<_> = written.map(|input| address(&self.inputs[input])).collect();
        if written.is_empty() {
            return;
        }
        for node in &self.nodes {
            if node.value().is_some_and(|value| written.contains(&address(value))) {
                node.set_overwritten();
            }
        }
    }

    /// The op of a node, for messages: for an index check that on whose behalf it is made.
    pub fn op_name(&self, node: usize) -> &'static str {
        match self.nodes[node].op() {
            Op::CheckIndex { op, .. } => op,
            other => other.name(),
        }
    }

    /// An error of a node's op: what has no memory or cannot be done names its line.
    pub fn error_of(&self, node: Option<usize>, error: Error) -> Error {
        match node.and_then(|node| Some((node, self.nodes.get(node)?))) {
            Some((node, tensor)) => {
                error.of_op(self.op_name(node), tensor.shape(), tensor.origin())
            }
            None => error,
        }
    }

    /// An error of reading an input: of the op that reads it first, or of the root that is a view of it.
    pub fn error_of_input(&self, input: usize, error: Error) -> Error {
        let reader = self.plan.reader(input).and_then(|node| self.nodes.get(node));
        let view = || {
            let input = Some(crate::BufferRef::Input(input));
            let view = self.plan.outputs.iter().position(|output| output.alias == input);
            view.and_then(|view| self.outputs.get(view))
        };
        match reader.or_else(view) {
            Some(node) => error.of_op(node.op().name(), node.shape(), node.origin()),
            None => error,
        }
    }

    /// The error of a plan that an executor finds unsound: it names the op and the line that made it.
    pub fn fault(&self, fault: &PlanFault) -> Error {
        failed_check(&self.plan, &self.nodes, fault)
    }
}

impl Default for Planner {
    fn default() -> Self {
        Planner::new(Limits::default())
    }
}

impl Planner {
    /// A planner with an empty cache.
    pub fn new(limits: Limits) -> Planner {
        Planner { limits, cache: Mutex::default() }
    }

    /// What it was told of the device.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The plan for these roots. Roots that have a value already are left out.
    ///
    /// A known structure is found while others are being planned: nothing waits for a plan but its own
    /// graph.
    ///
    /// # Errors
    /// When the plan fails its check: a bug of the planner, named instead of executed.
    pub fn prepare(&self, roots: &[Tensor], retention: Retention) -> Result<Prepared> {
        let mut linear = Linear::new(roots, retention);
        if let Some(placeholder) = linear.placeholder() {
            return Err(Error::placeholder(placeholder.shape(), placeholder.origin()));
        }
        if let Some(leaf) = linear.overwritten() {
            return Err(Error::overwritten(leaf.shape(), leaf.origin()));
        }
        if !self.limits.in_place {
            linear.forbid_reuse();
        }
        let key = std::mem::take(&mut linear.key).into_bytes();
        let nodes = linear.all_nodes();
        let known = self.cache().find(&key);
        let cached = known.is_some();
        let watched =
            profile::active().filter(|_| !cached).map(|profile| (profile, Instant::now()));
        let (plan, outputs) = match known {
            Some(known) => known,
            None => {
                let (plan, outputs) = self.plan(&linear, &nodes, retention)?;
                let (plan, outputs) = (Arc::new(plan), outputs.into());
                let bytes_max = self.limits.plan_bytes_max;
                // What goes is dropped here, without the lock.
                let (known, _dropped) = self.cache().insert(key, plan, outputs, bytes_max);
                known
            }
        };
        if let Some((profile, start)) = watched {
            let detail =
                format!("plan {}: {} nodes, {} kernels", plan.id, nodes.len(), plan.kernels.len());
            profile.other("host", "planning", &detail, start, 0);
        }
        Ok(Prepared {
            plan,
            outputs: outputs.iter().map(|&node| linear.nodes[node].clone()).collect(),
            inputs: linear.inputs,
            arguments: linear.arguments,
            nodes,
            cached,
        })
    }

    /// Forgets half of the plans, those used least recently, because what backends have made of them takes
    /// too much of a device.
    pub fn forget_half(&self) {
        let dropped = self.cache().halve(self.limits.plan_bytes_max);
        drop(dropped);
    }

    /// Bytes of the host that plans take, with what backends have made of them.
    pub fn bytes(&self) -> usize {
        self.cache().bytes()
    }

    fn plan(
        &self,
        linear: &Linear,
        nodes: &[Tensor],
        retention: Retention,
    ) -> Result<(Plan, Vec<usize>)> {
        let (plan, outputs) = build(linear, retention, &self.limits)
            .map_err(|fault| bug(nodes, fault.node, fault.reason))?;
        if self.limits.verify {
            plan.verify().map_err(|fault| failed_check(&plan, nodes, &fault))?;
        }
        Ok((plan, outputs))
    }

    fn cache(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The error that a plan fails its check.
fn failed_check(plan: &Plan, nodes: &[Tensor], fault: &PlanFault) -> Error {
    let node = plan.kernels.get(fault.kernel).map_or(0, |kernel| kernel.node);
    bug(nodes, node, &format!("fails its check: {fault}\n{plan}"))
}

/// The error that the planner is wrong about a node.
fn bug(nodes: &[Tensor], node: usize, reason: &str) -> Error {
    let node = &nodes[node.min(nodes.len() - 1)];
    let (op, place) = (node.op().name(), node.origin());
    Error::backend(format!(
        "plan: {op} of shape {}, made at {place}, {reason}; this is a bug of the planner",
        node.shape()
    ))
}

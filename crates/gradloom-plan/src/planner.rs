//! [`Planner`]: from roots to a [`Plan`] and the values it needs, with a cache by structure.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use gradloom_tensor::{Buffer, Retention, Scalar, Tensor};
use rustc_hash::{FxHashMap, FxHashSet};

use crate::graph::{Class, Graph};
use crate::kernel::{BufferRef, Kernel, KernelInput, KernelOutput, Plan, PlanOutput};
use crate::linear::Linear;
use crate::lower::{Draft, Retry, lower, stored_len};
use crate::memory::Memory;
use crate::merge::merge;
use crate::partition::Partition;
use crate::schedule::Schedule;
use crate::storing::Storing;

/// Plans kept; beyond it the half that was used least recently is dropped.
const PLANS_MAX: usize = 1024;

/// Makes plans and remembers them by the structure of the graph.
#[derive(Debug)]
pub struct Planner {
    limits: Limits,
    cache: Mutex<Cache>,
}

/// What a device asks of kernels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most buffers (operands and results) of one kernel.
    pub buffers_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { buffers_max: usize::MAX }
    }
}

#[derive(Debug, Default)]
struct Cache {
    plans: FxHashMap<Arc<[u64]>, Entry>,
    clock: u64,
}

#[derive(Debug)]
struct Entry {
    plan: Arc<Plan>,
    /// Nodes that get the plan's outputs.
    outputs: Arc<[usize]>,
    used: u64,
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
    /// Nodes that get the outputs, as [`Plan::outputs`] lists them: call [`Tensor::set_value`].
    pub outputs: Vec<Tensor>,
    /// Nodes by index, for the locations in messages about a kernel or an index check.
    pub nodes: Vec<Tensor>,
    /// True if the plan was in the cache.
    pub cached: bool,
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

    /// The plan for these roots. Roots that have a value already are left out.
    pub fn prepare(&self, roots: &[Tensor], retention: Retention) -> Prepared {
        let mut linear = Linear::new(roots, retention);
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        cache.clock += 1;
        let clock = cache.clock;
        let key = std::mem::take(&mut linear.key);
        let known = cache.plans.get_mut(&key[..]).map(|entry| {
            entry.used = clock;
            (entry.plan.clone(), entry.outputs.clone())
        });
        let cached = known.is_some();
        let (plan, outputs) = known.unwrap_or_else(|| {
            let (plan, outputs) = build(&linear, retention, self.limits);
            let (plan, outputs): (Arc<Plan>, Arc<[usize]>) = (Arc::new(plan), outputs.into());
            cache.make_room();
            let entry = Entry { plan: plan.clone(), outputs: outputs.clone(), used: clock };
            cache.plans.insert(key.as_slice().into(), entry);
            (plan, outputs)
        });
        drop(cache);
        Prepared {
            plan,
            outputs: outputs.iter().map(|&node| linear.nodes[node].clone()).collect(),
            inputs: linear.inputs,
            arguments: linear.arguments,
            nodes: linear.nodes,
            cached,
        }
    }
}

impl Cache {
    fn make_room(&mut self) {
        if self.plans.len() < PLANS_MAX {
            return;
        }
        let mut uses: Vec<u64> = self.plans.values().map(|entry| entry.used).collect();
        uses.sort_unstable();
        let middle = uses[uses.len() / 2];
        self.plans.retain(|_, entry| entry.used >= middle);
    }
}

/// Plans one structure; also the nodes that get the outputs.
fn build(linear: &Linear, retention: Retention, limits: Limits) -> (Plan, Vec<usize>) {
    let graph = Graph::new(linear);
    let (mut alone, mut forced) = (Vec::new(), Vec::new());
    let mut merging = true;
    let (partition, storing, drafts) = loop {
        let mut partition = Partition::new(&graph, &alone);
        let storing = Storing::new(&graph, &partition, &forced);
        if merging {
            merge(&graph, &mut partition, &storing);
        }
        match lower_all(&graph, &partition, &storing, &alone, limits) {
            Ok(drafts) => break (partition, storing, drafts),
            Err(Retry::Store(node)) => forced.push(node),
            Err(Retry::Split(node)) => {
                forced.extend(unstored_operands(&graph, &storing, node));
                alone.push(node);
            }
            Err(Retry::Alone(node)) => {
                // A node that stands alone already came here by a merge.
                merging &= !alone.contains(&node);
                alone.push(node);
            }
        }
        assert!(
            alone.len() + forced.len() <= 4 * graph.nodes.len(),
            "plan: the graph could not be partitioned; this is a bug in the planner"
        );
    };
    assemble(linear, &graph, &partition, &storing, &drafts, retention)
}

fn lower_all(
    graph: &Graph,
    partition: &Partition,
    storing: &Storing,
    alone: &[usize],
    limits: Limits,
) -> Result<Vec<Draft>, Retry> {
    let mut drafts = Vec::new();
    for group in 0..partition.groups.len() {
        let Some(draft) = lower(graph, partition, storing, group)? else { continue };
        if draft.inputs.len() + draft.outputs.len() > limits.buffers_max
            && let Some(node) = splitting_point(graph, partition, storing, alone, group)
        {
            return Err(Retry::Split(node));
        }
        drafts.push(draft);
    }
    Ok(drafts)
}

/// Where a group with too many buffers is best broken: at a middle member that is not alone yet, or,
/// where all are, at one whose operands are computed again in it. `None` if nothing would change.
fn splitting_point(
    graph: &Graph,
    partition: &Partition,
    storing: &Storing,
    alone: &[usize],
    group: usize,
) -> Option<usize> {
    let members = &partition.groups[group].members;
    let (first, second) = members.split_at(members.len() / 2);
    let later = second.iter().chain(first).copied();
    let joined = later.clone().find(|member| !alone.contains(member) && *member != members[0]);
    joined.or_else(|| {
        later.into_iter().find(|&node| !unstored_operands(graph, storing, node).is_empty())
    })
}

/// Elementwise operands of a node that have no memory.
fn unstored_operands(graph: &Graph, storing: &Storing, node: usize) -> Vec<usize> {
    let bases = graph.nodes[node].inputs.iter().map(|&input| graph.base(input));
    bases
        .filter(|&base| !storing.stored[base] && graph.nodes[base].class == Class::Elementwise)
        .collect()
}

/// Orders drafts and gives them memory.
fn assemble(
    linear: &Linear,
    graph: &Graph,
    partition: &Partition,
    storing: &Storing,
    drafts: &[Draft],
    retention: Retention,
) -> (Plan, Vec<usize>) {
    static NEXT_ID: AtomicU64 = AtomicU64::new(1);
    let schedule = Schedule::new(graph, drafts, &linear.reusable);
    let ordered: Vec<&Draft> = schedule.order.iter().map(|&position| &drafts[position]).collect();
    let size = |node: usize| (graph.nodes[node].dtype, stored_len(graph, partition, node));
    let mut place: FxHashMap<usize, BufferRef> = FxHashMap::default();
    let mut outputs: Vec<PlanOutput> = Vec::new();
    let mut receivers: Vec<usize> = Vec::new();
    let mut roots_done: FxHashSet<usize> = FxHashSet::default();
    let mut add_output = |node: usize, base: usize, place: &mut FxHashMap<usize, BufferRef>| {
        let (dtype, len) = (graph.nodes[node].dtype, graph.nodes[node].shape.count());
        let alias = match graph.nodes[base].class {
            Class::Leaf(input) => Some(BufferRef::Input(input)),
            _ => place.get(&base).copied(),
        };
        if alias.is_none() {
            place.insert(base, BufferRef::Output(outputs.len()));
        }
        let reuses = schedule.reuses.iter().find(|reuse| alias.is_none() && reuse.0 == base);
        outputs.push(PlanOutput { dtype, len, reuses: reuses.map(|reuse| reuse.1), alias });
        receivers.push(node);
    };
    for &root in &graph.roots {
        roots_done.insert(root);
        add_output(root, graph.base(root), &mut place);
    }
    if retention == Retention::Keep {
        for draft in &ordered {
            for &(node, _) in &draft.outputs {
                if graph.nodes[node].tracked && !roots_done.contains(&node) && storing.stored[node]
                {
                    add_output(node, node, &mut place);
                }
            }
        }
    }
    let memory = Memory::new(&ordered, &place, size);
    let locate = |base: usize| match graph.nodes[base].class {
        Class::Leaf(input) => BufferRef::Input(input),
        _ => memory.place[&base],
    };
    let kernels = ordered
        .iter()
        .map(|draft| Kernel {
            kind: draft.kind.clone(),
            program: draft.program.clone(),
            space: draft.space,
            inputs: draft
                .inputs
                .iter()
                .map(|&base| {
                    let (dtype, len) = size(base);
                    KernelInput { buffer: locate(base), dtype, len, node: base }
                })
                .collect(),
            outputs: draft
                .outputs
                .iter()
                .map(|&(node, value)| {
                    let (dtype, len) = size(node);
                    KernelOutput { buffer: locate(node), dtype, len, value, node }
                })
                .collect(),
            node: draft.outputs.last().map_or(0, |&(node, _)| node),
        })
        .collect();
    let plan = Plan {
        id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
        kernels,
        inputs: linear.inputs.iter().map(|buffer| (buffer.dtype(), buffer.len())).collect(),
        outputs,
        slots: memory.slots,
        arguments: linear.argument_dtypes.clone(),
    };
    (plan, receivers)
}

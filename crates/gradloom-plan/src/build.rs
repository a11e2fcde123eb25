//! From a linear graph to a [`Plan`]: all phases in their order, and the plan's memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use gradloom_tensor::{DType, Retention};
use rustc_hash::{FxHashMap, FxHashSet};

use crate::attachments::Attachments;
use crate::draft::{Draft, Fault};
use crate::graph::{Graph, PlannedLoop};
use crate::kernel::{BufferRef, Kernel, KernelInput, KernelOutput, Plan, PlanOutput};
use crate::limits::Limits;
use crate::linear::Linear;
use crate::looping::offsets;
use crate::lower::lower;
use crate::memory::Memory;
use crate::merge::merge;
use crate::node::Class;
use crate::partition::Partition;
use crate::schedule::Schedule;
use crate::split::{Passed, split};
use crate::storing::Storing;
use crate::transposed::with_copies;

/// Plans one structure; also the nodes that get the outputs.
pub(crate) fn build(
    linear: &Linear,
    retention: Retention,
    limits: &Limits,
) -> Result<(Plan, Vec<usize>), Fault> {
    let loops = plan_bodies(linear, limits)?;
    let graph = Graph::new(linear, loops, limits.casts_on_read);
    let mut partition = Partition::new(&graph);
    let storing = Storing::new(&graph, &partition);
    for &node in &storing.filled {
        partition.start(&graph, node);
    }
    merge(&graph, &mut partition, &storing);
    let mut drafts = Vec::new();
    let mut passed: Vec<Passed> = Vec::new();
    for group in 0..partition.groups.len() {
        if let Some(mut draft) = lower(&graph, &partition, &storing, group)? {
            draft.wait_for_others(|node| graph.base(node));
            drafts.extend(split(draft, limits.buffers_max, graph.nodes.len(), &mut passed));
        }
    }
    let bytes = |node: usize| {
        let (dtype, len) = size(&graph, &passed, node);
        (len * dtype.size()) as i64
    };
    let mut schedule = Schedule::new(&graph, &drafts, &linear.reusable, bytes)?;
    let ordered = in_order(drafts, &mut schedule, &graph, limits, &mut passed);
    let size = |node: usize| size(&graph, &passed, node);
    let outputs = Outputs::new(&graph, &schedule, &ordered, retention);
    let memory = Memory::new(&ordered, &schedule.together, &outputs.place, size);
    let locate = |base: usize| match graph.nodes.get(base).map(|node| node.class) {
        Some(Class::Leaf(input)) => Some(BufferRef::Input(input)),
        _ => memory.place.get(&base).copied(),
    };
    let mut kernels = Vec::with_capacity(ordered.len());
    for draft in &ordered {
        let kernel = kernel(draft, graph.nodes.len(), &size, &locate)?;
        let mut kernel = match limits.products {
            Some(forms) => forms.choose(kernel),
            None => kernel,
        };
        // Plans are kept for long.
        kernel.program.instructions.shrink_to_fit();
        kernel.origins.shrink_to_fit();
        kernels.push(kernel);
    }
    let plan = Plan {
        id: next_id(),
        kernels,
        together: schedule.together,
        inputs: linear.sizes.clone(),
        outputs: outputs.list,
        slots: memory.slots,
        arguments: linear.argument_dtypes.clone(),
        attachments: Attachments::default(),
    };
    Ok((plan, outputs.receivers))
}

/// Dtype and number of elements of a node, or of a value that passes between kernels.
fn size(graph: &Graph, passed: &[Passed], node: usize) -> (DType, usize) {
    match graph.nodes.get(node) {
        Some(entry) => (entry.dtype, entry.shape.count()),
        None => passed[node - graph.nodes.len()],
    }
}

/// Drafts in the order of a schedule, each behind the copies that it reads. Loops read no copies, so those
/// that run together stay neighbours.
fn in_order(
    drafts: Vec<Draft>,
    schedule: &mut Schedule,
    graph: &Graph,
    limits: &Limits,
    passed: &mut Vec<Passed>,
) -> Vec<Draft> {
    let mut drafts: Vec<Option<Draft>> = drafts.into_iter().map(Some).collect();
    let mut ordered = Vec::with_capacity(drafts.len());
    let mut together = schedule.together.iter_mut().peekable();
    for (place, &position) in schedule.order.iter().enumerate() {
        let Some(draft) = drafts[position].take() else { continue };
        if let Some(own) = together.next_if(|own| own.start == place) {
            *own = ordered.len()..ordered.len() + own.len();
        }
        match limits.transposed_copies {
            Some(copies) => {
                ordered.extend(with_copies(draft, graph, copies, limits.buffers_max, passed));
            }
            None => ordered.push(draft),
        }
    }
    ordered
}

/// The plans of loops' bodies; bodies of one structure share one.
fn plan_bodies(linear: &Linear, limits: &Limits) -> Result<Vec<PlannedLoop>, Fault> {
    let bodies = || linear.loops.iter().map(|looped| &looped.linear);
    let of_bodies: usize = bodies().map(|body| body.arguments.len()).sum();
    let own = linear.arguments.len() - of_bodies;
    let arguments = offsets(own, bodies().map(|body| body.arguments.len()));
    let nodes = offsets(linear.nodes.len(), bodies().map(Linear::node_count));
    let mut known: FxHashMap<&[u8], Arc<Plan>> = FxHashMap::default();
    let mut loops = Vec::with_capacity(linear.loops.len());
    for (position, looped) in linear.loops.iter().enumerate() {
        let key = looped.linear.key.bytes();
        let body = match known.get(key) {
            Some(body) => Arc::clone(body),
            None => {
                let fault = |fault: Fault| Fault { node: nodes[position] + fault.node, ..fault };
                let (plan, _) = build(&looped.linear, Retention::Release, limits).map_err(fault)?;
                known.entry(key).or_insert(Arc::new(plan)).clone()
            }
        };
        loops.push(PlannedLoop {
            length: looped.body.length(),
            reverse: looped.body.reverse(),
            operands: [looped.body.carries(), looped.body.slices(), looped.body.captured()]
                .map(<[_]>::len),
            results: looped.results.clone(),
            stacked: looped.stacked.len(),
            carries: looped.carries.clone(),
            body,
            arguments: arguments[position],
            nodes: nodes[position],
        });
    }
    Ok(loops)
}

fn next_id() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// The values that outlive an evaluation.
struct Outputs {
    list: Vec<PlanOutput>,
    /// The node that gets each.
    receivers: Vec<usize>,
    /// Where their bases are.
    place: FxHashMap<usize, BufferRef>,
}

impl Outputs {
    fn new(graph: &Graph, schedule: &Schedule, drafts: &[Draft], retention: Retention) -> Outputs {
        let mut outputs =
            Outputs { list: Vec::new(), receivers: Vec::new(), place: FxHashMap::default() };
        let reuses: FxHashMap<usize, usize> = schedule.reuses.iter().copied().collect();
        for &root in &graph.roots {
            outputs.add(graph, &reuses, root);
        }
        if retention == Retention::Keep {
            let roots: FxHashSet<usize> = graph.roots.iter().copied().collect();
            let stored = drafts.iter().flat_map(|draft| &draft.outputs).map(|&(node, _)| node);
            let known = |&node: &usize| node < graph.nodes.len() && !roots.contains(&node);
            for node in stored.filter(known).filter(|&node| graph.nodes[node].tracked) {
                outputs.add(graph, &reuses, node);
            }
        }
        outputs
    }

    fn add(&mut self, graph: &Graph, reuses: &FxHashMap<usize, usize>, node: usize) {
        let base = graph.base(node);
        let (dtype, len) = (graph.nodes[node].dtype, graph.nodes[node].shape.count());
        let alias = match graph.nodes[base].class {
            Class::Leaf(input) => Some(BufferRef::Input(input)),
            _ => self.place.get(&base).copied(),
        };
        if alias.is_none() {
            self.place.insert(base, BufferRef::Output(self.list.len()));
        }
        let reuses = reuses.get(&base).copied().filter(|_| alias.is_none());
        self.list.push(PlanOutput { dtype, len, reuses, alias });
        self.receivers.push(node);
    }
}

/// A draft with its memory.
fn kernel(
    draft: &Draft,
    nodes: usize,
    size: &dyn Fn(usize) -> (DType, usize),
    locate: &dyn Fn(usize) -> Option<BufferRef>,
) -> Result<Kernel, Fault> {
    let place =
        |node: usize| locate(node).ok_or(Fault { node, reason: "is read but never computed" });
    let mut inputs = Vec::with_capacity(draft.inputs.len());
    for &node in &draft.inputs {
        let (dtype, len) = size(node);
        inputs.push(KernelInput { buffer: place(node)?, dtype, len, node });
    }
    let mut outputs = Vec::with_capacity(draft.outputs.len());
    for &(node, value) in &draft.outputs {
        let (dtype, len) = size(node);
        outputs.push(KernelOutput { buffer: place(node)?, dtype, len, value, node });
    }
    Ok(Kernel {
        kind: draft.kind.clone(),
        program: draft.program.clone(),
        space: draft.space,
        inputs,
        outputs,
        // Values passed on within a kernel are no nodes.
        node: draft
            .outputs
            .iter()
            .rev()
            .map(|output| output.0)
            .find(|&node| node < nodes)
            .unwrap_or(draft.origins.last().copied().unwrap_or(0)),
        origins: draft.origins.clone(),
    })
}

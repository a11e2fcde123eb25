//! The order of kernels: producers first, whatever may fail before anything is written in place,
//! readers of memory that will be reused before its new owner, and among those that could run, the one
//! that frees most memory.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::Range;

use rustc_hash::{FxHashMap, FxHashSet};

use crate::draft::{Draft, Fault};
use crate::graph::Graph;
use crate::in_place::reads_in_place;
use crate::kernel::KernelKind;
use crate::node::Class;

/// A root that takes over the memory of an input: `(root base, input)`.
pub(crate) type Reuse = (usize, usize);

/// Orders drafts; also decides which roots are updated in place.
pub(crate) struct Schedule {
    /// Positions in the list of drafts.
    pub(crate) order: Vec<usize>,
    /// Loops that do not depend on one another, as places in the order.
    pub(crate) together: Vec<Range<usize>>,
    pub(crate) reuses: Vec<Reuse>,
}

/// Drafts and what must run before what.
struct Dependencies {
    before: Vec<FxHashSet<usize>>,
    after: Vec<Vec<usize>>,
    /// Drafts that read an input.
    readers: FxHashMap<usize, Vec<usize>>,
}

impl Schedule {
    /// `bytes` gives the size of what a draft reads or writes.
    pub(crate) fn new(
        graph: &Graph,
        drafts: &[Draft],
        reusable: &[bool],
        bytes: impl Fn(usize) -> i64,
    ) -> Result<Schedule, Fault> {
        let mut dependencies = Dependencies::new(graph, drafts);
        let reuses = choose_reuses(graph, drafts, reusable, &mut dependencies);
        let (order, together) = order(graph, drafts, &dependencies, bytes);
        if order.len() < drafts.len() {
            let missing = (0..drafts.len()).find(|draft| !order.contains(draft)).unwrap_or(0);
            let node = drafts[missing].outputs[0].0;
            return Err(Fault { node, reason: "depends on itself" });
        }
        Ok(Schedule { order, together, reuses })
    }
}

/// The input that a node is, if it is one. Values passed between parts of a kernel are no nodes.
fn leaf(graph: &Graph, node: usize) -> Option<usize> {
    match graph.nodes.get(node)?.class {
        Class::Leaf(input) => Some(input),
        _ => None,
    }
}

impl Dependencies {
    fn new(graph: &Graph, drafts: &[Draft]) -> Dependencies {
        let mut writer: FxHashMap<usize, usize> = FxHashMap::default();
        for (position, draft) in drafts.iter().enumerate() {
            for &(node, _) in &draft.outputs {
                writer.insert(node, position);
            }
        }
        let mut dependencies = Dependencies {
            before: vec![FxHashSet::default(); drafts.len()],
            after: vec![Vec::new(); drafts.len()],
            readers: FxHashMap::default(),
        };
        for (position, draft) in drafts.iter().enumerate() {
            for &input in &draft.inputs {
                if let Some(leaf) = leaf(graph, input) {
                    dependencies.readers.entry(leaf).or_default().push(position);
                } else if let Some(&producer) = writer.get(&input) {
                    dependencies.add(position, producer);
                }
            }
            for &node in &draft.after {
                if let Some(&producer) = writer.get(&graph.base(node)) {
                    dependencies.add(position, producer);
                }
            }
        }
        dependencies
    }

    fn add(&mut self, draft: usize, earlier: usize) {
        if draft != earlier && self.before[draft].insert(earlier) {
            self.after[earlier].push(draft);
        }
    }

    /// All drafts that run after one.
    fn users(&self, draft: usize) -> FxHashSet<usize> {
        let mut found = FxHashSet::default();
        let mut stack = vec![draft];
        while let Some(next) = stack.pop() {
            for &user in &self.after[next] {
                if found.insert(user) {
                    stack.push(user);
                }
            }
        }
        found
    }
}

/// Gives each root that can be written over a dying input that input, if all other readers and all
/// checks can run first.
fn choose_reuses(
    graph: &Graph,
    drafts: &[Draft],
    reusable: &[bool],
    dependencies: &mut Dependencies,
) -> Vec<Reuse> {
    let roots: FxHashSet<usize> = graph.roots.iter().map(|&root| graph.base(root)).collect();
    // Leaves that are roots themselves, through a view, stay as they are.
    let mut taken: FxHashSet<usize> = roots.iter().filter_map(|&root| leaf(graph, root)).collect();
    let checks: Vec<usize> = (0..drafts.len()).filter(|&draft| drafts[draft].may_fail()).collect();
    let mut reuses = Vec::new();
    for (position, draft) in drafts.iter().enumerate() {
        let mut users: Option<FxHashSet<usize>> = None;
        let is_leaf = |base: usize, input: usize| leaf(graph, base) == Some(input);
        if draft.may_fail() {
            continue;
        }
        for &(node, value) in draft.outputs.iter().filter(|(node, _)| roots.contains(node)) {
            let overwritten = match draft.kind {
                KernelKind::Write { .. } => &draft.inputs[..1],
                _ => &draft.inputs[draft.kind_inputs..],
            };
            let found = overwritten.iter().find_map(|&input| {
                let leaf = leaf(graph, input)?;
                let carried = |pairs: &Vec<(usize, usize)>| pairs.contains(&(node, leaf));
                let fits = reusable[leaf]
                    && graph.carried.as_ref().is_none_or(carried)
                    && !taken.contains(&leaf)
                    && graph.nodes[input].dtype == graph.nodes[node].dtype
                    && graph.nodes[input].shape.count() == graph.nodes[node].shape.count()
                    && reads_in_place(&draft.kind, &draft.program, &draft.space, value, |input| {
                        is_leaf(draft.inputs[input], leaf)
                    });
                if !fits {
                    return None;
                }
                let users = users.get_or_insert_with(|| dependencies.users(position));
                let mut others = dependencies.readers[&leaf].iter().chain(&checks);
                others.all(|other| !users.contains(other)).then_some(leaf)
            });
            let Some(leaf) = found else { continue };
            taken.insert(leaf);
            reuses.push((node, leaf));
            let readers = dependencies.readers[&leaf].clone();
            for &other in readers.iter().chain(&checks) {
                dependencies.add(position, other);
            }
        }
    }
    reuses
}

/// What a draft would free, less what it would make, as long as that is up to date.
type Ready = (i64, Reverse<usize>);

/// Loops come when nothing else can run, all that can at once: they may run at the same time.
fn order(
    graph: &Graph,
    drafts: &[Draft],
    dependencies: &Dependencies,
    bytes: impl Fn(usize) -> i64,
) -> (Vec<usize>, Vec<Range<usize>>) {
    let roots: FxHashSet<usize> = graph.roots.iter().map(|&root| graph.base(root)).collect();
    let mut users: FxHashMap<usize, Vec<usize>> = FxHashMap::default();
    let mut distinct: Vec<Vec<usize>> = Vec::with_capacity(drafts.len());
    for (position, draft) in drafts.iter().enumerate() {
        let mut inputs: Vec<usize> =
            draft.inputs.iter().copied().filter(|&input| leaf(graph, input).is_none()).collect();
        inputs.sort_unstable();
        inputs.dedup();
        for &input in &inputs {
            users.entry(input).or_default().push(position);
        }
        distinct.push(inputs);
    }
    let mut uses: FxHashMap<usize, usize> =
        users.iter().map(|(&input, users)| (input, users.len())).collect();
    let mut waiting: Vec<usize> = dependencies.before.iter().map(FxHashSet::len).collect();
    let gain = |position: usize, uses: &FxHashMap<usize, usize>| -> i64 {
        let freed = distinct[position].iter().filter(|input| uses[input] == 1);
        let made = drafts[position].outputs.iter().filter(|(node, _)| !roots.contains(node));
        freed.map(|&input| bytes(input)).sum::<i64>()
            - made.map(|&(node, _)| bytes(node)).sum::<i64>()
    };
    let mut ready = Queue { drafts, ready: BinaryHeap::new(), loops: Vec::new() };
    let mut done = vec![false; drafts.len()];
    for position in (0..drafts.len()).filter(|&position| waiting[position] == 0) {
        ready.push(position, gain(position, &uses));
    }
    let mut order = Vec::with_capacity(drafts.len());
    let mut together = Vec::new();
    while let Some(mut next) = ready.pop() {
        // A gain only grows, and then the draft is listed again, ahead of its older entry.
        next.retain(|&position| !std::mem::replace(&mut done[position], true));
        if next.len() > 1 {
            together.push(order.len()..order.len() + next.len());
        }
        for position in next {
            order.push(position);
            for input in &distinct[position] {
                let Some(count) = uses.get_mut(input) else { continue };
                *count -= 1;
                if *count == 1 {
                    for &user in &users[input] {
                        if !done[user] && waiting[user] == 0 {
                            ready.push(user, gain(user, &uses));
                        }
                    }
                }
            }
            for &next in &dependencies.after[position] {
                waiting[next] -= 1;
                if waiting[next] == 0 {
                    ready.push(next, gain(next, &uses));
                }
            }
        }
    }
    (order, together)
}

/// Drafts that can run.
struct Queue<'a> {
    drafts: &'a [Draft],
    ready: BinaryHeap<Ready>,
    loops: Vec<usize>,
}

impl Queue<'_> {
    fn push(&mut self, position: usize, gain: i64) {
        match self.drafts[position].kind {
            KernelKind::Loop(_) if self.loops.contains(&position) => {}
            KernelKind::Loop(_) => self.loops.push(position),
            _ => self.ready.push((gain, Reverse(position))),
        }
    }

    /// The next draft, or all loops that can run.
    fn pop(&mut self) -> Option<Vec<usize>> {
        if let Some((_, Reverse(position))) = self.ready.pop() {
            return Some(vec![position]);
        }
        self.loops.sort_unstable();
        Some(std::mem::take(&mut self.loops)).filter(|loops| !loops.is_empty())
    }
}

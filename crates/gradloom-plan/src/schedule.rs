//! The order of kernels: producers first, readers of memory that will be reused before its new owner,
//! and among those that could run, the one that frees most memory.

use rustc_hash::{FxHashMap, FxHashSet};

use crate::bits::Bits;
use crate::graph::{Class, Graph};
use crate::kernel::KernelKind;
use crate::lower::Draft;
use crate::program::Operation;

/// A root that takes over the memory of an input: `(root base, input)`.
pub(crate) type Reuse = (usize, usize);

/// Orders drafts; also decides which roots are updated in place.
pub(crate) struct Schedule {
    /// Positions in the list of drafts.
    pub(crate) order: Vec<usize>,
    pub(crate) reuses: Vec<Reuse>,
}

impl Schedule {
    pub(crate) fn new(graph: &Graph, drafts: &[Draft], reusable: &[bool]) -> Schedule {
        let mut writer: FxHashMap<usize, usize> = FxHashMap::default();
        for (position, draft) in drafts.iter().enumerate() {
            for &(node, _) in &draft.outputs {
                writer.insert(node, position);
            }
        }
        let mut before: Vec<FxHashSet<usize>> = vec![FxHashSet::default(); drafts.len()];
        let mut readers: FxHashMap<usize, Vec<usize>> = FxHashMap::default();
        for (position, draft) in drafts.iter().enumerate() {
            for &input in &draft.inputs {
                if let Class::Leaf(leaf) = graph.nodes[input].class {
                    readers.entry(leaf).or_default().push(position);
                } else if let Some(&producer) = writer.get(&input) {
                    before[position].insert(producer);
                }
            }
            for &node in &draft.after {
                if let Some(&producer) = writer.get(&graph.base(node)) {
                    before[position].insert(producer);
                }
            }
            before[position].remove(&position);
        }
        let reuses = choose_reuses(graph, drafts, reusable, &readers, &mut before);
        let order = order(graph, drafts, &before);
        Schedule { order, reuses }
    }
}

/// Gives each root that can be written over a dying input that input, if all other readers can run
/// first.
fn choose_reuses(
    graph: &Graph,
    drafts: &[Draft],
    reusable: &[bool],
    readers: &FxHashMap<usize, Vec<usize>>,
    before: &mut [FxHashSet<usize>],
) -> Vec<Reuse> {
    let roots: FxHashSet<usize> = graph.roots.iter().map(|&root| graph.base(root)).collect();
    let mut taken: FxHashSet<usize> = FxHashSet::default();
    // Leaves that are roots themselves, through a view, stay as they are.
    for &root in &roots {
        if let Class::Leaf(input) = graph.nodes[root].class {
            taken.insert(input);
        }
    }
    let mut reach = reachability(before);
    let mut reuses = Vec::new();
    for (position, draft) in drafts.iter().enumerate() {
        for &(node, _) in draft.outputs.iter().filter(|(node, _)| roots.contains(node)) {
            let overwritten = match draft.kind {
                KernelKind::Write { .. } => &draft.inputs[..1],
                _ => &draft.inputs[draft.kind_inputs..],
            };
            let candidate = overwritten.iter().find_map(|&input| {
                let Class::Leaf(leaf) = graph.nodes[input].class else { return None };
                let fits = reusable[leaf]
                    && !taken.contains(&leaf)
                    && graph.nodes[input].dtype == graph.nodes[node].dtype
                    && graph.nodes[input].shape.count() == graph.nodes[node].shape.count()
                    && reads_in_place(graph, draft, leaf);
                let others = || readers[&leaf].iter().filter(|&&other| other != position);
                (fits && others().all(|&other| !reach[other].contains(position))).then_some(leaf)
            });
            let Some(leaf) = candidate else { continue };
            taken.insert(leaf);
            reuses.push((node, leaf));
            let mut added = false;
            for &other in readers[&leaf].iter().filter(|&&other| other != position) {
                added |= before[position].insert(other);
            }
            if added {
                reach = reachability(before);
            }
        }
    }
    reuses
}

/// True if a draft reads an input only element by element where it writes.
fn reads_in_place(graph: &Graph, draft: &Draft, leaf: usize) -> bool {
    let is_leaf = |base: usize| graph.nodes[base].class == Class::Leaf(leaf);
    if let KernelKind::Write { .. } = draft.kind {
        return !draft.inputs[1..].iter().any(|&base| is_leaf(base));
    }
    if draft.inputs[..draft.kind_inputs].iter().any(|&base| is_leaf(base)) {
        return false;
    }
    draft.program.instructions.iter().all(|instruction| match instruction.operation {
        Operation::Load { input, view } if is_leaf(draft.inputs[input]) => {
            view.is_contiguous() && draft.space.kept == draft.space.shape.rank()
        }
        _ => true,
    })
}

/// For each draft the set of drafts that must run before it, directly or not.
fn reachability(before: &[FxHashSet<usize>]) -> Vec<Bits> {
    let mut reach: Vec<Option<Bits>> = vec![None; before.len()];
    let mut stack: Vec<usize> = Vec::new();
    for start in 0..before.len() {
        stack.push(start);
        while let Some(&top) = stack.last() {
            if reach[top].is_some() {
                stack.pop();
                continue;
            }
            let missing: Vec<usize> =
                before[top].iter().copied().filter(|&other| reach[other].is_none()).collect();
            if missing.is_empty() {
                let mut bits = Bits::default();
                for &other in &before[top] {
                    bits.insert(other);
                    if let Some(more) = &reach[other] {
                        bits.union(more);
                    }
                }
                reach[top] = Some(bits);
                stack.pop();
            } else {
                stack.extend(missing);
            }
        }
    }
    reach.into_iter().map(Option::unwrap_or_default).collect()
}

fn order(graph: &Graph, drafts: &[Draft], before: &[FxHashSet<usize>]) -> Vec<usize> {
    let roots: FxHashSet<usize> = graph.roots.iter().map(|&root| graph.base(root)).collect();
    let mut uses: FxHashMap<usize, usize> = FxHashMap::default();
    let mut distinct: Vec<Vec<usize>> = Vec::with_capacity(drafts.len());
    for draft in drafts {
        let mut inputs: Vec<usize> = draft
            .inputs
            .iter()
            .copied()
            .filter(|&input| !matches!(graph.nodes[input].class, Class::Leaf(_)))
            .collect();
        inputs.sort_unstable();
        inputs.dedup();
        for &input in &inputs {
            *uses.entry(input).or_default() += 1;
        }
        distinct.push(inputs);
    }
    let bytes =
        |node: usize| (graph.nodes[node].shape.count() * graph.nodes[node].dtype.size()) as i64;
    let mut waiting: Vec<usize> = before.iter().map(FxHashSet::len).collect();
    let mut after: Vec<Vec<usize>> = vec![Vec::new(); drafts.len()];
    for (position, others) in before.iter().enumerate() {
        for &other in others {
            after[other].push(position);
        }
    }
    let mut ready: Vec<usize> =
        (0..drafts.len()).filter(|&position| waiting[position] == 0).collect();
    let mut order = Vec::with_capacity(drafts.len());
    while !ready.is_empty() {
        let gain = |position: usize| {
            let freed: i64 = distinct[position]
                .iter()
                .filter(|input| uses[input] == 1)
                .map(|&input| bytes(input))
                .sum();
            let made: i64 = drafts[position]
                .outputs
                .iter()
                .filter(|(node, _)| !roots.contains(node))
                .map(|&(node, _)| bytes(node))
                .sum();
            freed - made
        };
        let best = (0..ready.len())
            .max_by_key(|&index| (gain(ready[index]), std::cmp::Reverse(ready[index])))
            .unwrap_or(0);
        let position = ready.swap_remove(best);
        order.push(position);
        for input in &distinct[position] {
            if let Some(count) = uses.get_mut(input) {
                *count -= 1;
            }
        }
        for &next in &after[position] {
            waiting[next] -= 1;
            if waiting[next] == 0 {
                ready.push(next);
            }
        }
    }
    order
}

//! The first half of fusion: every computed node joins a group, and each group becomes one kernel.
//!
//! Nodes join in topological order, each the youngest group among its producers that it fits:
//! elementwise work follows the kernel that feeds it, a reduction follows the elementwise work of its
//! rows, and what reads a row's reduction again stays in that row. A join is decided here for good. It
//! holds for every member of a group:
//!
//! - what it reads of other members is what the kernel has at that place ([`Space::is_aligned`]);
//! - everything else it reads has strides over the group's space, if it is stored;
//! - no dependencies run in a circle ([`Order`]);
//! - a group has at most [`MEMBERS_MAX`] members.

use gradloom_tensor::op::Permutation;
use gradloom_tensor::{Op, Shape};

use crate::graph::Graph;
use crate::node::{Class, Step, read};
use crate::order::Order;
use crate::program::{Level, Space};
use crate::space::refine;

/// Rows longer than this are not kept together for re-reading.
const ROW_COLUMNS_MAX: usize = 32 * 1024;

/// Rows longer than this are only kept together if there are several.
const LONE_ROW_COLUMNS_MAX: usize = 8 * 1024;

/// Members of a group.
pub(crate) const MEMBERS_MAX: usize = 96;

/// Nodes that become one kernel.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    /// The structured node that the group is the epilogue of.
    pub(crate) structured: Option<usize>,
    /// Members in topological order.
    pub(crate) members: Vec<usize>,
    /// Iteration space in the order of the members' elements.
    pub(crate) space: Space,
    /// For reductions whose operand is not read in the order of its axes: the operand's shape and the
    /// order that brings the kept axes to the front. Such groups have no stored values of level
    /// `Element`.
    pub(crate) order: Option<(Shape, Permutation)>,
}

/// The groups and which one each node is in.
pub(crate) struct Partition {
    pub(crate) groups: Vec<Group>,
    pub(crate) order: Order,
    pub(crate) group_of: Vec<Option<usize>>,
    /// Groups of loops.
    group_of_loop: Vec<Option<usize>>,
    /// Level of each member in its group.
    pub(crate) level: Vec<Level>,
}

/// What a join makes of the group's space, and the new member's level.
struct Joined {
    space: Space,
    level: Level,
}

impl Partition {
    pub(crate) fn new(graph: &Graph) -> Partition {
        let count = graph.nodes.len();
        let mut partition = Partition {
            groups: Vec::new(),
            order: Order::default(),
            group_of: vec![None; count],
            group_of_loop: vec![None; graph.loops.len()],
            level: vec![Level::Element; count],
        };
        for node in 0..count {
            match graph.nodes[node].class {
                Class::Elementwise | Class::Copy | Class::Reduce => partition.place(graph, node),
                Class::Structured => match partition.beside(graph, node) {
                    Some(group) => partition.join_beside(graph, node, group),
                    None => partition.start(graph, node),
                },
                Class::Generated if graph.filled.binary_search(&node).is_ok() => {
                    partition.start(graph, node)
                }
                Class::Leaf(_) | Class::Generated | Class::View | Class::Alias => {}
            }
        }
        partition
    }

    fn place(&mut self, graph: &Graph, node: usize) {
        let mut candidates: Vec<usize> = graph.nodes[node]
            .inputs
            .iter()
            .filter_map(|&input| self.group_of[graph.base(input)])
            .collect();
        candidates.sort_unstable_by(|a, b| b.cmp(a));
        candidates.dedup();
        let producers = self.producers(graph, node);
        for &group in &candidates {
            if let Some(joined) = self.fit(graph, node, group)
                && self.order.may_depend(group, &producers)
            {
                self.join(node, group, &producers, joined);
                return;
            }
        }
        self.start(graph, node);
    }

    /// The group of another result of the same loop.
    fn beside(&self, graph: &Graph, node: usize) -> Option<usize> {
        let (looped, _) = graph.nodes[node].result?;
        *self.group_of_loop.get(looped)?
    }

    fn join_beside(&mut self, graph: &Graph, node: usize, group: usize) {
        let producers = self.producers(graph, node);
        let space = self.groups[group].space;
        self.join(node, group, &producers, Joined { space, level: Level::Element });
    }

    /// A group of its own.
    pub(crate) fn start(&mut self, graph: &Graph, node: usize) {
        let entry = &graph.nodes[node];
        let (mut level, mut order, mut structured) = (Level::Element, None, None);
        let space = match entry.class {
            Class::Structured => {
                structured = Some(node);
                match entry.op {
                    Op::Loop(_) => Space::elements(Shape::SCALAR),
                    Op::Write { .. } => Space::elements(update_shape(graph, node)),
                    _ => Space::elements(entry.shape),
                }
            }
            Class::Reduce => {
                level = Level::Row;
                let (space, needed) = reduce_space(graph, node);
                order = needed.or_else(|| own_order(graph, node, &space));
                space
            }
            _ => Space::elements(element_shape(graph, node)),
        };
        self.groups.push(Group { structured, members: Vec::new(), space, order });
        let group = self.order.add();
        let producers = self.producers(graph, node);
        self.join(node, group, &producers, Joined { space, level });
        if let Some((looped, _)) = entry.result {
            self.group_of_loop[looped] = Some(group);
        }
    }

    fn join(&mut self, node: usize, group: usize, producers: &[usize], joined: Joined) {
        for &producer in producers {
            self.order.depend(group, producer);
        }
        self.groups[group].members.push(node);
        self.groups[group].space = joined.space;
        self.group_of[node] = Some(group);
        self.level[node] = joined.level;
    }

    /// Groups that a node reads from or waits for.
    fn producers(&self, graph: &Graph, node: usize) -> Vec<usize> {
        let mut producers = Vec::new();
        for &after in &graph.nodes[node].after {
            producers.extend(self.group_of[graph.base(after)]);
        }
        for &input in &graph.nodes[node].inputs {
            producers.extend(self.group_of[graph.base(input)]);
            for &after in &graph.nodes[input].after {
                producers.extend(self.group_of[graph.base(after)]);
            }
        }
        producers.sort_unstable();
        producers.dedup();
        producers
    }

    /// Whether a node may join a group, and what the group becomes.
    fn fit(&self, graph: &Graph, node: usize, group: usize) -> Option<Joined> {
        let own = &self.groups[group];
        let empty = own.space.shape.count() == 0 || graph.nodes[node].shape.count() == 0;
        // What is written is a part of the result, and what a loop leaves has its own kernels, what
        // an op from outside does is not known: nothing can follow them element by element.
        let alone = |node: usize| {
            matches!(graph.nodes[node].op, Op::Write { .. } | Op::Loop(_) | Op::Call(_))
        };
        if empty || own.members.len() >= MEMBERS_MAX || own.structured.is_some_and(alone) {
            return None;
        }
        let joined = match graph.nodes[node].class {
            Class::Reduce => self.fit_reduce(graph, node, group)?,
            _ => self.fit_element(graph, node, group)?,
        };
        let reads = |member: usize, level: Level| {
            self.reads_elsewhere(graph, member, level, group, &joined.space)
        };
        let moved = joined.space.shape != own.space.shape;
        let members = own.members.iter().filter(|_| moved);
        let hold = members.copied().all(|member| reads(member, self.level[member]));
        (hold && reads(node, joined.level)).then_some(joined)
    }

    fn fit_element(&self, graph: &Graph, node: usize, group: usize) -> Option<Joined> {
        let own = &self.groups[group];
        let count = graph.nodes[node].shape.count();
        let (rows, columns) = (own.space.rows(), own.space.columns());
        let level = match count {
            _ if count == rows * columns => Level::Element,
            _ if count == rows => Level::Row,
            _ => return None,
        };
        let mut reads_row = false;
        for &input in &graph.nodes[node].inputs {
            let base = graph.base(input);
            if self.group_of[base] != Some(group) {
                continue;
            }
            let steps = operand_steps(graph, node, input);
            let of = self.level[base];
            reads_row |= of == Level::Row && level == Level::Element;
            if !own.space.is_aligned(graph.nodes[base].shape, of, &steps, level) {
                return None;
            }
        }
        if reads_row && (own.structured.is_some() || !stays_together(rows, columns)) {
            return None;
        }
        if level == Level::Row || own.structured.is_some() {
            return Some(Joined { space: own.space, level });
        }
        if own.order.is_some() {
            return None;
        }
        let shape = refine(own.space.shape, element_shape(graph, node))?;
        Some(Joined { space: Space { shape, kept: 0 }.with_rows(rows)?, level })
    }

    fn fit_reduce(&self, graph: &Graph, node: usize, group: usize) -> Option<Joined> {
        let own = &self.groups[group];
        let input = graph.nodes[node].inputs[0];
        let base = graph.base(input);
        if own.structured.is_some()
            || own.order.is_some()
            || self.group_of[base] != Some(group)
            || self.level[base] != Level::Element
        {
            return None;
        }
        let (space, order) = reduce_space(graph, node);
        let count = graph.nodes[input].shape.count();
        let (rows, columns) = (space.rows(), space.columns());
        let (member, steps) = (graph.nodes[base].shape, &graph.nodes[input].steps);
        if order.is_some()
            || count != own.space.shape.count()
            || !own.space.is_aligned(member, Level::Element, steps, Level::Element)
        {
            return None;
        }
        let reducing = own.members.iter().any(|&member| graph.nodes[member].class == Class::Reduce);
        if (reducing && own.space.columns() != columns) || !stays_together(rows, columns) {
            return None;
        }
        let shape = refine(refine(own.space.shape, space.shape)?, Shape::new(&[rows, columns]))?;
        Some(Joined { space: Space { shape, kept: 0 }.with_rows(rows)?, level: Level::Row })
    }

    /// True if all that a member reads of nodes outside the group has strides over a space.
    fn reads_elsewhere(
        &self,
        graph: &Graph,
        member: usize,
        level: Level,
        group: usize,
        space: &Space,
    ) -> bool {
        graph.nodes[member].inputs.iter().all(|&input| {
            let base = graph.base(input);
            if self.group_of[base] == Some(group) {
                return true;
            }
            let mut steps = operand_steps(graph, member, input);
            steps.extend(match graph.nodes[member].class {
                Class::Reduce => vec![Step::Reshape(space.shape)],
                _ => space.steps(level),
            });
            read(graph.nodes[base].shape, &steps).is_some()
        })
    }
}

/// True if rows of this length are worth keeping in one place to be read again.
fn stays_together(rows: usize, columns: usize) -> bool {
    columns <= LONE_ROW_COLUMNS_MAX || (rows >= 8 && columns <= ROW_COLUMNS_MAX)
}

/// Steps from an operand's base to the operand as a member reads it. A copy reads its operand through
/// its own step.
pub(crate) fn operand_steps(graph: &Graph, node: usize, input: usize) -> Vec<Step> {
    let mut steps = graph.nodes[input].steps.clone();
    if graph.nodes[node].class == Class::Copy {
        steps.push(graph.nodes[node].own_step());
    }
    steps
}

/// The shape in which a member's operands can be read: its own, but a copy by reshape is read in the
/// shape of its operand, because strides could not express it.
fn element_shape(graph: &Graph, node: usize) -> Shape {
    let entry = &graph.nodes[node];
    match (entry.class, &entry.op) {
        (Class::Copy, Op::Reshape) => graph.nodes[entry.inputs[0]].shape,
        _ => entry.shape,
    }
}

/// The space of a reduction: kept axes, then reduced ones; and the order if that is not the operand's.
fn reduce_space(graph: &Graph, node: usize) -> (Space, Option<(Shape, Permutation)>) {
    let operand = graph.nodes[graph.nodes[node].inputs[0]].shape;
    let Op::Reduce(_, axes) = &graph.nodes[node].op else {
        return (Space::elements(operand), None);
    };
    let kept: Vec<usize> = (0..operand.rank()).filter(|&axis| !axes.contains(axis)).collect();
    let order: Vec<usize> = kept.iter().copied().chain(axes.iter()).collect();
    let shape: Shape = order.iter().map(|&axis| operand[axis]).collect();
    // Axes of size one do not matter for the order.
    let significant: Vec<usize> =
        order.iter().copied().filter(|&axis| operand[axis] != 1).collect();
    let sorted = significant.is_sorted();
    let space = Space { shape, kept: kept.len() };
    if sorted { (space, None) } else { (space, Some((operand, Permutation::new(&order)))) }
}

/// The order of a reduction's axes, where its operand cannot be reshaped to the space without it.
fn own_order(graph: &Graph, node: usize, space: &Space) -> Option<(Shape, Permutation)> {
    let entry = &graph.nodes[node];
    let input = &graph.nodes[entry.inputs[0]];
    let Op::Reduce(_, axes) = &entry.op else { return None };
    let mut steps = input.steps.clone();
    steps.push(Step::Reshape(space.shape));
    if read(graph.nodes[input.base].shape, &steps).is_some() {
        return None;
    }
    let kept = (0..input.shape.rank()).filter(|&axis| !axes.contains(axis));
    let order: Vec<usize> = kept.chain(axes.iter()).collect();
    Some((input.shape, Permutation::new(&order)))
}

/// The shape in which a write computes its update: where that is a reshape of what is computed, the
/// shape before, in which operands have views.
fn update_shape(graph: &Graph, node: usize) -> Shape {
    let update = &graph.nodes[graph.nodes[node].inputs[1]];
    let in_order = update.steps.iter().all(|step| matches!(step, Step::Reshape(_)));
    if in_order { graph.nodes[update.base].shape } else { update.shape }
}

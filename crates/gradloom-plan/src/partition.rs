//! The first half of fusion: every computed node joins a group, and each group becomes one kernel.
//!
//! Nodes join in topological order, each the youngest group among its producers that it fits:
//! elementwise work follows the kernel that feeds it, a reduction follows the elementwise work of its
//! rows, and what reads a row's reduction again stays in that row. A join never makes a cycle.

use gradloom_tensor::op::Permutation;
use gradloom_tensor::{Op, Shape};

use crate::bits::Bits;
use crate::graph::{Class, Graph, Step, follow};
use crate::program::{Level, Space};
use crate::structured;
use crate::view::View;

/// Rows longer than this are not kept together for re-reading.
const ROW_COLUMNS_MAX: usize = 32 * 1024;

/// Rows longer than this are only kept together if there are several.
const LONE_ROW_COLUMNS_MAX: usize = 8 * 1024;

/// Nodes that become one kernel.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    /// The structured node that the group is the epilogue of.
    pub(crate) heavy: Option<usize>,
    /// Members in topological order.
    pub(crate) members: Vec<usize>,
    /// Iteration space in the order of the members' elements.
    pub(crate) space: Space,
    /// For reductions over axes that are not the last: the operand's shape and the order that brings
    /// the kept axes to the front. Such groups have no stored values of level `Element`.
    pub(crate) order: Option<(Shape, Permutation)>,
    /// Groups that must run before, directly or not.
    pub(crate) before: Bits,
}

/// The groups and which one each node is in.
pub(crate) struct Partition {
    pub(crate) groups: Vec<Group>,
    pub(crate) group_of: Vec<Option<usize>>,
    /// Level of each member in its group.
    pub(crate) level: Vec<Level>,
}

impl Partition {
    /// `alone` lists nodes that must start a group of their own.
    pub(crate) fn new(graph: &Graph, alone: &[usize]) -> Partition {
        let count = graph.nodes.len();
        let mut partition = Partition {
            groups: Vec::new(),
            group_of: vec![None; count],
            level: vec![Level::Element; count],
        };
        for node in 0..count {
            match graph.nodes[node].class {
                Class::Elementwise | Class::Reduce | Class::Heavy => {
                    partition.place(graph, node, alone.contains(&node));
                }
                Class::Trivial if graph.filled.contains(&node) => partition.start(graph, node),
                Class::Leaf(_) | Class::Trivial | Class::View | Class::Alias => {}
            }
        }
        partition
    }

    fn place(&mut self, graph: &Graph, node: usize, alone: bool) {
        let mut candidates: Vec<usize> = graph.nodes[node]
            .inputs
            .iter()
            .filter_map(|&input| self.group_of[graph.base(input)])
            .collect();
        candidates.sort_unstable_by(|a, b| b.cmp(a));
        candidates.dedup();
        let class = graph.nodes[node].class;
        if !alone && class != Class::Heavy {
            for &group in &candidates {
                if let Some(joined) = self.fit(graph, node, group)
                    && !self.makes_cycle(graph, node, group)
                {
                    self.join(graph, node, group, joined);
                    return;
                }
            }
        }
        self.start(graph, node);
    }

    /// A group of its own.
    fn start(&mut self, graph: &Graph, node: usize) {
        let shape = graph.nodes[node].shape;
        let mut group = Group {
            heavy: None,
            members: Vec::new(),
            space: Space::elements(shape),
            order: None,
            before: Bits::default(),
        };
        let mut level = Level::Element;
        match graph.nodes[node].class {
            Class::Heavy => {
                group.heavy = Some(node);
                if let Op::Write { .. } = graph.nodes[node].op {
                    group.space = Space::elements(structured::update_shape(graph, node));
                }
            }
            Class::Reduce => {
                let (space, order) = reduce_space(graph, node);
                group.space = space;
                group.order = order;
                level = Level::Row;
            }
            _ => group.space = Space::elements(element_shape(graph, node)),
        }
        let index = self.groups.len();
        self.groups.push(group);
        self.join(graph, node, index, Joined { space: self.groups[index].space, level });
    }

    fn join(&mut self, graph: &Graph, node: usize, group: usize, joined: Joined) {
        let mut before = Bits::default();
        for producer in self.producers(graph, node) {
            if producer != group {
                before.insert(producer);
                before.union(&self.groups[producer].before);
            }
        }
        for (index, other) in self.groups.iter_mut().enumerate() {
            if index == group || other.before.contains(group) {
                other.before.union(&before);
            }
        }
        self.groups[group].members.push(node);
        self.groups[group].space = joined.space;
        self.group_of[node] = Some(group);
        self.level[node] = joined.level;
    }

    /// Groups that a node reads from or waits for.
    fn producers(&self, graph: &Graph, node: usize) -> Vec<usize> {
        let mut producers = Vec::new();
        for &input in &graph.nodes[node].inputs {
            producers.extend(self.group_of[graph.base(input)]);
            for &after in &graph.nodes[input].after {
                producers.extend(self.group_of[graph.base(after)]);
            }
        }
        producers
    }

    fn makes_cycle(&self, graph: &Graph, node: usize, group: usize) -> bool {
        self.producers(graph, node)
            .into_iter()
            .any(|producer| producer != group && self.groups[producer].before.contains(group))
    }

    /// Whether a node's access to a group's members is one the group's kernel has at hand, and what
    /// the group becomes.
    fn fit(&self, graph: &Graph, node: usize, group: usize) -> Option<Joined> {
        let own = &self.groups[group];
        if own.space.shape.count() == 0 || graph.nodes[node].shape.count() == 0 {
            return None;
        }
        // What is written is a part of the result, which nothing can follow element by element.
        let writes = |heavy: usize| matches!(graph.nodes[heavy].op, Op::Write { .. });
        if own.heavy.is_some_and(writes) {
            return None;
        }
        if graph.nodes[node].class == Class::Reduce {
            return self.fit_reduce(graph, node, group);
        }
        let count = graph.nodes[node].shape.count();
        let (rows, columns) = (own.space.rows(), own.space.columns());
        let element = count == rows * columns;
        if !element && count != rows {
            return None;
        }
        let shape = element_shape(graph, node);
        let mut reads_row = false;
        for &input in &graph.nodes[node].inputs {
            let base = graph.base(input);
            if self.group_of[base] != Some(group) {
                continue;
            }
            let steps = operand_steps(graph, node, input);
            let flat = |to: &[usize]| {
                let mut steps = steps.clone();
                steps.push(Step::Reshape(Shape::new(to)));
                follow(View::contiguous(graph.nodes[base].shape), &steps)
            };
            let aligned = match (self.level[base], element) {
                (Level::Element, true) => flat(&[count])?.is_contiguous(),
                (Level::Row, false) => flat(&[rows])?.is_contiguous(),
                (Level::Row, true) => {
                    reads_row = true;
                    let view = flat(&[rows, columns])?;
                    let expected = View::contiguous(Shape::new(&[rows, 1]))
                        .expand(Shape::new(&[rows, columns]));
                    view == expected
                }
                (Level::Element, false) => false,
            };
            if !aligned {
                return None;
            }
        }
        if reads_row && (own.heavy.is_some() || !stays_together(rows, columns)) {
            return None;
        }
        if element && own.order.is_some() {
            return None;
        }
        let space = if element {
            if own.heavy.is_some() {
                own.space
            } else {
                Space { shape: refine(own.space.shape, shape)?, kept: 0 }.with_rows(rows)?
            }
        } else {
            own.space
        };
        // What the node reads from elsewhere must be expressible in the group's space.
        for &input in &graph.nodes[node].inputs {
            let base = graph.base(input);
            if self.group_of[base] != Some(group) {
                let mut steps = operand_steps(graph, node, input);
                steps.push(Step::Reshape(if element { space.shape } else { kept_shape(&space) }));
                follow(View::contiguous(graph.nodes[base].shape), &steps)?;
            }
        }
        Some(Joined { space, level: if element { Level::Element } else { Level::Row } })
    }

    fn fit_reduce(&self, graph: &Graph, node: usize, group: usize) -> Option<Joined> {
        let own = &self.groups[group];
        let input = graph.nodes[node].inputs[0];
        let base = graph.base(input);
        if own.heavy.is_some()
            || own.order.is_some()
            || self.group_of[base] != Some(group)
            || self.level[base] != Level::Element
        {
            return None;
        }
        let (space, order) = reduce_space(graph, node);
        let count = graph.nodes[input].shape.count();
        let mut steps = graph.nodes[input].steps.clone();
        steps.push(Step::Reshape(Shape::new(&[count])));
        let aligned = follow(View::contiguous(graph.nodes[base].shape), &steps)?.is_contiguous();
        let (rows, columns) = (space.rows(), space.columns());
        if order.is_some() || !aligned || count != own.space.shape.count() {
            return None;
        }
        let reducing = own.members.iter().any(|&member| graph.nodes[member].class == Class::Reduce);
        if reducing && own.space.columns() != columns {
            return None;
        }
        if !stays_together(rows, columns) {
            return None;
        }
        let shape = refine(refine(own.space.shape, space.shape)?, Shape::new(&[rows, columns]))?;
        Some(Joined { space: Space { shape, kept: 0 }.with_rows(rows)?, level: Level::Row })
    }
}

/// True if a node reads a value of level `Row` as its own row does: broadcast along the row, or as a
/// value of that level itself.
pub(crate) fn reads_row(graph: &Graph, node: usize, value: usize, space: &Space) -> bool {
    let (rows, columns) = (space.rows(), space.columns());
    let spread = Shape::new(&[rows, columns]);
    let broadcast = View::contiguous(Shape::new(&[rows, 1])).expand(spread);
    let inputs = graph.nodes[node].inputs.iter();
    inputs.filter(|&&input| graph.base(input) == value).all(|&input| {
        let mut steps = operand_steps(graph, node, input);
        let own = View::contiguous(graph.nodes[value].shape);
        let count = graph.nodes[node].shape.count();
        let (to, expected) = match count == rows * columns {
            true => (spread, broadcast),
            false => (Shape::new(&[rows]), View::contiguous(Shape::new(&[rows]))),
        };
        steps.push(Step::Reshape(to));
        (count == rows || count == rows * columns) && follow(own, &steps) == Some(expected)
    })
}

/// True if rows of this length are worth keeping in one place to be read again.
fn stays_together(rows: usize, columns: usize) -> bool {
    columns <= LONE_ROW_COLUMNS_MAX || (rows >= 8 && columns <= ROW_COLUMNS_MAX)
}

/// What a join makes of the group's space, and the new member's level.
struct Joined {
    space: Space,
    level: Level,
}

impl Space {
    /// The same axes, the leading ones that multiply to `rows` kept.
    fn with_rows(self, rows: usize) -> Option<Space> {
        let mut product = 1;
        let mut kept = 0;
        while product < rows {
            product *= *self.shape.get(kept)?;
            kept += 1;
        }
        // Axes of size one after the boundary belong to the kept ones when nothing is reduced.
        if product == rows && self.shape.count() == rows {
            kept = self.shape.rank();
        }
        (product == rows).then_some(Space { kept, ..self })
    }
}

/// The kept axes of a space, as the shape of a value of level `Row`.
pub(crate) fn kept_shape(space: &Space) -> Shape {
    Shape::new(&space.shape[..space.kept])
}

/// Steps from an operand's base to the operand as a member reads it. A stored view reads its operand
/// through its own step.
pub(crate) fn operand_steps(graph: &Graph, node: usize, input: usize) -> Vec<Step> {
    let mut steps = graph.nodes[input].steps.clone();
    if graph.nodes[node].op.is_view() {
        steps.push(graph.own_step(node));
    }
    steps
}

/// The shape in which a member's operands can be read: its own, but a stored reshape is read in the
/// shape of its operand, because strides could not express it.
fn element_shape(graph: &Graph, node: usize) -> Shape {
    match graph.nodes[node].op {
        Op::Reshape => graph.nodes[graph.nodes[node].inputs[0]].shape,
        _ => graph.nodes[node].shape,
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

/// The coarsest shape that both shapes are merges of, if their boundaries nest.
pub(crate) fn refine(a: Shape, b: Shape) -> Option<Shape> {
    if a == b {
        return Some(a);
    }
    let boundaries = |shape: Shape| {
        let mut product = 1;
        let mut list = Vec::new();
        for &size in shape.iter().rev() {
            product *= size;
            if size != 1 {
                list.push(product);
            }
        }
        list
    };
    let mut all = boundaries(a);
    all.extend(boundaries(b));
    all.sort_unstable();
    all.dedup();
    let mut previous = 1;
    let mut dims = Vec::new();
    for boundary in all {
        if boundary % previous != 0 {
            return None;
        }
        dims.push(boundary / previous);
        previous = boundary;
    }
    dims.reverse();
    (dims.len() <= gradloom_tensor::RANK_MAX).then(|| Shape::new(&dims))
}

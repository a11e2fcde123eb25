//! From a group to a kernel: its stored members become outputs of one program, and everything between
//! them and stored operands becomes instructions.
//!
//! What a group may hold and what is stored was decided so that this cannot fail; a [`Fault`] is a bug
//! in those decisions, and an error instead of a wrong number.

use gradloom_tensor::op::Binary;
use gradloom_tensor::{DType, Op, RANK_MAX, Scalar};
use rustc_hash::FxHashMap;

use crate::draft::{Draft, Fault, program_kind};
use crate::graph::Graph;
use crate::looping;
use crate::node::{Class, Step, follow, read};
use crate::partition::Partition;
use crate::program::{Instruction, Level, Operation, Program, Space, ValueId};
use crate::rounding::{as_held, stays_in_range};
use crate::storing::Storing;
use crate::structured;
use crate::view::View;

const NO_STRIDES: &str = "is read in a way that has no strides";

/// Lowers one group; `None` if nothing in it is stored.
pub(crate) fn lower(
    graph: &Graph,
    partition: &Partition,
    storing: &Storing,
    group: usize,
) -> Result<Option<Draft>, Fault> {
    let own = &partition.groups[group];
    let outputs: Vec<usize> =
        own.members.iter().copied().filter(|&member| storing.stored[member]).collect();
    if outputs.is_empty() {
        return Ok(None);
    }
    if let Some((looped, _)) = own.structured.and_then(|node| graph.nodes[node].result) {
        return Ok(Some(looping::lower(graph, looped, &own.members)));
    }
    let draft = Lowering::new(graph, partition, storing, group, own.space).lower(&outputs)?;
    if draft.program.reductions().next().is_some() || own.space.kept == own.space.shape.rank() {
        return Ok(Some(draft));
    }
    // The reductions of the group were of no use to anybody.
    let space = Space::elements(own.space.shape);
    Lowering::new(graph, partition, storing, group, space).lower(&outputs).map(Some)
}

/// A group while it becomes a kernel.
struct Lowering<'a> {
    graph: &'a Graph,
    partition: &'a Partition,
    storing: &'a Storing,
    group: usize,
    space: Space,
    program: Program,
    origins: Vec<usize>,
    /// The node whose instructions are being made.
    origin: usize,
    inputs: Vec<usize>,
    after: Vec<usize>,
    members: FxHashMap<usize, ValueId>,
    /// Nodes of other groups that are computed here too, by how they are read.
    again: FxHashMap<(usize, Vec<Step>), ValueId>,
}

impl<'a> Lowering<'a> {
    fn new(
        graph: &'a Graph,
        partition: &'a Partition,
        storing: &'a Storing,
        group: usize,
        space: Space,
    ) -> Lowering<'a> {
        Lowering {
            graph,
            partition,
            storing,
            group,
            space,
            program: Program::default(),
            origins: Vec::new(),
            origin: 0,
            inputs: Vec::new(),
            after: Vec::new(),
            members: FxHashMap::default(),
            again: FxHashMap::default(),
        }
    }

    fn lower(mut self, outputs: &[usize]) -> Result<Draft, Fault> {
        let mut kind = None;
        if let Some(node) = self.partition.groups[self.group].structured {
            let no_kernel = || self.fault(node, "has no kernel");
            let (own, bases) = structured::kind(self.graph, node).ok_or_else(no_kernel)?;
            self.inputs = bases;
            for input in self.graph.nodes[node].stored_inputs() {
                self.after.extend(&self.graph.nodes[*input].after);
            }
            kind = Some(own);
        }
        let kind_inputs = self.inputs.len();
        let mut values = Vec::new();
        for &output in outputs {
            let value = self.member(output)?;
            let planned = self.partition.level[output];
            let value = match (planned, self.level(value)) {
                (Level::Element, _) => self.at_elements(value),
                (Level::Row, Level::Row) => value,
                (Level::Row, Level::Element) => {
                    return Err(self.fault(output, "varies along the row that it is one value of"));
                }
            };
            values.push((output, value));
        }
        Ok(Draft {
            kind: kind.unwrap_or_else(|| program_kind(&self.program, &values)),
            program: self.program,
            origins: self.origins,
            space: self.space,
            inputs: self.inputs,
            kind_inputs,
            outputs: values,
            after: self.after,
        })
    }

    fn fault(&self, node: usize, reason: &'static str) -> Fault {
        Fault { node, reason }
    }

    fn push(&mut self, operation: Operation, dtype: DType, level: Level) -> ValueId {
        let value = self.program.push(Instruction { operation, dtype, level });
        if value == self.origins.len() {
            self.origins.push(self.origin);
        }
        value
    }

    fn level(&self, value: ValueId) -> Level {
        self.program.instructions[value].level
    }

    fn zero(&mut self, dtype: DType) -> ValueId {
        self.push(Operation::Constant(Scalar::Int(0).cast(dtype)), dtype, Level::Row)
    }

    fn input(&mut self, base: usize) -> usize {
        if let Some(found) = self.inputs.iter().position(|&input| input == base) {
            return found;
        }
        self.inputs.push(base);
        self.inputs.len() - 1
    }

    /// A value of a row, repeated along it.
    fn at_elements(&mut self, value: ValueId) -> ValueId {
        let reducing = self.space.kept < self.space.shape.rank();
        if !reducing || self.level(value) == Level::Element {
            return value;
        }
        let dtype = self.program.instructions[value].dtype;
        self.push(Operation::Cast(value), dtype, Level::Element)
    }

    /// An op's value as its dtype holds it.
    fn rounded(&mut self, operation: Operation, dtype: DType, level: Level) -> ValueId {
        let value = self.push(operation, dtype, level);
        if stays_in_range(&operation, dtype) {
            return value;
        }
        self.push(Operation::Cast(value), dtype, level)
    }

    /// The value of a member of this group.
    fn member(&mut self, node: usize) -> Result<ValueId, Fault> {
        if let Some(&value) = self.members.get(&node) {
            return Ok(value);
        }
        let outer = std::mem::replace(&mut self.origin, node);
        let Self { graph, partition, space, .. } = *self;
        let entry = &graph.nodes[node];
        let value = match (entry.class, &entry.op) {
            (Class::Structured, Op::Write { .. }) => {
                self.value(entry.inputs[1], &[Step::Reshape(space.shape)])?
            }
            (Class::Structured, _) => {
                self.rounded(Operation::Accumulator, entry.dtype, Level::Element)
            }
            (Class::Reduce, &Op::Reduce(reduction, _)) => {
                let mut steps = Vec::new();
                if let Some((_, order)) = &partition.groups[self.group].order {
                    steps.push(Step::Permute(*order));
                }
                steps.push(Step::Reshape(space.shape));
                let operand = self.value(entry.inputs[0], &steps)?;
                let operand = self.at_elements(operand);
                self.rounded(Operation::Reduce(reduction, operand), entry.dtype, Level::Row)
            }
            (Class::Generated, _) => self.generated(node, &space.steps(Level::Element))?,
            (Class::Elementwise | Class::Copy, _) => {
                self.elementwise(node, &space.steps(partition.level[node]))?
            }
            (Class::Leaf(_) | Class::View | Class::Alias | Class::Reduce, _) => {
                return Err(self.fault(node, "is no member of a kernel"));
            }
        };
        self.origin = outer;
        self.members.insert(node, value);
        Ok(value)
    }

    /// An elementwise node's op on operands read through `steps`, which lead from the node's shape to
    /// the space.
    fn elementwise(&mut self, node: usize, steps: &[Step]) -> Result<ValueId, Fault> {
        let graph = self.graph;
        let entry = &graph.nodes[node];
        if entry.class == Class::Copy {
            self.after.extend(&entry.after);
            let mut through = vec![entry.own_step()];
            through.extend_from_slice(steps);
            return self.value(entry.inputs[0], &through);
        }
        let mut operands = [0; 3];
        let mut level = Level::Row;
        for (operand, &input) in operands.iter_mut().zip(&entry.inputs) {
            *operand = self.value(input, steps)?;
            level = level.max(self.level(*operand));
        }
        let [first, second, third] = operands;
        let operation = match &entry.op {
            Op::Unary(unary) => Operation::Unary(*unary, first),
            Op::Binary(binary) => {
                if let Some(value) = self.simplified(*binary, first, second) {
                    return Ok(value);
                }
                Operation::Binary(*binary, first, second)
            }
            Op::Select => Operation::Select(first, second, third),
            Op::Cast => Operation::Cast(first),
            Op::CheckIndex { size, .. } => {
                Operation::CheckIndex { value: first, size: *size, site: node }
            }
            _ => return Err(self.fault(node, "is not computed element by element")),
        };
        Ok(self.rounded(operation, entry.dtype, level))
    }

    /// `x * 1`, `x / 1`, `x - 0` and `x + -0` are `x`, and so is `x + 0` of integers.
    fn simplified(&self, binary: Binary, lhs: ValueId, rhs: ValueId) -> Option<ValueId> {
        let constant = |value: ValueId| match self.program.instructions[value].operation {
            Operation::Constant(scalar) => Some(scalar.as_f64()),
            _ => None,
        };
        let float = self.program.instructions[lhs].dtype.is_float();
        let is_one = |value: ValueId| constant(value) == Some(1.0);
        // A sum of -0 and 0 is 0, so only -0 changes nothing.
        let adds_nothing = |value: ValueId| {
            constant(value).is_some_and(|zero| zero == 0.0 && (!float || zero.is_sign_negative()))
        };
        let takes_nothing = |value: ValueId| {
            constant(value).is_some_and(|zero| zero == 0.0 && zero.is_sign_positive())
        };
        match binary {
            Binary::Mul | Binary::Div if is_one(rhs) => Some(lhs),
            Binary::Mul if is_one(lhs) => Some(rhs),
            Binary::Sub if takes_nothing(rhs) => Some(lhs),
            Binary::Add if adds_nothing(rhs) => Some(lhs),
            Binary::Add if adds_nothing(lhs) => Some(rhs),
            _ => None,
        }
    }

    /// Any node's value at each point of the space; `steps` lead from the node's shape to the space.
    fn value(&mut self, node: usize, steps: &[Step]) -> Result<ValueId, Fault> {
        let graph = self.graph;
        let entry = &graph.nodes[node];
        self.after.extend(&entry.after);
        let base = entry.base;
        let mut path = entry.steps.clone();
        path.extend_from_slice(steps);
        let class = graph.nodes[base].class;
        let is_leaf = matches!(class, Class::Leaf(_));
        if class == Class::Generated
            && let Some(index) = follow(graph.nodes[base].index_view(), &path)
        {
            return self.generated_at(base, index, &path);
        }
        if self.partition.group_of[base] == Some(self.group) {
            if self.is_own(base, &path) {
                return self.member(base);
            }
            if self.storing.stored[base] {
                return Err(
                    self.fault(base, "is read in another order by the kernel that makes it")
                );
            }
        } else if is_leaf || self.storing.stored[base] {
            let view = read(graph.nodes[base].shape, &path);
            let view = view.ok_or_else(|| self.fault(base, NO_STRIDES))?;
            let dtype = graph.nodes[base].dtype;
            if view.reads_nothing() {
                return Ok(self.zero(dtype));
            }
            let input = self.input(base);
            let level = self.view_level(&view);
            return Ok(self.push(Operation::Load { input, view }, dtype, level));
        }
        match class.is_elementwise() {
            true => self.computed_again(base, path),
            false => Err(self.fault(base, "is needed by another kernel but not stored")),
        }
    }

    /// True if a path from a member reads at each place what this kernel has there.
    fn is_own(&self, member: usize, path: &[Step]) -> bool {
        let (shape, level) = (self.graph.nodes[member].shape, self.partition.level[member]);
        self.space.is_aligned(shape, level, path, Level::Element)
    }

    /// A node that is not stored, computed here as it is read here.
    fn computed_again(&mut self, node: usize, path: Vec<Step>) -> Result<ValueId, Fault> {
        let key = (node, path);
        if let Some(&value) = self.again.get(&key) {
            return Ok(value);
        }
        let outer = std::mem::replace(&mut self.origin, node);
        let value = self.elementwise(node, &key.1)?;
        let value = self.padded(node, value, &key.1)?;
        self.origin = outer;
        self.again.insert(key, value);
        Ok(value)
    }

    /// Padding reads zero, whatever a formula gives on operands that read zero there.
    fn padded(&mut self, node: usize, value: ValueId, path: &[Step]) -> Result<ValueId, Fault> {
        if !path.iter().any(|step| matches!(step, Step::Pad { .. })) {
            return Ok(value);
        }
        let (shape, dtype) = (self.graph.nodes[node].shape, self.graph.nodes[node].dtype);
        let one = View { shape, strides: [0; RANK_MAX], offset: 1, mask: None };
        let exists = self.follow(node, one, path)?;
        if exists.mask.is_none() {
            return Ok(value);
        }
        if exists.reads_nothing() {
            return Ok(self.zero(dtype));
        }
        let level = self.view_level(&exists);
        let index = self.push(Operation::Index(exists), DType::I32, level);
        let condition = self.push(Operation::Cast(index), DType::Bool, level);
        let zero = self.zero(dtype);
        let level = level.max(self.level(value));
        Ok(self.push(Operation::Select(condition, value, zero), dtype, level))
    }

    fn generated(&mut self, node: usize, path: &[Step]) -> Result<ValueId, Fault> {
        let index = self.follow(node, self.graph.nodes[node].index_view(), path)?;
        self.generated_at(node, index, path)
    }

    /// A generated node's value, made from the indexes of a view.
    fn generated_at(&mut self, node: usize, index: View, path: &[Step]) -> Result<ValueId, Fault> {
        let entry = &self.graph.nodes[node];
        let dtype = entry.dtype;
        let level = self.view_level(&index);
        if index.reads_nothing() {
            return Ok(self.zero(dtype));
        }
        let value = match &entry.op {
            Op::Constant(value) => {
                self.push(Operation::Constant(as_held(*value, dtype)), dtype, Level::Row)
            }
            Op::Argument(_) => self.rounded(Operation::Argument(entry.argument), dtype, Level::Row),
            Op::Iota { .. } => return Ok(self.push(Operation::Index(index), DType::I32, level)),
            Op::Random { .. } => {
                let key = [entry.argument, entry.argument + 1];
                let index = self.push(Operation::Index(index), DType::I32, level);
                self.push(Operation::Random { index, key }, DType::U32, level)
            }
            _ => return Err(self.fault(node, "is not made from indexes")),
        };
        self.padded(node, value, path)
    }

    fn follow(&self, node: usize, start: View, path: &[Step]) -> Result<View, Fault> {
        follow(start, path).ok_or_else(|| self.fault(node, NO_STRIDES))
    }

    /// Without reduced axes everything that is read varies by element.
    fn view_level(&self, view: &View) -> Level {
        let mut reduced = self.space.kept..self.space.shape.rank();
        let varies = |axis: usize| {
            let masked = view.mask.is_some_and(|mask| mask[axis] != (0, view.shape[axis]));
            view.strides[axis] != 0 || masked
        };
        let by_element = if reduced.is_empty() { !view.is_uniform() } else { reduced.any(varies) };
        if by_element { Level::Element } else { Level::Row }
    }
}

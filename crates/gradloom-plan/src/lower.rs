//! From a group to a kernel: its stored members become outputs of one program, and everything between
//! them and stored operands becomes instructions.

use gradloom_tensor::op::Binary;
use gradloom_tensor::{DType, Op, RANK_MAX, Scalar};
use rustc_hash::FxHashMap;

use crate::graph::{Class, Graph, Step, follow};
use crate::kernel::KernelKind;
use crate::partition::{Partition, kept_shape};
use crate::program::{Instruction, Level, Operation, Program, Space, ValueId};
use crate::storing::Storing;
use crate::view::View;

/// A kernel before its memory is known: operands and results are nodes.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    pub(crate) kind: KernelKind,
    pub(crate) program: Program,
    pub(crate) space: Space,
    /// Stored bases that are read, first those of the kind.
    pub(crate) inputs: Vec<usize>,
    /// How many of them the kind itself reads.
    pub(crate) kind_inputs: usize,
    /// Stored members and the values they are.
    pub(crate) outputs: Vec<(usize, ValueId)>,
    /// Bases that must exist before though they are not read.
    pub(crate) after: Vec<usize>,
}

/// Why a partition could not be lowered, and what to change.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Retry {
    /// Store this node instead of computing it again.
    Store(usize),
    /// Let this node start its own group.
    Alone(usize),
    /// Let it start its own group, and store its operands: the group has too many buffers.
    Split(usize),
}

/// Lowers one group; `None` if nothing in it is stored.
pub(crate) fn lower(
    graph: &Graph,
    partition: &Partition,
    storing: &Storing,
    group: usize,
) -> Result<Option<Draft>, Retry> {
    let own = &partition.groups[group];
    let outputs: Vec<usize> =
        own.members.iter().copied().filter(|&member| storing.stored[member]).collect();
    if outputs.is_empty() {
        return Ok(None);
    }
    let mut lowering = Lowering {
        graph,
        partition,
        storing,
        group,
        space: own.space,
        program: Program::default(),
        inputs: Vec::new(),
        after: Vec::new(),
        members: FxHashMap::default(),
        inlining: Vec::new(),
        entered: Vec::new(),
    };
    let kind = own.heavy.map(|heavy| lowering.heavy_kind(heavy));
    let kind_inputs = lowering.inputs.len();
    let mut values = Vec::new();
    for &output in &outputs {
        let value = match lowering.member(output) {
            Ok(value) => value,
            Err(retry) => return Err(lowering.relocate(retry)),
        };
        values.push((output, value));
    }
    let kind = kind.unwrap_or_else(|| lowering.program_kind(&values));
    Ok(Some(Draft {
        kind,
        program: lowering.program,
        space: own.space,
        inputs: lowering.inputs,
        kind_inputs,
        outputs: values,
        after: lowering.after,
    }))
}

/// A group while it becomes a kernel.
pub(crate) struct Lowering<'a> {
    pub(crate) graph: &'a Graph,
    partition: &'a Partition,
    storing: &'a Storing,
    group: usize,
    space: Space,
    program: Program,
    pub(crate) inputs: Vec<usize>,
    pub(crate) after: Vec<usize>,
    members: FxHashMap<usize, ValueId>,
    /// Nodes of other groups that are being computed again, outermost first.
    inlining: Vec<usize>,
    /// Members that are being lowered, outermost first.
    entered: Vec<usize>,
}

impl Lowering<'_> {
    /// A view that cannot be expressed is the fault of the outermost node computed again, or else of
    /// the member that joined.
    fn relocate(&self, retry: Retry) -> Retry {
        match (self.inlining.first(), self.entered.last()) {
            (Some(&outermost), _) => Retry::Store(outermost),
            (None, Some(&member)) => Retry::Alone(member),
            (None, None) => retry,
        }
    }

    fn push(&mut self, operation: Operation, dtype: DType, level: Level) -> ValueId {
        self.program.push(Instruction { operation, dtype, level })
    }

    fn level(&self, value: ValueId) -> Level {
        self.program.instructions[value].level
    }

    fn input(&mut self, base: usize) -> usize {
        if let Some(found) = self.inputs.iter().position(|&input| input == base) {
            return found;
        }
        self.inputs.push(base);
        self.inputs.len() - 1
    }

    /// Steps from a member's own shape to the space.
    fn to_space(&self, level: Level) -> Vec<Step> {
        match level {
            Level::Element => vec![Step::Reshape(self.space.shape)],
            Level::Row => {
                let mut dims = self.space.shape;
                for axis in self.space.kept..dims.rank() {
                    dims = dims.with(axis, 1);
                }
                vec![Step::Reshape(dims), Step::Expand(self.space.shape)]
            }
        }
    }

    /// The value of a member of this group.
    fn member(&mut self, node: usize) -> Result<ValueId, Retry> {
        if let Some(&value) = self.members.get(&node) {
            return Ok(value);
        }
        self.entered.push(node);
        let Self { graph, partition, .. } = *self;
        let entry = &graph.nodes[node];
        let value = match entry.class {
            Class::Heavy if matches!(entry.op, Op::Write { .. }) => {
                self.value(entry.inputs[1], &[Step::Reshape(self.space.shape)])?
            }
            Class::Heavy => self.push(Operation::Accumulator, entry.dtype, Level::Element),
            Class::Reduce => {
                let mut steps = Vec::new();
                if let Some((_, order)) = &partition.groups[self.group].order {
                    steps.push(Step::Permute(*order));
                }
                steps.push(Step::Reshape(self.space.shape));
                let operand = self.value(entry.inputs[0], &steps)?;
                let Op::Reduce(reduction, _) = entry.op else {
                    return Err(Retry::Alone(node));
                };
                self.push(Operation::Reduce(reduction, operand), entry.dtype, Level::Row)
            }
            Class::Trivial => {
                let steps = self.to_space(Level::Element);
                self.trivial(node, &steps)?
            }
            _ => {
                let steps = self.to_space(partition.level[node]);
                self.elementwise(node, &steps)?
            }
        };
        self.entered.pop();
        self.members.insert(node, value);
        Ok(value)
    }

    /// An elementwise node's op on operands read through `steps`, which lead from the node's shape to
    /// the space.
    fn elementwise(&mut self, node: usize, steps: &[Step]) -> Result<ValueId, Retry> {
        let graph = self.graph;
        let entry = &graph.nodes[node];
        let mut operands = [0; 3];
        if entry.op.is_view() {
            let mut through = vec![graph.own_step(node)];
            through.extend_from_slice(steps);
            return self.value(entry.inputs[0], &through);
        }
        for (operand, &input) in operands.iter_mut().zip(&entry.inputs) {
            *operand = self.value(input, steps)?;
        }
        let level = entry
            .inputs
            .iter()
            .zip(operands)
            .map(|(_, operand)| self.level(operand))
            .max()
            .unwrap_or(Level::Row);
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
            _ => return Err(Retry::Alone(node)),
        };
        Ok(self.push(operation, entry.dtype, level))
    }

    /// `x * 1`, `x / 1`, `x + 0` and `x - 0` are `x`.
    fn simplified(&self, binary: Binary, lhs: ValueId, rhs: ValueId) -> Option<ValueId> {
        let constant = |value: ValueId| match self.program.instructions[value].operation {
            Operation::Constant(scalar) => Some(scalar.as_f64()),
            _ => None,
        };
        match binary {
            Binary::Mul if constant(rhs) == Some(1.0) => Some(lhs),
            Binary::Mul if constant(lhs) == Some(1.0) => Some(rhs),
            Binary::Div if constant(rhs) == Some(1.0) => Some(lhs),
            Binary::Add | Binary::Sub if constant(rhs) == Some(0.0) => Some(lhs),
            Binary::Add if constant(lhs) == Some(0.0) => Some(rhs),
            _ => None,
        }
    }

    /// Any node's value at each point of the space; `steps` lead from the node's shape to the space.
    fn value(&mut self, node: usize, steps: &[Step]) -> Result<ValueId, Retry> {
        let graph = self.graph;
        let entry = &graph.nodes[node];
        self.after.extend(&entry.after);
        let base = entry.base;
        let in_group = self.partition.group_of[base] == Some(self.group);
        if in_group && graph.nodes[base].class != Class::Trivial {
            return self.member(base);
        }
        let mut path = entry.steps.clone();
        path.extend_from_slice(steps);
        match graph.nodes[base].class {
            Class::Trivial => self.trivial(base, &path),
            _ if self.storing.stored[base] || matches!(graph.nodes[base].class, Class::Leaf(_)) => {
                let view = self.follow(base, View::contiguous(graph.nodes[base].shape), &path)?;
                let input = self.input(base);
                let level = self.view_level(&view);
                Ok(self.push(Operation::Load { input, view }, graph.nodes[base].dtype, level))
            }
            Class::Elementwise => self.computed_again(base, &path),
            _ => Err(Retry::Store(base)),
        }
    }

    /// A node of another group, computed here too.
    fn computed_again(&mut self, node: usize, path: &[Step]) -> Result<ValueId, Retry> {
        self.inlining.push(node);
        let value = self.elementwise(node, path)?;
        let padded = self.padded(node, value, path)?;
        self.inlining.pop();
        Ok(padded)
    }

    /// Padding reads zero, whatever a formula gives on operands that read zero there.
    fn padded(&mut self, node: usize, value: ValueId, path: &[Step]) -> Result<ValueId, Retry> {
        let (shape, dtype) = (self.graph.nodes[node].shape, self.graph.nodes[node].dtype);
        let one = View { shape, strides: [0; RANK_MAX], offset: 1, mask: None };
        let exists = self.follow(node, one, path)?;
        if exists.mask.is_none() {
            return Ok(value);
        }
        let level = self.view_level(&exists);
        let index = self.push(Operation::Index(exists), DType::I32, level);
        let condition = self.push(Operation::Cast(index), DType::Bool, level);
        let zero = self.push(Operation::Constant(Scalar::Int(0).cast(dtype)), dtype, Level::Row);
        let level = level.max(self.level(value));
        Ok(self.push(Operation::Select(condition, value, zero), dtype, level))
    }

    fn trivial(&mut self, node: usize, path: &[Step]) -> Result<ValueId, Retry> {
        let entry = &self.graph.nodes[node];
        let (shape, dtype) = (entry.shape, entry.dtype);
        let masked = path.iter().any(|step| matches!(step, Step::Pad { .. }));
        let value = match &entry.op {
            Op::Constant(value) => {
                let operation = Operation::Constant(value.cast(dtype));
                self.push(operation, dtype, Level::Row)
            }
            Op::Argument(_) => self.push(Operation::Argument(entry.argument), dtype, Level::Row),
            Op::Iota { axis } => {
                let mut view = View { shape, strides: [0; RANK_MAX], offset: 0, mask: None };
                view.strides[*axis] = isize::from(shape[*axis] != 1);
                let view = self.follow(node, view, path)?;
                let level = self.view_level(&view);
                return Ok(self.push(Operation::Index(view), DType::I32, level));
            }
            Op::Random { .. } => {
                let key = [entry.argument, entry.argument + 1];
                let view = self.follow(node, View::contiguous(shape), path)?;
                let level = self.view_level(&view);
                let index = self.push(Operation::Index(view), DType::I32, level);
                self.push(Operation::Random { index, key }, DType::U32, level)
            }
            _ => return Err(Retry::Store(node)),
        };
        if masked { self.padded(node, value, path) } else { Ok(value) }
    }

    fn follow(&self, node: usize, start: View, path: &[Step]) -> Result<View, Retry> {
        follow(start, path).ok_or(Retry::Store(node))
    }

    /// Without reduced axes everything that is read varies by element.
    fn view_level(&self, view: &View) -> Level {
        let reduced = self.space.kept..self.space.shape.rank();
        if reduced.is_empty() && !view.is_uniform() {
            return Level::Element;
        }
        for axis in reduced {
            let masked = view.mask.is_some_and(|mask| mask[axis] != (0, view.shape[axis]));
            if view.strides[axis] != 0 || masked {
                return Level::Element;
            }
        }
        Level::Row
    }

    /// Map, reduce or row, from what the program does.
    fn program_kind(&self, values: &[(usize, ValueId)]) -> KernelKind {
        let instructions = &self.program.instructions;
        let mut after_reduction = vec![false; instructions.len()];
        let (mut reduces, mut again) = (false, false);
        for (id, instruction) in instructions.iter().enumerate() {
            let depends = instruction.operation.operands().any(|operand| after_reduction[operand]);
            after_reduction[id] = depends;
            if let Operation::Reduce(..) = instruction.operation {
                reduces = true;
                again |= depends;
                after_reduction[id] = true;
            }
        }
        if !reduces {
            return KernelKind::Map;
        }
        let per_element =
            values.iter().any(|&(node, _)| self.partition.level[node] == Level::Element);
        if again || per_element { KernelKind::Row } else { KernelKind::Reduce }
    }
}

/// The number of elements of a stored node's memory.
pub(crate) fn stored_len(graph: &Graph, partition: &Partition, node: usize) -> usize {
    match partition.group_of[node] {
        Some(group) if partition.level[node] == Level::Row => {
            kept_shape(&partition.groups[group].space).count()
        }
        _ => graph.nodes[node].shape.count(),
    }
}

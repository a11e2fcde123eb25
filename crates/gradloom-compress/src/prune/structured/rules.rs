//! The rules of [`Trace`]: of each op, which channels of its operands are one, and which must stay.

use super::atoms::Axis;
use super::trace::{Factor, Trace};
use gradloom_tensor::op::Attention;
use gradloom_tensor::{Op, Tensor};

impl Trace {
    fn keep_all(&mut self, operands: &[Vec<Axis>], reason: &str) {
        for axis in operands.iter().flatten() {
            self.atoms.keep(axis, reason);
        }
    }

    /// The axes of a node, from those of its operands.
    pub(super) fn rule(
        &mut self,
        node: &Tensor,
        operands: &[Tensor],
        axes: Vec<Vec<Axis>>,
    ) -> Vec<Axis> {
        let rank = node.rank();
        let fixed = || vec![Axis::Fixed; rank];
        match node.op() {
            Op::Constant(_) | Op::Argument(_) => vec![Axis::Free; rank],
            Op::Iota { axis } => {
                (0..rank).map(|own| if own == *axis { Axis::Fixed } else { Axis::Free }).collect()
            }
            Op::Buffer | Op::Placeholder | Op::Random { .. } => fixed(),
            Op::Unary(_) | Op::Cast | Op::CheckIndex { .. } | Op::Transfer => first(axes),
            Op::Custom(_) | Op::Barrier | Op::Binary(_) | Op::Select => self.meet_all(axes),
            Op::Detach(_) if axes.is_empty() => fixed(),
            Op::Detach(_) => first(axes),
            Op::Reduce(_, over) => {
                let read = over.iter().filter(|&axis| operands[0].shape()[axis] > 1);
                self.read_whole(
                    first(axes),
                    read,
                    true,
                    "is read as a whole, as by a norm or a softmax",
                )
            }
            Op::ArgReduce(_, over) => self.read_whole(
                first(axes),
                [*over].into_iter(),
                true,
                "is searched for its largest",
            ),
            Op::Scan { axis, .. } => {
                self.read_whole(first(axes), [*axis].into_iter(), false, "is summed along")
            }
            Op::ArgSort { axis, .. } => {
                self.read_whole(first(axes), [*axis].into_iter(), false, "is sorted")
            }
            Op::Reshape => {
                let axes = first(axes);
                self.atoms.reshape((operands[0].shape(), &axes), node.shape())
            }
            Op::Permute(order) => {
                let axes = first(axes);
                order.iter().map(|axis| axes[axis].clone()).collect()
            }
            Op::Expand => self.expand(&operands[0], node, first(axes)),
            Op::Slice { starts, steps } => {
                self.slice(operands[0].shape(), node.shape(), (starts, steps), first(axes))
            }
            Op::Pad { .. } => self.pad(operands[0].shape(), node.shape(), first(axes)),
            Op::Flip(over) => {
                let flip = |(axis, own): (usize, Axis)| match own {
                    Axis::Channels(atoms) if over.contains(axis) => {
                        Axis::Channels(atoms.iter().rev().copied().collect())
                    }
                    own => own,
                };
                first(axes).into_iter().enumerate().map(flip).collect()
            }
            Op::Concat { axis } => self.concat(operands, axes, *axis),
            Op::Matmul => self.matmul(node, operands, &axes),
            Op::Convolution(window, groups) => {
                let sizes = [operands[1].shape()[1], window.taps()];
                self.convolution(node, [&axes[0], &axes[1]], *groups, sizes)
            }
            Op::ConvolutionInput(window, groups) => {
                let sizes = [operands[0].shape()[1], window.taps()];
                let made_of = operands[1].shape();
                self.transposed(node, made_of, [&axes[1], &axes[0]], *groups, sizes)
            }
            Op::PoolMax(_) | Op::PoolSum(_) => {
                let mut axes = first(axes);
                for axis in axes.iter_mut().skip(2) {
                    self.atoms.keep(axis, "is pooled over");
                    *axis = Axis::Fixed;
                }
                axes
            }
            Op::Gather { axis } => self.gather(axes, *axis),
            Op::Attention(attention) => self.attention(node, operands, &axes, attention),
            Op::Loop(_) => {
                self.keep_all(&axes, "is used in a loop, as by a recurrent layer");
                fixed()
            }
            Op::Dequantize(_) => {
                self.keep_all(&axes, "is quantized");
                fixed()
            }
            Op::ConvolutionWeight(..)
            | Op::PoolMaxScatter(_)
            | Op::PoolMaxGather(_)
            | Op::PoolSumScatter(_)
            | Op::ScatterAdd { .. }
            | Op::Write { .. }
            | Op::Call(_) => {
                let reason = format!(
                    "is read by {}, through which channels are not followed",
                    node.op().name()
                );
                self.keep_all(&axes, &reason);
                fixed()
            }
        }
    }

    fn meet_all(&mut self, axes: Vec<Vec<Axis>>) -> Vec<Axis> {
        let mut axes = axes.into_iter();
        let Some(mut met) = axes.next() else { return Vec::new() };
        for other in axes {
            for (own, other) in met.iter_mut().zip(&other) {
                *own = self.atoms.meet(own, other);
            }
        }
        met
    }

    /// Axes of which some are read as a whole, and have size one afterwards.
    fn read_whole(
        &mut self,
        mut axes: Vec<Axis>,
        over: impl Iterator<Item = usize>,
        reduced: bool,
        reason: &str,
    ) -> Vec<Axis> {
        for axis in over {
            self.atoms.keep(&axes[axis], reason);
            axes[axis] = if reduced { Axis::Free } else { Axis::Fixed };
        }
        axes
    }

    fn expand(&mut self, source: &Tensor, node: &Tensor, mut axes: Vec<Axis>) -> Vec<Axis> {
        for (axis, own) in axes.iter_mut().enumerate() {
            if source.shape()[axis] != node.shape()[axis] {
                self.atoms.keep(own, "is one channel for many");
                *own = Axis::Free;
            }
        }
        axes
    }

    /// A part of some axes. Where parts of one size divide an axis, as `chunk` does, their channels are removed
    /// together, so that the parts stay of one size.
    fn slice(
        &mut self,
        before: &[usize],
        after: &[usize],
        (starts, steps): (&[usize], &[usize]),
        mut axes: Vec<Axis>,
    ) -> Vec<Axis> {
        for (axis, own) in axes.iter_mut().enumerate() {
            let (size, part) = (before[axis], after[axis]);
            let Axis::Channels(atoms) = &*own else { continue };
            if size == part {
                continue;
            }
            let even = part > 0 && size % part == 0 && starts[axis] % part == 0 && steps[axis] == 1;
            if !even {
                self.atoms.keep(own, "is cut into parts of several sizes");
                *own = Axis::Fixed;
                continue;
            }
            let atoms = atoms.clone();
            for index in part..size {
                self.atoms.join(atoms[index], atoms[index % part]);
            }
            *own = Axis::Channels(atoms[starts[axis]..starts[axis] + part].into());
        }
        axes
    }

    fn pad(&mut self, before: &[usize], after: &[usize], mut axes: Vec<Axis>) -> Vec<Axis> {
        for (axis, own) in axes.iter_mut().enumerate() {
            if before[axis] != after[axis] {
                self.atoms.keep(own, "is padded");
                *own = Axis::Fixed;
            }
        }
        axes
    }

    fn concat(&mut self, operands: &[Tensor], mut axes: Vec<Vec<Axis>>, along: usize) -> Vec<Axis> {
        let has_channels = axes.iter().any(|own| matches!(own[along], Axis::Channels(_)));
        let joined = match has_channels {
            false => Axis::Fixed,
            true => {
                let mut joined: Vec<u32> = Vec::new();
                for (own, operand) in axes.iter().zip(operands) {
                    match &own[along] {
                        Axis::Channels(atoms) => joined.extend(atoms.iter()),
                        Axis::Free | Axis::Fixed => {
                            let others = self.atoms.fresh(operand.shape()[along]);
                            self.atoms.keep(&Axis::Channels(others.clone()), "is of the input");
                            joined.extend(others.iter());
                        }
                    }
                }
                Axis::Channels(joined.into())
            }
        };
        axes.iter_mut().for_each(|own| own[along] = Axis::Free);
        let mut axes = self.meet_all(axes);
        axes[along] = joined;
        axes
    }

    /// Looks rows up. The data and the index agree in every axis but one.
    fn gather(&mut self, axes: Vec<Vec<Axis>>, along: usize) -> Vec<Axis> {
        let [data, index] = &axes[..] else { return first(axes) };
        self.atoms.keep(&data[along], "is looked up by an index");
        let (mut data, mut index) = (data.clone(), index.clone());
        let looked_up = std::mem::replace(&mut index[along], Axis::Free);
        data[along] = Axis::Free;
        let mut axes = self.meet_all(vec![data, index]);
        axes[along] = looked_up;
        axes
    }

    fn matmul(&mut self, node: &Tensor, operands: &[Tensor], axes: &[Vec<Axis>]) -> Vec<Axis> {
        let (rank, [left, right]) = (node.rank(), [&axes[0], &axes[1]]);
        let mut result: Vec<Axis> =
            (0..rank - 2).map(|axis| self.atoms.meet(&left[axis], &right[axis])).collect();
        let [row, column] = [left[rank - 2].clone(), right[rank - 1].clone()];
        let [inner_left, inner_right] = [&left[rank - 1], &right[rank - 2]];
        let of_weights = |operand: &Tensor| self.of_weights.contains(&operand.id());
        match [of_weights(&operands[0]), of_weights(&operands[1])] {
            [false, false] => {
                for axis in [inner_left, inner_right] {
                    self.atoms.keep(axis, "is summed over in a product of activations");
                }
            }
            [true, false] => self.atoms.contract(inner_right, inner_left),
            [_, true] => self.atoms.contract(inner_left, inner_right),
        }
        result.extend([row, column]);
        let inner = operands[0].shape()[rank - 1];
        self.cost(node.shape(), &result, (inner_left, inner));
        result
    }

    fn cost(&mut self, shape: &[usize], axes: &[Axis], (inner, size): (&Axis, usize)) {
        let all = axes.iter().zip(shape).chain([(inner, &size)]);
        let factors = all.map(|(axis, &size)| match axis {
            Axis::Channels(atoms) => Factor::Channels(atoms.clone()),
            Axis::Free | Axis::Fixed => Factor::Count(size as f64),
        });
        self.costs.push(factors.chain([Factor::Count(2.0)]).collect());
    }

    fn windows(&mut self, operands: [&[Axis]; 2]) {
        for axis in operands.into_iter().flat_map(|axes| &axes[2..]) {
            self.atoms.keep(axis, "is an axis of windows");
        }
    }

    fn convolution(
        &mut self,
        node: &Tensor,
        [x, weight]: [&[Axis]; 2],
        groups: usize,
        [read, taps]: [usize; 2],
    ) -> Vec<Axis> {
        self.windows([x, weight]);
        let outputs = if groups == 1 {
            self.atoms.contract(&x[1], &weight[1]);
            weight[0].clone()
        } else {
            self.atoms.keep(&weight[1], "is within the groups of a convolution");
            self.grouped(&x[1], &weight[0], groups)
        };
        let mut result = vec![Axis::Fixed; node.rank()];
        (result[0], result[1]) = (x[0].clone(), outputs);
        let inner = if groups == 1 { weight[1].clone() } else { Axis::Fixed };
        let shape = [node.shape(), &[taps][..]].concat();
        let axes = [&result[..], &[Axis::Fixed]].concat();
        self.cost(&shape, &axes, (&inner, read));
        result
    }

    /// Whole groups are removed: all that a group reads and makes goes together.
    fn grouped(&mut self, inputs: &Axis, outputs: &Axis, groups: usize) -> Axis {
        let (Axis::Channels(inputs), Axis::Channels(made)) = (inputs, outputs) else {
            self.atoms.keep(outputs, "is made by groups of the input's channels");
            self.atoms.keep(inputs, "is read by groups of channels that are no weight's");
            return outputs.clone();
        };
        for group in 0..groups {
            let part = |atoms: &[u32]| {
                let size = atoms.len() / groups;
                atoms[group * size..(group + 1) * size].to_vec()
            };
            let all = [part(inputs), part(made)].concat();
            all.iter().for_each(|&atom| self.atoms.join(atom, all[0]));
        }
        outputs.clone()
    }

    /// `weight, output's gradient -> input's gradient`, which is a transposed convolution of the latter.
    fn transposed(
        &mut self,
        node: &Tensor,
        made_of: &[usize],
        [x, weight]: [&[Axis]; 2],
        groups: usize,
        [made, taps]: [usize; 2],
    ) -> Vec<Axis> {
        self.windows([x, weight]);
        let mut result = vec![Axis::Fixed; node.rank()];
        result[0] = x[0].clone();
        if groups == 1 {
            self.atoms.contract(&x[1], &weight[0]);
            result[1] = weight[1].clone();
        } else {
            let reason = "is read by a transposed convolution in groups";
            [&x[1], &weight[0], &weight[1]]
                .into_iter()
                .for_each(|axis| self.atoms.keep(axis, reason));
        }
        let shape = [made_of, &[taps]].concat();
        let axes = [x, &[Axis::Fixed]].concat();
        self.cost(&shape, &axes, (&result[1].clone(), made));
        result
    }

    /// `query [B, H, T, D], key [B, HK, S, D], value [B, HK, S, E] -> [B, T, H, E]`.
    fn attention(
        &mut self,
        node: &Tensor,
        operands: &[Tensor],
        axes: &[Vec<Axis>],
        attention: &Attention,
    ) -> Vec<Axis> {
        let [query, key, value] = [&axes[0], &axes[1], &axes[2]];
        let batch = self.atoms.meet(&query[0], &key[0]);
        self.atoms.meet(&batch, &value[0]);
        for axis in [&query[3], &key[3], &key[2], &value[2], &query[2]] {
            self.atoms.keep(axis, "is within a head of attention");
        }
        let shared = self.atoms.meet(&key[1], &value[1]);
        match (&query[1], &shared) {
            (Axis::Channels(heads), Axis::Channels(shared)) => {
                let of_each = heads.len() / shared.len().max(1);
                for (index, &head) in heads.iter().enumerate() {
                    self.atoms.join(head, shared[index / of_each]);
                }
            }
            (heads, shared) => drop(self.atoms.meet(heads, shared)),
        }
        if attention.masked {
            self.atoms.meet(&query[1], &axes[3][1]);
        }
        let (sizes, keys) = (operands[0].shape(), operands[1].shape()[2]);
        let width = sizes[3] + node.shape()[3];
        let of_scores = [batch.clone(), query[1].clone(), Axis::Fixed, Axis::Fixed];
        self.cost(&[sizes[0], sizes[1], sizes[2], keys], &of_scores, (&Axis::Fixed, width));
        vec![batch, query[2].clone(), query[1].clone(), value[3].clone()]
    }
}

fn first(axes: Vec<Vec<Axis>>) -> Vec<Axis> {
    axes.into_iter().next().unwrap_or_default()
}

//! [`Linear`]: the part of a graph that an evaluation needs, in topological order, with the words that
//! describe its structure. This runs at every evaluation, so it does little and allocates little.

use gradloom_tensor::{Buffer, DType, Op, Retention, Scalar, Tensor};
use rustc_hash::FxHashMap;

/// A graph in topological order.
pub(crate) struct Linear {
    /// Nodes; operands come before their users.
    pub(crate) nodes: Vec<Tensor>,
    /// Operands of node `i`: `edges[starts[i]..starts[i + 1]]`.
    pub(crate) edges: Vec<u32>,
    pub(crate) starts: Vec<u32>,
    /// Position of each root in `nodes`, each once.
    pub(crate) roots: Vec<u32>,
    /// Values of the leaves, each memory once.
    pub(crate) inputs: Vec<Buffer>,
    /// For each leaf node its input.
    pub(crate) input_of: FxHashMap<u32, usize>,
    /// Inputs whose memory nobody outside this graph holds.
    pub(crate) reusable: Vec<bool>,
    /// Values of the arguments.
    pub(crate) arguments: Vec<Scalar>,
    /// Dtypes of the arguments.
    pub(crate) argument_dtypes: Vec<DType>,
    /// The structure as words: equal words, equal plan.
    pub(crate) key: Vec<u64>,
}

impl Linear {
    pub(crate) fn new(roots: &[Tensor], retention: Retention) -> Linear {
        let mut linear = Linear {
            nodes: Vec::new(),
            edges: Vec::new(),
            starts: vec![0],
            roots: Vec::new(),
            inputs: Vec::new(),
            input_of: FxHashMap::default(),
            reusable: Vec::new(),
            arguments: Vec::new(),
            argument_dtypes: Vec::new(),
            key: vec![retention as u64],
        };
        let mut index: FxHashMap<u64, u32> = FxHashMap::default();
        let pending = || roots.iter().filter(|root| root.value().is_none());
        linear.visit(pending(), &mut index);
        for root in pending() {
            let position = index[&root.id()];
            if !linear.roots.contains(&position) {
                linear.roots.push(position);
                linear.key.push(u64::from(position));
            }
        }
        linear.reusable = match retention {
            Retention::Release => linear.find_reusable(roots, &index),
            Retention::Keep => vec![false; linear.inputs.len()],
        };
        linear.key.extend(linear.reusable.iter().map(|&reusable| u64::from(reusable)));
        linear
    }

    /// Depth-first, without recursion: graphs of long sequences are deep.
    fn visit<'a>(
        &mut self,
        roots: impl Iterator<Item = &'a Tensor>,
        index: &mut FxHashMap<u64, u32>,
    ) {
        let mut storages: FxHashMap<usize, usize> = FxHashMap::default();
        let mut stack: Vec<(Tensor, bool)> = Vec::new();
        for root in roots {
            stack.push((root.clone(), false));
            while let Some((tensor, operands_done)) = stack.pop() {
                if index.contains_key(&tensor.id()) {
                    continue;
                }
                let leaf = tensor.value().is_some();
                if operands_done || leaf {
                    self.append(tensor, leaf, index, &mut storages);
                    continue;
                }
                stack.push((tensor.clone(), true));
                match tensor.op() {
                    Op::Detach(source) => {
                        stack.extend(source.source().map(|source| (source, false)));
                    }
                    Op::Custom(_) => stack.push((tensor.inputs()[0].clone(), false)),
                    _ => {
                        stack.extend(
                            tensor.inputs().iter().rev().map(|input| (input.clone(), false)),
                        );
                    }
                }
            }
        }
    }

    fn append(
        &mut self,
        tensor: Tensor,
        leaf: bool,
        index: &mut FxHashMap<u64, u32>,
        storages: &mut FxHashMap<usize, usize>,
    ) {
        let position = self.nodes.len() as u32;
        index.insert(tensor.id(), position);
        if let Some(value) = tensor.value().filter(|_| leaf) {
            let address = std::sync::Arc::as_ptr(value.shared()).cast::<()>() as usize;
            let next = self.inputs.len();
            let input = *storages.entry(address).or_insert(next);
            if input == next {
                self.inputs.push(value.clone());
            }
            self.input_of.insert(position, input);
            self.key.extend([TAG_LEAF, input as u64]);
        } else {
            match tensor.op() {
                Op::Detach(source) => {
                    let source = source.source().map(|source| index[&source.id()]);
                    self.edges.extend(source);
                }
                Op::Custom(_) => self.edges.push(index[&tensor.inputs()[0].id()]),
                _ => self.edges.extend(tensor.inputs().iter().map(|input| index[&input.id()])),
            }
            self.encode_op(tensor.op(), tensor.dtype());
        }
        let start = self.starts[self.starts.len() - 1] as usize;
        self.key.push(
            tensor.dtype() as u64
                | u64::from(tensor.is_tracked()) << 8
                | (tensor.rank() as u64) << 16
                | ((self.edges.len() - start) as u64) << 24,
        );
        self.key.extend(tensor.shape().iter().map(|&size| size as u64));
        self.key.extend(self.edges[start..].iter().map(|&edge| u64::from(edge)));
        self.starts.push(self.edges.len() as u32);
        self.nodes.push(tensor);
    }

    /// The op's words: a tag and its parameters. Arguments count, their values do not.
    fn encode_op(&mut self, op: &Op, dtype: DType) {
        let key = &mut self.key;
        let mut word = |tag: u64, parameter: u64| key.push(tag | parameter << 8);
        match op {
            Op::Buffer => word(TAG_LEAF, 0),
            Op::Constant(value) => {
                let (kind, bits) = value.cast(dtype).key();
                word(2, u64::from(kind));
                key.push(bits);
            }
            Op::Argument(value) => {
                word(3, 0);
                self.arguments.push(value.cast(dtype));
                self.argument_dtypes.push(dtype);
            }
            Op::Iota { axis } => word(4, *axis as u64),
            Op::Random { key: words } => {
                word(5, 0);
                for &half in words {
                    self.arguments.push(Scalar::Int(i64::from(half)));
                    self.argument_dtypes.push(DType::U32);
                }
            }
            Op::Unary(unary) => word(6, *unary as u64),
            Op::Binary(binary) => word(7, *binary as u64),
            Op::Select => word(8, 0),
            Op::Cast => word(9, 0),
            Op::CheckIndex { size, .. } => word(10, *size as u64),
            Op::Reduce(reduction, axes) => {
                word(11, *reduction as u64 | u64::from(axes.bits()) << 8);
            }
            Op::ArgReduce(reduction, axis) => word(12, *reduction as u64 | (*axis as u64) << 8),
            Op::Scan { axis, reverse } => word(13, *axis as u64 | u64::from(*reverse) << 8),
            Op::Reshape => word(14, 0),
            Op::Permute(permutation) => {
                let packed = permutation.iter().fold(1, |packed, axis| packed << 4 | axis as u64);
                word(15, packed);
            }
            Op::Expand => word(16, 0),
            Op::Slice { starts, steps } => {
                word(17, 0);
                key.extend(starts.iter().chain(steps).map(|&value| value as u64));
            }
            Op::Pad { before } => {
                word(18, 0);
                key.extend(before.iter().map(|&value| value as u64));
            }
            Op::Flip(axes) => word(19, u64::from(axes.bits())),
            Op::Concat { axis } => word(20, *axis as u64),
            Op::Matmul => word(21, 0),
            Op::Convolution(window, groups) => encode_window(key, 22, window, *groups),
            Op::ConvolutionInput(window, groups) => encode_window(key, 23, window, *groups),
            Op::ConvolutionWeight(window, groups) => encode_window(key, 24, window, *groups),
            Op::PoolMax(window) => encode_window(key, 25, window, 1),
            Op::PoolMaxScatter(window) => encode_window(key, 26, window, 1),
            Op::PoolMaxGather(window) => encode_window(key, 27, window, 1),
            Op::PoolSum(window) => encode_window(key, 28, window, 1),
            Op::PoolSumScatter(window) => encode_window(key, 29, window, 1),
            Op::Gather { axis } => word(30, *axis as u64),
            Op::ScatterAdd { axis } => word(31, *axis as u64),
            Op::ArgSort { axis, descending } => {
                word(32, *axis as u64 | u64::from(*descending) << 8);
            }
            Op::Write { axis } => word(36, *axis as u64),
            Op::Dequantize(format) => word(37, *format as u64),
            Op::Attention(attention) => {
                let flags = [attention.causal, attention.masked, attention.placed];
                word(38, flags.iter().fold(0, |bits, &flag| bits << 1 | u64::from(flag)));
                let window = attention.window.map_or(0, |window| window as u64 + 1);
                key.extend([attention.scale.to_bits(), window]);
            }
            Op::Detach(_) => word(33, 0),
            Op::Custom(_) => word(34, 0),
            Op::Barrier => word(35, 0),
        }
    }

    /// Which inputs only this graph holds, given that the roots will be cut from it.
    ///
    /// A node that somebody outside holds (other than a root, by its one owner) may be evaluated again
    /// later, so nothing that it depends on may be overwritten.
    fn find_reusable(&self, roots: &[Tensor], index: &FxHashMap<u64, u32>) -> Vec<bool> {
        let count = self.nodes.len();
        let mut references = vec![1usize; count];
        for &edge in &self.edges {
            references[edge as usize] += 1;
        }
        for node in self.nodes.iter().filter(|node| node.value().is_none()) {
            if let (Op::Custom(_), [_, operands @ ..]) = (node.op(), node.inputs()) {
                for position in operands.iter().filter_map(|operand| index.get(&operand.id())) {
                    references[*position as usize] += 1;
                }
            }
        }
        for root in roots {
            // The slice of roots, and the owner whose handle is about to be cut.
            if let Some(&position) =
                self.roots.iter().find(|&&position| self.nodes[position as usize].id() == root.id())
            {
                references[position as usize] += 2;
            }
        }
        let mut held: Vec<bool> =
            (0..count).map(|i| self.nodes[i].handles() > references[i]).collect();
        for i in (0..count).rev() {
            if held[i] {
                for edge in self.operands(i) {
                    held[edge] = true;
                }
            }
        }
        let mut holders = vec![0usize; self.inputs.len()];
        let mut reusable = vec![true; self.inputs.len()];
        for (&node, &input) in &self.input_of {
            holders[input] += 1;
            reusable[input] &= !held[node as usize];
        }
        for (input, buffer) in self.inputs.iter().enumerate() {
            // One holder per leaf node, one in this list.
            reusable[input] &= std::sync::Arc::strong_count(buffer.shared()) == holders[input] + 1;
        }
        reusable
    }

    /// Operands of a node.
    pub(crate) fn operands(&self, node: usize) -> impl Iterator<Item = usize> + '_ {
        let range = self.starts[node] as usize..self.starts[node + 1] as usize;
        self.edges[range].iter().map(|&edge| edge as usize)
    }
}

const TAG_LEAF: u64 = 1;

fn encode_window(
    key: &mut Vec<u64>,
    tag: u64,
    window: &gradloom_tensor::op::Window2d,
    groups: usize,
) {
    key.push(tag | (groups as u64) << 8);
    let [[top, bottom], [left, right]] = window.padding;
    let [kernel_height, kernel_width] = window.kernel;
    let [stride_height, stride_width] = window.stride;
    let [dilation_height, dilation_width] = window.dilation;
    key.extend(
        [
            kernel_height,
            kernel_width,
            stride_height,
            stride_width,
            dilation_height,
            dilation_width,
            top,
            bottom,
            left,
            right,
        ]
        .map(|value| value as u64),
    );
}

//! [`Maker`]: a recipe in the making, with the shapes and dtypes of its nodes.

use gradloom_tensor::{DType, Shape};

use super::options::Options;
use crate::graphs::action::{Action, Numbers, call};
use crate::graphs::calls::tail;
use crate::graphs::compare::quietly;
use crate::graphs::dice::Dice;
use crate::graphs::graph::Graph;
use crate::graphs::pattern::Pattern;
use crate::graphs::recipe::Step;
use crate::reference;

/// Most elements of a node, but for those that are large on purpose.
const COUNT_MAX: usize = 3_000;

/// Most elements of what a call makes.
const RESULT_MAX: usize = 120_000;

/// A recipe in the making.
pub(super) struct Maker<'a> {
    pub(super) dice: Dice,
    pub(super) options: &'a Options,
    pub(super) steps: Vec<Step>,
    /// The nodes, on a device that computes nothing until it is asked.
    pub(super) graph: Graph,
}

impl<'a> Maker<'a> {
    pub(super) fn new(dice: Dice, options: &'a Options) -> Maker<'a> {
        let graph = Graph::new(&reference::device(), 0.0, Vec::new());
        let mut maker = Maker { dice, options, steps: Vec::new(), graph };
        for _ in 0..maker.dice.between(1, 2) {
            let (shape, dtype) = (maker.shape(), maker.dtype());
            maker.leaf(&shape, dtype);
        }
        maker
    }

    /// Number of nodes that are no leaves.
    pub(super) fn calls(&self) -> usize {
        self.steps.iter().filter(|step| matches!(step, Step::Call { .. })).count()
    }

    pub(super) fn shape_of(&self, node: usize) -> Vec<usize> {
        self.graph[node].shape().to_vec()
    }

    pub(super) fn dtype_of(&self, node: usize) -> DType {
        self.graph[node].dtype()
    }

    pub(super) fn rank_of(&self, node: usize) -> usize {
        self.graph[node].rank()
    }

    pub(super) fn count_of(&self, node: usize) -> usize {
        self.graph[node].count()
    }

    pub(super) fn size(&mut self) -> usize {
        if self.options.extremes && self.dice.once_in(60) {
            return 0;
        }
        self.dice.pick(&self.options.sizes)
    }

    /// A shape of up to four axes, rarely of more.
    pub(super) fn shape(&mut self) -> Vec<usize> {
        if self.options.extremes && self.dice.once_in(250) {
            let large = self.dice.pick(&[1_025, 2_048, 4_099, 9_000, 33_000]);
            return self.dice.pick(&[[1, large], [large, 1], [2, large], [large, 3]]).to_vec();
        }
        let rank = self.dice.pick(&[0, 1, 1, 2, 2, 2, 2, 3, 3, 3, 4, 4, 5]);
        let mut shape = Vec::new();
        for _ in 0..rank {
            let size = self.size();
            let count: usize = shape.iter().product();
            shape.push(if count * size > COUNT_MAX { 1 } else { size });
        }
        self.dice.shuffled(shape)
    }

    pub(super) fn dtype(&mut self) -> DType {
        self.dice.pick(&self.options.dtypes)
    }

    pub(super) fn float_dtype(&mut self) -> DType {
        let floats: Vec<DType> =
            self.options.dtypes.iter().copied().filter(|dtype| dtype.is_float()).collect();
        self.dice.pick(&floats)
    }

    pub(super) fn leaf(&mut self, shape: &[usize], dtype: DType) -> usize {
        let pattern = match self.dice.below(20) {
            0 => Pattern::Special,
            1 | 2 => Pattern::Far,
            3..=6 => Pattern::Positive,
            _ => Pattern::Small,
        };
        self.leaf_of(shape, dtype, pattern)
    }

    pub(super) fn leaf_of(&mut self, shape: &[usize], dtype: DType, pattern: Pattern) -> usize {
        let seed = self.dice.bits() % 10_000;
        let step = Step::Leaf { shape: shape.to_vec(), dtype, pattern, seed };
        step.add(&mut self.graph);
        self.steps.push(step);
        self.steps.len() - 1
    }

    /// Adds a call, unless the interface refuses it or its result is too large.
    pub(super) fn call(
        &mut self,
        action: Action,
        operands: &[usize],
        numbers: Numbers,
    ) -> Option<usize> {
        let step = Step::Call { action, operands: operands.to_vec(), numbers };
        let graph = &mut self.graph;
        if let Err(message) = quietly(|| step.add(graph)) {
            if std::env::var_os("GRADLOOM_GRAPHS_REFUSED").is_some() {
                eprintln!("refused: {message}");
            }
            return None;
        }
        if self.graph.nodes().last().is_some_and(|node| node.count() > RESULT_MAX) {
            self.graph.pop();
            return None;
        }
        self.steps.push(step);
        debug_assert_eq!(self.steps.len(), self.graph.nodes().len());
        Some(self.steps.len() - 1)
    }

    /// A node that fits, the later the likelier.
    pub(super) fn find(&mut self, fits: impl Fn(&Self, usize) -> bool) -> Option<usize> {
        let fitting: Vec<usize> = (0..self.steps.len()).filter(|&node| fits(self, node)).collect();
        if fitting.is_empty() {
            return None;
        }
        let (a, b) = (self.dice.below(fitting.len()), self.dice.below(fitting.len()));
        Some(fitting[a.max(b)])
    }

    /// Any node.
    pub(super) fn any(&mut self) -> usize {
        if self.dice.once_in(12) {
            let (shape, dtype) = (self.shape(), self.dtype());
            return self.leaf(&shape, dtype);
        }
        self.find(|_, _| true).unwrap_or(0)
    }

    /// A node of numbers.
    pub(super) fn number(&mut self) -> usize {
        self.of(|dtype| dtype != DType::Bool, DType::I32)
    }

    /// A node of floats.
    pub(super) fn float(&mut self) -> usize {
        let dtype = self.float_dtype();
        self.of(DType::is_float, dtype)
    }

    /// A node of a kind of dtypes, or a new leaf of the given one.
    pub(super) fn of(&mut self, fits: impl Fn(DType) -> bool, dtype: DType) -> usize {
        let found = self.find(|maker, node| fits(maker.dtype_of(node)));
        match found {
            Some(node) if !self.dice.once_in(12) => node,
            _ => {
                let shape = self.shape();
                self.leaf(&shape, dtype)
            }
        }
    }

    /// A node of the given shape and dtype: a leaf, or part of a node under another shape.
    pub(super) fn operand(&mut self, shape: &[usize], dtype: DType) -> usize {
        let count: usize = shape.iter().product();
        let same = self.find(|maker, node| {
            maker.dtype_of(node) == dtype && maker.graph[node].shape()[..] == *shape
        });
        if let Some(node) = same.filter(|_| self.dice.once_in(2)) {
            return node;
        }
        let larger =
            self.find(|maker, node| maker.dtype_of(node) == dtype && maker.count_of(node) >= count);
        let Some(node) = larger.filter(|_| count > 0 && self.dice.once_in(2)) else {
            return self.leaf(shape, dtype);
        };
        let available = self.count_of(node);
        let made = if available == count {
            self.call(call!(c => c.x[0].reshape(c.s)), &[node], Numbers::none().s(shape))
        } else {
            let start = self.dice.between(0, available - count);
            let sizes: Vec<usize> =
                [available, start, count].into_iter().chain(shape.iter().copied()).collect();
            self.call(
                call!(c => c.x[0].reshape([c.s[0]]).narrow(0, c.s[1], c.s[2]).reshape(tail(c.s))),
                &[node],
                Numbers::none().s(sizes),
            )
        };
        made.unwrap_or_else(|| self.leaf(shape, dtype))
    }

    /// A node of the same elements with `rank` axes.
    pub(super) fn with_rank(&mut self, node: usize, rank: usize) -> Option<usize> {
        if self.rank_of(node) == rank {
            return Some(node);
        }
        let shape = self.factors(self.count_of(node), rank);
        self.call(call!(c => c.x[0].reshape(c.s)), &[node], Numbers::none().s(shape))
    }

    /// Sizes whose product is `count`.
    pub(super) fn factors(&mut self, count: usize, rank: usize) -> Vec<usize> {
        let mut sizes = vec![1; rank.max(1)];
        if count == 0 {
            let zero = self.dice.below(sizes.len());
            sizes[zero] = 0;
            return sizes;
        }
        let mut rest = count;
        let mut prime = 2;
        while rest > 1 {
            if rest.is_multiple_of(prime) {
                let axis = self.dice.below(sizes.len());
                sizes[axis] *= prime;
                rest /= prime;
            } else {
                prime += if prime * prime > rest { rest - prime } else { 1 };
            }
        }
        sizes
    }

    /// An axis of a node that has one.
    pub(super) fn axis(&mut self, node: usize) -> isize {
        let rank = self.rank_of(node) as isize;
        let axis = self.dice.below(rank.max(1) as usize) as isize;
        if self.dice.once_in(2) { axis } else { axis - rank }
    }

    /// Distinct axes of a node, at least one if it has any.
    pub(super) fn axes(&mut self, node: usize) -> Vec<isize> {
        let rank = self.rank_of(node);
        let order = self.dice.shuffled((0..rank as isize).collect());
        let count = if rank == 0 { 0 } else { self.dice.between(1, rank.min(3)) };
        order[..count].to_vec()
    }

    /// The shape of a node with some axes one, some left out at the front.
    pub(super) fn broadcastable(&mut self, shape: &[usize]) -> Vec<usize> {
        let skipped = if self.dice.once_in(3) { self.dice.below(shape.len() + 1) } else { 0 };
        let mut result = shape[skipped..].to_vec();
        for size in &mut result {
            if self.dice.once_in(4) {
                *size = 1;
            }
        }
        result
    }

    pub(super) fn has_few(&self, shape: &[usize]) -> bool {
        Shape::new(shape).checked_count().is_some_and(|count| count <= 4 * COUNT_MAX)
    }
}

//! Products and convolutions that cast operands as they read them, so that no converted copy of master
//! weights or activations is stored.
//!
//! A cast is left to those that read it where nobody has to store anything for that: all that need its
//! elements in memory are products and convolutions, and its source is in memory in any case, as a leaf,
//! a root or an operand of another kernel with work of its own. Elsewhere there is a copy:
//!
//! - where a root or another kernel has to find one, all read it;
//! - where the source is computed element by element, or by a kernel whose result is nothing but cast, the
//!   cast is a part of that kernel, which then stores narrow elements instead of wide ones.
//!
//! What reads a cast element by element does not count: it computes the cast again, as all that is cheap.

use gradloom_tensor::Op;

use crate::factors::Factors;
use crate::graph::Graph;
use crate::node::{Claim, Class, Node, STEPS_MAX, Step, read};

/// Where an operand's elements are before its cast.
struct Source {
    /// The cast, and the node that is its operand.
    cast: usize,
    node: usize,
    /// Steps from the base of that node to the operand as it is read.
    steps: Vec<Step>,
}

impl Graph {
    /// Lets products and convolutions read the sources of casts. Views are resolved and copied before.
    pub(crate) fn claim_casts(&mut self) {
        let count = self.nodes.len();
        let readers: Vec<usize> =
            (0..count).filter(|&node| self.nodes[node].class == Class::Structured).collect();
        let mut stored = vec![false; count];
        for &root in &self.roots {
            stored[self.base(root)] = true;
        }
        for &reader in &readers {
            for &input in self.nodes[reader].stored_inputs() {
                stored[self.base(input)] |= self.source_of(reader, input).is_none();
            }
        }
        for &reader in &readers {
            if !self.multiplies(reader) {
                continue;
            }
            let sources = [0, 1].map(|operand| {
                let source = self.source_of(reader, self.nodes[reader].inputs[operand])?;
                let base = self.base(source.node);
                let there = matches!(self.nodes[base].class, Class::Leaf(_)) || stored[base];
                (there && !stored[source.cast]).then_some(source)
            });
            let casts = sources.each_ref().map(|source| Some(source.as_ref()?.cast));
            if casts == [None; 2] {
                continue;
            }
            for (operand, source) in sources.into_iter().enumerate() {
                if let Some(source) = source {
                    let view = self.before_cast(self.nodes[reader].inputs[operand], source);
                    self.nodes[reader].inputs[operand] = view;
                }
            }
            self.nodes[reader].claim = Some(Claim::Casts(casts));
        }
    }

    /// True for nodes that multiply their two operands, of one dtype, as they are.
    fn multiplies(&self, node: usize) -> bool {
        let Node { op, claim, .. } = &self.nodes[node];
        let product = matches!(
            op,
            Op::Matmul | Op::Convolution(..) | Op::ConvolutionInput(..) | Op::ConvolutionWeight(..)
        );
        product && claim.is_none()
    }

    /// What a reader can cast itself as it reads an operand, if it can.
    fn source_of(&self, reader: usize, operand: usize) -> Option<Source> {
        let cast = self.base(operand);
        let Node { op: Op::Cast, class: Class::Elementwise, dtype, inputs, .. } = &self.nodes[cast]
        else {
            return None;
        };
        let (node, dtype) = (inputs[0], *dtype);
        let Node { base, steps, dtype: stored, .. } = &self.nodes[node];
        if !self.multiplies(reader) || !Factors::reads(*stored, dtype) {
            return None;
        }
        let steps = [&steps[..], &self.nodes[operand].steps].concat();
        let shape = self.nodes[*base].shape;
        let view = if steps.len() <= STEPS_MAX { read(shape, &steps)? } else { return None };
        let fits = match self.nodes[reader].op {
            Op::Matmul => view.mask.is_none(),
            _ => view.is_contiguous() && view.shape.count() == shape.count(),
        };
        fits.then_some(Source { cast, node, steps })
    }

    /// An operand without its cast: a node that no tensor is.
    fn before_cast(&mut self, operand: usize, source: Source) -> usize {
        let [view, before] = [operand, source.node].map(|node| &self.nodes[node]);
        let mut after = [&view.after[..], &before.after].concat();
        after.sort_unstable();
        after.dedup();
        let node = Node {
            op: Op::Barrier,
            claim: None,
            inputs: vec![source.node],
            shape: view.shape,
            dtype: before.dtype,
            class: Class::View,
            base: before.base,
            steps: source.steps,
            after,
            argument: view.argument,
            result: None,
            tracked: false,
        };
        self.nodes.push(node);
        self.nodes.len() - 1
    }
}

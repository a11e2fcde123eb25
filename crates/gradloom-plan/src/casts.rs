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
//! A cast of a cast is one where one of them changes nothing, as in the gradients of products that are
//! summed in f32, whose operands are rounded to halves and widened again.

use gradloom_tensor::{DType, Op};

use crate::factors::{FactorCast, Factors, is_cast_on_read};
use crate::graph::Graph;
use crate::node::{Claim, Class, Node, STEPS_MAX, Step, read};

/// An operand before a cast.
struct Source {
    /// What is made of its elements.
    cast: FactorCast,
    /// The node whose elements are read.
    node: usize,
    /// Steps from that node's shape to the operand's.
    steps: Vec<Step>,
    /// What must be computed before.
    after: Vec<usize>,
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
                stored[self.base(input)] |= self.before_cast(reader, input, None).is_none();
            }
        }
        for reader in readers {
            if !self.multiplies(reader) {
                continue;
            }
            let operands = [self.nodes[reader].inputs[0], self.nodes[reader].inputs[1]];
            let mut factors = Factors::of(self.nodes[operands[0]].dtype);
            for (position, operand) in operands.into_iter().enumerate() {
                if let Some(source) = self.source_of(reader, operand, &stored) {
                    factors.casts[position] = Some(source.cast);
                    self.nodes[reader].inputs[position] = self.uncast(operand, source);
                }
            }
            if factors.casts != [None; 2] {
                self.nodes[reader].claim = Some(Claim::Casts(factors));
            }
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

    /// What a reader casts itself, where that is in memory in any case and the cast is not.
    fn source_of(&self, reader: usize, operand: usize, stored: &[bool]) -> Option<Source> {
        if stored[self.base(operand)] {
            return None;
        }
        let mut source = self.before_cast(reader, operand, None)?;
        loop {
            let base = self.base(source.node);
            if stored[base] || matches!(self.nodes[base].class, Class::Leaf(_)) {
                return Some(source);
            }
            source = self.before_cast(reader, source.node, Some(source))?;
        }
    }

    /// An operand, or what it is a cast of, before one more cast, if its reader can make that. The operand
    /// is `node`, or what `outer` makes of it.
    fn before_cast(&self, reader: usize, node: usize, outer: Option<Source>) -> Option<Source> {
        let base = self.base(node);
        let Node { op: Op::Cast, class: Class::Elementwise, dtype, inputs, .. } = &self.nodes[base]
        else {
            return None;
        };
        let (source, own) = (inputs[0], FactorCast { dtype: *dtype, node: base });
        let cast = match outer.as_ref().map(|outer| outer.cast) {
            None => own,
            // f32 has all values of halves.
            Some(outer) if outer.dtype == DType::F32 => own,
            Some(outer) if own.dtype == DType::F32 => outer,
            Some(_) => return None,
        };
        let Node { base, steps, dtype: stored, after, .. } = &self.nodes[source];
        if !self.multiplies(reader) || !is_cast_on_read(*stored, own.dtype) {
            return None;
        }
        let mut outer = outer.map_or((Vec::new(), Vec::new()), |outer| (outer.steps, outer.after));
        let mut all = self.nodes[node].steps.clone();
        all.append(&mut outer.0);
        outer.1.extend_from_slice(after);
        let path = [&steps[..], &all].concat();
        let shape = self.nodes[*base].shape;
        let view = if path.len() <= STEPS_MAX { read(shape, &path)? } else { return None };
        let fits = match self.nodes[reader].op {
            Op::Matmul => view.mask.is_none(),
            _ => view.is_contiguous() && view.shape.count() == shape.count(),
        };
        fits.then_some(Source { cast, node: source, steps: all, after: outer.1 })
    }

    /// An operand without its cast: a node that no tensor is.
    fn uncast(&mut self, operand: usize, source: Source) -> usize {
        let [view, before] = [operand, source.node].map(|node| &self.nodes[node]);
        let mut after = [&view.after[..], &source.after].concat();
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
            steps: [&before.steps[..], &source.steps].concat(),
            after,
            argument: view.argument,
            result: None,
            tracked: false,
        };
        self.nodes.push(node);
        self.nodes.len() - 1
    }
}

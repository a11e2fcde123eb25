//! Products and embeddings that read quantized matrices directly, found by what their operands are.

use gradloom_tensor::op::Permutation;
use gradloom_tensor::{BlockFormat, DType, Op};

use crate::graph::Graph;
use crate::node::{Claim, Class, Step};

impl Graph {
    /// Lets products `x W^T` and picks of rows read blocks, also where `W` is several matrices one
    /// below the other. Other users of such matrices get the numbers.
    pub(crate) fn claim_quantized(&mut self) {
        for node in 0..self.nodes.len() {
            if self.nodes[node].class != Class::Structured {
                continue;
            }
            let claimed = match self.nodes[node].op {
                Op::Matmul => self.product(node),
                Op::Gather { axis: 0 } => self.rows(node),
                _ => None,
            };
            if let Some((claim, inputs)) = claimed {
                self.nodes[node].claim = Some(claim);
                self.nodes[node].inputs = inputs;
            }
        }
    }

    fn product(&self, node: usize) -> Option<(Claim, Vec<usize>)> {
        let inputs = &self.nodes[node].inputs;
        let (lhs, rhs) = (inputs[0], &self.nodes[inputs[1]]);
        let transposed = Step::Permute(Permutation::new(&[1, 0]));
        // Exactly the transpose of the matrix: other shapes of it have other rows.
        let matrix = self.nodes[rhs.base].shape;
        let whole = matrix.rank() == 2 && rhs.shape[..] == [matrix[1], matrix[0]];
        let mut steps = rhs.steps.iter().filter(
            |step| !matches!(step, Step::Reshape(shape) if *shape == matrix || *shape == rhs.shape),
        );
        if !whole || steps.next() != Some(&transposed) || steps.next().is_some() {
            return None;
        }
        let mut parts = Vec::new();
        let mut operands = vec![lhs];
        let base = &self.nodes[rhs.base];
        let matrices = match (base.class, &base.op) {
            (Class::Structured, Op::Dequantize(_)) => vec![rhs.base],
            (Class::Structured, Op::Concat { axis: 0 }) => base.inputs.clone(),
            _ => return None,
        };
        for matrix in matrices {
            let (format, blocks) = self.blocks(matrix)?;
            parts.push((format, self.nodes[matrix].shape[0]));
            operands.push(blocks);
        }
        Some((Claim::Product(parts), operands))
    }

    fn rows(&self, node: usize) -> Option<(Claim, Vec<usize>)> {
        let inputs = &self.nodes[node].inputs;
        let (format, blocks) = self.blocks(inputs[0])?;
        // Whole rows: the index is one value along each row.
        let index = self.view(inputs[1])?;
        let whole = index.mask.is_none() && (index.strides[1] == 0 || index.shape[1] == 1);
        let rows = self.nodes[inputs[0]].shape[0];
        whole.then(|| (Claim::Rows(format, rows), vec![blocks, inputs[1]]))
    }

    /// Format and words of a matrix in blocks.
    fn blocks(&self, node: usize) -> Option<(BlockFormat, usize)> {
        let node = &self.nodes[node];
        let base = &self.nodes[node.base];
        let Op::Dequantize(format) = base.op else { return None };
        // A matrix whose numbers were computed before is read like any other.
        let computed = base.class == Class::Structured && base.dtype == DType::F32;
        let identity = node.steps.iter().all(|step| matches!(step, Step::Reshape(_)));
        (computed && identity && base.shape == node.shape).then(|| (format, base.inputs[0]))
    }
}

//! Products and embeddings that read matrices in blocks directly, found by what their operands are.

use gradloom_tensor::op::Permutation;
use gradloom_tensor::{BlockFormat, DType, Op};

use crate::graph::{Claim, Class, Graph, Step};

impl Graph {
    /// Lets products `x W^T` and picks of rows read blocks, also where `W` is several matrices one
    /// below the other. Other users of such matrices get the numbers.
    pub(crate) fn claim_blocks(&mut self) {
        for node in 0..self.nodes.len() {
            if self.nodes[node].class != Class::Heavy {
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
        let turned = Step::Permute(Permutation::new(&[1, 0]));
        let mut steps = rhs.steps.iter().filter(|step| !matches!(step, Step::Reshape(_)));
        let reshaped = rhs.steps.iter().any(
            |step| matches!(step, Step::Reshape(shape) if *shape != rhs.shape && shape.rank() != 2),
        );
        if reshaped || steps.next() != Some(&turned) || steps.next().is_some() {
            return None;
        }
        let mut parts = Vec::new();
        let mut operands = vec![lhs];
        let base = &self.nodes[rhs.base];
        let matrices = match base.op {
            Op::Dequantize(_) => vec![rhs.base],
            Op::Concat { axis: 0 } => base.inputs.clone(),
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
        match base.op {
            Op::Dequantize(format) if base.shape == node.shape && base.dtype == DType::F32 => {
                let identity = node.steps.iter().all(|step| matches!(step, Step::Reshape(_)));
                identity.then(|| (format, base.inputs[0]))
            }
            _ => None,
        }
    }
}

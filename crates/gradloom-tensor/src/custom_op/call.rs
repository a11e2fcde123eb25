//! [`Call`]: a custom op on operands of certain types, as a node of a graph and as a kernel.

use std::any::Any;
use std::hash::Hasher;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::intern::intern;
use super::memory::{HostOperand, HostResult, TensorType};
use super::op::CustomOp;
use crate::op::Op;
use crate::shape::RANK_MAX;
use crate::{DType, Error, Result, Shape, Tensor};

/// A custom op on operands of certain types: what [`Op::Call`] holds.
#[derive(Clone, Debug)]
pub struct Call(Arc<Applied>);

#[derive(Debug)]
struct Applied {
    id: u64,
    op: Arc<dyn CustomOp>,
    operands: Vec<TensorType>,
    results: Vec<TensorType>,
}

impl Call {
    pub(super) fn new(op: Arc<dyn CustomOp>, operands: &[&Tensor]) -> Result<Call> {
        let (id, op) = intern(op);
        let name = op.name();
        let operands: Vec<TensorType> = operands.iter().map(|&x| TensorType::of(x)).collect();
        let results =
            op.results(&operands).map_err(|error| Error::shape(format!("{name}: {error}")))?;
        let Some(first) = results.first() else {
            return Err(Error::shape(format!("{name}: the op gives no result")));
        };
        if let Some(other) = results.iter().find(|other| other.dtype != first.dtype) {
            return Err(Error::shape(format!(
                "{name}: results of {} and {}; all results of one op have one dtype",
                first.dtype, other.dtype
            )));
        }
        Ok(Call(Arc::new(Applied { id, op, operands, results })))
    }

    /// The op.
    pub fn op(&self) -> &dyn CustomOp {
        &*self.0.op
    }

    /// Equal for equal ops, and for no others.
    pub fn id(&self) -> u64 {
        self.0.id
    }

    /// Types of the operands.
    pub fn operands(&self) -> &[TensorType] {
        &self.0.operands
    }

    /// Types of the results.
    pub fn results(&self) -> &[TensorType] {
        &self.0.results
    }

    /// The type of the node: that of the only result, or all results one after another.
    pub fn node(&self) -> TensorType {
        match self.results() {
            [only] => *only,
            results => {
                let count = results.iter().map(|result| result.shape.count()).sum();
                TensorType { shape: Shape::new(&[count]), dtype: results[0].dtype }
            }
        }
    }

    /// The results as views of a node's value.
    #[track_caller]
    pub fn unpack(&self, node: &Tensor) -> Vec<Tensor> {
        if let [_] = self.results() {
            return vec![node.clone()];
        }
        let mut next = 0;
        let mut results = Vec::with_capacity(self.results().len());
        for result in self.results() {
            let count = result.shape.count();
            results.push(node.narrow(0, next, count).reshape(result.shape));
            next += count;
        }
        results
    }

    /// The op on operands whose axis of examples is the first, as the value of a node of the same op with
    /// that axis in front. A node without room for it has the examples along its first axis.
    #[track_caller]
    pub fn batched(&self, operands: &[Tensor], size: usize) -> Tensor {
        let name = self.op().name();
        let has_room = |of: &[TensorType]| of.iter().all(|of| of.shape.rank() < RANK_MAX);
        let fits = has_room(self.operands()) && has_room(self.results());
        let results = match fits.then(|| self.op().vmap(operands)).flatten() {
            Some(results) => results,
            None => return self.one_by_one(operands, size),
        };
        assert!(
            results.len() == self.results().len(),
            "{name}: vmap gave {} results, the op gives {}",
            results.len(),
            self.results().len()
        );
        let mut flat = Vec::with_capacity(results.len());
        for (result, of) in results.iter().zip(self.results()) {
            let expected: Shape = std::iter::once(size).chain(of.shape.iter().copied()).collect();
            assert!(
                *result.shape() == expected && result.dtype() == of.dtype,
                "{name}: vmap gave a result {} {}, not {} {expected}",
                result.dtype(),
                result.shape(),
                of.dtype
            );
            flat.push(result.reshape([size, of.shape.count()]));
        }
        match &results[..] {
            [only] => only.clone(),
            _ => Tensor::concat(&flat.iter().collect::<Vec<_>>(), 1),
        }
    }

    /// One example after another.
    #[track_caller]
    fn one_by_one(&self, operands: &[Tensor], size: usize) -> Tensor {
        let shape = self.node().shape;
        let mut examples = Vec::with_capacity(size);
        for example in 0..size {
            let mut of_one = Vec::with_capacity(operands.len());
            for (operand, of) in operands.iter().zip(self.operands()) {
                let count = of.shape.count();
                let rows = operand.reshape([size, count]);
                of_one.push(rows.narrow(0, example, 1).reshape(of.shape));
            }
            let node = self.node_of(of_one);
            examples.push(match shape.rank() < RANK_MAX {
                true => node.unsqueeze(0),
                false => node,
            });
        }
        Tensor::concat(&examples.iter().collect::<Vec<_>>(), 0)
    }

    #[track_caller]
    pub(super) fn node_of(&self, operands: Vec<Tensor>) -> Tensor {
        let TensorType { shape, dtype } = self.node();
        let device = operands[0].device().clone();
        Tensor::from_op(Op::Call(self.clone()), operands, shape, dtype, &device)
    }

    /// Gradients of the operands of a node, given that of its value.
    #[track_caller]
    pub fn backward(&self, node: &Tensor, gradient: &Tensor) -> Vec<Option<Tensor>> {
        let (results, gradients) = (self.unpack(node), self.unpack(gradient));
        let found = self.op().derivative(node.inputs(), &results, &gradients);
        assert!(
            found.len() == node.inputs().len(),
            "{}: the derivative gave {} gradients for {} operands",
            self.op().name(),
            found.len(),
            node.inputs().len()
        );
        found
    }

    /// As [`Call::run`] on bytes at any address.
    ///
    /// # Errors
    /// As [`Call::run`].
    pub fn run_anywhere(&self, operands: &[&[u8]]) -> Result<Vec<u8>> {
        let words = |bytes: usize| vec![0u64; bytes.div_ceil(size_of::<u64>())];
        let mut copies: Vec<Vec<u64>> = operands.iter().map(|bytes| words(bytes.len())).collect();
        let pairs = copies.iter_mut().zip(operands);
        let operands: Vec<&[u8]> = pairs
            .map(|(copy, bytes)| {
                let place = &mut bytemuck::cast_slice_mut(copy)[..bytes.len()];
                place.copy_from_slice(bytes);
                &*place
            })
            .collect();
        let bytes = self.node().bytes();
        let mut node = words(bytes);
        let node: &mut [u8] = &mut bytemuck::cast_slice_mut(&mut node)[..bytes];
        self.run(&operands, node)?;
        Ok(node.to_vec())
    }

    /// Runs the host kernel: from the elements of the operands to those of the node, all of them where
    /// elements of their dtypes may be.
    ///
    /// # Errors
    /// What the kernel returns or panics with, or when memory is not of the planned size.
    pub fn run(&self, operands: &[&[u8]], node: &mut [u8]) -> Result<()> {
        let name = self.op().name();
        let sizes = self.operands().iter().map(TensorType::bytes);
        let fits = sizes.eq(operands.iter().map(|bytes| bytes.len()));
        if !fits || self.node().bytes() != node.len() {
            return Err(Error::backend(format!("{name}: memory of another size than planned")));
        }
        let pairs = self.operands().iter().zip(operands);
        let operands: Vec<HostOperand<'_>> =
            pairs.map(|(&of, &bytes)| HostOperand { of, bytes }).collect();
        let mut rest = node;
        let mut results = Vec::with_capacity(self.results().len());
        for of in self.results() {
            let (bytes, after) = std::mem::take(&mut rest).split_at_mut(of.bytes());
            // Memory that was used before may hold bytes that are no bool.
            if of.dtype == DType::Bool {
                bytes.fill(0);
            }
            results.push(HostResult { of: *of, bytes });
            rest = after;
        }
        match catch_unwind(AssertUnwindSafe(|| self.op().run(&operands, &mut results))) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) if error.is_out_of_memory() => Err(error),
            Ok(Err(error)) => Err(Error::backend(error.to_string())),
            Err(panic) => {
                Err(Error::backend(format!("the kernel panicked: {}", panic_message(&*panic))))
            }
        }
    }
}

impl PartialEq for Call {
    fn eq(&self, other: &Call) -> bool {
        let types = |call: &Call| (call.0.operands.clone(), call.0.results.clone());
        self.id() == other.id() && types(self) == types(other)
    }
}

/// Feeds what makes calls differ.
impl std::hash::Hash for Call {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        (self.0.id, &self.0.operands, &self.0.results).hash(hasher);
    }
}

fn panic_message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a message")
}

//! The door for ops: [`CustomOp`], an op that a crate brings with it, and [`custom_op`], which applies one.
//!
//! To the graph such an op is [`Op::Call`]: planned, replayed, differentiated and batched as any other.
//! Several results of one call lie one after another in one buffer; each is a view of it.

use std::any::Any;
use std::fmt::Debug;
use std::hash::Hasher;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::error::OrFail;
use crate::intern::{Identity, intern};
use crate::op::Op;
use crate::shape::RANK_MAX;
use crate::{DType, Element, Error, Result, Shape, Tensor};

/// An op of your own: what it gives, how it is computed, and how it is differentiated and batched.
///
/// As JAX's custom calls and `torch.library`. [`custom_op`] applies one. An op is a value: two that are
/// equal (`PartialEq`, `Eq` and `Hash`, which can be derived) are the same op, so that a graph built again
/// replays its plan. Parameters that change from call to call are better operands than fields, because
/// another field is another op.
///
/// It must be pure: equal operands give equal results, and nothing else happens. A device that has no
/// kernel for it says so when a result is asked for.
pub trait CustomOp: Debug + Identity + Send + Sync + 'static {
    /// Its name in messages and plans.
    fn name(&self) -> &'static str;

    /// Shapes and dtypes of the results. All results of one op have one dtype.
    ///
    /// # Errors
    /// When the operands do not fit ([`Error::shape`]); [`custom_op`] panics with it at the caller's line.
    fn results(&self, operands: &[TensorType]) -> Result<Vec<TensorType>>;

    /// The kernel on the host: fills all results, which hold anything before.
    ///
    /// It may use several threads through `rayon`. What it returns and what it panics with is the error of
    /// the evaluation, with the op's name and line; no tensor has changed then.
    ///
    /// # Errors
    /// Whatever the op cannot do with these elements.
    fn run(&self, operands: &[HostOperand<'_>], results: &mut [HostResult<'_>]) -> Result<()>;

    /// The kernel of GPUs for operands of these types; `None` if there is none.
    fn wgsl(&self, _operands: &[TensorType], _results: &[TensorType]) -> Option<Wgsl> {
        None
    }

    /// Gradients of the operands, given those of all results (zeros where nobody asks for one): ordinary
    /// graph, so it can be differentiated again. `None` means zero.
    ///
    /// # Panics
    /// The default, as an op without derivative.
    fn derivative(
        &self,
        _operands: &[Tensor],
        _results: &[Tensor],
        _gradients: &[Tensor],
    ) -> Vec<Option<Tensor>> {
        panic!("{}: the op has no derivative; detach its operands, or give it one", self.name())
    }

    /// The results for many examples at once: every operand has an axis of examples before its own, and so
    /// must every result. `None` computes one example after another.
    fn vmap(&self, _operands: &[Tensor]) -> Option<Vec<Tensor>> {
        None
    }
}

/// Shape and dtype of an operand or result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TensorType {
    /// Sizes of the axes.
    pub shape: Shape,
    /// Element type.
    pub dtype: DType,
}

impl TensorType {
    /// A type of this shape and dtype.
    pub fn new(shape: impl Into<Shape>, dtype: DType) -> TensorType {
        TensorType { shape: shape.into(), dtype }
    }

    /// The type of a tensor.
    pub fn of(tensor: &Tensor) -> TensorType {
        TensorType { shape: *tensor.shape(), dtype: tensor.dtype() }
    }

    fn bytes(&self) -> usize {
        self.shape.count() * self.dtype.size()
    }
}

impl std::fmt::Display for TensorType {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} {}", self.dtype, self.shape)
    }
}

/// An operand in host memory, its elements in row-major order.
#[derive(Clone, Copy, Debug)]
pub struct HostOperand<'a> {
    /// Its type.
    pub of: TensorType,
    bytes: &'a [u8],
}

impl<'a> HostOperand<'a> {
    /// The elements.
    ///
    /// # Panics
    /// If they are of another dtype.
    #[track_caller]
    pub fn elements<T: Element>(&self) -> &'a [T] {
        check_dtype::<T>(self.of.dtype);
        T::of_bytes(self.bytes)
    }
}

/// A result in host memory, to be filled in row-major order.
#[derive(Debug)]
pub struct HostResult<'a> {
    /// Its type.
    pub of: TensorType,
    bytes: &'a mut [u8],
}

impl HostResult<'_> {
    /// The elements.
    ///
    /// # Panics
    /// If they are of another dtype.
    #[track_caller]
    pub fn elements<T: Element>(&mut self) -> &mut [T] {
        check_dtype::<T>(self.of.dtype);
        T::of_bytes_mut(self.bytes)
    }
}

#[track_caller]
fn check_dtype<T: Element>(dtype: DType) {
    assert!(T::DTYPE == dtype, "elements are {dtype}, not {}", T::DTYPE);
}

/// A compute shader: WGSL in which the functions `read0(index: u32)`, `read1`, .. give elements of the
/// operands and `write0(index: u32, value)`, .. put those of the results, in row-major order. f16 and bf16
/// are read and written as f32, u8 as u32, i8 as i32, bool as bool. Reads outside of a tensor give zero,
/// writes there do nothing. Names that begin with `gl_` are taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wgsl {
    /// The text.
    pub source: String,
    /// How it is started.
    pub grid: Grid,
}

/// How a shader is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grid {
    /// `fn element(index: u32)` for each `index` below the number.
    Elements(usize),
    /// `fn group(index: u32, thread: u32)` for each thread of each workgroup; barriers are allowed, and
    /// `var<workgroup>` is declared by the source.
    Workgroups {
        /// Number of workgroups.
        count: usize,
        /// Threads of one, at most 256.
        threads: u32,
    },
}

impl Wgsl {
    /// A shader whose `fn element(index: u32)` runs for each index below `count`.
    pub fn elements(source: impl Into<String>, count: usize) -> Wgsl {
        Wgsl { source: source.into(), grid: Grid::Elements(count) }
    }

    /// A shader whose `fn group(index: u32, thread: u32)` runs in `count` workgroups of `threads`.
    pub fn workgroups(source: impl Into<String>, count: usize, threads: u32) -> Wgsl {
        Wgsl { source: source.into(), grid: Grid::Workgroups { count, threads } }
    }
}

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
    fn new(op: Arc<dyn CustomOp>, operands: &[&Tensor]) -> Result<Call> {
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
    fn node_of(&self, operands: Vec<Tensor>) -> Tensor {
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

/// Applies an op of your own, which gives as many results as the pattern that takes them says.
///
/// ```
/// # use gradloom_tensor::custom_op::{CustomOp, HostOperand, HostResult, TensorType, custom_op};
/// # use gradloom_tensor::{Device, Result, Tensor};
/// #[derive(Debug, PartialEq, Eq, Hash)]
/// struct Reversed;
///
/// impl CustomOp for Reversed {
///     fn name(&self) -> &'static str {
///         "reversed"
///     }
///
///     fn results(&self, operands: &[TensorType]) -> Result<Vec<TensorType>> {
///         Ok(vec![operands[0]])
///     }
///
///     fn run(&self, operands: &[HostOperand<'_>], results: &mut [HostResult<'_>]) -> Result<()> {
///         let reversed = operands[0].elements::<f32>().iter().rev();
///         results[0].elements::<f32>().iter_mut().zip(reversed).for_each(|(to, from)| *to = *from);
///         Ok(())
///     }
/// }
///
/// fn reversed(x: &Tensor) -> Tensor {
///     let [y] = custom_op(Reversed, &[x]);
///     y
/// }
/// ```
///
/// # Panics
/// If the op refuses the operands, there are none, they are on different devices, or the op gives another
/// number of results.
#[track_caller]
pub fn custom_op<const N: usize>(op: impl CustomOp, operands: &[&Tensor]) -> [Tensor; N] {
    let name = op.name();
    let results = custom_op_results(Arc::new(op), operands);
    let count = results.len();
    match results.try_into() {
        Ok(results) => results,
        Err(_) => panic!("{name}: the op gives {count} results, not {N}"),
    }
}

/// As [`custom_op`], with however many results there are.
///
/// # Panics
/// As [`custom_op`].
#[track_caller]
pub fn custom_op_results(op: Arc<dyn CustomOp>, operands: &[&Tensor]) -> Vec<Tensor> {
    assert!(
        !operands.is_empty(),
        "{}: a custom op needs an operand, which says its device",
        op.name()
    );
    let call = Call::new(op, operands).or_fail();
    let node = call.node_of(operands.iter().map(|&operand| operand.clone()).collect());
    call.unpack(&node)
}

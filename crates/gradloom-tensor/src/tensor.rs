//! [`Tensor`]: a shared handle on an immutable node of the lazy graph.
//!
//! A node is an op, its inputs, a shape, a dtype and a device; its value appears when a backend
//! evaluates it. Methods that make ops stand in `ops/`, methods that ask for values in `eval.rs`.

use std::panic::Location;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use crate::called::demand;
use crate::error::OrFail;
use crate::op::{Detached, Op};
use crate::origin::Origin;
use crate::{Buffer, DType, Device, Shape, shape_rules};

/// An n-dimensional array on a device, computed when its elements are asked for.
///
/// Cloning is cheap: it copies a handle. See the crate's page for how graphs are evaluated.
#[derive(Clone)]
pub struct Tensor(pub(crate) Arc<Node>);

pub(crate) struct Node {
    id: u64,
    pub(crate) op: Op,
    pub(crate) inputs: Vec<Tensor>,
    shape: Shape,
    dtype: DType,
    device: Device,
    tracked: bool,
    /// True if values had to be moved from another device for this one when it was made.
    transfers: bool,
    depth: u32,
    origin: Origin,
    value: OnceLock<Buffer>,
    /// True once an evaluation has computed the value on its way and not kept it.
    pub(crate) passed: AtomicBool,
    /// True once an evaluation has written over the value.
    pub(crate) overwritten: AtomicBool,
    /// Of the ones that a gradient begins with: the tensor that it is the gradient of.
    pub(crate) companion: Option<Weak<Node>>,
}

/// What has to be done for a tensor's elements, read once: see [`Tensor::state`].
#[derive(Debug)]
pub enum State<'a> {
    /// Nothing: they are there.
    Value(&'a Buffer),
    /// The source of a detached tensor has them or has to be computed.
    Detached(Tensor),
    /// The op has to be applied to the operands.
    Node,
}

static NEXT_ID: AtomicU64 = AtomicU64::new(0);

impl Tensor {
    /// A node from parts that the caller has checked: the door for crates that build graphs, such as
    /// autodiff. Prefer the methods.
    #[track_caller]
    pub fn from_op(
        op: Op,
        inputs: Vec<Tensor>,
        shape: Shape,
        dtype: DType,
        device: &Device,
    ) -> Tensor {
        shape_rules::addressable(op.name(), &shape).or_fail();
        let tracked = !matches!(op, Op::Detach(_)) && inputs.iter().any(|input| input.0.tracked);
        for input in &inputs {
            demand!(
                input.device() == device || matches!(op, Op::Transfer),
                "{}: operands are on different devices: {} and {}; move one with `to_device`",
                op.name(),
                device.name(),
                input.device().name()
            );
        }
        let depth = depth_above(&op, &inputs);
        let transfers = matches!(op, Op::Transfer)
            || inputs.iter().any(Tensor::has_transfers)
            || source_of(&op).is_some_and(|source| source.has_transfers());
        Tensor(Arc::new(Node {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            op,
            inputs,
            shape,
            dtype,
            device: device.clone(),
            tracked,
            transfers,
            depth,
            origin: Origin::of_caller(),
            value: OnceLock::new(),
            passed: AtomicBool::new(false),
            overwritten: AtomicBool::new(false),
            companion: None,
        }))
    }

    /// A leaf on elements that are already on the device.
    ///
    /// # Panics
    /// If the buffer's length is not the shape's count.
    #[track_caller]
    pub fn from_buffer(buffer: Buffer, shape: impl Into<Shape>, device: &Device) -> Tensor {
        Tensor::leaf(buffer, shape.into(), device, false)
    }

    #[track_caller]
    fn leaf(buffer: Buffer, shape: Shape, device: &Device, tracked: bool) -> Tensor {
        shape_rules::addressable("from_buffer", &shape).or_fail();
        assert_eq!(buffer.len(), shape.count(), "from_buffer: elements against shape {shape}");
        let dtype = buffer.dtype();
        Tensor(Arc::new(Node {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            op: Op::Buffer,
            inputs: Vec::new(),
            shape,
            dtype,
            device: device.clone(),
            tracked,
            transfers: false,
            depth: 0,
            origin: Origin::of_caller(),
            value: OnceLock::from(buffer),
            passed: AtomicBool::new(false),
            overwritten: AtomicBool::new(false),
            companion: None,
        }))
    }

    /// Sizes of the axes.
    pub fn shape(&self) -> &Shape {
        &self.0.shape
    }

    /// Number of axes.
    pub fn rank(&self) -> usize {
        self.0.shape.rank()
    }

    /// Number of elements.
    pub fn count(&self) -> usize {
        self.0.shape.count()
    }

    /// Size of one axis; negative axes count from the end.
    ///
    /// # Panics
    /// If the axis is out of range.
    #[track_caller]
    pub fn size(&self, axis: isize) -> usize {
        self.0.shape[shape_rules::axis("size", axis, self.rank()).or_fail()]
    }

    /// Element type.
    pub fn dtype(&self) -> DType {
        self.0.dtype
    }

    /// Where the tensor lives.
    pub fn device(&self) -> &Device {
        &self.0.device
    }

    /// What the tensor is.
    pub fn op(&self) -> &Op {
        &self.0.op
    }

    /// Operands, in the op's order.
    pub fn inputs(&self) -> &[Tensor] {
        &self.0.inputs
    }

    /// A number that no other node of this process has. Numbers grow: those of a node's operands, and of
    /// the source of a detached node, are smaller than its own.
    pub fn id(&self) -> u64 {
        self.0.id
    }

    /// The least number that a node made from now on may have. What has a smaller one was there before.
    pub fn next_id() -> u64 {
        NEXT_ID.load(Ordering::Relaxed)
    }

    /// Where in the caller's program the node was made, see [`Tensor::origin`].
    pub fn location(&self) -> &'static Location<'static> {
        self.0.origin.location
    }

    /// Where in the caller's program the node was made, and the op in whose gradient it is, for messages.
    pub fn origin(&self) -> Origin {
        self.0.origin
    }

    /// Number of handles on this node, for planners that look for the last one.
    ///
    /// Handles that other threads have let go are done with the node: see [`Buffer::is_held_only_by`].
    pub fn handles(&self) -> usize {
        let handles = Arc::strong_count(&self.0);
        std::sync::atomic::fence(Ordering::Acquire);
        handles
    }

    /// The most ops in a row of the history behind this node that may still be in memory; 0 for a leaf.
    ///
    /// An upper bound: what a detached tensor gave up when it was evaluated counts for those who used it
    /// before.
    pub fn depth(&self) -> u32 {
        match (&self.0.op, self.value()) {
            (Op::Detach(_), Some(_)) => 0,
            _ => self.0.depth,
        }
    }

    /// True if a gradient may be asked through this node: it descends from a [`Tensor::tracked`] leaf.
    pub fn is_tracked(&self) -> bool {
        self.0.tracked
    }

    /// True if values may have to be moved from another device before this one can be computed there.
    pub(crate) fn has_transfers(&self) -> bool {
        self.0.transfers && self.value().is_none()
    }

    /// The elements, if they have been computed.
    pub fn value(&self) -> Option<&Buffer> {
        self.0.value.get()
    }

    /// What has to be done for the elements, as one snapshot while other threads evaluate: a detached
    /// tensor gives its source or its value, never neither. Planners decide by this alone, and once per
    /// node: the state may be another the next time.
    pub fn state(&self) -> State<'_> {
        if let Some(value) = self.value() {
            return State::Value(value);
        }
        let Op::Detach(source) = &self.0.op else { return State::Node };
        match source.source() {
            Some(source) => State::Detached(source),
            // The source went between the two looks, and before that the value came.
            None => State::Value(self.value().unwrap_or_else(|| {
                unreachable!("detach: the source is given up only after the value is stored")
            })),
        }
    }

    /// Stores the elements: for backends, once per node. A second value is dropped.
    ///
    /// The value is stored before the source of a detached tensor is given up, so that whoever finds no
    /// source finds the value: [`Tensor::state`] relies on this order.
    pub fn set_value(&self, value: Buffer) {
        debug_assert_eq!(value.len(), self.count());
        debug_assert_eq!(value.dtype(), self.dtype());
        // A second evaluation that ran at the same time got the same elements, so either may stay.
        let _ = self.0.value.set(value);
        if let Op::Detach(source) = &self.0.op {
            drop(source.clear());
        }
    }

    /// The same value without history: gradients stop here.
    ///
    /// ```
    /// # use gradloom_tensor::Tensor;
    /// # fn main() -> gradloom_tensor::Result<()> {
    /// # let device = gradloom_testkit::reference::device();
    /// let x = Tensor::new([2.0f32], &device)?;
    /// let y = &x * x.detach(); // its derivative is 2, not 4
    /// assert_eq!(y.to_vec::<f32>()?, [4.0]);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn detach(&self) -> Tensor {
        if self.is_quantized() {
            return self.clone();
        }
        match self.value() {
            Some(value) => Tensor::leaf(value.clone(), *self.shape(), self.device(), false),
            None => Tensor::from_op(
                Op::Detach(Detached::new(self.clone())),
                Vec::new(),
                *self.shape(),
                self.dtype(),
                self.device(),
            ),
        }
    }

    /// A leaf of this value (evaluated or not) whose descendants keep what a later gradient needs
    /// when they are evaluated. `gradloom-nn` marks trainable weights with it.
    ///
    /// Gradients can be taken with respect to any tensor; tracking only decides what is stored.
    ///
    /// ```
    /// # use gradloom_tensor::Tensor;
    /// # fn main() -> gradloom_tensor::Result<()> {
    /// # let device = gradloom_testkit::reference::device();
    /// let x = Tensor::new([2.0f32], &device)?.tracked();
    /// assert_eq!(x.square().to_vec::<f32>()?, [4.0]); // a gradient taken later finds what it needs
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn tracked(&self) -> Tensor {
        if let Some(value) = self.value() {
            return Tensor::leaf(value.clone(), *self.shape(), self.device(), true);
        }
        Tensor(Arc::new(Node {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            op: Op::Detach(Detached::new(self.clone())),
            inputs: Vec::new(),
            shape: *self.shape(),
            dtype: self.dtype(),
            device: self.device().clone(),
            tracked: true,
            transfers: self.has_transfers(),
            depth: self.depth().saturating_add(1),
            origin: Origin::of_caller(),
            value: OnceLock::new(),
            passed: AtomicBool::new(false),
            overwritten: AtomicBool::new(false),
            companion: None,
        }))
    }

    /// Replaces an evaluated node by a leaf of its value, keeping whether it is tracked.
    pub(crate) fn cut(&mut self, tracked: bool) {
        if let Some(value) = self.value() {
            let leaf = Tensor::leaf(value.clone(), *self.shape(), self.device(), tracked);
            *self = leaf;
        }
    }
}

/// What a detached node is the value of.
fn source_of(op: &Op) -> Option<Tensor> {
    match op {
        Op::Detach(source) => source.source(),
        _ => None,
    }
}

/// The depth of a node made of these.
fn depth_above(op: &Op, inputs: &[Tensor]) -> u32 {
    let source = source_of(op);
    let deepest = inputs.iter().chain(&source).map(Tensor::depth).max();
    deepest.map_or(0, |depth| depth.saturating_add(1))
}

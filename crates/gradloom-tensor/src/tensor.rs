//! [`Tensor`]: a shared handle on an immutable node of the lazy graph.
//!
//! A node is an op, its inputs, a shape, a dtype and a device; its value appears when a backend
//! evaluates it. Methods that make ops stand in `ops/`, methods that ask for values in `eval.rs`.

use std::cell::RefCell;
use std::panic::Location;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use crate::error::OrFail;
use crate::op::{CustomGrad, Detached, LoopResult, Op};
use crate::origin::Origin;
use crate::{Buffer, DType, Device, Shape, shape_rules};

/// An n-dimensional array on a device, computed when its elements are asked for.
///
/// Cloning is cheap: it copies a handle. See the crate's page for how graphs are evaluated.
#[derive(Clone)]
pub struct Tensor(pub(crate) Arc<Node>);

pub(crate) struct Node {
    id: u64,
    op: Op,
    inputs: Vec<Tensor>,
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
    passed: AtomicBool,
    /// True once an evaluation has written over the value.
    overwritten: AtomicBool,
    /// Of the ones that a gradient begins with: the tensor that it is the gradient of.
    companion: Option<Weak<Node>>,
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
            assert!(
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

    /// True if an evaluation has computed the value on its way and not kept it: whoever needs it again
    /// should keep it, or a long history is computed at every step.
    pub fn was_passed(&self) -> bool {
        self.0.passed.load(Ordering::Relaxed)
    }

    /// Notes that an evaluation has computed the value on its way: for planners.
    pub fn set_passed(&self) {
        self.0.passed.store(true, Ordering::Relaxed);
    }

    /// True once an evaluation has written over this value, which nobody held but the history of tensors
    /// that have values themselves: no new gradient passes through that.
    pub fn is_overwritten(&self) -> bool {
        self.0.overwritten.load(Ordering::Relaxed)
    }

    /// Notes that an evaluation has written over this value: for planners.
    pub fn set_overwritten(&self) {
        self.0.overwritten.store(true, Ordering::Relaxed);
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

    /// Ones like this tensor, for its gradient to begin with. They know what they begin the gradient of:
    /// see [`Tensor::companion`].
    #[must_use]
    #[track_caller]
    pub fn gradient_seed(&self) -> Tensor {
        let mut ones = self.ones_like();
        if let Some(node) = Arc::get_mut(&mut ones.0) {
            node.companion = Some(Arc::downgrade(&self.0));
        }
        ones
    }

    /// The tensor whose gradient these ones begin, while somebody holds it. Who commits the gradient
    /// stores its value as well, because what it is made of is computed anyway.
    pub fn companion(&self) -> Option<Tensor> {
        self.0.companion.as_ref().and_then(Weak::upgrade).map(Tensor)
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

/// What a dropped node owned and whose drop may reach further nodes.
enum Owned {
    Inputs(Vec<Tensor>),
    Source(Detached),
    Rule(CustomGrad),
    Body(LoopResult),
}

thread_local! {
    /// What is left to drop while a drop of a node runs on this thread; `None` while none does.
    static PENDING: RefCell<Option<Vec<Owned>>> = const { RefCell::new(None) };
}

impl Drop for Node {
    /// Frees long histories with a loop: the default would recurse once per node, also through what the
    /// closures of custom gradients have captured.
    fn drop(&mut self) {
        if !self.inputs.is_empty() {
            release(Owned::Inputs(std::mem::take(&mut self.inputs)));
        }
        if matches!(self.op, Op::Detach(_) | Op::Custom(_) | Op::Loop(_)) {
            match std::mem::replace(&mut self.op, Op::Buffer) {
                Op::Loop(result) => release(Owned::Body(result)),
                Op::Detach(source) => release(Owned::Source(source)),
                Op::Custom(rule) => release(Owned::Rule(rule)),
                other => drop(other),
            }
        }
    }
}

/// Drops what a node owned: at once if no drop runs on this thread, otherwise when that one comes to it.
fn release(owned: Owned) {
    /// Ends the drop, also if one of a captured value panics.
    struct End;

    impl Drop for End {
        fn drop(&mut self) {
            let left = PENDING.try_with(|pending| pending.borrow_mut().take());
            drop(left);
        }
    }

    let mut owned = Some(owned);
    let first = PENDING.try_with(|pending| {
        let mut pending = pending.borrow_mut();
        match &mut *pending {
            Some(pending) => pending.extend(owned.take()),
            none => *none = Some(Vec::new()),
        }
        owned.is_some()
    });
    match first {
        Ok(true) => {
            let _end = End;
            while let Some(next) = owned.take() {
                drop(next);
                owned = PENDING.with(|pending| pending.borrow_mut().as_mut().and_then(Vec::pop));
            }
        }
        Ok(false) => {}
        Err(_) => release_at_the_end_of_a_thread(owned),
    }
}

/// As [`release`], for tensors that a thread's own variables hold until after its queue is gone. Only what
/// closures have captured and the bodies of loops are dropped by recursion then.
fn release_at_the_end_of_a_thread(owned: Option<Owned>) {
    let mut pending: Vec<Tensor> = Vec::new();
    match owned {
        Some(Owned::Inputs(inputs)) => pending.extend(inputs),
        Some(Owned::Source(source)) => pending.extend(source.clear()),
        Some(Owned::Rule(rule)) => drop(rule),
        Some(Owned::Body(body)) => drop(body),
        None => {}
    }
    while let Some(tensor) = pending.pop() {
        let Some(mut node) = Arc::into_inner(tensor.0) else { continue };
        pending.append(&mut node.inputs);
        if let Op::Detach(source) = &node.op {
            pending.extend(source.clear());
        }
    }
}

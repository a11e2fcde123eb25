//! [`Parameter`]: a tensor of a model, and what it is for.

use std::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering};

use gradloom_tensor::{Shape, Tensor};

/// What a tensor of a model is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Learnt: optimizers change it.
    Trainable,
    /// Learnt once, now fixed.
    Frozen,
    /// Not learnt but kept with the weights, such as running statistics.
    State,
}

/// A tensor of a model. Derefs to [`Tensor`], so it can be used like one.
#[derive(Clone)]
pub struct Parameter {
    tensor: Tensor,
    role: Role,
    /// Of this parameter and its clones, whatever their values become.
    identity: u64,
    /// Left out of mixed precision.
    full_precision: bool,
}

static NEXT_IDENTITY: AtomicU64 = AtomicU64::new(0);

impl Parameter {
    /// A weight to be learnt.
    #[track_caller]
    pub fn new(tensor: Tensor) -> Self {
        Parameter::with_role(tensor, Role::Trainable)
    }

    /// A tensor that is kept with the weights but not learnt.
    #[track_caller]
    pub fn state(tensor: Tensor) -> Self {
        Parameter::with_role(tensor, Role::State)
    }

    /// A tensor with a role. Its history is cut. A quantized matrix is frozen instead of trainable.
    #[track_caller]
    pub fn with_role(tensor: Tensor, role: Role) -> Self {
        let role =
            if tensor.is_quantized() && role == Role::Trainable { Role::Frozen } else { role };
        let identity = NEXT_IDENTITY.fetch_add(1, Ordering::Relaxed);
        Parameter { tensor: suited(&tensor, role), role, identity, full_precision: false }
    }

    /// What the tensor is for.
    pub fn role(&self) -> Role {
        self.role
    }

    /// True if optimizers change it.
    pub fn is_trainable(&self) -> bool {
        self.role == Role::Trainable
    }

    /// The tensor.
    pub fn tensor(&self) -> &Tensor {
        &self.tensor
    }

    /// Another value in the same role; its history is cut. A quantized matrix makes the weight frozen.
    ///
    /// # Panics
    /// If shape or dtype differ.
    #[track_caller]
    pub fn set(&mut self, tensor: &Tensor) {
        self.check(tensor, "set");
        self.put(tensor, self.role);
    }

    /// Another value in the same role that keeps its history: what an optimizer's step stores, so that
    /// a gradient can pass through the step. [`commit`](gradloom_tensor::commit) cuts the history.
    ///
    /// # Panics
    /// If shape or dtype differ.
    #[track_caller]
    pub fn update(&mut self, tensor: Tensor) {
        self.check(&tensor, "update");
        let keeps = tensor.is_tracked() || self.role != Role::Trainable;
        self.tensor = if keeps { tensor } else { tensor.tracked() };
    }

    #[track_caller]
    fn check(&self, tensor: &Tensor, method: &str) {
        assert!(
            tensor.shape() == self.tensor.shape() && tensor.dtype() == self.tensor.dtype(),
            "parameter: {method} with {} {} instead of {} {}",
            tensor.dtype(),
            tensor.shape(),
            self.tensor.dtype(),
            self.tensor.shape()
        );
    }

    /// Replaces the tensor even by one of another dtype or device; its history is cut.
    ///
    /// # Panics
    /// If the shape differs.
    #[track_caller]
    pub fn replace(&mut self, tensor: &Tensor) {
        let (new, old): (&Shape, &Shape) = (tensor.shape(), self.tensor.shape());
        assert!(new == old, "parameter: replace {old} by {new}");
        self.put(tensor, self.role);
    }

    /// Replaces the tensor even by one of another size along its axes; its history is cut. Layers read their sizes
    /// from their weights, so a model whose weights fit each other is one of the new sizes. Gradients and what an
    /// optimizer remembers are of the old size: begin with a new optimizer.
    ///
    /// # Panics
    /// If the number of axes differs.
    #[track_caller]
    pub fn resize(&mut self, tensor: &Tensor) {
        let (new, old): (&Shape, &Shape) = (tensor.shape(), self.tensor.shape());
        assert!(new.rank() == old.rank(), "parameter: resize {old} to {new}, of other axes");
        self.put(tensor, self.role);
    }

    /// Makes a trainable weight frozen, or a frozen one trainable. State stays state.
    #[track_caller]
    pub fn set_trainable(&mut self, trainable: bool) {
        let role = match (self.role, trainable) {
            (Role::State, _) => Role::State,
            (_, true) => Role::Trainable,
            (_, false) => Role::Frozen,
        };
        if role != self.role {
            self.put(&self.tensor.clone(), role);
        }
    }

    #[track_caller]
    fn put(&mut self, tensor: &Tensor, role: Role) {
        let Parameter { identity, full_precision, .. } = *self;
        let other = Parameter::with_role(tensor.clone(), role);
        *self = Parameter { identity, full_precision, ..other };
    }

    /// Leaves the weight out of mixed precision, or lets it take part: products with it read f32.
    pub fn set_full_precision(&mut self, full: bool) {
        self.full_precision = full;
    }

    /// True if the weight is left out of mixed precision.
    pub fn is_full_precision(&self) -> bool {
        self.full_precision
    }

    /// A number that only clones of this parameter have too, whatever their values become.
    pub fn identity(&self) -> u64 {
        self.identity
    }

    pub(crate) fn tensor_mut(&mut self) -> &mut Tensor {
        &mut self.tensor
    }
}

/// The value as a leaf that fits the role.
#[track_caller]
fn suited(tensor: &Tensor, role: Role) -> Tensor {
    match role {
        Role::Trainable => tensor.tracked(),
        Role::Frozen | Role::State => tensor.detach(),
    }
}

impl Deref for Parameter {
    type Target = Tensor;

    fn deref(&self) -> &Tensor {
        &self.tensor
    }
}

impl std::fmt::Debug for Parameter {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (role, dtype, shape) = (self.role, self.tensor.dtype(), self.tensor.shape());
        write!(formatter, "Parameter({role:?}, {dtype} {shape})")
    }
}

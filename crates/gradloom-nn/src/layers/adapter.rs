//! [`Adapter`]: the place in a layer where an update of low rank may stand beside the weight.
//!
//! Letters: I inputs, O outputs, R rank. How adapters come into a model is in [`lora`](crate::lora).

use crate::layers::{Dropout, Layer};
use crate::{Context, Init, Module, Parameter, Path};
use gradloom_tensor::{DType, Tensor};

/// `scale * (x A^T) B^T`: `[.., I] -> [.., O]` with `A [R, I]` and `B [O, R]`.
///
/// Hu et al., "LoRA: Low-rank adaptation of large language models", 2021.
#[derive(Module, Clone, Debug)]
pub struct LowRank {
    /// `A [R, I]`
    #[module(rename = "lora_A.weight")]
    pub lora_a: Parameter,
    /// `B [O, R]`
    #[module(rename = "lora_B.weight")]
    pub lora_b: Parameter,
    /// What the product is multiplied by.
    pub scale: f64,
    /// Of the inputs, in training.
    pub dropout: Dropout,
}

impl LowRank {
    /// First values as `peft`'s: A uniform in `+-1 / sqrt(I)`, B zero, so that nothing changes at first.
    #[track_caller]
    pub fn new(inputs: usize, outputs: usize, rank: usize, scale: f64, init: &mut Init) -> Self {
        let bound = 1.0 / (inputs.max(1) as f64).sqrt();
        LowRank {
            lora_a: init.uniform([rank, inputs], bound),
            lora_b: init.zeros([outputs, rank]),
            scale,
            dropout: Dropout::new(0.0),
        }
    }

    /// R.
    pub fn rank(&self) -> usize {
        self.lora_a.size(0)
    }

    /// Number of inputs.
    pub fn inputs(&self) -> usize {
        self.lora_a.size(1)
    }

    /// Number of outputs.
    pub fn outputs(&self) -> usize {
        self.lora_b.size(0)
    }

    /// What it adds to the weight `[O, I]` of a linear layer.
    #[must_use]
    pub fn update(&self) -> Tensor {
        self.lora_b.matmul(&self.lora_a) * self.scale
    }
}

impl Layer for LowRank {
    #[track_caller]
    fn forward(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
        let x = self.dropout.forward(&x.cast(self.lora_a.dtype()), ctx);
        let product = |x: &Tensor, weight: &Parameter| {
            ctx.compute().multiply(weight, [x, weight], |[x, weight]| x.matmul(&weight.t()))
        };
        product(&product(&x, &self.lora_a), &self.lora_b) * self.scale
    }
}

/// What stands beside a layer's weight: nothing, or an update of low rank. As a field with
/// `#[module(flatten)]` it adds no names while it is empty.
#[derive(Clone, Debug, Default)]
pub struct Adapter {
    low_rank: Option<LowRank>,
    inputs_first: bool,
    /// The weight without the update, while the update is merged into it.
    original: Option<Tensor>,
}

impl Adapter {
    /// Empty, beside a weight `[O, I]`.
    pub fn empty() -> Self {
        Adapter::default()
    }

    /// Empty, beside a weight `[I, O]`, as GPT-2 stores it.
    pub fn empty_inputs_first() -> Self {
        Adapter { inputs_first: true, ..Adapter::default() }
    }

    /// The update, if there is one.
    pub fn low_rank(&self) -> Option<&LowRank> {
        self.low_rank.as_ref()
    }

    /// True while the update is part of the weight.
    pub fn is_merged(&self) -> bool {
        self.original.is_some()
    }

    /// The layer's output `y` for the input `x`, with what the update adds.
    #[track_caller]
    #[must_use]
    pub fn add_to(&self, y: Tensor, x: &Tensor, ctx: &mut Context) -> Tensor {
        match &self.low_rank {
            Some(update) if !self.is_merged() => update.forward(x, ctx).cast(y.dtype()) + y,
            _ => y,
        }
    }

    /// Inputs and outputs of a weight of this shape.
    pub(crate) fn sizes(&self, weight: &Tensor) -> [usize; 2] {
        let [rows, columns] = [weight.size(0), weight.size(1)];
        if self.inputs_first { [rows, columns] } else { [columns, rows] }
    }

    pub(crate) fn put(&mut self, low_rank: Option<LowRank>) {
        self.low_rank = low_rank;
        self.original = None;
    }

    /// The weight with the update; none if there is none or it is merged already. A quantized weight
    /// becomes f32.
    pub(crate) fn merged(&self, weight: &Tensor) -> Option<Tensor> {
        let update = self.low_rank.as_ref().filter(|_| !self.is_merged())?.update();
        let update = if self.inputs_first { update.t() } else { update };
        let work = if weight.dtype() == DType::F64 { DType::F64 } else { DType::F32 };
        let sum = weight.cast(work) + update.cast(work);
        Some(sum.cast(if weight.is_quantized() { work } else { weight.dtype() }).detach())
    }

    pub(crate) fn set_original(&mut self, original: Tensor) {
        self.original = Some(original);
    }

    pub(crate) fn original(&self) -> Option<&Tensor> {
        self.original.as_ref()
    }

    pub(crate) fn take_original(&mut self) -> Option<Tensor> {
        self.original.take()
    }
}

impl Module for Adapter {
    fn visit<'a>(&'a self, path: &mut Path, visitor: &mut dyn FnMut(&str, &'a Parameter)) {
        self.low_rank.visit(path, visitor);
    }

    fn visit_mut(&mut self, path: &mut Path, visitor: &mut dyn FnMut(&str, &mut Parameter)) {
        self.low_rank.visit_mut(path, visitor);
    }

    fn visit_adapters(&mut self, path: &mut Path, visitor: &mut dyn FnMut(&str, &mut Adapter)) {
        visitor(path.as_str(), self);
    }
}

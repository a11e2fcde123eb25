//! [`Variants`]: a model's answers about inputs some elements of which are replaced by a baseline's.

use gradloom_tensor::{Error, Result, Shape, Tensor};

use crate::{Baseline, Forward, Inputs, Target, rows};

/// Elements of features that are run on at once where nobody says how many variants.
const ELEMENTS_AT_ONCE: usize = 1 << 22;
/// Variants at once, at most, where nobody says how many.
const VARIANTS_AT_ONCE: usize = 256;

/// A model, and inputs of which variants are made.
pub(crate) struct Variants<'v> {
    pub(crate) forward: &'v Forward<'v>,
    pub(crate) inputs: &'v Inputs,
    pub(crate) baselines: Vec<Tensor>,
    pub(crate) target: &'v Target,
    at_once: usize,
}

impl<'v> Variants<'v> {
    /// # Errors
    /// If inputs or baselines do not fit, or no variants are to be run at once.
    pub(crate) fn new(
        op: &str,
        forward: &'v Forward<'v>,
        inputs: &'v Inputs,
        target: &'v Target,
        baseline: &Baseline,
        at_once: Option<usize>,
    ) -> Result<Self> {
        let baselines = baseline.of(op, inputs)?;
        let elements: usize = inputs.features.iter().map(Tensor::count).sum();
        let fitting = (ELEMENTS_AT_ONCE / elements.max(1)).clamp(1, VARIANTS_AT_ONCE);
        let at_once = at_once.unwrap_or(fitting);
        if at_once == 0 {
            return Err(Error::invalid(format!("{op}: 0 variants at once; one is the fewest")));
        }
        Ok(Variants { forward, inputs, baselines, target, at_once })
    }

    /// The target for each of `count` variants of each sample: `[count][B]`. `kept(v, t, elements)` writes
    /// for tensor `t` whether variant `v` keeps each element of a sample.
    pub(crate) fn values(
        &self,
        count: usize,
        kept: &dyn Fn(usize, usize, &mut Vec<bool>),
    ) -> Result<Vec<Vec<f64>>> {
        self.values_beside(count, kept, &|_, tensor, copies| {
            let baseline = self.baselines[tensor].unsqueeze(0);
            Ok(baseline.broadcast_to(rows::stacked_shape(self.baselines[tensor].shape(), copies)))
        })
    }

    /// As [`values`](Variants::values), where `beside(first, t, copies)` gives what stands in place of tensor
    /// `t` in the variants from `first`: `[copies, B, ..]`.
    pub(crate) fn values_beside(
        &self,
        count: usize,
        kept: &dyn Fn(usize, usize, &mut Vec<bool>),
        beside: &dyn Fn(usize, usize, usize) -> Result<Tensor>,
    ) -> Result<Vec<Vec<f64>>> {
        let batch = self.inputs.batch();
        let mut values = Vec::with_capacity(count);
        for first in (0..count).step_by(self.at_once) {
            let copies = self.at_once.min(count - first);
            let mut all = Vec::with_capacity(self.inputs.features.len());
            for (number, x) in self.inputs.features.iter().enumerate() {
                let mut mask = Vec::with_capacity(copies * x.count() / batch);
                (first..first + copies).for_each(|variant| kept(variant, number, &mut mask));
                let shape = [copies, 1].into_iter().chain(x.shape()[1..].iter().copied());
                let mask = Tensor::from_vec(mask, shape.collect::<Shape>(), x.device())?;
                let replaced = beside(first, number, copies)?;
                all.push(rows::merged(&mask.select(x.unsqueeze(0), replaced)));
            }
            all.extend(self.inputs.given_tiled(copies));
            let selected = self.target.select(&self.forward.run(&all)?, batch)?;
            let found = rows::numbers(&selected)?;
            values.extend(found.chunks(batch).map(<[f64]>::to_vec));
        }
        Ok(values)
    }
}

//! [`InputStatistics`]: what layers read, on samples of what a model is for.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::errors::{invalid, mismatch};
use gradloom_nn::{Context, Module, ModuleExt, ProductSite, Products};
use gradloom_tensor::{DType, Result, Tensor, eval};
use rustc_hash::FxHashMap;

/// Of each matrix `[O, I]` that a model multiplies with: sums over all that its layer has read, `[.., I]`.
#[derive(Clone, Debug, Default)]
pub struct InputStatistics {
    of_weights: BTreeMap<String, OfInputs>,
}

/// Of one weight.
#[derive(Clone, Debug)]
pub(super) struct OfInputs {
    /// `[I]`: the sums of squares; or `[I, I]`: of products of all pairs.
    pub(super) sums: Tensor,
    /// How many vectors were read.
    pub(super) rows: usize,
}

/// Sums of the batch that runs, by the identity of the weight.
struct Observer {
    pairs: bool,
    seen: Mutex<FxHashMap<u64, OfInputs>>,
}

impl Products for Observer {
    fn operands(&self, site: ProductSite<'_>, [x, weight]: [&Tensor; 2]) -> [Tensor; 2] {
        let given = [x.clone(), weight.clone()];
        let whole = weight.shape() == site.parameter.shape() && weight.rank() == 2;
        if site.in_loop || !whole || x.rank() < 2 || x.size(-1) != weight.size(1) {
            return given;
        }
        let inputs = x.size(-1);
        let rows = x.count() / inputs.max(1);
        let flat = x.detach().cast(DType::F32).reshape([rows, inputs]);
        let sums = if self.pairs { flat.t().matmul(&flat) } else { flat.square().sum(0) };
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        match seen.get_mut(&site.parameter.identity()) {
            Some(own) => (own.sums, own.rows) = (&own.sums + sums, own.rows + rows),
            None => drop(seen.insert(site.parameter.identity(), OfInputs { sums, rows })),
        }
        given
    }
}

impl InputStatistics {
    /// Sums of squares of each input, for [`wanda`](super::wanda). `run` runs the model on a batch, with dropout off.
    ///
    /// Seen are products with whole matrices `[O, I]` outside of loops: no convolutions, and no matrices with
    /// their inputs first as GPT-2 has.
    ///
    /// # Errors
    /// If there are no batches, an input is not finite, or the device cannot compute them.
    pub fn squares<M: Module, B>(
        model: &M,
        batches: impl IntoIterator<Item = B>,
        run: impl Fn(&M, B, &mut Context) -> Tensor,
    ) -> Result<Self> {
        InputStatistics::collect(model, batches, run, false)
    }

    /// Sums of products of all pairs of inputs, for [`sparse_gpt`](super::sparse_gpt) and `wanda`: I x I numbers for
    /// each weight.
    ///
    /// # Errors
    /// As [`squares`](InputStatistics::squares).
    pub fn pairs<M: Module, B>(
        model: &M,
        batches: impl IntoIterator<Item = B>,
        run: impl Fn(&M, B, &mut Context) -> Tensor,
    ) -> Result<Self> {
        InputStatistics::collect(model, batches, run, true)
    }

    fn collect<M: Module, B>(
        model: &M,
        batches: impl IntoIterator<Item = B>,
        run: impl Fn(&M, B, &mut Context) -> Tensor,
        pairs: bool,
    ) -> Result<Self> {
        let mut all: FxHashMap<u64, OfInputs> = FxHashMap::default();
        for batch in batches {
            let observer = Arc::new(Observer { pairs, seen: Mutex::default() });
            let mut ctx = Context::eval();
            ctx.with_products(observer.clone(), |ctx| drop(run(model, batch, ctx)));
            let seen =
                std::mem::take(&mut *observer.seen.lock().unwrap_or_else(PoisonError::into_inner));
            for (identity, new) in seen {
                match all.get_mut(&identity) {
                    Some(own) => (own.sums, own.rows) = (&own.sums + new.sums, own.rows + new.rows),
                    None => drop(all.insert(identity, new)),
                }
            }
            eval(all.values().map(|own| &own.sums))
                .map_err(|error| error.context("calibration"))?;
            all.values_mut().for_each(|own| own.sums = own.sums.detach());
        }
        if all.is_empty() {
            return Err(invalid("calibration: no batch, or no product with a matrix was seen"));
        }
        let named = model
            .parameters()
            .into_iter()
            .filter_map(|(name, parameter)| Some((name, all.remove(&parameter.identity())?)));
        let of_weights: BTreeMap<String, OfInputs> = named.collect();
        for (name, own) in &of_weights {
            if !own.sums.sum(..).item()?.is_finite() {
                return Err(invalid(format!(
                    "calibration: what {name} reads is not finite; look at the batches"
                )));
            }
        }
        Ok(InputStatistics { of_weights })
    }

    /// The weights whose inputs were seen.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.of_weights.keys().map(String::as_str)
    }

    pub(super) fn of(&self, name: &str, weight: &Tensor) -> Result<&OfInputs> {
        let Some(own) = self.of_weights.get(name) else {
            return Err(mismatch(format!(
                "prune: {name} cannot be pruned by what it reads: it is no matrix that the model multiplied with as a \
                 whole in the calibration; leave it out"
            )));
        };
        if weight.rank() != 2 || own.sums.size(0) != weight.size(1) {
            return Err(mismatch(format!(
                "prune: {name} is {}, and its {} inputs were seen",
                weight.shape(),
                own.sums.size(0)
            )));
        }
        Ok(own)
    }

    /// `[I]`: the sums of squares of the inputs of a weight.
    pub(super) fn squares_of(&self, name: &str, weight: &Tensor) -> Result<Tensor> {
        let own = self.of(name, weight)?;
        if own.sums.rank() == 1 {
            return Ok(own.sums.clone());
        }
        let size = own.sums.size(0);
        let place = |axis| Tensor::iota([size, size], axis, own.sums.device());
        Ok(place(0).eq(place(1)).select(&own.sums, own.sums.zeros_like()).sum(0))
    }
}

//! [`Calibration`]: runs a model on batches and adds up what its weights are multiplied with.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use super::{InputStatistics, Statistics};
use gradloom_nn::{Context, Module, ModuleExt, ProductSite, Products};
use gradloom_tensor::{DType, Error, ErrorKind, Result, Tensor, eval};
use rayon::prelude::*;
use rustc_hash::{FxHashMap, FxHashSet};

/// What to add up, and for which weights.
#[derive(Clone, Debug, Default)]
pub struct Calibration {
    products: bool,
    only: Option<FxHashSet<String>>,
}

/// The inputs of matrices, in the order in which the model reads them.
#[derive(Default)]
struct Seen(Mutex<Vec<(u64, Tensor)>>);

impl Products for Seen {
    fn operands(&self, site: ProductSite<'_>, [x, weight]: [&Tensor; 2]) -> [Tensor; 2] {
        // In the body of a loop there are only placeholders.
        if !site.in_loop && site.parameter.rank() == 2 && x.dtype().is_float() && x.rank() > 0 {
            let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            seen.push((site.parameter.identity(), x.clone()));
        }
        [x.clone(), weight.clone()]
    }
}

/// What one batch showed: the weights and the inputs of each.
type Reads = Vec<(String, Vec<Tensor>)>;

impl Calibration {
    /// Squares, magnitudes and largest values of inputs.
    pub fn new() -> Self {
        Calibration::default()
    }

    /// Also `X^T X`, which GPTQ, SparseGPT and errors of layers need: `I x I` numbers of 64 bits for each input.
    #[must_use]
    pub fn with_hessians(mut self) -> Self {
        self.products = true;
        self
    }

    /// Only of these weights. What the model computes after the last of them is never computed.
    #[must_use]
    pub fn only<'a>(mut self, weights: impl IntoIterator<Item = &'a str>) -> Self {
        self.only = Some(weights.into_iter().map(str::to_owned).collect());
        self
    }

    /// Runs the model on each batch and adds up the inputs of its matrices. Only what they need is computed; what
    /// `run` returns is not. Weights in blocks that are multiplied together, and products in loops, are not seen.
    ///
    /// # Errors
    /// If there is no batch, no weight is multiplied, an input is not finite, its size changes between batches, or
    /// a run fails.
    pub fn measure<M: Module, B>(
        &self,
        model: &M,
        batches: impl IntoIterator<Item = B>,
        mut run: impl FnMut(&M, B, &mut Context) -> Result<Tensor>,
    ) -> Result<Statistics> {
        let names: FxHashMap<u64, String> = model
            .parameters()
            .into_iter()
            .map(|(name, parameter)| (parameter.identity(), name))
            .collect();
        let mut sums: Option<Sums> = None;
        for (number, batch) in batches.into_iter().enumerate() {
            let seen = Arc::new(Seen::default());
            let mut ctx = Context::eval();
            let output = ctx.with_products(seen.clone(), |ctx| run(model, batch, ctx));
            output.map_err(|error| error.context(format!("calibration: batch {number}")))?;
            let seen = std::mem::take(&mut *seen.0.lock().unwrap_or_else(PoisonError::into_inner));
            let reads = self.reads(seen, &names);
            if reads.is_empty() {
                return Err(Error::new(ErrorKind::Missing, self.nothing_read()));
            }
            let sums = sums.get_or_insert_with(|| Sums::new(&reads, self.products));
            sums.add(&reads)
                .map_err(|error| error.context(format!("calibration: batch {number}")))?;
        }
        let none = || {
            Error::invalid(
                "calibration: no batches; give a few hundred sequences of the model's text",
            )
        };
        sums.map(Sums::finish).ok_or_else(none)
    }

    fn nothing_read(&self) -> String {
        match &self.only {
            Some(only) if only.len() == 1 => {
                format!("calibration: the run does not multiply {only:?}")
            }
            Some(only) => format!("calibration: the run multiplies none of {} weights", only.len()),
            None => "calibration: the run multiplies no matrix of the model".to_owned(),
        }
    }

    /// Weights in the order in which they are read first.
    fn reads(&self, seen: Vec<(u64, Tensor)>, names: &FxHashMap<u64, String>) -> Reads {
        let (mut reads, mut places) = (Reads::new(), HashMap::new());
        for (identity, x) in seen {
            let Some(name) = names.get(&identity) else { continue };
            if self.only.as_ref().is_some_and(|only| !only.contains(name)) {
                continue;
            }
            let place = *places.entry(identity).or_insert_with(|| {
                reads.push((name.clone(), Vec::new()));
                reads.len() - 1
            });
            reads[place].1.push(x);
        }
        reads
    }
}

/// Sums of the inputs of groups of weights that read the same.
struct Sums {
    groups: Vec<(Vec<String>, InputStatistics)>,
}

impl Sums {
    fn new(reads: &Reads, products: bool) -> Self {
        let mut groups: Vec<(Vec<u64>, Vec<String>, usize)> = Vec::new();
        for (name, inputs) in reads {
            let ids: Vec<u64> = inputs.iter().map(Tensor::id).collect();
            match groups.iter_mut().find(|(of, ..)| *of == ids) {
                Some((_, names, _)) => names.push(name.clone()),
                None => groups.push((ids, vec![name.clone()], inputs[0].size(-1))),
            }
        }
        let groups = groups.into_iter();
        let group = |(_, names, inputs)| (names, InputStatistics::new(inputs, products));
        Sums { groups: groups.map(group).collect() }
    }

    fn add(&mut self, reads: &Reads) -> Result<()> {
        let by_name: BTreeMap<&str, &Vec<Tensor>> =
            reads.iter().map(|(name, inputs)| (name.as_str(), inputs)).collect();
        let all: usize = self.groups.iter().map(|(names, _)| names.len()).sum();
        if by_name.len() != all {
            return Err(Error::invalid(format!(
                "it multiplies {} weights, the first one {all}; runs must read the same",
                by_name.len()
            )));
        }
        let mut inputs: Vec<Vec<Tensor>> = Vec::new();
        for (names, _) in &self.groups {
            let other = || {
                Error::invalid(format!("it does not multiply {}, as the first one does", names[0]))
            };
            let xs = by_name.get(names[0].as_str()).ok_or_else(other)?;
            inputs.push(xs.iter().map(|x| x.detach().cast(DType::F32)).collect());
        }
        eval(inputs.iter().flatten())?;
        self.groups.par_iter_mut().zip(inputs).try_for_each(|((names, sums), inputs)| {
            let within = |error: Error| error.context(format!("the input of {}", names[0]));
            for x in inputs {
                let (found, size) = (x.size(-1), sums.inputs());
                if found != size {
                    return Err(within(Error::shape(format!(
                        "it has {found} features, that of the first batch {size}"
                    ))));
                }
                sums.add(&x.to_vec::<f32>()?).map_err(within)?;
            }
            Ok(())
        })
    }

    fn finish(self) -> Statistics {
        let mut statistics = Statistics::default();
        for (names, sums) in self.groups {
            let sums = Arc::new(sums);
            for name in &names {
                statistics.inputs.insert(name.clone(), sums.clone());
            }
            statistics.stages.push(names);
        }
        statistics
    }
}

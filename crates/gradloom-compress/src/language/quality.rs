//! [`Quality`]: how well a model predicts a text, and how far its predictions are from another's.

use gradloom_tensor::{DType, Error, ErrorKind, Result, Tensor};

/// Sums over the tokens of a text.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Quality {
    tokens: u64,
    loss: f64,
    divergence: f64,
    agreements: u64,
}

impl Quality {
    /// Of no tokens.
    pub fn new() -> Self {
        Quality::default()
    }

    /// With a batch: logits `[.., V]` of the model and of the one that it should be like, and the tokens `[..]` that
    /// came.
    ///
    /// # Errors
    /// If shapes do not fit, a logit is not finite, or something cannot be computed.
    pub fn add(&mut self, logits: &Tensor, reference: &Tensor, targets: &Tensor) -> Result<()> {
        let fits = logits.shape() == reference.shape()
            && logits.rank() == targets.rank() + 1
            && logits.shape()[..targets.rank()] == targets.shape()[..];
        if !fits {
            let (logits, reference, targets) = (logits.shape(), reference.shape(), targets.shape());
            return Err(Error::shape(format!(
                "quality: logits {logits}, {reference}, targets {targets}"
            )));
        }
        let vocabulary = logits.size(-1);
        let numbers = |logits: &Tensor| logits.detach().cast(DType::F32).to_vec::<f32>();
        let (found, wanted) = (numbers(logits)?, numbers(reference)?);
        let targets = targets.detach().cast(DType::I32).to_vec::<i32>()?;
        for ((found, wanted), target) in
            found.chunks_exact(vocabulary).zip(wanted.chunks_exact(vocabulary)).zip(targets)
        {
            if found.iter().chain(wanted).any(|logit| !logit.is_finite()) {
                return Err(Error::new(ErrorKind::NotFinite, "quality: a logit is not finite"));
            }
            let (found, wanted) = (log_softmax(found), log_softmax(wanted));
            let target = usize::try_from(target).ok().and_then(|target| found.get(target));
            let out = || {
                Error::new(
                    ErrorKind::IndexOutOfRange,
                    "quality: a target is outside the vocabulary",
                )
            };
            self.loss -= target.ok_or_else(out)?;
            self.divergence +=
                wanted.iter().zip(&found).map(|(p, q)| p.exp() * (p - q)).sum::<f64>();
            self.agreements += u64::from(best(&found) == best(&wanted));
            self.tokens += 1;
        }
        Ok(())
    }

    /// Number of tokens.
    pub fn tokens(&self) -> u64 {
        self.tokens
    }

    /// `exp` of the mean loss of the tokens that came.
    pub fn perplexity(&self) -> f64 {
        (self.loss / self.tokens.max(1) as f64).exp()
    }

    /// The mean Kullback-Leibler divergence of the predictions from the other model's, in nats.
    pub fn divergence(&self) -> f64 {
        (self.divergence / self.tokens.max(1) as f64).max(0.0)
    }

    /// The part of tokens for which both models find the same one the most likely.
    pub fn agreement(&self) -> f64 {
        self.agreements as f64 / self.tokens.max(1) as f64
    }
}

fn log_softmax(logits: &[f32]) -> Vec<f64> {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits.iter().map(|logit| f64::from(logit - largest).exp()).sum();
    logits.iter().map(|logit| f64::from(logit - largest) - sum.ln()).collect()
}

fn best(values: &[f64]) -> Option<usize> {
    (0..values.len()).max_by(|&a, &b| values[a].total_cmp(&values[b]))
}

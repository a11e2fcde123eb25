//! [`VectorQuantizer`]: each vector becomes the nearest of a codebook that follows the vectors it stands for.
//!
//! Letters: N batch, D size of a vector, H and W places, K codes, M all places of a batch.

use super::checks::check_weight;
use crate::{Result, error};
use gradloom_nn::{Context, Init, Module, Parameter};
use gradloom_tensor::{DType, Tensor, demand};

/// The largest number of codes.
const CODES_MAX: usize = 1 << 24;

/// Sizes and rates of a vector quantiser.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct QuantizerConfig {
    /// How many codes there are.
    pub codes: usize,
    /// Size of a vector.
    pub size: usize,
    /// How much of the old counts and sums of a code stays at each batch; `None` lets the codebook be learnt by its
    /// gradient instead.
    pub decay: Option<f64>,
    /// Weight of the commitment loss, the paper's beta.
    pub commitment: f64,
    /// What keeps a code without vectors from a division by zero.
    pub epsilon: f64,
    /// A code whose moving count is below this begins again at a vector of the batch, with count one; below one.
    pub restart_below: Option<f64>,
}

impl QuantizerConfig {
    /// As the paper and its published code: a moving average with decay 0.99, beta 0.25, no code begins again.
    pub fn new(codes: usize, size: usize) -> Self {
        QuantizerConfig {
            codes,
            size,
            decay: Some(0.99),
            commitment: 0.25,
            epsilon: 1e-5,
            restart_below: None,
        }
    }

    fn check(&self) -> Result<()> {
        const FAMILY: &str = "vector quantizer";
        let QuantizerConfig { codes, size, decay, commitment, epsilon, restart_below } = *self;
        if codes == 0 || codes > CODES_MAX || size == 0 || size > CODES_MAX {
            return Err(error::config(FAMILY, format!("{codes} codes of {size} numbers")));
        }
        check_weight(FAMILY, "commitment", commitment)?;
        check_weight(FAMILY, "epsilon", epsilon)?;
        if decay.is_some_and(|decay| !(0.0..1.0).contains(&decay)) {
            return Err(error::config(FAMILY, format!("decay {decay:?} is not in 0..1")));
        }
        match restart_below {
            Some(least) if decay.is_none() => {
                let message = format!("codes begin again below {least}, but nothing counts them");
                Err(error::config(FAMILY, message + "; give a decay"))
            }
            Some(least) if !(least > 0.0 && least < 1.0) => {
                Err(error::config(FAMILY, format!("restart_below {least} is not between 0 and 1")))
            }
            _ => Ok(()),
        }
    }
}

/// What a quantiser makes of vectors `[N, D, H, W]`.
#[derive(Clone, Debug)]
pub struct Quantized {
    /// The nearest vectors of the codebook, `[N, D, H, W]`. A gradient passes to the input as if nothing had
    /// happened: straight through.
    pub vectors: Tensor,
    /// Which they are, `[N, H, W]`, i32.
    pub codes: Tensor,
    /// `beta * mean((z - sg(e))^2)`, and of a learnt codebook also `mean((sg(z) - e)^2)`, `[]`.
    pub loss: Tensor,
    /// `exp` of the entropy of the codes in the batch, `[]`: how many are in use.
    pub perplexity: Tensor,
}

/// A codebook and, where it is a moving average, its counts and sums, which are saved with it.
///
/// In training, `n = decay n + (1 - decay) count`, `m = decay m + (1 - decay) sum of vectors` and `e = m / n`, with
/// counts smoothed to `(n + epsilon) / (total + K epsilon) * total`: the context records them, and
/// [`Context::apply_updates`] stores them.
///
/// van den Oord, Vinyals, Kavukcuoglu, "Neural discrete representation learning", 2017, and its appendix A.1;
/// restarts as in Dhariwal et al., "Jukebox", 2020.
///
/// ```
/// use gradloom_nn::{Context, Init};
/// use gradloom_tensor::{Key, Tensor, commit};
/// use gradloom_vision::generative::{QuantizerConfig, VectorQuantizer};
///
/// # fn main() -> gradloom_tensor::Result<()> {
/// # let device = gradloom_cpu::device();
/// let init = &mut Init::new(Key::new(0), &device);
/// let mut quantizer = VectorQuantizer::new(&QuantizerConfig::new(16, 4), init)?;
/// let mut ctx = Context::train(Key::new(1));
/// let z = Tensor::normal(Key::new(2), [2, 4, 7, 7], 0.0, 1.0, &device);
/// let quantized = quantizer.forward(&z, &mut ctx);
/// assert_eq!(quantized.codes.shape(), &[2, 7, 7]);
/// ctx.apply_updates(&mut quantizer);
/// commit(&mut quantizer)?;
/// # Ok(())
/// # }
/// ```
#[derive(Module, Clone, Debug)]
pub struct VectorQuantizer {
    /// `[K, D]`: state, or a weight where it is learnt.
    pub codebook: Parameter,
    /// `[K]`, moving counts; state.
    pub cluster_size: Option<Parameter>,
    /// `[K, D]`, moving sums; state.
    pub cluster_sum: Option<Parameter>,
    #[module(skip)]
    config: QuantizerConfig,
}

impl VectorQuantizer {
    /// Codes uniform in `+-1 / K`, as in the published code; counts of one.
    ///
    /// # Errors
    /// If sizes or rates make no sense.
    pub fn new(config: &QuantizerConfig, init: &mut Init) -> Result<Self> {
        config.check()?;
        let QuantizerConfig { codes, size, decay, .. } = *config;
        let codebook = init.uniform([codes, size], 1.0 / codes as f64);
        if decay.is_none() {
            let config = *config;
            return Ok(VectorQuantizer { codebook, cluster_size: None, cluster_sum: None, config });
        }
        let first = codebook.wide();
        Ok(VectorQuantizer {
            codebook: Parameter::state(codebook.tensor().clone()),
            cluster_size: Some(init.state(codes, 1.0)),
            cluster_sum: Some(Parameter::state(first)),
            config: *config,
        })
    }

    /// How many codes there are.
    pub fn codes(&self) -> usize {
        self.config.codes
    }

    /// The nearest codes of vectors, the losses, and in training the codebook's next value.
    ///
    /// # Panics
    /// Unless the vectors are `[N, D, H, W]` of floats.
    #[track_caller]
    #[must_use]
    pub fn forward(&self, z: &Tensor, ctx: &mut Context) -> Quantized {
        let rows = self.rows(z);
        let flat = self.nearest(&rows);
        let codes = flat.reshape([z.size(0), z.size(2), z.size(3)]);
        let nearest = self.embed(&codes);
        let apart = |left: &Tensor, right: &Tensor| (left.wide() - right.wide()).square().mean(..);
        let commitment = apart(z, &nearest.detach()) * self.config.commitment;
        let loss = match self.config.decay {
            Some(_) => commitment,
            None => commitment + apart(&z.detach(), &nearest),
        };
        let picked = flat.one_hot(self.config.codes).cast(rows.wide().dtype());
        if ctx.is_training()
            && let Some(decay) = self.config.decay
        {
            self.follow(&rows.detach().wide(), &picked, decay, ctx);
        }
        let shares = picked.mean(0);
        let perplexity = shares.entr().sum(..).exp();
        // Exactly the codebook's vectors, with the gradient of the input.
        let vectors = nearest.detach() + (z - z.detach());
        Quantized { vectors, codes, loss, perplexity }
    }

    /// The code of each vector: `[N, D, H, W] -> [N, H, W]`, i32. Of equal distances the first counts.
    ///
    /// # Panics
    /// As [`forward`](VectorQuantizer::forward).
    #[track_caller]
    #[must_use]
    pub fn encode(&self, z: &Tensor) -> Tensor {
        self.nearest(&self.rows(z)).reshape([z.size(0), z.size(2), z.size(3)])
    }

    /// The vectors of codes: integers `[N, H, W] -> [N, D, H, W]`. A code that there is not fails the evaluation.
    ///
    /// # Panics
    /// Unless there are three axes of integers.
    #[track_caller]
    #[must_use]
    pub fn embed(&self, codes: &Tensor) -> Tensor {
        let shape = codes.shape();
        demand!(codes.rank() == 3, "vector_quantizer: needs codes [N, H, W], got shape {shape}");
        self.codebook.embedding(codes).permute(&[0, 3, 1, 2])
    }

    /// `[N, D, H, W]` as `[M, D]`.
    #[track_caller]
    fn rows(&self, z: &Tensor) -> Tensor {
        let (shape, size, dtype) = (z.shape(), self.config.size, z.dtype());
        demand!(
            z.rank() == 4 && z.size(1) == size,
            "vector_quantizer: needs vectors [N, {size}, H, W], got shape {shape}"
        );
        demand!(dtype.is_float(), "vector_quantizer: needs floats, got {dtype}");
        z.permute(&[0, 2, 3, 1]).reshape([-1, size as isize])
    }

    /// The place of the least `|e|^2 - 2 z e`, `[M]`: the square of the row is the same for all codes.
    fn nearest(&self, rows: &Tensor) -> Tensor {
        let (rows, codebook) = (rows.detach().wide(), self.codebook.detach().wide());
        let codebook = codebook.cast(rows.dtype());
        let distances = codebook.square().sum(1) - rows.matmul(&codebook.t()) * 2.0;
        distances.argmin(1).cast(DType::I32)
    }

    /// Notes the codebook's next value.
    fn follow(&self, rows: &Tensor, picked: &Tensor, decay: f64, ctx: &mut Context) {
        let (Some(cluster_size), Some(cluster_sum)) = (&self.cluster_size, &self.cluster_sum)
        else {
            return;
        };
        let QuantizerConfig { codes, epsilon, restart_below, .. } = self.config;
        let moved = |old: &Tensor, batch: Tensor| old.wide() * decay + batch * (1.0 - decay);
        let mut sizes = moved(ctx.recorded(cluster_size), picked.sum(0));
        let mut sums = moved(ctx.recorded(cluster_sum), picked.t().matmul(rows));
        let total = sizes.sum(..);
        let smooth = (&sizes + epsilon) / (&total + codes as f64 * epsilon) * &total;
        let mut codebook = &sums / smooth.unsqueeze(1);
        if let Some(least) = restart_below {
            let count = i32::try_from(rows.size(0)).unwrap_or(i32::MAX);
            let drawn = Tensor::randint(ctx.key(), [codes], 0, count, rows.device());
            let (dead, drawn) = (sizes.lt(least), rows.take(0, &drawn));
            let dead_row = dead.unsqueeze(1);
            sizes = dead.select(1.0, sizes);
            sums = dead_row.select(&drawn, sums);
            codebook = dead_row.select(&drawn, codebook);
        }
        let pairs = [(&self.codebook, codebook), (cluster_size, sizes), (cluster_sum, sums)];
        for (parameter, value) in pairs {
            ctx.record(parameter, value.cast(parameter.dtype()));
        }
    }
}

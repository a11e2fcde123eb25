//! Losses of adversarial networks: [`GanLoss`], and [`WganGp`] with its penalty on gradients, which is a second
//! derivative.
//!
//! Letters: N batch.

use gradloom_autodiff::grad;
use gradloom_tensor::{Called, Key, Tensor, demand};

/// What two networks play for, in scores without a sigmoid, `[N]` of pictures each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GanLoss {
    /// Cross-entropy of real and made; the generator wants its pictures to be called real. Goodfellow et al.,
    /// "Generative adversarial nets", 2014, whose generator has this loss in practice.
    NonSaturating,
    /// `mean(max(0, 1 - real)) + mean(max(0, 1 + made))`, and `-mean(made)`. Lim, Ye, "Geometric GAN", 2017;
    /// Miyato et al., "Spectral normalization for GANs", 2018.
    Hinge,
    /// Half the squared errors to one and to zero, and to one. Mao et al., "Least squares GANs", 2017.
    LeastSquares,
    /// `mean(made) - mean(real)`, and `-mean(made)`. Arjovsky, Chintala, Bottou, "Wasserstein GAN", 2017; it needs a
    /// bound on the critic's slope, as [`WganGp`] gives it.
    Wasserstein,
}

impl GanLoss {
    /// What the discriminator minimises, `[]`.
    #[track_caller]
    #[must_use]
    pub fn discriminator(self, real: &Tensor, made: &Tensor) -> Tensor {
        let _called = Called::op("gan_loss");
        let (real, made) = (real.wide(), made.wide());
        match self {
            GanLoss::NonSaturating => real.neg().softplus().mean(..) + made.softplus().mean(..),
            GanLoss::Hinge => (real.neg() + 1.0).relu().mean(..) + (made + 1.0).relu().mean(..),
            GanLoss::LeastSquares => {
                ((real - 1.0).square().mean(..) + made.square().mean(..)) * 0.5
            }
            GanLoss::Wasserstein => made.mean(..) - real.mean(..),
        }
    }

    /// What the generator minimises, `[]`.
    #[track_caller]
    #[must_use]
    pub fn generator(self, made: &Tensor) -> Tensor {
        let _called = Called::op("gan_loss");
        let made = made.wide();
        match self {
            GanLoss::NonSaturating => made.neg().softplus().mean(..),
            GanLoss::Hinge | GanLoss::Wasserstein => made.mean(..).neg(),
            GanLoss::LeastSquares => (made - 1.0).square().mean(..) * 0.5,
        }
    }
}

/// `mean((|gradient of critic at x| - target)^2)` over points `[N, ..]`, `[]`: a graph of the critic's weights, whose
/// gradient is a second derivative. Where a gradient is zero, that of its norm counts as zero.
///
/// The critic gives scores of each point by itself; so it has no batch norm.
///
/// PyTorch: `torch.autograd.grad(critic(x).sum(), x, create_graph=True)` and the norm of each sample.
///
/// # Panics
/// If the points are no floats, or there are none.
///
/// ```
/// use gradloom_tensor::Tensor;
/// use gradloom_vision::generative::gradient_penalty;
///
/// # fn main() -> gradloom_tensor::Result<()> {
/// # let device = gradloom_cpu::device();
/// let weight = Tensor::new([[3.0f32], [4.0]], &device)?.tracked();
/// let points = Tensor::new([[1.0f32, 2.0], [5.0, 6.0]], &device)?;
/// let penalty = gradient_penalty(|x| x.matmul(&weight), &points, 1.0);
/// assert_eq!(penalty.item()?, 16.0); // the slope is 5 everywhere
/// let slope = gradloom_autodiff::grad(&penalty, &[&weight]);
/// assert_eq!(slope[0].to_vec::<f32>()?, [2.0 * 4.0 * 0.6, 2.0 * 4.0 * 0.8]);
/// # Ok(())
/// # }
/// ```
#[track_caller]
#[must_use]
pub fn gradient_penalty(
    critic: impl FnOnce(&Tensor) -> Tensor,
    points: &Tensor,
    target: f64,
) -> Tensor {
    let _called = Called::op("gradient_penalty");
    let (shape, dtype) = (points.shape(), points.dtype());
    demand!(
        points.rank() > 0 && points.count() > 0 && dtype.is_float(),
        "gradient_penalty: needs points [N, ..] of floats, got {dtype} {shape}"
    );
    let points = points.detach().tracked();
    let scores = critic(&points);
    let slopes = grad(&scores.sum(..), &[&points]).swap_remove(0);
    let squares = slopes.wide().reshape([points.size(0) as isize, -1]).square().sum(1);
    // The root's slope at zero is infinite, so there another number is under it.
    let flat = squares.eq(0.0);
    let norms = flat.select(0.0, flat.select(1.0, &squares).sqrt());
    (norms - target).square().mean(..)
}

/// What a critic minimises; each is `[]`.
#[derive(Clone, Debug)]
pub struct CriticLoss {
    /// `-distance + weight * penalty`.
    pub total: Tensor,
    /// `mean(real) - mean(made)`: what the critic knows of the distance between the distributions.
    pub distance: Tensor,
    /// How far slopes are from one, squared.
    pub penalty: Tensor,
}

/// Wasserstein distance with a penalty on the critic's slope between real and made pictures.
///
/// Gulrajani et al., "Improved training of Wasserstein GANs", 2017.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WganGp {
    /// Weight of the penalty: 10 in the paper.
    pub weight: f64,
    /// The slope that costs nothing.
    pub target: f64,
}

impl Default for WganGp {
    fn default() -> Self {
        WganGp { weight: 10.0, target: 1.0 }
    }
}

impl WganGp {
    /// The critic's loss of real and made pictures `[N, ..]`, and a penalty at points drawn between them by the key:
    /// one share of each pair. The made ones are taken as they are: no gradient goes to what made them.
    ///
    /// # Panics
    /// If shapes or dtypes differ.
    #[track_caller]
    #[must_use]
    pub fn critic(
        &self,
        mut critic: impl FnMut(&Tensor) -> Tensor,
        real: &Tensor,
        made: &Tensor,
        key: Key,
    ) -> CriticLoss {
        let _called = Called::op("wgan_gp");
        let mut shape = vec![1; real.rank()];
        if let Some(samples) = shape.first_mut() {
            *samples = real.size(0);
        }
        let shares = Tensor::uniform(key, &shape[..], 0.0, 1.0, real.device()).cast(real.dtype());
        self.critic_at(&mut critic, real, made, &shares)
    }

    /// As [`critic`](WganGp::critic), with the share of the real picture in each point, `[N, 1, ..]`.
    ///
    /// # Panics
    /// If shapes or dtypes differ.
    #[track_caller]
    #[must_use]
    pub fn critic_at(
        &self,
        mut critic: impl FnMut(&Tensor) -> Tensor,
        real: &Tensor,
        made: &Tensor,
        shares: &Tensor,
    ) -> CriticLoss {
        let _called = Called::op("wgan_gp");
        let (left, right) = (real.shape(), made.shape());
        demand!(
            left == right && real.dtype() == made.dtype() && real.rank() > 0,
            "wgan_gp: real pictures are {} {left}, made ones {} {right}",
            real.dtype(),
            made.dtype()
        );
        let (real, made) = (real.detach(), made.detach());
        let points = &made + (&real - &made) * shares;
        let distance = critic(&real).wide().mean(..) - critic(&made).wide().mean(..);
        let penalty = gradient_penalty(&mut critic, &points, self.target);
        CriticLoss { total: &penalty * self.weight - &distance, distance, penalty }
    }

    /// What the generator minimises, of scores `[N]` of what it made: `[]`.
    #[track_caller]
    #[must_use]
    pub fn generator(&self, made: &Tensor) -> Tensor {
        GanLoss::Wasserstein.generator(made)
    }
}

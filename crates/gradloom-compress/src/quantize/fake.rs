//! [`fake_quantize`] and [`learned_step_quantize`]: numbers rounded to integers of a scale and back, in training.

use gradloom_autodiff::custom_grad;
use gradloom_tensor::Tensor;

/// `(clamp(round(x / scale) + zero_point, low, high) - zero_point) * scale`, in which `scale` and `zero_point` are
/// broadcast to `x`. Ties go to the even integer.
///
/// The gradient is the straight-through one: it passes where the integer is within the bounds, and is zero where it
/// was clipped. Scale and zero point get none. f32 alone.
///
/// PyTorch: `torch.fake_quantize_per_tensor_affine`; with a scale along one axis
/// `torch.fake_quantize_per_channel_affine`. Bengio et al., "Estimating or propagating gradients through stochastic
/// neurons", 2013.
///
/// ```
/// use gradloom_compress::quantize::fake_quantize;
/// use gradloom_tensor::Tensor;
///
/// # fn main() -> gradloom_tensor::Result<()> {
/// # let device = gradloom_testkit::reference::device();
/// let x = Tensor::new([0.2f32, 0.7, 9.0], &device)?;
/// let scale = Tensor::new([0.5f32], &device)?;
/// let y = fake_quantize(&x, &scale, &scale.zeros_like(), [-8, 7]);
/// assert_eq!(y.to_vec::<f32>()?, [0.0, 0.5, 3.5]);
/// # Ok(())
/// # }
/// ```
///
/// # Panics
/// If scale or zero point cannot be broadcast to `x`.
#[track_caller]
#[must_use]
pub fn fake_quantize(
    x: &Tensor,
    scale: &Tensor,
    zero_point: &Tensor,
    [low, high]: [i32; 2],
) -> Tensor {
    let (scale, zero_point) = (scale.detach(), zero_point.detach());
    let integer = integers(&x.detach(), &scale, &zero_point);
    let (low, high) = (f64::from(low), f64::from(high));
    let value = (integer.clamp(low, high) - &zero_point) * &scale;
    custom_grad(&value, std::slice::from_ref(x), move |operands, _, gradient| {
        let integer = integers(&operands[0], &scale, &zero_point);
        let passes = integer.ge(low).logical_and(integer.le(high));
        vec![Some(gradient * passes.cast(gradient.dtype()))]
    })
}

/// Not clamped yet.
#[track_caller]
fn integers(x: &Tensor, scale: &Tensor, zero_point: &Tensor) -> Tensor {
    (x * scale.reciprocal()).round() + zero_point
}

/// `round(clamp(x / scale, low, high)) * scale`, whose scale is learnt (LSQ).
///
/// The gradient passes to `x` where it is within the bounds. The scale gets `round(x / scale) - x / scale` there, and
/// the bound where `x` was clipped, times `1 / sqrt(n high)`, `n` being the number of elements that share a scale,
/// so that scales and weights learn at one pace. f32 alone.
///
/// Esser et al., "Learned step size quantization", 2020. PyTorch: `torch._fake_quantize_learnable_per_tensor_affine`
/// with the zero point 0 and that `grad_factor`, whose gradient also passes from up to half a step beyond a bound.
///
/// # Panics
/// If the scale is not one number for all, or one for each index of the first axis.
#[track_caller]
#[must_use]
pub fn learned_step_quantize(x: &Tensor, scale: &Tensor, [low, high]: [i32; 2]) -> Tensor {
    let count = scale.count();
    assert!(
        count == 1 || count == x.size(0),
        "learned_step_quantize: {count} scales for a tensor {}; give one, or one for each index of axis 0",
        x.shape()
    );
    let shape: Vec<usize> = (0..x.rank()).map(|axis| if axis == 0 { count } else { 1 }).collect();
    let factor = 1.0 / ((x.count() / count) as f64 * f64::from(high)).sqrt();
    let scale = scaled_gradient(&scale.reshape(shape), factor);
    let clipped = (x / &scale).clamp(f64::from(low), f64::from(high));
    straight_through_round(&clipped) * scale
}

/// The scale that [`learned_step_quantize`] begins with: `2 mean(|x|) / sqrt(high)`.
///
/// Esser et al., "Learned step size quantization", 2020.
#[must_use]
pub fn initial_step(x: &Tensor, [_, high]: [i32; 2]) -> Tensor {
    x.detach().abs().mean(..) * (2.0 / f64::from(high).sqrt())
}

/// The nearest integer, with the gradient of the identity.
#[track_caller]
fn straight_through_round(x: &Tensor) -> Tensor {
    custom_grad(&x.detach().round(), std::slice::from_ref(x), |_, _, gradient| {
        vec![Some(gradient.clone())]
    })
}

/// The tensor itself, with its gradient times a factor.
#[track_caller]
fn scaled_gradient(x: &Tensor, factor: f64) -> Tensor {
    custom_grad(&x.detach(), std::slice::from_ref(x), move |_, _, gradient| {
        vec![Some(gradient * factor)]
    })
}

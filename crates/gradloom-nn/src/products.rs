//! [`Products`]: whoever looks at, or changes, what layers multiply their weights with.
//!
//! Calibration, fake quantization and masks are all about the two operands of a product with a weight, in whatever
//! layer it stands. Layers multiply through [`Compute::multiply`](crate::Compute::multiply), so one hook there
//! serves them all, and a model needs no second kind of layer.

use std::sync::Arc;

use crate::Parameter;
use gradloom_tensor::Tensor;

/// A place in a model where a weight is multiplied.
#[derive(Clone, Copy, Debug)]
pub struct ProductSite<'a> {
    /// The weight. [`Parameter::identity`] says which of a model's parameters it is.
    pub parameter: &'a Parameter,
    /// True in the body of a loop, as that of a recurrent layer: what is seen there are placeholders of the body,
    /// so they cannot be kept and evaluated; operands may still be replaced.
    pub in_loop: bool,
}

/// Sees the operands of every product and convolution with a weight, and gives those to read instead.
///
/// ```
/// use std::sync::Arc;
///
/// use gradloom_nn::layers::Linear;
/// use gradloom_nn::{Context, Init, Layer, ProductSite, Products};
/// use gradloom_tensor::{DType, Key, Tensor};
///
/// /// Weights as if their small elements were zero.
/// struct Pruned(f32);
///
/// impl Products for Pruned {
///     fn operands(&self, _: ProductSite<'_>, [x, weight]: [&Tensor; 2]) -> [Tensor; 2] {
///         let kept = weight.abs().ge(self.0).cast(weight.dtype());
///         [x.clone(), weight * kept]
///     }
/// }
///
/// # fn main() -> gradloom_tensor::Result<()> {
/// # let device = gradloom_testkit::reference::device();
/// let mut layer = Linear::new(2, 1, &mut Init::new(Key::new(0), &device)).without_bias();
/// layer.weight.set(&Tensor::from_slice(&[0.1f32, 3.0], [1, 2], &device)?);
/// let x = Tensor::ones([1, 2], DType::F32, &device);
/// let mut ctx = Context::eval();
/// let y = ctx.with_products(Arc::new(Pruned(0.5)), |ctx| layer.forward(&x, ctx));
/// assert_eq!(y.to_vec::<f32>()?, [3.0]);
/// # Ok(())
/// # }
/// ```
///
/// PyTorch: `torch.ao.quantization`'s observed and fake-quantized modules, `torch.nn.utils.parametrize`.
pub trait Products: Send + Sync {
    /// The operands to read in place of these: the layer's input and the weight's value, which may be a part of
    /// the parameter. Shapes and dtypes stay.
    fn operands(&self, site: ProductSite<'_>, operands: [&Tensor; 2]) -> [Tensor; 2];
}

/// A hook as a context holds it.
pub(crate) type SharedProducts = Arc<dyn Products>;

//! [`Compute`]: in which dtype layers multiply, which is all that mixed precision changes.
//!
//! PyTorch's autocast has lists of ops by name. Here a layer says what it multiplies: products, convolutions and
//! attention read halves, and whatever is not said to be a product stays in f32: norms, softmax, losses,
//! exponentials, sums. So a model needs no casts of its own, and a layer that says nothing is computed in f32.

use crate::products::SharedProducts;
use crate::{Parameter, ProductSite};
use gradloom_tensor::{DType, Tensor};

/// In which dtype products and convolutions of f32 weights read their operands.
///
/// ```
/// use gradloom_nn::layers::Linear;
/// use gradloom_nn::{Compute, Context, Init, Layer};
/// use gradloom_tensor::{DType, Key, Tensor};
///
/// # fn main() -> gradloom_tensor::Result<()> {
/// # let device = gradloom_testkit::reference::device();
/// let mut layer = Linear::new(1, 1, &mut Init::new(Key::new(0), &device)).without_bias();
/// layer.weight.set(&layer.weight.full_like(1.0));
/// // 1.003 is not a number of bf16, which has 8 bits of it.
/// let x = Tensor::from_slice(&[1.003f32], [1, 1], &device)?;
/// let mut ctx = Context::eval().with_compute(Compute::narrow(DType::BF16));
/// let y = layer.forward(&x, &mut ctx);
/// assert_eq!((y.dtype(), y.to_vec::<f32>()?), (DType::F32, vec![1.0]));
/// // A layer may be left out by its weight.
/// layer.weight.set_full_precision(true);
/// assert_eq!(layer.forward(&x, &mut ctx).to_vec::<f32>()?, [1.003]);
/// # Ok(())
/// # }
/// ```
///
/// PyTorch: `torch.autocast`.
#[derive(Clone, Default)]
pub struct Compute {
    dtype: Option<DType>,
    products: Option<SharedProducts>,
    in_loop: bool,
}

impl Compute {
    /// In the dtype of the operands.
    pub fn full() -> Self {
        Compute::default()
    }

    /// In f16 or bf16.
    ///
    /// # Panics
    /// If it is another dtype.
    #[track_caller]
    pub fn narrow(dtype: DType) -> Self {
        assert!(is_half(dtype), "compute: products that read {dtype}; give f16 or bf16");
        Compute { dtype: Some(dtype), ..Compute::default() }
    }

    /// Through a hook that sees the operands of products with weights.
    pub(crate) fn through(mut self, products: Option<SharedProducts>) -> Self {
        self.products = products;
        self
    }

    /// The same in the body of a loop.
    pub(crate) fn in_loop(mut self) -> Self {
        self.in_loop = true;
        self
    }

    /// The dtype that operands are rounded to, if they are.
    pub fn dtype(&self) -> Option<DType> {
        self.dtype
    }

    /// A product with a weight: `product` of the input and the weight's value, as a [hook](crate::Products) gives
    /// them if there is one, rounded to halves if that is asked for, and the result in f32 again. A weight that is
    /// not f32, is quantized, or is to be read in [full precision](Parameter::set_full_precision) is multiplied as
    /// it is.
    ///
    /// A layer of one's own: `ctx.compute().multiply(&self.weight, [x, &self.weight], |[x, w]| x.matmul(&w.t()))`.
    ///
    /// # Panics
    /// If the hook gives operands of other shapes or dtypes.
    #[track_caller]
    pub fn multiply(
        &self,
        weight: &Parameter,
        operands: [&Tensor; 2],
        product: impl FnOnce([&Tensor; 2]) -> Tensor,
    ) -> Tensor {
        let Some(products) = &self.products else {
            return self.combine(weight, operands, product);
        };
        let site = ProductSite { parameter: weight, in_loop: self.in_loop };
        let given = products.operands(site, operands);
        for (given, own) in given.iter().zip(operands) {
            assert!(
                given.shape() == own.shape() && given.dtype() == own.dtype(),
                "multiply: the hook gave an operand {} {} in place of {} {}",
                given.dtype(),
                given.shape(),
                own.dtype(),
                own.shape()
            );
        }
        self.combine(weight, given.each_ref(), product)
    }

    /// A product of activations, such as attention, in a layer whose weight says whether it takes part in mixed
    /// precision. Otherwise as [`multiply`](Compute::multiply).
    #[track_caller]
    pub fn combine<const N: usize>(
        &self,
        weight: &Parameter,
        operands: [&Tensor; N],
        product: impl FnOnce([&Tensor; N]) -> Tensor,
    ) -> Tensor {
        let suits = |operand: &&Tensor| operand.dtype() == DType::F32 || is_half(operand.dtype());
        let rounds = weight.dtype() == DType::F32
            && !weight.is_quantized()
            && !weight.is_full_precision()
            && operands.iter().all(suits);
        match self.dtype.filter(|_| rounds) {
            Some(dtype) => {
                let narrow = operands.map(|operand| operand.cast(dtype));
                product(narrow.each_ref()).cast(DType::F32)
            }
            None => product(operands),
        }
    }
}

/// Equal if the dtype is: whoever looks at products is not part of what a run computes in.
impl PartialEq for Compute {
    fn eq(&self, other: &Compute) -> bool {
        self.dtype == other.dtype
    }
}

impl Eq for Compute {}

impl std::fmt::Debug for Compute {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Compute")
            .field("dtype", &self.dtype)
            .field("hooked", &self.products.is_some())
            .finish()
    }
}

fn is_half(dtype: DType) -> bool {
    matches!(dtype, DType::F16 | DType::BF16)
}

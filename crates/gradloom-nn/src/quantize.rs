//! Quantized weights, in blocks of small integers: a quarter of the memory, and products that read the
//! blocks.

use crate::{Module, ModuleExt, Result, Role};
use gradloom_tensor::{BlockFormat, Tensor};

/// Puts every matrix whose rows are whole blocks into blocks of `format`, in place, and returns how
/// many there were. `Linear` and `Embedding` then read the quantized blocks; such weights are frozen.
///
/// Matrices whose rows do not fit, vectors and running statistics stay as they are. What a model would
/// have to multiply the other way round (not as `x W^T`) is better left out: see [`quantize_where`].
///
/// ```
/// use gradloom_nn::layers::Linear;
/// use gradloom_nn::{Context, Init, Layer, quantize};
/// use gradloom_tensor::{BlockFormat, DType, Key, Tensor};
///
/// # fn main() -> gradloom_nn::Result<()> {
/// # let device = gradloom_testkit::reference::device();
/// let mut layer = Linear::new(64, 8, &mut Init::new(Key::new(0), &device));
/// assert_eq!(quantize(&mut layer, BlockFormat::Q8_0)?, 1);
/// assert_eq!(layer.weight.block_format(), Some(BlockFormat::Q8_0));
/// let y = layer.forward(&Tensor::ones([1, 64], DType::F32, &device), &mut Context::eval());
/// assert_eq!(*y.shape(), [1, 8]);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// If a weight cannot be computed or stored; those before it are then quantized.
pub fn quantize(model: &mut impl Module, format: BlockFormat) -> Result<usize> {
    quantize_where(model, format, |_| true)
}

/// As [`quantize`], only for the weights whose names `choose` is true for.
///
/// # Errors
/// As [`quantize`].
pub fn quantize_where(
    model: &mut impl Module,
    format: BlockFormat,
    choose: impl Fn(&str) -> bool,
) -> Result<usize> {
    let (mut count, mut outcome) = (0, Ok(()));
    model.for_each_parameter(|name, parameter| {
        let fits = parameter.role() != Role::State
            && parameter.rank() == 2
            && parameter.dtype().is_float()
            && parameter.block_format() != Some(format)
            && parameter.size(1).is_multiple_of(format.elements());
        if outcome.is_err() || !fits || !choose(name) {
            return;
        }
        match parameter.tensor().cast(gradloom_tensor::DType::F32).quantize(format) {
            Ok(quantized) => {
                parameter.replace(&quantized);
                count += 1;
            }
            Err(error) => outcome = Err(error.context(format!("quantize: {name}"))),
        }
    });
    outcome.map(|()| count)
}

/// Puts the numbers that quantized matrices stand for in their place, in f32, and returns how many matrices there
/// were: what a model read from blocks needs before its weights are trained or quantized in another way. They stay
/// frozen.
///
/// ```
/// use gradloom_nn::layers::Linear;
/// use gradloom_nn::{Init, dequantize, quantize};
/// use gradloom_tensor::{BlockFormat, Key};
///
/// # fn main() -> gradloom_nn::Result<()> {
/// # let device = gradloom_testkit::reference::device();
/// let mut layer = Linear::new(64, 8, &mut Init::new(Key::new(0), &device));
/// quantize(&mut layer, BlockFormat::Q8_0)?;
/// let rounded = layer.weight.to_vec::<f32>()?;
/// assert_eq!(dequantize(&mut layer)?, 1);
/// assert_eq!(layer.weight.block_format(), None);
/// assert_eq!(layer.weight.to_vec::<f32>()?, rounded);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// If a weight cannot be computed or stored; those before it are then plain.
pub fn dequantize(model: &mut impl Module) -> Result<usize> {
    let (mut count, mut outcome) = (0, Ok(()));
    model.for_each_parameter(|name, parameter| {
        if outcome.is_err() || !parameter.is_quantized() {
            return;
        }
        let numbers = parameter.to_vec::<f32>().and_then(|numbers| {
            Tensor::from_slice(&numbers, *parameter.shape(), parameter.device())
        });
        match numbers {
            Ok(numbers) => {
                parameter.replace(&numbers);
                count += 1;
            }
            Err(error) => outcome = Err(error.context(format!("dequantize: {name}"))),
        }
    });
    outcome.map(|()| count)
}

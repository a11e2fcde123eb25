//! An op that Gradloom does not have, from a crate of its own: `mish(x) = x tanh(log(1 + e^x))`, with a
//! kernel for the processor, one for GPUs, a derivative of any order, and a rule for many examples.

use gradloom::custom_op::{HostOperand, HostResult, TensorType, Wgsl};
use gradloom::prelude::*;
use gradloom::{CustomOp, custom_op};

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Mish;

impl CustomOp for Mish {
    fn name(&self) -> &'static str {
        "mish"
    }

    fn results(&self, operands: &[TensorType]) -> Result<Vec<TensorType>> {
        match operands[0].dtype {
            DType::F32 => Ok(vec![operands[0]]),
            dtype => Err(Error::shape(format!("it takes f32, not {dtype}"))),
        }
    }

    fn run(&self, operands: &[HostOperand<'_>], results: &mut [HostResult<'_>]) -> Result<()> {
        let pairs = operands[0].elements::<f32>().iter().zip(results[0].elements::<f32>());
        pairs.for_each(|(x, y)| *y = x * x.exp().ln_1p().tanh());
        Ok(())
    }

    fn wgsl(&self, operands: &[TensorType], _: &[TensorType]) -> Option<Wgsl> {
        let source = "fn element(index: u32) {
            let x = read0(index);
            write0(index, x * tanh(log(1.0 + exp(x))));
        }";
        Some(Wgsl::elements(source, operands[0].shape.count()))
    }

    fn derivative(&self, x: &[Tensor], _: &[Tensor], g: &[Tensor]) -> Vec<Option<Tensor>> {
        let (x, t) = (&x[0], x[0].softplus().tanh());
        let slope = &t + x * x.sigmoid() * (1.0 - t.square());
        vec![Some(&g[0] * slope)]
    }

    fn vmap(&self, x: &[Tensor]) -> Option<Vec<Tensor>> {
        Some(vec![mish(&x[0])])
    }
}

/// `x tanh(log(1 + e^x))` at each element (Misra 2019).
#[track_caller]
pub fn mish(x: &Tensor) -> Tensor {
    let [y] = custom_op(Mish, &[x]);
    y
}

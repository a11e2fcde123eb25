//! [`Reading`]: how the stored elements of an operand become lanes, with the cast that a product or a
//! convolution makes of it on the way.

use bytemuck::Pod;
use gradloom_plan::{Factors, Kernel};
use gradloom_tensor::DType;

use crate::convert::{Brain, Convert, Half, Lane, Rounded, Same, with_storage};
use crate::simd::{Level, vectorized};

/// What is stored, and what each element is cast to before it is a lane: itself, or another float whose
/// lane is f32.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reading {
    pub(super) stored: DType,
    pub(super) dtype: DType,
}

impl Reading {
    /// How a product or a convolution reads its operands.
    pub(super) fn of_factors(kernel: &Kernel, factors: &Factors) -> [Reading; 2] {
        [0, 1].map(|operand| {
            let (stored, dtype) = (kernel.inputs[operand].dtype, factors.read_as(operand));
            Reading { stored, dtype }
        })
    }

    /// True if the stored elements are the lanes.
    pub(super) fn is_plain(self) -> bool {
        self.stored == self.dtype && Lane::stores(self.stored)
    }

    /// Rows of stored elements, `step` apart, as rows of lanes of type `T`, `out_step` apart, which must be
    /// the lane of the dtype.
    pub(super) fn load<S: Pod, T: Pod>(
        self,
        level: Level,
        source: &[S],
        step: usize,
        [rows, columns]: [usize; 2],
        out: &mut [T],
        out_step: usize,
    ) {
        macro_rules! load {
            ($stored:ty, $lane:ty, $convert:ty) => {
                convert_rows::<$stored, $lane, $convert>(
                    level,
                    <$convert>::default(),
                    bytemuck::cast_slice(source),
                    step,
                    [rows, columns],
                    bytemuck::cast_slice_mut(out),
                    out_step,
                )
            };
        }
        match (self.stored, self.dtype) {
            (DType::F32, DType::F16) => load!(f32, f32, Rounded<Same, Half>),
            (DType::F32, DType::BF16) => load!(f32, f32, Rounded<Same, Brain>),
            (DType::F16, DType::BF16) => load!(u16, f32, Rounded<Half, Brain>),
            (DType::BF16, DType::F16) => load!(u16, f32, Rounded<Brain, Half>),
            // Itself, or a half as the f32 that it is.
            (stored, _) => with_storage!(stored, |S, L, C| load!(S, L, C)),
        }
    }
}

vectorized! {
    fn convert_rows['a][S: Pod, L: Pod, C: Convert<S, L>](
        convert: C, source: &'a [S], step: usize, size: [usize; 2], out: &'a mut [L], out_step: usize
    ) {
        let _ = convert;
        let [rows, columns] = size;
        for row in 0..rows {
            let values = &source[row * step..][..columns];
            let out = &mut out[row * out_step..][..columns];
            for (slot, &value) in out.iter_mut().zip(values) {
                *slot = C::convert(value);
            }
        }
    }
}

//! [`Reading`]: how the stored elements of an operand become lanes, with the cast that a product or a
//! convolution makes of it on the way.

use bytemuck::Pod;
use gradloom_plan::{Factors, Kernel};
use gradloom_tensor::DType;

use crate::convert::Lane;
use crate::scratch::Scratch;
use crate::simd::Level;
use crate::tile::{cast_lanes, load_contiguous};

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

    /// Stored elements, in order, as lanes of type `T`, which must be the lane of the dtype.
    pub(super) fn load<T: Pod>(self, level: Level, elements: &[u8], out: &mut [T]) {
        let Reading { stored, dtype } = self;
        if stored == dtype || Lane::stores(dtype) {
            // A half is a f32 as it is.
            return load_contiguous(level, stored, elements, bytemuck::cast_slice_mut(out));
        }
        if Lane::stores(stored) {
            let lanes = bytemuck::cast_slice(elements);
            return cast_lanes(level, lanes, dtype, bytemuck::cast_slice_mut(out));
        }
        let mut lanes = Scratch::take::<f32>(out.len());
        load_contiguous(level, stored, elements, lanes.get_mut());
        cast_lanes(level, lanes.get(), dtype, bytemuck::cast_slice_mut(out));
    }
}

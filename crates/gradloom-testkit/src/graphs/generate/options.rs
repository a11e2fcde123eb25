//! [`Options`]: what graphs are drawn from.

use gradloom_tensor::{DType, Device};

/// What graphs are drawn from.
#[derive(Clone, Debug)]
pub struct Options {
    /// Dtypes, each as often as it stands here.
    pub dtypes: Vec<DType>,
    /// Sizes of axes, each as often as it stands here; 0 and large ones come beside them.
    pub sizes: Vec<usize>,
    /// Whether some axes are empty, and some large enough for threads and reductions in parts.
    pub extremes: bool,
    /// Only graphs with gradients.
    pub gradients_only: bool,
    /// Fewest and most calls.
    pub calls: [usize; 2],
}

impl Options {
    /// Everything that a device has.
    pub fn of(device: &Device) -> Options {
        use DType::{BF16, Bool, F16, F32, F64, I8, I32, I64, U8, U32};
        let mut dtypes = vec![F32, F32, F32, F32, F32, F32, BF16, I32, I32, I8, U8, U32, Bool];
        let capabilities = device.capabilities();
        if capabilities.f16 {
            dtypes.extend([F16, F16]);
        }
        if capabilities.f64 {
            dtypes.push(F64);
        }
        if capabilities.i64 {
            dtypes.push(I64);
        }
        Options {
            dtypes,
            sizes: vec![1, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 7, 8, 13, 16, 33],
            extremes: true,
            gradients_only: false,
            calls: [2, 14],
        }
    }

    /// Few shapes, so that kernels repeat.
    #[must_use]
    pub fn few_shapes(self) -> Options {
        Options { sizes: vec![1, 3, 4], extremes: false, calls: [2, 7], ..self }
    }
}

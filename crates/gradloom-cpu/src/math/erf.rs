//! The error function: one polynomial near zero, the exponential of another elsewhere.

use super::{exp, fma, polynomial};

/// The error function within 2 ulp.
#[inline(always)]
pub(crate) fn erf<const FMA: bool>(x: f32) -> f32 {
    let (magnitude, square) = (x.abs(), x * x);
    let near = polynomial::<FMA, 6>(
        square,
        [
            -5.967_617e-4,
            4.991_194_2e-3,
            -2.676_813_5e-2,
            1.128_199_26e-1,
            -3.761_253_4e-1,
            1.283_791_7e-1,
        ],
    );
    let near = fma::<FMA>(near, x, x);
    let far = fma::<FMA>(-1.728_534_7e-5, magnitude, 3.831_971_3e-4);
    let head = fma::<FMA>(-3.883_964_4e-3, magnitude, 2.425_462_2e-2);
    let far = fma::<FMA>(far, square, head);
    let far =
        polynomial::<FMA, 4>(magnitude, [far, -1.067_778_8e-1, -6.348_468_7e-1, -1.287_175_1e-1]);
    let far = fma::<FMA>(far, magnitude, -magnitude);
    // Beyond 4 the result is one; the polynomial would turn around far outside its range.
    let far = if magnitude > 4.0 { -100.0 } else { far };
    let far = (1.0 - exp::<FMA>(far)).copysign(x);
    if magnitude > 0.927_734_4 { far } else { near }
}

//! The complement and the inverse of the error function, and the logarithm of the gamma function with
//! its derivatives: in f64, which has bits to spare where terms cancel.

use std::f64::consts::{LN_2, LOG2_E, PI};

use super::{fma64, polynomial64, wide_exp2, wide_log2};

#[inline(always)]
fn ln<const FMA: bool>(x: f64) -> f64 {
    LN_2 * wide_log2::<FMA>(x)
}

/// `e^(y^2) (1 - erf(y))` of positive numbers; times `1 + 2 y` it varies little.
#[inline(always)]
fn scaled_complement<const FMA: bool>(y: f64) -> f64 {
    // NaN passes unchanged.
    let limited = if y > 1e30 { 1e30 } else { y };
    let slow = polynomial64::<FMA, 14>(
        (limited - 4.0) / (limited + 4.0),
        [
            -7.849_894_037_147_949e-6,
            0.000_114_109_950_563_815_01,
            -0.000_222_868_907_648_973_92,
            -0.000_708_849_689_086_887_1,
            0.005_050_227_991_045_973,
            -0.016_230_694_673_724_958,
            0.037_159_742_065_263_054,
            -0.066_318_897_270_581_32,
            0.093_734_560_630_079_32,
            -0.101_040_972_176_817_08,
            0.068_096_883_658_553_18,
            0.015_379_771_080_859_556,
            -0.139_621_111_930_031_9,
            1.232_995_117_413_232_3,
        ],
    );
    slow / fma64::<FMA>(2.0, y, 1.0)
}

/// `1 - erf(x)` within 1 ulp.
#[inline(always)]
pub(crate) fn erfc<const FMA: bool>(x: f32) -> f32 {
    let y = f64::from(x).abs();
    // Nothing is left of it in f32 from there on.
    let limited = if y > 11.0 { 11.0 } else { y };
    let value = scaled_complement::<FMA>(y) * wide_exp2::<FMA>(-LOG2_E * (limited * limited));
    (if x < 0.0 { 2.0 - value } else { value }) as f32
}

/// `e^(x^2) (1 - erf(x))` within 1 ulp.
#[inline(always)]
pub(crate) fn erfcx<const FMA: bool>(x: f32) -> f32 {
    let y = f64::from(x).abs();
    let value = scaled_complement::<FMA>(y);
    // Infinite in f32 from there on.
    let limited = if y > 10.0 { 10.0 } else { y };
    let mirrored = 2.0 * wide_exp2::<FMA>(LOG2_E * (limited * limited)) - value;
    (if x < 0.0 { mirrored } else { value }) as f32
}

/// The inverse of `erf` within 1 ulp, from the logarithm of `1 - x^2` (M. Giles).
#[inline(always)]
pub(crate) fn erfinv<const FMA: bool>(x: f32) -> f32 {
    let wide = f64::from(x);
    let w = -ln::<FMA>((1.0 - wide) * (1.0 + wide));
    let near = polynomial64::<FMA, 10>(
        w - 2.5,
        [
            -8.791_056_476_553_639e-9,
            2.323_264_428_950_602e-8,
            4.661_706_639_792_845_6e-7,
            -3.462_704_758_509_954_5e-6,
            -4.963_347_854_722_204e-6,
            0.000_218_344_439_426_196_6,
            -0.001_252_741_878_447_219_2,
            -0.004_177_386_781_082_328,
            0.246_640_286_153_452_9,
            1.501_409_359_282_492,
        ],
    );
    let far = polynomial64::<FMA, 11>(
        w.sqrt() - 3.0,
        [
            -2.666_065_504_171_104_7e-5,
            0.000_158_822_307_356_106_1,
            -0.000_282_421_782_339_896,
            -0.000_117_834_501_032_140_44,
            0.001_478_227_973_719_760_3,
            -0.003_567_966_106_098_883,
            0.005_686_869_712_574_073,
            -0.007_642_654_201_101_139,
            0.009_445_380_551_239_155,
            1.001_675_234_230_673_2,
            2.832_976_800_346_558_3,
        ],
    );
    let value = (wide * if w < 5.0 { near } else { far }) as f32;
    let value = if x.abs() == 1.0 { f32::INFINITY.copysign(x) } else { value };
    // NaN fails the comparison too.
    if x.abs() <= 1.0 { value } else { f32::NAN }
}

/// Sine and cosine of `pi x`, up to a common sign, for positive numbers.
#[inline(always)]
fn turns<const FMA: bool>(x: f64) -> (f64, f64) {
    // Adding it rounds an f64 of magnitude below 2^51 to an integer.
    const ROUND: f64 = 6_755_399_441_055_744.0;
    // Floats from 2^23 on are integers.
    let x = if x > 8_388_608.0 { 8_388_608.0 } else { x };
    let angle = PI * (x - ((x + ROUND) - ROUND));
    let square = -angle * angle;
    let sine = polynomial64::<FMA, 10>(
        square,
        [
            1.0 / 121_645_100_408_832_000.0,
            1.0 / 355_687_428_096_000.0,
            1.0 / 1_307_674_368_000.0,
            1.0 / 6_227_020_800.0,
            1.0 / 39_916_800.0,
            1.0 / 362_880.0,
            1.0 / 5_040.0,
            1.0 / 120.0,
            1.0 / 6.0,
            1.0,
        ],
    );
    let cosine = polynomial64::<FMA, 11>(
        square,
        [
            1.0 / 2_432_902_008_176_640_000.0,
            1.0 / 6_402_373_705_728_000.0,
            1.0 / 20_922_789_888_000.0,
            1.0 / 87_178_291_200.0,
            1.0 / 479_001_600.0,
            1.0 / 3_628_800.0,
            1.0 / 40_320.0,
            1.0 / 720.0,
            1.0 / 24.0,
            0.5,
            1.0,
        ],
    );
    (angle * sine, cosine)
}

/// Below this, asymptotic series are taken at the argument plus [`STEPS`].
const FAR: f64 = 8.0;
const STEPS: i32 = 8;

/// Logarithm of the gamma function's magnitude within 1 ulp (absolute 2e-14 near its zeros below
/// zero): Stirling's series, less the logarithm of the product that leads up to it.
#[inline(always)]
pub(crate) fn lgamma<const FMA: bool>(x: f32) -> f32 {
    let y = f64::from(x).abs();
    let mut rising = y;
    let mut step = 1;
    while step < STEPS {
        rising *= y + f64::from(step);
        step += 1;
    }
    let (z, product) = if y < FAR { (y + f64::from(STEPS), rising) } else { (y, 1.0) };
    let series = polynomial64::<FMA, 6>(
        1.0 / (z * z),
        [-691.0 / 360_360.0, 1.0 / 1188.0, -1.0 / 1680.0, 1.0 / 1260.0, -1.0 / 360.0, 1.0 / 12.0],
    );
    // Half of ln(2 pi) - 1.
    let series = series / z + 0.418_938_533_204_672_7;
    let stirling = fma64::<FMA>(z - 0.5, ln::<FMA>(z) - 1.0, series);
    // gamma(-y) is -pi / (y sin(pi y) gamma(y)).
    let (sine, _) = turns::<FMA>(y);
    let divisor = if x < 0.0 { PI * product / (y * sine.abs()) } else { product };
    let value = stirling - ln::<FMA>(divisor);
    let value = if x < 0.0 { -value } else { value };
    let pole = y == 0.0 || y == f64::INFINITY || (x < 0.0 && sine == 0.0);
    let value = if pole { f64::INFINITY } else { value };
    // About its zeros at one and two a series there.
    let low = x < 1.5;
    let e = y - if low { 1.0 } else { 2.0 };
    let about = e * polynomial64::<FMA, 13>(
        e,
        [
            -1.221_016_383_356_057_2e-5,
            2.446_697_329_625_066_5e-5,
            -4.363_950_056_292_291e-5,
            9.818_249_558_071_954e-5,
            -0.000_223_439_229_270_772_56,
            0.000_509_862_691_242_835,
            -0.001_192_722_181_476_357_4,
            0.002_890_496_239_111_847,
            -0.007_385_552_704_085_863_5,
            0.020_580_808_865_372_94,
            -0.067_352_301_019_948_53,
            0.322_467_033_420_257_6,
            0.422_784_335_098_358_33,
        ],
    );
    let about = if low { about - ln::<FMA>(y) } else { about };
    (if (0.5..2.5).contains(&x) { about } else { value }) as f32
}

/// Derivative of `lgamma` within 1 ulp (absolute 2e-14 near its zeros below zero): the asymptotic
/// series, less the reciprocals that lead up to it.
#[inline(always)]
pub(crate) fn digamma<const FMA: bool>(x: f32) -> f32 {
    let y = f64::from(x).abs();
    // Their sum as a quotient.
    let (mut above, mut below) = (1.0, y);
    let mut step = 1;
    while step < STEPS {
        let factor = y + f64::from(step);
        above = fma64::<FMA>(above, factor, below);
        below *= factor;
        step += 1;
    }
    let near = y < FAR;
    let z = if near { y + f64::from(STEPS) } else { y };
    let square = 1.0 / (z * z);
    let series = polynomial64::<FMA, 6>(
        square,
        [691.0 / 32_760.0, -1.0 / 132.0, 1.0 / 240.0, -1.0 / 252.0, 1.0 / 120.0, -1.0 / 12.0],
    );
    let value = fma64::<FMA>(series, square, ln::<FMA>(z) - 0.5 / z);
    let value = if near { value - above / below } else { value };
    // About its zero a series there; the root in two pieces is exact for f32.
    const ROOT: f64 = 1.461_632_144_968_362_3;
    let about = (y - ROOT)
        * polynomial64::<FMA, 11>(
            y - 1.5,
            [
                0.011_118_107_745_693_634,
                -0.016_384_084_693_541_07,
                0.016_980_749_415_818_775,
                -0.025_781_017_200_176_58,
                0.040_879_263_169_855_64,
                -0.062_057_075_424_547_66,
                0.094_982_089_834_685_22,
                -0.148_398_785_816_821_03,
                0.240_542_615_462_206_34,
                -0.423_627_498_879_196_8,
                0.951_055_875_634_393,
            ],
        );
    let value = if (1.0..2.0).contains(&x) { about } else { value };
    let value = if y == f64::INFINITY { y } else { value };
    // digamma(-y) is digamma(y) + 1 / y + pi cot(pi y).
    let (sine, cosine) = turns::<FMA>(y);
    let reflected = value + 1.0 / y + PI * cosine / sine;
    let reflected = if sine == 0.0 || y == f64::INFINITY { f64::NAN } else { reflected };
    let value = if x < 0.0 { reflected } else { value } as f32;
    if x == 0.0 { f32::NEG_INFINITY.copysign(-x) } else { value }
}

/// Derivative of `digamma` within 1 ulp: the asymptotic series, and the squared reciprocals that lead
/// up to it.
#[inline(always)]
pub(crate) fn trigamma<const FMA: bool>(x: f32) -> f32 {
    let y = f64::from(x).abs();
    // Their sum as a quotient by the square of `below`.
    let (mut above, mut below) = (1.0, y);
    let mut step = 1;
    while step < STEPS {
        let factor = y + f64::from(step);
        above = fma64::<FMA>(above, factor * factor, below * below);
        below *= factor;
        step += 1;
    }
    let near = y < FAR;
    let z = if near { y + f64::from(STEPS) } else { y };
    let square = 1.0 / (z * z);
    let series = polynomial64::<FMA, 5>(
        square,
        [5.0 / 66.0, -1.0 / 30.0, 1.0 / 42.0, -1.0 / 30.0, 1.0 / 6.0],
    );
    let value = (fma64::<FMA>(series, square, 0.5 / z) + 1.0) / z;
    let value = if near { value + above / (below * below) } else { value };
    // trigamma(-y) is (pi / sin(pi y))^2 - trigamma(y) + 1 / y^2.
    let (sine, _) = turns::<FMA>(y);
    let slope = PI / sine;
    let reflected = slope * slope - value + 1.0 / (y * y);
    let reflected = if sine == 0.0 { f64::INFINITY } else { reflected };
    let reflected = if y == f64::INFINITY { f64::NAN } else { reflected };
    let value = if x < 0.0 { reflected } else { value } as f32;
    if x == 0.0 { f32::INFINITY } else { value }
}

//! Modified Bessel functions of the first kind, of orders zero and one: `e^-|x|` times them varies
//! little, and is a polynomial near zero and one of the reciprocal elsewhere. In f64, so that the
//! exponential is exact.

use std::f64::consts::LOG2_E;

use super::{polynomial64, wide_exp2};

/// Where the polynomials meet.
const FAR: f64 = 8.0;

#[inline(always)]
fn scaled_zero<const FMA: bool>(y: f64) -> f64 {
    let near = polynomial64::<FMA, 19>(
        0.25 * y - 1.0,
        [
            0.000_303_263_970_606_919_94,
            -0.000_834_908_797_368_711_2,
            0.000_610_864_186_065_924_5,
            -0.000_825_557_883_274_367_3,
            0.003_809_646_583_592_905,
            -0.007_898_231_338_748_493,
            0.011_904_518_214_098_554,
            -0.018_965_064_430_561_57,
            0.030_162_541_119_568_093,
            -0.043_263_098_193_271_884,
            0.056_792_694_375_163_22,
            -0.069_479_010_239_280_73,
            0.079_270_923_644_889_98,
            -0.084_970_868_871_553_36,
            0.087_343_908_047_279_61,
            -0.089_043_035_052_598_3,
            0.094_515_608_714_105_68,
            -0.113_004_333_297_769_22,
            0.207_001_921_348_496_1,
        ],
    );
    let far = polynomial64::<FMA, 6>(
        16.0 / y - 1.0,
        [
            3.699_941_407_401_259e-7,
            1.638_627_266_797_186_8e-6,
            1.110_288_325_623_137_7e-5,
            0.000_136_156_529_328_157_5,
            0.003_360_558_069_906_916,
            0.402_176_512_757_652_26,
        ],
    );
    if y < FAR { near } else { far / y.sqrt() }
}

#[inline(always)]
fn scaled_one<const FMA: bool>(y: f64) -> f64 {
    let near = polynomial64::<FMA, 17>(
        0.25 * y - 1.0,
        [
            0.000_227_383_970_029_970_22,
            -0.000_691_596_005_773_888_4,
            0.000_717_665_372_031_424_8,
            -0.000_911_648_967_991_874_5,
            0.002_888_483_460_507_362,
            -0.006_089_880_905_955_703_5,
            0.009_744_733_932_422_447,
            -0.015_302_468_876_021_038,
            0.023_597_488_263_530_548,
            -0.033_742_572_274_440_16,
            0.044_698_212_890_435_12,
            -0.055_270_434_194_635_87,
            0.063_764_493_454_468_32,
            -0.068_483_157_648_001_7,
            0.068_057_730_097_304_01,
            -0.061_124_329_490_769_82,
            0.044_687_708_961_124_62,
        ],
    );
    let far = polynomial64::<FMA, 6>(
        16.0 / y - 1.0,
        [
            -4.314_151_120_803_604e-7,
            -2.009_115_743_487_456_4e-6,
            -1.499_088_509_341_902_3e-5,
            -0.000_219_168_752_492_747_58,
            -0.009_749_584_693_746_257,
            0.389_398_455_303_263_84,
        ],
    );
    if y < FAR { near * y } else { far / y.sqrt() }
}

/// Times `e^y`, which is infinite in f32 from 95 on.
#[inline(always)]
fn grown<const FMA: bool>(y: f64, scaled: f64) -> f32 {
    let value = scaled * wide_exp2::<FMA>(LOG2_E * if y > 95.0 { 95.0 } else { y });
    if y > 95.0 { f32::INFINITY } else { value as f32 }
}

/// `I0(x) e^-|x|` within 1 ulp.
#[inline(always)]
pub(crate) fn i0e<const FMA: bool>(x: f32) -> f32 {
    scaled_zero::<FMA>(f64::from(x).abs()) as f32
}

/// `I1(x) e^-|x|` within 1 ulp.
#[inline(always)]
pub(crate) fn i1e<const FMA: bool>(x: f32) -> f32 {
    (scaled_one::<FMA>(f64::from(x).abs()) as f32).copysign(x)
}

/// `I0(x)` within 1 ulp.
#[inline(always)]
pub(crate) fn i0<const FMA: bool>(x: f32) -> f32 {
    let y = f64::from(x).abs();
    grown::<FMA>(y, scaled_zero::<FMA>(y))
}

/// `I1(x)` within 1 ulp.
#[inline(always)]
pub(crate) fn i1<const FMA: bool>(x: f32) -> f32 {
    let y = f64::from(x).abs();
    grown::<FMA>(y, scaled_one::<FMA>(y)).copysign(x)
}

//! [`Function`]: which function an op applies.

/// `[..] -> [..]`, floats of one dtype.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Function {
    J0,
    J1,
    Y0,
    Y1,
    /// Times `e^x` if scaled.
    K0 {
        scaled: bool,
    },
    K1 {
        scaled: bool,
    },
    AiryAi,
    /// The derivative of Ai.
    AiryAiSlope,
}

//! The numbers by which GGUF files name types of elements.

use crate::Stored;
use gradloom_tensor::BlockFormat;

/// Types that tensors can have.
const TYPES: [(u32, Stored); 18] = [
    (0, Stored::F32),
    (1, Stored::F16),
    (2, Stored::Blocks(BlockFormat::Q4_0)),
    (3, Stored::Blocks(BlockFormat::Q4_1)),
    (6, Stored::Blocks(BlockFormat::Q5_0)),
    (7, Stored::Blocks(BlockFormat::Q5_1)),
    (8, Stored::Blocks(BlockFormat::Q8_0)),
    (10, Stored::Blocks(BlockFormat::Q2_K)),
    (11, Stored::Blocks(BlockFormat::Q3_K)),
    (12, Stored::Blocks(BlockFormat::Q4_K)),
    (13, Stored::Blocks(BlockFormat::Q5_K)),
    (14, Stored::Blocks(BlockFormat::Q6_K)),
    (24, Stored::I8),
    (25, Stored::I16),
    (26, Stored::I32),
    (27, Stored::I64),
    (28, Stored::F64),
    (30, Stored::BF16),
];

/// Names of the others, for messages.
const OTHERS: [(u32, &str); 17] = [
    (9, "Q8_1"),
    (15, "Q8_K"),
    (16, "IQ2_XXS"),
    (17, "IQ2_XS"),
    (18, "IQ3_XXS"),
    (19, "IQ1_S"),
    (20, "IQ4_NL"),
    (21, "IQ3_S"),
    (22, "IQ2_S"),
    (23, "IQ4_XS"),
    (29, "IQ1_M"),
    (34, "TQ1_0"),
    (35, "TQ2_0"),
    (39, "MXFP4"),
    (40, "NVFP4"),
    (41, "Q1_0"),
    (4, "Q4_2"),
];

/// The type with this number.
pub(super) fn of_number(number: u32) -> Stored {
    if let Some((_, stored)) = TYPES.iter().find(|(of, _)| *of == number) {
        return stored.clone();
    }
    let name = OTHERS.iter().find(|(of, _)| *of == number).map(|(_, name)| (*name).to_owned());
    Stored::Other(name.unwrap_or_else(|| format!("GGUF type {number}")))
}

/// The number of a type, if it has one.
pub(super) fn number(stored: &Stored) -> Option<u32> {
    TYPES.iter().find(|(_, of)| of == stored).map(|(number, _)| *number)
}

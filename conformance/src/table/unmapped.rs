//! Operators without a row, and why.

/// Names in PyTorch's database and the reasons.
pub const UNMAPPED: &[(&str, &str)] = &[
    ("hash_tensor", "its results are unsigned 64-bit integers, which no tensor holds"),
    ("jiterator_2inputs_2outputs", JITERATOR),
    ("jiterator_4inputs_with_extra_args", JITERATOR),
    ("jiterator_binary", JITERATOR),
    ("jiterator_binary_return_by_ref", JITERATOR),
    ("jiterator_unary", JITERATOR),
    ("short", "there are no 16-bit integers: nothing computes faster in them than in 32 bits"),
    ("sparse.mm.reduce", SPARSE),
    ("sparse.sampled_addmm", SPARSE),
    ("to_sparse", SPARSE),
];

const JITERATOR: &str = "it compiles CUDA text; an op of one's own comes in by `CustomOp`";
const SPARSE: &str = "all tensors are dense";

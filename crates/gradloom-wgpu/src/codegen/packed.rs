//! Elements narrower than a word, as they lie in the words of a buffer.
//!
//! A word is written by one thread: two that write parts of one word would undo each other's work.

use gradloom_tensor::DType;

/// Elements of a word of a tensor's memory; 1 where an element takes a word.
pub(crate) fn per_word(dtype: DType) -> usize {
    match dtype {
        DType::F16 | DType::BF16 => 2,
        DType::I8 | DType::U8 | DType::Bool => 4,
        DType::F32 | DType::F64 | DType::I32 | DType::I64 | DType::U32 => 1,
    }
}

/// True if several elements share a word.
pub(crate) fn is_narrow(dtype: DType) -> bool {
    per_word(dtype) > 1
}

/// Element `index` of `array<u32>` `buffer` as a value of the compute type. `index` is mentioned twice.
pub(crate) fn load(buffer: &str, dtype: DType, index: &str) -> String {
    let word = |per_word| format!("{buffer}[({index}) / {per_word}u], {index}");
    match dtype {
        DType::F16 => format!("gl_load_f16({})", word(2)),
        DType::BF16 => format!("gl_load_bf16({})", word(2)),
        DType::I8 => format!("gl_load_signed_byte({})", word(4)),
        DType::U8 => format!("gl_load_byte({})", word(4)),
        DType::Bool => format!("(gl_load_byte({}) != 0u)", word(4)),
        DType::F32 | DType::F64 | DType::I32 | DType::I64 | DType::U32 => {
            unreachable!("{dtype} is not narrow")
        }
    }
}

/// Elements `4 index` and on as a vector; see [`component`].
pub(crate) fn load_four(buffer: &str, dtype: DType, index: &str) -> String {
    let halves = format!("{buffer}[({index}) * 2u], {buffer}[({index}) * 2u + 1u]");
    match dtype {
        DType::F16 => format!("gl_load_four_f16({halves})"),
        DType::BF16 => format!("gl_load_four_bf16({halves})"),
        DType::I8 => format!("gl_load_four_signed_bytes({buffer}[{index}])"),
        DType::U8 | DType::Bool => format!("gl_load_four_bytes({buffer}[{index}])"),
        DType::F32 | DType::F64 | DType::I32 | DType::I64 | DType::U32 => {
            unreachable!("{dtype} is not narrow")
        }
    }
}

/// A component of such a vector as a value of the compute type.
pub(crate) fn component(dtype: DType, component: &str) -> String {
    if dtype == DType::Bool { format!("({component} != 0u)") } else { component.to_owned() }
}

/// A word of elements, as many values of the compute type as a word holds.
pub(crate) fn pack(dtype: DType, values: &[String]) -> String {
    let bytes = |values: &[String]| format!("gl_pack_bytes({})", values.join(", "));
    match dtype {
        DType::F16 => format!("gl_pack_f16({})", values.join(", ")),
        DType::BF16 => format!("gl_pack_bf16({})", values.join(", ")),
        DType::U8 => bytes(values),
        DType::I8 => {
            let word = |value: &String| format!("bitcast<u32>({value})");
            bytes(&values.iter().map(word).collect::<Vec<_>>())
        }
        DType::Bool => {
            let word = |value: &String| format!("select(0u, 1u, {value})");
            bytes(&values.iter().map(word).collect::<Vec<_>>())
        }
        DType::F32 | DType::F64 | DType::I32 | DType::I64 | DType::U32 => {
            unreachable!("{dtype} is not narrow")
        }
    }
}

//! The tree that combines the threads of a row.

use gradloom_tensor::DType;
use gradloom_tensor::op::Reduction;

use super::literal;
use super::row_layout::RowLayout;

/// A binary tree over the threads of a row in workgroup memory.
pub(crate) fn tree(name: &str, reduction: Reduction, dtype: DType, layout: &RowLayout) -> String {
    let kind = literal::compute_type(dtype);
    let stride = if layout.row_fastest { "ROWS_PER_GROUP" } else { "1u" };
    let combined = literal::combine(
        reduction,
        dtype,
        &format!("{name}_memory[thread]"),
        &format!("{name}_memory[thread + step * {stride}]"),
    );
    format!(
        "var<workgroup> {name}_memory: array<{kind}, WORKGROUP>;
fn {name}(value: {kind}, thread: u32, lane: u32) -> {kind} {{
    {name}_memory[thread] = value;
    workgroupBarrier();
    for (var step = THREADS / 2u; step > 0u; step >>= 1u) {{
        if (lane < step) {{
            {name}_memory[thread] = {combined};
        }}
        workgroupBarrier();
    }}
    let result = {name}_memory[thread - lane * {stride}];
    workgroupBarrier();
    return result;
}}
"
    )
}

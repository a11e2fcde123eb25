//! What the steps of a loop need beside the kernels of its body: parts of buffers that are copied, and keys
//! of random numbers.

use gradloom_shaders::Options;
use gradloom_tensor::{DType, Result};

use super::bindings::{Bindings, Resource};
use super::unit::{Dispatch, Target, dispatch};

/// Bytes that go from one buffer to another at every step.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Copy {
    pub(crate) source: End,
    pub(crate) target: End,
    pub(crate) bytes: usize,
}

/// Where a copy begins: at the step's number times the stride.
#[derive(Clone, Copy, Debug)]
pub(crate) struct End {
    pub(crate) resource: Resource,
    /// In bytes.
    pub(crate) stride: usize,
}

impl End {
    /// The same place at every step.
    pub(crate) fn fixed(resource: Resource) -> End {
        End { resource, stride: 0 }
    }
}

/// Dispatches of copies that do not depend on one another.
pub(crate) fn copies(list: &[Copy], target: &Target) -> Result<Vec<Dispatch>> {
    let list: Vec<Copy> = list.iter().copied().filter(|copy| copy.bytes > 0).collect();
    list.chunks((target.storage_buffers_max as usize / 2).max(1))
        .map(|list| copies_at_once(list, target))
        .collect()
}

fn copies_at_once(list: &[Copy], target: &Target) -> Result<Dispatch> {
    let mut bindings = Bindings::default();
    bindings.register_of_loop(Resource::Turn);
    let (mut copies, mut parts, mut groups) = (String::new(), String::new(), 0);
    for (position, copy) in list.iter().enumerate() {
        bindings.register(copy.source.resource, DType::U32, false, false)?;
        bindings.register(copy.target.resource, DType::U32, false, true)?;
        let source = bindings.name(copy.source.resource);
        let written = bindings.name(copy.target.resource);
        let strides = [
            bindings.number("source_stride", copy.source.stride),
            bindings.number("target_stride", copy.target.stride),
            bindings.number("bytes", copy.bytes),
        ];
        copies += &format!(
            "fn copy{position}(thread: u32) {{
    let own = piece(thread, turn.x, {});
    if (own.mask == 0u) {{ return; }}
    var first = 0u;
    var second = 0u;
    if (own.reads_first) {{ first = {source}[own.second - 1u]; }}
    if (own.reads_second) {{ second = {source}[own.second]; }}
    {written}[own.place] = joined(own, first, second, {written}[own.place]);
}}
",
            strides.join(", ")
        );
        let begin = bindings.number("begin", groups);
        // A part may begin and end inside of a word.
        groups += (copy.bytes / 4 + 2).div_ceil(target.workgroup as usize);
        let end = bindings.number("end", groups);
        parts += &format!(
            "    if (group < {end}) {{ copy{position}((group - {begin}) * WORKGROUP + thread); return; }}\n"
        );
    }
    let options = Options::new()
        .constant("WORKGROUP", target.workgroup)
        .splice("copies", copies)
        .splice("parts", parts);
    dispatch(
        target,
        "copy.wgsl",
        &[DType::U32],
        format!("copy {}", list.len()),
        options,
        bindings,
        groups,
    )
}

/// The dispatch that folds a step's number into the keys of so many words; the words are a
/// [`List`](Resource::List).
pub(crate) fn keys(words: usize, target: &Target) -> Result<Dispatch> {
    let mut bindings = Bindings::default();
    for resource in [Resource::Turn, Resource::List, Resource::Arena] {
        bindings.register_of_loop(resource);
    }
    let options = Options::new()
        .constant("WORKGROUP", target.workgroup)
        .expression("COUNT", "arrayLength(&list)");
    let groups = words.div_ceil(target.workgroup as usize);
    dispatch(target, "keys.wgsl", &[DType::U32], format!("keys {words}"), options, bindings, groups)
}

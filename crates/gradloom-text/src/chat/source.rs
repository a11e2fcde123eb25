//! The text of a template: which of several, and without tags that only Python's training code reads.

use serde_json::Value;

/// The template of this name; a single template has every name.
pub(super) fn named<'v>(entry: &'v Value, name: &str) -> Option<&'v str> {
    if let Some(source) = entry.as_str() {
        return Some(source);
    }
    let listed = entry.as_array()?.iter().find(|one| name_of(one) == Some(name))?;
    listed.get("template")?.as_str()
}

/// The names of the templates in a list.
pub(super) fn names(entry: &Value) -> Vec<&str> {
    entry.as_array().into_iter().flatten().filter_map(name_of).collect()
}

fn name_of(entry: &Value) -> Option<&str> {
    entry.get("name")?.as_str()
}

/// Makes `{% generation %}` blocks, which mark the assistant's words for training, into blocks that are always
/// there.
pub(super) fn without_generation_tags(source: &str) -> String {
    let mut written = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(at) = rest.find("{%") {
        let (before, tag) = rest.split_at(at + 2);
        written.push_str(before);
        let inner = tag.trim_start_matches(['-', '+']);
        let mark = &tag[..tag.len() - inner.len()];
        let word = inner.trim_start();
        let replaced = [("generation", "if true"), ("endgeneration", "endif")]
            .into_iter()
            .find_map(|(name, instead)| Some((word.strip_prefix(name)?, instead)))
            .filter(|(after, _)| {
                after.trim_start().trim_start_matches(['-', '+']).starts_with("%}")
            });
        rest = match replaced {
            Some((after, instead)) => {
                written.push_str(mark);
                written.push(' ');
                written.push_str(instead);
                written.push(' ');
                after.trim_start()
            }
            None => tag,
        };
    }
    written.push_str(rest);
    written
}

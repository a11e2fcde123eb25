//! Imported files: their functions, structs and constants are added to a module only if something refers
//! to them, so that drivers compile little.

use std::collections::{BTreeMap, BTreeSet};

/// Appends to `text` every item of the imported files that it needs, directly or through others.
pub(crate) fn append_used(text: &mut String, imports: &[String]) -> Result<(), String> {
    let mut items = BTreeMap::new();
    let mut files: Vec<&str> = imports.iter().map(String::as_str).collect();
    let mut seen = BTreeSet::new();
    while let Some(file) = files.pop() {
        if !seen.insert(file) {
            continue;
        }
        let source =
            crate::source(file).ok_or_else(|| format!("there is no shader file `{file}`"))?;
        items.extend(split_items(source));
        // Imported files may import others.
        let nested = source.lines().filter_map(|line| line.strip_prefix("#import "));
        files.extend(nested.map(|file| file.trim().trim_matches('"')));
    }
    let mut added = BTreeSet::new();
    let mut pending: Vec<&str> = Vec::new();
    let mut appended = String::new();
    for word in identifiers(text) {
        if let Some((name, _)) = items.get_key_value(word)
            && added.insert(*name)
        {
            pending.push(name);
        }
    }
    while let Some(name) = pending.pop() {
        let item: &str = items[name].as_str();
        appended.push_str(item);
        for word in identifiers(item) {
            if let Some((name, _)) = items.get_key_value(word)
                && added.insert(*name)
            {
                pending.push(name);
            }
        }
    }
    text.push_str(&appended);
    Ok(())
}

/// Top-level functions, structs and constants by name, without comments.
fn split_items(source: &'static str) -> BTreeMap<&'static str, String> {
    let mut items = BTreeMap::new();
    let mut current: Option<(&'static str, String)> = None;
    for line in source.lines() {
        let start = ["fn ", "struct ", "const ", "alias "]
            .iter()
            .find_map(|keyword| line.strip_prefix(keyword))
            .and_then(|rest| identifiers(rest).next());
        if let Some(name) = start {
            current = Some((name, String::new()));
        }
        let Some((name, text)) = &mut current else { continue };
        if !line.trim_start().starts_with("//") {
            text.push_str(line);
            text.push('\n');
        }
        let braced = text.starts_with("fn ") || text.starts_with("struct ");
        let ends = if braced { line == "}" } else { line.ends_with(';') };
        if ends {
            items.insert(*name, std::mem::take(text));
            current = None;
        }
    }
    items
}

/// The identifiers (and keywords) of a text.
fn identifiers(text: &str) -> impl Iterator<Item = &str> {
    text.split(|character: char| !character.is_ascii_alphanumeric() && character != '_')
        .filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::append_used;

    #[test]
    fn only_what_is_used_is_added() {
        let mut text = "let y = gl_sigmoid(x);\n".to_owned();
        assert_eq!(append_used(&mut text, &["shared/math.wgsl".to_owned()]), Ok(()));
        assert!(text.contains("fn gl_sigmoid("));
        assert!(text.contains("fn gl_exp("), "what a used function needs comes along");
        assert!(!text.contains("fn gl_sin("));
    }
}

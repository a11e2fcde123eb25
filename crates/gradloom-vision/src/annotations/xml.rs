//! [`Element`]: as much of XML as annotations need: elements, text, comments and the five entities. Attributes are
//! skipped; document types and other entities are refused.

use crate::{Error, Result};
use gradloom_tensor::ErrorKind;

/// An element with its text and its children.
#[derive(Debug, Default)]
pub(super) struct Element {
    pub(super) name: String,
    /// Without spaces around it.
    pub(super) text: String,
    pub(super) children: Vec<Element>,
}

const DEPTH_MAX: usize = 32;

impl Element {
    /// The first child of this name.
    pub(super) fn child(&self, name: &str) -> Option<&Element> {
        self.children.iter().find(|child| child.name == name)
    }

    /// Reads a document of one element.
    pub(super) fn parse(source: &str) -> Result<Element> {
        let mut rest = source.trim_start_matches('\u{feff}');
        // The element under the root's parent is what is open now.
        let mut open = vec![Element::default()];
        while let Some(start) = rest.find('<') {
            let place = source.len() - rest.len() + start;
            let failed = |message: &str| Err(fault(place, message));
            if let Some(element) = open.last_mut() {
                element.text.push_str(&unescaped(&rest[..start], place)?);
            }
            rest = &rest[start..];
            if let Some(comment) = rest.strip_prefix("<!--") {
                let Some(end) = comment.find("-->") else { return failed("a comment has no end") };
                rest = &comment[end + 3..];
                continue;
            }
            if rest.starts_with("<!") {
                return failed("a document type or CDATA, which annotations have not");
            }
            let Some(end) = end_of_tag(rest) else { return failed("a tag has no end") };
            let tag = &rest[1..end];
            rest = &rest[end + 1..];
            if tag.starts_with('?') {
                continue;
            }
            if let Some(name) = tag.strip_prefix('/') {
                let closed = open.pop().filter(|_| !open.is_empty());
                let Some(mut closed) = closed.filter(|element| element.name == name.trim()) else {
                    return failed(&format!("</{}> closes nothing", name.trim()));
                };
                closed.text = closed.text.trim().to_owned();
                if let Some(parent) = open.last_mut() {
                    parent.children.push(closed);
                }
                continue;
            }
            let inner = tag.strip_suffix('/');
            let name = inner.unwrap_or(tag).split_whitespace().next().unwrap_or_default();
            if name.is_empty() || open.len() > DEPTH_MAX {
                return failed("a tag without a name, or elements too deep");
            }
            let element = Element { name: name.to_owned(), ..Element::default() };
            match (inner, open.last_mut()) {
                (Some(_), Some(parent)) => parent.children.push(element),
                _ => open.push(element),
            }
        }
        let document = open.pop().filter(|_| open.is_empty());
        let found = document.filter(|document| document.children.len() == 1);
        let found = found.filter(|document| document.text.trim().is_empty());
        let root = found.and_then(|document| document.children.into_iter().next());
        root.filter(|_| rest.trim().is_empty())
            .ok_or_else(|| fault(source.len(), "the document is not one element that is closed"))
    }
}

/// Where a tag ends, `>` in quotes left out.
fn end_of_tag(tag: &str) -> Option<usize> {
    let mut quote = None;
    for (place, byte) in tag.bytes().enumerate() {
        match (quote, byte) {
            (None, b'>') => return Some(place),
            (None, b'"' | b'\'') => quote = Some(byte),
            (Some(open), byte) if open == byte => quote = None,
            _ => {}
        }
    }
    None
}

const ENTITIES: [(&str, char); 5] =
    [("&lt;", '<'), ("&gt;", '>'), ("&quot;", '"'), ("&apos;", '\''), ("&amp;", '&')];

fn unescaped(text: &str, place: usize) -> Result<String> {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find('&') {
        result.push_str(&rest[..start]);
        rest = &rest[start..];
        let entity = ENTITIES.iter().find(|(entity, _)| rest.starts_with(entity));
        let Some((entity, character)) = entity else {
            return Err(fault(place, "an entity that is none of XML's five"));
        };
        result.push(*character);
        rest = &rest[entity.len()..];
    }
    result.push_str(rest);
    Ok(result)
}

/// Text with the characters that XML has for itself as entities.
pub(super) fn escaped(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    for character in text.chars() {
        match ENTITIES.iter().find(|(_, own)| *own == character) {
            Some((entity, _)) => result.push_str(entity),
            None => result.push(character),
        }
    }
    result
}

fn fault(place: usize, message: &str) -> Error {
    Error::new(ErrorKind::Malformed, format!("voc: byte {place}: {message}"))
}

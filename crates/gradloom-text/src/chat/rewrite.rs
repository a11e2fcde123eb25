//! Slices and loops of a template, written as calls of functions that do what Python does.
//!
//! The engine's own slices panic or take other elements where the step is negative, and its loops take none
//! for an empty list. `x[a:b:c]` becomes `x.__slice__(a, b, c)` and `for x in y` becomes
//! `for x in __iter__((y))`; nothing else is touched, and no line moves.

/// Method that a slice becomes.
pub(super) const SLICE: &str = "__slice__";
/// Function that what a loop runs over is given to.
pub(super) const ITERABLE: &str = "__iter__";

/// Brackets within brackets that are looked at; the engine refuses what is nested so deep.
const DEPTH_MAX: usize = 200;

/// The template with its slices and loops rewritten.
pub(super) fn rewrite(source: &str) -> String {
    let mut written = String::with_capacity(source.len() + source.len() / 16);
    let mut rest = source;
    while let Some(at) = rest.find("{") {
        let (before, tag) = rest.split_at(at);
        written.push_str(before);
        rest = match tag.as_bytes().get(1) {
            Some(b'#') => copy(tag, tag.find("#}").map_or(tag.len(), |end| end + 2), &mut written),
            Some(b'%') if first_word(tag) == "raw" => copy(tag, raw_end(tag), &mut written),
            Some(b'{' | b'%') => Code::new(tag).run(&mut written),
            _ => copy(tag, 1, &mut written),
        };
    }
    written.push_str(rest);
    written
}

/// Writes the first bytes as they are, and gives the others.
fn copy<'s>(text: &'s str, bytes: usize, written: &mut String) -> &'s str {
    written.push_str(&text[..bytes]);
    &text[bytes..]
}

/// The name of a statement.
fn first_word(tag: &str) -> &str {
    let inner = tag[2..].trim_start_matches(['-', '+']).trim_start();
    &inner[..inner.find(|character: char| !is_of_word(character)).unwrap_or(inner.len())]
}

/// Where the text behind a `raw` tag ends.
fn raw_end(tag: &str) -> usize {
    let mut from = 2;
    while let Some(at) = tag[from..].find("{%") {
        from += at;
        if first_word(&tag[from..]) == "endraw" {
            return from;
        }
        from += 2;
    }
    tag.len()
}

fn is_of_word(character: char) -> bool {
    character == '_' || character.is_alphanumeric()
}

/// An open bracket: where it stands in what is written, and the colons in it.
struct Bracket {
    sign: u8,
    at: usize,
    colons: Vec<usize>,
}

/// How far a `for` was read.
#[derive(PartialEq)]
enum Loop {
    None,
    Targets,
    Iterable,
}

/// The inside of a tag.
struct Code<'s> {
    text: &'s str,
    at: usize,
    brackets: Vec<Bracket>,
    stage: Loop,
}

impl<'s> Code<'s> {
    fn new(text: &'s str) -> Self {
        let is_loop = text.as_bytes()[1] == b'%' && first_word(text) == "for";
        let stage = if is_loop { Loop::Targets } else { Loop::None };
        Code { text, at: 2, brackets: Vec::new(), stage }
    }

    /// Writes the tag and gives what comes behind it.
    fn run(mut self, written: &mut String) -> &'s str {
        let end = if self.text.as_bytes()[1] == b'%' { "%}" } else { "}}" };
        written.push_str(&self.text[..2]);
        while let Some(character) = self.text[self.at..].chars().next() {
            let rest = &self.text[self.at..];
            let signed = rest.strip_prefix(['-', '+']).unwrap_or(rest);
            if self.brackets.is_empty() && (rest.starts_with(end) || signed.starts_with(end)) {
                self.close_iterable(written);
                return rest;
            }
            match character {
                '"' | '\'' => self.string(character, written),
                _ if is_of_word(character) => self.word(written),
                _ => self.sign(character, written),
            }
        }
        self.text.get(self.at..).unwrap_or_default()
    }

    fn string(&mut self, quote: char, written: &mut String) {
        let rest = &self.text[self.at..];
        let mut escaped = false;
        let end = rest.char_indices().skip(1).find(|&(_, character)| {
            let ends = character == quote && !escaped;
            escaped = character == '\\' && !escaped;
            ends
        });
        let end = end.map_or(rest.len(), |(at, _)| at + 1);
        written.push_str(&rest[..end]);
        self.at += end;
    }

    fn word(&mut self, written: &mut String) {
        let rest = &self.text[self.at..];
        let end = rest.find(|character| !is_of_word(character)).unwrap_or(rest.len());
        let word = &rest[..end];
        self.at += end;
        let outside = self.brackets.is_empty();
        if outside && matches!(word, "if" | "recursive") {
            self.close_iterable(written);
        }
        written.push_str(word);
        if outside && word == "in" && self.stage == Loop::Targets {
            written.push_str(&format!(" {ITERABLE}(("));
            self.stage = Loop::Iterable;
        }
    }

    fn close_iterable(&mut self, written: &mut String) {
        if self.stage == Loop::Iterable {
            written.push_str(")) ");
            self.stage = Loop::None;
        }
    }

    fn sign(&mut self, character: char, written: &mut String) {
        self.at += character.len_utf8();
        match character {
            '[' | '(' | '{' => {
                let (sign, at) = (character as u8, written.len());
                self.brackets.push(Bracket { sign, at, colons: Vec::new() });
            }
            ':' => {
                let at = written.len();
                if let Some(bracket) = self.brackets.last_mut() {
                    bracket.colons.push(at);
                }
            }
            ']' | ')' | '}' => {
                let depth = self.brackets.len();
                let slice = self.brackets.pop().filter(|bracket| {
                    character == ']'
                        && bracket.sign == b'['
                        && matches!(bracket.colons.len(), 1 | 2)
                        && depth <= DEPTH_MAX
                });
                if let Some(slice) = slice {
                    call_of_slice(&slice, written);
                    return;
                }
            }
            _ => {}
        }
        written.push(character);
    }
}

/// Puts a call in the place of what is written from the bracket on.
fn call_of_slice(slice: &Bracket, written: &mut String) {
    let inner = written.split_off(slice.at);
    let mut parts = Vec::with_capacity(3);
    let mut from = 1;
    for colon in &slice.colons {
        let at = colon - slice.at;
        parts.push(&inner[from..at]);
        from = at + 1;
    }
    parts.push(&inner[from..]);
    let parts: Vec<&str> =
        parts.into_iter().map(|part| if part.trim().is_empty() { "none" } else { part }).collect();
    written.push_str(&format!(".{SLICE}({})", parts.join(", ")));
}

#[cfg(test)]
mod tests {
    use super::rewrite;

    #[test]
    fn only_slices_and_loops_change() {
        for (source, expected) in [
            ("{{ a[::-1] }}", "{{ a.__slice__(none, none, -1) }}"),
            ("{{ a[b[1:][0]:c] }}", "{{ a.__slice__(b.__slice__(1, none)[0], c) }}"),
            ("{{ a[{'x': 1}['x']] }}", "{{ a[{'x': 1}['x']] }}"),
            ("{{ a[':'] }}{{ a['\\':'] }}", "{{ a[':'] }}{{ a['\\':'] }}"),
            ("a[1:] {# a[1:] #}", "a[1:] {# a[1:] #}"),
            ("{% raw %}{{ a[1:] }}{%- endraw %}", "{% raw %}{{ a[1:] }}{%- endraw %}"),
            ("{%- for m in a[1:] -%}", "{%- for m in __iter__(( a.__slice__(1, none) )) -%}"),
            ("{% for a, b in c if d in e %}", "{% for a, b in __iter__(( c )) if d in e %}"),
            ("{% for x in y recursive %}", "{% for x in __iter__(( y )) recursive %}"),
            ("{% if a in b %}", "{% if a in b %}"),
            ("{{ {'a': {'b': 1}} }}", "{{ {'a': {'b': 1}} }}"),
            ("{{ a[1: }}", "{{ a[1: }}"),
            ("{", "{"),
            ("{{", "{{"),
            ("{% raw", "{% raw"),
        ] {
            assert_eq!(rewrite(source), expected, "{source}");
        }
    }
}
